//! How far this node is behind the store's feed of changes.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// When all changes were known last.
#[derive(Debug)]
pub struct Feed {
    began: Instant,
    /// Milliseconds after `began`.
    caught_up: AtomicU64,
}

impl Default for Feed {
    /// A node that starts reads all it must know.
    fn default() -> Self {
        Self {
            began: Instant::now(),
            caught_up: AtomicU64::new(0),
        }
    }
}

impl Feed {
    /// All changes up to now are known.
    pub fn note_caught_up(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.caught_up.store(now, Ordering::Relaxed);
    }

    /// How long ago that was.
    pub fn behind(&self) -> Duration {
        let caught_up = Duration::from_millis(self.caught_up.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(caught_up)
    }
}
