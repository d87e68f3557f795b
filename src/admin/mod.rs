//! What an operator does, one function each. The command line calls these; pages and an API will call the
//! same ones. Each is audited in the step that carries it out.

pub mod accounts;
pub mod keys;
pub mod sessions;

use crate::{
    clock::Timestamp,
    core::Core,
    email_address::EmailAddress,
    id::AccountId,
    store::{Account, AccountKey, StoreError},
    telemetry::audit::{AuditEvent, AuditRecord},
};

/// Why an operator's wish was not carried out. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No such account.
    #[error("there is no account {0:?}; give its id, login name or email address")]
    NoAccount(String),
    /// No such session.
    #[error("there is no live session {0}")]
    NoSession(String),
    /// Taken by another account.
    #[error("another account has this {0}")]
    Taken(&'static str),
    /// The account is disabled.
    #[error("account {0} is disabled; enable it first")]
    Disabled(String),
    /// The account has had passkeys.
    #[error("account {0} has had passkeys; use recovery, which its person is told of")]
    HasHadPasskeys(String),
    /// Mail was asked for and cannot be sent.
    #[error("no mail can be sent: {0}")]
    NoMail(&'static str),
}

/// The account an operator names by id, address or login name.
///
/// # Errors
/// [`AdminError::NoAccount`] when there is none.
pub async fn find_account(core: &Core, name: &str) -> Result<Account, AdminError> {
    let keys = [
        AccountId::parse(name).map(AccountKey::Id),
        EmailAddress::parse(name).map(AccountKey::Email),
        Some(AccountKey::Login(name.to_owned())),
    ];
    for key in keys.into_iter().flatten() {
        if let Some(account) = core.store.account(&key).await? {
            return Ok(account);
        }
    }
    Err(AdminError::NoAccount(name.to_owned()))
}

/// A record of something done at the command line.
fn audit(at: Timestamp, account: Option<AccountId>, event: AuditEvent) -> AuditRecord {
    AuditRecord {
        at,
        account,
        network: None,
        request: None,
        actor: None,
        event,
    }
}
