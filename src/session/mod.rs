//! Sessions: the signed cookie, the keys that sign it, the memory of which sessions have ended, and what apps are
//! told of a session in signed form ([`Sessions::assertion`]).
//!
//! [`Sessions::recall`] is the warm path: cookie to session from memory alone. [`Sessions::visit`] asks the
//! store where memory does not suffice, about once in two and a half minutes of a session's use.
//! [`Sessions::catch_up`] follows what other nodes and the command line changed.

mod assertion;
mod assertion_keys;
mod bells;
mod claims;
pub mod cookie;
pub mod following;
mod jwt_ring;
mod key_ring;
mod key_use;
mod revocation;
mod stored_keys;
mod verified;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, HeaderValue};
use moka::sync::Cache;
use tokio::sync::Mutex;

use self::{
    assertion::Assertions,
    bells::Bells,
    following::{AccountNews, SessionNews},
    revocation::{End, RevocationView},
    stored_keys::{add_first_key, load_keys},
    verified::{Presented, VerifiedToken},
};
pub use self::{
    assertion_keys::{AssertionKey, AssertionKeys, JWKS_MAX_AGE, Jwks},
    claims::{Claims, RENEW_AFTER, TOKEN_LIFETIME, TokenFormat},
    key_ring::{Key, KeyRing},
    key_use::{KeyUse, key_uses},
    stored_keys::rotate_key,
};
use crate::{
    clock::{Clock, Timestamp},
    config::SessionLimits,
    id::{AccountId, SessionId},
    key_kind::KeyKind,
    policy::decision,
    secret::ServerSecret,
    store::{
        Account, AccountKey, AccountState, Change, ChangePosition, SessionRecord, Store, StoreError,
    },
    telemetry::metrics::Metrics,
};

/// A request's live session.
#[derive(Clone, Debug)]
pub struct Visit {
    /// What the token says.
    pub claims: Arc<Claims>,
    /// Whose it is.
    pub account: Arc<Account>,
    /// A renewed cookie to set on the answer.
    pub set_cookie: Option<HeaderValue>,
}

impl Visit {
    /// What the policy may know of it.
    pub fn for_policy(&self) -> decision::Session<'_> {
        decision::Session {
            restricted: self.claims.restricted,
            stepped_up_at: self.claims.stepped_up_at,
            email: self.account.email.as_ref(),
            groups: &self.account.groups,
        }
    }
}

/// What memory knows of a request's session.
#[derive(Debug)]
pub enum Recall {
    /// There is none.
    Nobody,
    /// It is live.
    Live(Visit),
    /// Only the store can tell: the token is due for renewal, or the account is not in memory.
    AskStore(Arc<Claims>),
}

/// The sessions of this node.
pub struct Sessions {
    store: Arc<dyn Store>,
    clock: Clock,
    secret: ServerSecret,
    format: TokenFormat,
    keys: ArcSwap<KeyRing>,
    assertion_keys: ArcSwap<AssertionKeys>,
    assertions: Assertions,
    ended: RevocationView,
    verified: Cache<VerifiedToken, Arc<Claims>>,
    /// Tokens lately renewed, so that a page's parallel requests renew once.
    renewed: Cache<SessionId, (Arc<Claims>, HeaderValue)>,
    accounts: Cache<AccountId, Arc<Account>>,
    /// Counts the account changes seen: a look-up that one overtook is not remembered.
    account_changes: AtomicU64,
    /// For what is open in a session.
    session_bells: Bells<SessionId, SessionNews>,
    account_bells: Bells<AccountId, AccountNews>,
    /// When what is open in a session last noted its use in the store.
    uses: Cache<SessionId, Timestamp>,
    followed: Mutex<ChangePosition>,
    metrics: Arc<Metrics>,
}

/// Why sessions cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SessionsError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys were sealed under another secret.
    #[error(
        "the store's signing keys do not open with this server.secret; give the one they were made under"
    )]
    WrongSecret,
}

const CACHED_TOKENS: u64 = 200_000;
const CACHED_ACCOUNTS: u64 = 100_000;

impl Sessions {
    /// Has what it follows counted there.
    #[must_use]
    pub fn counted_in(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Sessions whose token is in memory, about.
    pub fn cached(&self) -> u64 {
        self.verified.entry_count()
    }

    /// How old the key is that signs, of each kind; `None` where there is none.
    pub fn key_ages(&self) -> [(KeyKind, Option<Duration>); 2] {
        let now = self.clock.now();
        let session = self.keys.load().signing_key(now).created_at();
        let assertion = self.assertion_keys.load();
        let assertion = assertion.signing_key(now).map(AssertionKey::created_at);
        [
            (KeyKind::Session, Some(now.since(session))),
            (KeyKind::Assertion, assertion.map(|made| now.since(made))),
        ]
    }

    /// Loads the keys (making the first if there is none) and what lately ended.
    ///
    /// # Errors
    /// When the store does not answer, or its keys were sealed under another secret.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Clock,
        secret: ServerSecret,
        audience: &str,
    ) -> Result<Self, SessionsError> {
        let now = clock.now();
        let position = store.last_change().await?;
        let mut loaded = load_keys(&*store, &secret).await?;
        if loaded.session.is_none() {
            add_first_key(&*store, &secret, now, KeyKind::Session).await?;
            loaded = load_keys(&*store, &secret).await?;
        }
        let keys = loaded.session.ok_or(SessionsError::WrongSecret)?;
        let sessions = Self {
            clock,
            secret,
            format: TokenFormat::new(audience),
            keys: ArcSwap::from_pointee(keys),
            assertion_keys: ArcSwap::from_pointee(loaded.assertion),
            assertions: Assertions::new(),
            ended: RevocationView::default(),
            verified: Cache::builder()
                .max_capacity(CACHED_TOKENS)
                .time_to_live(TOKEN_LIFETIME)
                .build(),
            renewed: Cache::builder()
                .max_capacity(CACHED_ACCOUNTS)
                .time_to_live(TOKEN_LIFETIME)
                .build(),
            accounts: Cache::new(CACHED_ACCOUNTS),
            account_changes: AtomicU64::new(0),
            session_bells: Bells::default(),
            account_bells: Bells::default(),
            uses: Cache::builder()
                .max_capacity(CACHED_ACCOUNTS)
                .time_to_idle(TOKEN_LIFETIME)
                .build(),
            followed: Mutex::new(position),
            metrics: Arc::default(),
            store,
        };
        let recent = sessions
            .store
            .changes_from(now.minus(revocation::MEMORY))
            .await?;
        sessions.apply(&recent).await?;
        Ok(sessions)
    }

    /// The session a request's cookie proves to `host`, from memory alone.
    pub fn recall(&self, headers: &HeaderMap, host: &str, now: Timestamp) -> Recall {
        let Some(claims) = self.authentic(headers).filter(|claims| claims.is_for(host)) else {
            return Recall::Nobody;
        };
        if self.ended.has_ended(claims.sid) || claims.session_expires_at <= now {
            return Recall::Nobody;
        }
        if claims.is_due(now) {
            return Recall::AskStore(claims);
        }
        match self.accounts.get(&claims.account) {
            Some(account) => live(claims, account, None),
            None => Recall::AskStore(claims),
        }
    }

    /// The session a request's cookie proves to `host`, renewed if it is time. When the store does not answer, a
    /// token that is still fresh goes on and any other is nobody's.
    pub async fn visit(
        &self,
        headers: &HeaderMap,
        host: &str,
        limits: &SessionLimits,
    ) -> Option<Visit> {
        let now = self.clock.now();
        let claims = match self.recall(headers, host, now) {
            Recall::Nobody => return None,
            Recall::Live(visit) => return Some(visit),
            Recall::AskStore(claims) => claims,
        };
        match self.ask_store(Arc::clone(&claims), limits, now).await {
            Ok(visit) => visit,
            Err(error) => {
                tracing::warn!(%error, "a session could not be renewed");
                let account = self.accounts.get(&claims.account)?;
                let stays = claims.is_fresh(now) && account.state == AccountState::Active;
                stays.then(|| Visit {
                    claims,
                    account,
                    set_cookie: None,
                })
            }
        }
    }

    /// A cookie that proves `session`.
    pub fn cookie(&self, session: &SessionRecord) -> HeaderValue {
        let now = self.clock.now();
        self.sign(&Claims::of(session, now), now)
    }

    /// The bare token, for `gatehouse session issue`.
    pub fn token(&self, session: &SessionRecord) -> String {
        self.format
            .sign(&Claims::of(session, self.clock.now()), &self.keys.load())
    }

    /// Learns what changed in the store since the last time. Whoever ended or changed something calls
    /// this before answering; the server also calls it several times a second for the sake of the others.
    ///
    /// # Errors
    /// When the store does not answer; what was known stays.
    pub async fn catch_up(&self) -> Result<(), SessionsError> {
        let mut followed = self.followed.lock().await;
        let (changes, reached) = self.store.changes_since(*followed).await?;
        self.apply(&changes).await?;
        let before = std::mem::replace(&mut *followed, reached);
        self.metrics.feed.note_caught_up();
        if !changes.is_empty() {
            self.measure_lag(before, reached).await;
        }
        Ok(())
    }

    /// Measured by the system's clock, not by ours, which tests turn; between machines it is off by as much as
    /// their clocks are. A measure is not worth an error: the store logs and counts its own.
    async fn measure_lag(&self, before: ChangePosition, reached: ChangePosition) {
        let applied = SystemTime::now();
        let Ok(written) = self.store.written_between(before, reached).await else {
            return;
        };
        for moment in written {
            let lag = applied.duration_since(moment).unwrap_or_default();
            self.metrics.revocation_lag.observe(lag.as_secs_f64());
        }
    }

    fn authentic(&self, headers: &HeaderMap) -> Option<Arc<Claims>> {
        let token = cookie::single(headers, cookie::NAME)?;
        if token.len() > cookie::MAX_TOKEN_BYTES {
            return None;
        }
        let presented = Presented(token);
        if let Some(claims) = self.verified.get(&presented) {
            return Some(claims);
        }
        let claims = Arc::new(self.format.verify(token, &self.keys.load())?);
        self.verified
            .insert(presented.verified(), Arc::clone(&claims));
        Some(claims)
    }

    async fn ask_store(
        &self,
        claims: Arc<Claims>,
        limits: &SessionLimits,
        now: Timestamp,
    ) -> Result<Option<Visit>, StoreError> {
        if !claims.is_due(now) {
            let account = self.account(claims.account).await?;
            return Ok(account.map(|account| Visit {
                claims,
                account,
                set_cookie: None,
            }));
        }
        if let Some((claims, cookie)) = self.renewed.get(&claims.sid)
            && !claims.is_due(now)
        {
            let account = self.account(claims.account).await?;
            return Ok(account.map(|account| Visit {
                claims,
                account,
                set_cookie: Some(cookie),
            }));
        }
        let idle_since = now.minus(limits.idle);
        let Some(session) = self
            .store
            .renew_session(claims.sid, now, idle_since)
            .await?
        else {
            return Ok(None);
        };
        let Some(account) = self.account(session.account).await? else {
            return Ok(None);
        };
        let claims = Arc::new(Claims::of(&session, now));
        let cookie = self.sign(&claims, now);
        self.renewed
            .insert(claims.sid, (Arc::clone(&claims), cookie.clone()));
        Ok(Some(Visit {
            claims,
            account,
            set_cookie: Some(cookie),
        }))
    }

    /// Kept by the browser for as long as the session may last. The idle limit is held to here: a socket that is
    /// open counts as use and renews no cookie.
    fn sign(&self, claims: &Claims, now: Timestamp) -> HeaderValue {
        let token = self.format.sign(claims, &self.keys.load());
        cookie::set(cookie::NAME, &token, claims.session_expires_at.since(now))
    }

    /// An active account, from memory if it is there.
    async fn account(&self, id: AccountId) -> Result<Option<Arc<Account>>, StoreError> {
        if let Some(account) = self.accounts.get(&id) {
            return Ok(Some(account));
        }
        let seen = self.account_changes.load(Ordering::Acquire);
        let Some(account) = self.store.account(&AccountKey::Id(id)).await? else {
            return Ok(None);
        };
        if account.state != AccountState::Active {
            return Ok(None);
        }
        let account = Arc::new(account);
        self.accounts.insert(id, Arc::clone(&account));
        if self.account_changes.load(Ordering::Acquire) != seen {
            self.accounts.invalidate(&id);
        }
        Ok(Some(account))
    }

    async fn apply(&self, changes: &[Change]) -> Result<(), SessionsError> {
        let mut ends = Vec::new();
        let mut accounts = Vec::new();
        let mut keys_changed = false;
        for change in changes {
            match change {
                Change::SessionEnded(id) => ends.push((*id, End::Over)),
                Change::SessionReplaced { ended, by } => ends.push((*ended, End::ReplacedBy(*by))),
                Change::AccountChanged(id) => {
                    self.account_changes.fetch_add(1, Ordering::AcqRel);
                    self.accounts.invalidate(id);
                    accounts.push(*id);
                }
                Change::KeysChanged => keys_changed = true,
            }
        }
        // Requests first, what is open already next; the store is asked last, and only for the latter. If
        // it fails, all of this is done again.
        self.ended.add(&ends, self.clock.now());
        self.announce_ends(&ends);
        self.announce_replacements(&ends).await?;
        for account in accounts {
            self.announce_account(account).await?;
        }
        if keys_changed {
            let loaded = load_keys(&*self.store, &self.secret).await?;
            if let Some(keys) = loaded.session {
                self.keys.store(Arc::new(keys));
            }
            self.assertion_keys.store(Arc::new(loaded.assertion));
        }
        Ok(())
    }
}

fn live(claims: Arc<Claims>, account: Arc<Account>, set_cookie: Option<HeaderValue>) -> Recall {
    Recall::Live(Visit {
        claims,
        account,
        set_cookie,
    })
}
