//! Whoever would save a passkey in a session: read from the store when the page is shown and at each step of
//! saving one, and then judged by [`right`](super::right).

use super::right::{Asking, Lack, Right, right_to_save};
use crate::{
    clock::Timestamp,
    session::Claims,
    store::{Account, AccountKey, Credential, SessionRecord, Standing},
    web::{ask::Ask, error::Outcome},
};

/// A session that would save a passkey, as the store knows it now: what is remembered of it may be a second
/// old.
pub(super) struct Saver {
    pub(super) account: Account,
    pub(super) session: SessionRecord,
    /// All passkeys of the account, oldest first.
    pub(super) credentials: Vec<Credential>,
}

impl Saver {
    /// The session of the request; `None` without a live one.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(super) async fn of(ask: &Ask) -> Outcome<Option<Self>> {
        let Some(visit) = &ask.caller.visit else {
            return Ok(None);
        };
        let store = &ask.core.store;
        let Some(session) = store.session(visit.claims.sid, ask.now()).await? else {
            return Ok(None);
        };
        let Some(account) = store.account(&AccountKey::Id(session.account)).await? else {
            return Ok(None);
        };
        let credentials = store.credentials(account.id).await?;
        Ok(Some(Self {
            account,
            session,
            credentials,
        }))
    }

    /// By what right it saves one, or what it lacks.
    pub(super) fn right(&self, ask: &Ask) -> Result<Right, Lack> {
        right_to_save(&Asking {
            account: &self.account,
            has_usable_passkey: self.has_usable_passkey(),
            claims: &Claims::of(&self.session, ask.now()),
            proofs: &self.session.proofs,
            rules: &ask.config().enrolment,
            now: ask.now(),
        })
    }

    /// Whether the account has a passkey that could be checked.
    pub(super) fn has_usable_passkey(&self) -> bool {
        self.credentials.iter().any(|one| one.standing.is_good())
    }

    /// The passkey that was saved in, or opened, this session and waits to be used once more.
    pub(super) fn waiting(&self) -> Option<(&Credential, Timestamp)> {
        let own = |one: &&Credential| Some(&one.id) == self.session.credential.as_ref();
        let credential = self.credentials.iter().find(own)?;
        match credential.standing {
            Standing::Held { until } => Some((credential, until)),
            Standing::Good | Standing::Frozen { .. } => None,
        }
    }
}
