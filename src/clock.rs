//! What time it is: seconds since 1970, from the system or from a test that turns the hands itself.
//!
//! Everything that expires asks a [`Clock`] that was handed to it; nothing reads the system's directly.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::OptionFuture;
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};
use tokio::sync::Notify;

/// A moment in whole seconds since 1970-01-01T00:00:00Z, as in a JWT's NumericDate (RFC 7519 §2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From seconds since 1970.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// This moment and `duration` (rounded down to seconds) later; stays at the end of time.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(whole_seconds(duration)))
    }

    /// This moment less `duration` (rounded down to seconds).
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(whole_seconds(duration)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Timestamp {
    /// As pages and mails show it: `22 Nov 2026, 10:21 UTC`.
    pub fn for_people(self) -> String {
        let shape = format_description!(
            "[day padding:none] [month repr:short] [year], [hour]:[minute] UTC"
        );
        OffsetDateTime::from_unix_timestamp(self.0)
            .ok()
            .and_then(|moment| moment.format(shape).ok())
            .unwrap_or_else(|| self.to_string())
    }
}

fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC, for logs and pages.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match OffsetDateTime::from_unix_timestamp(self.0)
            .ok()
            .and_then(|moment| moment.format(&Rfc3339).ok())
        {
            Some(text) => f.write_str(&text),
            None => write!(f, "@{}", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A source of the present moment; clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    hands: Hands,
}

#[derive(Clone, Debug)]
enum Hands {
    System,
    /// The system's time shifted by so many seconds.
    Shifted(Arc<Hand>),
    /// A time that stands until it is moved.
    Fixed(Arc<Hand>),
}

/// What a test turns.
#[derive(Debug, Default)]
struct Hand {
    seconds: AtomicI64,
    moved: Notify,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self {
            hands: Hands::System,
        }
    }

    /// The system's clock, which [`advance`](Self::advance) puts forward: browsers and mail keep working.
    pub fn shifted() -> Self {
        Self {
            hands: Hands::Shifted(Arc::default()),
        }
    }

    /// A clock that stands at `moment` until it is moved.
    pub fn fixed(moment: Timestamp) -> Self {
        Self {
            hands: Hands::Fixed(Arc::new(Hand {
                seconds: AtomicI64::new(moment.seconds()),
                moved: Notify::new(),
            })),
        }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        match &self.hands {
            Hands::System => system_now(),
            Hands::Shifted(by) => Timestamp(
                system_now()
                    .0
                    .saturating_add(by.seconds.load(Ordering::Acquire)),
            ),
            Hands::Fixed(at) => Timestamp(at.seconds.load(Ordering::Acquire)),
        }
    }

    /// Puts the clock and all its clones forward. The system's own clock does not move.
    pub fn advance(&self, duration: Duration) {
        match &self.hands {
            Hands::System => {}
            Hands::Shifted(hand) | Hands::Fixed(hand) => {
                hand.seconds
                    .fetch_add(whole_seconds(duration), Ordering::AcqRel);
                hand.moved.notify_waiters();
            }
        }
    }

    /// Returns once it is `moment`, at most a second late.
    pub async fn until(&self, moment: Timestamp) {
        loop {
            // Listens before it looks: a hand that moves in between is seen.
            let moved = match &self.hands {
                Hands::System => None,
                Hands::Shifted(hand) | Hands::Fixed(hand) => Some(hand.moved.notified()),
            };
            let left = moment.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(LONGEST_SLEEP)) => {}
                Some(()) = OptionFuture::from(moved) => {}
            }
        }
    }
}

/// The system's clock may be set, or the machine be suspended, while somebody waits.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

fn system_now() -> Timestamp {
    // A clock before 1970 is a broken machine: at zero everything has not begun yet, so nothing is granted.
    Timestamp(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, whole_seconds),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told_and_its_clones_with_it() {
        let clock = Clock::fixed(Timestamp::from_seconds(100));
        let clone = clock.clone();
        clock.advance(Duration::from_secs(5));
        assert_eq!(clone.now(), Timestamp::from_seconds(105));
        assert_eq!(
            clone.now().since(Timestamp::from_seconds(100)),
            Duration::from_secs(5)
        );
        assert_eq!(
            Timestamp::from_seconds(1).since(clone.now()),
            Duration::ZERO
        );
    }

    #[tokio::test]
    async fn whoever_waits_for_a_moment_is_woken_when_the_hands_pass_it() {
        let clock = Clock::fixed(Timestamp::from_seconds(100));
        let mut waiting = std::pin::pin!(clock.until(Timestamp::from_seconds(4000)));
        let mut looked = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut looked).is_pending());
        clock.advance(Duration::from_secs(3899));
        assert!(waiting.as_mut().poll(&mut looked).is_pending());
        clock.advance(Duration::from_secs(1));
        assert!(waiting.as_mut().poll(&mut looked).is_ready());
    }

    #[test]
    fn a_moment_is_shown_as_rfc_3339() {
        assert_eq!(
            Timestamp::from_seconds(0).to_string(),
            "1970-01-01T00:00:00Z"
        );
    }
}
