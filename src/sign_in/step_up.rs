//! Step-up: a fresh, user-verified assertion by one of this account's own passkeys, inside a session.

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    Proof, Verified,
    ceremony::{Ceremony, Kind},
    enrolment, passkey, record, start_session,
};
use crate::{
    core::Core,
    relying_party::{AssertionAnswer, Confirmation, PasskeyError, named_credential, named_user},
    session::Visit,
    store::{Credential, Spend, Standing},
    telemetry::audit::{AuditEvent, Refusal as Reason},
    web::{
        ask::{Ask, Json, Query},
        error::{Outcome, Refusal},
        pages::StepUp,
        return_to::ReturnTo,
    },
};

/// The page.
pub const PATH: &str = "/.gatehouse/step-up";

/// The page and the two halves of the exchange.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(PATH, get(page))
        .route("/.gatehouse/step-up/start", post(start))
        .route("/.gatehouse/step-up/finish", post(finish))
}

async fn page(ask: Ask, Query(destination): Query<passkey::Destination>) -> Outcome {
    let return_to = destination.return_to();
    let Some(visit) = &ask.caller.visit else {
        return Ok(Redirect::to(&return_to.on(passkey::PATH)).into_response());
    };
    // A restricted session has no passkey to show, and an account without a good one has none to be asked for.
    if visit.claims.restricted || usable(&ask, visit).await?.is_empty() {
        return Ok(Redirect::to(&return_to.on(enrolment::PATH)).into_response());
    }
    ask.page(&StepUp {
        frame: ask.frame(),
        return_to: return_to.as_str(),
    })
}

async fn start(ask: Ask, Json(passkey::Opening {}): Json<passkey::Opening>) -> Outcome {
    passkey::pay(&ask)?;
    let visit = full_session(&ask)?;
    let own = usable(&ask, visit).await?;
    if own.is_empty() {
        return Err(Refusal::NOT_OFFERED);
    }
    let (public_key, confirmation) = ask
        .snapshot
        .relying_party
        .begin_confirmation(&own)
        .map_err(passkey::broken)?;
    passkey::begin(&ask, Kind::StepUp, public_key, confirmation)
}

#[derive(Deserialize)]
struct Finish {
    state: String,
    credential: AssertionAnswer,
    #[serde(default)]
    return_to: String,
}

async fn finish(ask: Ask, Json(form): Json<Finish>) -> Outcome {
    passkey::pay(&ask)?;
    let visit = full_session(&ask)?;
    let ceremony = Ceremony::<Confirmation>::open(
        &form.state,
        Kind::StepUp,
        &ask.browser,
        &ask.core.secret,
        ask.now(),
    )
    .ok_or(Refusal::CEREMONY_OVER)?;
    let credential = own_credential(&ask, visit, &form.credential).await?;
    let answer = ask.snapshot.relying_party.finish_confirmation(
        &form.credential,
        &ceremony.state,
        &credential,
    );
    let used = match answer {
        Ok(used) => used,
        Err(PasskeyError::NotVerified(cause)) => {
            tracing::info!(request_id = %ask.caller.request_id, %cause, "a step-up does not verify");
            return Err(refuse(&ask, visit, Reason::NotVerified).await);
        }
        Err(error @ PasskeyError::Unreadable) => return Err(passkey::broken(error)),
    };
    let verified = Verified {
        account: (*visit.account).clone(),
        spend: Spend::Ceremony {
            id: ceremony.id,
            expires_at: ceremony.expires_at,
        },
        proof: Proof::StepUp {
            used,
            replaces: Arc::clone(&visit.claims),
        },
        tell: None,
    };
    let begun = start_session(&ask, verified).await?;
    Ok(begun.go_on(ReturnTo::parse(&form.return_to).as_str()))
}

fn full_session(ask: &Ask) -> Outcome<&Visit> {
    let visit = ask.visit()?;
    if visit.claims.restricted {
        return Err(Refusal::SIGN_IN_FIRST);
    }
    Ok(visit)
}

/// The account's passkeys that may confirm something: neither one that waits nor a frozen one does.
async fn usable(ask: &Ask, visit: &Visit) -> Outcome<Vec<Credential>> {
    let mut own = ask.core.store.credentials(visit.account.id).await?;
    own.retain(|credential| credential.standing.is_good());
    Ok(own)
}

/// The passkey that answered, if it is this account's and good.
async fn own_credential(ask: &Ask, visit: &Visit, answer: &AssertionAnswer) -> Outcome<Credential> {
    let id = named_credential(answer).ok_or(Refusal::MALFORMED)?;
    let credential = ask.core.store.credential(&id).await?;
    let Some(credential) = credential.filter(|credential| credential.account == visit.account.id)
    else {
        return Err(refuse(ask, visit, Reason::ForeignCredential).await);
    };
    if named_user(answer).is_some_and(|user| user != visit.account.user_handle) {
        return Err(refuse(ask, visit, Reason::ForeignCredential).await);
    }
    match credential.standing {
        Standing::Good => Ok(credential),
        Standing::Held { .. } => Err(refuse(ask, visit, Reason::Held).await),
        Standing::Frozen { .. } => Err(refuse(ask, visit, Reason::Frozen).await),
    }
}

async fn refuse(ask: &Ask, visit: &Visit, reason: Reason) -> Refusal {
    record(
        ask,
        Some(&visit.account),
        AuditEvent::StepUpRefused { reason },
    )
    .await;
    Refusal::PASSKEY_NOT_VERIFIED
}
