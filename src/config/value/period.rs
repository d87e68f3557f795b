//! Durations.

use std::time::Duration;

use super::Written;

/// A time span of whole seconds, above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

impl Period {
    /// Ten years: beyond it a number is a mistake, and sums of seconds stay far from overflow.
    const MAX: Duration = Duration::from_hours(10 * 366 * 24);

    /// `None` for zero, parts of a second and more than ten years.
    pub const fn from_secs(seconds: u64) -> Option<Self> {
        if seconds == 0 || seconds > Self::MAX.as_secs() {
            return None;
        }
        Some(Self(Duration::from_secs(seconds)))
    }

    /// How long.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// So many seconds; for defaults, which are known to be in range.
    pub(in crate::config) const fn seconds(seconds: u64) -> Self {
        match Self::from_secs(seconds) {
            Some(period) => period,
            None => panic!("a default is above zero and below ten years"),
        }
    }
}

/// For the command line.
impl std::str::FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        <Self as Written>::parse(text).ok_or_else(|| format!("expected {}", Self::ACCEPTED))
    }
}

impl Written for Period {
    const NAME: &'static str = "duration";
    const ACCEPTED: &'static str =
        "a duration above zero in s, m, h or d, such as \"90s\", \"15m\", \"12h\" or \"7d\"";

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = match &text[digits.len()..] {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return None,
        };
        // `u64` would read a sign as well.
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Self::from_secs(digits.parse::<u64>().ok()?.checked_mul(unit)?)
    }

    fn write(&self) -> String {
        let seconds = self.0.as_secs();
        [(24 * 60 * 60, 'd'), (60 * 60, 'h'), (60, 'm')]
            .into_iter()
            // A few days read better as hours: "24h", "72h".
            .find(|(unit, _)| {
                seconds.is_multiple_of(*unit) && (*unit < 24 * 60 * 60 || seconds > 4 * unit)
            })
            .map_or_else(
                || format!("{seconds}s"),
                |(unit, name)| format!("{}{name}", seconds / unit),
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit_is_a_duration() {
        for (text, seconds) in [
            ("90s", 90),
            ("15m", 900),
            ("12h", 43_200),
            ("72h", 259_200),
            ("7d", 604_800),
        ] {
            let period = Period::parse(text).unwrap();
            assert_eq!(period.duration().as_secs(), seconds, "{text}");
            assert_eq!(period.write(), text);
        }
    }

    #[test]
    fn zero_a_sign_another_unit_and_more_than_ten_years_are_refused() {
        for text in [
            "",
            "15",
            "m",
            "0s",
            "-1s",
            "+1s",
            "1.5h",
            "15 m",
            "1w",
            "99999d",
            "99999999999999999999s",
            "1é",
        ] {
            assert!(Period::parse(text).is_none(), "{text}");
        }
    }
}
