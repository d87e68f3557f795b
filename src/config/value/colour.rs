//! Colours.

use super::Written;

/// A colour, `#rrggbb` in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Colour(String);

impl Colour {
    /// `#rrggbb`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Written for Colour {
    const NAME: &'static str = "colour";
    const ACCEPTED: &'static str = "a colour such as \"#0a6cff\"";

    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        let valid = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid.then(|| Self(text.to_ascii_lowercase()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_hexadecimal_digits_are_a_colour() {
        assert_eq!(Colour::parse("#0A6cFF").unwrap().as_str(), "#0a6cff");
        for text in ["", "blue", "#fff", "#12345g", "0a6cff", "#é1234"] {
            assert!(Colour::parse(text).is_none(), "{text}");
        }
    }
}
