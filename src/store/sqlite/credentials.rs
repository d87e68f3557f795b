//! Passkeys. They are saved and used only as part of starting a session.

use super::{
    column::Aaguid,
    feed, notices, sessions,
    step::{Read, Statement, Step},
};
use crate::{
    clock::Timestamp,
    id::{AccountId, CredentialId, SessionId},
    store::{Account, Change, Credential, CredentialRemoval, CredentialUse, Result, Standing},
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
        notices::add(&mut step, notice).await?;
    }
    step.commit_with(audit).await?;
    Ok(true)
}

pub(super) async fn confirm(
    mut step: Step,
    account: AccountId,
    id: &CredentialId,
    audit: &AuditRecord,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE credential SET to_confirm = 0
         WHERE id = ?1 AND account = ?2 AND to_confirm = 1 AND frozen_at IS NULL",
    );
    if !step.changes_one(update.bind(id).bind(account)).await? {
        step.abandon().await;
        return Ok(false);
    }
    step.commit_with(audit).await?;
    Ok(true)
}

/// Notes a use within a step; the first from the end of a wait on makes the passkey good. `false` if this
/// account has no such passkey any more, or it is frozen.
pub(super) async fn note_use(
    step: &mut Step,
    account: AccountId,
    used: &CredentialUse,
    now: Timestamp,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE credential SET material = ?3, backup_state = ?4, last_used_at = ?5,
             held_until = CASE WHEN held_until > ?5 THEN held_until END
         WHERE id = ?1 AND account = ?2 AND frozen_at IS NULL",
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
    let (held_until, frozen_at) = match credential.standing {
        Standing::Good => (None, None),
        Standing::Held { until } => (Some(until), None),
        Standing::Frozen { since } => (None, Some(since)),
    };
    let insert = sqlx::query(
        "INSERT INTO credential
             (id, account, material, label, aaguid, backup_eligible, backup_state, created_at, last_used_at,
              held_until, frozen_at, to_confirm)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )
    .bind(&credential.id)
    .bind(account)
    .bind(&credential.material)
    .bind(&credential.label)
    .bind(credential.aaguid.map(Aaguid))
    .bind(credential.backup_eligible)
    .bind(credential.backup_state)
    .bind(credential.created_at)
    .bind(credential.last_used_at)
    .bind(held_until)
    .bind(frozen_at)
    .bind(credential.to_confirm);
    step.execute(insert).await?;
    let enrolled = sqlx::query(
        "UPDATE account SET enrolled_at = ?2, remind_at = ?3 WHERE id = ?1 AND enrolled_at IS NULL",
    )
    .bind(account)
    .bind(credential.created_at)
    .bind(credential.created_at.plus(Account::FIRST_REMINDER));
    if step.changes_one(enrolled).await? {
        feed::announce(
            step,
            credential.created_at,
            &Change::AccountChanged(account),
        )
        .await?;
    }
    Ok(true)
}

/// Notes within a step which sign-in a new passkey comes from.
pub(super) async fn note_family(
    step: &mut Step,
    credential: &Credential,
    session: SessionId,
) -> Result<()> {
    let update = sqlx::query(
        "UPDATE credential SET saved_in = (SELECT family FROM session WHERE id = ?2) WHERE id = ?1",
    );
    step.execute(update.bind(&credential.id).bind(session))
        .await
        .map(drop)
}

/// Marks every passkey of an account but `but` for confirmation within a step.
pub(super) async fn doubt_others(
    step: &mut Step,
    account: AccountId,
    but: Option<&CredentialId>,
) -> Result<()> {
    let update = sqlx::query(
        "UPDATE credential SET to_confirm = 1 WHERE account = ?1 AND id IS NOT ?2 AND frozen_at IS NULL",
    );
    step.execute(update.bind(account).bind(but)).await.map(drop)
}

fn by_id(id: &CredentialId) -> Statement<'_> {
    sqlx::query("SELECT * FROM credential WHERE id = ?1").bind(id)
}
