//! A reminder after a sign-in, once in a while: loud while nothing would let the person back in who loses
//! their one passkey, gentle while there is just no second one. *Later* is always an answer.

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse, Redirect},
    routing::get,
};
use serde::Deserialize;

use super::passkey;
use crate::{
    core::Core,
    store::{Account, Result},
    ways_back::{ByEmail, Lack, WaysBack},
    web::{
        ask::{Ask, Form, Query},
        error::Outcome,
        pages::Reminder,
        return_to::ReturnTo,
    },
};

/// The page.
pub const PATH: &str = "/.gatehouse/account/reminder";

/// The page and its *Later*.
pub fn router() -> Router<Arc<Core>> {
    Router::new().route(PATH, get(page).post(later))
}

/// Where a person goes who has just signed in with a passkey to a full session: on, or to the reminder first.
pub async fn on_the_way(ask: &Ask, account: &Account, return_to: &ReturnTo) -> String {
    let on = return_to.as_str().to_owned();
    let now = ask.now();
    let due = |lack: Lack| lack.is_due(account.remind_at, now);
    // Most sign-ins end here, without a look into the store.
    if ByEmail::of(ask.config(), account) == ByEmail::Open && !due(Lack::SecondPasskey) {
        return on;
    }
    match read(ask, account).await {
        Ok(ways) if ways.lack().is_some_and(due) => return_to.on(PATH),
        Ok(_) => on,
        Err(error) => {
            tracing::warn!(%error, "whether to remind somebody of a backup could not be told");
            on
        }
    }
}

/// What would let the person of an account back in.
///
/// # Errors
/// When the store does not answer.
pub async fn read(ask: &Ask, account: &Account) -> Result<WaysBack> {
    let passkeys = ask.core.store.credentials(account.id).await?;
    let codes = ask.core.store.backup_codes(account.id).await?;
    Ok(WaysBack::of(ask.config(), account, &passkeys, codes))
}

#[derive(Deserialize)]
struct Onward {
    #[serde(default)]
    return_to: String,
}

async fn page(ask: Ask, Query(query): Query<Onward>) -> Outcome {
    let return_to = ReturnTo::parse(&query.return_to);
    let Some(visit) = &ask.caller.visit else {
        return Ok(Redirect::to(&return_to.on(passkey::PATH)).into_response());
    };
    let on = Redirect::to(return_to.as_str()).into_response();
    // Whoever got in without a passkey is led to save one; there is nothing else to tell them.
    if visit.claims.restricted {
        return Ok(on);
    }
    let ways = read(&ask, &visit.account).await?;
    let Some(lack) = ways.lack() else {
        return Ok(on);
    };
    ask.page(&Reminder {
        frame: ask.frame(),
        return_to: return_to.as_str(),
        lack,
        ways,
        pairing: ask.config().methods.pairing,
    })
}

async fn later(ask: Ask, Form(form): Form<Onward>) -> Outcome {
    let visit = ask.visit()?;
    let account = &visit.account;
    // Whoever got in without a passkey must not hush a warning that is for its owner.
    if !visit.claims.restricted
        && let Some(lack) = read(&ask, account).await?.lack()
    {
        let moment = ask.now().plus(lack.pause());
        ask.core.store.set_remind_at(account.id, moment).await?;
    }
    let return_to = ReturnTo::parse(&form.return_to);
    Ok(Redirect::to(return_to.as_str()).into_response())
}
