//! What trusted proxies say of where a request comes from: `X-Forwarded-*` and `Forwarded` (RFC 7239).
//!
//! Only proxies that the operator named are asked. What they say has one reading or the request is refused:
//! a header that a client smuggled past them should not become an address in an audit log.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, header};

use super::{authority::Authority, facts::Fault};
use crate::network::Networks;

/// What is believed of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Believed {
    /// Where it comes from.
    pub client: IpAddr,
    /// That and the proxies between, the nearest last: what the next server is told.
    pub chain: String,
    /// Whether it came to the first proxy over TLS, if that was said.
    pub secure: Option<bool>,
    /// Which host it was for, if that was said.
    pub host: Option<Authority>,
}

/// What one family of headers says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    /// The addresses that are believed, the client first, without the peer.
    hops: Vec<IpAddr>,
    secure: Option<bool>,
    host: Option<Authority>,
}

/// Reads what a trusted `peer` says.
///
/// # Errors
/// When that has no reading, or two.
pub fn read(headers: &HeaderMap, peer: IpAddr, trusted: &Networks) -> Result<Believed, Fault> {
    let said = match (
        read_x_forwarded(headers, trusted)?,
        read_forwarded(headers, trusted)?,
    ) {
        // One of them may be the client's own, so they have to agree in everything.
        (Some(one), Some(other)) if one != other => {
            return Err(fault("its Forwarded and X-Forwarded headers disagree"));
        }
        (Some(said), _) | (None, Some(said)) => said,
        (None, None) => Said {
            hops: Vec::new(),
            secure: None,
            host: None,
        },
    };
    let client = said.hops.first().copied().unwrap_or(peer);
    let hops = said.hops.iter().chain([&peer]).map(ToString::to_string);
    Ok(Believed {
        client,
        chain: hops.collect::<Vec<_>>().join(", "),
        secure: said.secure,
        host: said.host,
    })
}

const fn fault(what: &'static str) -> Fault {
    Fault::Forwarded(what)
}

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";
const X_FORWARDED_HOST: &str = "x-forwarded-host";

fn read_x_forwarded(headers: &HeaderMap, trusted: &Networks) -> Result<Option<Said>, Fault> {
    let secure = only(
        headers,
        X_FORWARDED_PROTO,
        "its X-Forwarded-Proto is not one scheme",
    )?
    .map(|scheme| parse_scheme(scheme, "its X-Forwarded-Proto is neither http nor https"))
    .transpose()?;
    let host = only(
        headers,
        X_FORWARDED_HOST,
        "its X-Forwarded-Host is not one host",
    )?
    .map(|host| parse_host(host, "its X-Forwarded-Host is not written as a host"))
    .transpose()?;
    let malformed = fault("its X-Forwarded-For is not a list of addresses");
    let mut hops = Vec::new();
    'walk: for value in headers.get_all(X_FORWARDED_FOR).iter().rev() {
        let value = value.to_str().map_err(|_| malformed.clone())?;
        for hop in value.rsplit(',') {
            match parse_node(hop.trim()).ok_or_else(|| malformed.clone())? {
                Node::Hidden => break 'walk,
                Node::Address(address) => {
                    hops.push(address);
                    if !trusted.contain(address) {
                        break 'walk;
                    }
                }
            }
        }
    }
    hops.reverse();
    let said = headers.contains_key(X_FORWARDED_FOR) || secure.is_some() || host.is_some();
    Ok(said.then_some(Said { hops, secure, host }))
}

/// The value of a header that may be there once, with one value.
fn only<'a>(
    headers: &'a HeaderMap,
    name: &str,
    problem: &'static str,
) -> Result<Option<&'a str>, Fault> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(value) if !value.contains(',') => Ok(Some(value.trim())),
            Ok(_) | Err(_) => Err(fault(problem)),
        },
        (Some(_), Some(_)) => Err(fault(problem)),
    }
}

fn parse_scheme(text: &str, problem: &'static str) -> Result<bool, Fault> {
    if text.eq_ignore_ascii_case("https") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("http") {
        Ok(false)
    } else {
        Err(fault(problem))
    }
}

fn parse_host(text: &str, problem: &'static str) -> Result<Authority, Fault> {
    Authority::parse(text.as_bytes()).ok_or(fault(problem))
}

enum Node {
    Address(IpAddr),
    /// The proxy does not say: `unknown` or a word of its own (RFC 7239 §6.2, §6.3).
    Hidden,
}

/// An address, with or without port, an IPv6 one in brackets or not.
fn parse_node(text: &str) -> Option<Node> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Node::Address(address.to_canonical()));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(Node::Address(address.ip().to_canonical()));
    }
    if let Some(inner) = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
    {
        let address: std::net::Ipv6Addr = inner.parse().ok()?;
        return Some(Node::Address(IpAddr::from(address).to_canonical()));
    }
    let word = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    let hidden = text.eq_ignore_ascii_case("unknown")
        || text
            .strip_prefix('_')
            .is_some_and(|rest| !rest.is_empty() && word(rest));
    hidden.then_some(Node::Hidden)
}

fn read_forwarded(headers: &HeaderMap, trusted: &Networks) -> Result<Option<Said>, Fault> {
    if !headers.contains_key(header::FORWARDED) {
        return Ok(None);
    }
    let malformed = || fault("its Forwarded header cannot be read");
    let mut elements = Vec::new();
    for value in headers.get_all(header::FORWARDED) {
        let value = value.to_str().map_err(|_| malformed())?;
        parse_elements(value, &mut elements).ok_or_else(malformed)?;
    }
    let (mut hops, mut believed) = (Vec::new(), None);
    for element in elements.iter().rev() {
        // Written by a proxy that is trusted: the peer, or one that it was passed on by.
        believed = Some(element);
        match element.node.as_deref().map(parse_node) {
            Some(None) => return Err(malformed()),
            None | Some(Some(Node::Hidden)) => break,
            Some(Some(Node::Address(address))) => {
                hops.push(address);
                if !trusted.contain(address) {
                    break;
                }
            }
        }
    }
    hops.reverse();
    let secure = believed
        .and_then(|element| element.proto.as_deref())
        .map(|proto| parse_scheme(proto, "its Forwarded header names no known scheme"))
        .transpose()?;
    let host = believed
        .and_then(|element| element.host.as_deref())
        .map(|host| parse_host(host, "its Forwarded header names no host"))
        .transpose()?;
    Ok(Some(Said { hops, secure, host }))
}

/// One proxy's part of a Forwarded header.
#[derive(Default)]
struct Element {
    node: Option<String>,
    proto: Option<String>,
    host: Option<String>,
}

/// `None` for what RFC 7239 §4 does not allow, and for a parameter that an element has twice.
fn parse_elements(value: &str, elements: &mut Vec<Element>) -> Option<()> {
    let mut rest = value.trim();
    let mut element = Element::default();
    loop {
        let (name, after) = rest.split_once('=')?;
        let (text, after) = parse_value(after)?;
        let place = match name.to_ascii_lowercase().as_str() {
            "for" => Some(&mut element.node),
            "proto" => Some(&mut element.proto),
            "host" => Some(&mut element.host),
            other if !other.is_empty() && other.bytes().all(is_token) => None,
            _ => return None,
        };
        if let Some(place) = place
            && place.replace(text).is_some()
        {
            return None;
        }
        let after = after.trim_start();
        if let Some(next) = after.strip_prefix(';') {
            rest = next.trim_start();
        } else if let Some(next) = after.strip_prefix(',') {
            elements.push(std::mem::take(&mut element));
            rest = next.trim_start();
        } else {
            elements.push(element);
            return after.is_empty().then_some(());
        }
    }
}

/// A token or a quoted string, and what follows.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text
            .bytes()
            .position(|byte| !is_token(byte))
            .unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (!value.is_empty()).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const PEER: &str = "10.0.0.1";

    fn trusted() -> Networks {
        let networks = ["10.0.0.0/8", "fd00::/8"];
        networks
            .map(|text| text.parse().unwrap())
            .into_iter()
            .collect()
    }

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    /// Client, chain, scheme and host as text.
    fn believed(fields: &[(&str, &str)]) -> Option<(String, String, Option<bool>, Option<String>)> {
        let believed = read(&headers(fields), PEER.parse().unwrap(), &trusted()).ok()?;
        Some((
            believed.client.to_string(),
            believed.chain,
            believed.secure,
            believed.host.map(|host| host.to_string()),
        ))
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_no_proxy() {
        for (fields, client, chain) in [
            (&[][..], PEER, PEER),
            (
                &[("x-forwarded-for", "203.0.113.9")],
                "203.0.113.9",
                "203.0.113.9, 10.0.0.1",
            ),
            (
                &[("x-forwarded-for", "1.2.3.4, 203.0.113.9, 10.0.0.2")],
                "203.0.113.9",
                "203.0.113.9, 10.0.0.2, 10.0.0.1",
            ),
            (
                &[
                    ("x-forwarded-for", "1.2.3.4"),
                    ("x-forwarded-for", "203.0.113.9:4711"),
                ],
                "203.0.113.9",
                "203.0.113.9, 10.0.0.1",
            ),
            (
                &[("x-forwarded-for", "<script>, [2001:db8::1]:443")],
                "2001:db8::1",
                "2001:db8::1, 10.0.0.1",
            ),
            (
                &[("x-forwarded-for", "10.0.0.3,10.0.0.2")],
                "10.0.0.3",
                "10.0.0.3, 10.0.0.2, 10.0.0.1",
            ),
            (&[("x-forwarded-for", "203.0.113.9, unknown")], PEER, PEER),
            (
                &[("forwarded", "for=203.0.113.9")],
                "203.0.113.9",
                "203.0.113.9, 10.0.0.1",
            ),
            (
                &[(
                    "forwarded",
                    "for=1.2.3.4;proto=http, For=\"[2001:db8::1]:4711\";by=_x , for=10.0.0.2",
                )],
                "2001:db8::1",
                "2001:db8::1, 10.0.0.2, 10.0.0.1",
            ),
            (&[("forwarded", "for=_hidden")], PEER, PEER),
            (
                &[
                    ("forwarded", "for=203.0.113.9"),
                    ("x-forwarded-for", "203.0.113.9"),
                ],
                "203.0.113.9",
                "203.0.113.9, 10.0.0.1",
            ),
        ] {
            let found = believed(fields).unwrap_or_else(|| panic!("{fields:?}"));
            assert_eq!(
                (found.0.as_str(), found.1.as_str()),
                (client, chain),
                "{fields:?}"
            );
        }
    }

    #[test]
    fn scheme_and_host_are_those_of_the_first_trusted_proxy() {
        for (fields, secure, host) in [
            (
                &[
                    ("x-forwarded-proto", "HTTPS"),
                    ("x-forwarded-host", "App.example:8443"),
                ][..],
                Some(true),
                Some("app.example:8443"),
            ),
            (&[("x-forwarded-proto", "http")], Some(false), None),
            (
                &[(
                    "forwarded",
                    "for=1.2.3.4;host=evil, for=203.0.113.9;proto=https;host=\"app.example:1\", for=10.0.0.2;proto=http;host=inner",
                )],
                Some(true),
                Some("app.example:1"),
            ),
            (&[("forwarded", "proto=https")], Some(true), None),
        ] {
            let found = believed(fields).unwrap_or_else(|| panic!("{fields:?}"));
            assert_eq!((found.2, found.3.as_deref()), (secure, host), "{fields:?}");
        }
    }

    #[test]
    fn what_has_no_reading_or_two_is_refused() {
        for fields in [
            &[("x-forwarded-for", "nobody")][..],
            &[("x-forwarded-for", "")],
            &[("x-forwarded-for", "203.0.113.9,")],
            &[("x-forwarded-for", "1.2.3.4.5")],
            &[("x-forwarded-for", "\u{e9}")],
            &[("x-forwarded-proto", "https, http")],
            &[
                ("x-forwarded-proto", "https"),
                ("x-forwarded-proto", "https"),
            ],
            &[("x-forwarded-proto", "gopher")],
            &[("x-forwarded-host", "a, b")],
            &[("x-forwarded-host", "a/b")],
            &[("x-forwarded-host", "a"), ("x-forwarded-host", "a")],
            &[("forwarded", "")],
            &[("forwarded", "for")],
            &[("forwarded", "for=")],
            &[("forwarded", "for=203.0.113.9;for=203.0.113.9")],
            &[("forwarded", "for=\"203.0.113.9")],
            &[("forwarded", "for=203.0.113.9,")],
            &[("forwarded", "for=nobody")],
            &[("forwarded", "for=203.0.113.9;proto=gopher")],
            &[("forwarded", "for=203.0.113.9;host=\"a/b\"")],
            &[("forwarded", "for=2001:db8::1")],
            // One of these was written by the client.
            &[
                ("forwarded", "for=1.2.3.4"),
                ("x-forwarded-for", "203.0.113.9"),
            ],
            &[
                ("forwarded", "for=203.0.113.9;host=evil"),
                ("x-forwarded-for", "203.0.113.9"),
            ],
            &[("forwarded", "host=evil"), ("x-forwarded-proto", "https")],
        ] {
            assert_eq!(believed(fields), None, "{fields:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_proxy_sends_makes_it_panic(
            name in prop::sample::select(vec![X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, "forwarded"]),
            value in "[ -~]{0,60}|(for|host|proto)=[ -~\"\\\\,;=]{0,40}",
        ) {
            let _ = believed(&[(name, &value)]);
        }

        #[test]
        fn whoever_writes_to_the_left_changes_nothing(left in "[ -~]{0,40}", address: [u8; 4]) {
            let address = std::net::Ipv4Addr::from(address);
            prop_assume!(!trusted().contain(address.into()));
            let forged = format!("{left}, {address}");
            let found = believed(&[(X_FORWARDED_FOR, &forged)]).unwrap();
            prop_assert_eq!(found.0, address.to_string());
        }
    }
}
