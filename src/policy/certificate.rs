//! Names that a client certificate bears, and the certificates that a route asks for.

use std::fmt;

use serde::Serialize;

/// One name of a verified client certificate: a DNS name or a URI among its alternative names (RFC 5280
/// §4.2.1.6). The subject's common name is none: anybody's script may have put anything there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct CertificateName(String);

/// Whose certificate a route asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Certificates {
    /// Nobody's: it may be had without.
    #[default]
    NotAsked,
    /// One that bears any of these names.
    OneOf(Vec<CertificateName>),
}

impl CertificateName {
    /// A host name, compared without regard to case. `None` for anything that is not plainly one: a wildcard
    /// in a client's certificate names nobody.
    pub fn dns(text: &str) -> Option<Self> {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        (text.len() <= MAX_DNS && text.split('.').all(is_label))
            .then(|| Self(text.to_ascii_lowercase()))
    }

    /// A URI such as `spiffe://example.com/backup`, compared byte for byte. `None` for what is not visible
    /// ASCII after a scheme; a comma would make a list of it in a header.
    pub fn uri(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',');
        (is_scheme && !rest.is_empty() && plain && text.len() <= MAX_URI)
            .then(|| Self(text.to_owned()))
    }

    /// As a person writes it: a URI has a colon, a host name has none.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains(':') {
            Self::uri(text)
        } else {
            Self::dns(text)
        }
    }

    /// As it is shown and sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const MAX_DNS: usize = 253;
/// The longest SPIFFE id; nobody's header should be longer.
const MAX_URI: usize = 2048;

impl Certificates {
    /// The name by which a certificate passes, or whether none is asked for: `Err` when it does not pass.
    fn check<'a>(&self, names: &'a [CertificateName]) -> Result<Option<&'a CertificateName>, ()> {
        match self {
            Self::NotAsked => Ok(None),
            Self::OneOf(asked) => match names.iter().find(|name| asked.contains(name)) {
                Some(name) => Ok(Some(name)),
                None => Err(()),
            },
        }
    }

    /// Whether a client with a certificate of these names passes.
    pub fn admit(&self, names: &[CertificateName]) -> bool {
        self.check(names).is_ok()
    }

    /// The name by which a client passes; `None` where none is asked for, and where it does not pass.
    pub fn passed_by<'a>(&self, names: &'a [CertificateName]) -> Option<&'a CertificateName> {
        self.check(names).ok().flatten()
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_host_names_or_uris_and_nothing_else() {
        for (text, read) in [
            ("Backup.Example.com", Some("backup.example.com")),
            ("host", Some("host")),
            ("spiffe://Example/a", Some("spiffe://Example/a")),
            ("urn:x:y", Some("urn:x:y")),
            ("", None),
            ("*.example.com", None),
            ("a..b", None),
            ("a b", None),
            ("a,b", None),
            ("a\nb", None),
            (":x", None),
            ("x:", None),
            ("urn:a b", None),
            ("urn:a,b", None),
            ("urn:é", None),
        ] {
            let name = CertificateName::parse(text);
            assert_eq!(name.as_ref().map(CertificateName::as_str), read, "{text}");
        }
        assert_eq!(CertificateName::dns("spiffe://x"), None);
    }

    #[test]
    fn a_route_that_asks_takes_the_names_it_lists() {
        let name = |text| CertificateName::parse(text).unwrap();
        let asked = Certificates::OneOf(vec![name("a.example"), name("b.example")]);
        assert!(asked.admit(&[name("c.example"), name("b.example")]));
        assert_eq!(
            asked.passed_by(&[name("c.example"), name("b.example")]),
            Some(&name("b.example"))
        );
        assert!(!asked.admit(&[name("c.example")]) && !asked.admit(&[]));
        assert!(Certificates::NotAsked.admit(&[]));
        assert_eq!(Certificates::NotAsked.passed_by(&[name("a.example")]), None);
    }
}
