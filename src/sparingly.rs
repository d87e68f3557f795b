//! Log lines that strangers can cause: at most one a second, with the number of those left out.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

/// Says when to write the next line.
pub struct Sparingly {
    began: Instant,
    /// Milliseconds after `began` of the next line.
    next: AtomicU64,
    silenced: AtomicU64,
}

impl Default for Sparingly {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            next: AtomicU64::new(0),
            silenced: AtomicU64::new(0),
        }
    }
}

impl Sparingly {
    /// How many lines were left out before this one; `None` when it is left out itself.
    pub fn due(&self) -> Option<u64> {
        self.due_at(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn due_at(&self, now: u64) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        let mine = now >= next
            && self
                .next
                .compare_exchange(
                    next,
                    now.saturating_add(BETWEEN),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        if mine {
            Some(self.silenced.swap(0, Ordering::Relaxed))
        } else {
            self.silenced.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

/// In milliseconds.
const BETWEEN: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_tells_of_those_before_it() {
        let lines = Sparingly::default();
        assert_eq!(lines.due_at(0), Some(0));
        assert_eq!(lines.due_at(1), None);
        assert_eq!(lines.due_at(999), None);
        assert_eq!(lines.due_at(1000), Some(2));
        assert_eq!(lines.due_at(5000), Some(0));
    }
}
