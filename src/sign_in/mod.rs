//! Signing in: one file per method, and the one function through which each of them starts a session.
//!
//! A method ends with a [`Verified`], which only the files of this module can make; [`start_session`]
//! spends the proof and plants the session in one step of the store. Start reading there, then [`passkey`].

pub mod alert;
pub mod backup_code;
mod ceremony;
mod confirmation;
pub mod email;
pub mod enrolment;
pub mod handoff;
pub mod lost_passkey;
pub mod pairing;
pub mod passkey;
pub mod recovery;
pub mod reminder;
pub mod right;
mod saver;
pub mod step_up;

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use self::right::Right;
use crate::{
    clock::Timestamp,
    config::Grant,
    core::Core,
    id::{AccountId, SessionId},
    mail::Happening,
    method::{Method, Proofs},
    session::Claims,
    store::{
        Account, Credential, CredentialUse, Recovered, SessionRecord, SessionStart, Spend,
        Standing, Started, Suspect,
    },
    telemetry::audit::{AuditEvent, Refusal as Reason},
    web::{
        ask::Ask,
        error::{Outcome, Refusal},
        return_to::ReturnTo,
    },
};

/// The pages of all methods.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .merge(passkey::router())
        .merge(alert::router())
        .merge(reminder::router())
        .merge(email::router())
        .merge(backup_code::router())
        .merge(enrolment::router())
        .merge(recovery::router())
        .merge(step_up::router())
        .merge(lost_passkey::router())
        .merge(pairing::router())
        .merge(handoff::router())
}

/// Proof that a person is who they say, not yet spent.
pub struct Verified {
    account: Account,
    spend: Spend,
    proof: Proof,
    /// What the person is told of it.
    tell: Option<Happening>,
}

/// What was proved, and with it what kind of session it is worth.
enum Proof {
    /// A passkey of the account, with user verification.
    Passkey {
        used: CredentialUse,
        credential: Credential,
    },
    /// Something less than a passkey: a mailbox, a backup code, an administrator's word, another device.
    Fallback {
        method: Method,
        grants: Grant,
        /// The account is made with its first session.
        new_account: bool,
    },
    /// A passkey was saved: by invitation, or in a session that it takes the place of.
    Enrolment {
        credential: Credential,
        right: Right,
        replaces: Option<SessionRecord>,
    },
    /// A passkey of the account, with user verification, inside a session that it raises.
    StepUp {
        used: CredentialUse,
        replaces: Arc<Claims>,
    },
}

/// Spends the proof and starts its session. Gives the cookie and whether the session is restricted.
///
/// # Errors
/// When the proof was spent before, the account is closed, or the store does not answer. Nothing has
/// changed then.
pub async fn start_session(ask: &Ask, verified: Verified) -> Outcome<Begun> {
    let now = ask.now();
    let earlier = earlier_proofs(ask, &verified, now).await?;
    let session = session_of(ask, &verified, earlier.as_ref(), now);
    let event = event_of(&verified.proof, &session);
    let audit = ask.caller.audit(now, Some(session.account), event);
    let cookie = ask.core.sessions.cookie(&session);
    let begun = Begun {
        cookie,
        account: session.account,
        restricted: session.restricted,
    };
    let account = Some(verified.account.clone());
    let start = start_of(ask, verified, earlier, session, now);
    let started = ask.core.store.start_session(&start, &audit).await?;
    if let Some((refusal, reason)) = refusal_of(started, &start.spend) {
        // An account that was to be made is nobody's yet.
        let account = account.filter(|_| start.new_account.is_none());
        record(ask, account.as_ref(), refused_event(&start, reason)).await;
        return Err(refusal);
    }
    audit.log();
    if start.replaces.is_none() {
        end_session_left_behind(ask).await;
    }
    ask.core.outbox.wake();
    ask.catch_up().await;
    Ok(begun)
}

/// A session that has begun.
pub struct Begun {
    cookie: HeaderValue,
    account: AccountId,
    /// Whether it is held to low-stakes operations.
    pub restricted: bool,
}

impl Begun {
    /// Tells a script where to go, with the session.
    pub fn go_on(self, location: &str) -> Response {
        let answer = axum::Json(json!({ "location": location })).into_response();
        self.plant(answer)
    }

    /// Sends a browser on, with the session.
    pub fn redirect(self, location: &str) -> Response {
        self.plant(axum::response::Redirect::to(location).into_response())
    }

    fn plant(self, mut answer: Response) -> Response {
        answer.headers_mut().append(header::SET_COOKIE, self.cookie);
        answer
    }
}

/// Where somebody goes after a sign-in: on, to the page that lifts the restriction (where those who gave one
/// more proof for its sake are going already), or first to what they must know of a takeover.
async fn after_sign_in(ask: &Ask, begun: &Begun, return_to: &ReturnTo) -> String {
    if begun.restricted {
        if return_to.path() == enrolment::PATH {
            return_to.as_str().to_owned()
        } else {
            return_to.on(enrolment::PATH)
        }
    } else if alert::is_due(ask, begun.account).await {
        return_to.on(alert::PATH)
    } else {
        return_to.as_str().to_owned()
    }
}

/// The session in which one more proof of the same account is given: its proofs count as well.
async fn earlier_proofs(
    ask: &Ask,
    verified: &Verified,
    now: Timestamp,
) -> Outcome<Option<SessionRecord>> {
    let (Proof::Fallback { .. }, Some(visit)) = (&verified.proof, &ask.caller.visit) else {
        return Ok(None);
    };
    if !right::proofs_add_up(&visit.claims, now) || visit.account.id != verified.account.id {
        return Ok(None);
    }
    Ok(ask.core.store.session(visit.claims.sid, now).await?)
}

fn session_of(
    ask: &Ask,
    verified: &Verified,
    earlier: Option<&SessionRecord>,
    now: Timestamp,
) -> SessionRecord {
    let id = SessionId::random();
    let begun = SessionRecord {
        id,
        account: verified.account.id,
        method: Method::Passkey,
        authenticated_at: now,
        restricted: false,
        stepped_up_at: None,
        credential: None,
        created_at: now,
        last_seen_at: now,
        expires_at: now.plus(ask.config().session.lifetime),
        device: ask.device.clone(),
        network: Some(ask.caller.network()),
        proofs: Method::Passkey.into(),
        family: id,
        host: ask.session_host(),
    };
    match &verified.proof {
        Proof::Passkey { used, credential } => SessionRecord {
            restricted: credential.standing.waits(now),
            credential: Some(used.id.clone()),
            ..begun
        },
        Proof::Fallback { method, grants, .. } => SessionRecord {
            method: *method,
            // One more proof takes nothing away.
            restricted: match grants {
                Grant::Restricted => earlier.is_none_or(|earlier| earlier.restricted),
                Grant::Full => false,
            },
            proofs: earlier
                .map_or_else(Proofs::default, |earlier| earlier.proofs.clone())
                .and(&(*method).into()),
            expires_at: earlier.map_or(begun.expires_at, |earlier| earlier.expires_at),
            ..begun
        },
        Proof::Enrolment {
            credential,
            replaces: Some(old),
            ..
        } if !credential.standing.is_good() => SessionRecord {
            id: begun.id,
            credential: Some(credential.id.clone()),
            created_at: now,
            last_seen_at: now,
            ..old.clone()
        },
        Proof::Enrolment {
            credential,
            replaces,
            ..
        } => SessionRecord {
            credential: Some(credential.id.clone()),
            // A change of privilege does not put off the absolute end.
            expires_at: replaces
                .as_ref()
                .map_or(begun.expires_at, |old| old.expires_at),
            ..begun
        },
        Proof::StepUp { used, replaces } => SessionRecord {
            method: replaces.via,
            authenticated_at: replaces.authenticated_at,
            stepped_up_at: Some(now),
            credential: Some(used.id.clone()),
            expires_at: replaces.session_expires_at,
            ..begun
        },
    }
}

fn event_of(proof: &Proof, session: &SessionRecord) -> AuditEvent {
    match proof {
        Proof::Passkey { .. } | Proof::Fallback { .. } => AuditEvent::SignedIn {
            method: session.method,
            session: session.id,
            restricted: session.restricted,
        },
        Proof::Enrolment { credential, .. } => AuditEvent::PasskeyEnrolled {
            credential: credential.id.clone(),
            session: session.id,
            held_until: match credential.standing {
                Standing::Held { until } => Some(until),
                Standing::Good | Standing::Frozen { .. } => None,
            },
        },
        Proof::StepUp { .. } => AuditEvent::SteppedUp {
            session: session.id,
        },
    }
}

fn start_of(
    ask: &Ask,
    verified: Verified,
    earlier: Option<SessionRecord>,
    session: SessionRecord,
    now: Timestamp,
) -> SessionStart {
    let Verified {
        account,
        spend,
        proof,
        tell,
    } = verified;
    let recovers = recovers(&proof, now);
    let tell = tell.or_else(|| end_of_wait(&proof, now));
    let suspect = Suspect {
        credential: match &proof {
            Proof::Enrolment { credential, .. } | Proof::Passkey { credential, .. } => {
                Some(credential.id.clone())
            }
            Proof::Fallback { .. } | Proof::StepUp { .. } => None,
        },
        session: Some(session.id),
    };
    let bare = SessionStart {
        notice: tell.and_then(|what| ask.notice(&account, what, Some(suspect))),
        recovered: recovers.then(|| Recovered {
            end_sessions: ask.config().enrolment.recovery_ends_sessions,
        }),
        ..SessionStart::new(spend, session)
    };
    match proof {
        Proof::Passkey { used, .. } => SessionStart {
            credential_use: Some(used),
            ..bare
        },
        Proof::Fallback { new_account, .. } => SessionStart {
            new_account: new_account.then_some(account),
            replaces: earlier.map(|earlier| earlier.id),
            ..bare
        },
        Proof::Enrolment {
            credential,
            right,
            replaces,
        } => SessionStart {
            new_credential: Some(credential),
            first_passkey: right == Right::First,
            replaces: replaces.map(|old| old.id),
            ..bare
        },
        Proof::StepUp { used, replaces } => SessionStart {
            credential_use: Some(used),
            replaces: Some(replaces.sid),
            ..bare
        },
    }
}

/// Whether this is the moment in which an account counts as recovered: a new passkey opens everything, now
/// that it is saved or has waited.
fn recovers(proof: &Proof, now: Timestamp) -> bool {
    match proof {
        Proof::Passkey { credential, .. } => credential.standing.has_waited(now),
        Proof::Enrolment {
            credential, right, ..
        } => match right {
            Right::Recover { .. } => credential.standing.is_good(),
            Right::First | Right::Add => false,
        },
        Proof::Fallback { .. } | Proof::StepUp { .. } => false,
    }
}

/// A passkey that waited signs in from now on.
fn end_of_wait(proof: &Proof, now: Timestamp) -> Option<Happening> {
    match proof {
        Proof::Passkey { credential, .. } if credential.standing.has_waited(now) => {
            let label = credential.label.clone();
            Some(Happening::PasskeyAdded { label })
        }
        Proof::Passkey { .. }
        | Proof::Fallback { .. }
        | Proof::Enrolment { .. }
        | Proof::StepUp { .. } => None,
    }
}

/// What to say, and to record, when no session was started.
fn refusal_of(started: Started, spend: &Spend) -> Option<(Refusal, Reason)> {
    match started {
        Started::Started => None,
        Started::AlreadySpent => Some((over(spend), Reason::NotRedeemable)),
        Started::AccountClosed => Some((Refusal::ACCOUNT_CLOSED, Reason::AccountDisabled)),
        Started::ReplacedSessionOver => Some((Refusal::SIGN_IN_FIRST, Reason::SessionOver)),
        Started::CredentialTaken => Some((Refusal::ALREADY_SAVED, Reason::AlreadySaved)),
        Started::CredentialGone => Some((Refusal::PASSKEY_NOT_VERIFIED, Reason::UnknownCredential)),
        Started::AccountTaken => Some((Refusal::LINK_OVER, Reason::NotRedeemable)),
        Started::RecoveryClosed => Some((over(spend), Reason::RecoveryClosed)),
        Started::EnrolledBefore => Some((over(spend), Reason::NotRedeemable)),
    }
}

/// What to say when a proof was spent before.
fn over(spend: &Spend) -> Refusal {
    match spend {
        Spend::Ceremony { .. } | Spend::Operator => Refusal::CEREMONY_OVER,
        Spend::Invitation { .. } => Refusal::INVITATION_OVER,
        Spend::Email { .. } => Refusal::LINK_OVER,
        Spend::RecoveryLink { .. } => Refusal::RECOVERY_LINK_OVER,
        Spend::BackupCode { .. } => Refusal::CODE_OVER,
        Spend::Pairing { .. } => Refusal::PAIRING_OVER,
    }
}

/// Ends the session whose cookie the new one overwrites: nobody could sign out of it any more.
async fn end_session_left_behind(ask: &Ask) {
    let Some(visit) = &ask.caller.visit else {
        return;
    };
    let sid = visit.claims.sid;
    let audit = ask.caller.audit(
        ask.now(),
        Some(visit.account.id),
        AuditEvent::SignedOut { session: sid },
    );
    if let Err(error) = ask.core.store.end_session(sid, None, &audit, None).await {
        tracing::warn!(%error, "a session that was signed in over could not be ended; it ends when idle");
    }
}

/// The refusal of what this start would have been.
fn refused_event(start: &SessionStart, reason: Reason) -> AuditEvent {
    if start.new_credential.is_some() {
        AuditEvent::EnrolmentRefused { reason }
    } else if start.replaces.is_some() && start.credential_use.is_some() {
        AuditEvent::StepUpRefused { reason }
    } else {
        let method = start.session.method;
        AuditEvent::SignInRefused { method, reason }
    }
}

/// Records a refused attempt. Failing to is logged and changes nothing for the person.
async fn refused(ask: &Ask, account: Option<&Account>, method: Method, reason: Reason) {
    let event = AuditEvent::SignInRefused { method, reason };
    record(ask, account, event).await;
}

/// Records what changed nothing. Failing to is logged and changes nothing for the person.
pub(crate) async fn record(ask: &Ask, account: Option<&Account>, event: AuditEvent) {
    let audit = ask
        .caller
        .audit(ask.now(), account.map(|account| account.id), event);
    audit.log();
    // A stranger's failures go to the log alone: they must not fill the store.
    if account.is_some()
        && let Err(error) = ask.core.store.record(&audit).await
    {
        tracing::warn!(%error, "an audit record could not be stored");
    }
}
