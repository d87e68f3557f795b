use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::{
    config::HeaderSize,
    gateway::{facts::Wire, forwarded},
    network::Networks,
};
use ForwardAuthPeer::{Caddy, Envoy, Haproxy, Nginx, Traefik};

type Fields<'a> = &'a [(&'a str, &'a str)];

/// What a question with these fields is about, as `METHOD SCHEME HOST TARGET`; or why it is about nothing.
fn about(
    peer: ForwardAuthPeer,
    method: &str,
    rest: &str,
    fields: Fields<'_>,
) -> Result<String, String> {
    let mut headers = HeaderMap::new();
    let host = match fields.iter().any(|(name, _)| *name == "Host") {
        true => &[][..],
        false => &[("Host", "gateway.internal")],
    };
    for (name, value) in fields.iter().chain(host) {
        headers.append(
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    let target = format!("/.gatehouse/auth{rest}");
    let method = method.parse().unwrap();
    let mut own = RequestFacts::read(&Wire {
        method: &method,
        target: target.as_bytes(),
        authority: None,
        headers: &headers,
        head: None,
        size: HeaderSize {
            bytes: 65_536,
            fields: 100,
        },
    })
    .map_err(|fault| fault.to_string())?;
    let trusted: Networks = ["10.0.0.0/8".parse().unwrap()].into_iter().collect();
    let believed = forwarded::read(&headers, "10.0.0.1".parse().unwrap(), &trusted)
        .map_err(|fault| fault.to_string())?;
    if let Some(host) = &believed.host {
        own.authority = host.clone();
    }
    let asked = Asked {
        own: &own,
        target: rest.as_bytes(),
        headers: &headers,
        believed: &believed,
    };
    let original = read(peer, &asked).map_err(|fault| fault.to_string())?;
    let scheme = match original.secure {
        Some(true) => "https",
        Some(false) => "http",
        None => "-",
    };
    let facts = original.facts;
    Ok(format!(
        "{} {scheme} {} {}",
        facts.method,
        facts.authority,
        facts.target.path_and_query()
    ))
}

const METHOD: (&str, &str) = ("X-Original-Method", "POST");
const URL: (&str, &str) = ("X-Original-URL", "https://app.example/a?b=%20");

/// What Caddy 2.6 and Traefik 3 send; Caddy adds `X-Forwarded-For` like any reverse proxy, and Traefik likewise
/// (doc.traefik.io, ForwardAuth, "Forward-Request Headers").
const CADDY: [(&str, &str); 5] = [
    ("X-Forwarded-Method", "POST"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "app.example"),
    ("X-Forwarded-Uri", "/a?b=%20"),
    ("X-Forwarded-For", "203.0.113.9"),
];

#[test]
fn every_kind_of_peer_tells_of_the_same_request() {
    let expected = Ok("POST https app.example /a?b=%20".to_owned());
    for peer in [Nginx, Haproxy] {
        assert_eq!(about(peer, "GET", "", &[METHOD, URL]), expected);
        let by_uri = [
            METHOD,
            ("X-Original-URI", "/a?b=%20"),
            ("X-Forwarded-Host", "app.example"),
            ("X-Forwarded-Proto", "https"),
        ];
        assert_eq!(about(peer, "GET", "", &by_uri), expected);
    }
    for peer in [Caddy, Traefik] {
        assert_eq!(about(peer, "GET", "", &CADDY), expected);
    }
    let envoy = [("Host", "app.example"), ("X-Forwarded-Proto", "https")];
    assert_eq!(about(Envoy, "POST", "/a?b=%20", &envoy), expected);
}

#[test]
fn what_a_visitor_adds_that_says_the_same_changes_nothing() {
    let expected = Ok("POST https app.example /a?b=%20".to_owned());
    let both = [&CADDY[..], &[METHOD, URL]].concat();
    for peer in [Nginx, Haproxy, Caddy, Traefik] {
        assert_eq!(about(peer, "GET", "", &both), expected, "{peer:?}");
    }
}

#[test]
fn what_is_missing_is_not_guessed() {
    let lacks_host = "it lacks X-Forwarded-Host or X-Forwarded-Proto";
    let cases: [(ForwardAuthPeer, Fields<'_>, &str); 9] = [
        (Nginx, &[], "it lacks X-Original-Method"),
        (Nginx, &[URL], "it lacks X-Original-Method"),
        (Nginx, &[METHOD], "it lacks X-Original-URL"),
        (Haproxy, &CADDY, "it lacks X-Original-Method"),
        (Caddy, &[METHOD, URL], lacks_host),
        (Caddy, &CADDY[..2], lacks_host),
        (Traefik, &CADDY[..3], "it lacks X-Forwarded-Uri"),
        (Traefik, &CADDY[1..], "it lacks X-Forwarded-Method"),
        (Caddy, &[CADDY[0], CADDY[2], CADDY[3]], lacks_host),
    ];
    for (peer, fields, problem) in cases {
        assert_eq!(
            about(peer, "GET", "", fields),
            Err(problem.to_owned()),
            "{peer:?} {fields:?}"
        );
    }
    // The path of a question alone is about nothing.
    assert!(about(Envoy, "GET", "", &[("Host", "app.example")]).is_err());
}

#[test]
fn what_is_said_in_two_ways_is_refused() {
    let with = |field: (&'static str, &'static str)| [METHOD, URL, field];
    for (field, problem) in [
        (
            ("X-Forwarded-Method", "GET"),
            "its X-Original-Method or X-Forwarded-Method is not the method asked about",
        ),
        (
            ("X-Forwarded-Uri", "/public"),
            "its X-Original-URL, X-Original-URI or X-Forwarded-Uri is not the target asked about",
        ),
        (
            ("X-Original-URI", "/public"),
            "its X-Original-URL, X-Original-URI or X-Forwarded-Uri is not the target asked about",
        ),
        (("X-Forwarded-Host", "open.example"), "it names two hosts"),
        (("X-Forwarded-Proto", "http"), "it names two schemes"),
        (
            ("X-Original-URL", "https://app.example/a?b=%20"),
            "its X-Original-URL is there more than once",
        ),
        (
            ("X-Original-Method", "POST"),
            "its X-Original-Method is there more than once",
        ),
        (
            ("X-Forwarded-Uri", ""),
            "its X-Forwarded-Uri cannot be read",
        ),
        (
            ("X-Forwarded-Method", "a b"),
            "its X-Forwarded-Method cannot be read",
        ),
    ] {
        let found = about(Nginx, "GET", "", &with(field));
        assert_eq!(found, Err(problem.to_owned()), "{field:?}");
    }
    let contradicted = [
        &CADDY[..],
        &[("X-Original-URL", "https://app.example/public")],
    ]
    .concat();
    assert!(about(Caddy, "GET", "", &contradicted).is_err());
    for field in [
        ("X-Forwarded-Host", "open.example"),
        ("X-Forwarded-Uri", "/public"),
        ("X-Original-URL", "https://app.example/public"),
        ("X-Original-Method", "HEAD"),
    ] {
        let fields = [("Host", "app.example"), field];
        assert!(about(Envoy, "GET", "/a", &fields).is_err(), "{field:?}");
    }
}

#[test]
fn what_has_no_reading_here_has_none_for_a_peer() {
    for url in [
        "app.example/a",
        "ftp://app.example/a",
        "https://app.example",
        "https://app.example?x",
        "https:///a",
        "https://user@app.example/a",
        "https://app.example./a",
        "https://app.example:x/a",
        "HTTPS://app.example/a",
    ] {
        let fields = [METHOD, ("X-Original-URL", url)];
        let found = about(Nginx, "GET", "", &fields);
        assert_eq!(
            found,
            Err("its X-Original-URL cannot be read".into()),
            "{url}"
        );
    }
    for target in [
        "/public/../staff",
        "/public/%2e%2e/staff",
        "/a\\b",
        "/%00",
        "/%c0%af",
        "/%ff",
        "/a#b",
        "a",
        "*",
        "http://other.example/a",
    ] {
        let as_uri = [CADDY[0], CADDY[1], CADDY[2], ("X-Forwarded-Uri", target)];
        assert!(about(Caddy, "GET", "", &as_uri).is_err(), "{target}");
        let original = [METHOD, ("X-Original-URI", target)];
        assert!(about(Nginx, "GET", "", &original).is_err(), "{target}");
        if target.starts_with('/') {
            let url = format!("https://app.example{target}");
            let fields = [METHOD, ("X-Original-URL", url.as_str())];
            assert!(about(Nginx, "GET", "", &fields).is_err(), "{target}");
            let host = [("Host", "app.example")];
            assert!(about(Envoy, "GET", target, &host).is_err(), "{target}");
        }
    }
    for method in ["TRACE", "TRACK", "CONNECT"] {
        let fields = [("X-Original-Method", method), URL];
        assert!(about(Nginx, "GET", "", &fields).is_err(), "{method}");
    }
}

proptest! {
    #[test]
    fn nothing_that_a_peer_sends_makes_it_panic(
        name in prop::sample::select(vec![
            "X-Original-Method", "X-Original-URL", "X-Original-URI", "X-Forwarded-Method", "X-Forwarded-Uri",
        ]),
        value in "[ -~]{0,40}|https?://[ -~]{0,40}",
        peer in prop::sample::select(vec![Nginx, Caddy, Traefik, Envoy, Haproxy]),
    ) {
        let _ = about(peer, "GET", "/x", &[(name, &value)]);
        let _ = about(peer, "GET", "/x", &[METHOD, URL, (name, &value)]);
    }
}
