//! One sign-in for many hosts (`server.auth_host`): the pages are on one host, and every other one gets a
//! session of its own from there, by a code that works once, in one browser, for half a minute.
//!
//! ```text
//! app host                                     auth host
//! sign-in page ── cookie with a secret ──► /.gatehouse/handoff ──► sign in, enrol, step up, if need be
//!                                                  │
//! /.gatehouse/handoff/end ◄── code ────────────────┘
//! the code with the cookie's secret: a session is planted
//! ```
//!
//! [`app_host`] begins and ends, [`auth_host`] is the middle, [`flow`] is what the browser keeps meanwhile,
//! [`ticket`] what the first redirect says. Where the person was going never travels in an address.

mod app_host;
mod auth_host;
mod flow;
mod need;
mod ticket;

use std::sync::Arc;

use axum::{Router, routing::get};

pub use self::app_host::confine;
use self::ticket::Ticket;
use super::{enrolment, passkey, step_up};
use crate::{
    core::Core,
    id::AccountId,
    session::Visit,
    telemetry::audit::{AuditEvent, Refusal as Reason},
    web::{ask::Ask, error::Refusal, return_to::ReturnTo},
};

/// Where a session is handed on.
const PATH: &str = "/.gatehouse/handoff";

/// Where it arrives.
const END_PATH: &str = "/.gatehouse/handoff/end";

/// The two addresses.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(PATH, get(auth_host::hand_on))
        .route(END_PATH, get(app_host::end))
}

/// Whether `return_to` hands on this very session as it is: the person may go there without doing more.
pub(super) fn hands_on(ask: &Ask, visit: &Visit, return_to: &ReturnTo) -> bool {
    return_to.path() == PATH
        && Ticket::of(return_to.as_str())
            .is_some_and(|ticket| ticket.need.is_met(&visit.claims, ask.now()))
}

/// One page for whatever went wrong: a stranger with a code learns nothing from it.
async fn refuse(ask: &Ask, account: Option<AccountId>, reason: Reason) -> Refusal {
    let host = &ask.caller.host;
    let event = AuditEvent::HandoffRefused {
        reason,
        // Anybody can ask for any host; what they make up is not written down.
        host: ask.config().routes.names_host(host).then(|| host.clone()),
    };
    let audit = ask.caller.audit(ask.now(), account, event);
    audit.log();
    // What a stranger makes up goes to the log alone: it must not fill the store.
    if account.is_some()
        && let Err(error) = ask.core.store.record(&audit).await
    {
        tracing::warn!(%error, "an audit record could not be stored");
    }
    Refusal::NOT_HANDED_ON
}
