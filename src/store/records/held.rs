//! Requests that wait until their sender has signed in.

use std::{fmt, time::Duration};

use crate::{
    clock::Timestamp,
    id::{AccountId, HeldId},
    network::Network,
    secret::Digest,
};

/// A request to keep. What it says is sealed; the store can tell only how much it is.
#[derive(Clone, PartialEq, Eq)]
pub struct HeldRequest {
    /// Its id.
    pub id: HeldId,
    /// Of the secret in the cookie of the browser that sent it.
    pub browser: Digest,
    /// Whose session sent it, if it had one.
    pub account: Option<AccountId>,
    /// Where from.
    pub network: Network,
    /// Since when it is kept.
    pub held_at: Timestamp,
    /// From then on it is over.
    pub expires_at: Timestamp,
    /// What it is, sealed.
    pub summary: Vec<u8>,
    /// Its body, sealed.
    pub body: Vec<u8>,
}

impl HeldRequest {
    /// What even an empty one counts for, so that many small ones do not fill the store beside the room.
    pub const MIN_SIZE: u64 = 4096;

    /// How long the store remembers what became of one that is over.
    pub const REMEMBERED_FOR: Duration = Duration::from_secs(60 * 60);

    /// How much of the room it takes.
    pub fn size(&self) -> u64 {
        let bytes = self.summary.len() + self.body.len();
        (bytes as u64).max(Self::MIN_SIZE)
    }
}

/// Sealed or not, it is nobody's business.
impl fmt::Debug for HeldRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeldRequest({}, {} bytes)", self.id, self.size())
    }
}

/// How many bytes may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldRoom {
    /// In all.
    pub total: u64,
    /// For one network.
    pub per_network: u64,
}

/// What came of asking to keep a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept.
    Kept,
    /// There is no room for it.
    NoRoom,
}

/// A kept request as its browser finds it.
#[derive(Clone, PartialEq, Eq)]
pub struct HeldLook {
    /// What has become of it.
    pub state: HeldState,
    /// Whose session sent it, if it had one.
    pub account: Option<AccountId>,
    /// Since when it is kept.
    pub held_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// What it is, sealed; empty when it does not wait any more.
    pub summary: Vec<u8>,
}

impl fmt::Debug for HeldLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeldLook({:?} until {})", self.state, self.expires_at)
    }
}

/// What has become of a kept request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldState {
    /// It waits to be sent.
    Waiting,
    /// It was taken to be sent.
    Taken,
    /// Its sender did not want it sent.
    Discarded,
    /// Its time is over.
    Expired,
}

/// What came of taking a kept request.
#[derive(Clone, PartialEq, Eq)]
pub enum Take {
    /// Its body, sealed: it is the taker's to send, and nobody else's.
    Taken(Vec<u8>),
    /// It does not wait any more.
    Over(HeldState),
    /// This browser has none of this id, or the store has forgotten it.
    Unknown,
}

impl fmt::Debug for Take {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(_) => f.write_str("Taken"),
            Self::Over(state) => write!(f, "Over({state:?})"),
            Self::Unknown => f.write_str("Unknown"),
        }
    }
}
