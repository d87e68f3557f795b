//! Recoveries that administrators grant.

use serde::Serialize;

use super::Account;
use crate::{
    clock::Timestamp,
    id::{AccountId, RecoveryId},
    secret::Digest,
    telemetry::audit::{Actor, RecoveryReason},
};

/// A recovery that an administrator asks for. Kept as long as its account, so that whoever comes with a link
/// that is over can be told of, and what was granted can be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecoveryRequest {
    /// Its id.
    pub id: RecoveryId,
    /// Whose account is to be recovered.
    pub account: AccountId,
    /// Who asks.
    pub requested_by: Actor,
    /// Why, of a list.
    pub reason: RecoveryReason,
    /// Why, in words.
    pub note: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// From then on it can neither be approved nor its link be had.
    pub expires_at: Timestamp,
    /// Who else agreed.
    pub approved_by: Option<Actor>,
}

/// The link of a recovery, about to be shown to the administrator who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryLink {
    /// Of which recovery.
    pub recovery: RecoveryId,
    /// Who collects it.
    pub by: Actor,
    /// Whether somebody else must have approved it.
    pub needs_approval: bool,
    /// Of the link's token.
    pub digest: Digest,
    /// From then on the link is worth nothing.
    pub expires_at: Timestamp,
}

/// What came of a step towards a recovery link. Anything but `Done` changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryStep {
    /// It is done.
    Done,
    /// There is no such request, or it was done before, has expired, or a newer one took its place.
    Over,
    /// Nobody approves what they asked for themselves.
    OwnRequest,
    /// Nobody approves the recovery of their own account.
    OwnAccount,
    /// Only who asked collects the link.
    OthersRequest,
    /// Another administrator has yet to approve it.
    NotApproved,
}

/// Whose a recovery link is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryLinkOwner {
    /// The account.
    pub account: Account,
    /// Whether the link can still be spent; otherwise it was used, has expired, or a newer recovery took its
    /// place.
    pub open: bool,
}
