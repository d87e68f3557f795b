//! Shares of a whole.

use super::Written;

/// A share from nothing to all, in thousandths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    const ALL: u32 = 100 * PERCENT;

    /// For defaults, which are known to be in range.
    pub(in crate::config) const fn thousandths_of_percent(thousandths: u32) -> Self {
        assert!(thousandths <= Self::ALL, "a default is a share");
        Self(thousandths)
    }

    /// From 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL)
    }
}

const PERCENT: u32 = 1000;

impl Written for Share {
    const NAME: &'static str = "share";
    const ACCEPTED: &'static str = "a share from \"0%\" to \"100%\", such as \"1%\" or \"0.125%\", with three decimals at most";

    fn parse(text: &str) -> Option<Self> {
        let number = text.strip_suffix('%')?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 3) || !digits(decimals, 3) {
            return None;
        }
        let thousandths = format!("{decimals:0<3}").parse::<u32>().ok()?;
        let share = whole.parse::<u32>().ok()? * PERCENT + thousandths;
        (share <= Self::ALL).then_some(Self(share))
    }

    fn write(&self) -> String {
        let (whole, rest) = (self.0 / PERCENT, self.0 % PERCENT);
        let decimals = format!(".{rest:03}");
        match decimals.trim_end_matches('0') {
            "." => format!("{whole}%"),
            decimals => format!("{whole}{decimals}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_of_at_most_a_hundred() {
        for (text, fraction) in [
            ("0%", 0.0),
            ("1%", 0.01),
            ("0.125%", 0.00125),
            ("12.5%", 0.125),
            ("100%", 1.0),
        ] {
            let share = Share::parse(text).expect(text);
            assert!((share.fraction() - fraction).abs() < 1e-9, "{text}");
            assert_eq!(share.write(), text);
        }
        assert_eq!(Share::parse("01.50%").unwrap().write(), "1.5%");
        for text in [
            "", "%", "1", "0.1", "101%", "100.001%", "-1%", "1.%", ".5%", "1.2345%", "+1%", "1 %",
            "9999%", "1e1%",
        ] {
            assert_eq!(Share::parse(text), None, "{text}");
        }
    }
}
