//! An email address in the one form that is stored and compared.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A syntactically valid address (RFC 5321 §4.1.2, ASCII) in lower case, at most 254 characters.
///
/// The local part is folded too: no mailbox provider in use tells `Ann@` from `ann@`, and two accounts
/// that differ only there would be a way to be taken for somebody else.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The longest address that SMTP carries (RFC 3696, erratum 1690), in characters.
    pub const MAX_LENGTH: usize = 254;

    /// `None` when `text`, trimmed, is not an address.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > Self::MAX_LENGTH || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        lettre::Address::from_str(text).ok()?;
        Some(Self(text.to_ascii_lowercase()))
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the last `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// For pages and mails to the address itself; logs write the account's id instead.
impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Kept out of logs: an address is personal data.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress")
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom("expected an email address such as ann@example.com")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_trimmed_and_folded() {
        let address = EmailAddress::parse(" Ann.Lee+x@Example.COM ").unwrap();
        assert_eq!(address.as_str(), "ann.lee+x@example.com");
        assert_eq!(address.domain(), "example.com");
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "a b@example.com",
            "ann@exam\nple.com",
            "ann@é.com",
            &long,
        ] {
            assert!(EmailAddress::parse(bad).is_none(), "{bad}");
        }
    }
}
