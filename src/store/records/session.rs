//! Sessions, and what starting one costs and brings with it.

use std::collections::HashMap;

use serde::Serialize;

use super::{Account, Credential, CredentialUse, Notice};
use crate::{
    clock::Timestamp,
    id::{AccountId, CeremonyId, CredentialId, EmailAttemptId, PairingId, SessionId},
    method::{Method, Proofs},
    network::Network,
    secret::Digest,
};

/// One session, as it is remembered. Its tokens are minted from this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionRecord {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// How it began.
    pub method: Method,
    /// When the person proved who they are.
    pub authenticated_at: Timestamp,
    /// Whether it is held to low-stakes operations until a passkey is saved.
    pub restricted: bool,
    /// When a fresh passkey check last raised it.
    pub stepped_up_at: Option<Timestamp>,
    /// The passkey that opened or raised it; its removal ends the session.
    pub credential: Option<CredentialId>,
    /// When this id was made.
    pub created_at: Timestamp,
    /// When it was last renewed.
    pub last_seen_at: Timestamp,
    /// From then on it is over, however much it is used.
    pub expires_at: Timestamp,
    /// Browser and system, for the person to recognise it.
    pub device: String,
    /// Where it was begun; `None` at the command line.
    pub network: Option<Network>,
    /// By which methods the person has proved who they are, in this session and those it took the place of.
    pub proofs: Proofs,
    /// The sign-in it comes from, by its first session: those that took each other's place and those that were
    /// handed to other hosts are one family, and end as one. The store knows it of a session that is replaced.
    pub family: SessionId,
    /// The host whose cookie it is; `None` where any host takes it.
    pub host: Option<String>,
}

/// The live sessions of one sign-in: one line for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Family {
    /// The newest of them.
    #[serde(flatten)]
    pub session: SessionRecord,
    /// When one of them was last used.
    pub seen_at: Timestamp,
    /// All of them.
    pub ids: Vec<SessionId>,
    /// The hosts they are of, newest first.
    pub hosts: Vec<String>,
}

impl Family {
    /// Gathers sessions by the sign-ins they come from, in the order of each one's first.
    pub fn gather(sessions: Vec<SessionRecord>) -> Vec<Self> {
        let mut families: Vec<Self> = Vec::new();
        let mut places = HashMap::new();
        for session in sessions {
            let place = *places.entry(session.family).or_insert(families.len());
            match families.get_mut(place) {
                Some(family) => family.add(session),
                None => families.push(Self {
                    seen_at: session.last_seen_at,
                    ids: vec![session.id],
                    hosts: session.host.iter().cloned().collect(),
                    session,
                }),
            }
        }
        families
    }

    fn add(&mut self, session: SessionRecord) {
        self.seen_at = self.seen_at.max(session.last_seen_at);
        self.ids.push(session.id);
        self.hosts
            .extend(session.host.filter(|host| !self.hosts.contains(host)));
    }
}

/// The proof that a session costs. Spent in the same step that starts the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spend {
    /// A finished WebAuthn exchange: recorded as spent until `expires_at`, after which its state does not
    /// open any more.
    Ceremony {
        /// Which.
        id: CeremonyId,
        /// When its state dies of itself.
        expires_at: Timestamp,
    },
    /// An exchange that saves the passkey of an invited account: both are spent.
    Invitation {
        /// Of the invitation's token.
        digest: Digest,
        /// The exchange.
        ceremony: CeremonyId,
        /// When the exchange's state dies of itself.
        ceremony_expires_at: Timestamp,
    },
    /// A link or code that was sent by mail. Spending it proves the address.
    Email {
        /// The attempt.
        attempt: EmailAttemptId,
    },
    /// A backup code of the account. The person must have them switched on.
    BackupCode {
        /// Of the code.
        digest: Digest,
    },
    /// A recovery link.
    RecoveryLink {
        /// Of the link's token.
        digest: Digest,
    },
    /// A pairing that was approved from another device, in the browser that asked for it.
    Pairing {
        /// Which.
        id: PairingId,
        /// Of the secret in that browser's cookie.
        browser: Digest,
    },
    /// An operator's word at the command line.
    Operator,
}

/// A session to start and all that happens with it.
#[derive(Clone, Debug)]
pub struct SessionStart {
    /// What it costs.
    pub spend: Spend,
    /// The session.
    pub session: SessionRecord,
    /// The session it takes the place of; must be alive and of the same account.
    pub replaces: Option<SessionId>,
    /// The account to add first: someone who enrols themselves. Its making has an audit record of its own,
    /// before that of the session.
    pub new_account: Option<Account>,
    /// A passkey to save.
    pub new_credential: Option<Credential>,
    /// Whether the account must not have had a passkey before.
    pub first_passkey: bool,
    /// A passkey that was used.
    pub credential_use: Option<CredentialUse>,
    /// The account counts as recovered with this.
    pub recovered: Option<Recovered>,
    /// Tells the person of it: what happens to an account never happens untold.
    pub notice: Option<Notice>,
}

impl SessionStart {
    /// A session, its price and nothing else.
    pub const fn new(spend: Spend, session: SessionRecord) -> Self {
        Self {
            spend,
            session,
            replaces: None,
            new_account: None,
            new_credential: None,
            first_passkey: false,
            credential_use: None,
            recovered: None,
            notice: None,
        }
    }
}

/// What a recovery does to the rest of the account: every other passkey is marked for confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Whether every other session ends.
    pub end_sessions: bool,
}

/// What came of starting a session. Anything but `Started` changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It is there.
    Started,
    /// The proof was spent, expired or superseded before.
    AlreadySpent,
    /// The account is disabled or gone.
    AccountClosed,
    /// The session to be replaced is over.
    ReplacedSessionOver,
    /// The passkey is saved already, here or in another account.
    CredentialTaken,
    /// The passkey that was used has been removed or frozen.
    CredentialGone,
    /// Somebody else has taken the login name or address of the new account.
    AccountTaken,
    /// The person has switched this way off, or recovery is blocked.
    RecoveryClosed,
    /// The passkey was to be the account's first, and it has had one.
    EnrolledBefore,
}
