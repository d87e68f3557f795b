//! A wait that may be none.

use std::time::Duration;

use super::{Lasting, Written};

/// `"0s"` or a duration of at most 30 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold(Lasting);

impl Hold {
    /// No wait.
    pub const NONE: Self = Self(Lasting::NOT);

    /// A lost phone is replaced within weeks; whoever waits longer has given up.
    const MAX: Duration = Duration::from_hours(30 * 24);

    /// How long; zero for none.
    pub fn duration(self) -> Duration {
        self.0.duration().unwrap_or_default()
    }
}

impl Written for Hold {
    const NAME: &'static str = "duration";
    const ACCEPTED: &'static str =
        "\"0s\" for none, or a duration of at most \"30d\" such as \"24h\"";

    fn parse(text: &str) -> Option<Self> {
        let lasting = Lasting::parse(text)?;
        (lasting.duration() <= Some(Self::MAX)).then_some(Self(lasting))
    }

    fn write(&self) -> String {
        self.0.write()
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
