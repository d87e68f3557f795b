//! Signing keys, and what other nodes must learn of.

use crate::{
    clock::Timestamp,
    id::{AccountId, SessionId},
    key_kind::KeyKind,
};

/// A signing key, sealed under `server.secret`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Its name in token headers.
    pub kid: String,
    /// What it signs.
    pub kind: KeyKind,
    /// The sealed key.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A position in the change feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangePosition(pub i64);

/// What other nodes, and this one's memory, must learn of. Ending many sessions says so of each: ids are
/// exact where moments in whole seconds are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A session ended.
    SessionEnded(SessionId),
    /// A session ended because another of the same person took its place.
    SessionReplaced {
        /// The one that ended.
        ended: SessionId,
        /// The one that lives on.
        by: SessionId,
    },
    /// An account's name, address, groups or state changed, or it is gone.
    AccountChanged(AccountId),
    /// There is a new signing key, or an old one is gone.
    KeysChanged,
}
