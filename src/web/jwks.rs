//! The keys by which apps verify what they are told of the person: for anybody to fetch, also without a session.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};

use super::error::{Outcome, Refusal};
use crate::{core::Core, session::JWKS_MAX_AGE};

/// The address of the list.
pub fn router() -> Router<Arc<Core>> {
    Router::new().route("/.gatehouse/jwks.json", get(jwks))
}

async fn jwks(State(core): State<Arc<Core>>) -> Outcome<Response> {
    let list = serde_json::to_vec(&core.sessions.jwks()).map_err(|_| Refusal::INTERNAL)?;
    let kept = format!("public, max-age={}", JWKS_MAX_AGE.as_secs());
    let headers = [
        (header::CONTENT_TYPE, "application/jwk-set+json".to_owned()),
        (header::CACHE_CONTROL, kept),
    ];
    Ok((headers, list).into_response())
}
