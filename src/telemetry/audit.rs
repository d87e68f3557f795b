//! The audit log: one closed set of events, each written in the same transaction as what it tells of.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{
    clock::Timestamp,
    id::{AccountId, CredentialId, PairingId, RecoveryId, RequestId, SessionId},
    key_kind::KeyKind,
    method::Method,
    network::Network,
};

/// What happened, to whom, when, and where from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// Whose account; `None` when no account is concerned or known.
    pub account: Option<AccountId>,
    /// The network the request came from; `None` at the command line.
    pub network: Option<Network>,
    /// The request; `None` at the command line.
    pub request: Option<RequestId>,
    /// Who did it, where that is not whoever the account belongs to or a stranger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// What.
    #[serde(flatten)]
    pub event: AuditEvent,
}

/// Everything that matters to an account holder or an auditor. No secret, no address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AuditEvent {
    /// An account was made.
    AccountCreated {
        /// How.
        by: Origin,
    },
    /// A one-time enrolment link was issued.
    Invited {
        /// Whether it was also mailed.
        mailed: bool,
    },
    /// An account may no longer sign in; its sessions ended.
    AccountDisabled,
    /// An account may sign in again.
    AccountEnabled,
    /// An account and all it had is gone.
    AccountDeleted,
    /// A sign-in mail was accepted for sending.
    SignInMailRequested,
    /// Somebody signed in.
    SignedIn {
        /// How.
        method: Method,
        /// The new session.
        session: SessionId,
        /// Whether it is restricted until re-enrolment.
        restricted: bool,
    },
    /// A sign-in was refused.
    SignInRefused {
        /// The method tried.
        method: Method,
        /// Why.
        reason: Refusal,
    },
    /// A passkey was saved; the session's restriction, if any, was lifted, unless the passkey waits.
    PasskeyEnrolled {
        /// The new passkey.
        credential: CredentialId,
        /// The session it gave.
        session: SessionId,
        /// The end of its wait, if it was saved in a recovery that has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held_until: Option<Timestamp>,
    },
    /// Saving a passkey was refused.
    EnrolmentRefused {
        /// Why.
        reason: Refusal,
    },
    /// A passkey's label was changed.
    PasskeyRenamed {
        /// Which.
        credential: CredentialId,
    },
    /// A passkey was removed and the sessions it opened ended.
    PasskeyRemoved {
        /// Which.
        credential: CredentialId,
    },
    /// A fresh user-verified assertion raised a session.
    SteppedUp {
        /// The new session id.
        session: SessionId,
    },
    /// A step-up was refused.
    StepUpRefused {
        /// Why.
        reason: Refusal,
    },
    /// A person signed out.
    SignedOut {
        /// Of which session.
        session: SessionId,
    },
    /// A person signed out everywhere.
    SignedOutEverywhere,
    /// An operator ended sessions.
    SessionsRevoked {
        /// Which.
        scope: RevocationScope,
    },
    /// An operator issued a session at the command line.
    SessionIssued {
        /// The session.
        session: SessionId,
    },
    /// New backup codes were made; older ones no longer work.
    BackupCodesMade {
        /// How many.
        count: u32,
    },
    /// A hundred wrong backup codes in a row: none works until new ones are made.
    BackupCodesClosed,
    /// A hundred wrong mail codes in a row: only links sign in until one has.
    EmailCodesClosed,
    /// The person chose what may recover the account.
    WaysBackChosen {
        /// Mails.
        by_email: bool,
        /// Backup codes.
        by_backup_codes: bool,
    },
    /// An older passkey was confirmed after a recovery.
    PasskeyConfirmed {
        /// Which.
        credential: CredentialId,
    },
    /// Somebody looked, in a session of the account, at a device that asks to be let in.
    PairingSeen {
        /// Which.
        pairing: PairingId,
    },
    /// A device was let in from another one.
    PairingApproved {
        /// Which.
        pairing: PairingId,
    },
    /// A device was not let in.
    PairingRefused {
        /// Why.
        reason: Refusal,
    },
    /// Several devices asked in a short time: none is let in for a while.
    PairingBlocked,
    /// An administrator asked for a recovery.
    RecoveryRequested {
        /// Which.
        recovery: RecoveryId,
        /// Why, of a list.
        reason: RecoveryReason,
        /// Why, in words.
        note: String,
    },
    /// A second administrator approved a recovery.
    RecoveryApproved {
        /// Which.
        recovery: RecoveryId,
    },
    /// A recovery link was shown to an administrator.
    RecoveryLinkIssued {
        /// Which.
        recovery: RecoveryId,
    },
    /// Somebody said "this was not me": what it was about is frozen, recovery is blocked.
    Reported {
        /// The passkey that was frozen.
        credential: Option<CredentialId>,
    },
    /// A "this was not me" was refused.
    ReportRefused {
        /// Why.
        reason: Refusal,
    },
    /// An administrator may not do this.
    AdministrationRefused {
        /// Why.
        reason: Refusal,
    },
    /// Recovery is allowed again after a "this was not me".
    RecoveryAllowed,
    /// A change of address was begun; a mail went to the new one.
    AddressChangeRequested,
    /// The account has a new, proved address.
    AddressChanged,
    /// A change of address was refused.
    AddressChangeRefused {
        /// Why.
        reason: Refusal,
    },
    /// A session was handed on to another host.
    SessionHandedOn {
        /// The session planted there.
        session: SessionId,
        /// Which host.
        host: String,
    },
    /// A session was not handed on to another host.
    HandoffRefused {
        /// Why.
        reason: Refusal,
        /// Which host, where it is one of ours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
    },
    /// There is a new signing key.
    KeyRotated {
        /// Its key id.
        kid: String,
        /// What it signs; sessions, in records of the time when there was nothing else.
        #[serde(default)]
        kind: KeyKind,
    },
}

/// Who acted on another's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// An administrator, by their account.
    Administrator(AccountId),
    /// Whoever works at the command line, by the name they gave, if any.
    CommandLine(Option<String>),
}

/// Who made an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An operator's invitation.
    Invitation,
    /// The person, by verifying an address that may enrol itself.
    SelfEnrolment,
}

/// Why administrators recover an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryReason {
    /// The device is lost or stolen.
    LostDevice,
    /// The device is broken or was replaced.
    BrokenDevice,
    /// The passkey is gone or does not work.
    PasskeyGone,
    /// Neither mailbox nor codes can be reached.
    NoOtherWay,
    /// Something else, told in the note.
    Other,
}

impl RecoveryReason {
    /// All of them, as they are offered.
    pub const ALL: [Self; 5] = [
        Self::LostDevice,
        Self::BrokenDevice,
        Self::PasskeyGone,
        Self::NoOtherWay,
        Self::Other,
    ];

    /// As stored and recorded.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LostDevice => "lost_device",
            Self::BrokenDevice => "broken_device",
            Self::PasskeyGone => "passkey_gone",
            Self::NoOtherWay => "no_other_way",
            Self::Other => "other",
        }
    }

    /// From its name, with hyphens as well: that is how people type it.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.replace('-', "_");
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::LostDevice => "The device is lost or stolen",
            Self::BrokenDevice => "The device is broken or was replaced",
            Self::PasskeyGone => "The passkey is gone or does not work",
            Self::NoOtherWay => "Neither mailbox nor codes can be reached",
            Self::Other => "Something else, told in the note",
        }
    }
}

/// Which sessions an operator ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationScope {
    /// One session.
    One,
    /// All of one account.
    Account,
    /// All there are.
    All,
}

/// Why something was refused; the same words in logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The proof did not verify.
    NotVerified,
    /// A passkey that is not saved here.
    UnknownCredential,
    /// A passkey of another account than the one asked for.
    ForeignCredential,
    /// The code was wrong.
    WrongCode,
    /// Wrong codes have ended the attempt, or closed the account to codes.
    TooManyWrongCodes,
    /// Expired, superseded, already used, or never issued.
    NotRedeemable,
    /// Opened in another browser than the one that asked.
    OtherBrowser,
    /// The account is disabled.
    AccountDisabled,
    /// The passkey is saved already.
    AlreadySaved,
    /// The session that was to be raised has ended.
    SessionOver,
    /// The person has switched this way off, or recovery is blocked.
    RecoveryClosed,
    /// Not the number that the other device shows.
    WrongNumber,
    /// Too many devices asked in a short time.
    Blocked,
    /// Said no to.
    Declined,
    /// One more proof is needed.
    TooFewProofs,
    /// A passkey that was saved in a recovery and still waits.
    Held,
    /// A passkey that somebody said was not theirs.
    Frozen,
    /// Another account has the address.
    AddressTaken,
    /// Nobody administers their own account.
    OwnAccount,
    /// Nobody approves their own request.
    OwnRequest,
    /// Another administrator's request.
    OthersRequest,
    /// A second administrator has yet to approve it.
    NotApproved,
    /// The session is restricted until re-enrolment.
    Restricted,
    /// Shown up at another host than it was made for.
    OtherHost,
    /// No route names the host.
    UnknownHost,
}

impl AuditRecord {
    /// Writes the record to the log stream as well, for those who collect it from there.
    pub fn log(&self) {
        // An event is plain data and serialises; were it not to, the store still has the record.
        let Ok(Json::Object(mut details)) = serde_json::to_value(&self.event) else {
            return;
        };
        let event = details.remove("event");
        // What an administrator wrote about a person is for those who may read the store.
        details.remove("note");
        tracing::info!(
            target: "audit",
            event = event.as_ref().and_then(Json::as_str),
            account = self.account.map(display),
            network = self.network.map(display),
            request_id = self.request.map(display),
            actor = self.actor.as_ref().and_then(|actor| serde_json::to_string(actor).ok()),
            details = (!details.is_empty()).then(|| display(Json::Object(details))),
        );
    }
}
