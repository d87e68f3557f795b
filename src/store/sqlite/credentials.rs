//! Passkeys. They are saved and used only as part of starting a session.

use super::{
    column::Aaguid,
    outbox, sessions,
    step::{Read, Statement, Step},
};
use crate::{
    clock::Timestamp,
    id::{AccountId, CredentialId},
    store::{Credential, CredentialRemoval, CredentialUse, Result},
    telemetry::audit::AuditRecord,
};

pub(super) async fn of_account(read: Read<'_>, account: AccountId) -> Result<Vec<Credential>> {
    // The row id breaks ties within a second.
    let statement =
        sqlx::query("SELECT * FROM credential WHERE account = ?1 ORDER BY created_at, rowid");
    read.all(statement.bind(account)).await
}

pub(super) async fn look_up(read: Read<'_>, id: &CredentialId) -> Result<Option<Credential>> {
    read.optional(by_id(id)).await
}

pub(super) async fn rename(
    mut step: Step,
    account: AccountId,
    id: &CredentialId,
    label: &str,
    audit: &AuditRecord,
) -> Result<bool> {
    let update = sqlx::query("UPDATE credential SET label = ?3 WHERE id = ?1 AND account = ?2")
        .bind(id)
        .bind(account)
        .bind(label);
    if !step.changes_one(update).await? {
        step.abandon().await;
        return Ok(false);
    }
    step.commit_with(audit).await?;
    Ok(true)
}

pub(super) async fn remove(
    mut step: Step,
    removal: &CredentialRemoval,
    audit: &AuditRecord,
) -> Result<bool> {
    let delete = sqlx::query("DELETE FROM credential WHERE id = ?1 AND account = ?2")
        .bind(&removal.credential)
        .bind(removal.account);
    if !step.changes_one(delete).await? {
        step.abandon().await;
        return Ok(false);
    }
    sessions::end_of_credential(&mut step, &removal.credential, removal.keep, audit.at).await?;
    if let Some(notice) = &removal.notice {
        outbox::add(&mut step, notice).await?;
    }
    step.commit_with(audit).await?;
    Ok(true)
}

/// Notes a use within a step. `false` if this account has no such passkey any more.
pub(super) async fn note_use(
    step: &mut Step,
    account: AccountId,
    used: &CredentialUse,
    now: Timestamp,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE credential SET material = ?3, backup_state = ?4, last_used_at = ?5
         WHERE id = ?1 AND account = ?2",
    )
    .bind(&used.id)
    .bind(account)
    .bind(&used.material)
    .bind(used.backup_state)
    .bind(now);
    step.changes_one(update).await
}

/// Saves a passkey within a step, for the account whose proof pays for the step. `false` if it is saved
/// already, here or in another account.
pub(super) async fn add(
    step: &mut Step,
    account: AccountId,
    credential: &Credential,
) -> Result<bool> {
    if step.finds(by_id(&credential.id)).await? {
        return Ok(false);
    }
    let insert = sqlx::query(
        "INSERT INTO credential
             (id, account, material, label, aaguid, backup_eligible, backup_state, created_at, last_used_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )
    .bind(&credential.id)
    .bind(account)
    .bind(&credential.material)
    .bind(&credential.label)
    .bind(credential.aaguid.map(Aaguid))
    .bind(credential.backup_eligible)
    .bind(credential.backup_state)
    .bind(credential.created_at)
    .bind(credential.last_used_at);
    step.execute(insert).await?;
    Ok(true)
}

fn by_id(id: &CredentialId) -> Statement<'_> {
    sqlx::query("SELECT * FROM credential WHERE id = ?1").bind(id)
}
