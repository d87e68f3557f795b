//! What a person manages: passkeys, ways back, sessions, the address, signing out, and what was not them.

pub mod address;
mod address_flow;
pub mod allow_recovery;
pub mod backup_codes;
pub mod not_me;
pub mod overview;
pub mod passkeys;
pub mod session_state;
pub mod sign_out;
pub mod ways_back;

use std::sync::Arc;

use axum::Router;

use crate::core::Core;

/// The pages of this module.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .merge(address::router())
        .merge(allow_recovery::router())
        .merge(not_me::router())
        .merge(overview::router())
        .merge(passkeys::router())
        .merge(session_state::router())
        .merge(sign_out::router())
        .merge(ways_back::router())
        .merge(backup_codes::router())
}
