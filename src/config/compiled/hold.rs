//! What is kept of people who have to sign in first.

use std::time::Duration;

/// How much is kept, and for how long; the reference of `[hold]` says more of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldLimits {
    /// The most bytes of one body.
    pub max_body: usize,
    /// How long one is kept.
    pub lifespan: Duration,
    /// How many bytes are kept in all.
    pub room: u64,
    /// How many of them for one network.
    pub room_per_network: u64,
}
