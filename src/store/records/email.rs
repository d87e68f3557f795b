//! Mails with a link and a code, to sign in or to prove a new address.

use super::Notice;
use crate::{
    clock::Timestamp,
    email_address::EmailAddress,
    id::{AccountId, EmailAttemptId},
    secret::Digest,
};

/// A request for a sign-in mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailAttempt {
    /// Its id.
    pub id: EmailAttemptId,
    /// Whose; `None` when the address is to become a new account.
    pub account: Option<AccountId>,
    /// Where the mail goes.
    pub email: EmailAddress,
    /// Of the link's token.
    pub link: Digest,
    /// Of the code.
    pub code: Digest,
    /// Of the secret in the cookie of the browser that asked.
    pub browser: Digest,
    /// What it is for.
    pub purpose: EmailPurpose,
    /// Where the person was going: a path of this host.
    pub return_to: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// From then on it is worth nothing.
    pub expires_at: Timestamp,
}

/// What a link and code in a mail are for. One of one kind is worth nothing for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailPurpose {
    /// Signing in.
    SignIn,
    /// Giving the account this address.
    Address,
}

impl EmailAttempt {
    /// Wrong codes that end an attempt: with 10^8 codes, five guesses succeed once in 20 million attempts
    /// (NIST SP 800-63B-4 §3.2.2 asks for throttling of codes under 64 bits).
    pub const MAX_WRONG_CODES: u32 = 5;
}

/// A new address of an account, proved by a mail that went there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressChange {
    /// What it costs; must have gone to this address for this account.
    pub attempt: EmailAttemptId,
    /// Whose.
    pub account: AccountId,
    /// The address.
    pub email: EmailAddress,
    /// Tells the person of it, at the old address and the new one.
    pub notice: Option<Notice>,
}

/// What came of changing an address. Anything but `Changed` changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressChanged {
    /// It is the account's.
    Changed,
    /// The proof was spent, expired or superseded before, or is for something else.
    AlreadySpent,
    /// Another account has it.
    Taken,
    /// The account is disabled or gone.
    AccountClosed,
}

/// What came of trying a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeTry {
    /// It is right; the attempt is still to be spent.
    Right(Box<EmailAttempt>),
    /// It is wrong; so many more may be tried.
    Wrong {
        /// At 0 the attempt is over.
        left: u32,
    },
    /// It is wrong, and the [`Account::MAX_FAILURES`](super::Account::MAX_FAILURES)th in a row for its account: from now on none of the
    /// account's codes is looked at, and only links sign in, until one has.
    Closing,
    /// The account's codes are not looked at any more. The attempt's link is as good as before.
    Closed,
    /// The attempt is over: used, expired, superseded, of another browser, too many wrong codes, or none.
    Over,
}
