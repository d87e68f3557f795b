//! Sign-in with a passkey, usernameless: the person picks one, and it says whose it is.

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Proof, Verified, after_sign_in,
    ceremony::{Ceremony, Kind},
    refused, reminder, start_session,
};
use crate::{
    core::Core,
    limit::Attempt,
    method::Method,
    relying_party::{AssertionAnswer, Discovery, PasskeyError, named_credential, named_user},
    store::{Account, AccountKey, Credential, Spend, Standing},
    telemetry::audit::Refusal as Reason,
    web::{
        ask::{Ask, Json, Query},
        error::{Outcome, Refusal},
        pages::{EmailForm, SignIn},
        return_to::ReturnTo,
    },
};

/// The sign-in page.
pub const PATH: &str = "/.gatehouse/sign-in";

/// The page and the two halves of the exchange.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(PATH, get(page))
        .route("/.gatehouse/sign-in/passkey/start", post(start))
        .route("/.gatehouse/sign-in/passkey/finish", post(finish))
}

/// Where to go afterwards.
#[derive(Deserialize)]
pub(super) struct Destination {
    #[serde(default)]
    return_to: String,
    /// The way that should stand open.
    by: Option<Way>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    Email,
}

impl Destination {
    pub(super) fn return_to(&self) -> ReturnTo {
        ReturnTo::parse(&self.return_to)
    }
}

/// Options for the browser, and the sealed state to send back with its answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Begun {
    pub(super) public_key: Value,
    pub(super) state: String,
}

async fn page(ask: Ask, Query(destination): Query<Destination>) -> Outcome {
    let return_to = destination.return_to();
    // Who asks for another way has lost what the session would need next, so that page is shown.
    let signed_in = ask
        .caller
        .visit
        .as_ref()
        .is_some_and(|visit| !visit.claims.restricted);
    if signed_in && destination.by.is_none() {
        return Ok(Redirect::to(return_to.as_str()).into_response());
    }
    show(&ask, &return_to, "", None, destination.by.is_some())
}

/// The sign-in page, with what was typed into its email field.
pub(super) fn show(
    ask: &Ask,
    return_to: &ReturnTo,
    email: &str,
    error: Option<&str>,
    email_open: bool,
) -> Outcome {
    ask.page(&SignIn {
        frame: ask.frame(),
        return_to: return_to.as_str(),
        email: ask.config().methods.email.map(|_| EmailForm {
            value: email,
            error,
        }),
        email_open,
    })
}

async fn start(ask: Ask, Json(Opening {}): Json<Opening>) -> Outcome {
    pay(&ask)?;
    let (public_key, discovery) = ask
        .snapshot
        .relying_party
        .begin_discovery()
        .map_err(broken)?;
    begin(&ask, Kind::SignIn, public_key, discovery)
}

/// What a page's script sends to begin: an empty object.
#[derive(Deserialize)]
pub(super) struct Opening {}

#[derive(Deserialize)]
struct Finish {
    state: String,
    credential: AssertionAnswer,
    #[serde(default)]
    return_to: String,
}

async fn finish(ask: Ask, Json(form): Json<Finish>) -> Outcome {
    pay(&ask)?;
    let ceremony = Ceremony::<Discovery>::open(
        &form.state,
        Kind::SignIn,
        &ask.browser,
        &ask.core.secret,
        ask.now(),
    )
    .ok_or(Refusal::CEREMONY_OVER)?;
    let (credential, account) = owner(&ask, &form.credential).await?;
    let spend = Spend::Ceremony {
        id: ceremony.id,
        expires_at: ceremony.expires_at,
    };
    let used = match ask.snapshot.relying_party.finish_discovery(
        &form.credential,
        ceremony.state,
        &credential,
    ) {
        Ok(used) => used,
        Err(error) => return Err(not_verified(&ask, &account, error).await),
    };
    if let Standing::Frozen { .. } = credential.standing {
        refused(&ask, Some(&account), Method::Passkey, Reason::Frozen).await;
        return Err(Refusal::PASSKEY_NOT_VERIFIED);
    }
    let begun = start_session(
        &ask,
        Verified {
            account: account.clone(),
            spend,
            proof: Proof::Passkey { used, credential },
            tell: None,
        },
    )
    .await?;
    let return_to = ReturnTo::parse(&form.return_to);
    let mut location = after_sign_in(&ask, &begun, &return_to).await;
    if !begun.restricted && location == return_to.as_str() {
        location = reminder::on_the_way(&ask, &account, &return_to).await;
    }
    Ok(begun.go_on(&location))
}

/// The passkey that an answer names and the account it belongs to, which the answer must name too: the
/// library does not compare them (WebAuthn L3 §7.2 step 6).
async fn owner(ask: &Ask, answer: &AssertionAnswer) -> Outcome<(Credential, Account)> {
    let id = named_credential(answer).ok_or(Refusal::MALFORMED)?;
    let Some(credential) = ask.core.store.credential(&id).await? else {
        refused(ask, None, Method::Passkey, Reason::UnknownCredential).await;
        return Err(Refusal {
            code: "unknown_passkey",
            ..Refusal::PASSKEY_NOT_VERIFIED
        });
    };
    let account = ask
        .core
        .store
        .account(&AccountKey::Id(credential.account))
        .await?;
    let account = account.ok_or(Refusal::PASSKEY_NOT_VERIFIED)?;
    if named_user(answer) != Some(account.user_handle) {
        refused(
            ask,
            Some(&account),
            Method::Passkey,
            Reason::ForeignCredential,
        )
        .await;
        return Err(Refusal::PASSKEY_NOT_VERIFIED);
    }
    Ok((credential, account))
}

async fn not_verified(ask: &Ask, account: &Account, error: PasskeyError) -> Refusal {
    match error {
        PasskeyError::NotVerified(cause) => {
            tracing::info!(request_id = %ask.caller.request_id, %cause, "a passkey's answer does not verify");
            refused(ask, Some(account), Method::Passkey, Reason::NotVerified).await;
            Refusal::PASSKEY_NOT_VERIFIED
        }
        PasskeyError::Unreadable => broken(error),
    }
}

/// Pays for one step of an exchange.
pub(super) fn pay(ask: &Ask) -> Result<(), Refusal> {
    ask.core
        .limits
        .charge(Attempt::Passkey, ask.caller.network())
        .map_err(|_| Refusal::THROTTLED)
}

/// What the browser needs to ask for a passkey.
pub(super) fn begin<S>(ask: &Ask, kind: Kind, public_key: Value, state: S) -> Outcome<Response>
where
    S: Serialize + serde::de::DeserializeOwned,
{
    let state = Ceremony::begin(state, ask.now())
        .seal(kind, &ask.browser, &ask.core.secret)
        .ok_or(Refusal::INTERNAL)?;
    Ok(axum::Json(Begun { public_key, state }).into_response())
}

/// An exchange that failed on our side.
pub(super) fn broken(error: PasskeyError) -> Refusal {
    tracing::error!(%error, "an exchange with a passkey could not be made");
    Refusal::INTERNAL
}
