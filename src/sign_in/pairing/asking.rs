//! The device that asks to be let in.

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;

use super::{LIFESPAN, Pairing, Secrets, approving, offered, offering::Offer, pay};
use crate::{
    config::Grant,
    core::Core,
    id::PairingId,
    limit::Attempt,
    mail::Happening,
    method::Method,
    session::Visit,
    sign_in::{Proof, Verified, after_sign_in, enrolment, refused, start_session},
    store::{AccountKey, PairingKey, PairingStanding, Spend},
    telemetry::audit::Refusal as Reason,
    web::{
        ask::{Ask, Form, Query},
        error::{Outcome, Refusal},
        pages::{Pair, PairWait},
        qr::Picture,
        return_to::ReturnTo,
    },
};

/// The page that explains.
pub const PATH: &str = "/.gatehouse/pair";

/// The page that waits.
const WAIT_PATH: &str = "/.gatehouse/pair/wait";

/// The pages.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(PATH, get(page))
        .route("/.gatehouse/pair/start", post(start))
        .route(WAIT_PATH, get(wait))
        .route("/.gatehouse/pair/finish", post(finish))
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    return_to: String,
    /// What a signed-in computer shows to a phone, sealed.
    with: Option<String>,
}

impl Asked {
    fn offer(&self, ask: &Ask) -> Outcome<Option<Offer>> {
        self.with
            .as_deref()
            .map(|sealed| Offer::open(sealed, ask))
            .transpose()
    }
}

async fn page(ask: Ask, Query(asked): Query<Asked>) -> Outcome {
    offered(&ask)?;
    let offer = asked.offer(&ask)?;
    let full = |visit: &&Visit| !visit.claims.restricted;
    if let Some(visit) = ask.caller.visit.as_ref().filter(full) {
        match &offer {
            // The address that the waiting device tells people to open on the one that is signed in.
            None => return Ok(Redirect::to(approving::CODE_PATH).into_response()),
            Some(offer) if offer.account == visit.account.id => {
                return Ok(Redirect::to(enrolment::PATH).into_response());
            }
            Some(_) => {}
        }
    }
    ask.page(&Pair {
        frame: ask.frame(),
        return_to: ReturnTo::parse(&asked.return_to).as_str(),
        offer: asked.with.as_deref(),
    })
}

async fn start(ask: Ask, Form(asked): Form<Asked>) -> Outcome {
    offered(&ask)?;
    pay(&ask, Attempt::Pairing)?;
    let offer = asked.offer(&ask)?;
    let id = PairingId::random();
    let secrets = Secrets::of(id, &ask.core.secret);
    let now = ask.now();
    let pairing = Pairing {
        id,
        browser: ask.browser.digest(),
        link: secrets.link.digest(),
        code: secrets.code_digest(&ask.core.secret),
        number: secrets.number,
        device: ask.device.clone(),
        network: ask.caller.network(),
        return_to: ReturnTo::parse(&asked.return_to).as_str().to_owned(),
        created_at: now,
        expires_at: now.plus(LIFESPAN),
        offered_by: offer.as_ref().map(|offer| offer.session),
        account: offer.map(|offer| offer.account),
        seen_at: None,
        wrong_numbers: 0,
        approved_at: None,
        refused_at: None,
        spent_at: None,
        superseded: false,
    };
    if !ask.core.store.begin_pairing(&pairing).await? {
        tracing::warn!("a device was turned away: too many pairings are open");
        return Err(Refusal::THROTTLED);
    }
    Ok(Redirect::to(WAIT_PATH).into_response())
}

async fn wait(ask: Ask) -> Outcome {
    offered(&ask)?;
    pay(&ask, Attempt::PairingState)?;
    let Some(pairing) = own(&ask).await? else {
        return Ok(Redirect::to(PATH).into_response());
    };
    let secrets = Secrets::of(pairing.id, &ask.core.secret);
    let origin = ask.config().relying_party.origin_for(&ask.caller.host);
    let token = secrets.link.reveal();
    let link = origin.join(&format!("{}?token={token}", approving::PATH));
    let address = origin.join(PATH);
    let address = address.split_once("://").map_or("", |(_, rest)| rest);
    ask.page(&PairWait {
        frame: ask.frame(),
        standing: pairing.standing(ask.now()),
        return_to: &pairing.return_to,
        offered: pairing.offered_by.is_some(),
        picture: &Picture::of(&link).ok_or(Refusal::INTERNAL)?,
        address,
        code: &secrets.grouped_code(),
        number: secrets.number,
        seconds: pairing.expires_at.since(ask.now()).as_secs(),
    })
}

/// The pairing that this browser asked for last.
pub(super) async fn own(ask: &Ask) -> Outcome<Option<Pairing>> {
    let key = PairingKey::Browser(ask.browser.digest());
    Ok(ask.core.store.pairing(&key).await?)
}

#[derive(Deserialize)]
struct Nothing {}

async fn finish(ask: Ask, Form(Nothing {}): Form<Nothing>) -> Outcome {
    offered(&ask)?;
    pay(&ask, Attempt::Redemption)?;
    let pairing = own(&ask).await?.ok_or(Refusal::PAIRING_OVER)?;
    let account = match pairing.account {
        Some(id) => ask.core.store.account(&AccountKey::Id(id)).await?,
        None => None,
    };
    let approved = pairing.standing(ask.now()) == PairingStanding::Approved;
    let Some(account) = account.clone().filter(|_| approved) else {
        refused(
            &ask,
            account.as_ref(),
            Method::Pairing,
            Reason::NotRedeemable,
        )
        .await;
        return Err(Refusal::PAIRING_OVER);
    };
    let verified = Verified {
        account,
        spend: Spend::Pairing {
            id: pairing.id,
            browser: ask.browser.digest(),
        },
        proof: Proof::Fallback {
            method: Method::Pairing,
            grants: Grant::Restricted,
            new_account: false,
        },
        tell: Some(Happening::Paired),
    };
    let begun = start_session(&ask, verified).await?;
    let location = after_sign_in(&ask, &begun, &ReturnTo::parse(&pairing.return_to)).await;
    Ok(begun.redirect(&location))
}
