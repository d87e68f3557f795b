//! Accounts and the invitations to them.

use super::{
    column::Groups,
    feed, notices, sessions,
    step::{Read, Statement, Step},
};
use crate::{
    clock::Timestamp,
    id::AccountId,
    secret::Digest,
    store::{
        Account, AccountKey, AccountState, Change, Creation, Invitation, Notice, RecoveryChoice,
        Result,
    },
    telemetry::audit::AuditRecord,
};

pub(super) async fn create(
    mut step: Step,
    account: &Account,
    invitation: Option<&Invitation>,
    audit: &AuditRecord,
) -> Result<Creation> {
    let creation = add(&mut step, account).await?;
    if creation != Creation::Created {
        step.abandon().await;
        return Ok(creation);
    }
    if let Some(invitation) = invitation {
        add_invitation(&mut step, account.id, invitation).await?;
    }
    step.commit_with(audit).await?;
    Ok(Creation::Created)
}

/// Adds an account within a step, unless its login name or address is taken.
pub(super) async fn add(step: &mut Step, account: &Account) -> Result<Creation> {
    if step.finds(by_login(&account.login)).await? {
        return Ok(Creation::LoginTaken);
    }
    let same_email = sqlx::query("SELECT 1 FROM account WHERE email = ?1").bind(&account.email);
    if step.finds(same_email).await? {
        return Ok(Creation::EmailTaken);
    }
    let insert = sqlx::query(
        "INSERT INTO account
             (id, user_handle, login, email, email_verified_at, name, group_names, state, created_at,
              enrolled_at, recovery_by_email, recovery_by_backup_codes, recovery_blocked_at, remind_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )
    .bind(account.id)
    .bind(account.user_handle)
    .bind(&account.login)
    .bind(&account.email)
    .bind(account.email_verified_at)
    .bind(&account.name)
    .bind(Groups(account.groups.clone()))
    .bind(account.state)
    .bind(account.created_at)
    .bind(account.enrolled_at)
    .bind(account.recovery.by_email)
    .bind(account.recovery.by_backup_codes)
    .bind(account.recovery.blocked_at)
    .bind(account.remind_at);
    step.execute(insert).await?;
    Ok(Creation::Created)
}

pub(super) async fn invite(
    mut step: Step,
    account: AccountId,
    invitation: &Invitation,
    audit: &AuditRecord,
    notice: Option<&Notice>,
) -> Result<bool> {
    if find(&mut step, account).await?.is_none() {
        step.abandon().await;
        return Ok(false);
    }
    let supersede =
        sqlx::query("UPDATE invitation SET superseded = 1 WHERE account = ?1").bind(account);
    step.execute(supersede).await?;
    add_invitation(&mut step, account, invitation).await?;
    if let Some(notice) = notice {
        notices::add(&mut step, notice).await?;
    }
    step.commit_with(audit).await?;
    Ok(true)
}

pub(super) async fn invited(
    read: Read<'_>,
    invitation: &Digest,
    now: Timestamp,
) -> Result<Option<Account>> {
    let statement = sqlx::query(
        "SELECT account.* FROM account JOIN invitation ON invitation.account = account.id
         WHERE invitation.digest = ?1 AND invitation.spent_at IS NULL AND invitation.superseded = 0
           AND invitation.expires_at > ?2",
    );
    read.optional(statement.bind(invitation).bind(now)).await
}

pub(super) async fn look_up(read: Read<'_>, key: &AccountKey) -> Result<Option<Account>> {
    read.optional(match key {
        AccountKey::Id(id) => by_id(*id),
        AccountKey::UserHandle(handle) => {
            sqlx::query("SELECT * FROM account WHERE user_handle = ?1").bind(*handle)
        }
        AccountKey::Email(email) => {
            sqlx::query("SELECT * FROM account WHERE email = ?1").bind(email)
        }
        AccountKey::Login(login) => by_login(login),
    })
    .await
}

/// One account within a step.
pub(super) async fn find(step: &mut Step, id: AccountId) -> Result<Option<Account>> {
    step.optional(by_id(id)).await
}

pub(super) async fn list(read: Read<'_>) -> Result<Vec<Account>> {
    read.all(sqlx::query("SELECT * FROM account ORDER BY login"))
        .await
}

/// Without LIKE, whose wildcards are ordinary characters of names.
pub(super) async fn search(read: Read<'_>, text: &str, limit: u32) -> Result<Vec<Account>> {
    let statement = sqlx::query(
        "SELECT * FROM account
         WHERE instr(lower(login), ?1) OR instr(lower(email), ?1) OR instr(lower(name), ?1)
         ORDER BY login LIMIT ?2",
    );
    read.all(statement.bind(text.to_ascii_lowercase()).bind(limit))
        .await
}

pub(super) async fn set_state(
    mut step: Step,
    account: AccountId,
    state: AccountState,
    audit: &AuditRecord,
    notice: Option<&Notice>,
) -> Result<bool> {
    let update = sqlx::query("UPDATE account SET state = ?2 WHERE id = ?1")
        .bind(account)
        .bind(state);
    if !step.changes_one(update).await? {
        step.abandon().await;
        return Ok(false);
    }
    match state {
        AccountState::Active => {}
        AccountState::Disabled => {
            sessions::end_of_account(&mut step, account, audit.at).await?;
        }
    }
    if let Some(notice) = notice {
        notices::add(&mut step, notice).await?;
    }
    feed::announce(&mut step, audit.at, &Change::AccountChanged(account)).await?;
    step.commit_with(audit).await?;
    Ok(true)
}

/// Announced: other nodes keep accounts in memory.
pub(super) async fn set_recovery_choice(
    mut step: Step,
    account: AccountId,
    choice: RecoveryChoice,
    audit: &AuditRecord,
    notice: Option<&Notice>,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE account SET recovery_by_email = ?2, recovery_by_backup_codes = ?3 WHERE id = ?1",
    )
    .bind(account)
    .bind(choice.by_email)
    .bind(choice.by_backup_codes);
    if !step.changes_one(update).await? {
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

/// Not announced: only a sign-in asks for it, and reads the account anew.
pub(super) async fn set_remind_at(
    mut step: Step,
    account: AccountId,
    moment: Timestamp,
) -> Result<()> {
    let update = sqlx::query("UPDATE account SET remind_at = ?2 WHERE id = ?1");
    step.execute(update.bind(account).bind(moment)).await?;
    step.commit().await
}

pub(super) async fn delete(
    mut step: Step,
    account: AccountId,
    audit: &AuditRecord,
) -> Result<bool> {
    // Ended first, so that the change feed names each one.
    sessions::end_of_account(&mut step, account, audit.at).await?;
    let delete = sqlx::query("DELETE FROM account WHERE id = ?1").bind(account);
    if !step.changes_one(delete).await? {
        step.abandon().await;
        return Ok(false);
    }
    feed::announce(&mut step, audit.at, &Change::AccountChanged(account)).await?;
    step.commit_with(audit).await?;
    Ok(true)
}

async fn add_invitation(
    step: &mut Step,
    account: AccountId,
    invitation: &Invitation,
) -> Result<()> {
    let insert =
        sqlx::query("INSERT INTO invitation (digest, account, expires_at) VALUES (?1, ?2, ?3)")
            .bind(invitation.digest)
            .bind(account)
            .bind(invitation.expires_at);
    step.execute(insert).await.map(drop)
}

fn by_id(id: AccountId) -> Statement<'static> {
    sqlx::query("SELECT * FROM account WHERE id = ?1").bind(id)
}

/// The column compares without regard to ASCII case.
fn by_login(login: &str) -> Statement<'_> {
    sqlx::query("SELECT * FROM account WHERE login = ?1").bind(login)
}
