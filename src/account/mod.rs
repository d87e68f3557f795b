//! What a person manages: passkeys, sessions, signing out.

pub mod overview;
pub mod passkeys;
pub mod session_state;
pub mod sign_out;

use std::sync::Arc;

use axum::Router;

use crate::core::Core;

/// The pages of this module.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .merge(overview::router())
        .merge(passkeys::router())
        .merge(session_state::router())
        .merge(sign_out::router())
}
