//! Saving a passkey: the first one by invitation, a new one from a restricted session (which lifts the
//! restriction), and further ones from a full session.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::Method,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    Proof, Verified,
    ceremony::{Ceremony, Kind},
    passkey, record, start_session, step_up,
};
use crate::{
    clock::Timestamp,
    core::Core,
    limit::Attempt,
    mail::Happening,
    method,
    policy::{
        decision::{self, Decision},
        target::Target,
    },
    relying_party::{NewPasskey, PasskeyError, Place, Registration, RegistrationAnswer},
    secret::Token,
    session::{Claims, Visit},
    store::{Account, Spend},
    telemetry::audit::{AuditEvent, Refusal as Reason},
    web::{
        ask::{Ask, Json, Query},
        error::{Outcome, Refusal},
        pages::{Enrol, Invitation, PasskeySaved},
        return_to::ReturnTo,
    },
};

/// The page.
pub const PATH: &str = "/.gatehouse/enrol";

/// How fresh a passkey check must be for adding another passkey: whoever finds an unlocked screen or
/// steals a cookie must not be able to plant a key of their own.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// The page and the two halves of the exchange.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(PATH, get(page))
        .route("/.gatehouse/enrol/start", post(start))
        .route("/.gatehouse/enrol/finish", post(finish))
        .route("/.gatehouse/enrol/saved", get(saved))
}

#[derive(Deserialize)]
struct PageQuery {
    invitation: Option<String>,
    on: Option<Place>,
    #[serde(default)]
    return_to: String,
}

impl PageQuery {
    /// The page itself, to come back to from a step-up.
    fn again(&self, return_to: &ReturnTo) -> ReturnTo {
        let page = return_to.on(PATH);
        ReturnTo::parse(&match self.on {
            Some(place) => format!("{page}&on={}", place.name()),
            None => page,
        })
    }
}

async fn page(ask: Ask, Query(query): Query<PageQuery>) -> Outcome {
    let return_to = ReturnTo::parse(&query.return_to);
    if let Some(text) = &query.invitation {
        let account = invited(&ask, text).await?.0;
        return ask.page(&Invitation {
            frame: ask.frame(),
            token: text,
            login: &account.login,
        });
    }
    let Some(visit) = &ask.caller.visit else {
        return Ok(Redirect::to(&return_to.on(passkey::PATH)).into_response());
    };
    let has_passkeys = !ask
        .core
        .store
        .credentials(visit.account.id)
        .await?
        .is_empty();
    if has_passkeys && !may_add(&visit.claims, ask.now()) {
        let back = query.again(&return_to);
        return Ok(Redirect::to(&back.on(step_up::PATH)).into_response());
    }
    ask.page(&Enrol {
        frame: ask.frame(),
        return_to: return_to.as_str(),
        onward: if passes(&ask, visit, &return_to) {
            return_to.as_str()
        } else {
            "/"
        },
        restricted: visit.claims.restricted,
        has_passkeys,
        on: query.on,
    })
}

/// Whether the visitor may go on to where they were going without saving a passkey.
fn passes(ask: &Ask, visit: &Visit, return_to: &ReturnTo) -> bool {
    let Ok(target) = Target::parse(return_to.as_str().as_bytes()) else {
        return false;
    };
    let request = decision::Request {
        method: &Method::GET,
        host: &ask.caller.host,
        target: &target,
        session: Some(visit.for_policy()),
        now: ask.now(),
    };
    match decision::decide(&ask.config().routes, &request) {
        Decision::Forward(_) => true,
        Decision::OwnPage | Decision::Challenge(_) | Decision::Deny(_) => false,
    }
}

#[derive(Deserialize)]
struct Start {
    invitation: Option<String>,
    on: Option<Place>,
}

async fn start(ask: Ask, Json(form): Json<Start>) -> Outcome {
    passkey::pay(&ask)?;
    let enrolling = enrolling(&ask, form.invitation.as_deref()).await?;
    let account = enrolling.account();
    let existing = ask.core.store.credentials(account.id).await?;
    if !existing.is_empty() {
        enrolling.require_fresh(ask.now())?;
    }
    let (public_key, registration) = ask
        .snapshot
        .relying_party
        .begin_registration(account, &existing, form.on)
        .map_err(passkey::broken)?;
    passkey::begin(&ask, Kind::Enrol, public_key, registration)
}

#[derive(Deserialize)]
struct Finish {
    invitation: Option<String>,
    on: Option<Place>,
    state: String,
    credential: RegistrationAnswer,
    #[serde(default)]
    return_to: String,
}

async fn finish(ask: Ask, Json(form): Json<Finish>) -> Outcome {
    passkey::pay(&ask)?;
    let enrolling = enrolling(&ask, form.invitation.as_deref()).await?;
    let ceremony = Ceremony::<Registration>::open(
        &form.state,
        Kind::Enrol,
        &ask.browser,
        &ask.core.secret,
        ask.now(),
    )
    .ok_or(Refusal::CEREMONY_OVER)?;
    let passkey = check(&ask, &enrolling, &ceremony.state, &form.credential).await?;
    let account = enrolling.account().clone();
    let label = form.on.unwrap_or(Place::ThisDevice).label(&ask.device);
    let credential = passkey.into_credential(&account, label, ask.now());
    let tell = Some(Happening::PasskeyAdded {
        label: credential.label.clone(),
    });
    let ceremony_expires_at = ceremony.expires_at;
    let (spend, replaces) = match enrolling {
        Enrolling::Invited { token, .. } => {
            let digest = token.digest();
            (
                Spend::Invitation {
                    digest,
                    ceremony: ceremony.id,
                    ceremony_expires_at,
                },
                None,
            )
        }
        Enrolling::InSession { claims, .. } => (
            Spend::Ceremony {
                id: ceremony.id,
                expires_at: ceremony_expires_at,
            },
            Some(claims),
        ),
    };
    let proof = Proof::Enrolment {
        credential,
        replaces,
        recovered: None,
    };
    let begun = start_session(
        &ask,
        Verified {
            account,
            spend,
            proof,
            tell,
        },
    )
    .await?;
    let saved = ReturnTo::parse(&form.return_to).on("/.gatehouse/enrol/saved");
    Ok(begun.go_on(&match form.on {
        Some(place) => format!("{saved}&on={}", place.name()),
        None => saved,
    }))
}

async fn saved(ask: Ask, Query(query): Query<PageQuery>) -> Outcome {
    let return_to = ReturnTo::parse(&query.return_to);
    let Some(visit) = &ask.caller.visit else {
        return Ok(Redirect::to(&return_to.on(passkey::PATH)).into_response());
    };
    let credentials = ask.core.store.credentials(visit.account.id).await?;
    let newest = credentials.last().ok_or(Refusal::NOT_FOUND)?;
    ask.page(&PasskeySaved {
        frame: ask.frame(),
        return_to: return_to.as_str(),
        label: &newest.label,
        on: query.on,
        only_one: credentials.len() == 1,
    })
}

/// Who is saving a passkey, and by what right.
enum Enrolling {
    /// Whoever holds the invitation.
    Invited { account: Account, token: Token },
    /// Whoever is signed in.
    InSession {
        account: Arc<Account>,
        claims: Arc<Claims>,
    },
}

impl Enrolling {
    fn account(&self) -> &Account {
        match self {
            Self::Invited { account, .. } => account,
            Self::InSession { account, .. } => account,
        }
    }

    fn require_fresh(&self, now: Timestamp) -> Result<(), Refusal> {
        match self {
            Self::Invited { .. } => Ok(()),
            Self::InSession { claims, .. } if may_add(claims, now) => Ok(()),
            Self::InSession { .. } => Err(Refusal::STEP_UP_FIRST),
        }
    }
}

/// Whether this session may add a passkey to an account that has some. A restricted one may: saving a
/// passkey is what it is for, and every verified address is told.
fn may_add(claims: &Claims, now: Timestamp) -> bool {
    let proved_at = match claims.via {
        method::Method::Passkey => claims.stepped_up_at.max(Some(claims.authenticated_at)),
        method::Method::Email
        | method::Method::BackupCode
        | method::Method::Recovery
        | method::Method::Pairing
        | method::Method::Operator => claims.stepped_up_at,
    };
    claims.restricted || proved_at.is_some_and(|proved_at| now.since(proved_at) <= FRESH)
}

async fn enrolling(ask: &Ask, invitation: Option<&str>) -> Outcome<Enrolling> {
    if let Some(text) = invitation {
        let (account, token) = invited(ask, text).await?;
        return Ok(Enrolling::Invited { account, token });
    }
    let visit = ask.visit()?;
    Ok(Enrolling::InSession {
        account: Arc::clone(&visit.account),
        claims: Arc::clone(&visit.claims),
    })
}

async fn invited(ask: &Ask, text: &str) -> Outcome<(Account, Token)> {
    ask.core
        .limits
        .charge(Attempt::Invitation, ask.caller.network())
        .map_err(|_| Refusal::THROTTLED)?;
    let token = Token::parse(text).ok_or(Refusal::INVITATION_OVER)?;
    let account = ask
        .core
        .store
        .invited_account(&token.digest(), ask.now())
        .await?;
    Ok((account.ok_or(Refusal::INVITATION_OVER)?, token))
}

async fn check(
    ask: &Ask,
    enrolling: &Enrolling,
    registration: &Registration,
    answer: &RegistrationAnswer,
) -> Outcome<NewPasskey> {
    let account = enrolling.account();
    // The exchange was begun for one account; the session or invitation may have changed since.
    if registration.user_handle() != account.user_handle {
        return Err(Refusal::CEREMONY_OVER);
    }
    match ask
        .snapshot
        .relying_party
        .finish_registration(answer, registration)
    {
        Ok(passkey) => Ok(passkey),
        Err(PasskeyError::NotVerified(cause)) => {
            tracing::info!(request_id = %ask.caller.request_id, %cause, "a new passkey does not verify");
            let event = AuditEvent::EnrolmentRefused {
                reason: Reason::NotVerified,
            };
            record(ask, Some(account), event).await;
            Err(Refusal::PASSKEY_NOT_VERIFIED)
        }
        Err(error @ PasskeyError::Unreadable) => Err(passkey::broken(error)),
    }
}
