//! The sessions that have ended while a token of theirs may still be fresh: what makes sign-out effective
//! at the next request without asking the store.
//!
//! Reading takes no lock. An entry is forgotten when every token of its session has expired; from then on
//! renewal asks the store, which knows.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use super::claims::TOKEN_LIFETIME;
use crate::{clock::Timestamp, id::SessionId};

/// How long an ended session is remembered: as long as its freshest token, and the clocks' difference.
pub const MEMORY: Duration = TOKEN_LIFETIME.saturating_add(Duration::from_secs(30));

/// What became of a session. No request is served in it any more, whichever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is over.
    Over,
    /// The same person goes on in this one, after a step-up or an enrolment.
    ReplacedBy(SessionId),
}

/// The sessions that have lately ended.
#[derive(Default)]
pub struct RevocationView {
    ended: ArcSwap<HashMap<SessionId, (End, Timestamp)>>,
}

impl RevocationView {
    /// Whether this session has ended.
    pub fn has_ended(&self, id: SessionId) -> bool {
        self.ended.load().contains_key(&id)
    }

    /// What became of this session; `None` while it has not ended.
    pub fn end_of(&self, id: SessionId) -> Option<End> {
        self.ended.load().get(&id).map(|(end, _)| *end)
    }

    /// Remembers that these have ended, learnt `now`, and forgets what no longer matters.
    pub fn add(&self, ends: &[(SessionId, End)], now: Timestamp) {
        if ends.is_empty() {
            return;
        }
        self.ended.rcu(|ended| {
            let mut next = HashMap::clone(ended);
            next.retain(|_, (_, learnt_at)| now.since(*learnt_at) < MEMORY);
            next.extend(ends.iter().map(|(id, end)| (*id, (*end, now))));
            Arc::new(next)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_session_is_remembered_while_a_token_of_it_may_be_fresh() {
        let view = RevocationView::default();
        let (first, second) = (SessionId::random(), SessionId::random());
        let start = Timestamp::from_seconds(0);
        view.add(&[(first, End::ReplacedBy(second))], start);
        assert!(view.has_ended(first) && !view.has_ended(second));
        assert_eq!(view.end_of(first), Some(End::ReplacedBy(second)));
        view.add(&[(second, End::Over)], start.plus(TOKEN_LIFETIME));
        assert!(view.has_ended(first) && view.has_ended(second));
        view.add(&[(second, End::Over)], start.plus(MEMORY));
        assert!(!view.has_ended(first) && view.has_ended(second));
        assert_eq!(view.end_of(second), Some(End::Over));
    }
}
