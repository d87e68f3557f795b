//! A computer shows its person's phone the way, where the browser itself cannot: the phone's pairing is this
//! account's to approve from the start and announces itself on the computer's page.
//!
//! The picture carries nothing but a sealed "this session asked": whoever photographs it can ask to be let in,
//! and is refused where the numbers are compared.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    response::{IntoResponse, Redirect},
    routing::get,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use uuid::Uuid;

use super::{LIFESPAN, approving, asking, full_session, offered, pay};
use crate::{
    clock::Timestamp,
    core::Core,
    id::{AccountId, SessionId},
    limit::Attempt,
    method::Method,
    secret::{Purpose, ServerSecret},
    session::Claims,
    sign_in::{passkey, step_up},
    store::{PairingKey, PairingStanding},
    web::{
        ask::{Ask, Query},
        error::{Outcome, Refusal},
        pages::PairPhone,
        qr::Picture,
        return_to::ReturnTo,
    },
};

/// The page.
const PATH: &str = "/.gatehouse/pair/phone";

/// How fresh a passkey check must be for showing the picture, as for adding a passkey here: whoever finds an
/// unlocked screen must not be able to add a phone of their own.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// The page.
pub fn router() -> Router<Arc<Core>> {
    Router::new().route(PATH, get(page))
}

/// What a picture carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// Whose phone it is.
    pub account: AccountId,
    /// Whose page waits for it.
    pub session: SessionId,
    expires_at: Timestamp,
}

/// What the offer is sealed for.
const CONTEXT: &[u8] = b"offer";

impl Offer {
    /// In few bytes: each makes the picture's modules smaller.
    fn seal(self, secret: &ServerSecret) -> String {
        let expires_at = self.expires_at.seconds().to_be_bytes();
        let plain = [
            &self.account.uuid().into_bytes()[..],
            &self.session.uuid().into_bytes(),
            &expires_at,
        ]
        .concat();
        let sealed = secret.sealer(Purpose::Pairing).seal(CONTEXT, &plain);
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// As the picture carried it.
    pub fn open(sealed: &str, ask: &Ask) -> Outcome<Self> {
        Self::read(sealed, &ask.core.secret)
            .filter(|offer| ask.now() < offer.expires_at)
            .ok_or(Refusal::OFFER_OVER)
    }

    fn read(sealed: &str, secret: &ServerSecret) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let plain = secret.sealer(Purpose::Pairing).open(CONTEXT, &sealed)?;
        let (account, rest) = plain.split_first_chunk::<16>()?;
        let (session, rest) = rest.split_first_chunk::<16>()?;
        let expires_at = i64::from_be_bytes(rest.try_into().ok()?);
        Some(Self {
            account: AccountId::from_uuid(Uuid::from_bytes(*account)),
            session: SessionId::from_uuid(Uuid::from_bytes(*session)),
            expires_at: Timestamp::from_seconds(expires_at),
        })
    }
}

#[derive(Deserialize)]
struct PageQuery {
    #[serde(default)]
    return_to: String,
    /// Shows a new picture even if a phone is asking.
    new: Option<String>,
}

async fn page(ask: Ask, Query(query): Query<PageQuery>) -> Outcome {
    offered(&ask)?;
    pay(&ask, Attempt::PairingState)?;
    let return_to = ReturnTo::parse(&query.return_to);
    let here = ReturnTo::parse(&return_to.on(PATH));
    let Some(visit) = &ask.caller.visit else {
        return Ok(Redirect::to(&here.on(passkey::PATH)).into_response());
    };
    full_session(&ask)?;
    if !is_fresh(&visit.claims, ask.now()) {
        return Ok(Redirect::to(&here.on(step_up::PATH)).into_response());
    }
    if query.new.is_none()
        && let Some(asking) = asking_phone(&ask, visit.claims.sid).await?
    {
        return Ok(Redirect::to(&asking).into_response());
    }
    let offer = Offer {
        account: visit.account.id,
        session: visit.claims.sid,
        expires_at: ask.now().plus(LIFESPAN),
    };
    let origin = ask.config().relying_party.origin_for(&ask.caller.host);
    let link = origin.join(&format!(
        "{}?with={}",
        asking::PATH,
        offer.seal(&ask.core.secret)
    ));
    ask.page(&PairPhone {
        frame: ask.frame(),
        return_to: return_to.as_str(),
        picture: &Picture::of(&link).ok_or(Refusal::INTERNAL)?,
        seconds: LIFESPAN.as_secs(),
    })
}

/// Where to approve the phone that followed this session's picture, if one has.
pub(super) async fn asking_phone(ask: &Ask, session: SessionId) -> Outcome<Option<String>> {
    let key = PairingKey::OfferedBy(session);
    let found = ask.core.store.pairing(&key).await?;
    let waiting = found.filter(|pairing| match pairing.standing(ask.now()) {
        PairingStanding::Waiting | PairingStanding::Seen => true,
        PairingStanding::Approved | PairingStanding::Refused | PairingStanding::Over => false,
    });
    Ok(waiting.map(|pairing| approving::page_of(pairing.id)))
}

fn is_fresh(claims: &Claims, now: Timestamp) -> bool {
    let by_passkey = (claims.via == Method::Passkey).then_some(claims.authenticated_at);
    let checked_at = claims.stepped_up_at.max(by_passkey);
    checked_at.is_some_and(|at| now.since(at) <= FRESH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_reads_back_and_a_changed_one_does_not() {
        let secret = ServerSecret::random();
        let offer = Offer {
            account: AccountId::random(),
            session: SessionId::random(),
            expires_at: Timestamp::from_seconds(1_000_000),
        };
        let sealed = offer.seal(&secret);
        assert_eq!(Offer::read(&sealed, &secret), Some(offer));
        assert_eq!(Offer::read(&sealed, &ServerSecret::random()), None);
        assert_eq!(Offer::read(&sealed[4..], &secret), None);
        for text in ["", "AAAA", "!"] {
            assert_eq!(Offer::read(text, &secret), None);
        }
        assert!(sealed.len() < 100, "a small picture: {}", sealed.len());
    }
}
