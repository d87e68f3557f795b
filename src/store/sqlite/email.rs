//! Requests for a sign-in mail: recording them and trying codes. They are spent by starting a session.

use sqlx::{Row, sqlite::SqliteRow};

use super::{
    accounts, outbox,
    row::Record,
    step::{Read, Step},
};
use crate::{
    clock::Timestamp,
    id::EmailAttemptId,
    secret::Digest,
    store::{CodeTry, EmailAttempt, OutboxMail, Result},
    telemetry::audit::AuditRecord,
};

pub(super) async fn begin(
    mut step: Step,
    attempt: &EmailAttempt,
    mail: &OutboxMail,
    audit: &AuditRecord,
) -> Result<()> {
    if let Some(account) = attempt.account
        && accounts::find(&mut step, account).await?.is_none()
    {
        // Deleted a moment ago: there is nobody to write to, and the page must not tell.
        step.abandon().await;
        return Ok(());
    }
    let supersede =
        sqlx::query("UPDATE email_attempt SET superseded = 1 WHERE email = ?1 AND purpose = ?2");
    step.execute(supersede.bind(&attempt.email).bind(attempt.purpose))
        .await?;
    let insert = sqlx::query(
        "INSERT INTO email_attempt
             (id, account, email, link, code, browser, return_to, created_at, expires_at, purpose)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )
    .bind(attempt.id)
    .bind(attempt.account)
    .bind(&attempt.email)
    .bind(attempt.link)
    .bind(attempt.code)
    .bind(attempt.browser)
    .bind(&attempt.return_to)
    .bind(attempt.created_at)
    .bind(attempt.expires_at)
    .bind(attempt.purpose);
    step.execute(insert).await?;
    outbox::add(&mut step, mail).await?;
    step.commit_with(audit).await
}

pub(super) async fn by_link(
    read: Read<'_>,
    link: &Digest,
    now: Timestamp,
) -> Result<Option<EmailAttempt>> {
    let statement = sqlx::query(
        "SELECT * FROM email_attempt
         WHERE link = ?1 AND spent_at IS NULL AND superseded = 0 AND expires_at > ?2 AND wrong_codes < ?3",
    )
    .bind(link)
    .bind(now)
    .bind(EmailAttempt::MAX_WRONG_CODES);
    read.optional(statement).await
}

pub(super) async fn try_code(
    mut step: Step,
    id: EmailAttemptId,
    browser: &Digest,
    code: &Digest,
    now: Timestamp,
) -> Result<CodeTry> {
    let open = sqlx::query(
        "SELECT * FROM email_attempt
         WHERE id = ?1 AND spent_at IS NULL AND superseded = 0 AND expires_at > ?2 AND wrong_codes < ?3",
    )
    .bind(id)
    .bind(now)
    .bind(EmailAttempt::MAX_WRONG_CODES);
    let open: Option<OpenAttempt> = step.optional(open).await?;
    // Another browser's guesses do not count, or a stranger could end the attempt of its owner.
    let Some(open) = open.filter(|open| open.attempt.browser == *browser) else {
        step.abandon().await;
        return Ok(CodeTry::Over);
    };
    if open.attempt.code == *code {
        step.abandon().await;
        return Ok(CodeTry::Right(Box::new(open.attempt)));
    }
    let count = sqlx::query("UPDATE email_attempt SET wrong_codes = wrong_codes + 1 WHERE id = ?1")
        .bind(id);
    step.execute(count).await?;
    step.commit().await?;
    let left = EmailAttempt::MAX_WRONG_CODES.saturating_sub(open.wrong_codes + 1);
    Ok(CodeTry::Wrong { left })
}

/// An attempt and how many wrong codes it has seen.
struct OpenAttempt {
    attempt: EmailAttempt,
    wrong_codes: u32,
}

impl Record for OpenAttempt {
    const WHAT: &'static str = EmailAttempt::WHAT;

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            attempt: EmailAttempt::read(row)?,
            wrong_codes: row.try_get("wrong_codes")?,
        })
    }
}
