//! Requests for a sign-in mail or for one that proves a new address: recording them and trying codes. The former
//! are spent by starting a session, the latter by changing the address.

use sqlx::{Row, sqlite::SqliteRow};

use super::{
    accounts, feed, notices, outbox,
    row::Record,
    step::{Read, Statement, Step},
};
use crate::{
    clock::Timestamp,
    id::{AccountId, EmailAttemptId},
    secret::Digest,
    store::{
        Account, AccountState, AddressChange, AddressChanged, Change, CodeTry, EmailAttempt,
        EmailPurpose, OutboxMail, Result,
    },
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
    step.execute(supersede_older(attempt)).await?;
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

/// Nobody ends another's change of address by naming the same one.
fn supersede_older(attempt: &EmailAttempt) -> Statement<'_> {
    match attempt.purpose {
        EmailPurpose::SignIn => sqlx::query(
            "UPDATE email_attempt SET superseded = 1 WHERE email = ?1 AND purpose = 'sign_in'",
        )
        .bind(&attempt.email),
        EmailPurpose::Address => sqlx::query(
            "UPDATE email_attempt SET superseded = 1 WHERE account = ?1 AND purpose = 'address'",
        )
        .bind(attempt.account),
    }
}

/// Spends the attempt before it looks whose the address is: only who reads its mail learns that.
pub(super) async fn change_address(
    mut step: Step,
    change: &AddressChange,
    audit: &AuditRecord,
) -> Result<AddressChanged> {
    let outcome = enact_change(&mut step, change, audit).await?;
    match outcome {
        AddressChanged::Changed => step.commit_with(audit).await?,
        AddressChanged::AlreadySpent | AddressChanged::Taken | AddressChanged::AccountClosed => {
            step.abandon().await;
        }
    }
    Ok(outcome)
}

async fn enact_change(
    step: &mut Step,
    change: &AddressChange,
    audit: &AuditRecord,
) -> Result<AddressChanged> {
    let at = audit.at;
    let account = accounts::find(step, change.account).await?;
    if account.is_none_or(|account| account.state != AccountState::Active) {
        return Ok(AddressChanged::AccountClosed);
    }
    let spend = sqlx::query(
        "UPDATE email_attempt SET spent_at = ?2
         WHERE id = ?1 AND spent_at IS NULL AND superseded = 0 AND expires_at > ?2 AND wrong_codes < ?3
           AND purpose = 'address' AND account = ?4 AND email = ?5",
    )
    .bind(change.attempt)
    .bind(at)
    .bind(EmailAttempt::MAX_WRONG_CODES)
    .bind(change.account)
    .bind(&change.email);
    if !step.changes_one(spend).await? {
        return Ok(AddressChanged::AlreadySpent);
    }
    let taken = sqlx::query("SELECT 1 FROM account WHERE email = ?1 AND id <> ?2");
    if step
        .finds(taken.bind(&change.email).bind(change.account))
        .await?
    {
        return Ok(AddressChanged::Taken);
    }
    // A new address is a new binding: what was mistyped at the old one no longer counts.
    let update = sqlx::query(
        "UPDATE account SET email = ?2, email_verified_at = ?3, email_code_failures = 0 WHERE id = ?1",
    );
    step.execute(update.bind(change.account).bind(&change.email).bind(at))
        .await?;
    // Mails that wait at the old address open nothing any more.
    let supersede = sqlx::query("UPDATE email_attempt SET superseded = 1 WHERE account = ?1");
    step.execute(supersede.bind(change.account)).await?;
    if let Some(notice) = &change.notice {
        notices::add(step, notice).await?;
    }
    feed::announce(step, at, &Change::AccountChanged(change.account)).await?;
    Ok(AddressChanged::Changed)
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
    closing: &AuditRecord,
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
    let signs_in = match open.attempt.purpose {
        EmailPurpose::SignIn => open.attempt.account,
        // Whoever gives their account an address has signed in already.
        EmailPurpose::Address => None,
    };
    if let Some(account) = signs_in
        && is_closed(&mut step, account).await?
    {
        step.abandon().await;
        return Ok(CodeTry::Closed);
    }
    if open.attempt.code == *code {
        step.abandon().await;
        return Ok(CodeTry::Right(Box::new(open.attempt)));
    }
    let count = sqlx::query("UPDATE email_attempt SET wrong_codes = wrong_codes + 1 WHERE id = ?1")
        .bind(id);
    step.execute(count).await?;
    if let Some(account) = signs_in {
        let count = sqlx::query(
            "UPDATE account SET email_code_failures = email_code_failures + 1 WHERE id = ?1",
        );
        step.execute(count.bind(account)).await?;
        if is_closed(&mut step, account).await? {
            let account = Some(account);
            let closing = AuditRecord {
                account,
                ..closing.clone()
            };
            step.commit_with(&closing).await?;
            return Ok(CodeTry::Closing);
        }
    }
    step.commit().await?;
    let left = EmailAttempt::MAX_WRONG_CODES.saturating_sub(open.wrong_codes + 1);
    Ok(CodeTry::Wrong { left })
}

/// Whether wrong codes have closed an account to codes.
async fn is_closed(step: &mut Step, account: AccountId) -> Result<bool> {
    let closed = sqlx::query("SELECT 1 FROM account WHERE id = ?1 AND email_code_failures >= ?2");
    step.finds(closed.bind(account).bind(Account::MAX_FAILURES))
        .await
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
