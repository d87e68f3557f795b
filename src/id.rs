//! Identifiers as distinct types, so that an account's id cannot be passed where a session's is meant.
//!
//! All random ids carry 122 bits from the operating system (RFC 9562 §5.4). None of them is a secret:
//! knowing a session id gives nothing without a signed token. Secrets live in [`crate::secret`].

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A new random id.
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The id written as `text`, in any form that a UUID may take.
            pub fn parse(text: &str) -> Option<Self> {
                Uuid::parse_str(text).ok().map(Self)
            }

            /// From its stored form.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Its stored form.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.simple().fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an id"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.simple())
            }
        }
    };
}

random_id!(
    /// A person's account; the `sub` of a session token.
    AccountId
);
random_id!(
    /// What authenticators store to find an account (WebAuthn L3 §5.4.3 `user.id`): random, so that it
    /// tells a reader of the authenticator nothing, and unlike the account's id in every other place.
    UserHandle
);
random_id!(
    /// One session; the `sid` of its tokens. Every change of privilege makes a new one.
    SessionId
);
random_id!(
    /// One started WebAuthn exchange; recorded as spent when it is finished.
    CeremonyId
);
random_id!(
    /// One request for a sign-in mail.
    EmailAttemptId
);
random_id!(
    /// One request of a browser to be let in from another device.
    PairingId
);
random_id!(
    /// One recovery that administrators grant.
    RecoveryId
);
random_id!(
    /// One mail in the outbox.
    MailId
);
random_id!(
    /// One request that is held until its sender has signed in.
    HeldId
);
random_id!(
    /// One request; shown on error pages, in logs and sent upstream as `X-Request-Id`.
    RequestId
);

/// A WebAuthn credential id, as its authenticator made it: 1 to 1023 bytes (WebAuthn L3 §4).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(Vec<u8>);

impl CredentialId {
    /// The longest id an authenticator may make, in bytes.
    pub const MAX_BYTES: usize = 1023;

    /// `None` when `bytes` is empty or longer than [`Self::MAX_BYTES`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (1..=Self::MAX_BYTES)
            .contains(&bytes.len())
            .then(|| Self(bytes.to_vec()))
    }

    /// From base64url without padding, as browsers and our pages write it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::new(&URL_SAFE_NO_PAD.decode(text).ok()?)
    }

    /// The raw bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialId({self})")
    }
}

impl Serialize for CredentialId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CredentialId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a credential id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_what_it_shows() {
        let id = AccountId::random();
        assert_eq!(AccountId::parse(&id.to_string()), Some(id));
        assert_eq!(AccountId::parse("not an id"), None);
    }

    #[test]
    fn a_credential_id_keeps_to_the_length_an_authenticator_may_use() {
        assert_eq!(CredentialId::new(&[]), None);
        assert_eq!(CredentialId::new(&[0; 1024]), None);
        let id = CredentialId::new(&[7; 1023]).unwrap();
        assert_eq!(CredentialId::parse(&id.to_string()), Some(id));
    }
}
