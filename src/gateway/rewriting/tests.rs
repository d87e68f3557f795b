use http::Method;
use proptest::prelude::*;

use super::*;
use crate::{
    config::{AppHost, PathPrefix},
    policy::target::Target,
};

fn host(host: &str, port: Option<u16>) -> AppHost {
    AppHost {
        host: host.to_owned(),
        port,
    }
}

fn delivery(strip: &str, add: &str, told: Option<AppHost>) -> Delivery {
    Delivery {
        host: told,
        servers: vec![
            host("10.0.0.1", Some(9000)),
            host("wiki.internal", Some(80)),
        ],
        prefix: PathPrefix {
            strip: strip.to_owned(),
            add: add.to_owned(),
        },
        ..Delivery::default()
    }
}

fn facts(path: &str) -> RequestFacts {
    RequestFacts {
        destination: None,
        method: Method::GET,
        authority: Authority::parse(b"app.example.com").unwrap(),
        target: Target::parse(path.as_bytes()).unwrap(),
    }
}

fn answered(delivery: &Delivery, path: &str, name: &'static str, value: &[u8]) -> Vec<u8> {
    let mut response = ResponseHeader::build(302, None).unwrap();
    let value = HeaderValue::from_bytes(value).unwrap();
    response.append_header(name, value).unwrap();
    Rewriting::new(delivery, &facts(path), true)
        .rewrite(&mut response)
        .unwrap();
    response.headers[name].as_bytes().to_vec()
}

fn location(delivery: &Delivery, path: &str, value: &str) -> String {
    String::from_utf8(answered(delivery, path, "location", value.as_bytes())).unwrap()
}

#[test]
fn a_redirect_to_the_app_itself_is_one_to_the_public_origin() {
    let kept = delivery("", "", None);
    for (from, to) in [
        (
            "http://10.0.0.1:9000/x?y=/z#f",
            "https://app.example.com/x?y=/z#f",
        ),
        ("http://wiki.internal/x", "https://app.example.com/x"),
        ("HTTP://Wiki.Internal:80/x", "https://app.example.com/x"),
        ("//10.0.0.1:9000/x", "https://app.example.com/x"),
        ("http://app.example.com/x", "https://app.example.com/x"),
        ("http://app.example.com:9000/x", "https://app.example.com/x"),
        (
            "http://10.0.0.1:9000//evil.example",
            "https://app.example.com/evil.example",
        ),
        ("http://u:p@10.0.0.1:9000/x", "https://app.example.com/x"),
        // Others are left alone, byte for byte.
        ("https://app.example.com/x", "https://app.example.com/x"),
        (
            "http://app.example.com:8080/x",
            "http://app.example.com:8080/x",
        ),
        ("http://10.0.0.1/x", "http://10.0.0.1/x"),
        (
            "https://elsewhere.example//x",
            "https://elsewhere.example//x",
        ),
        (
            "http://wiki.internal@evil.example/",
            "http://wiki.internal@evil.example/",
        ),
        ("ftp://wiki.internal:80/x", "ftp://wiki.internal:80/x"),
        ("mailto:a@wiki.internal", "mailto:a@wiki.internal"),
        ("//elsewhere.example/x", "//elsewhere.example/x"),
        ("/x/../y", "/x/../y"),
        ("x?y", "x?y"),
        ("?y", "?y"),
        ("", ""),
    ] {
        assert_eq!(location(&kept, "/a/b", from), to, "{from}");
    }
    let told = delivery("", "", Some(host("other.internal", Some(81))));
    for (from, to) in [
        ("http://other.internal:81/x", "https://app.example.com/x"),
        ("http://other.internal:9000/x", "https://app.example.com/x"),
        ("http://other.internal:82/x", "http://other.internal:82/x"),
    ] {
        assert_eq!(location(&told, "/a/b", from), to, "{from}");
    }
}

#[test]
fn a_redirect_within_the_app_has_the_public_path() {
    let stripped = delivery("/wiki", "", None);
    for (asked, from, to) in [
        ("/wiki/a/b", "/", "/wiki/"),
        ("/wiki/a/b", "/x?y=/z#f", "/wiki/x?y=/z#f"),
        ("/wiki/a/b", "c", "/wiki/a/c"),
        ("/wiki/a/b", "../c", "/wiki/c"),
        ("/wiki/a/b", "../../../c", "/wiki/c"),
        ("/wiki", "c", "/wiki/c"),
        ("/wiki/a", "./", "/wiki/"),
        ("/wiki/a", "?y", "?y"),
        ("/wiki/a", "#f", "#f"),
        ("/wiki/a", "/wiki/x", "/wiki/x"),
        ("/wiki/a", "/x/../../y", "/wiki/y"),
        ("/wiki/a", "/é", "/wiki/%C3%A9"),
        (
            "/wiki/a",
            "http://10.0.0.1:9000/x",
            "https://app.example.com/wiki/x",
        ),
        (
            "/wiki/a",
            "https://app.example.com/x",
            "https://app.example.com/wiki/x",
        ),
        (
            "/wiki/a",
            "https://app.example.com/wiki/x",
            "https://app.example.com/wiki/x",
        ),
        (
            "/wiki/a",
            "https://elsewhere.example/x",
            "https://elsewhere.example/x",
        ),
        ("/wiki/a", "//elsewhere.example/x", "//elsewhere.example/x"),
        // None of these may become a path that browsers read a host from.
        ("/wiki/a", "/.//evil.example", "/wiki/evil.example"),
        ("/wiki/a", "/./\\evil.example", "/wiki/evil.example"),
    ] {
        assert_eq!(location(&stripped, asked, from), to, "{from}");
    }
    let added = delivery("", "/app", None);
    for (asked, from, to) in [
        ("/a", "/app/x", "/x"),
        ("/a", "/app", "/"),
        ("/a", "/app//evil.example", "/evil.example"),
        ("/a", "/app/\\evil.example", "/evil.example"),
        ("/a", "../x", "/x"),
        ("/a", "../..//evil.example", "/evil.example"),
        ("/a", "/other", "/other"),
        (
            "/a",
            "http://wiki.internal/other",
            "https://app.example.com/other",
        ),
    ] {
        assert_eq!(location(&added, asked, from), to, "{from}");
    }
    let both = delivery("/wiki", "/app", None);
    for (asked, from, to) in [
        ("/wiki/a", "/app/", "/wiki/"),
        ("/wiki", "/app/", "/wiki/"),
        ("/wiki/a", "b", "/wiki/b"),
        ("/wiki/a", "/wiki/b", "/wiki/b"),
    ] {
        assert_eq!(location(&both, asked, from), to, "{from}");
    }
}

#[test]
fn content_location_and_refresh_are_put_back_too() {
    let stripped = delivery("/wiki", "", None);
    let of = |name, value: &str| {
        String::from_utf8(answered(&stripped, "/wiki/a", name, value.as_bytes())).unwrap()
    };
    assert_eq!(of("content-location", "/x.de"), "/wiki/x.de");
    for (from, to) in [
        ("5; url=/x", "5; url=/wiki/x"),
        ("5;URL = \"/x\"", "5;URL = \"/wiki/x\""),
        ("0, url='/x' ", "0, url='/wiki/x' "),
        ("5;/x", "5;/wiki/x"),
        ("5 ; /x ", "5 ; /wiki/x "),
        (
            "1.5;url=http://10.0.0.1:9000/x",
            "1.5;url=https://app.example.com/wiki/x",
        ),
        (
            "5;url=https://elsewhere.example/",
            "5;url=https://elsewhere.example/",
        ),
        ("5", "5"),
        ("5;", "5;"),
        ("5;url=", "5;url="),
        ("5;url='", "5;url='"),
        ("x;url=/x", "x;url=/x"),
        ("", ""),
    ] {
        assert_eq!(of("refresh", from), to, "{from}");
    }
}

#[test]
fn cookies_are_for_the_public_path_and_host() {
    let told = Some(host("other.internal", None));
    let stripped = delivery("/wiki", "", told);
    let of = |value: &str| {
        let bytes = answered(&stripped, "/wiki/a", "set-cookie", value.as_bytes());
        String::from_utf8(bytes).unwrap()
    };
    for (from, to) in [
        ("a=1; Path=/", "a=1; Path=/wiki"),
        ("a=1;path=/x;HttpOnly", "a=1; Path=/wiki/x;HttpOnly"),
        ("a=1; Path=/wiki; Secure", "a=1; Path=/wiki; Secure"),
        ("a=Path=/; Max-Age=5", "a=Path=/; Max-Age=5"),
        ("a=1", "a=1"),
        ("a=1; Path=", "a=1; Path="),
        ("a=1; Path=x", "a=1; Path=x"),
        ("__Host-a=1; Path=/; Secure", "__Host-a=1; Path=/; Secure"),
        ("__HOST-a=1; Path=/; Secure", "__HOST-a=1; Path=/; Secure"),
        ("a=1; Domain=wiki.internal", "a=1"),
        ("a=1; Domain=.Other.Internal; Secure", "a=1; Secure"),
        ("a=1; Domain=app.example.com", "a=1; Domain=app.example.com"),
        ("a=1; Domain=example.com", "a=1; Domain=example.com"),
        (
            "a=1; Domain=elsewhere.example",
            "a=1; Domain=elsewhere.example",
        ),
    ] {
        assert_eq!(of(from), to, "{from}");
    }
    let bytes = answered(&stripped, "/wiki/a", "set-cookie", b"a=\xff; Path=/");
    assert_eq!(bytes, b"a=\xff; Path=/wiki");
}

#[test]
fn each_of_several_cookies_is_looked_at() {
    let stripped = delivery("/wiki", "", None);
    let mut response = ResponseHeader::build(200, None).unwrap();
    for value in ["a=1; Path=/", "b=2", "c=3; Path=/x"] {
        response.append_header("Set-Cookie", value).unwrap();
    }
    Rewriting::new(&stripped, &facts("/wiki/a"), true)
        .rewrite(&mut response)
        .unwrap();
    let values: Vec<_> = response.headers.get_all("set-cookie").iter().collect();
    assert_eq!(values, ["a=1; Path=/wiki", "b=2", "c=3; Path=/wiki/x"]);
}

fn any_delivery() -> impl Strategy<Value = Delivery> {
    let parts = prop::sample::select(vec![("/w", ""), ("", "/app"), ("/w", "/app"), ("", "")]);
    parts.prop_map(|(strip, add)| delivery(strip, add, None))
}

proptest! {
    /// What leads to this host before, as browsers read it, does so afterwards; and nothing panics.
    #[test]
    fn no_redirect_within_the_site_ever_leaves_it(
        delivery in any_delivery(),
        reference in "[/\\\\.?#:@a-z \t%]{0,3}(/|//|\\\\|\\.\\.|app|w|evil\\.example|http:|[ -~é]){0,8}")
    {
        let asked = if delivery.prefix.strip.is_empty() { "/a/b" } else { "/w/a/b" };
        let Ok(value) = HeaderValue::from_bytes(reference.as_bytes()) else { return Ok(()) };
        let mut response = ResponseHeader::build(302, None).unwrap();
        response.append_header("location", value).unwrap();
        Rewriting::new(&delivery, &facts(asked), true).rewrite(&mut response).unwrap();
        let after = std::str::from_utf8(response.headers["location"].as_bytes()).unwrap();
        let base = Url::parse(&format!("https://app.example.com{asked}")).unwrap();
        let host = |reference: &str| base.join(reference).ok().and_then(|url| url.host_str().map(str::to_owned));
        if host(&reference).as_deref() == Some("app.example.com") {
            let host = host(after);
            prop_assert_eq!(host.as_deref(), Some("app.example.com"), "{} → {}", reference, after);
        }
        if after != reference {
            prop_assert!(!after.starts_with("//"), "{} → {}", reference, after);
        }
    }

    #[test]
    fn any_bytes_are_taken_without_a_panic(delivery in any_delivery(), bytes: Vec<u8>) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let asked = if delivery.prefix.strip.is_empty() { "/" } else { "/w" };
            let mut response = ResponseHeader::build(302, None).unwrap();
            for name in ["location", "refresh", "set-cookie", "content-location"] {
                response.append_header(name, value.clone()).unwrap();
            }
            Rewriting::new(&delivery, &facts(asked), false).rewrite(&mut response).unwrap();
        }
    }

    #[test]
    fn any_refresh_is_read_without_a_panic(value in "[0-9., ;]{0,4}(url|URL|é)?[ =]{0,2}['\"]?[/a-zé]{0,4}['\"]?[ a]{0,2}") {
        if let Some(place) = url_in_refresh(&value) {
            prop_assert!(value.get(place).is_some());
        }
    }
}
