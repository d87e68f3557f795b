//! What administrators do, one function each. Pages, the API and the command line call the same ones.
//!
//! Every act takes an [`Acting`], which says who acts; it is audited under that name in the step that carries
//! it out, and the person whose account it is is told. On the web only [`Administrator`] makes one: the proof
//! of a full session in the group, with a fresh passkey check. Deleting an account and making an
//! administrator are left to the command line.

pub mod accounts;
mod api;
mod guard;
pub mod keys;
mod pages;
pub mod passkeys;
pub mod recovery;
pub mod sessions;

use std::sync::Arc;

use axum::Router;

pub use self::guard::Administrator;
use crate::{
    config::{Config, Origin},
    core::Core,
    email_address::EmailAddress,
    id::AccountId,
    mail::Happening,
    notice::{self, Telling},
    snapshot::Snapshot,
    store::{Account, AccountKey, Notice, StoreError, Suspect},
    telemetry::audit::{Actor, AuditEvent, AuditRecord, Refusal as Reason},
    web::{caller::Caller, error::Refusal},
};

/// The pages and the API.
pub fn router() -> Router<Arc<Core>> {
    Router::new().merge(pages::router()).merge(api::router())
}

/// Why an act was not carried out. Nothing has changed then.
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
    /// No such passkey.
    #[error("account {0} has no such passkey; `account show` lists them")]
    NoPasskey(String),
    /// A recovery that can go no further.
    #[error("recovery {0} is over: it was used, has expired, or a newer one took its place")]
    RecoveryOver(String),
    /// Neither address nor login name was given.
    #[error("a new account needs an email address, a login name, or both")]
    Nameless,
    /// Taken by another account.
    #[error("another account has this {0}")]
    Taken(&'static str),
    /// The account is disabled.
    #[error("account {0} is disabled; enable it first")]
    Disabled(String),
    /// An invitation is for a first passkey.
    #[error("account {0} has had passkeys; use `gatehouse recovery issue`")]
    HasHadPasskeys(String),
    /// Administrators are made at the command line.
    #[error("only the command line puts an account into the group of administrators")]
    AdministratorsGroup,
    /// It is the account of whoever acts.
    #[error("nobody does this to their own account; ask another administrator")]
    OwnAccount,
    /// It is the request of whoever acts.
    #[error("another administrator than the one who asked has to approve this")]
    OwnRequest,
    /// It is somebody else's request.
    #[error("only the administrator who asked for this recovery collects its link")]
    OthersRequest,
    /// It waits for a second administrator.
    #[error("a second administrator has yet to approve this recovery")]
    NotApproved,
    /// Mail was asked for and cannot be sent.
    #[error("no mail can be sent: {0}")]
    NoMail(&'static str),
}

impl AdminError {
    /// What the audit log calls a refusal that an auditor wants to know of.
    const fn audited_as(&self) -> Option<Reason> {
        match self {
            Self::OwnAccount => Some(Reason::OwnAccount),
            Self::OwnRequest => Some(Reason::OwnRequest),
            Self::OthersRequest => Some(Reason::OthersRequest),
            Self::NotApproved => Some(Reason::NotApproved),
            Self::RecoveryOver(_) => Some(Reason::NotRedeemable),
            Self::Store(_)
            | Self::NoAccount(_)
            | Self::NoSession(_)
            | Self::NoPasskey(_)
            | Self::Taken(_)
            | Self::Disabled(_)
            | Self::HasHadPasskeys(_)
            | Self::AdministratorsGroup
            | Self::Nameless
            | Self::NoMail(_) => None,
        }
    }
}

impl From<AdminError> for Refusal {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Store(error) => error.into(),
            AdminError::NoAccount(_) | AdminError::NoSession(_) | AdminError::NoPasskey(_) => {
                Self::NOT_FOUND
            }
            AdminError::RecoveryOver(_) => Self::RECOVERY_OVER,
            AdminError::Taken(_) => Self::NAME_TAKEN,
            AdminError::Nameless => Self::MALFORMED,
            AdminError::Disabled(_) => Self::ACCOUNT_DISABLED,
            AdminError::HasHadPasskeys(_) => Self::HAS_HAD_PASSKEYS,
            AdminError::AdministratorsGroup => Self::ADMINISTRATORS_GROUP,
            AdminError::OwnAccount => Self::OWN_ACCOUNT,
            AdminError::OwnRequest => Self::OWN_REQUEST,
            AdminError::OthersRequest => Self::OTHERS_REQUEST,
            AdminError::NotApproved => Self::NOT_APPROVED,
            AdminError::NoMail(_) => Self::NO_MAIL,
        }
    }
}

/// Whoever administers, and from where.
pub struct Acting<'a> {
    core: &'a Core,
    snapshot: Arc<Snapshot>,
    actor: Actor,
    /// The request; `None` at the command line.
    caller: Option<&'a Caller>,
}

impl<'a> Acting<'a> {
    /// Somebody at the command line, by the name they give.
    pub fn at_command_line(core: &'a Core, name: Option<String>) -> Self {
        Self {
            core,
            snapshot: core.snapshot(),
            actor: Actor::CommandLine(name),
            caller: None,
        }
    }

    fn config(&self) -> &Config {
        &self.snapshot.config
    }

    /// Where links lead.
    fn origin(&self) -> &Origin {
        let relying_party = &self.config().relying_party;
        match self.caller {
            Some(caller) => relying_party.origin_for(&caller.host),
            None => relying_party.main(),
        }
    }

    /// A record of an act.
    fn audit(&self, account: Option<AccountId>, event: AuditEvent) -> AuditRecord {
        AuditRecord {
            at: self.core.clock.now(),
            account,
            network: self.caller.map(Caller::network),
            request: self.caller.map(|caller| caller.request_id),
            actor: Some(self.actor.clone()),
            event,
        }
    }

    /// Tells the person of an act. Where it was done from is no business of theirs.
    fn notice(
        &self,
        account: &Account,
        what: Happening,
        suspect: Option<Suspect>,
    ) -> Option<Notice> {
        let telling = Telling {
            what,
            device: None,
            network: None,
            suspect,
        };
        let (config, origin) = (self.config(), self.origin());
        notice::write(self.core, config, origin, account, &account.email, telling)
    }

    /// What follows every act: it is logged, and its mail may leave.
    fn done(&self, record: &AuditRecord) {
        record.log();
        self.core.outbox.wake();
    }

    /// Nobody does to their own account what another should look at. The command line is exempt: whoever is
    /// there may do anything, and may be the only administrator there is.
    async fn require_not_own(&self, account: &Account) -> Result<(), AdminError> {
        if self.actor == Actor::Administrator(account.id) {
            return Err(self.refused(account.id, AdminError::OwnAccount).await);
        }
        Ok(())
    }

    /// Records a refusal. Failing to is logged and changes nothing.
    async fn refused(&self, account: AccountId, error: AdminError) -> AdminError {
        if let Some(reason) = error.audited_as() {
            let record = self.audit(Some(account), AuditEvent::AdministrationRefused { reason });
            record.log();
            if let Err(error) = self.core.store.record(&record).await {
                tracing::warn!(%error, "an audit record could not be stored");
            }
        }
        error
    }
}

/// The account an administrator names by id, address or login name.
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

/// An actor's name for people.
///
/// # Errors
/// When the store does not answer.
pub async fn actor_name(core: &Core, actor: &Actor) -> Result<String, AdminError> {
    Ok(match actor {
        Actor::Administrator(id) => match core.store.account(&AccountKey::Id(*id)).await? {
            Some(account) => account.login,
            None => format!("a deleted account ({id})"),
        },
        Actor::CommandLine(Some(name)) => format!("{name}, at the command line"),
        Actor::CommandLine(None) => "the command line".to_owned(),
    })
}
