//! A session on its way from the host where people sign in to another one.

use std::time::Duration;

use super::SessionRecord;
use crate::{
    clock::Timestamp,
    id::{AccountId, SessionId},
    network::Network,
    secret::Digest,
};

/// A code that plants a session on another host, once, in one browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handoff {
    /// Of the code.
    pub code: Digest,
    /// Of the secret in the browser's cookie on that host.
    pub browser: Digest,
    /// That host.
    pub host: String,
    /// The session that is handed on.
    pub session: SessionId,
    /// From then on the code is worth nothing.
    pub expires_at: Timestamp,
}

impl Handoff {
    /// A code is on its way for one redirect; a slow line may take that long.
    pub const LIFESPAN: Duration = Duration::from_secs(30);
}

/// A code that arrives at a host.
#[derive(Clone, Debug)]
pub struct HandoffRedemption {
    /// Of the code.
    pub code: Digest,
    /// Of the secret in the cookie that came with it.
    pub browser: Digest,
    /// The host it came to.
    pub host: String,
    /// The id of the session to plant.
    pub session: SessionId,
    /// Browser and system.
    pub device: String,
    /// Where from.
    pub network: Network,
    /// The session whose cookie the new one overwrites.
    pub left_behind: Option<SessionId>,
}

/// What came of a code. Whoever shows one up spends it: a code that has been seen elsewhere than in its own
/// browser is worth nothing from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// The planted session.
    Planted(Box<SessionRecord>),
    /// Never given out, spent or expired.
    Over,
    /// It came with another browser's secret, or with none.
    OtherBrowser(AccountId),
    /// It came to another host than it was given out for.
    OtherHost(AccountId),
    /// What was to be handed on has ended, or its account is disabled.
    SourceOver(AccountId),
}
