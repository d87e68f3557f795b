//! The one reading of a request: method, host and target, or why there is none.
//!
//! A pure function of what was on the wire. Everything that a later reader (the upstream, another proxy)
//! could understand differently is refused here, before a route is looked up.

use std::borrow::Cow;

use http::{HeaderMap, Method, StatusCode, header};

use super::authority::Authority;
use crate::{
    config::HeaderSize,
    policy::target::{Target, TargetError},
};

/// A request as it was received, without the proxy's own types.
#[derive(Clone, Copy, Debug)]
pub struct Wire<'a> {
    /// The method.
    pub method: &'a Method,
    /// The request target's bytes as sent; a parsed URI would have replaced some of them.
    pub target: &'a [u8],
    /// `:authority` of HTTP/2.
    pub authority: Option<&'a str>,
    /// Header fields.
    pub headers: &'a HeaderMap,
    /// Of HTTP/1: the whole header section as sent.
    pub head: Option<&'a [u8]>,
    /// How large all of it may be.
    pub size: HeaderSize,
}

/// What the rest of the gateway knows of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    /// The method.
    pub method: Method,
    /// Host and port.
    pub authority: Authority,
    /// The canonical target.
    pub target: Target,
    /// Where COPY and MOVE write to (RFC 4918 §10.3), as canonical as the target.
    pub destination: Option<Target>,
}

/// Why a request is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// TRACE and its like, and CONNECT.
    #[error("this method is not served here")]
    Method,
    /// Too many or too long header fields.
    #[error("its header is longer than is accepted")]
    TooLarge,
    /// The end of the body, or of a line, could be read in two ways (RFC 9112 §11.2).
    #[error("{0}")]
    Framing(&'static str),
    /// No host, several, one that is none, or two that disagree.
    #[error("{0}")]
    Host(&'static str),
    /// A trusted proxy says something that has no reading, or two.
    #[error("{0}")]
    Forwarded(&'static str),
    /// It is to write to a place that cannot be read in one way, or is on another host.
    #[error("{0}")]
    Destination(&'static str),
    /// The target could be read in two ways.
    #[error("{0}")]
    Target(#[from] TargetError),
}

impl RequestFacts {
    /// Reads a request.
    ///
    /// # Errors
    /// The first [`Fault`] found.
    pub fn read(wire: &Wire<'_>) -> Result<Self, Fault> {
        check_size(wire)?;
        check_method(wire.method)?;
        check_framing(wire.headers)?;
        if let Some(head) = wire.head {
            check_lines(head)?;
        }
        Self::retold(wire.method, authority_of(wire)?, wire.target)
    }

    /// Reads a request that somebody else received and tells of.
    ///
    /// # Errors
    /// As for one that was received here.
    pub fn retold(method: &Method, authority: Authority, target: &[u8]) -> Result<Self, Fault> {
        check_method(method)?;
        let target = Target::parse(&origin_form(target, &authority)?)?;
        Ok(Self {
            destination: None,
            method: method.clone(),
            authority,
            target,
        })
    }

    /// With the second target of COPY and MOVE. It names the host once more: that by which the request is known in
    /// the end, whatever a proxy in front made of it on the way.
    ///
    /// # Errors
    /// When it has no reading, or is on another host.
    pub fn with_destination(mut self, headers: &HeaderMap) -> Result<Self, Fault> {
        self.destination = destination_of(&self.method, headers, &self.authority)?;
        Ok(self)
    }
}

impl Fault {
    /// How it is answered.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Framing(_)
            | Self::Host(_)
            | Self::Forwarded(_)
            | Self::Destination(_)
            | Self::Target(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Ours are narrower than the proxy library's 1 MiB and 256 fields: what an upstream refuses, or what makes
/// it slow, should end here. Servers behind commonly take 8 to 64 KiB.
fn check_size(wire: &Wire<'_>) -> Result<(), Fault> {
    // HTTP/2 sends each cookie as a field of its own (RFC 9113 §8.2.3); together they are one.
    let cookies = wire.headers.get_all(header::COOKIE).iter().count();
    let fields = wire.headers.len() - cookies.saturating_sub(1);
    let bytes: usize = wire
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if fields > wire.size.fields || bytes + wire.target.len() > wire.size.bytes {
        return Err(Fault::TooLarge);
    }
    Ok(())
}

/// TRACE echoes cookies to scripts, TRACK is its name on old servers, and CONNECT asks for a tunnel.
fn check_method(method: &Method) -> Result<(), Fault> {
    match method.as_str() {
        "TRACE" | "TRACK" | "CONNECT" => Err(Fault::Method),
        _ => Ok(()),
    }
}

/// Exactly one way to tell where the body ends (RFC 9112 §6.3).
fn check_framing(headers: &HeaderMap) -> Result<(), Fault> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunked = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        (Some(_), _) => {
            return Err(Fault::Framing(
                "its Transfer-Encoding is not exactly “chunked”",
            ));
        }
    };
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(()),
        (Some(_), _) if chunked => Err(BOTH_FRAMINGS),
        (Some(length), None) if is_number(length.as_bytes()) => Ok(()),
        (Some(_), _) => Err(Fault::Framing("its Content-Length is not one number")),
    }
}

const BOTH_FRAMINGS: Fault = Fault::Framing("it has both a Transfer-Encoding and a Content-Length");

fn is_number(digits: &[u8]) -> bool {
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Lines end with CR LF and hold no other CR (RFC 9112 §2.2 lets a recipient accept a bare LF, and that is
/// how two recipients come to disagree). The proxy library drops a Content-Length that stands beside a
/// Transfer-Encoding before it shows the fields, so that pair is looked for here too.
fn check_lines(head: &[u8]) -> Result<(), Fault> {
    let (mut length, mut coding) = (false, false);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err(Fault::Framing("one of its lines does not end with CR LF"));
        };
        if line.iter().any(|byte| matches!(byte, b'\r' | 0)) {
            return Err(Fault::Framing("it holds a control character"));
        }
        length |= is_field(line, b"content-length");
        coding |= is_field(line, b"transfer-encoding");
    }
    if length && coding {
        Err(BOTH_FRAMINGS)
    } else {
        Ok(())
    }
}

fn is_field(line: &[u8], name: &[u8]) -> bool {
    line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name)
}

/// One Host, one `:authority`, or both in agreement.
fn authority_of(wire: &Wire<'_>) -> Result<Authority, Fault> {
    let mut hosts = wire.headers.get_all(header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Fault::Host("it names more than one host"));
    }
    let host = host
        .map(|host| parse_authority(host.as_bytes()))
        .transpose()?;
    let authority = wire
        .authority
        .map(|text| parse_authority(text.as_bytes()))
        .transpose()?;
    match (host, authority) {
        (Some(host), Some(authority)) if host != authority => Err(DISAGREE),
        (Some(host), _) => Ok(host),
        (None, Some(authority)) => Ok(authority),
        (None, None) => Err(Fault::Host("it does not name a host")),
    }
}

fn parse_authority(text: &[u8]) -> Result<Authority, Fault> {
    Authority::parse(text).ok_or(Fault::Host("the host it names is not written as a host"))
}

const DISAGREE: Fault = Fault::Host("its address and its Host header disagree");

/// COPY and MOVE act on a second target, which their servers find in a header: it is read as strictly as the first.
fn destination_of(
    method: &Method,
    headers: &HeaderMap,
    authority: &Authority,
) -> Result<Option<Target>, Fault> {
    if !matches!(method.as_str(), "COPY" | "MOVE") {
        return Ok(None);
    }
    let mut values = headers.get_all("destination").iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let target = origin_form(value.as_bytes(), authority)
                .map_err(|_| Fault::Destination("its Destination is on another host"))?;
            match Target::parse(&target) {
                Ok(target) => Ok(Some(target)),
                Err(_) => Err(Fault::Destination(
                    "its Destination cannot be read in one way",
                )),
            }
        }
        (Some(_), Some(_)) => Err(Fault::Destination("it names more than one Destination")),
    }
}

/// The target in origin-form: absolute-form (RFC 9112 §3.2.2) loses the authority it shares with Host.
fn origin_form<'a>(target: &'a [u8], authority: &Authority) -> Result<Cow<'a, [u8]>, Fault> {
    let Some(rest) = ["http://", "https://"]
        .iter()
        .find_map(|scheme| strip_scheme(target, scheme))
    else {
        return Ok(Cow::Borrowed(target));
    };
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let (named, rest) = rest.split_at(end);
    if parse_authority(named)? != *authority {
        return Err(DISAGREE);
    }
    Ok(match rest.first() {
        Some(b'/') => Cow::Borrowed(rest),
        _ => Cow::Owned([b"/", rest].concat()),
    })
}

fn strip_scheme<'a>(target: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (head, rest) = target.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const SIZE: HeaderSize = HeaderSize {
        bytes: 64 * 1024,
        fields: 100,
    };

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        map
    }

    fn read(method: &str, target: &str, fields: &[(&str, &str)]) -> Result<RequestFacts, Fault> {
        RequestFacts::read(&Wire {
            method: &method.parse().unwrap(),
            target: target.as_bytes(),
            authority: None,
            headers: &headers(fields),
            head: None,
            size: SIZE,
        })
    }

    #[test]
    fn an_ordinary_request_is_read() {
        let facts = read("GET", "/notes?x=1", &[("host", "App.Example:8080")]).unwrap();
        assert_eq!(facts.authority.host(), "app.example");
        assert_eq!(facts.target.path_and_query(), "/notes?x=1");
    }

    #[test]
    fn absolute_form_is_read_as_origin_form_when_it_agrees_with_host() {
        for (target, canonical) in [
            ("http://a.example/x?y", "/x?y"),
            ("HTTPS://A.example/x", "/x"),
            ("http://a.example", "/"),
            ("http://a.example?y", "/?y"),
        ] {
            let facts = read("GET", target, &[("host", "a.example")]).unwrap();
            assert_eq!(facts.target.path_and_query(), canonical, "{target}");
        }
        for target in [
            "http://b.example/x",
            "http://a.example:81/",
            "http://u@a.example/",
            "http:///x",
        ] {
            let fault = read("GET", target, &[("host", "a.example")]).unwrap_err();
            assert!(matches!(fault, Fault::Host(_)), "{target}: {fault:?}");
        }
    }

    #[test]
    fn a_target_without_its_slash_is_refused() {
        for target in ["x", "", "*", "ftp://a/x", "a.example:80"] {
            let fault = read("GET", target, &[("host", "a")]).unwrap_err();
            assert!(matches!(fault, Fault::Target(_)), "{target}: {fault:?}");
        }
    }

    #[test]
    fn host_and_authority_must_be_one() {
        type Fields<'a> = &'a [(&'a str, &'a str)];
        let cases: [(Option<&str>, Fields<'_>, bool); 7] = [
            (None, &[("host", "a")], true),
            (Some("a"), &[], true),
            (Some("A"), &[("host", "a")], true),
            (Some("a"), &[("host", "b")], false),
            (None, &[], false),
            (None, &[("host", "a"), ("host", "a")], false),
            (None, &[("host", "a.")], false),
        ];
        for (authority, fields, accepted) in cases {
            let read = RequestFacts::read(&Wire {
                method: &Method::GET,
                target: b"/",
                authority,
                headers: &headers(fields),
                head: None,
                size: SIZE,
            });
            assert_eq!(read.is_ok(), accepted, "{authority:?} {fields:?}");
        }
    }

    #[test]
    fn where_a_copy_goes_is_read_as_strictly_as_where_it_comes_from() {
        let read = |method: &str, destinations: &[&str]| {
            let fields: Vec<_> = [("host", "a.example")]
                .into_iter()
                .chain(destinations.iter().map(|text| ("destination", *text)))
                .collect();
            let facts = read(method, "/x", &fields)?.with_destination(&headers(&fields))?;
            Ok(facts
                .destination
                .map(|target| target.path_and_query().to_string()))
        };
        for (destinations, expected) in [
            (&["/y"][..], Ok(Some("/y".to_owned()))),
            (&["https://A.example/y"], Ok(Some("/y".to_owned()))),
            (&[], Ok(None)),
            (&["/y", "/z"], Err("it names more than one Destination")),
            (
                &["http://b.example/y"],
                Err("its Destination is on another host"),
            ),
            (
                &["http://a.example:81/y"],
                Err("its Destination is on another host"),
            ),
            (
                &["/a/%2e%2e/y"],
                Err("its Destination cannot be read in one way"),
            ),
            (&["y"], Err("its Destination cannot be read in one way")),
        ] {
            for method in ["COPY", "MOVE"] {
                let expected = expected.clone().map_err(Fault::Destination);
                assert_eq!(read(method, destinations), expected, "{destinations:?}");
            }
        }
        assert_eq!(read("PUT", &["http://b.example/y"]), Ok(None));
    }

    #[test]
    fn methods_that_echo_or_tunnel_are_refused() {
        for method in ["TRACE", "TRACK", "CONNECT"] {
            assert_eq!(read(method, "/", &[("host", "a")]), Err(Fault::Method));
        }
        assert!(read("PROPFIND", "/", &[("host", "a")]).is_ok());
    }

    #[test]
    fn a_body_whose_end_is_unclear_is_refused() {
        let cases: [(&[(&str, &str)], bool); 9] = [
            (&[("transfer-encoding", "Chunked")], true),
            (&[("content-length", "5")], true),
            (&[("transfer-encoding", "gzip, chunked")], false),
            (
                &[
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "chunked"),
                ],
                false,
            ),
            (
                &[("transfer-encoding", "chunked"), ("content-length", "5")],
                false,
            ),
            (&[("content-length", "5"), ("content-length", "6")], false),
            (&[("content-length", "5, 5")], false),
            (&[("content-length", "+5")], false),
            (&[("content-length", "")], false),
        ];
        for (fields, accepted) in cases {
            let fields = [&[("host", "a")], fields].concat();
            assert_eq!(read("POST", "/", &fields).is_ok(), accepted, "{fields:?}");
        }
    }

    #[test]
    fn lines_that_others_would_split_differently_are_refused() {
        for (head, accepted) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", false),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-length: 1\r\nTransfer-ENCODING: chunked\r\n\r\n",
                false,
            ),
        ] {
            assert_eq!(check_lines(head.as_bytes()).is_ok(), accepted, "{head:?}");
        }
    }

    #[test]
    fn a_long_header_is_refused_but_many_cookie_crumbs_are_one_field() {
        let long = "x".repeat(SIZE.bytes);
        assert_eq!(
            read("GET", "/", &[("host", "a"), ("x", &long)]),
            Err(Fault::TooLarge)
        );
        let many = [vec![("host", "a")], vec![("x", "y"); SIZE.fields]].concat();
        assert_eq!(read("GET", "/", &many), Err(Fault::TooLarge));
        let crumbs = [
            vec![("host", "a")],
            vec![("cookie", "a=b"); 2 * SIZE.fields],
        ]
        .concat();
        assert!(read("GET", "/", &crumbs).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_on_the_wire_makes_it_panic(
            method in "[A-Z]{1,8}",
            target: Vec<u8>,
            authority: Option<String>,
            host in proptest::collection::vec(any::<u8>(), 0..40),
            head: Vec<u8>,
        ) {
            let mut headers = HeaderMap::new();
            if let Ok(host) = HeaderValue::from_bytes(&host) {
                headers.insert(header::HOST, host);
            }
            let _ = RequestFacts::read(&Wire {
                method: &method.parse().unwrap(),
                target: &target,
                authority: authority.as_deref(),
                headers: &headers,
                head: Some(&head),
                size: SIZE,
            });
            let _ = origin_form(&target, &Authority::parse(b"a").unwrap());
        }
    }
}
