//! What a person is told right after signing in with their own passkey, while somebody else may be at their
//! account: a passkey of a recovery waits, or recovery is blocked since a *this was not me*.

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse, Redirect},
    routing::get,
};
use serde::Deserialize;

use super::{enrolment, passkey};
use crate::{
    clock::Timestamp,
    core::Core,
    id::AccountId,
    store::{AccountKey, Credential, Standing, StoreError},
    web::{
        ask::{Ask, Query},
        error::Outcome,
        pages::{Alert, Takeover, WaitingPasskey},
        return_to::ReturnTo,
    },
};

/// The page.
pub const PATH: &str = "/.gatehouse/account/alert";

/// The page.
pub fn router() -> Router<Arc<Core>> {
    Router::new().route(PATH, get(page))
}

#[derive(Deserialize)]
struct PageQuery {
    #[serde(default)]
    return_to: String,
}

async fn page(ask: Ask, Query(query): Query<PageQuery>) -> Outcome {
    let return_to = ReturnTo::parse(&query.return_to);
    let Some(visit) = &ask.caller.visit else {
        return Ok(Redirect::to(&return_to.on(passkey::PATH)).into_response());
    };
    if visit.claims.restricted {
        return Ok(Redirect::to(&return_to.on(enrolment::PATH)).into_response());
    }
    let credentials = ask.core.store.credentials(visit.account.id).await?;
    let takeover = takeover(visit.account.recovery.blocked_at, &credentials);
    if !takeover.is_under_way() {
        return Ok(Redirect::to(return_to.as_str()).into_response());
    }
    ask.page(&Alert {
        frame: ask.frame(),
        takeover,
        return_to: return_to.as_str(),
    })
}

/// Whether somebody who has just got a full session must see the page first. When the store does not answer, they
/// are in all the same, and the account page tells them.
pub async fn is_due(ask: &Ask, account: AccountId) -> bool {
    let looked: Result<bool, StoreError> = async {
        let found = ask.core.store.account(&AccountKey::Id(account)).await?;
        let blocked_at = found.and_then(|account| account.recovery.blocked_at);
        let credentials = ask.core.store.credentials(account).await?;
        Ok(takeover(blocked_at, &credentials).is_under_way())
    }
    .await;
    looked.unwrap_or_else(|error| {
        tracing::warn!(%error, "whether a takeover is under way could not be looked up");
        false
    })
}

/// What an account shows of a takeover.
pub fn takeover(blocked_at: Option<Timestamp>, credentials: &[Credential]) -> Takeover {
    Takeover {
        blocked_since: blocked_at.map(Timestamp::for_people),
        waiting: credentials.iter().filter_map(waiting).collect(),
        to_confirm: credentials
            .iter()
            .filter(|credential| credential.to_confirm)
            .count(),
    }
}

fn waiting(credential: &Credential) -> Option<WaitingPasskey> {
    match credential.standing {
        Standing::Held { until } => Some(WaitingPasskey {
            id: credential.id.to_string(),
            label: credential.label.clone(),
            saved: credential.created_at.for_people(),
            until: until.for_people(),
        }),
        Standing::Good | Standing::Frozen { .. } => None,
    }
}
