//! Devices that ask to be let in from another one.

use std::time::Duration;

use super::{CredentialUse, Notice};
use crate::{
    clock::Timestamp,
    id::{AccountId, CeremonyId, PairingId, SessionId},
    network::Network,
    secret::Digest,
};

/// A browser that asks to be let in from another device, and how far that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// Its id.
    pub id: PairingId,
    /// Of the secret in the cookie of the browser that asks; it alone is let in.
    pub browser: Digest,
    /// Of the token in the link that its picture holds.
    pub link: Digest,
    /// Of the code that people type.
    pub code: Digest,
    /// What the browser shows and the approver types: it tells this request from that of somebody else.
    pub number: u8,
    /// Browser and system that ask.
    pub device: String,
    /// Where they are.
    pub network: Network,
    /// Where the person was going: a path of this host.
    pub return_to: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// From then on it is worth nothing.
    pub expires_at: Timestamp,
    /// The session whose person asked for it, showing their own phone the way.
    pub offered_by: Option<SessionId>,
    /// The one account that may approve it: of the session that offered it, else of who looked first.
    pub account: Option<AccountId>,
    /// When that was.
    pub seen_at: Option<Timestamp>,
    /// Wrong numbers that were typed.
    pub wrong_numbers: u32,
    /// When it was approved.
    pub approved_at: Option<Timestamp>,
    /// When it was said no to, or met its last wrong number.
    pub refused_at: Option<Timestamp>,
    /// When its browser got its session.
    pub spent_at: Option<Timestamp>,
    /// Whether its browser has asked anew since.
    pub superseded: bool,
}

impl Pairing {
    /// Wrong numbers that end it: with 90 numbers, whoever has the passkey but not the other screen succeeds
    /// once in 45 times, and only by confirming each time with that passkey.
    pub const MAX_WRONG_NUMBERS: u32 = 2;

    /// How many may be open at once, over all browsers: strangers fill no disk. This crate's own tests reach it.
    pub const MAX_OPEN: u32 = if cfg!(test) { 100 } else { 10_000 };

    /// "A short time" between two requests to one account.
    pub const SHORT: Duration = Duration::from_secs(10 * 60);

    /// How long an account lets nobody in after several requests in a short time.
    pub const BLOCK: Duration = Duration::from_secs(15 * 60);

    /// How far it has come.
    pub fn standing(&self, now: Timestamp) -> PairingStanding {
        if self.refused_at.is_some() {
            PairingStanding::Refused
        } else if self.superseded || self.spent_at.is_some() || self.expires_at <= now {
            PairingStanding::Over
        } else if self.approved_at.is_some() {
            PairingStanding::Approved
        } else if self.seen_at.is_some() {
            PairingStanding::Seen
        } else {
            PairingStanding::Waiting
        }
    }
}

/// How far a pairing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairingStanding {
    /// Nobody has looked at it.
    Waiting,
    /// Somebody is looking at it on another device.
    Seen,
    /// It was approved; its browser may fetch its session.
    Approved,
    /// It was said no to.
    Refused,
    /// It has expired, was used, or its browser has asked anew.
    Over,
}

/// How to find a pairing.
#[derive(Clone, Debug)]
pub enum PairingKey {
    /// By id.
    Id(PairingId),
    /// By the token of its link.
    Link(Digest),
    /// By the code that people type.
    Code(Digest),
    /// The newest of a browser.
    Browser(Digest),
    /// The newest that a session offered.
    OfferedBy(SessionId),
}

/// Somebody looks, in a full session, at a pairing that they may approve.
#[derive(Clone, Debug)]
pub struct PairingClaim {
    /// Which.
    pub pairing: PairingId,
    /// Whose session.
    pub account: AccountId,
    /// Tells the person if this was one request too many.
    pub notice: Option<Notice>,
}

/// What came of looking at a pairing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is this account's to approve.
    Yours(Box<Pairing>),
    /// It is over, or another account's.
    Over,
    /// It is one too many in a short time: it has ended, and so has every other one of the account; none is
    /// let in for [`Pairing::BLOCK`].
    NowBlocked,
    /// None is let in since a moment ago.
    Blocked,
}

/// The approval of a pairing.
#[derive(Clone, Debug)]
pub struct PairingApproval {
    /// Which.
    pub pairing: PairingId,
    /// By whom.
    pub account: AccountId,
    /// In which session; it must be full and alive.
    pub approver: SessionId,
    /// The number they typed.
    pub number: u8,
    /// The passkey check that was made for this pairing; right or wrong, it is spent.
    pub ceremony: CeremonyId,
    /// When the exchange's state dies of itself.
    pub ceremony_expires_at: Timestamp,
    /// The passkey that was used; it must be a good one.
    pub used: CredentialUse,
}

/// What came of approving. Anything but `Approved` and `WrongNumber` changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approved {
    /// Its browser may fetch its session.
    Approved,
    /// Not the number that the other device shows; so many more may be tried.
    WrongNumber {
        /// At 0 the pairing is over.
        left: u32,
    },
    /// It is over, another account's, or approved already.
    Over,
    /// The passkey check was spent before.
    AlreadySpent,
    /// The approver's session is over or restricted, or the account is closed.
    NoApprover,
    /// The passkey has been removed or frozen, or is held.
    CredentialGone,
}
