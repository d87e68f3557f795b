//! Following a session while something long goes on in it: a socket, an event stream, a long download.
//!
//! A session is followed through its replacements (a step-up and an enrolment give it a new id) and together
//! with its account. What was open is asked about again whenever one of them has changed, and ends with them.

use std::{sync::Arc, time::Duration};

use super::{
    Claims, RENEW_AFTER, Sessions, SessionsError, Visit, bells::Listener, revocation::End,
};
use crate::{
    clock::Timestamp,
    config::SessionLimits,
    id::{AccountId, SessionId},
    store::{Account, AccountState, StoreError},
};

/// What those who follow a session hear.
#[derive(Clone, Debug)]
pub enum SessionNews {
    /// It is over.
    Over,
    /// It goes on under these claims.
    Replaced(Arc<Claims>),
}

/// What those who follow an account hear.
#[derive(Clone, Debug)]
pub enum AccountNews {
    /// It is disabled or gone.
    Closed,
    /// It is now like this.
    Changed(Arc<Account>),
}

/// A session that is followed.
pub struct Following<'s> {
    sessions: &'s Sessions,
    visit: Visit,
    of_session: Listener<'s, SessionId, SessionNews>,
    of_account: Listener<'s, AccountId, AccountNews>,
    /// Whether what happened to the session before its bell was listened for is still to be looked up.
    unsettled: bool,
}

impl Sessions {
    /// Follows the session that a visit proved, as it stands now; `None` when it is over.
    ///
    /// The visit must be younger than [`super::TOKEN_LIFETIME`]: what ended longer ago is not remembered.
    ///
    /// # Errors
    /// When only the store could tell, and it does not answer.
    pub async fn follow(&self, visit: &Visit) -> Result<Option<Following<'_>>, StoreError> {
        let mut following = Following {
            sessions: self,
            of_session: self.session_bells.listen(visit.claims.sid),
            of_account: self.account_bells.listen(visit.claims.account),
            visit: visit.clone(),
            unsettled: true,
        };
        // Heard from here on; what happened between the visit and now is looked up.
        let alive =
            following.catch_up_with_session().await? && following.catch_up_with_account().await?;
        Ok(alive.then_some(following))
    }

    /// Tells those who follow these sessions. Afterwards nobody is told twice who was told already.
    pub(super) fn announce_ends(&self, ends: &[(SessionId, End)]) {
        for (id, end) in ends {
            match end {
                End::Over => self.session_bells.ring(*id, SessionNews::Over),
                // The store must be asked; see `announce_replacements`.
                End::ReplacedBy(_) => {}
            }
        }
    }

    /// Tells those who follow a replaced session under which claims it goes on: asked once, however many
    /// they are.
    pub(super) async fn announce_replacements(
        &self,
        ends: &[(SessionId, End)],
    ) -> Result<(), StoreError> {
        for (id, end) in ends {
            match end {
                End::ReplacedBy(next) if self.session_bells.is_heard(*id) => {
                    let news = match self.claims_of(*next).await? {
                        Some(claims) => SessionNews::Replaced(claims),
                        None => SessionNews::Over,
                    };
                    self.session_bells.ring(*id, news);
                }
                End::ReplacedBy(_) | End::Over => {}
            }
        }
        Ok(())
    }

    /// Tells those who follow an account what has become of it.
    pub(super) async fn announce_account(&self, id: AccountId) -> Result<(), StoreError> {
        if self.account_bells.is_heard(id) {
            let news = match self.account(id).await? {
                Some(account) => AccountNews::Changed(account),
                None => AccountNews::Closed,
            };
            self.account_bells.ring(id, news);
        }
        Ok(())
    }

    async fn claims_of(&self, id: SessionId) -> Result<Option<Arc<Claims>>, StoreError> {
        let now = self.clock.now();
        let session = self.store.session(id, now).await?;
        Ok(session.map(|session| Arc::new(Claims::of(&session, now))))
    }
}

impl Following<'_> {
    /// The session as it stands.
    pub const fn visit(&self) -> &Visit {
        &self.visit
    }

    /// Waits until the session or its account has changed, and takes over what is new; `false` when it is
    /// over. Nothing is lost when this is dropped before it is done.
    ///
    /// # Errors
    /// When only the store could tell, and it does not answer.
    pub async fn changed(&mut self) -> Result<bool, StoreError> {
        if self.unsettled {
            return self.catch_up_with_session().await;
        }
        tokio::select! {
            news = self.of_session.next() => match news {
                SessionNews::Over => Ok(false),
                SessionNews::Replaced(claims) => {
                    self.go_on_in(claims);
                    self.catch_up_with_session().await
                }
            },
            news = self.of_account.next() => match news {
                AccountNews::Closed => Ok(false),
                AccountNews::Changed(account) => {
                    self.visit.account = account;
                    Ok(true)
                }
            },
        }
    }

    /// Notes that the session is in use, once for all that goes on in it; when it turns out to be over,
    /// everybody who follows it is told.
    ///
    /// # Errors
    /// When the store does not answer; it is tried again the next time.
    pub async fn note_use(&self, limits: &SessionLimits) -> Result<(), SessionsError> {
        let sessions = self.sessions;
        let (sid, now) = (self.visit.claims.sid, sessions.clock.now());
        if !sessions.is_turn_to_note_use(sid, now, use_period(limits)) {
            return Ok(());
        }
        let idle_since = now.minus(limits.idle);
        match sessions.store.renew_session(sid, now, idle_since).await {
            Ok(Some(_)) => {}
            // It may have been replaced a moment ago; then its followers have moved on.
            Ok(None) if sessions.ended.end_of(sid).is_some() => {}
            Ok(None) => sessions.session_bells.ring(sid, SessionNews::Over),
            Err(error) => {
                sessions.uses.invalidate(&sid);
                return Err(error.into());
            }
        }
        Ok(())
    }

    async fn catch_up_with_session(&mut self) -> Result<bool, StoreError> {
        loop {
            match self.sessions.ended.end_of(self.visit.claims.sid) {
                None => {
                    self.unsettled = false;
                    return Ok(true);
                }
                Some(End::Over) => return Ok(false),
                Some(End::ReplacedBy(next)) => match self.sessions.claims_of(next).await? {
                    None => return Ok(false),
                    Some(claims) => self.go_on_in(claims),
                },
            }
        }
    }

    async fn catch_up_with_account(&mut self) -> Result<bool, StoreError> {
        match self.sessions.account(self.visit.claims.account).await? {
            None => Ok(false),
            Some(account) => {
                self.visit.account = account;
                Ok(account_is_active(&self.visit.account))
            }
        }
    }

    fn go_on_in(&mut self, claims: Arc<Claims>) {
        self.unsettled = true;
        self.of_session = self.sessions.session_bells.listen(claims.sid);
        self.visit.claims = claims;
    }
}

/// How often a session in which something long goes on is noted as used.
pub fn use_period(limits: &SessionLimits) -> Duration {
    RENEW_AFTER.min(limits.idle / 2)
}

fn account_is_active(account: &Account) -> bool {
    match account.state {
        AccountState::Active => true,
        AccountState::Disabled => false,
    }
}

impl Sessions {
    fn is_turn_to_note_use(&self, id: SessionId, now: Timestamp, period: Duration) -> bool {
        use moka::ops::compute::{CompResult, Op};
        let turn = self.uses.entry(id).and_compute_with(|last| match last {
            Some(last) if now.since(*last.value()) < period => Op::Nop,
            Some(_) | None => Op::Put(now),
        });
        matches!(turn, CompResult::Inserted(_) | CompResult::ReplacedWith(_))
    }
}
