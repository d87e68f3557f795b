//! What scripts and password managers may ask: the state of the session, and where accounts are managed.

use std::sync::Arc;

use axum::{
    Json, Router,
    http::header,
    response::{IntoResponse, Redirect},
    routing::get,
};
use serde_json::{Value, json};

use super::overview;
use crate::{core::Core, sign_in::enrolment, web::ask::Ask};

/// The addresses.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route("/.gatehouse/session", get(session))
        // W3C "A Well-Known URL for Changing Passwords": password managers lead people here.
        .route("/.well-known/change-password", get(change_password))
        .route("/.well-known/passkey-endpoints", get(passkey_endpoints))
        .route("/.well-known/webauthn", get(related_origins))
}

/// To the page where a person manages what signs them in, on whichever host that is.
async fn change_password(ask: Ask) -> Redirect {
    match &ask.config().relying_party.auth {
        Some(auth) => Redirect::to(&auth.join(overview::PATH)),
        None => Redirect::to(overview::PATH),
    }
}

/// Whether the asker is signed in, until when, and how long ago the last passkey check was.
async fn session(ask: Ask) -> Json<Value> {
    let Some(visit) = &ask.caller.visit else {
        return Json(json!({ "kind": "none" }));
    };
    let claims = &visit.claims;
    Json(json!({
        "kind": if claims.restricted { "restricted" } else { "full" },
        "method": claims.via.name(),
        "expires_at": claims.session_expires_at.seconds(),
        "step_up_age_s": claims.stepped_up_at.map(|at| ask.now().since(at).as_secs()),
    }))
}

/// W3C "A Well-Known URL for Relying Party Passkey Endpoints".
async fn passkey_endpoints(ask: Ask) -> Json<Value> {
    let origin = ask.config().relying_party.origin_for(&ask.caller.host);
    Json(json!({
        "enroll": origin.join(enrolment::PATH),
        "manage": origin.join(overview::PATH),
    }))
}

/// Related origins (WebAuthn L3 §5.11): those at which passkeys work. Browsers ask for it at the relying party's
/// own host, without cookies. Kept for an hour: a new origin should not take longer to become good.
async fn related_origins(ask: Ask) -> impl IntoResponse {
    let origins = ask.config().relying_party.passkey_origins();
    let origins: Vec<_> = origins.iter().map(|origin| origin.as_str()).collect();
    (
        [(header::CACHE_CONTROL, "public, max-age=3600")],
        Json(json!({ "origins": origins })),
    )
}
