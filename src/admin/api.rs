//! The same operations for programs, as JSON, under the same checks.
//!
//! A program signs in as an administrator's browser does and keeps its cookies. `GET …/api/token` gives it
//! the form token of those cookies; it goes into the `X-Gatehouse-Form` header of every POST.
//!
//! | | | |
//! |---|---|---|
//! | GET | `accounts?query=` | accounts whose login, address or name contains it, at most 50 |
//! | GET | `accounts/{id}` | passkeys, sessions, waiting recoveries, audit |
//! | POST | `accounts/{id}/recovery` | `{"reason", "note"}` → the link, or what waits for an approval |
//! | POST | `accounts/{id}/disable`, `…/enable`, `…/allow-recovery` | `{}` |
//! | POST | `accounts/{id}/sessions/revoke` | `{}` for all, or `{"session"}` |
//! | POST | `accounts/{id}/passkeys/{id}/remove` | `{}` |
//! | GET | `recoveries` | those whose link is still to be had |
//! | POST | `recoveries/{id}/approve`, `…/link` | `{}` |
//! | POST | `invite` | `{"email", "login", "name", "groups", "mail"}` → the link |
//!
//! A refusal is `{"error", "message", "request_id"}`; `step_up_required` means that the passkey check is too
//! old.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Administrator,
    accounts::{self, Invitee},
    passkeys,
    recovery::{self, Asked, Grounds, Handover},
    sessions::{self, Which},
};
use crate::{
    core::Core,
    email_address::EmailAddress,
    id::{AccountId, CredentialId, RecoveryId, SessionId},
    store::{AccountState, is_group},
    telemetry::audit::RecoveryReason,
    web::{
        ask::{Json, Query},
        error::{Outcome, Refusal},
    },
};

/// All calls.
pub(super) fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(&at("/token"), get(token))
        .route(&at("/accounts"), get(find))
        .route(&at("/accounts/{id}"), get(show))
        .route(&at("/accounts/{id}/recovery"), post(recover))
        .route(&at("/accounts/{id}/disable"), post(disable))
        .route(&at("/accounts/{id}/enable"), post(enable))
        .route(&at("/accounts/{id}/allow-recovery"), post(allow_recovery))
        .route(&at("/accounts/{id}/sessions/revoke"), post(revoke))
        .route(
            &at("/accounts/{id}/passkeys/{passkey}/remove"),
            post(remove),
        )
        .route(&at("/recoveries"), get(recoveries))
        .route(&at("/recoveries/{id}/approve"), post(approve))
        .route(&at("/recoveries/{id}/link"), post(collect))
        .route(&at("/invite"), post(invite))
}

/// Not nested: that would hide the prefix, by which a program's request is told from a person's.
fn at(path: &str) -> String {
    format!("/.gatehouse/admin/api{path}")
}

fn answer(value: Value) -> Outcome {
    Ok(axum::Json(value).into_response())
}

/// The token belongs to the browser's cookie, which comes with it where it is new.
async fn token(admin: Administrator) -> Outcome<Response> {
    let form_token = admin.ask.frame().form_token;
    let mut answer = axum::Json(json!({ "form_token": form_token })).into_response();
    if let Some(cookie) = admin.ask.browser.cookie_to_set() {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

#[derive(Deserialize)]
struct Search {
    query: String,
}

async fn find(admin: Administrator, Query(search): Query<Search>) -> Outcome {
    let found = accounts::find(&admin.ask.core, &search.query).await?;
    answer(json!({ "accounts": found }))
}

async fn show(admin: Administrator, Path(id): Path<String>) -> Outcome {
    let shown = accounts::show(&admin.ask.core, &account(&id)?).await?;
    answer(shown.json())
}

#[derive(Deserialize)]
struct Why {
    reason: RecoveryReason,
    #[serde(default)]
    note: String,
}

async fn recover(admin: Administrator, Path(id): Path<String>, Json(why): Json<Why>) -> Outcome {
    let grounds = Grounds::new(why.reason, &why.note).ok_or(Refusal::MALFORMED)?;
    match recovery::ask(&admin.acting(), &account(&id)?, grounds).await? {
        Asked::Link(handover) => answer(given(&handover)),
        Asked::Waits(pending) => answer(json!({ "waits": pending.request })),
    }
}

fn given(handover: &Handover) -> Value {
    json!({
        "recovery": handover.recovery,
        "account": handover.account.id,
        "link": handover.link,
        "expires_at": handover.expires_at,
    })
}

#[derive(Deserialize)]
struct Nothing {}

async fn disable(
    admin: Administrator,
    Path(id): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Outcome {
    set_state(&admin, &id, AccountState::Disabled).await
}

async fn allow_recovery(
    admin: Administrator,
    Path(id): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Outcome {
    let account = accounts::allow_recovery(&admin.acting(), &account(&id)?).await?;
    admin.ask.catch_up().await;
    answer(json!({ "allowed": account.id }))
}

async fn enable(
    admin: Administrator,
    Path(id): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Outcome {
    set_state(&admin, &id, AccountState::Active).await
}

async fn set_state(admin: &Administrator, id: &str, state: AccountState) -> Outcome {
    let account = accounts::set_state(&admin.acting(), &account(id)?, state).await?;
    admin.ask.catch_up().await;
    answer(json!({ "account": account }))
}

#[derive(Deserialize)]
struct WhichSession {
    session: Option<SessionId>,
}

async fn revoke(
    admin: Administrator,
    Path(id): Path<String>,
    Json(which): Json<WhichSession>,
) -> Outcome {
    let of = AccountId::parse(&id).ok_or(Refusal::NOT_FOUND)?;
    let which = match which.session {
        Some(id) => Which::One { id, of: Some(of) },
        None => Which::Account(of.to_string()),
    };
    let ended = sessions::revoke(&admin.acting(), &which).await?;
    admin.ask.catch_up().await;
    answer(json!({ "ended": ended }))
}

async fn remove(
    admin: Administrator,
    Path((id, passkey)): Path<(String, String)>,
    Json(Nothing {}): Json<Nothing>,
) -> Outcome {
    let passkey = CredentialId::parse(&passkey).ok_or(Refusal::NOT_FOUND)?;
    let removed = passkeys::remove(&admin.acting(), &account(&id)?, &passkey).await?;
    admin.ask.catch_up().await;
    answer(json!({ "removed": removed.id }))
}

async fn recoveries(admin: Administrator) -> Outcome {
    let open = recovery::open(&admin.ask.core, None).await?;
    let requests: Vec<_> = open.iter().map(|pending| &pending.request).collect();
    answer(json!({ "recoveries": requests }))
}

async fn approve(
    admin: Administrator,
    Path(id): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Outcome {
    let id = RecoveryId::parse(&id).ok_or(Refusal::NOT_FOUND)?;
    let pending = recovery::approve(&admin.acting(), id).await?;
    answer(json!({ "approved": pending.request }))
}

async fn collect(
    admin: Administrator,
    Path(id): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Outcome {
    let id = RecoveryId::parse(&id).ok_or(Refusal::NOT_FOUND)?;
    answer(given(&recovery::collect(&admin.acting(), id).await?))
}

#[derive(Deserialize)]
struct Invitation {
    email: Option<String>,
    login: Option<String>,
    name: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    mail: bool,
}

async fn invite(admin: Administrator, Json(form): Json<Invitation>) -> Outcome {
    let address = |text: &str| EmailAddress::parse(text).ok_or(Refusal::MALFORMED);
    let email = form.email.as_deref().map(address).transpose()?;
    if !form.groups.iter().all(|group| is_group(group)) {
        return Err(Refusal::MALFORMED);
    }
    let invitee = Invitee {
        email,
        login: form.login,
        name: form.name,
        groups: form.groups,
        mail: form.mail,
    };
    let invited = accounts::invite(&admin.acting(), invitee).await?;
    answer(json!({ "account": invited.account, "link": invited.link }))
}

/// An account is named by its id alone: addresses do not belong into addresses.
fn account(id: &str) -> Outcome<String> {
    let id = AccountId::parse(id).ok_or(Refusal::NOT_FOUND)?;
    Ok(id.to_string())
}
