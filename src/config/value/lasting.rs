//! How long others are to remember something, if at all.

use std::time::Duration;

use super::{Period, Written};

/// `"0s"` or a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lasting(Option<Period>);

impl Lasting {
    /// Not at all.
    pub const NOT: Self = Self(None);

    /// For defaults: so many days.
    pub(in crate::config) const fn days(days: u64) -> Self {
        Self(Some(Period::seconds(days * 24 * 60 * 60)))
    }

    /// How long; `None` for not at all.
    pub fn duration(self) -> Option<Duration> {
        self.0.map(Period::duration)
    }
}

impl Written for Lasting {
    const NAME: &'static str = "duration";
    const ACCEPTED: &'static str =
        "\"0s\" for not at all, or a duration in s, m, h or d such as \"30d\"";

    fn parse(text: &str) -> Option<Self> {
        if text == "0s" {
            return Some(Self::NOT);
        }
        Period::parse(text).map(|period| Self(Some(period)))
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
    fn not_at_all_is_written_as_no_seconds() {
        assert_eq!(Lasting::parse("0s").unwrap().duration(), None);
        assert_eq!(
            Lasting::parse("365d").unwrap().duration(),
            Some(Duration::from_hours(365 * 24))
        );
        assert_eq!(Lasting::days(30).write(), "30d");
        assert_eq!(Lasting::parse("0d"), None);
        assert_eq!(Lasting::parse("soon"), None);
    }
}
