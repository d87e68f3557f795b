//! Host and port as one parsed value, so that `App.Example:8080` in a Host field and `app.example:8080` in
//! a target are seen to be the same, and anything else is not.

use std::{fmt, net::Ipv6Addr};

/// What a request was addressed to: a host, lower case, and a port if one was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// Reads a Host field or an `:authority` (RFC 9110 §7.2): a name or IPv4 address of letters, digits,
    /// hyphens and underscores in labels, or an IPv6 address in brackets, and at most a port.
    ///
    /// A trailing dot is refused: it names the same host in DNS but not in a route, a certificate or a
    /// cookie. So is user information, which readers disagree on.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
        let end = match text.strip_prefix('[') {
            Some(rest) => rest.find(']')? + 2,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, rest) = text.split_at(end);
        let port = match rest.strip_prefix(':') {
            Some(digits) => Some(port(digits)?),
            None if rest.is_empty() => None,
            None => return None,
        };
        is_host(host).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }

    /// The host, lower case, an IPv6 address in its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if one was named.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether `url` is addressed to the same host and port.
    pub fn is_of(&self, url: &url::Url) -> bool {
        url.host_str() == Some(self.host())
            && (url.port() == self.port
                || (self.port.is_some() && url.port_or_known_default() == self.port))
    }
}

fn port(digits: &str) -> Option<u16> {
    // `u16::from_str` takes a leading plus sign.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| plain && *port != 0)
}

fn is_host(host: &str) -> bool {
    match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.len() <= MAX_NAME && host.split('.').all(is_label),
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// RFC 1035 §2.3.4, without the root's dot, in characters.
const MAX_NAME: usize = 253;

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_is_folded_and_its_port_set_apart() {
        for (text, host, shown) in [
            ("App.Example.COM", "app.example.com", "app.example.com"),
            ("localhost:8080", "localhost", "localhost:8080"),
            ("127.0.0.1:1", "127.0.0.1", "127.0.0.1:1"),
            ("[::1]:443", "[::1]", "[::1]:443"),
            ("legacy_app", "legacy_app", "legacy_app"),
        ] {
            let authority = Authority::parse(text.as_bytes()).unwrap();
            assert_eq!(
                (authority.host(), authority.to_string().as_str()),
                (host, shown)
            );
        }
    }

    #[test]
    fn what_is_not_a_plain_host_is_refused() {
        let long = "a.".repeat(127) + "aa";
        for bad in [
            "",
            ".",
            "a.",
            "a..b",
            ".a",
            "a:",
            "a:0",
            "a:+1",
            "a:99999",
            "a:b",
            "u@a",
            "a/b",
            "a b",
            "a,b",
            "[::1",
            "[::1]x",
            "[::g]",
            "::1",
            "é.example",
            "a\\b",
            "a%2eb",
            "a?b",
            &long,
        ] {
            assert_eq!(Authority::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Authority::parse(b"\xff"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic_and_read_back_the_same(bytes: Vec<u8>) {
            if let Some(authority) = Authority::parse(&bytes) {
                prop_assert_eq!(Authority::parse(authority.to_string().as_bytes()), Some(authority));
            }
        }
    }
}
