//! Renaming, confirming and removing a passkey. Removing needs a fresh step-up: it can lock a person out.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;

use super::overview;
use crate::{
    core::Core,
    id::CredentialId,
    mail::Happening,
    session::Visit,
    sign_in::{passkey, reminder, step_up},
    store::{Credential, CredentialRemoval, Suspect},
    telemetry::audit::AuditEvent,
    ways_back::ByEmail,
    web::{
        ask::{Ask, Form},
        error::{Outcome, Refusal},
        pages::RemovePasskey,
        return_to::ReturnTo,
    },
};

/// How old the step-up for a removal may be.
const MAX_STEP_UP_AGE: Duration = Duration::from_secs(5 * 60);

/// The longest label, in characters.
const MAX_LABEL: usize = 60;

/// The pages.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route("/.gatehouse/account/passkeys/{id}/rename", post(rename))
        .route("/.gatehouse/account/passkeys/{id}/keep", post(keep))
        .route(
            "/.gatehouse/account/passkeys/{id}/remove",
            get(ask_to_remove).post(remove),
        )
}

#[derive(Deserialize)]
struct Label {
    label: String,
}

async fn rename(ask: Ask, Path(id): Path<String>, Form(form): Form<Label>) -> Outcome {
    let visit = full_session(&ask)?;
    let id = CredentialId::parse(&id).ok_or(Refusal::NOT_FOUND)?;
    let label: String = form
        .label
        .chars()
        .filter(|character| !character.is_control())
        .take(MAX_LABEL)
        .collect();
    let label = label.trim();
    if label.is_empty() {
        return Err(Refusal::MALFORMED);
    }
    let event = AuditEvent::PasskeyRenamed {
        credential: id.clone(),
    };
    let audit = ask.caller.audit(ask.now(), Some(visit.account.id), event);
    if !ask
        .core
        .store
        .rename_credential(visit.account.id, &id, label, &audit)
        .await?
    {
        return Err(Refusal::NOT_FOUND);
    }
    audit.log();
    Ok(Redirect::to(&format!("{}?done=renamed", overview::PATH)).into_response())
}

/// After a recovery: this one is still its person's.
async fn keep(ask: Ask, Path(id): Path<String>, Form(Nothing {}): Form<Nothing>) -> Outcome {
    let visit = full_session(&ask)?;
    let id = CredentialId::parse(&id).ok_or(Refusal::NOT_FOUND)?;
    let event = AuditEvent::PasskeyConfirmed {
        credential: id.clone(),
    };
    let account = visit.account.id;
    let audit = ask.caller.audit(ask.now(), Some(account), event);
    if !ask
        .core
        .store
        .confirm_credential(account, &id, &audit)
        .await?
    {
        return Err(Refusal::NOT_FOUND);
    }
    audit.log();
    Ok(Redirect::to(&format!("{}?done=kept", overview::PATH)).into_response())
}

async fn ask_to_remove(ask: Ask, Path(id): Path<String>) -> Outcome {
    let here = ReturnTo::parse(&format!("{}/passkeys/{id}/remove", overview::PATH));
    let Some(visit) = &ask.caller.visit else {
        return Ok(Redirect::to(&here.on(passkey::PATH)).into_response());
    };
    if !has_stepped_up(&ask, visit) {
        return Ok(Redirect::to(&here.on(step_up::PATH)).into_response());
    }
    let (credential, last) = own(&ask, visit, &id).await?;
    let ways = reminder::read(&ask, &visit.account).await?;
    ask.page(&RemovePasskey {
        frame: ask.frame(),
        id: &credential.id.to_string(),
        label: &credential.label,
        last,
        has_email: ways.email == ByEmail::Open,
        has_codes: ways.has_codes(),
    })
}

#[derive(Deserialize)]
struct Nothing {}

async fn remove(ask: Ask, Path(id): Path<String>, Form(Nothing {}): Form<Nothing>) -> Outcome {
    let visit = full_session(&ask)?;
    if !has_stepped_up(&ask, visit) {
        return Err(Refusal::STEP_UP_FIRST);
    }
    let (credential, _) = own(&ask, visit, &id).await?;
    let account = &visit.account;
    let event = AuditEvent::PasskeyRemoved {
        credential: credential.id.clone(),
    };
    let audit = ask.caller.audit(ask.now(), Some(account.id), event);
    let suspect = Suspect {
        credential: None,
        session: Some(visit.claims.sid),
    };
    let what = Happening::PasskeyRemoved {
        label: credential.label,
    };
    let notice = ask.notice(account, what, Some(suspect));
    let removal = CredentialRemoval {
        account: account.id,
        credential: credential.id,
        keep: Some(visit.claims.sid),
        notice,
    };
    if !ask.core.store.remove_credential(&removal, &audit).await? {
        return Err(Refusal::NOT_FOUND);
    }
    audit.log();
    ask.core.outbox.wake();
    ask.catch_up().await;
    Ok(Redirect::to(&format!("{}?done=removed", overview::PATH)).into_response())
}

fn full_session(ask: &Ask) -> Outcome<&Visit> {
    let visit = ask.visit()?;
    if visit.claims.restricted {
        return Err(Refusal::STEP_UP_FIRST);
    }
    Ok(visit)
}

pub(super) fn has_stepped_up(ask: &Ask, visit: &Visit) -> bool {
    let age = visit.claims.stepped_up_at.map(|at| ask.now().since(at));
    !visit.claims.restricted && age.is_some_and(|age| age <= MAX_STEP_UP_AGE)
}

/// A passkey of this account, and whether it is the last one that opens anything.
async fn own(ask: &Ask, visit: &Visit, id: &str) -> Outcome<(Credential, bool)> {
    let id = CredentialId::parse(id).ok_or(Refusal::NOT_FOUND)?;
    let mut credentials = ask.core.store.credentials(visit.account.id).await?;
    let last = credentials
        .iter()
        .all(|credential| credential.id == id || credential.is_frozen());
    let at = credentials
        .iter()
        .position(|credential| credential.id == id)
        .ok_or(Refusal::NOT_FOUND)?;
    Ok((credentials.swap_remove(at), last))
}
