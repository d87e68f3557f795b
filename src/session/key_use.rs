//! What the stored signing keys are used for at a moment, for an operator to see.

use serde::Serialize;

use super::{assertion_keys, key_ring};
use crate::{clock::Timestamp, key_kind::KeyKind, store::StoredKey};

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyUse {
    /// Nothing yet: it signs when everybody knows it.
    Settling,
    /// It signs.
    Signing,
    /// What it signed goes on being verified.
    Verifying,
}

impl KeyUse {
    /// The name at the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settling => "settling",
            Self::Signing => "signing",
            Self::Verifying => "verifying",
        }
    }
}

/// Of each of these keys, newest first, as the store lists them.
pub fn key_uses(keys: &[StoredKey], now: Timestamp) -> Vec<KeyUse> {
    let signing = |kind: KeyKind| {
        let settling = match kind {
            KeyKind::Session => key_ring::SETTLING,
            KeyKind::Assertion => assertion_keys::SETTLING,
        };
        let of_kind = || (0..keys.len()).filter(|at| keys[*at].kind == kind);
        let settled = of_kind().find(|at| keys[*at].created_at.plus(settling) <= now);
        settled.or(of_kind().next_back())
    };
    let signing = KeyKind::ALL.map(|kind| (kind, signing(kind)));
    keys.iter()
        .enumerate()
        .map(|(at, key)| {
            let signs = signing
                .iter()
                .find(|(kind, _)| *kind == key.kind)
                .and_then(|(_, at)| *at);
            match signs {
                Some(signs) if at == signs => KeyUse::Signing,
                Some(signs) if at < signs => KeyUse::Settling,
                Some(_) | None => KeyUse::Verifying,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_kind_one_key_signs() {
        let key = |kind, created_at| StoredKey {
            kid: "k".into(),
            kind,
            sealed: Vec::new(),
            created_at: Timestamp::from_seconds(created_at),
        };
        let keys = [
            key(KeyKind::Session, 100),
            key(KeyKind::Assertion, 100),
            key(KeyKind::Session, 50),
            key(KeyKind::Assertion, 40),
            key(KeyKind::Session, 0),
        ];
        let uses = |now| key_uses(&keys, Timestamp::from_seconds(now));
        use KeyUse::{Settling, Signing, Verifying};
        assert_eq!(uses(100), [Settling, Settling, Signing, Signing, Verifying]);
        assert_eq!(
            uses(103),
            [Signing, Settling, Verifying, Signing, Verifying]
        );
        assert_eq!(
            uses(430),
            [Signing, Signing, Verifying, Verifying, Verifying]
        );
        assert_eq!(
            key_uses(&keys[..1], Timestamp::from_seconds(100)),
            [Signing]
        );
    }
}
