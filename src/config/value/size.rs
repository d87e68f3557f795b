//! Amounts of data.

use super::Written;

/// An amount of data above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(u64);

impl Size {
    /// For defaults, which are above zero.
    pub(in crate::config) const fn of(bytes: u64) -> Self {
        assert!(bytes > 0, "a default is above zero");
        Self(bytes)
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl Written for Size {
    const NAME: &'static str = "size";
    const ACCEPTED: &'static str =
        "a size above zero in B, KiB, MiB or GiB, such as \"64KiB\" or \"100MiB\"";

    fn parse(text: &str) -> Option<Self> {
        let (digits, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
        // `u64` would read a sign as well.
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse::<u64>().ok().filter(|_| plain)?;
        number
            .checked_mul(*unit)
            .filter(|bytes| *bytes > 0)
            .map(Self)
    }

    fn write(&self) -> String {
        let (name, unit) = UNITS
            .iter()
            .find(|(_, unit)| self.0.is_multiple_of(*unit))
            .unwrap_or(&UNITS[3]);
        format!("{}{name}", self.0 / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_names_its_unit() {
        for (text, bytes) in [
            ("1B", 1),
            ("64KiB", 65_536),
            ("100MiB", 104_857_600),
            ("2GiB", 2_147_483_648),
        ] {
            let size = Size::parse(text).unwrap();
            assert_eq!((size.bytes(), size.write().as_str()), (bytes, text));
        }
        assert_eq!(Size::of(1024).write(), "1KiB");
        for text in [
            "",
            "1",
            "0B",
            "-1B",
            "+1B",
            "1KB",
            "1 KiB",
            "1.5MiB",
            "B",
            "99999999999GiB",
        ] {
            assert_eq!(Size::parse(text), None, "{text}");
        }
    }
}
