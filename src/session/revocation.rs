//! The sessions that have ended while a token of theirs may still be fresh: what makes sign-out effective
//! at the next request without asking the store.
//!
//! Reading takes no lock. An entry is forgotten when every token of its session has expired; from then on
//! renewal asks the store, which knows.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::claims::TOKEN_LIFETIME;
use crate::{clock::Timestamp, id::SessionId};

/// How long an ended session is remembered: as long as its freshest token, and the clocks' difference.
pub const MEMORY: Duration = TOKEN_LIFETIME.saturating_add(Duration::from_secs(30));

/// The sessions that have lately ended.
#[derive(Default)]
pub struct RevocationView {
    ended: ArcSwap<HashMap<SessionId, Timestamp>>,
    /// Counts the times that some ended.
    news: watch::Sender<u64>,
}

impl RevocationView {
    /// Whether this session has ended.
    pub fn has_ended(&self, id: SessionId) -> bool {
        self.ended.load().contains_key(&id)
    }

    /// Returns when this session has ended.
    pub async fn until_ended(&self, id: SessionId) {
        let mut news = self.news.subscribe();
        // An error would say that the sender is gone; it is a field of `self`.
        while !self.has_ended(id) && news.changed().await.is_ok() {}
    }

    /// Remembers that these have ended, learnt `now`, and forgets what no longer matters.
    pub fn add(&self, ids: &[SessionId], now: Timestamp) {
        if ids.is_empty() {
            return;
        }
        self.ended.rcu(|ended| {
            let mut next = HashMap::clone(ended);
            next.retain(|_, learnt_at| now.since(*learnt_at) < MEMORY);
            next.extend(ids.iter().map(|id| (*id, now)));
            Arc::new(next)
        });
        self.news.send_modify(|times| *times += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_the_end_of_a_session_is_told() {
        let view = RevocationView::default();
        let (waited_for, other) = (SessionId::random(), SessionId::random());
        let mut end = std::pin::pin!(view.until_ended(waited_for));
        let now = Timestamp::from_seconds(0);
        assert!(poll_once(end.as_mut()).is_pending());
        view.add(&[other], now);
        assert!(poll_once(end.as_mut()).is_pending());
        view.add(&[waited_for], now);
        end.await;
        view.until_ended(waited_for).await;
    }

    /// Polls once, as a runtime would after being woken.
    fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }

    #[test]
    fn an_ended_session_is_remembered_while_a_token_of_it_may_be_fresh() {
        let view = RevocationView::default();
        let (first, second) = (SessionId::random(), SessionId::random());
        let start = Timestamp::from_seconds(0);
        view.add(&[first], start);
        assert!(view.has_ended(first) && !view.has_ended(second));
        view.add(&[second], start.plus(TOKEN_LIFETIME));
        assert!(view.has_ended(first) && view.has_ended(second));
        view.add(&[second], start.plus(MEMORY));
        assert!(!view.has_ended(first) && view.has_ended(second));
    }
}
