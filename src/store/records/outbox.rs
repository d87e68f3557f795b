//! Mails waiting to be sent.

use crate::{
    clock::Timestamp,
    id::{AccountId, MailId},
};

/// A mail waiting to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxMail {
    /// Its id.
    pub id: MailId,
    /// Whose account it is about; deleting that forgets the mail.
    pub account: Option<AccountId>,
    /// Recipient and message, sealed.
    pub sealed: Vec<u8>,
    /// Not before.
    pub due_at: Timestamp,
    /// Not worth sending from then on.
    pub expires_at: Timestamp,
    /// Failed tries so far.
    pub tries: u32,
}

/// How full the outbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxState {
    /// Mails that wait.
    pub waiting: u64,
    /// When the next falls due.
    pub next_due_at: Option<Timestamp>,
    /// When the one that waits longest was put in.
    pub oldest_at: Option<Timestamp>,
}
