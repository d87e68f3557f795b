//! A started WebAuthn exchange: its state travels sealed in the page and is worth something only in the
//! browser that began it, for what it was begun for, for five minutes, once.
//!
//! Nothing is stored until the exchange is finished: a stranger who starts a million costs no memory.
//! Replaying a state would succeed for synced passkeys, whose counter stays at zero; recording the
//! ceremony as spent in the step that starts the session is what makes it single-use.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    clock::Timestamp,
    id::{CeremonyId, PairingId},
    relying_party::CEREMONY_LIFESPAN,
    secret::{Purpose, ServerSecret},
    web::browser::Browser,
};

/// What an exchange is for. A state of one kind does not open as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sign in.
    SignIn,
    /// Save a passkey.
    Enrol,
    /// Step up.
    StepUp,
    /// Approve this one pairing.
    Pairing(PairingId),
}

/// An exchange that was begun.
#[derive(Serialize, Deserialize)]
pub struct Ceremony<S> {
    /// Which.
    pub id: CeremonyId,
    /// From then on it is worth nothing.
    pub expires_at: Timestamp,
    /// What its end is checked against.
    pub state: S,
}

impl<S: Serialize + DeserializeOwned> Ceremony<S> {
    /// Begins one.
    pub fn begin(state: S, now: Timestamp) -> Self {
        Self {
            id: CeremonyId::random(),
            expires_at: now.plus(CEREMONY_LIFESPAN),
            state,
        }
    }

    /// What the page keeps meanwhile; `None` if the state does not serialise.
    pub fn seal(&self, kind: Kind, browser: &Browser, secret: &ServerSecret) -> Option<String> {
        let plain = serde_json::to_vec(self).ok()?;
        let sealed = secret
            .sealer(Purpose::FlowState)
            .seal(&context(kind, browser), &plain);
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The exchange this browser began for this purpose, if it has not expired.
    pub fn open(
        sealed: &str,
        kind: Kind,
        browser: &Browser,
        secret: &ServerSecret,
        now: Timestamp,
    ) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let plain = secret
            .sealer(Purpose::FlowState)
            .open(&context(kind, browser), &sealed)?;
        let ceremony: Self = serde_json::from_slice(&plain).ok()?;
        (now < ceremony.expires_at).then_some(ceremony)
    }
}

fn context(kind: Kind, browser: &Browser) -> Vec<u8> {
    let (label, of): (&[u8], uuid::Bytes) = match kind {
        Kind::SignIn => (b"ceremony/sign-in", [0; 16]),
        Kind::Enrol => (b"ceremony/enrol", [0; 16]),
        Kind::StepUp => (b"ceremony/step-up", [0; 16]),
        Kind::Pairing(pairing) => (b"ceremony/pairing", pairing.uuid().into_bytes()),
    };
    [label, &of, browser.digest().bytes()].concat()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;

    #[test]
    fn a_ceremony_opens_in_its_browser_for_its_purpose_in_time() {
        let secret = ServerSecret::random();
        let browser = Browser::of(&HeaderMap::new());
        let other = Browser::of(&HeaderMap::new());
        let now = Timestamp::from_seconds(1000);
        let ceremony = Ceremony::begin("state".to_owned(), now);
        let sealed = ceremony.seal(Kind::SignIn, &browser, &secret).unwrap();
        let open =
            |kind, browser, now| Ceremony::<String>::open(&sealed, kind, browser, &secret, now);
        assert_eq!(open(Kind::SignIn, &browser, now).unwrap().state, "state");
        assert!(
            open(Kind::StepUp, &browser, now).is_none(),
            "another purpose"
        );
        assert!(open(Kind::SignIn, &other, now).is_none(), "another browser");
        let pairing = Kind::Pairing(PairingId::random());
        let sealed = ceremony.seal(pairing, &browser, &secret).unwrap();
        let open_as = |kind| Ceremony::<String>::open(&sealed, kind, &browser, &secret, now);
        assert!(open_as(pairing).is_some());
        let another = Kind::Pairing(PairingId::random());
        assert!(open_as(another).is_none(), "another pairing");
        assert!(
            open(Kind::SignIn, &browser, now.plus(CEREMONY_LIFESPAN)).is_none(),
            "too late"
        );
    }
}
