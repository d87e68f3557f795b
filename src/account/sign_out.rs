//! Signing out, here and everywhere; effective at the next request on every node.

use std::sync::Arc;

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;

use crate::{
    core::Core,
    session::cookie,
    sign_in::passkey,
    store::StoreError,
    telemetry::audit::AuditEvent,
    web::{
        ask::{Ask, Form, Query},
        caller::Caller,
        error::Outcome,
        pages::{SignOut, SignedOut},
    },
};

const PATH: &str = "/.gatehouse/sign-out";

/// The pages.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(PATH, get(confirm).post(sign_out))
        .route("/.gatehouse/sign-out/everywhere", post(sign_out_everywhere))
        .route("/.gatehouse/signed-out", get(signed_out))
}

#[derive(Deserialize)]
struct Nothing {}

/// A link to sign out is followed by prefetchers and image tags alike, so it only asks.
async fn confirm(ask: Ask) -> Outcome {
    if ask.caller.visit.is_none() {
        return show_signed_out(&ask, &SignedOutQuery::default());
    }
    ask.page(&SignOut { frame: ask.frame() })
}

async fn sign_out(ask: Ask, Form(Nothing {}): Form<Nothing>) -> Outcome {
    end_session(&ask.core, &ask.caller).await?;
    Ok(without_session(
        Redirect::to("/.gatehouse/signed-out").into_response(),
    ))
}

/// Ends the session of a request, if it has one: on this node before this returns, on others within a second.
///
/// # Errors
/// When the store does not answer.
pub async fn end_session(core: &Core, caller: &Caller) -> Result<(), StoreError> {
    let Some(visit) = &caller.visit else {
        return Ok(());
    };
    let sid = visit.claims.sid;
    let event = AuditEvent::SignedOut { session: sid };
    let audit = caller.audit(core.clock.now(), Some(visit.account.id), event);
    core.store.end_session(sid, None, &audit, None).await?;
    audit.log();
    if let Err(error) = core.sessions.catch_up().await {
        tracing::warn!(%error, "a change was made but is not yet followed");
    }
    Ok(())
}

async fn sign_out_everywhere(ask: Ask, Form(Nothing {}): Form<Nothing>) -> Outcome {
    let visit = ask.visit()?;
    let account = visit.account.id;
    let audit = ask
        .caller
        .audit(ask.now(), Some(account), AuditEvent::SignedOutEverywhere);
    ask.core
        .store
        .end_sessions(Some(account), &audit, None)
        .await?;
    audit.log();
    ask.catch_up().await;
    Ok(without_session(
        Redirect::to("/.gatehouse/signed-out?everywhere=1").into_response(),
    ))
}

#[derive(Default, Deserialize)]
struct SignedOutQuery {
    everywhere: Option<String>,
    /// The host that was signed out of, where that is another one.
    host: Option<String>,
}

async fn signed_out(ask: Ask, Query(query): Query<SignedOutQuery>) -> Outcome {
    // Somebody who signed out on another host may have signed in anew here since: that one is asked about.
    if ask.caller.visit.is_some() {
        return ask.page(&SignOut { frame: ask.frame() });
    }
    show_signed_out(&ask, &query)
}

fn show_signed_out(ask: &Ask, query: &SignedOutQuery) -> Outcome {
    let config = ask.config();
    let app = query
        .host
        .as_ref()
        .filter(|host| config.routes.names_host(host))
        .and_then(|host| config.relying_party.address_of(host));
    ask.page(&SignedOut {
        frame: ask.frame(),
        everywhere: query.everywhere.is_some(),
        again: &app.map_or_else(|| passkey::PATH.to_owned(), |app| app.join("/")),
    })
}

fn without_session(mut answer: Response) -> Response {
    answer
        .headers_mut()
        .append(header::SET_COOKIE, cookie::clear(cookie::NAME));
    answer
}
