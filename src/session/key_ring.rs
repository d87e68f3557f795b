//! The keys that sign session tokens. New tokens are signed with the newest key; older keys go on
//! verifying until the last session signed with them is over, so rotation signs nobody out. An expired token of
//! a live session still counts: it is renewed, however long its browser was away.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    key_kind::KeyKind,
    secret::{Purpose, ServerSecret, random_bytes},
    store::StoredKey,
};

/// A new key signs only when every node has surely heard of it: nodes follow the change feed at least
/// once a second.
pub(super) const SETTLING: Duration = Duration::from_secs(3);

/// One HS256 key (RFC 7518 §3.2: as long as the hash) and its name.
#[derive(Clone)]
pub struct Key {
    kid: String,
    created_at: Timestamp,
    bytes: Zeroizing<[u8; 32]>,
    encoding: EncodingKey,
    decoding: DecodingKey,
    /// The header of every token that this key signs, encoded: always the same text.
    header: String,
}

/// The keys in force, newest first; never empty.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<[Key]>,
}

impl Key {
    /// A new one.
    pub fn random(now: Timestamp) -> Self {
        let kid = URL_SAFE_NO_PAD.encode(random_bytes::<6>());
        Self::from_parts(kid, now, Zeroizing::new(random_bytes()))
    }

    fn from_parts(kid: String, created_at: Timestamp, bytes: Zeroizing<[u8; 32]>) -> Self {
        Self {
            header: URL_SAFE_NO_PAD
                .encode(serde_json::to_vec(&header(&kid)).expect("a header is plain strings")),
            encoding: EncodingKey::from_secret(&bytes[..]),
            decoding: DecodingKey::from_secret(&bytes[..]),
            kid,
            created_at,
            bytes,
        }
    }

    /// For the store.
    pub fn seal(&self, secret: &ServerSecret) -> StoredKey {
        StoredKey {
            kid: self.kid.clone(),
            kind: KeyKind::Session,
            sealed: secret
                .sealer(Purpose::KeyRing)
                .seal(self.kid.as_bytes(), &self.bytes[..]),
            created_at: self.created_at,
        }
    }

    /// From the store; `None` when it was sealed under another secret.
    pub fn open(stored: &StoredKey, secret: &ServerSecret) -> Option<Self> {
        let bytes = secret
            .sealer(Purpose::KeyRing)
            .open(stored.kid.as_bytes(), &stored.sealed)?;
        let bytes = <[u8; 32]>::try_from(&bytes[..]).ok()?;
        Some(Self::from_parts(
            stored.kid.clone(),
            stored.created_at,
            Zeroizing::new(bytes),
        ))
    }

    /// Its name in token headers.
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

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}

/// The header of the tokens of one key: one algorithm, and an explicit type, so that no token of another
/// purpose is taken for one (RFC 8725 §3.1, §3.11).
pub(super) fn header(kid: &str) -> Header {
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some(TYPE.to_owned());
    header.kid = Some(kid.to_owned());
    header
}

const TYPE: &str = "gatehouse-session+jwt";

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.kid)
    }
}

impl KeyRing {
    /// # Panics
    /// When `keys` is empty: a gateway without a key must not have started.
    pub fn new(mut keys: Vec<Key>) -> Self {
        assert!(!keys.is_empty(), "a key ring holds at least one key");
        keys.sort_by_key(|key| std::cmp::Reverse(key.created_at));
        Self { keys: keys.into() }
    }

    /// The key that signs tokens with exactly this header.
    pub(super) fn of_header(&self, header: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.header == header)
    }

    /// The newest key that has settled, or the oldest there is.
    pub fn signing_key(&self, now: Timestamp) -> &Key {
        self.keys
            .iter()
            .find(|key| key.created_at.plus(SETTLING) <= now)
            .unwrap_or(&self.keys[self.keys.len() - 1])
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
        let key = Key::random(at(1));
        let stored = key.seal(&secret);
        let back = Key::open(&stored, &secret).unwrap();
        assert_eq!((back.kid(), &back.bytes), (key.kid(), &key.bytes));
        assert!(Key::open(&stored, &ServerSecret::random()).is_none());
        let renamed = StoredKey {
            kid: "other".into(),
            ..stored
        };
        assert!(Key::open(&renamed, &secret).is_none());
    }

    #[test]
    fn a_new_key_verifies_at_once_and_signs_when_it_has_settled() {
        let (old, new) = (Key::random(at(0)), Key::random(at(100)));
        let ring = KeyRing::new(vec![old.clone(), new.clone()]);
        assert!(
            [&old, &new]
                .iter()
                .all(|key| ring.of_header(&key.header).is_some())
        );
        assert_eq!(ring.signing_key(at(102)).kid(), old.kid());
        assert_eq!(ring.signing_key(at(103)).kid(), new.kid());
        assert_eq!(
            KeyRing::new(vec![new.clone()]).signing_key(at(100)).kid(),
            new.kid()
        );
    }
}
