//! What Gatehouse remembers, as one trait of whole transactions.
//!
//! Each method is one atomic step: it happens with its audit record, or not at all. Single use (of a link,
//! a code, an invitation, a ceremony) is a conditional statement inside the step that it pays for, so two
//! concurrent redemptions give one session. Secrets arrive here as digests or sealed. Start with
//! [`Store::start_session`]; every implementation must pass the rules in `conformance`.

#[cfg(test)]
pub mod conformance;
mod records;
pub mod sqlite;

use std::time::SystemTime;

use async_trait::async_trait;

pub use records::*;

use crate::{
    clock::Timestamp,
    email_address::EmailAddress,
    id::{
        AccountId, CredentialId, EmailAttemptId, HeldId, MailId, PairingId, RecoveryId, SessionId,
    },
    key_kind::KeyKind,
    secret::Digest,
    telemetry::audit::{Actor, AuditRecord},
};

/// The store could not do what was asked. Nothing was half-written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Locked, full, unreachable: the same call may succeed later.
    #[error("the store cannot {action} now: {source}")]
    Unavailable {
        /// What was attempted.
        action: &'static str,
        /// The driver's reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored row does not read as what it should be.
    #[error("the store holds a {what} that cannot be read")]
    Corrupt {
        /// Which kind of row.
        what: &'static str,
    },
    /// A later Gatehouse has written here; this one could misread what it says.
    #[error(
        "the store was written by a newer Gatehouse (schema {found}; this one knows up to {known})"
    )]
    Newer {
        /// The version of the schema found.
        found: usize,
        /// The latest that this Gatehouse knows.
        known: usize,
    },
}

/// Result of a store call.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A place that remembers. Implementations are safe to share between threads and, where the medium allows,
/// between processes: the command line works beside a running server.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // ── accounts ───────────────────────────────────────────────────────────────────────────────────

    /// Adds an account, and its invitation if there is one.
    async fn create_account(
        &self,
        account: &Account,
        invitation: Option<&Invitation>,
        audit: &AuditRecord,
    ) -> Result<Creation>;

    /// Gives an existing account a new invitation, which supersedes its older ones. `false` if there is no
    /// such account.
    async fn invite(
        &self,
        account: AccountId,
        invitation: &Invitation,
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<bool>;

    /// The account whose unspent, unexpired invitation has this digest. Spends nothing.
    async fn invited_account(&self, invitation: &Digest, now: Timestamp)
    -> Result<Option<Account>>;

    /// Looks an account up.
    async fn account(&self, key: &AccountKey) -> Result<Option<Account>>;

    /// All accounts, by login.
    async fn accounts(&self) -> Result<Vec<Account>>;

    /// The accounts whose login name, address or name contains `text`, whatever its ASCII case, by login, no
    /// more than `limit`.
    async fn find_accounts(&self, text: &str, limit: u32) -> Result<Vec<Account>>;

    /// Disables or enables an account. Disabling ends its sessions. `false` if there is no such account.
    async fn set_account_state(
        &self,
        account: AccountId,
        state: AccountState,
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<bool>;

    /// Removes an account with its passkeys, sessions and pending mails. Its audit records stay.
    async fn delete_account(&self, account: AccountId, audit: &AuditRecord) -> Result<bool>;

    // ── passkeys ───────────────────────────────────────────────────────────────────────────────────

    /// The passkeys of an account, oldest first.
    async fn credentials(&self, account: AccountId) -> Result<Vec<Credential>>;

    /// One passkey, whosever it is.
    async fn credential(&self, id: &CredentialId) -> Result<Option<Credential>>;

    /// Changes a label. `false` if this account has no such passkey.
    async fn rename_credential(
        &self,
        account: AccountId,
        id: &CredentialId,
        label: &str,
        audit: &AuditRecord,
    ) -> Result<bool>;

    /// Removes a passkey with all that goes with it. `false` if this account has no such passkey.
    async fn remove_credential(
        &self,
        removal: &CredentialRemoval,
        audit: &AuditRecord,
    ) -> Result<bool>;

    /// Notes that an older passkey is still its person's. `false` if this account has no such passkey that waits
    /// to be confirmed.
    async fn confirm_credential(
        &self,
        account: AccountId,
        id: &CredentialId,
        audit: &AuditRecord,
    ) -> Result<bool>;

    // ── "this was not me" ──────────────────────────────────────────────────────────────────────────

    /// What is left of the report whose link has this digest. Spends nothing.
    async fn report(&self, digest: &Digest, now: Timestamp) -> Result<ReportState>;

    /// Stops what somebody says they have not done, once; every other report of it counts as said. `None` if there is no right to it any more: nothing
    /// has changed then.
    async fn stop(&self, stop: &Stop, audit: &AuditRecord) -> Result<Option<Stopped>>;

    /// Lets mails and backup codes sign in again, as far as the person has chosen. `false` if nothing held them up.
    async fn allow_recovery(
        &self,
        account: AccountId,
        notice: Option<&Notice>,
        audit: &AuditRecord,
    ) -> Result<bool>;

    // ── ways back ──────────────────────────────────────────────────────────────────────────────────

    /// Gives an account new backup codes in place of all it had, and opens that way if it was closed. `false`
    /// if there is no such account, or its codes are not those made at `older` any more: of two who replace
    /// the same set, one must not be left with codes that are worth nothing.
    async fn replace_backup_codes(
        &self,
        account: AccountId,
        older: Option<Timestamp>,
        codes: &[Digest],
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<bool>;

    /// The backup codes of an account; `None` if none were ever made.
    async fn backup_codes(&self, account: AccountId) -> Result<Option<BackupCodes>>;

    /// Tries a backup code. A wrong one counts; the [`Account::MAX_FAILURES`]th in a row closes this way, and
    /// `closing` and `notice` are written with it. The right one spends nothing yet.
    async fn try_backup_code(
        &self,
        account: AccountId,
        code: &Digest,
        closing: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<BackupCodeTry>;

    /// Keeps what the person lets recover the account. `false` if there is no such account.
    async fn set_recovery_choice(
        &self,
        account: AccountId,
        choice: RecoveryChoice,
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<bool>;

    /// Lets no reminder of a missing backup come before a moment.
    async fn set_remind_at(&self, account: AccountId, moment: Timestamp) -> Result<()>;

    // ── sessions ───────────────────────────────────────────────────────────────────────────────────

    /// Spends a proof and starts the session it pays for, with all that goes with it: a new account, a new
    /// passkey, a passkey's counter, the end of the session that is replaced. The one way to a session, but for
    /// those that are handed on from one host to another.
    async fn start_session(&self, start: &SessionStart, audit: &AuditRecord) -> Result<Started>;

    /// Notes that a session is in use and gives it back, unless it has ended, was idle longer than
    /// `idle_since` allows (`last_seen_at` before it), is past its absolute end, or its account is gone or
    /// disabled.
    async fn renew_session(
        &self,
        id: SessionId,
        now: Timestamp,
        idle_since: Timestamp,
    ) -> Result<Option<SessionRecord>>;

    /// A session that has not ended or expired by `now`. Changes nothing.
    async fn session(&self, id: SessionId, now: Timestamp) -> Result<Option<SessionRecord>>;

    /// The live sessions of one account or of all, newest first.
    async fn sessions(
        &self,
        account: Option<AccountId>,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>>;

    /// Ends one session, of `account` if that is given, and with it its family: every session of the same
    /// sign-in. `false` if there was none alive.
    async fn end_session(
        &self,
        id: SessionId,
        account: Option<AccountId>,
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<bool>;

    /// Ends the sessions of one account, or all there are. Gives the number of families; of none nobody is told.
    async fn end_sessions(
        &self,
        account: Option<AccountId>,
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<u64>;

    // ── one sign-in for many hosts ─────────────────────────────────────────────────────────────────

    /// Keeps a code that plants a session on another host. `false`, and nothing is kept, if the session that is
    /// to be handed on is over.
    async fn begin_handoff(&self, handoff: &Handoff, now: Timestamp) -> Result<bool>;

    /// Spends a code, whoever brings it; in the browser, on the host and in the time it was made for, and while
    /// what it hands on lives, it plants a session of the same family: all that one is, with an id, a browser and
    /// a host of its own. `audit` is of the planting, and its account is filled in.
    async fn redeem_handoff(
        &self,
        redemption: &HandoffRedemption,
        audit: &AuditRecord,
    ) -> Result<Redeemed>;

    // ── sign-in by email ───────────────────────────────────────────────────────────────────────────

    /// Records a request for a sign-in mail together with the mail; it supersedes the address's older ones. One
    /// for a new address supersedes the account's older ones instead: nobody ends another's by naming their address.
    /// Nothing is written when its account is gone by now.
    async fn begin_email_attempt(
        &self,
        attempt: &EmailAttempt,
        mail: &OutboxMail,
        audit: &AuditRecord,
    ) -> Result<()>;

    /// The open attempt whose link has this digest. Spends nothing.
    async fn email_attempt_by_link(
        &self,
        link: &Digest,
        now: Timestamp,
    ) -> Result<Option<EmailAttempt>>;

    /// Tries a code against an attempt that `browser` began. A wrong one counts; the
    /// [`EmailAttempt::MAX_WRONG_CODES`]th ends the attempt. To sign in, the [`Account::MAX_FAILURES`]th in a
    /// row closes the account to codes, and `closing` is written of that account. The right one spends
    /// nothing yet.
    async fn try_email_code(
        &self,
        id: EmailAttemptId,
        browser: &Digest,
        code: &Digest,
        closing: &AuditRecord,
        now: Timestamp,
    ) -> Result<CodeTry>;

    /// Spends an attempt for the account's new address, which supersedes every other mail of the account that is
    /// still to be redeemed.
    async fn change_address(
        &self,
        change: &AddressChange,
        audit: &AuditRecord,
    ) -> Result<AddressChanged>;
    // ── recovery by administrators ─────────────────────────────────────────────────────────────────

    /// Records a request, which supersedes the account's older ones and their links. `false` if there is no
    /// such account.
    async fn request_recovery(
        &self,
        request: &RecoveryRequest,
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<bool>;

    /// Notes that somebody else than who asked, and than whose account it is, agrees. Once.
    async fn approve_recovery(
        &self,
        id: RecoveryId,
        by: &Actor,
        audit: &AuditRecord,
    ) -> Result<RecoveryStep>;

    /// Gives a request its link. Once, and only to who asked.
    async fn issue_recovery_link(
        &self,
        link: &RecoveryLink,
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<RecoveryStep>;

    /// A request, whatever became of it.
    async fn recovery(&self, id: RecoveryId) -> Result<Option<RecoveryRequest>>;

    /// The requests of one account or of all whose link is still to be had, newest first.
    async fn open_recoveries(
        &self,
        account: Option<AccountId>,
        now: Timestamp,
    ) -> Result<Vec<RecoveryRequest>>;

    /// Whose link has this digest. Spends nothing.
    async fn recovery_link_owner(
        &self,
        link: &Digest,
        now: Timestamp,
    ) -> Result<Option<RecoveryLinkOwner>>;

    // ── pairing from another device ────────────────────────────────────────────────────────────────

    /// Keeps a browser's request to be let in; it supersedes that browser's older ones. `false`, and nothing is
    /// kept, while [`Pairing::MAX_OPEN`] are open.
    async fn begin_pairing(&self, pairing: &Pairing) -> Result<bool>;

    /// Looks a pairing up, whatever has become of it.
    async fn pairing(&self, key: &PairingKey) -> Result<Option<Pairing>>;

    /// Makes a pairing this account's to approve: the first account that looks is the only one. Looking again
    /// changes nothing. `audit` is of the first look; the block that an account's second request in a short
    /// time brings about is recorded in its place.
    ///
    /// The rule: a look within [`Pairing::SHORT`] of an earlier one blocks if that was at another browser's
    /// request which got no session, or if it is the third.
    async fn claim_pairing(&self, claim: &PairingClaim, audit: &AuditRecord) -> Result<Claimed>;

    /// Approves a pairing that this account has looked at. `audit` is of the approval; that of a wrong number
    /// is recorded in its place.
    async fn approve_pairing(
        &self,
        approval: &PairingApproval,
        audit: &AuditRecord,
    ) -> Result<Approved>;

    /// Ends a pairing of this account that has not given a session yet. `false` if there is none.
    async fn refuse_pairing(
        &self,
        id: PairingId,
        account: AccountId,
        audit: &AuditRecord,
    ) -> Result<bool>;

    // ── outgoing mail ──────────────────────────────────────────────────────────────────────────────

    /// Puts a mail into the outbox, unless its account is gone by now.
    async fn enqueue_mail(&self, mail: &OutboxMail) -> Result<()>;

    /// Takes one mail that is due, hiding it from other takers until `lease_end`. Drops those that are no
    /// longer worth sending. A mail whose taker died comes back when the lease ends.
    async fn take_due_mail(
        &self,
        now: Timestamp,
        lease_end: Timestamp,
    ) -> Result<Option<OutboxMail>>;

    /// Forgets a mail that was sent or can never be.
    async fn finish_mail(&self, id: MailId) -> Result<()>;

    /// Puts a mail back until `due_at`, counting one more failed try.
    async fn postpone_mail(&self, id: MailId, due_at: Timestamp) -> Result<()>;

    /// When the next mail falls due, and how many wait.
    async fn outbox_state(&self) -> Result<OutboxState>;

    // ── keys, changes, audit ───────────────────────────────────────────────────────────────────────

    /// The sealed signing keys of every kind, newest first.
    async fn keys(&self) -> Result<Vec<StoredKey>>;

    /// Adds a key. `only_if_none` makes the first start of two nodes agree on one key of its kind: `false` then
    /// means that another was there before.
    async fn add_key(
        &self,
        key: &StoredKey,
        only_if_none: bool,
        audit: &AuditRecord,
    ) -> Result<bool>;

    /// Forgets the keys of a kind whose place a newer one took before `superseded_before`; of those for sessions
    /// none that a session still alive `now` can have been signed with, because it began before the newer key
    /// was a minute old. Gives their names.
    async fn forget_keys(
        &self,
        kind: KeyKind,
        superseded_before: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<String>>;

    /// The last position of the change feed.
    async fn last_change(&self) -> Result<ChangePosition>;

    /// What changed after a position, oldest first, and the position reached.
    async fn changes_since(
        &self,
        position: ChangePosition,
    ) -> Result<(Vec<Change>, ChangePosition)>;

    /// What changed at or after a moment, oldest first: what a starting node must know.
    async fn changes_from(&self, moment: Timestamp) -> Result<Vec<Change>>;

    /// Writes an audit record of something that changed nothing else (a refusal).
    async fn record(&self, audit: &AuditRecord) -> Result<()>;

    /// The newest audit records of one account or of all, newest first.
    async fn audit(&self, account: Option<AccountId>, limit: u32) -> Result<Vec<AuditRecord>>;

    /// Forgets what has served: ended sessions, spent proofs past their expiry, old changes. Audit records
    /// and recoveries stay. Gives the number of rows removed.
    async fn forget_before(&self, moment: Timestamp) -> Result<u64>;

    /// When the changes after one position and up to another were written, by the clock of whoever wrote them;
    /// not of those that an older Gatehouse wrote.
    async fn written_between(
        &self,
        after: ChangePosition,
        to: ChangePosition,
    ) -> Result<Vec<SystemTime>>;

    /// Whether the store would take a write now. Writes nothing.
    async fn ping(&self) -> Result<()>;

    // ── requests that wait ─────────────────────────────────────────────────────────────────────────

    /// Keeps a request if there is room for it in all and for its network. What is over by then makes room, and
    /// what has been over for [`HeldRequest::REMEMBERED_FOR`] is forgotten.
    async fn hold_request(&self, held: &HeldRequest, room: HoldRoom) -> Result<Kept>;

    /// A kept request of this browser, whatever has become of it. Changes nothing.
    async fn held_request(
        &self,
        id: HeldId,
        browser: &Digest,
        now: Timestamp,
    ) -> Result<Option<HeldLook>>;

    /// Takes a kept request of this browser to send it, once.
    async fn take_held(&self, id: HeldId, browser: &Digest, now: Timestamp) -> Result<Take>;

    /// Lets one that was taken and of which nothing was sent wait again. `false` when it was emptied or is over.
    async fn give_back_held(&self, id: HeldId, now: Timestamp) -> Result<bool>;

    /// Drops what one that was taken says: it has been sent.
    async fn empty_held(&self, id: HeldId) -> Result<()>;

    /// Drops one that waits and is not to be sent. `false` if this browser has none such.
    async fn discard_held(&self, id: HeldId, browser: &Digest, now: Timestamp) -> Result<bool>;

    /// Drops the content of what is over, and forgets what has been for [`HeldRequest::REMEMBERED_FOR`].
    async fn forget_held(&self, now: Timestamp) -> Result<()>;
}

/// How to find an account.
#[derive(Clone, Debug)]
pub enum AccountKey {
    /// By id.
    Id(AccountId),
    /// By WebAuthn user handle.
    UserHandle(crate::id::UserHandle),
    /// By verified or invited address.
    Email(EmailAddress),
    /// By login name.
    Login(String),
}
