//! Recovery by administrators: a request, where two are needed an approval, and a link, each once.
//!
//! Whether a link is spent is `start.rs`'s business; here it comes into being. A request that is over for any
//! reason has no link and gets none.

use super::{
    notices,
    step::{Read, Statement, Step},
};
use crate::{
    clock::Timestamp,
    id::{AccountId, RecoveryId},
    secret::Digest,
    store::{Notice, RecoveryLink, RecoveryLinkOwner, RecoveryRequest, RecoveryStep, Result},
    telemetry::audit::{Actor, AuditRecord},
};

pub(super) async fn request(
    mut step: Step,
    request: &RecoveryRequest,
    audit: &AuditRecord,
    notice: Option<&Notice>,
) -> Result<bool> {
    let supersede =
        sqlx::query("UPDATE recovery SET superseded = 1 WHERE account = ?1 AND spent_at IS NULL");
    step.execute(supersede.bind(request.account)).await?;
    let insert = sqlx::query(
        "INSERT INTO recovery (id, account, requested_by, reason, note, created_at, expires_at)
         SELECT ?1, id, ?3, ?4, ?5, ?6, ?7 FROM account WHERE id = ?2",
    )
    .bind(request.id)
    .bind(request.account)
    .bind(&request.requested_by)
    .bind(request.reason)
    .bind(&request.note)
    .bind(request.created_at)
    .bind(request.expires_at);
    if !step.changes_one(insert).await? {
        step.abandon().await;
        return Ok(false);
    }
    commit(step, audit, notice).await?;
    Ok(true)
}

pub(super) async fn approve(
    mut step: Step,
    id: RecoveryId,
    by: &Actor,
    audit: &AuditRecord,
) -> Result<RecoveryStep> {
    let request: Option<RecoveryRequest> = step.optional(by_id(id)).await?;
    let refusal = match &request {
        None => Some(RecoveryStep::Over),
        Some(request) if request.requested_by == *by => Some(RecoveryStep::OwnRequest),
        Some(request) if *by == Actor::Administrator(request.account) => {
            Some(RecoveryStep::OwnAccount)
        }
        Some(_) => None,
    };
    if let Some(refusal) = refusal {
        step.abandon().await;
        return Ok(refusal);
    }
    let update = sqlx::query(
        "UPDATE recovery SET approved_by = ?2, approved_at = ?3
         WHERE id = ?1 AND approved_at IS NULL AND link IS NULL AND superseded = 0 AND spent_at IS NULL
           AND expires_at > ?3 AND requested_by <> ?2",
    )
    .bind(id)
    .bind(by)
    .bind(audit.at);
    if !step.changes_one(update).await? {
        step.abandon().await;
        return Ok(RecoveryStep::Over);
    }
    step.commit_with(audit).await?;
    Ok(RecoveryStep::Done)
}

pub(super) async fn issue_link(
    mut step: Step,
    link: &RecoveryLink,
    audit: &AuditRecord,
    notice: Option<&Notice>,
) -> Result<RecoveryStep> {
    let update = sqlx::query(
        "UPDATE recovery SET link = ?2, link_expires_at = ?3
         WHERE id = ?1 AND link IS NULL AND superseded = 0 AND spent_at IS NULL AND expires_at > ?4
           AND requested_by = ?5 AND (approved_at IS NOT NULL OR NOT ?6)",
    )
    .bind(link.recovery)
    .bind(link.digest)
    .bind(link.expires_at)
    .bind(audit.at)
    .bind(&link.by)
    .bind(link.needs_approval);
    if !step.changes_one(update).await? {
        let refusal = why_no_link(&mut step, link, audit.at).await?;
        step.abandon().await;
        return Ok(refusal);
    }
    commit(step, audit, notice).await?;
    Ok(RecoveryStep::Done)
}

async fn why_no_link(step: &mut Step, link: &RecoveryLink, now: Timestamp) -> Result<RecoveryStep> {
    let still_open = sqlx::query(
        "SELECT * FROM recovery
         WHERE id = ?1 AND link IS NULL AND superseded = 0 AND spent_at IS NULL AND expires_at > ?2",
    );
    let request: Option<RecoveryRequest> = step
        .optional(still_open.bind(link.recovery).bind(now))
        .await?;
    Ok(match request {
        None => RecoveryStep::Over,
        Some(request) if request.requested_by != link.by => RecoveryStep::OthersRequest,
        Some(_) => RecoveryStep::NotApproved,
    })
}

async fn commit(mut step: Step, audit: &AuditRecord, notice: Option<&Notice>) -> Result<()> {
    if let Some(notice) = notice {
        notices::add(&mut step, notice).await?;
    }
    step.commit_with(audit).await
}

pub(super) async fn look_up(read: Read<'_>, id: RecoveryId) -> Result<Option<RecoveryRequest>> {
    read.optional(by_id(id)).await
}

pub(super) async fn open(
    read: Read<'_>,
    account: Option<AccountId>,
    now: Timestamp,
) -> Result<Vec<RecoveryRequest>> {
    let statement = sqlx::query(
        "SELECT * FROM recovery
         WHERE (?1 IS NULL OR account = ?1) AND link IS NULL AND superseded = 0 AND spent_at IS NULL
           AND expires_at > ?2
         ORDER BY created_at DESC, rowid DESC",
    );
    read.all(statement.bind(account).bind(now)).await
}

pub(super) async fn link_owner(
    read: Read<'_>,
    link: &Digest,
    now: Timestamp,
) -> Result<Option<RecoveryLinkOwner>> {
    let statement = sqlx::query(
        "SELECT account.*, (spent_at IS NULL AND superseded = 0 AND link_expires_at > ?2) AS open
         FROM recovery JOIN account ON account.id = recovery.account WHERE recovery.link = ?1",
    );
    read.optional(statement.bind(link).bind(now)).await
}

fn by_id(id: RecoveryId) -> Statement<'static> {
    sqlx::query("SELECT * FROM recovery WHERE id = ?1").bind(id)
}
