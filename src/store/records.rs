//! The data that the store takes and gives.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    email_address::EmailAddress,
    id::{
        AccountId, CeremonyId, CredentialId, EmailAttemptId, MailId, PairingId, RecoveryId,
        SessionId, UserHandle,
    },
    method::{Method, Proofs},
    network::Network,
    secret::Digest,
    telemetry::audit::{Actor, RecoveryReason},
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
    /// It is wrong, and the [`Account::MAX_FAILURES`]th in a row for its account: from now on none of the
    /// account's codes is looked at, and only links sign in, until one has.
    Closing,
    /// The account's codes are not looked at any more. The attempt's link is as good as before.
    Closed,
    /// The attempt is over: used, expired, superseded, of another browser, too many wrong codes, or none.
    Over,
}

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
}

/// A session signing key, sealed under `server.secret`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Its name in token headers.
    pub kid: String,
    /// The sealed key.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A position in the change feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangePosition(pub i64);

/// What other nodes, and this one's memory, must learn of. Ending many sessions says so of each: ids are
/// exact where moments in whole seconds are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A session ended or was replaced.
    SessionEnded(SessionId),
    /// An account's name, address, groups or state changed, or it is gone.
    AccountChanged(AccountId),
    /// There is a new signing key.
    KeysChanged,
}

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
