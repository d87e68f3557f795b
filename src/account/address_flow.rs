//! What a browser keeps between asking for a change of address and the code: sealed, bound to that browser, and the
//! same for every address.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    email_address::EmailAddress,
    id::{AccountId, EmailAttemptId},
    session::{Visit, cookie},
    web::{ask::Ask, error::Outcome},
};

const COOKIE: &str = "__Host-gatehouse-address";
const FLOW: &str = "address";

/// A change of address under way.
#[derive(Serialize, Deserialize)]
pub(super) struct Flow {
    /// Names the mail, whether or not one was sent.
    pub attempt: EmailAttemptId,
    /// Whose.
    pub account: AccountId,
    /// The new address.
    pub email: EmailAddress,
    /// From then on it is over.
    pub expires_at: Timestamp,
}

impl Flow {
    /// The flow of this browser, if it is this very account's.
    pub fn of(ask: &Ask, headers: &HeaderMap, visit: &Visit) -> Option<Self> {
        let flow: Self = ask.unseal(FLOW, cookie::single(headers, COOKIE)?)?;
        (ask.now() < flow.expires_at && flow.account == visit.account.id).then_some(flow)
    }

    /// Has this browser keep it.
    pub fn keep(&self, ask: &Ask, lifespan: Duration) -> Outcome<HeaderValue> {
        Ok(cookie::set(COOKIE, &ask.seal(FLOW, self)?, lifespan))
    }

    /// Has the browser forget it.
    pub fn forget() -> HeaderValue {
        cookie::clear(COOKIE)
    }
}
