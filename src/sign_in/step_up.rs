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
    confirmation::{self, Checked},
    enrolment, passkey, record, start_session,
};
use crate::{
    core::Core,
    relying_party::{AssertionAnswer, Confirmation},
    session::Visit,
    store::Spend,
    telemetry::audit::AuditEvent,
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
    if visit.claims.restricted || confirmation::usable(&ask, visit).await?.is_empty() {
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
    let own = confirmation::usable(&ask, visit).await?;
    if own.is_empty() {
        return Err(Refusal::NOT_OFFERED);
    }
    confirmation::begin(&ask, Kind::StepUp, &own)
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
    let used = match confirmation::check(&ask, visit, &form.credential, &ceremony.state).await? {
        Checked::By(used) => used,
        Checked::Refused(reason) => {
            let event = AuditEvent::StepUpRefused { reason };
            record(&ask, Some(&visit.account), event).await;
            return Err(Refusal::PASSKEY_NOT_VERIFIED);
        }
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
