//! Passkeys.

use uuid::Uuid;

use super::Notice;
use crate::{
    clock::Timestamp,
    id::{AccountId, CredentialId, SessionId},
};

/// A saved passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id, unique over all accounts.
    pub id: CredentialId,
    /// Whose it is.
    pub account: AccountId,
    /// Public key, counter and flags, as the WebAuthn library keeps them (JSON). No secret.
    pub material: String,
    /// What the person calls it.
    pub label: String,
    /// The authenticator's model (WebAuthn L3 §6.5.1); `None` when it did not say.
    pub aaguid: Option<Uuid>,
    /// Whether it may be synced between devices (WebAuthn L3 §6.1.3, BE).
    pub backup_eligible: bool,
    /// Whether it is synced now (BS).
    pub backup_state: bool,
    /// When it was saved.
    pub created_at: Timestamp,
    /// When it last signed in or stepped up.
    pub last_used_at: Option<Timestamp>,
    /// What it is good for.
    pub standing: Standing,
    /// Whether the account was recovered since, and its person has not yet said that this one is still theirs.
    pub to_confirm: bool,
}

impl Credential {
    /// Whether it opens nothing any more.
    pub const fn is_frozen(&self) -> bool {
        match self.standing {
            Standing::Good | Standing::Held { .. } => false,
            Standing::Frozen { .. } => true,
        }
    }
}

/// What a passkey is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It signs in.
    Good,
    /// It was saved in a recovery and waits: until then it signs in to restricted sessions. Its first use from
    /// then on makes it good.
    Held {
        /// The end of the wait.
        until: Timestamp,
    },
    /// Somebody said that they had not saved it: it opens nothing, for good.
    Frozen {
        /// When.
        since: Timestamp,
    },
}

impl Standing {
    /// Whether it may confirm what a person does.
    pub const fn is_good(self) -> bool {
        match self {
            Self::Good => true,
            Self::Held { .. } | Self::Frozen { .. } => false,
        }
    }

    /// Whether it still waits.
    pub fn waits(self, now: Timestamp) -> bool {
        match self {
            Self::Held { until } => now < until,
            Self::Good | Self::Frozen { .. } => false,
        }
    }

    /// Whether its wait is over, so that its next use makes it good.
    pub fn has_waited(self, now: Timestamp) -> bool {
        match self {
            Self::Held { until } => now >= until,
            Self::Good | Self::Frozen { .. } => false,
        }
    }
}

/// What changes in a passkey when it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialUse {
    /// Which.
    pub id: CredentialId,
    /// Its material with the new counter and flags.
    pub material: String,
    /// Whether it is synced now.
    pub backup_state: bool,
}

/// A passkey to remove and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRemoval {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub credential: CredentialId,
    /// Every session that it opened or raised ends, but this one.
    pub keep: Option<SessionId>,
    /// Tells the person of it.
    pub notice: Option<Notice>,
}
