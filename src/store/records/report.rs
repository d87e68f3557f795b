//! Notices, and what their *this was not me* stops.

use super::{Credential, OutboxMail};
use crate::{
    clock::Timestamp,
    id::{AccountId, CredentialId, SessionId},
    secret::Digest,
};

/// What tells a person of something that happened to their account, kept in the step that makes it happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// One mail to each address that is told.
    pub mails: Vec<OutboxMail>,
    /// What the mails' *this was not me* stops.
    pub report: Option<Report>,
}

/// The other end of a notice's *this was not me*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of the link's token.
    pub digest: Digest,
    /// Whose account.
    pub account: AccountId,
    /// What is stopped.
    pub suspect: Suspect,
    /// What the notice told, in a sentence.
    pub about: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is worth nothing.
    pub expires_at: Timestamp,
}

/// What somebody who was not the person may have got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspect {
    /// A passkey, to be frozen.
    pub credential: Option<CredentialId>,
    /// A session, to be ended.
    pub session: Option<SessionId>,
}

/// What is left of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportState {
    /// It can be said. The suspect's session is the first of the sign-in that it grew from.
    Open(Box<Report>),
    /// It was said already, about this account.
    Said(AccountId),
    /// It has expired, or there never was one.
    Over,
}

/// A "this was not me", and all that is stopped by it: the suspect passkey, every other that was saved in the
/// same sign-in or in one that such a passkey opened, their sessions, every restricted session, and recovery by
/// mail and backup codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Whose account.
    pub account: AccountId,
    /// By what right.
    pub ground: StopGround,
    /// To the person and to the administrators.
    pub mails: Vec<OutboxMail>,
}

/// By what right something is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopGround {
    /// A notice's link, which is spent.
    Report(Digest),
    /// A full session of the account, which is kept with the passkey that opened it.
    Session {
        /// Which.
        session: SessionId,
        /// The passkey that its person has not saved.
        suspect: CredentialId,
    },
}

/// What was stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stopped {
    /// The passkeys that were frozen, oldest first.
    pub passkeys: Vec<Credential>,
    /// How many sessions ended.
    pub sessions: u64,
}
