//! Letting mails and backup codes sign in again after a *this was not me*: the word of a person with a passkey.

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse, Redirect},
    routing::get,
};
use serde::Deserialize;

use super::{overview, passkeys};
use crate::{
    core::Core,
    mail::Happening,
    sign_in::{passkey, step_up},
    telemetry::audit::AuditEvent,
    web::{
        ask::{Ask, Form},
        error::{Outcome, Refusal},
        pages::AllowRecovery,
        return_to::ReturnTo,
    },
};

/// The page.
pub const PATH: &str = "/.gatehouse/account/allow-recovery";

/// The page.
pub fn router() -> Router<Arc<Core>> {
    Router::new().route(PATH, get(page).post(allow))
}

async fn page(ask: Ask) -> Outcome {
    let here = ReturnTo::parse(PATH);
    let Some(visit) = &ask.caller.visit else {
        return Ok(Redirect::to(&here.on(passkey::PATH)).into_response());
    };
    if !passkeys::has_stepped_up(&ask, visit) {
        return Ok(Redirect::to(&here.on(step_up::PATH)).into_response());
    }
    let Some(since) = visit.account.recovery.blocked_at else {
        return Ok(Redirect::to(overview::PATH).into_response());
    };
    ask.page(&AllowRecovery {
        frame: ask.frame(),
        since: &since.for_people(),
        email: visit.account.email.as_ref().map(|email| email.as_str()),
    })
}

#[derive(Deserialize)]
struct Nothing {}

async fn allow(ask: Ask, Form(Nothing {}): Form<Nothing>) -> Outcome {
    let visit = ask.visit()?;
    if !passkeys::has_stepped_up(&ask, visit) {
        return Err(Refusal::STEP_UP_FIRST);
    }
    let account = &visit.account;
    let audit = ask
        .caller
        .audit(ask.now(), Some(account.id), AuditEvent::RecoveryAllowed);
    // Without a *this was not me*: a thief in the mailbox would only put the block back with it, and whoever could
    // do this has the account's passkey.
    let notice = ask.notice(account, Happening::WaysBackChanged, None);
    if ask
        .core
        .store
        .allow_recovery(account.id, notice.as_ref(), &audit)
        .await?
    {
        audit.log();
        ask.core.outbox.wake();
        ask.catch_up().await;
    }
    Ok(Redirect::to(&format!("{}?done=recovery-allowed", overview::PATH)).into_response())
}
