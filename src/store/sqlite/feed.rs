//! What other nodes and auditors read: signing keys, the change feed, audit records; and the forgetting of
//! what has served.

use std::time::SystemTime;

use super::{
    row::WrittenAt,
    step::{Read, Step},
};
use crate::{
    clock::Timestamp,
    id::AccountId,
    key_kind::KeyKind,
    store::{Change, ChangePosition, Result, StoredKey},
    telemetry::audit::AuditRecord,
};

pub(super) async fn keys(read: Read<'_>) -> Result<Vec<StoredKey>> {
    read.all(sqlx::query(
        "SELECT * FROM signing_key ORDER BY created_at DESC, rowid DESC",
    ))
    .await
}

pub(super) async fn add_key(
    mut step: Step,
    key: &StoredKey,
    only_if_none: bool,
    audit: &AuditRecord,
) -> Result<bool> {
    if only_if_none
        && step
            .finds(sqlx::query("SELECT 1 FROM signing_key WHERE kind = ?1 LIMIT 1").bind(key.kind))
            .await?
    {
        step.abandon().await;
        return Ok(false);
    }
    let insert = sqlx::query(
        "INSERT INTO signing_key (kid, sealed, created_at, kind) VALUES (?1, ?2, ?3, ?4)",
    )
    .bind(&key.kid)
    .bind(key.sealed.as_slice())
    .bind(key.created_at)
    .bind(key.kind);
    step.execute(insert).await?;
    announce(&mut step, audit.at, &Change::KeysChanged).await?;
    step.commit_with(audit).await?;
    Ok(true)
}

/// The newer key is the oldest of those that came after: from then on, but for the moment it takes to settle, no
/// session was signed with the older one.
pub(super) async fn forget_keys(
    mut step: Step,
    kind: KeyKind,
    superseded_before: Timestamp,
    now: Timestamp,
) -> Result<Vec<String>> {
    let superseded = sqlx::query(
        "SELECT old.*, MIN(newer.created_at) AS superseded_at
         FROM signing_key AS old JOIN signing_key AS newer
           ON newer.kind = old.kind
          AND (newer.created_at, newer.rowid) > (old.created_at, old.rowid)
         WHERE old.kind = ?1
         GROUP BY old.kid
         HAVING superseded_at < ?2
            AND (?1 <> 'session' OR NOT EXISTS (
                 SELECT 1 FROM session
                 WHERE ended_at IS NULL AND expires_at > ?3 AND created_at <= superseded_at + 60))",
    )
    .bind(kind)
    .bind(superseded_before)
    .bind(now);
    let keys: Vec<StoredKey> = step.all(superseded).await?;
    for key in &keys {
        let delete = sqlx::query("DELETE FROM signing_key WHERE kid = ?1").bind(&key.kid);
        step.execute(delete).await?;
    }
    if !keys.is_empty() {
        announce(&mut step, now, &Change::KeysChanged).await?;
    }
    step.commit().await?;
    Ok(keys.into_iter().map(|key| key.kid).collect())
}

/// Adds a change to the feed within a step.
pub(super) async fn announce(step: &mut Step, at: Timestamp, change: &Change) -> Result<()> {
    let insert = match change {
        // By whom a session was replaced is read from the session itself.
        Change::SessionEnded(session) | Change::SessionReplaced { ended: session, .. } => {
            sqlx::query("INSERT INTO change (at, kind, subject) VALUES (?1, 'session_ended', ?2)")
                .bind(at)
                .bind(*session)
        }
        Change::AccountChanged(account) => {
            sqlx::query("INSERT INTO change (at, kind, subject) VALUES (?1, 'account_changed', ?2)")
                .bind(at)
                .bind(*account)
        }
        Change::KeysChanged => {
            sqlx::query("INSERT INTO change (at, kind) VALUES (?1, 'keys_changed')").bind(at)
        }
    };
    step.execute(insert).await.map(drop)
}

/// Not the greatest `seq` there is: that goes back when changes are forgotten.
pub(super) async fn last_change(read: Read<'_>) -> Result<ChangePosition> {
    let last = read.optional(sqlx::query(
        "SELECT seq FROM sqlite_sequence WHERE name = 'change'",
    ));
    Ok(last.await?.unwrap_or(ChangePosition(0)))
}

/// Positions are given out and committed under the one write lock, so a reader never sees a later one
/// before an earlier one.
pub(super) async fn since(
    read: Read<'_>,
    position: ChangePosition,
) -> Result<(Vec<Change>, ChangePosition)> {
    let statement = sqlx::query(
        "SELECT change.*, replaced_by FROM change LEFT JOIN session ON session.id = change.subject
         WHERE seq > ?1 ORDER BY seq",
    )
    .bind(position.0);
    let found: Vec<(ChangePosition, Change)> = read.all(statement).await?;
    let reached = found.last().map_or(position, |(reached, _)| *reached);
    Ok((
        found.into_iter().map(|(_, change)| change).collect(),
        reached,
    ))
}

pub(super) async fn written_between(
    read: Read<'_>,
    after: ChangePosition,
    to: ChangePosition,
) -> Result<Vec<SystemTime>> {
    let statement = sqlx::query(
        "SELECT written_at FROM change WHERE seq > ?1 AND seq <= ?2 AND written_at IS NOT NULL",
    )
    .bind(after.0)
    .bind(to.0);
    let found: Vec<WrittenAt> = read.all(statement).await?;
    Ok(found.into_iter().map(|WrittenAt(moment)| moment).collect())
}

pub(super) async fn from(read: Read<'_>, moment: Timestamp) -> Result<Vec<Change>> {
    let statement = sqlx::query(
        "SELECT change.*, replaced_by FROM change LEFT JOIN session ON session.id = change.subject
         WHERE at >= ?1 ORDER BY seq",
    )
    .bind(moment);
    let found: Vec<(ChangePosition, Change)> = read.all(statement).await?;
    Ok(found.into_iter().map(|(_, change)| change).collect())
}

pub(super) async fn audit(
    read: Read<'_>,
    account: Option<AccountId>,
    limit: u32,
) -> Result<Vec<AuditRecord>> {
    read.all(match account {
        Some(account) => sqlx::query(
            "SELECT * FROM audit WHERE account = ?2 ORDER BY at DESC, seq DESC LIMIT ?1",
        )
        .bind(limit)
        .bind(account),
        None => sqlx::query("SELECT * FROM audit ORDER BY at DESC, seq DESC LIMIT ?1").bind(limit),
    })
    .await
}

/// A spent ceremony is kept until its state would not open any more: forgotten earlier, it could be spent
/// again.
pub(super) async fn forget_before(mut step: Step, moment: Timestamp) -> Result<u64> {
    let mut removed = 0;
    for statement in [
        "DELETE FROM session WHERE ended_at < ?1 OR expires_at < ?1",
        "DELETE FROM spent_ceremony WHERE expires_at < ?1",
        "DELETE FROM email_attempt WHERE expires_at < ?1",
        "DELETE FROM invitation WHERE expires_at < ?1",
        "DELETE FROM report WHERE expires_at < ?1",
        "DELETE FROM handoff WHERE expires_at < ?1",
        // Those of the last minutes say whether an account is blocked; `moment` is far before.
        "DELETE FROM pairing WHERE expires_at < ?1 AND (blocked_at IS NULL OR blocked_at < ?1)",
        "DELETE FROM change WHERE at < ?1",
        "DELETE FROM held_request WHERE expires_at < ?1",
    ] {
        removed += step.execute(sqlx::query(statement).bind(moment)).await?;
    }
    step.commit().await?;
    Ok(removed)
}
