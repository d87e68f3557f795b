//! Accounts: invite, list, find, show, disable, enable, delete.

use serde_json::{Value as Json, json};

use super::{Acting, AdminError, find_account, recovery::Pending};
use crate::{
    config::Config,
    core::Core,
    email_address::EmailAddress,
    id::{AccountId, UserHandle},
    mail::{Happening, Message},
    secret::Token,
    sign_in::enrolment,
    store::{
        Account, AccountKey, AccountState, BackupCodes, Creation, Credential, Family, Invitation,
        Recovery, Standing,
    },
    telemetry::audit::{Actor, AuditEvent, AuditRecord, Origin},
};

/// Whom to invite.
#[derive(Clone, Debug)]
pub struct Invitee {
    /// The address; an account that has it and never had a passkey is invited again. Without one, the login name
    /// says whom.
    pub email: Option<EmailAddress>,
    /// The login name, the address unless it is given.
    pub login: Option<String>,
    /// For pages and `Remote-Name`.
    pub name: Option<String>,
    /// Groups of a new account.
    pub groups: Vec<String>,
    /// Whether to mail the link as well.
    pub mail: bool,
}

impl Invitee {
    fn login(&self) -> Option<&str> {
        let address = self.email.as_ref().map(EmailAddress::as_str);
        self.login.as_deref().or(address)
    }

    /// Where the link is mailed to, if that is wished for.
    fn mail_to(&self, config: &Config) -> Result<Option<&EmailAddress>, AdminError> {
        if !self.mail {
            return Ok(None);
        }
        if config.mail.is_none() {
            return Err(AdminError::NoMail("the configuration has no [mail]"));
        }
        let address = self.email.as_ref();
        address
            .map(Some)
            .ok_or(AdminError::NoMail("no address was given"))
    }
}

/// An invitation as it is handed over.
#[derive(Clone)]
pub struct Invited {
    /// Whose.
    pub account: Account,
    /// The one-time link. Whoever opens it can save the account's first passkey.
    pub link: String,
}

/// Makes an account, or takes the one that has the address, and gives it a fresh one-time link.
///
/// # Errors
/// When there is neither address nor login name, the login name is taken, the account is disabled or has had passkeys, an administrator would make
/// another, or mail is wished for and none can be sent.
pub async fn invite(acting: &Acting<'_>, invitee: Invitee) -> Result<Invited, AdminError> {
    let (core, config) = (acting.core, acting.config());
    let login = invitee.login().ok_or(AdminError::Nameless)?;
    let key = match &invitee.email {
        Some(email) => AccountKey::Email(email.clone()),
        None => AccountKey::Login(login.to_owned()),
    };
    let mail_to = invitee.mail_to(config)?;
    let require_no_administrator = |groups: &[String]| match &acting.actor {
        // With the account of a second one in hand, one administrator could approve alone.
        Actor::Administrator(_) if config.admin.admits(groups) => {
            Err(AdminError::AdministratorsGroup)
        }
        Actor::Administrator(_) | Actor::CommandLine(_) => Ok(()),
    };
    require_no_administrator(&invitee.groups)?;
    let now = core.clock.now();
    let token = Token::random();
    let lifespan = config.enrolment.invitation_lifespan;
    let invitation = Invitation {
        digest: token.digest(),
        expires_at: now.plus(lifespan),
    };
    let known = core.store.account(&key).await?;
    let account = match known {
        Some(account) if account.state == AccountState::Disabled => {
            return Err(AdminError::Disabled(account.login));
        }
        Some(account) if account.enrolled_at.is_some() => {
            return Err(AdminError::HasHadPasskeys(account.login));
        }
        Some(account) => {
            require_no_administrator(&account.groups)?;
            let mailed = invitee.mail;
            let record = acting.audit(Some(account.id), AuditEvent::Invited { mailed });
            // The mailed link tells of itself.
            let notice = (!mailed)
                .then(|| acting.notice(&account, Happening::Invited, None))
                .flatten();
            core.store
                .invite(account.id, &invitation, &record, notice.as_ref())
                .await?;
            acting.done(&record);
            account
        }
        None => create(acting, &invitee, login, &invitation).await?,
    };
    let link = acting.origin().join(&format!(
        "{}?invitation={}",
        enrolment::PATH,
        token.reveal()
    ));
    if let Some(address) = mail_to {
        let message = Message::Invitation {
            link: link.clone(),
            lifespan,
        };
        let branding = &config.branding;
        let mail = core.outbox.prepare(
            address,
            &message,
            branding,
            Some(account.id),
            now,
            invitation.expires_at,
        );
        core.store.enqueue_mail(&mail).await?;
        core.outbox.wake();
    }
    Ok(Invited { account, link })
}

async fn create(
    acting: &Acting<'_>,
    invitee: &Invitee,
    login: &str,
    invitation: &Invitation,
) -> Result<Account, AdminError> {
    let mut groups = invitee.groups.clone();
    groups.sort();
    groups.dedup();
    let account = Account {
        id: AccountId::random(),
        user_handle: UserHandle::random(),
        login: login.to_owned(),
        email: invitee.email.clone(),
        email_verified_at: None,
        name: invitee.name.clone(),
        groups,
        state: AccountState::Active,
        created_at: acting.core.clock.now(),
        enrolled_at: None,
        recovery: Recovery::default(),
        remind_at: None,
    };
    let by = Origin::Invitation;
    let record = acting.audit(Some(account.id), AuditEvent::AccountCreated { by });
    match acting
        .core
        .store
        .create_account(&account, Some(invitation), &record)
        .await?
    {
        Creation::Created => {
            acting.done(&record);
            Ok(account)
        }
        Creation::LoginTaken => Err(AdminError::Taken("login name")),
        Creation::EmailTaken => Err(AdminError::Taken("email address")),
    }
}

/// All accounts, by login.
///
/// # Errors
/// When the store does not answer.
pub async fn list(core: &Core) -> Result<Vec<Account>, AdminError> {
    Ok(core.store.accounts().await?)
}

/// The accounts that `text` may mean, by login: the one of this id, or those whose login name, address or name
/// contains it.
///
/// # Errors
/// When the store does not answer.
pub async fn find(core: &Core, text: &str) -> Result<Vec<Account>, AdminError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(id) = AccountId::parse(text)
        && let Some(account) = core.store.account(&AccountKey::Id(id)).await?
    {
        return Ok(vec![account]);
    }
    Ok(core.store.find_accounts(text, MAX_FOUND).await?)
}

/// Accounts that a search gives at most: whoever finds more types more.
pub const MAX_FOUND: u32 = 50;

/// One account with what belongs to it.
pub struct Shown {
    /// The account.
    pub account: Account,
    /// Its passkeys.
    pub credentials: Vec<Credential>,
    /// Its backup codes, if any were ever made.
    pub backup_codes: Option<BackupCodes>,
    /// Its live sessions, by the sign-ins they come from.
    pub sessions: Vec<Family>,
    /// Recoveries whose link is still to be had.
    pub recoveries: Vec<Pending>,
    /// What lately happened to it, newest first.
    pub audit: Vec<AuditRecord>,
}

impl Shown {
    /// For programs.
    pub fn json(&self) -> Json {
        let passkeys: Vec<_> = self.credentials.iter().map(passkey_json).collect();
        let recoveries: Vec<_> = self.recoveries.iter().map(|open| &open.request).collect();
        json!({
            "account": self.account,
            "passkeys": passkeys,
            "sessions": self.sessions,
            "backup_codes_left": self.backup_codes.map(|codes| codes.left),
            "recoveries": recoveries,
            "audit": self.audit,
        })
    }
}

fn passkey_json(credential: &Credential) -> Json {
    let (standing, since) = match credential.standing {
        Standing::Good => ("good", None),
        Standing::Held { until } => ("held", Some(until)),
        Standing::Frozen { since } => ("frozen", Some(since)),
    };
    json!({
        "id": credential.id,
        "label": credential.label,
        "backup_state": credential.backup_state,
        "created_at": credential.created_at,
        "last_used_at": credential.last_used_at,
        "standing": standing,
        "standing_at": since,
        "to_confirm": credential.to_confirm,
    })
}

/// Audit records that are shown with an account.
const SHOWN_RECORDS: u32 = 20;

/// One account.
///
/// # Errors
/// When there is none of that name.
pub async fn show(core: &Core, name: &str) -> Result<Shown, AdminError> {
    let account = find_account(core, name).await?;
    let now = core.clock.now();
    Ok(Shown {
        credentials: core.store.credentials(account.id).await?,
        backup_codes: core.store.backup_codes(account.id).await?,
        sessions: Family::gather(core.store.sessions(Some(account.id), now).await?),
        recoveries: super::recovery::open(core, Some(account.id)).await?,
        audit: core.store.audit(Some(account.id), SHOWN_RECORDS).await?,
        account,
    })
}

/// Disables an account, which ends its sessions, or enables it.
///
/// # Errors
/// When there is none of that name, or it is the actor's own.
pub async fn set_state(
    acting: &Acting<'_>,
    name: &str,
    state: AccountState,
) -> Result<Account, AdminError> {
    let account = find_account(acting.core, name).await?;
    acting.require_not_own(&account).await?;
    let (event, what) = match state {
        AccountState::Active => (AuditEvent::AccountEnabled, Happening::Enabled),
        AccountState::Disabled => (AuditEvent::AccountDisabled, Happening::Disabled),
    };
    let record = acting.audit(Some(account.id), event);
    // Of what was so already nobody needs to be told.
    let notice = (account.state != state)
        .then(|| acting.notice(&account, what, None))
        .flatten();
    acting
        .core
        .store
        .set_account_state(account.id, state, &record, notice.as_ref())
        .await?;
    acting.done(&record);
    Ok(Account { state, ..account })
}

/// Lets mails and backup codes sign in again after somebody said "this was not me", as far as the person has
/// chosen them. Nothing happens where nothing holds them up.
///
/// # Errors
/// When there is none of that name, or it is the actor's own: whoever has its passkey does that on their account
/// page.
pub async fn allow_recovery(acting: &Acting<'_>, name: &str) -> Result<Account, AdminError> {
    let account = find_account(acting.core, name).await?;
    acting.require_not_own(&account).await?;
    let record = acting.audit(Some(account.id), AuditEvent::RecoveryAllowed);
    // Without a *this was not me*: a thief in the mailbox would only put the block back with it.
    let notice = acting.notice(&account, Happening::WaysBackChanged, None);
    let store = &acting.core.store;
    if store
        .allow_recovery(account.id, notice.as_ref(), &record)
        .await?
    {
        acting.done(&record);
    }
    Ok(account)
}

/// Deletes an account and all it has. At the command line alone.
///
/// # Errors
/// When there is none of that name.
pub async fn delete(acting: &Acting<'_>, name: &str) -> Result<Account, AdminError> {
    let account = find_account(acting.core, name).await?;
    acting.require_not_own(&account).await?;
    let record = acting.audit(Some(account.id), AuditEvent::AccountDeleted);
    acting
        .core
        .store
        .delete_account(account.id, &record)
        .await?;
    acting.done(&record);
    Ok(account)
}
