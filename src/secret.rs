//! Secrets: tokens that travel in links, digests that are stored in their place, keys derived from
//! `server.secret`, and sealed state.
//!
//! None of these types can be shown: `Debug` prints one fixed word and there is no `Display`. Reading one
//! is a call named `reveal`. Comparisons are in constant time.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    aead, hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A 256-bit random secret that is handed out once, in a link or a cookie.
#[derive(Clone)]
pub struct Token(Zeroizing<[u8; 32]>);

impl Token {
    /// A new one from the operating system's generator.
    pub fn random() -> Self {
        Self(Zeroizing::new(random_bytes()))
    }

    /// One that can be derived again: `digest` must be keyed by a secret of ours.
    pub fn derived(digest: &Digest) -> Self {
        Self(Zeroizing::new(*digest.bytes()))
    }

    /// As [`reveal`](Self::reveal) wrote it: 43 base64url characters.
    pub fn parse(text: &str) -> Option<Self> {
        // Checked first, so that a long hostile text is not decoded.
        if text.len() != 43 {
            return None;
        }
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        Some(Self(Zeroizing::new(bytes)))
    }

    /// The text to hand out.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0[..])
    }

    /// What is stored in its place. An unkeyed hash suffices for 256 random bits.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0[..])
    }

    /// The raw bytes, for deriving another secret from this one.
    pub fn reveal_bytes(&self) -> &[u8] {
        &self.0[..]
    }
}

/// SHA-256 or HMAC-SHA-256 of a secret: what the store holds instead of it.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// SHA-256 of `bytes`, which nobody can guess, or which need not be kept from guessers.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
        Self::from_slice(digest.as_ref()).expect("SHA-256 gives 32 bytes")
    }

    /// From its stored form; `None` unless it is 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its stored form.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// In constant time.
impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

/// The root of every key Gatehouse derives; `server.secret`.
#[derive(Clone)]
pub struct ServerSecret(Zeroizing<Vec<u8>>);

impl PartialEq for ServerSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for ServerSecret {}

impl ServerSecret {
    /// The least length accepted, in bytes: as long as the keys that are derived from it.
    pub const MIN_BYTES: usize = 32;

    /// `None` when `bytes` is shorter than [`Self::MIN_BYTES`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= Self::MIN_BYTES).then(|| Self(Zeroizing::new(bytes.to_vec())))
    }

    /// A new random one.
    pub fn random() -> Self {
        Self(Zeroizing::new(random_bytes::<32>().to_vec()))
    }

    /// The text to keep in a file, base64url: what [`new`](Self::new) takes back.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0[..])
    }

    /// The sealing key for one purpose.
    pub fn sealer(&self, purpose: Purpose) -> Sealer {
        let key = self.derive(&[purpose.label()]);
        let key = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, &key[..])
            .expect("the derived key is as long as the algorithm asks");
        Sealer(aead::LessSafeKey::new(key))
    }

    /// A sealing key for one purpose that takes a second secret, which somebody else keeps: neither is of use
    /// without the other.
    pub fn sealer_with(&self, purpose: Purpose, other: &Token) -> Sealer {
        let key = self.derive(&[purpose.label(), b"/", other.reveal_bytes()]);
        let key = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, &key[..])
            .expect("the derived key is as long as the algorithm asks");
        Sealer(aead::LessSafeKey::new(key))
    }

    /// The authentication key for one purpose.
    pub fn mac_key(&self, purpose: Purpose) -> MacKey {
        MacKey(hmac::Key::new(
            hmac::HMAC_SHA256,
            &self.derive(&[purpose.label()])[..],
        ))
    }

    /// HKDF-SHA-256 (RFC 5869) with the purpose as `info`: keys of different purposes are independent.
    fn derive(&self, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"gatehouse/1");
        let mut key = Zeroizing::new([0; 32]);
        salt.extract(&self.0)
            .expand(info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut key[..]))
            .expect("32 bytes are within HKDF's limit");
        key
    }
}

/// What a derived key is for. One key never serves two purposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Seals session signing keys in the store.
    KeyRing,
    /// Seals the keys that sign assertions in the store.
    AssertionKeys,
    /// Seals flow state that travels in the browser.
    FlowState,
    /// Seals mails waiting in the outbox.
    Outbox,
    /// Authenticates form tokens against cross-site request forgery.
    FormToken,
    /// Derives the code of a sign-in mail from its link, and digests codes.
    EmailCode,
    /// Digests backup codes.
    BackupCode,
    /// Digests the code that is typed to pair, and seals an offer to a phone.
    Pairing,
    /// Seals requests that are held until their sender has signed in.
    HeldRequest,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::KeyRing => b"key-ring",
            Self::AssertionKeys => b"assertion-keys",
            Self::FlowState => b"flow-state",
            Self::Outbox => b"outbox",
            Self::FormToken => b"form-token",
            Self::EmailCode => b"email-code",
            Self::BackupCode => b"backup-code",
            Self::Pairing => b"pairing",
            Self::HeldRequest => b"held-request",
        }
    }
}

/// An AEAD key: ChaCha20-Poly1305 with random 96-bit nonces (RFC 8439). A key seals far fewer than the
/// 2^32 messages at which random nonces become a concern.
pub struct Sealer(aead::LessSafeKey);

impl Sealer {
    /// Nonce, ciphertext and tag. `context` must be the same on opening: it ties the sealed text to where
    /// it may be used.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; 12] = random_bytes();
        let mut body = plain.to_vec();
        self.0
            .seal_in_place_append_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::from(context),
                &mut body,
            )
            .expect("a message is shorter than the cipher's limit of 256 GiB");
        let mut sealed = nonce.to_vec();
        sealed.append(&mut body);
        sealed
    }

    /// What was sealed, or `None` when anything about it differs.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, body) = sealed.split_first_chunk::<12>()?;
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        let length = self
            .0
            .open_in_place(nonce, aead::Aad::from(context), &mut body)
            .ok()?
            .len();
        body.truncate(length);
        Some(body)
    }
}

/// An HMAC-SHA-256 key (RFC 2104).
#[derive(Clone)]
pub struct MacKey(hmac::Key);

impl MacKey {
    /// The code over all `parts`, each preceded by its length so that no two lists run together.
    pub fn digest(&self, parts: &[&[u8]]) -> Digest {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        Digest::from_slice(context.sign().as_ref()).expect("HMAC-SHA-256 gives 32 bytes")
    }
}

/// `N` bytes from the operating system.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the operating system's generator answers once it has started");
    bytes
}

macro_rules! hide {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("secret")
            }
        }
    )*};
}

hide!(Token, Digest, ServerSecret, Sealer, MacKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_nothing_else_does() {
        let token = Token::random();
        let back = Token::parse(&token.reveal()).unwrap();
        assert_eq!(back.digest(), token.digest());
        assert_ne!(Token::random().digest(), token.digest());
        for bad in ["", "a", &"a".repeat(44), &"!".repeat(43)] {
            assert!(Token::parse(bad).is_none());
        }
    }

    #[test]
    fn what_was_sealed_opens_only_unchanged_in_its_context_and_purpose() {
        let secret = ServerSecret::random();
        let sealer = secret.sealer(Purpose::FlowState);
        let sealed = sealer.seal(b"here", b"plain");
        assert_eq!(&sealer.open(b"here", &sealed).unwrap()[..], b"plain");
        assert!(sealer.open(b"there", &sealed).is_none());
        assert!(
            secret
                .sealer(Purpose::Outbox)
                .open(b"here", &sealed)
                .is_none()
        );
        assert!(sealer.open(b"here", &sealed[..11]).is_none());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open(b"here", &changed).is_none());
        }
    }

    #[test]
    fn what_two_secrets_sealed_opens_with_both_alone() {
        let secret = ServerSecret::random();
        let theirs = Token::random();
        let sealer = secret.sealer_with(Purpose::HeldRequest, &theirs);
        let sealed = sealer.seal(b"here", b"plain");
        assert_eq!(&sealer.open(b"here", &sealed).unwrap()[..], b"plain");
        for other in [
            secret.sealer(Purpose::HeldRequest),
            secret.sealer_with(Purpose::HeldRequest, &Token::random()),
            secret.sealer_with(Purpose::FlowState, &theirs),
            ServerSecret::random().sealer_with(Purpose::HeldRequest, &theirs),
        ] {
            assert!(other.open(b"here", &sealed).is_none());
        }
    }

    #[test]
    fn a_mac_keeps_its_parts_apart() {
        let key = ServerSecret::random().mac_key(Purpose::FormToken);
        assert_ne!(key.digest(&[b"ab", b"c"]), key.digest(&[b"a", b"bc"]));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let secret = ServerSecret::random();
        assert_eq!(
            format!("{:?} {:?}", Token::random(), secret),
            "secret secret"
        );
    }

    #[test]
    fn a_short_server_secret_is_refused() {
        assert!(ServerSecret::new(&[1; 31]).is_none());
    }
}
