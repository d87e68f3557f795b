//! Sessions: issue one for a load test or a monitor, list, revoke.

use std::time::Duration;

use super::{Acting, AdminError, find_account};
use crate::{
    core::Core,
    id::{AccountId, SessionId},
    mail::Happening,
    method::Method,
    store::{Account, AccountKey, Family, SessionRecord, SessionStart, Spend, Started},
    telemetry::audit::{AuditEvent, RevocationScope},
};

/// What kind of session to issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Unrestricted.
    Full,
    /// Restricted until re-enrolment.
    Restricted,
    /// Unrestricted, with a step-up of this moment.
    StepUp,
}

/// The name and value of a cookie that proves a new session of `account`.
///
/// # Errors
/// When there is no such account, or it is disabled.
pub async fn issue(
    acting: &Acting<'_>,
    account: &str,
    kind: Kind,
    lifetime: Duration,
) -> Result<String, AdminError> {
    let core = acting.core;
    let account = find_account(core, account).await?;
    let now = core.clock.now();
    let id = SessionId::random();
    let session = SessionRecord {
        id,
        account: account.id,
        method: Method::Operator,
        authenticated_at: now,
        restricted: match kind {
            Kind::Full | Kind::StepUp => false,
            Kind::Restricted => true,
        },
        stepped_up_at: match kind {
            Kind::Full | Kind::Restricted => None,
            Kind::StepUp => Some(now),
        },
        credential: None,
        created_at: now,
        last_seen_at: now,
        expires_at: now.plus(lifetime),
        device: "issued at the command line".to_owned(),
        network: None,
        proofs: Method::Operator.into(),
        family: id,
        host: None,
    };
    let start = SessionStart::new(Spend::Operator, session);
    let event = AuditEvent::SessionIssued {
        session: start.session.id,
    };
    let record = acting.audit(Some(account.id), event);
    match core.store.start_session(&start, &record).await? {
        Started::Started => {}
        Started::AccountClosed
        | Started::AlreadySpent
        | Started::ReplacedSessionOver
        | Started::CredentialTaken
        | Started::CredentialGone
        | Started::AccountTaken
        | Started::RecoveryClosed
        | Started::EnrolledBefore => return Err(AdminError::Disabled(account.login)),
    }
    record.log();
    let name = crate::session::cookie::NAME;
    Ok(format!("{name}={}", core.sessions.token(&start.session)))
}

/// Live sessions, of one account or of all, by the sign-ins they come from.
///
/// # Errors
/// When there is no such account.
pub async fn list(core: &Core, account: Option<&str>) -> Result<Vec<Family>, AdminError> {
    let account = match account {
        Some(name) => Some(find_account(core, name).await?.id),
        None => None,
    };
    let live = core.store.sessions(account, core.clock.now()).await?;
    Ok(Family::gather(live))
}

/// Which sessions to end.
#[derive(Clone, Debug)]
pub enum Which {
    /// One.
    One {
        /// Which.
        id: SessionId,
        /// Of this account and no other, if that is given.
        of: Option<AccountId>,
    },
    /// All of an account.
    Account(String),
    /// All there are.
    All,
}

/// Ends sessions, effective on every node within a second. Gives their number. The person is told, unless it
/// is everybody.
///
/// # Errors
/// When there is no such account or session.
pub async fn revoke(acting: &Acting<'_>, which: &Which) -> Result<u64, AdminError> {
    let store = &acting.core.store;
    let revoked = |account: Option<&Account>, scope| {
        let account = account.map(|account| account.id);
        acting.audit(account, AuditEvent::SessionsRevoked { scope })
    };
    let notice = |account| acting.notice(account, Happening::SessionsEnded, None);
    let (ended, record) = match which {
        Which::One { id, of } => {
            let missing = || AdminError::NoSession(id.to_string());
            let session = store.session(*id, acting.core.clock.now()).await?;
            let session = session.ok_or_else(missing)?;
            let account = store.account(&AccountKey::Id(session.account)).await?;
            let account = account.ok_or_else(missing)?;
            let record = revoked(Some(&account), RevocationScope::One);
            let notice = notice(&account);
            if !store
                .end_session(*id, *of, &record, notice.as_ref())
                .await?
            {
                return Err(missing());
            }
            (1, record)
        }
        Which::Account(name) => {
            let account = find_account(acting.core, name).await?;
            let record = revoked(Some(&account), RevocationScope::Account);
            let notice = notice(&account);
            let ended = store
                .end_sessions(Some(account.id), &record, notice.as_ref())
                .await?;
            (ended, record)
        }
        Which::All => {
            let record = revoked(None, RevocationScope::All);
            (store.end_sessions(None, &record, None).await?, record)
        }
    };
    acting.done(&record);
    Ok(ended)
}
