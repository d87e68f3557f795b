//! Who may administer: the proof that every page and every call of the API asks for.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{Method, request::Parts},
    response::{IntoResponse, Redirect, Response},
};

use super::Acting;
use crate::{
    core::Core,
    id::AccountId,
    sign_in::{passkey, step_up},
    telemetry::audit::Actor,
    web::{ask::Ask, error::Refusal, respond, return_to::ReturnTo},
};

/// A request of an administrator: in the group, with a full session and a fresh passkey check.
pub struct Administrator {
    /// The request.
    pub ask: Ask,
    id: AccountId,
}

impl Administrator {
    /// Who acts.
    pub fn acting(&self) -> Acting<'_> {
        Acting {
            core: &self.ask.core,
            snapshot: Arc::clone(&self.ask.snapshot),
            actor: self.actor(),
            caller: Some(&self.ask.caller),
        }
    }

    /// Their name in records.
    pub fn actor(&self) -> Actor {
        Actor::Administrator(self.id)
    }

    /// Whether this is their own account.
    pub fn is(&self, account: AccountId) -> bool {
        self.id == account
    }
}

/// What somebody lacks.
enum Lack {
    /// There is nothing here for them, and no sign that there is for others.
    Everything,
    /// A session.
    Session,
    /// A fresh passkey check.
    StepUp,
}

fn check(ask: &Ask) -> Result<AccountId, Lack> {
    let admin = &ask.config().admin;
    if admin.group.is_none() {
        return Err(Lack::Everything);
    }
    let visit = ask.caller.visit.as_ref().ok_or(Lack::Session)?;
    if !admin.admits(&visit.account.groups) {
        return Err(Lack::Everything);
    }
    let age = visit.claims.stepped_up_at.map(|at| ask.now().since(at));
    let fresh = age.is_some_and(|age| age <= admin.max_age);
    // The page of the step-up sends a restricted session on to where its restriction is lifted.
    if visit.claims.restricted || !fresh {
        return Err(Lack::StepUp);
    }
    Ok(visit.account.id)
}

impl FromRequestParts<Arc<Core>> for Administrator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, core: &Arc<Core>) -> Result<Self, Response> {
        let ask = Ask::from_request_parts(parts, core)
            .await
            .map_err(IntoResponse::into_response)?;
        match check(&ask) {
            Ok(id) => Ok(Self { ask, id }),
            Err(lack) => Err(turn_away(&lack, parts)),
        }
    }
}

/// A person is led to what they lack and back. Every address that takes a form shows one as well, so that
/// whoever was too slow comes back to the question and not to an error.
fn turn_away(lack: &Lack, parts: &Parts) -> Response {
    let scripted = respond::is_for_scripts(parts.uri.path());
    let (refusal, page) = match lack {
        Lack::Everything => return Refusal::NOT_FOUND.into_response(),
        Lack::Session => (Refusal::SIGN_IN_FIRST, passkey::PATH),
        Lack::StepUp => (Refusal::STEP_UP_FIRST, step_up::PATH),
    };
    if scripted {
        return refusal.into_response();
    }
    let here = match (&parts.method, parts.uri.path_and_query()) {
        (&Method::GET, Some(here)) => here.as_str(),
        _ => parts.uri.path(),
    };
    Redirect::to(&ReturnTo::parse(here).on(page)).into_response()
}
