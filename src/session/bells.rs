//! Telling those who wait for news of one thing, and nobody else: a bell for each session or account that
//! something long is going on for.
//!
//! A thousand sockets of one person hang on one bell; whatever happens to anybody else wakes none of them. A
//! bell is there while somebody listens to it, so what only lasts a moment costs nothing here.

use std::hash::Hash;

use dashmap::DashMap;
use tokio::sync::watch;

/// The bells of all that is listened for, by what it is.
pub struct Bells<K: Eq + Hash, N> {
    hung: DashMap<K, watch::Sender<Option<N>>>,
}

/// Someone who hears the bell of one thing until they are dropped.
pub struct Listener<'b, K: Copy + Eq + Hash, N> {
    bells: &'b Bells<K, N>,
    key: K,
    /// Taken when this is dropped: the bell goes with its last listener.
    news: Option<watch::Receiver<Option<N>>>,
}

impl<K: Copy + Eq + Hash, N: Clone> Bells<K, N> {
    /// Hears what happens to `key` from now on.
    pub fn listen(&self, key: K) -> Listener<'_, K, N> {
        let bell = self
            .hung
            .entry(key)
            .or_insert_with(|| watch::Sender::new(None));
        Listener {
            bells: self,
            key,
            news: Some(bell.subscribe()),
        }
    }

    /// Whether anybody would hear it.
    pub fn is_heard(&self, key: K) -> bool {
        self.hung.contains_key(&key)
    }

    /// Tells those who listen.
    pub fn ring(&self, key: K, news: N) {
        if let Some(bell) = self.hung.get(&key) {
            bell.send_replace(Some(news));
        }
    }
}

impl<K: Eq + Hash, N> Default for Bells<K, N> {
    fn default() -> Self {
        Self {
            hung: DashMap::new(),
        }
    }
}

impl<K: Copy + Eq + Hash, N: Clone> Listener<'_, K, N> {
    /// The next news; of several that came at once, the last.
    pub async fn next(&mut self) -> N {
        if let Some(news) = &mut self.news {
            // An error says that the bell is gone; it stays while it has a listener.
            while news.changed().await.is_ok() {
                if let Some(news) = news.borrow_and_update().clone() {
                    return news;
                }
            }
        }
        std::future::pending().await
    }
}

impl<K: Copy + Eq + Hash, N> Drop for Listener<'_, K, N> {
    fn drop(&mut self) {
        self.news = None;
        self.bells
            .hung
            .remove_if(&self.key, |_, bell| bell.receiver_count() == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_those_who_listen_for_it_hear_a_bell_and_it_goes_with_the_last() {
        let bells = Bells::<u8, &str>::default();
        bells.ring(1, "before anybody listened");
        let (mut first, mut second, mut other) =
            (bells.listen(1), bells.listen(1), bells.listen(2));
        bells.ring(1, "one");
        assert_eq!((first.next().await, second.next().await), ("one", "one"));
        assert!(is_pending(other.next()));
        let mut late = bells.listen(1);
        assert!(is_pending(late.next()));
        bells.ring(1, "two");
        bells.ring(1, "three");
        assert_eq!(late.next().await, "three");
        drop((first, second));
        assert!(bells.is_heard(1));
        drop(late);
        assert!(!bells.is_heard(1) && bells.is_heard(2));
    }

    fn is_pending<F: Future>(future: F) -> bool {
        std::pin::pin!(future)
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
            .is_pending()
    }
}
