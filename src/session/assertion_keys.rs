//! The keys that sign assertions, and the list by which apps verify them (a JSON Web Key Set, RFC 7517).
//!
//! Apps keep the list for as long as it may be kept. So a new key is published that long before it signs, and
//! an old one until everything it signed has expired and every list that lacks it has been fetched since.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    key_kind::KeyKind,
    secret::{Purpose, ServerSecret, random_bytes},
    store::StoredKey,
};

/// How long an app may keep the list.
pub const JWKS_MAX_AGE: Duration = Duration::from_secs(300);

/// How long an assertion is good for.
pub(super) const LIFETIME: Duration = Duration::from_secs(300);

/// Clocks, and the second in which nodes hear of a key.
const SLACK: Duration = Duration::from_secs(30);

/// A new key signs when every list without it is out of date.
pub(super) const SETTLING: Duration = JWKS_MAX_AGE.saturating_add(SLACK);

/// So long after a newer key was made, an older one is of no use to anybody.
const PUBLISHED: Duration = SETTLING.saturating_add(LIFETIME).saturating_add(SLACK);

/// One ES256 key (RFC 7518 §3.4) and its name.
#[derive(Clone)]
pub struct AssertionKey {
    kid: String,
    created_at: Timestamp,
    pkcs8: Zeroizing<Vec<u8>>,
    encoding: EncodingKey,
    /// The public point, each coordinate base64url.
    x: String,
    y: String,
}

/// The keys there are, newest first; none while no app is told anything in an assertion.
#[derive(Clone, Debug, Default)]
pub struct AssertionKeys {
    keys: Arc<[AssertionKey]>,
}

/// The list of public keys.
#[derive(Debug, Serialize)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

/// One public key (RFC 7518 §6.2.1).
#[derive(Debug, Serialize)]
struct Jwk {
    kty: &'static str,
    crv: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: String,
    x: String,
    y: String,
}

impl AssertionKey {
    /// A new one.
    pub fn random(now: Timestamp) -> Self {
        let kid = URL_SAFE_NO_PAD.encode(random_bytes::<6>());
        let made =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .expect("the operating system gives random bytes");
        Self::from_parts(kid, now, Zeroizing::new(made.as_ref().to_vec()))
            .expect("a key that was made just now can be read")
    }

    fn from_parts(kid: String, created_at: Timestamp, pkcs8: Zeroizing<Vec<u8>>) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &pkcs8,
            &SystemRandom::new(),
        )
        .ok()?;
        // SEC 1 §2.3.3: 4, then the coordinates.
        let (x, y) = match pair.public_key().as_ref() {
            [4, point @ ..] if point.len() == 64 => point.split_at(32),
            _ => return None,
        };
        Some(Self {
            x: URL_SAFE_NO_PAD.encode(x),
            y: URL_SAFE_NO_PAD.encode(y),
            encoding: EncodingKey::from_ec_der(&pkcs8),
            kid,
            created_at,
            pkcs8,
        })
    }

    /// For the store.
    pub fn seal(&self, secret: &ServerSecret) -> StoredKey {
        StoredKey {
            kid: self.kid.clone(),
            kind: KeyKind::Assertion,
            sealed: secret
                .sealer(Purpose::AssertionKeys)
                .seal(self.kid.as_bytes(), &self.pkcs8),
            created_at: self.created_at,
        }
    }

    /// From the store; `None` when it was sealed under another secret.
    pub fn open(stored: &StoredKey, secret: &ServerSecret) -> Option<Self> {
        let pkcs8 = secret
            .sealer(Purpose::AssertionKeys)
            .open(stored.kid.as_bytes(), &stored.sealed)?;
        Self::from_parts(stored.kid.clone(), stored.created_at, pkcs8)
    }

    /// Its name in headers and in the list.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// When it was made.
    pub const fn created_at(&self) -> Timestamp {
        self.created_at
    }

    pub(super) fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssertionKey({})", self.kid)
    }
}

impl AssertionKeys {
    /// These keys.
    pub fn new(mut keys: Vec<AssertionKey>) -> Self {
        keys.sort_by_key(|key| std::cmp::Reverse(key.created_at));
        Self { keys: keys.into() }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The newest key that every app can know, or the oldest there is.
    pub fn signing_key(&self, now: Timestamp) -> Option<&AssertionKey> {
        self.keys
            .iter()
            .find(|key| key.created_at.plus(SETTLING) <= now)
            .or(self.keys.last())
    }

    /// What apps may verify by now.
    pub fn published(&self, now: Timestamp) -> Jwks {
        let newer = std::iter::once(None).chain(self.keys.iter().map(Some));
        let current = newer
            .zip(self.keys.iter())
            .filter(|(newer, _)| newer.is_none_or(|newer| now < newer.created_at.plus(PUBLISHED)));
        Jwks {
            keys: current.map(|(_, key)| Jwk::of(key)).collect(),
        }
    }
}

/// The moment before which a key must have been superseded for nobody to need it.
pub(super) fn unneeded_before(now: Timestamp) -> Timestamp {
    now.minus(PUBLISHED)
}

impl Jwk {
    fn of(key: &AssertionKey) -> Self {
        Self {
            kty: "EC",
            crv: "P-256",
            usage: "sig",
            alg: "ES256",
            kid: key.kid.clone(),
            x: key.x.clone(),
            y: key.y.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_key_comes_back_from_the_store_under_its_own_secret_alone() {
        let secret = ServerSecret::random();
        let key = AssertionKey::random(at(1));
        let stored = key.seal(&secret);
        let back = AssertionKey::open(&stored, &secret).unwrap();
        assert_eq!((back.kid(), &back.x, &back.y), (key.kid(), &key.x, &key.y));
        assert!(AssertionKey::open(&stored, &ServerSecret::random()).is_none());
        let renamed = StoredKey {
            kid: "other".into(),
            ..stored
        };
        assert!(AssertionKey::open(&renamed, &secret).is_none());
        assert_eq!(format!("{key:?}"), format!("AssertionKey({})", key.kid()));
    }

    #[test]
    fn a_new_key_is_published_before_it_signs_and_an_old_one_after_it_has_signed() {
        let (old, new) = (AssertionKey::random(at(0)), AssertionKey::random(at(1000)));
        let alone = AssertionKeys::new(vec![old.clone()]);
        assert_eq!(alone.signing_key(at(0)).unwrap().kid(), old.kid());
        let keys = AssertionKeys::new(vec![old.clone(), new.clone()]);
        for (now, signs, published) in [
            (1000, &old, &[&new, &old][..]),
            (1329, &old, &[&new, &old]),
            (1330, &new, &[&new, &old]),
            (1659, &new, &[&new, &old]),
            (1660, &new, &[&new]),
        ] {
            assert_eq!(
                keys.signing_key(at(now)).unwrap().kid(),
                signs.kid(),
                "{now}"
            );
            let kids: Vec<_> = keys
                .published(at(now))
                .keys
                .into_iter()
                .map(|key| key.kid)
                .collect();
            let expected: Vec<_> = published.iter().map(|key| key.kid().to_owned()).collect();
            assert_eq!(kids, expected, "{now}");
        }
        assert!(AssertionKeys::default().signing_key(at(0)).is_none());
    }
}
