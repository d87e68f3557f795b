//! A wait that may be none.

use std::time::Duration;

use super::{Period, Written};

/// `"0s"` or a duration of at most 30 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold(Option<Period>);

impl Hold {
    /// No wait.
    pub const NONE: Self = Self(None);

    /// A lost phone is replaced within weeks; whoever waits longer has given up.
    const MAX: Duration = Duration::from_hours(30 * 24);

    /// How long; zero for none.
    pub fn duration(self) -> Duration {
        self.0.map_or(Duration::ZERO, Period::duration)
    }
}

impl Written for Hold {
    const NAME: &'static str = "duration";
    const ACCEPTED: &'static str =
        "\"0s\" for none, or a duration of at most \"30d\" such as \"24h\"";

    fn parse(text: &str) -> Option<Self> {
        if text == "0s" {
            return Some(Self::NONE);
        }
        Period::parse(text)
            .filter(|period| period.duration() <= Self::MAX)
            .map(|period| Self(Some(period)))
    }

    fn write(&self) -> String {
        self.0
            .map_or_else(|| "0s".to_owned(), |period| period.write())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_none_or_at_most_thirty_days() {
        for (text, hours) in [
            ("0s", Some(0)),
            ("24h", Some(24)),
            ("30d", Some(720)),
            ("31d", None),
            ("0h", None),
        ] {
            let hold = Hold::parse(text);
            assert_eq!(
                hold.map(Hold::duration),
                hours.map(Duration::from_hours),
                "{text}"
            );
        }
        assert_eq!(Hold::parse("24h").unwrap().write(), "24h");
        assert_eq!(Hold::NONE.write(), "0s");
    }
}
