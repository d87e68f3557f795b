//! "This was not me": looking a report up, stopping what it is about, and letting recovery go on afterwards.

use sqlx::{Row, sqlite::SqliteRow};

use super::{
    feed, notices, outbox,
    row::Record,
    sessions,
    step::{Read, Statement, Step},
};
use crate::{
    clock::Timestamp,
    id::{AccountId, SessionId},
    method::Method,
    secret::Digest,
    store::{
        Change, Credential, Notice, Report, ReportState, Result, Stop, StopGround, Stopped, Suspect,
    },
    telemetry::audit::AuditRecord,
};

pub(super) async fn look_up(
    read: Read<'_>,
    digest: &Digest,
    now: Timestamp,
) -> Result<ReportState> {
    let statement = sqlx::query("SELECT * FROM report WHERE digest = ?1 AND expires_at > ?2")
        .bind(digest)
        .bind(now);
    let found: Option<Found> = read.optional(statement).await?;
    Ok(match found {
        Some(found) if found.said => ReportState::Said(found.report.account),
        Some(found) => ReportState::Open(Box::new(found.report)),
        None => ReportState::Over,
    })
}

/// A report and whether it was said.
struct Found {
    report: Report,
    said: bool,
}

impl Record for Found {
    const WHAT: &'static str = Report::WHAT;

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            report: Report::read(row)?,
            said: row.try_get::<Option<Timestamp>, _>("spent_at")?.is_some(),
        })
    }
}

pub(super) async fn stop(
    mut step: Step,
    stop: &Stop,
    audit: &AuditRecord,
) -> Result<Option<Stopped>> {
    let at = audit.at;
    let Some(suspect) = spend(&mut step, stop, at).await? else {
        step.abandon().await;
        return Ok(None);
    };
    let keep = match &stop.ground {
        StopGround::Report(_) => None,
        StopGround::Session { session, .. } => Some(*session),
    };
    let mut passkeys: Vec<Credential> = step.all(freeze(stop.account, &suspect, keep, at)).await?;
    passkeys.sort_by_key(|passkey| passkey.created_at);
    let sessions =
        sessions::count(&mut step, end_sessions(stop.account, &suspect, keep, at)).await?;
    step.execute(spend_others(stop.account, &suspect, keep, at))
        .await?;
    let block = sqlx::query(
        "UPDATE account SET recovery_blocked_at = COALESCE(recovery_blocked_at, ?2) WHERE id = ?1",
    );
    step.execute(block.bind(stop.account).bind(at)).await?;
    for close in [
        "UPDATE recovery SET superseded = 1 WHERE account = ?1 AND spent_at IS NULL",
        "UPDATE pairing SET refused_at = ?2 WHERE account = ?1 AND spent_at IS NULL AND refused_at IS NULL",
    ] {
        step.execute(sqlx::query(close).bind(stop.account).bind(at))
            .await?;
    }
    for mail in &stop.mails {
        outbox::add(&mut step, mail).await?;
    }
    feed::announce(&mut step, at, &Change::AccountChanged(stop.account)).await?;
    step.commit_with(audit).await?;
    Ok(Some(Stopped { passkeys, sessions }))
}

/// What is suspect, if there is still a right to stop it. Of the session, its sign-in's first.
async fn spend(step: &mut Step, stop: &Stop, at: Timestamp) -> Result<Option<Suspect>> {
    match &stop.ground {
        StopGround::Report(digest) => {
            let spend = sqlx::query(
                "UPDATE report SET spent_at = ?3
                 WHERE digest = ?1 AND account = ?2 AND spent_at IS NULL AND expires_at > ?3
                 RETURNING *",
            );
            let spend = spend.bind(digest).bind(stop.account).bind(at);
            let report: Option<Report> = step.optional(spend).await?;
            Ok(report.map(|report| report.suspect))
        }
        StopGround::Session { session, suspect } => {
            let find = sqlx::query(
                "SELECT credential.id AS credential, saved_in AS session
                 FROM credential JOIN session ON session.account = credential.account
                 WHERE credential.id = ?1 AND credential.account = ?2 AND frozen_at IS NULL
                   AND session.id = ?3 AND session.credential IS NOT credential.id
                   AND session.restricted = 0 AND session.ended_at IS NULL AND session.expires_at > ?4",
            );
            step.optional(
                find.bind(suspect)
                    .bind(stop.account)
                    .bind(*session)
                    .bind(at),
            )
            .await
        }
    }
}

/// Freezes the suspect passkey and whatever grew from it: every passkey that was saved in the suspect sign-in,
/// or in one that such a passkey opened. A thief who signs in anew and saves one more has not got further. A
/// passkey that still waits is part of a recovery that nobody has vouched for: it goes as well, whichever
/// sign-in saved it.
fn freeze<'a>(
    account: AccountId,
    suspect: &'a Suspect,
    keep: Option<SessionId>,
    at: Timestamp,
) -> Statement<'a> {
    sqlx::query(
        "WITH RECURSIVE grown (id) AS (
             SELECT id FROM credential WHERE account = ?1 AND (id = ?2 OR saved_in = ?3 OR held_until > ?5)
             UNION
             SELECT later.id
             FROM grown JOIN session ON session.credential = grown.id
                        JOIN credential AS later ON later.saved_in = session.family
             WHERE later.account = ?1 AND grown.id IS NOT (SELECT credential FROM session WHERE id = ?4)
         )
         UPDATE credential SET frozen_at = ?5, to_confirm = 0
         WHERE id IN grown AND frozen_at IS NULL
           AND id IS NOT (SELECT credential FROM session WHERE id = ?4)
         RETURNING *",
    )
    .bind(account)
    .bind(&suspect.credential)
    .bind(suspect.session)
    .bind(keep)
    .bind(at)
}

/// Ends what the suspect sign-in and frozen passkeys opened, every restricted session, and every session by mail
/// that no passkey has raised, which is a full one where the operator grants that: whoever is in the mailbox may
/// sit in another one, and recover from there. On whichever hosts a sign-in has sessions, these end as one; of a
/// sign-in of which a session is kept, only that one stays.
fn end_sessions<'a>(
    account: AccountId,
    suspect: &'a Suspect,
    keep: Option<SessionId>,
    at: Timestamp,
) -> Statement<'a> {
    sqlx::query(
        "UPDATE session SET ended_at = ?5
         WHERE account = ?1 AND ended_at IS NULL AND expires_at > ?5 AND id IS NOT ?4
           AND (restricted = 1 OR (credential IS NULL AND method = ?6) OR family = ?3 OR family IN
                   (SELECT family FROM session
                    WHERE account = ?1 AND ended_at IS NULL AND expires_at > ?5
                      AND (credential = ?2 OR credential IN
                              (SELECT id FROM credential WHERE account = ?1 AND frozen_at IS NOT NULL))))
         RETURNING family",
    )
    .bind(account)
    .bind(&suspect.credential)
    .bind(suspect.session)
    .bind(keep)
    .bind(at)
    .bind(Method::Email)
}

/// Other notices of what is stopped now need not be said: those of frozen passkeys, and of the sign-in unless a part
/// of it is kept.
fn spend_others<'a>(
    account: AccountId,
    suspect: &'a Suspect,
    keep: Option<SessionId>,
    at: Timestamp,
) -> Statement<'a> {
    sqlx::query(
        "UPDATE report SET spent_at = ?5
         WHERE account = ?1 AND spent_at IS NULL
           AND (credential = ?2 OR (session = ?3 AND ?4 IS NULL) OR credential IN
                   (SELECT id FROM credential WHERE account = ?1 AND frozen_at IS NOT NULL))",
    )
    .bind(account)
    .bind(&suspect.credential)
    .bind(suspect.session)
    .bind(keep)
    .bind(at)
}

pub(super) async fn allow_recovery(
    mut step: Step,
    account: AccountId,
    notice: Option<&Notice>,
    audit: &AuditRecord,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE account SET recovery_blocked_at = NULL WHERE id = ?1 AND recovery_blocked_at IS NOT NULL",
    );
    if !step.changes_one(update.bind(account)).await? {
        step.abandon().await;
        return Ok(false);
    }
    if let Some(notice) = notice {
        notices::add(&mut step, notice).await?;
    }
    feed::announce(&mut step, audit.at, &Change::AccountChanged(account)).await?;
    step.commit_with(audit).await?;
    Ok(true)
}
