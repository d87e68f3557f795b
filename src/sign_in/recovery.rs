//! Sign-in by a recovery link, which an administrator handed over after making sure whom they talk to.
//!
//! Its GET changes nothing: links are looked at by scanners and previews. The session is restricted; saving a
//! passkey in it lifts that.

use std::sync::Arc;

use axum::{Router, response::Response, routing::get};
use serde::Deserialize;

use super::{Proof, Verified, after_sign_in, refused, start_session};
use crate::{
    config::Grant,
    core::Core,
    limit::Attempt,
    mail::Happening,
    method::Method,
    secret::Token,
    store::{Account, Spend},
    telemetry::audit::Refusal as Reason,
    web::{
        ask::{Ask, Form, Query},
        error::{Outcome, Refusal},
        pages::RecoveryLink,
        return_to::ReturnTo,
    },
};

/// Where recovery links lead.
pub const LINK_PATH: &str = "/.gatehouse/recover/link";

/// The page of a link.
pub fn router() -> Router<Arc<Core>> {
    Router::new().route(LINK_PATH, get(open).post(redeem))
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

async fn open(ask: Ask, Query(link): Query<Link>) -> Outcome {
    let (account, _) = owner(&ask, &link).await?;
    let signed_in = ask.caller.visit.as_ref();
    ask.page(&RecoveryLink {
        frame: ask.frame(),
        token: &link.token,
        login: &account.login,
        signed_in_as_other: signed_in.is_some_and(|visit| visit.account.id != account.id),
    })
}

async fn redeem(ask: Ask, Form(link): Form<Link>) -> Outcome<Response> {
    let (account, token) = owner(&ask, &link).await?;
    let verified = Verified {
        account,
        spend: Spend::RecoveryLink {
            digest: token.digest(),
        },
        proof: Proof::Fallback {
            method: Method::Recovery,
            grants: Grant::Restricted,
            new_account: false,
        },
        tell: Some(Happening::RecoveryLinkUsed),
    };
    let begun = start_session(&ask, verified).await?;
    let next = after_sign_in(&ask, &begun, &ReturnTo::home()).await;
    Ok(begun.redirect(&next))
}

/// Whose link it is, if it can still be spent.
async fn owner(ask: &Ask, link: &Link) -> Outcome<(Account, Token)> {
    ask.core
        .limits
        .charge(Attempt::Invitation, ask.caller.network())
        .map_err(|_| Refusal::THROTTLED)?;
    let over = Refusal::RECOVERY_LINK_OVER;
    let Some(token) = Token::parse(&link.token) else {
        refused(ask, None, Method::Recovery, Reason::NotRedeemable).await;
        return Err(over);
    };
    let owner = ask
        .core
        .store
        .recovery_link_owner(&token.digest(), ask.now())
        .await?;
    match owner {
        Some(owner) if owner.open => Ok((owner.account, token)),
        owner => {
            let account = owner.map(|owner| owner.account);
            refused(
                ask,
                account.as_ref(),
                Method::Recovery,
                Reason::NotRedeemable,
            )
            .await;
            Err(over)
        }
    }
}
