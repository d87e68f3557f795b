//! Accounts: who they are, what may recover them, and the invitations to them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    email_address::EmailAddress,
    id::{AccountId, UserHandle},
    secret::Digest,
};

/// A person's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What authenticators know it by.
    pub user_handle: UserHandle,
    /// The login name, unique: the address unless one was given.
    pub login: String,
    /// The address, unique, if there is one. An operator gave it or the person proved it; there is no third
    /// way in, so policy and upstreams may rely on it.
    pub email: Option<EmailAddress>,
    /// When the address was proved by a link or code sent there; `None` while only an
    /// operator's word stands for it.
    pub email_verified_at: Option<Timestamp>,
    /// The person's name for pages and `Remote-Name`.
    pub name: Option<String>,
    /// Group names, sorted, without duplicates.
    pub groups: Vec<String>,
    /// Whether it may sign in.
    pub state: AccountState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its first passkey was saved, ever. From then on saving one without having one at hand is a
    /// recovery, however many are left.
    pub enrolled_at: Option<Timestamp>,
    /// How it may be recovered.
    pub recovery: Recovery,
    /// No reminder of a missing backup is shown after a sign-in before this moment.
    pub remind_at: Option<Timestamp>,
}

impl Account {
    /// Consecutive failures that close a way in until it is bound anew (NIST SP 800-63B-4 §3.2.2 allows no
    /// more than 100).
    pub const MAX_FAILURES: u32 = 100;

    /// How long after its first passkey an account is not reminded of a second one: that was just offered.
    pub const FIRST_REMINDER: Duration = Duration::from_hours(7 * 24);
}

/// What a person lets recover their account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryChoice {
    /// Mails.
    pub by_email: bool,
    /// Backup codes.
    pub by_backup_codes: bool,
}

/// The backup codes of an account, without the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BackupCodes {
    /// When they were made, all at once.
    pub made_at: Timestamp,
    /// How many are not used yet.
    pub left: u32,
    /// How many were made.
    pub total: u32,
    /// Whether too many wrong ones in a row have closed this way until new ones are made.
    pub closed: bool,
}

/// What came of trying a backup code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupCodeTry {
    /// It is right; it is still to be spent.
    Right {
        /// How many others are not used yet.
        left: u32,
    },
    /// It is wrong or was used before; so many more in a row may be.
    Wrong {
        /// At 0 this one has closed the way until new ones are made.
        left: u32,
    },
    /// None can be right: the way is closed, or there is no unused code.
    Over,
}

/// How an account may be recovered without an administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// Whether its person lets mails sign in.
    pub by_email: bool,
    /// Whether its person lets backup codes sign in.
    pub by_backup_codes: bool,
    /// Since somebody said of a recovery "this was not me", neither does, until a passkey or an administrator
    /// lifts that.
    pub blocked_at: Option<Timestamp>,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            by_email: true,
            by_backup_codes: true,
            blocked_at: None,
        }
    }
}

impl Recovery {
    /// Whether a mail may sign in.
    pub const fn admits_email(self) -> bool {
        self.by_email && self.blocked_at.is_none()
    }

    /// Whether a backup code may sign in.
    pub const fn admits_backup_codes(self) -> bool {
        self.by_backup_codes && self.blocked_at.is_none()
    }
}

/// Whether an account may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// It may.
    Active,
    /// It may not, and has no session.
    Disabled,
}

/// Whether `text` may name a group. Upstreams get groups as a comma-separated header.
pub fn is_group(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:@".contains(&byte))
}

/// What came of adding an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// It was added.
    Created,
    /// Another account has this login name.
    LoginTaken,
    /// Another account has this address.
    EmailTaken,
}

/// A one-time link by which an account's first passkey is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Of the link's token.
    pub digest: Digest,
    /// From then on it is worth nothing.
    pub expires_at: Timestamp,
}
