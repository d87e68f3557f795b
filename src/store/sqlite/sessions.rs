//! Sessions once they have begun: renewing, listing, ending.
//!
//! Sessions of one sign-in are a family and end as one, on all hosts. Where one is kept (its passkey is removed
//! in it, say) it alone stays; the other hosts get theirs anew from it.
//!
//! A session is alive while it has no `ended_at`, its `expires_at` is to come and its account is active.
//! Setting `ended_at` tells the change feed, by a trigger of the schema.

use std::collections::HashSet;

use sqlx::{Row, sqlite::SqliteRow};

use super::{
    notices,
    row::Record,
    step::{Read, Statement, Step},
};
use crate::{
    clock::Timestamp,
    id::{AccountId, CredentialId, SessionId},
    store::{Notice, Result, SessionRecord},
    telemetry::audit::AuditRecord,
};

pub(super) async fn renew(
    mut step: Step,
    id: SessionId,
    now: Timestamp,
    idle_since: Timestamp,
) -> Result<Option<SessionRecord>> {
    // MAX: a node whose clock is behind must not shorten what another has granted.
    let update = sqlx::query(
        "UPDATE session SET last_seen_at = MAX(last_seen_at, ?2)
         WHERE id = ?1 AND ended_at IS NULL AND expires_at > ?2 AND last_seen_at >= ?3
           AND EXISTS (SELECT 1 FROM account WHERE id = session.account AND state = 'active')
         RETURNING *",
    )
    .bind(id)
    .bind(now)
    .bind(idle_since);
    let renewed = step.optional(update).await?;
    step.commit().await?;
    Ok(renewed)
}

pub(super) async fn look_up(
    read: Read<'_>,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<SessionRecord>> {
    let statement = sqlx::query(
        "SELECT session.* FROM session JOIN account ON account.id = session.account
         WHERE session.id = ?1 AND ended_at IS NULL AND expires_at > ?2 AND state = 'active'",
    );
    read.optional(statement.bind(id).bind(now)).await
}

pub(super) async fn list(
    read: Read<'_>,
    account: Option<AccountId>,
    now: Timestamp,
) -> Result<Vec<SessionRecord>> {
    // Two statements rather than a condition on an optional value, which would not use the index.
    read.all(match account {
        Some(account) => sqlx::query(
            "SELECT session.* FROM session JOIN account ON account.id = session.account
             WHERE session.account = ?2 AND ended_at IS NULL AND expires_at > ?1 AND state = 'active'
             ORDER BY session.created_at DESC, session.rowid DESC",
        )
        .bind(now)
        .bind(account),
        None => sqlx::query(
            "SELECT session.* FROM session JOIN account ON account.id = session.account
             WHERE ended_at IS NULL AND expires_at > ?1 AND state = 'active'
             ORDER BY session.created_at DESC, session.rowid DESC",
        )
        .bind(now),
    })
    .await
}

pub(super) async fn end_one(
    mut step: Step,
    id: SessionId,
    account: Option<AccountId>,
    audit: &AuditRecord,
    notice: Option<&Notice>,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE session SET ended_at = ?1
         WHERE ended_at IS NULL AND expires_at > ?1
           AND family = (SELECT family FROM session
                         WHERE id = ?2 AND (?3 IS NULL OR account = ?3) AND ended_at IS NULL
                           AND expires_at > ?1)",
    );
    if step
        .execute(update.bind(audit.at).bind(id).bind(account))
        .await?
        == 0
    {
        step.abandon().await;
        return Ok(false);
    }
    if let Some(notice) = notice {
        notices::add(&mut step, notice).await?;
    }
    step.commit_with(audit).await?;
    Ok(true)
}

pub(super) async fn end_many(
    mut step: Step,
    account: Option<AccountId>,
    audit: &AuditRecord,
    notice: Option<&Notice>,
) -> Result<u64> {
    let ended = match account {
        Some(account) => end_of_account(&mut step, account, audit.at).await?,
        None => {
            let update = sqlx::query(
                "UPDATE session SET ended_at = ?1 WHERE ended_at IS NULL AND expires_at > ?1
                 RETURNING family",
            );
            count(&mut step, update.bind(audit.at)).await?
        }
    };
    if let Some(notice) = notice.filter(|_| ended > 0) {
        notices::add(&mut step, notice).await?;
    }
    step.commit_with(audit).await?;
    Ok(ended)
}

/// Ends an account's sessions within a step. Gives the number of families.
pub(super) async fn end_of_account(
    step: &mut Step,
    account: AccountId,
    at: Timestamp,
) -> Result<u64> {
    let update = sqlx::query(
        "UPDATE session SET ended_at = ?1 WHERE account = ?2 AND ended_at IS NULL AND expires_at > ?1
         RETURNING family",
    );
    count(step, update.bind(at).bind(account)).await
}

/// Runs a statement that ends sessions and gives the `family` of each. Gives the number of families: what people
/// see as one session.
pub(super) async fn count(step: &mut Step, ending: Statement<'_>) -> Result<u64> {
    let ended: Vec<FamilyOf> = step.all(ending).await?;
    let families: HashSet<_> = ended.into_iter().map(|FamilyOf(family)| family).collect();
    Ok(families.len() as u64)
}

/// The family of a session.
struct FamilyOf(SessionId);

impl Record for FamilyOf {
    const WHAT: &'static str = SessionRecord::WHAT;

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self(row.try_get("family")?))
    }
}

/// Ends an account's sessions but `keep` within a step.
pub(super) async fn end_others(
    step: &mut Step,
    account: AccountId,
    keep: SessionId,
    at: Timestamp,
) -> Result<()> {
    let update = sqlx::query(
        "UPDATE session SET ended_at = ?1
         WHERE account = ?2 AND id IS NOT ?3 AND ended_at IS NULL AND expires_at > ?1",
    );
    step.execute(update.bind(at).bind(account).bind(keep))
        .await
        .map(drop)
}

/// Ends the sessions that a passkey opened or raised, and their families, but `keep`, within a step.
pub(super) async fn end_of_credential(
    step: &mut Step,
    credential: &CredentialId,
    keep: Option<SessionId>,
    at: Timestamp,
) -> Result<()> {
    let update = sqlx::query(
        "UPDATE session SET ended_at = ?1
         WHERE id IS NOT ?3 AND ended_at IS NULL AND expires_at > ?1
           AND family IN (SELECT family FROM session
                          WHERE credential = ?2 AND ended_at IS NULL AND expires_at > ?1)",
    );
    step.execute(update.bind(at).bind(credential).bind(keep))
        .await
        .map(drop)
}
