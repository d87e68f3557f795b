//! Accounts: invite, list, show, disable, enable, delete.

use super::{AdminError, audit, find_account};
use crate::{
    core::Core,
    email_address::EmailAddress,
    id::{AccountId, UserHandle},
    mail::Message,
    secret::Token,
    sign_in::enrolment,
    store::{
        Account, AccountKey, AccountState, Creation, Credential, Invitation, Recovery,
        SessionRecord,
    },
    telemetry::audit::{AuditEvent, AuditRecord, Origin},
};

/// Whom to invite.
#[derive(Clone, Debug)]
pub struct Invitee {
    /// The address; an account that has it and never had a passkey is invited again.
    pub email: EmailAddress,
    /// The login name, the address unless it is given.
    pub login: Option<String>,
    /// For pages and `Remote-Name`.
    pub name: Option<String>,
    /// Groups of a new account.
    pub groups: Vec<String>,
    /// Whether to mail the link as well.
    pub mail: bool,
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
/// When the login name is taken, the account is disabled or has had passkeys, or mail is wished for and none can be sent.
pub async fn invite(core: &Core, invitee: Invitee) -> Result<Invited, AdminError> {
    let snapshot = core.snapshot();
    if invitee.mail && snapshot.config.mail.is_none() {
        return Err(AdminError::NoMail("the configuration has no [mail]"));
    }
    let now = core.clock.now();
    let token = Token::random();
    let lifespan = snapshot.config.enrolment.invitation_lifespan;
    let invitation = Invitation {
        digest: token.digest(),
        expires_at: now.plus(lifespan),
    };
    let known = core
        .store
        .account(&AccountKey::Email(invitee.email.clone()))
        .await?;
    let account = match known {
        Some(account) if account.state == AccountState::Disabled => {
            return Err(AdminError::Disabled(account.login));
        }
        Some(account) if account.enrolled_at.is_some() => {
            return Err(AdminError::HasHadPasskeys(account.login));
        }
        Some(account) => {
            let record = audit(
                now,
                Some(account.id),
                AuditEvent::Invited {
                    mailed: invitee.mail,
                },
            );
            core.store.invite(account.id, &invitation, &record).await?;
            record.log();
            account
        }
        None => create(core, &invitee, &invitation).await?,
    };
    let origin = &snapshot.config.relying_party.origins[0];
    let link = origin.join(&format!(
        "{}?invitation={}",
        enrolment::PATH,
        token.reveal()
    ));
    if invitee.mail {
        let message = Message::Invitation {
            link: link.clone(),
            lifespan,
        };
        let branding = &snapshot.config.branding;
        let mail = core.outbox.prepare(
            &invitee.email,
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
    core: &Core,
    invitee: &Invitee,
    invitation: &Invitation,
) -> Result<Account, AdminError> {
    let now = core.clock.now();
    let mut groups = invitee.groups.clone();
    groups.sort();
    groups.dedup();
    let account = Account {
        id: AccountId::random(),
        user_handle: UserHandle::random(),
        login: invitee
            .login
            .clone()
            .unwrap_or_else(|| invitee.email.as_str().to_owned()),
        email: Some(invitee.email.clone()),
        email_verified_at: None,
        name: invitee.name.clone(),
        groups,
        state: AccountState::Active,
        created_at: now,
        enrolled_at: None,
        recovery: Recovery::default(),
        remind_at: None,
    };
    let record = audit(
        now,
        Some(account.id),
        AuditEvent::AccountCreated {
            by: Origin::Invitation,
        },
    );
    match core
        .store
        .create_account(&account, Some(invitation), &record)
        .await?
    {
        Creation::Created => {
            record.log();
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

/// One account with what belongs to it.
pub struct Shown {
    /// The account.
    pub account: Account,
    /// Its passkeys.
    pub credentials: Vec<Credential>,
    /// Its live sessions.
    pub sessions: Vec<SessionRecord>,
    /// What lately happened to it, newest first.
    pub audit: Vec<AuditRecord>,
}

/// Audit records that are shown with an account.
const SHOWN_RECORDS: u32 = 20;

/// One account.
///
/// # Errors
/// When there is none of that name.
pub async fn show(core: &Core, name: &str) -> Result<Shown, AdminError> {
    let account = find_account(core, name).await?;
    Ok(Shown {
        credentials: core.store.credentials(account.id).await?,
        sessions: core
            .store
            .sessions(Some(account.id), core.clock.now())
            .await?,
        audit: core.store.audit(Some(account.id), SHOWN_RECORDS).await?,
        account,
    })
}

/// Disables an account, which ends its sessions, or enables it.
///
/// # Errors
/// When there is none of that name.
pub async fn set_state(
    core: &Core,
    name: &str,
    state: AccountState,
) -> Result<Account, AdminError> {
    let account = find_account(core, name).await?;
    let event = match state {
        AccountState::Active => AuditEvent::AccountEnabled,
        AccountState::Disabled => AuditEvent::AccountDisabled,
    };
    let record = audit(core.clock.now(), Some(account.id), event);
    core.store
        .set_account_state(account.id, state, &record)
        .await?;
    record.log();
    Ok(Account { state, ..account })
}

/// Deletes an account and all it has.
///
/// # Errors
/// When there is none of that name.
pub async fn delete(core: &Core, name: &str) -> Result<Account, AdminError> {
    let account = find_account(core, name).await?;
    let record = audit(
        core.clock.now(),
        Some(account.id),
        AuditEvent::AccountDeleted,
    );
    core.store.delete_account(account.id, &record).await?;
    record.log();
    Ok(account)
}
