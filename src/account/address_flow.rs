//! What a browser keeps between asking for a change of address and the code: sealed, bound to that browser, and the
//! same for every address.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    email_address::EmailAddress,
    id::{AccountId, EmailAttemptId},
    secret::Purpose,
    session::{Visit, cookie},
    web::{
        ask::Ask,
        error::{Outcome, Refusal},
    },
};

const COOKIE: &str = "__Host-gatehouse-address";

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
        let sealed = URL_SAFE_NO_PAD
            .decode(cookie::single(headers, COOKIE)?)
            .ok()?;
        let sealer = ask.core.secret.sealer(Purpose::FlowState);
        let plain = sealer.open(&context(ask), &sealed)?;
        let flow: Self = serde_json::from_slice(&plain).ok()?;
        (ask.now() < flow.expires_at && flow.account == visit.account.id).then_some(flow)
    }

    /// Has this browser keep it.
    pub fn keep(&self, ask: &Ask, lifespan: Duration) -> Outcome<HeaderValue> {
        let plain = serde_json::to_vec(self).map_err(|_| Refusal::INTERNAL)?;
        let sealer = ask.core.secret.sealer(Purpose::FlowState);
        let sealed = URL_SAFE_NO_PAD.encode(sealer.seal(&context(ask), &plain));
        Ok(cookie::set(COOKIE, &sealed, lifespan))
    }

    /// Has the browser forget it.
    pub fn forget() -> HeaderValue {
        cookie::clear(COOKIE)
    }
}

fn context(ask: &Ask) -> Vec<u8> {
    [b"address/".as_slice(), ask.browser.digest().bytes()].concat()
}
