//! Sessions: issue one for a load test or a monitor, list, revoke.

use std::time::Duration;

use super::{AdminError, audit, find_account};
use crate::{
    core::Core,
    id::SessionId,
    method::Method,
    store::{SessionRecord, SessionStart, Spend, Started},
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
    core: &Core,
    account: &str,
    kind: Kind,
    lifetime: Duration,
) -> Result<String, AdminError> {
    let account = find_account(core, account).await?;
    let now = core.clock.now();
    let session = SessionRecord {
        id: SessionId::random(),
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
    };
    let start = SessionStart::new(Spend::Operator, session);
    let record = audit(
        now,
        Some(account.id),
        AuditEvent::SessionIssued {
            session: start.session.id,
        },
    );
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

/// Live sessions, of one account or of all.
///
/// # Errors
/// When there is no such account.
pub async fn list(core: &Core, account: Option<&str>) -> Result<Vec<SessionRecord>, AdminError> {
    let account = match account {
        Some(name) => Some(find_account(core, name).await?.id),
        None => None,
    };
    Ok(core.store.sessions(account, core.clock.now()).await?)
}

/// Which sessions to end.
#[derive(Clone, Debug)]
pub enum Which {
    /// One.
    One(SessionId),
    /// All of an account.
    Account(String),
    /// All there are.
    All,
}

/// Ends sessions, effective on every node within a second. Gives their number.
///
/// # Errors
/// When there is no such account or session.
pub async fn revoke(core: &Core, which: &Which) -> Result<u64, AdminError> {
    let now = core.clock.now();
    let revoked = |account, scope| audit(now, account, AuditEvent::SessionsRevoked { scope });
    let (ended, record) = match which {
        Which::One(id) => {
            let session = core.store.session(*id, now).await?;
            let record = revoked(session.map(|session| session.account), RevocationScope::One);
            if !core.store.end_session(*id, None, &record).await? {
                return Err(AdminError::NoSession(id.to_string()));
            }
            (1, record)
        }
        Which::Account(name) => {
            let account = find_account(core, name).await?.id;
            let record = revoked(Some(account), RevocationScope::Account);
            (
                core.store.end_sessions(Some(account), &record).await?,
                record,
            )
        }
        Which::All => {
            let record = revoked(None, RevocationScope::All);
            (core.store.end_sessions(None, &record).await?, record)
        }
    };
    record.log();
    Ok(ended)
}
