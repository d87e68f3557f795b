//! The middle of a handoff, on the host where people sign in: when the session is what the other host asks
//! for, it is handed on; else the person is taken to the page that makes it so, and comes back.

use axum::{
    http::{HeaderMap, Uri},
    response::{IntoResponse, Redirect},
};

use super::{END_PATH, need::Need, refuse, ticket::Ticket};
use crate::{
    config::Origin,
    limit::Attempt,
    secret::Token,
    sign_in::{enrolment, passkey, step_up},
    store::Handoff,
    telemetry::audit::Refusal as Reason,
    web::{
        ask::Ask,
        error::{Outcome, Refusal},
        return_to::ReturnTo,
    },
};

pub(super) async fn hand_on(ask: Ask, uri: Uri, headers: HeaderMap) -> Outcome {
    let auth = ask.config().relying_party.auth.as_ref();
    if auth.is_none_or(|auth| auth.host() != ask.caller.host) {
        return Err(Refusal::NOT_FOUND);
    }
    let address = uri.path_and_query().map_or("", |address| address.as_str());
    let found = Ticket::of(address).and_then(|ticket| Some((app(&ask, &ticket)?, ticket)));
    let Some((app, ticket)) = found.filter(|_| is_page_load(&headers)) else {
        return Err(refuse(&ask, None, Reason::UnknownHost).await);
    };
    // Written anew, so that nothing comes along that was not read.
    let here = ReturnTo::parse(&ticket.address());
    let Some(visit) = &ask.caller.visit else {
        return Ok(Redirect::to(&here.on(passkey::PATH)).into_response());
    };
    if !ticket.need.is_met(&visit.claims, ask.now()) {
        let page = match ticket.need {
            Need::SignIn => passkey::PATH,
            Need::Full => enrolment::PATH,
            Need::StepUp { .. } => step_up::PATH,
        };
        return Ok(Redirect::to(&here.on(page)).into_response());
    }
    ask.core
        .limits
        .charge(Attempt::Handoff, ask.caller.network())
        .map_err(|_| Refusal::THROTTLED)?;
    let code = Token::random();
    let handoff = Handoff {
        code: code.digest(),
        browser: ticket.browser,
        host: ticket.host.clone(),
        session: visit.claims.sid,
        expires_at: ask.now().plus(Handoff::LIFESPAN),
    };
    if !ask.core.store.begin_handoff(&handoff, ask.now()).await? {
        // Ended on another node a moment ago. Until this one knows, the sign-in page would lead straight back here.
        ask.catch_up().await;
        return Ok(Redirect::to(&here.on(passkey::PATH)).into_response());
    }
    let end = format!("{END_PATH}?flow={}&code={}", ticket.tag(), code.reveal());
    Ok(Redirect::to(&app.join(&end)).into_response())
}

/// How browsers reach the host that asks; `None` if no route names it.
fn app(ask: &Ask, ticket: &Ticket) -> Option<Origin> {
    let party = &ask.config().relying_party;
    let named = ask.config().routes.names_host(&ticket.host) && ask.caller.host != ticket.host;
    named.then(|| party.address_of(&ticket.host)).flatten()
}

/// A script or a frame has no business here; browsers say what asks (Fetch Metadata §2).
fn is_page_load(headers: &HeaderMap) -> bool {
    let is = |name: &str, expected: &[u8]| {
        headers
            .get(name)
            .is_none_or(|value| value.as_bytes() == expected)
    };
    is("sec-fetch-mode", b"navigate") && is("sec-fetch-dest", b"document")
}
