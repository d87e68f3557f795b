//! Saving a passkey: the first one by invitation or in any session, further ones after a passkey check, and
//! in a recovery, which may take several proofs and make the new passkey wait. [`right`](super::right)
//! decides which; the page, the start and the finish of the exchange each ask it anew.

use std::sync::Arc;

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
    handoff, lost_passkey, passkey, record, reminder,
    right::{Lack, Right},
    saver::Saver,
    start_session, step_up,
};
use crate::{
    clock::Timestamp,
    core::Core,
    limit::Attempt,
    mail::Happening,
    policy::{
        decision::{self, Decision},
        target::Target,
    },
    relying_party::{NewPasskey, PasskeyError, Place, Registration, RegistrationAnswer},
    secret::Token,
    session::Visit,
    store::{Account, Credential, Spend, Standing},
    telemetry::audit::{AuditEvent, Refusal as Reason},
    web::{
        ask::{Ask, Json, Query},
        error::{Outcome, Refusal},
        pages::{Enrol, Invitation, PasskeyHeld, PasskeySaved, Recovering},
        return_to::ReturnTo,
    },
};

/// The page.
pub const PATH: &str = "/.gatehouse/enrol";

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
    let (Some(visit), Some(saver)) = (&ask.caller.visit, Saver::of(&ask).await?) else {
        return Ok(Redirect::to(&return_to.on(passkey::PATH)).into_response());
    };
    let onward = onward(&ask, visit, &return_to);
    if saver.session.restricted
        && let Some((waiting, until)) = saver.waiting()
    {
        return show_held(&ask, waiting, until, &return_to, onward, false);
    }
    let back = query.again(&return_to);
    let recovering = match saver.right(&ask) {
        Ok(Right::First | Right::Add) => None,
        Ok(Right::Recover { hold }) => Some(Recovering {
            opens_at: (!hold.is_zero()).then(|| ask.now().plus(hold).for_people()),
            ends_sessions: ask.config().enrolment.recovery_ends_sessions,
            confirm_first: (!saver.session.restricted && saver.has_usable_passkey())
                .then(|| back.on(step_up::PATH)),
        }),
        Err(Lack::StepUp) => return Ok(Redirect::to(&back.on(step_up::PATH)).into_response()),
        Err(Lack::OneMoreProof { given }) => {
            return lost_passkey::show_one_more_proof(&ask, visit, &given, &return_to);
        }
    };
    ask.page(&Enrol {
        frame: ask.frame(),
        return_to: return_to.as_str(),
        onward,
        restricted: saver.session.restricted,
        has_passkeys: saver.has_usable_passkey(),
        on: query.on,
        recovering,
    })
}

/// Where the visitor may go on to without saving a passkey: where they were going, the front page, or at
/// least their account.
pub(super) fn onward<'a>(ask: &Ask, visit: &Visit, return_to: &'a ReturnTo) -> &'a str {
    if passes(ask, visit, return_to) {
        return_to.as_str()
    } else if passes(ask, visit, &ReturnTo::home()) {
        "/"
    } else {
        "/.gatehouse/account"
    }
}

/// Whether the visitor may go there as they are.
fn passes(ask: &Ask, visit: &Visit, return_to: &ReturnTo) -> bool {
    if handoff::hands_on(ask, visit, return_to) {
        return true;
    }
    let Ok(target) = Target::parse(return_to.as_str().as_bytes()) else {
        return false;
    };
    let request = decision::Request {
        method: &Method::GET,
        host: &ask.caller.host,
        target: &target,
        session: Some(visit.for_policy()),
        now: ask.now(),
        certificate: &ask.caller.certificate,
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
    let mut existing = ask.core.store.credentials(account.id).await?;
    // A device whose passkey was frozen by mistake may save another.
    existing.retain(|credential| match credential.standing {
        Standing::Good | Standing::Held { .. } => true,
        Standing::Frozen { .. } => false,
    });
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
    let right = enrolling.right();
    let credential = Credential {
        standing: right.standing(ask.now()),
        ..passkey.into_credential(&account, label, ask.now())
    };
    let tell = Some(told_of(&credential));
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
        Enrolling::InSession { saver, .. } => (
            Spend::Ceremony {
                id: ceremony.id,
                expires_at: ceremony_expires_at,
            },
            Some(saver.session),
        ),
    };
    let proof = Proof::Enrolment {
        credential,
        right,
        replaces,
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

fn told_of(saved: &Credential) -> Happening {
    let label = saved.label.clone();
    match saved.standing {
        Standing::Held { until } => Happening::PasskeyHeld { label, until },
        Standing::Good | Standing::Frozen { .. } => Happening::PasskeyAdded { label },
    }
}

async fn saved(ask: Ask, Query(query): Query<PageQuery>) -> Outcome {
    let return_to = ReturnTo::parse(&query.return_to);
    let (Some(visit), Some(saver)) = (&ask.caller.visit, Saver::of(&ask).await?) else {
        return Ok(Redirect::to(&return_to.on(passkey::PATH)).into_response());
    };
    if let Some((waiting, until)) = saver.waiting() {
        let onward = onward(&ask, visit, &return_to);
        return show_held(&ask, waiting, until, &return_to, onward, true);
    }
    let newest = saver.credentials.last().ok_or(Refusal::NOT_FOUND)?;
    let good = saver
        .credentials
        .iter()
        .filter(|one| one.standing.is_good());
    ask.page(&PasskeySaved {
        frame: ask.frame(),
        return_to: return_to.as_str(),
        label: &newest.label,
        on: query.on,
        only_one: good.count() == 1,
        pairing: ask.config().methods.pairing,
        wants_codes: !visit.claims.restricted
            && reminder::read(&ask, &visit.account).await?.wants_codes(),
    })
}

/// The page of a session that waits with its passkey.
fn show_held(
    ask: &Ask,
    waiting: &Credential,
    until: Timestamp,
    return_to: &ReturnTo,
    onward: &str,
    just_saved: bool,
) -> Outcome {
    let has_address = ask.visit()?.account.email.is_some();
    ask.page(&PasskeyHeld {
        frame: ask.frame(),
        label: &waiting.label,
        until: waiting
            .standing
            .waits(ask.now())
            .then(|| until.for_people()),
        just_saved,
        told: ask.config().mail.is_some() && has_address,
        sign_in: &return_to.on(passkey::PATH),
        onward,
    })
}

/// Who is saving a passkey, and by what right.
enum Enrolling {
    /// Whoever holds the invitation.
    Invited { account: Box<Account>, token: Token },
    /// Whoever is signed in.
    InSession { saver: Box<Saver>, right: Right },
}

impl Enrolling {
    fn account(&self) -> &Account {
        match self {
            Self::Invited { account, .. } => account,
            Self::InSession { saver, .. } => &saver.account,
        }
    }

    fn right(&self) -> Right {
        match self {
            Self::Invited { .. } => Right::First,
            Self::InSession { right, .. } => *right,
        }
    }
}

async fn enrolling(ask: &Ask, invitation: Option<&str>) -> Outcome<Enrolling> {
    if let Some(text) = invitation {
        let (account, token) = invited(ask, text).await?;
        return Ok(Enrolling::Invited {
            account: Box::new(account),
            token,
        });
    }
    let saver = Saver::of(ask).await?.ok_or(Refusal::SIGN_IN_FIRST)?;
    let refusal = match saver.right(ask) {
        Ok(right) => {
            let saver = Box::new(saver);
            return Ok(Enrolling::InSession { saver, right });
        }
        Err(Lack::StepUp) => Refusal::STEP_UP_FIRST,
        Err(Lack::OneMoreProof { .. }) => Refusal::ONE_MORE_PROOF,
    };
    Err(refuse(ask, &saver.account, Reason::TooFewProofs, refusal).await)
}

/// The account of an invitation. One that has had passkeys since is no longer invited: a link that was left
/// lying about must not be a way past what a recovery takes.
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
        .await?
        .ok_or(Refusal::INVITATION_OVER)?;
    if account.enrolled_at.is_some() {
        return Err(refuse(
            ask,
            &account,
            Reason::NotRedeemable,
            Refusal::INVITATION_OVER,
        )
        .await);
    }
    Ok((account, token))
}

async fn refuse(ask: &Ask, account: &Account, reason: Reason, refusal: Refusal) -> Refusal {
    record(ask, Some(account), AuditEvent::EnrolmentRefused { reason }).await;
    refusal
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
            Err(refuse(
                ask,
                account,
                Reason::NotVerified,
                Refusal::PASSKEY_NOT_VERIFIED,
            )
            .await)
        }
        Err(error @ PasskeyError::Unreadable) => Err(passkey::broken(error)),
    }
}
