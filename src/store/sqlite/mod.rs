//! The store in one SQLite file, beside which the command line can work while the server runs.
//!
//! WAL, so that readers never wait for the writer; `synchronous = FULL`, so that what was acknowledged
//! survives a power cut. Writes go one after another through one connection, each in a `Step`; reads are
//! single statements on a few others. Start reading in `start.rs`.

mod accounts;
mod backup_codes;
mod column;
mod credentials;
mod email;
mod feed;
mod file;
mod handoff;
mod held;
mod migrate;
mod notices;
mod outbox;
mod pairing;
mod recovery;
mod reports;
mod row;
mod sessions;
mod start;
mod step;
mod trouble;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};

use self::step::{Read, Step, unavailable};
use super::{
    Account, AccountKey, AccountState, AddressChange, AddressChanged, Approved, BackupCodeTry,
    BackupCodes, Change, ChangePosition, Claimed, CodeTry, Creation, Credential, CredentialRemoval,
    EmailAttempt, Handoff, HandoffRedemption, HeldLook, HeldRequest, HoldRoom, Invitation, Kept,
    Notice, OutboxMail, OutboxState, Pairing, PairingApproval, PairingClaim, PairingKey,
    RecoveryChoice, RecoveryLink, RecoveryLinkOwner, RecoveryRequest, RecoveryStep, Redeemed,
    ReportState, Result, SessionRecord, SessionStart, Started, Stop, Stopped, Store, StoredKey,
    Take,
};
use crate::{
    clock::Timestamp,
    id::{
        AccountId, CredentialId, EmailAttemptId, HeldId, MailId, PairingId, RecoveryId, SessionId,
    },
    key_kind::KeyKind,
    secret::Digest,
    telemetry::{
        audit::{Actor, AuditRecord},
        metrics::Metrics,
    },
};

/// How long a statement waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a call waits for its turn in this process. Longer than [`BUSY_TIMEOUT`], so that one slow write
/// does not fail those behind it.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 4;

/// A store in one file.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    metrics: Arc<Metrics>,
}

impl SqliteStore {
    /// Opens the file, or makes it, readable by its owner alone, and brings its schema up to date.
    ///
    /// # Errors
    ///
    /// [`Newer`](super::StoreError::Newer) when a later version has written it;
    /// [`Unavailable`](super::StoreError::Unavailable) when it cannot
    /// be opened or is no SQLite file.
    pub async fn open(path: &Path) -> Result<Self> {
        Self::open_waiting(path, BUSY_TIMEOUT).await
    }

    async fn open_waiting(path: &Path, busy_timeout: Duration) -> Result<Self> {
        const ACTION: &str = "open its file";
        file::create_private(path).map_err(|error| unavailable(ACTION)(error.into()))?;
        // A full path: SQLite gives names such as `:memory:` a meaning of their own.
        let path = path
            .canonicalize()
            .map_err(|error| unavailable(ACTION)(error.into()))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(busy_timeout)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let writer = pool(1)
            .connect_with(options.clone())
            .await
            .map_err(unavailable(ACTION))?;
        file::turn_on_wal(&writer)
            .await
            .map_err(unavailable(ACTION))?;
        let metrics = Arc::default();
        let step = Step::begin(&writer, &metrics, "bring its schema up to date");
        migrate::migrate(step.await?).await?;
        let readers = pool(READERS).connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Self {
            writer,
            readers,
            metrics,
        })
    }

    /// Has what is done with it counted there.
    #[must_use]
    pub fn counted_in(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    async fn step(&self, action: &'static str) -> Result<Step> {
        Step::begin(&self.writer, &self.metrics, action).await
    }

    fn read(&self, action: &'static str) -> Read<'_> {
        Read::new(&self.readers, &self.metrics, action)
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(TURN_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
}

#[async_trait]
impl Store for SqliteStore {
    async fn create_account(
        &self,
        account: &Account,
        invitation: Option<&Invitation>,
        audit: &AuditRecord,
    ) -> Result<Creation> {
        accounts::create(
            self.step("add an account").await?,
            account,
            invitation,
            audit,
        )
        .await
    }

    async fn invite(
        &self,
        account: AccountId,
        invitation: &Invitation,
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<bool> {
        accounts::invite(
            self.step("add an invitation").await?,
            account,
            invitation,
            audit,
            notice,
        )
        .await
    }

    async fn invited_account(
        &self,
        invitation: &Digest,
        now: Timestamp,
    ) -> Result<Option<Account>> {
        accounts::invited(self.read("look up an invitation"), invitation, now).await
    }

    async fn account(&self, key: &AccountKey) -> Result<Option<Account>> {
        accounts::look_up(self.read("look up an account"), key).await
    }

    async fn accounts(&self) -> Result<Vec<Account>> {
        accounts::list(self.read("list accounts")).await
    }

    async fn find_accounts(&self, text: &str, limit: u32) -> Result<Vec<Account>> {
        accounts::search(self.read("look for accounts"), text, limit).await
    }

    async fn set_account_state(
        &self,
        account: AccountId,
        state: AccountState,
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<bool> {
        let step = self.step("change an account").await?;
        accounts::set_state(step, account, state, audit, notice).await
    }

    async fn delete_account(&self, account: AccountId, audit: &AuditRecord) -> Result<bool> {
        accounts::delete(self.step("delete an account").await?, account, audit).await
    }

    async fn credentials(&self, account: AccountId) -> Result<Vec<Credential>> {
        credentials::of_account(self.read("list passkeys"), account).await
    }

    async fn credential(&self, id: &CredentialId) -> Result<Option<Credential>> {
        credentials::look_up(self.read("look up a passkey"), id).await
    }

    async fn rename_credential(
        &self,
        account: AccountId,
        id: &CredentialId,
        label: &str,
        audit: &AuditRecord,
    ) -> Result<bool> {
        credentials::rename(
            self.step("rename a passkey").await?,
            account,
            id,
            label,
            audit,
        )
        .await
    }

    async fn remove_credential(
        &self,
        removal: &CredentialRemoval,
        audit: &AuditRecord,
    ) -> Result<bool> {
        credentials::remove(self.step("remove a passkey").await?, removal, audit).await
    }

    async fn confirm_credential(
        &self,
        account: AccountId,
        id: &CredentialId,
        audit: &AuditRecord,
    ) -> Result<bool> {
        credentials::confirm(self.step("confirm a passkey").await?, account, id, audit).await
    }

    async fn report(&self, digest: &Digest, now: Timestamp) -> Result<ReportState> {
        reports::look_up(self.read("look up a report"), digest, now).await
    }

    async fn stop(&self, stop: &Stop, audit: &AuditRecord) -> Result<Option<Stopped>> {
        reports::stop(self.step("stop what was reported").await?, stop, audit).await
    }

    async fn allow_recovery(
        &self,
        account: AccountId,
        notice: Option<&Notice>,
        audit: &AuditRecord,
    ) -> Result<bool> {
        let step = self.step("allow recovery").await?;
        reports::allow_recovery(step, account, notice, audit).await
    }

    async fn replace_backup_codes(
        &self,
        account: AccountId,
        older: Option<Timestamp>,
        codes: &[Digest],
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<bool> {
        let step = self.step("replace backup codes").await?;
        backup_codes::replace(step, account, older, codes, audit, notice).await
    }

    async fn backup_codes(&self, account: AccountId) -> Result<Option<BackupCodes>> {
        backup_codes::of_account(self.read("count backup codes"), account).await
    }

    async fn try_backup_code(
        &self,
        account: AccountId,
        code: &Digest,
        closing: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<BackupCodeTry> {
        let step = self.step("try a backup code").await?;
        backup_codes::try_code(step, account, code, closing, notice).await
    }

    async fn set_recovery_choice(
        &self,
        account: AccountId,
        choice: RecoveryChoice,
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<bool> {
        let step = self.step("change the ways back").await?;
        accounts::set_recovery_choice(step, account, choice, audit, notice).await
    }

    async fn set_remind_at(&self, account: AccountId, moment: Timestamp) -> Result<()> {
        accounts::set_remind_at(self.step("put off a reminder").await?, account, moment).await
    }

    async fn start_session(&self, start: &SessionStart, audit: &AuditRecord) -> Result<Started> {
        start::start(self.step("start a session").await?, start, audit).await
    }

    async fn renew_session(
        &self,
        id: SessionId,
        now: Timestamp,
        idle_since: Timestamp,
    ) -> Result<Option<SessionRecord>> {
        sessions::renew(self.step("renew a session").await?, id, now, idle_since).await
    }

    async fn session(&self, id: SessionId, now: Timestamp) -> Result<Option<SessionRecord>> {
        sessions::look_up(self.read("look up a session"), id, now).await
    }

    async fn sessions(
        &self,
        account: Option<AccountId>,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>> {
        sessions::list(self.read("list sessions"), account, now).await
    }

    async fn end_session(
        &self,
        id: SessionId,
        account: Option<AccountId>,
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<bool> {
        let step = self.step("end a session").await?;
        sessions::end_one(step, id, account, audit, notice).await
    }

    async fn end_sessions(
        &self,
        account: Option<AccountId>,
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<u64> {
        sessions::end_many(self.step("end sessions").await?, account, audit, notice).await
    }

    async fn begin_handoff(&self, handoff: &Handoff, now: Timestamp) -> Result<bool> {
        handoff::begin(self.step("keep a handoff").await?, handoff, now).await
    }

    async fn redeem_handoff(
        &self,
        redemption: &HandoffRedemption,
        audit: &AuditRecord,
    ) -> Result<Redeemed> {
        handoff::redeem(self.step("redeem a handoff").await?, redemption, audit).await
    }

    async fn begin_email_attempt(
        &self,
        attempt: &EmailAttempt,
        mail: &OutboxMail,
        audit: &AuditRecord,
    ) -> Result<()> {
        email::begin(
            self.step("record a sign-in mail").await?,
            attempt,
            mail,
            audit,
        )
        .await
    }

    async fn email_attempt_by_link(
        &self,
        link: &Digest,
        now: Timestamp,
    ) -> Result<Option<EmailAttempt>> {
        email::by_link(self.read("look up a sign-in link"), link, now).await
    }

    async fn try_email_code(
        &self,
        id: EmailAttemptId,
        browser: &Digest,
        code: &Digest,
        closing: &AuditRecord,
        now: Timestamp,
    ) -> Result<CodeTry> {
        let step = self.step("try a sign-in code").await?;
        email::try_code(step, id, browser, code, closing, now).await
    }

    async fn change_address(
        &self,
        change: &AddressChange,
        audit: &AuditRecord,
    ) -> Result<AddressChanged> {
        email::change_address(self.step("change an address").await?, change, audit).await
    }

    async fn request_recovery(
        &self,
        request: &RecoveryRequest,
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<bool> {
        recovery::request(
            self.step("record a recovery").await?,
            request,
            audit,
            notice,
        )
        .await
    }

    async fn approve_recovery(
        &self,
        id: RecoveryId,
        by: &Actor,
        audit: &AuditRecord,
    ) -> Result<RecoveryStep> {
        recovery::approve(self.step("approve a recovery").await?, id, by, audit).await
    }

    async fn issue_recovery_link(
        &self,
        link: &RecoveryLink,
        audit: &AuditRecord,
        notice: Option<&Notice>,
    ) -> Result<RecoveryStep> {
        recovery::issue_link(
            self.step("issue a recovery link").await?,
            link,
            audit,
            notice,
        )
        .await
    }

    async fn recovery(&self, id: RecoveryId) -> Result<Option<RecoveryRequest>> {
        recovery::look_up(self.read("look up a recovery"), id).await
    }

    async fn open_recoveries(
        &self,
        account: Option<AccountId>,
        now: Timestamp,
    ) -> Result<Vec<RecoveryRequest>> {
        recovery::open(self.read("list recoveries"), account, now).await
    }

    async fn recovery_link_owner(
        &self,
        link: &Digest,
        now: Timestamp,
    ) -> Result<Option<RecoveryLinkOwner>> {
        recovery::link_owner(self.read("look up a recovery link"), link, now).await
    }

    async fn begin_pairing(&self, pairing: &Pairing) -> Result<bool> {
        pairing::begin(self.step("keep a pairing").await?, pairing).await
    }

    async fn pairing(&self, key: &PairingKey) -> Result<Option<Pairing>> {
        pairing::look_up(self.read("look up a pairing"), key).await
    }

    async fn claim_pairing(&self, claim: &PairingClaim, audit: &AuditRecord) -> Result<Claimed> {
        pairing::claim(self.step("claim a pairing").await?, claim, audit).await
    }

    async fn approve_pairing(
        &self,
        approval: &PairingApproval,
        audit: &AuditRecord,
    ) -> Result<Approved> {
        pairing::approve(self.step("approve a pairing").await?, approval, audit).await
    }

    async fn refuse_pairing(
        &self,
        id: PairingId,
        account: AccountId,
        audit: &AuditRecord,
    ) -> Result<bool> {
        pairing::refuse(self.step("refuse a pairing").await?, id, account, audit).await
    }

    async fn enqueue_mail(&self, mail: &OutboxMail) -> Result<()> {
        outbox::enqueue(self.step("keep a mail").await?, mail).await
    }

    async fn take_due_mail(
        &self,
        now: Timestamp,
        lease_end: Timestamp,
    ) -> Result<Option<OutboxMail>> {
        outbox::take_due(self.step("take a mail").await?, now, lease_end).await
    }

    async fn finish_mail(&self, id: MailId) -> Result<()> {
        outbox::finish(self.step("forget a mail").await?, id).await
    }

    async fn postpone_mail(&self, id: MailId, due_at: Timestamp) -> Result<()> {
        outbox::postpone(self.step("postpone a mail").await?, id, due_at).await
    }

    async fn outbox_state(&self) -> Result<OutboxState> {
        outbox::state(self.read("count waiting mails")).await
    }

    async fn keys(&self) -> Result<Vec<StoredKey>> {
        feed::keys(self.read("read the signing keys")).await
    }

    async fn add_key(
        &self,
        key: &StoredKey,
        only_if_none: bool,
        audit: &AuditRecord,
    ) -> Result<bool> {
        feed::add_key(
            self.step("add a signing key").await?,
            key,
            only_if_none,
            audit,
        )
        .await
    }

    async fn forget_keys(
        &self,
        kind: KeyKind,
        superseded_before: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<String>> {
        let step = self.step("forget signing keys").await?;
        feed::forget_keys(step, kind, superseded_before, now).await
    }

    async fn last_change(&self) -> Result<ChangePosition> {
        feed::last_change(self.read("read the change feed")).await
    }

    async fn changes_since(
        &self,
        position: ChangePosition,
    ) -> Result<(Vec<Change>, ChangePosition)> {
        feed::since(self.read("read the change feed"), position).await
    }

    async fn changes_from(&self, moment: Timestamp) -> Result<Vec<Change>> {
        feed::from(self.read("read the change feed"), moment).await
    }

    async fn record(&self, audit: &AuditRecord) -> Result<()> {
        self.step("write an audit record")
            .await?
            .commit_with(audit)
            .await
    }

    async fn audit(&self, account: Option<AccountId>, limit: u32) -> Result<Vec<AuditRecord>> {
        feed::audit(self.read("read the audit records"), account, limit).await
    }

    async fn forget_before(&self, moment: Timestamp) -> Result<u64> {
        feed::forget_before(self.step("forget what has served").await?, moment).await
    }

    /// Reads the file: an answer that SQLite can give without it would prove nothing.
    async fn written_between(
        &self,
        after: ChangePosition,
        to: ChangePosition,
    ) -> Result<Vec<SystemTime>> {
        feed::written_between(self.read("follow changes"), after, to).await
    }

    async fn ping(&self) -> Result<()> {
        self.step("answer").await?.commit().await
    }

    async fn hold_request(&self, held: &HeldRequest, room: HoldRoom) -> Result<Kept> {
        held::keep(self.step("keep a request").await?, held, room).await
    }

    async fn held_request(
        &self,
        id: HeldId,
        browser: &Digest,
        now: Timestamp,
    ) -> Result<Option<HeldLook>> {
        held::look_up(self.read("look up a kept request"), id, browser, now).await
    }

    async fn take_held(&self, id: HeldId, browser: &Digest, now: Timestamp) -> Result<Take> {
        held::take(self.step("take a kept request").await?, id, browser, now).await
    }

    async fn give_back_held(&self, id: HeldId, now: Timestamp) -> Result<bool> {
        held::give_back(self.step("give a kept request back").await?, id, now).await
    }

    async fn empty_held(&self, id: HeldId) -> Result<()> {
        held::empty(self.step("empty a kept request").await?, id).await
    }

    async fn discard_held(&self, id: HeldId, browser: &Digest, now: Timestamp) -> Result<bool> {
        held::discard(self.step("discard a kept request").await?, id, browser, now).await
    }

    async fn forget_held(&self, now: Timestamp) -> Result<()> {
        held::forget(self.step("forget kept requests").await?, now).await
    }
}

#[cfg(test)]
mod tests;
