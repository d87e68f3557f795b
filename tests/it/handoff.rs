//! A code on its way between two hosts, and everything that it is refused for.

use std::time::Duration;

use reqwest::Method;

use crate::harness::{
    Person,
    cookies::SESSION,
    gateway::AUTH_HOST,
    page::Reply,
    person::sign_in_page,
    raw,
    visitor::{ANN, APP, END, Visitor, ann_again, gateway},
};

const HANDOFF: &str = "/.gatehouse/handoff";

/// The one plain page, whatever went wrong.
fn assert_not_handed_on(reply: &Reply) {
    assert_eq!(reply.status, 403, "{}", reply.text());
    let page = reply.text();
    assert!(page.contains("You are not signed in here"), "{page}");
    assert_eq!(reply.session_cookie(), None);
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("referrer-policy"), "no-referrer");
    for told in [ANN, "browser=", "expired", "spent", "wiki"] {
        assert!(!page.contains(told), "{told}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookies_of_a_handoff_are_bound_to_their_host() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    let started = ann.app.open(&sign_in_page("/report")).await;
    let arrived = {
        let path = ann.code().await;
        ann.app.open(&path).await
    };
    for reply in [&started, &arrived] {
        let lines = crate::harness::cookies::set_cookie_lines(&reply.headers);
        assert!(!lines.is_empty());
        for line in lines {
            let line = line.to_ascii_lowercase();
            assert!(line.starts_with("__host-gatehouse"), "{line}");
            assert!(
                !line.contains("domain") && line.contains("httponly") && line.contains("secure")
            );
            assert!(
                line.contains("samesite=lax") && line.contains("path=/;"),
                "{line}"
            );
            assert!(!line.contains("report"), "{line}");
        }
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photographed_code_is_worth_nothing_and_neither_is_the_original_afterwards() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    let code = ann.code().await;
    let thief = Visitor::new(&gateway);
    assert_not_handed_on(&thief.app.open(&code).await);
    assert_not_handed_on(&ann.app.open(&code).await);
    assert_eq!(ann.app.session_kind().await, "none");

    // With a cookie of their own, begun in the right way, it is no better.
    let code = ann.code().await;
    let begun = thief.app.open(&sign_in_page("/report")).await;
    let cookie = crate::harness::cookies::set_cookie_lines(&begun.headers).remove(0);
    let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
    let tag = name.rsplit_once("handoff-").unwrap().1;
    let of_ann = code
        .split_once("flow=")
        .unwrap()
        .1
        .split('&')
        .next()
        .unwrap();
    assert_not_handed_on(&thief.app.open(&code.replace(of_ann, tag)).await);
    let code = ann.code().await;
    let of_ann = code
        .split_once("flow=")
        .unwrap()
        .1
        .split('&')
        .next()
        .unwrap();
    thief.app.keep_cookie(&name.replace(tag, of_ann), value);
    assert_not_handed_on(&thief.app.open(&code).await);

    let shown = gateway.command(&["account", "show", ANN, "--json"]).json();
    let refused: Vec<_> = shown["audit"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["event"] == "handoff_refused")
        .collect();
    assert_eq!(refused.len(), 3, "{shown:#}");
    assert_eq!(refused[0]["reason"], "other_browser");
    assert_eq!(refused[0]["host"], APP);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_once_and_for_half_a_minute() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    let cookies = |person: &Person| person.cookie_header();

    let code = ann.code().await;
    let before = cookies(&ann.app);
    assert!(ann.app.open(&code).await.leads_to("/report"));
    // The very same request once more, as one who recorded it would send it.
    let head = format!(
        "GET {code} HTTP/1.1\r\nHost: {APP}\r\nConnection: close\r\nAccept: text/html\r\n\
         Cookie: {before}\r\n\r\n"
    );
    let replayed = raw::send(gateway.address, head.as_bytes()).await;
    assert_eq!(replayed.status(), 403, "{}", replayed.0);
    assert!(
        !replayed.0.contains(&format!("{SESSION}=")),
        "{}",
        replayed.0
    );

    let late = Visitor::of(&gateway, ann.auth);
    let code = late.code().await;
    gateway.clock.advance(Duration::from_secs(30));
    assert_not_handed_on(&late.app.open(&code).await);
    let code = late.code().await;
    gateway.clock.advance(Duration::from_secs(28));
    assert!(late.app.open(&code).await.leads_to("/report"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_for_one_host_is_refused_at_another() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    let code = ann.code().await;
    // Even with the app's cookie: whoever can read one host's cookies gets nothing at the other.
    let cookies = ann.app.cookie_header();
    let (name, value) = cookies.split_once('=').unwrap();
    ann.wiki.keep_cookie(name, value);
    assert_not_handed_on(&ann.wiki.open(&code).await);
    assert_not_handed_on(&ann.app.open(&code).await);
    assert_eq!(
        ann.auth.open(&code).await.status,
        404,
        "the auth host takes none"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_hosts_that_a_route_names_get_codes() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    let started = ann.app.open(&sign_in_page("/report")).await;
    let good = started
        .header("location")
        .strip_prefix(&ann.auth.origin)
        .unwrap()
        .to_owned();
    let with = |from: &str, to: &str| {
        let forged = good.replace(from, to);
        assert_ne!(forged, good);
        forged
    };
    let host = format!("host={APP}");
    for forged in [
        with(&host, "host=evil.example"),
        with(&host, &format!("host={APP}.evil.example")),
        with(&host, &format!("host=evil.example%2F.{APP}")),
        with(&host, &format!("host=user@{APP}")),
        with(&host, &format!("host={AUTH_HOST}")),
        with(&host, "host=localhost"),
        with(&host, "host=127.0.0.1"),
        with(&host, "host="),
        with(&host, ""),
        with("browser=", "browser=x"),
        with("need=sign-in", "need=step-up"),
        with("need=sign-in", "need=all"),
        HANDOFF.to_owned(),
    ] {
        assert_not_handed_on(&ann.auth.open(&forged).await);
    }
    // Whoever is not signed in is not even asked to.
    let stranger = gateway.person();
    assert_not_handed_on(&stranger.open(&with(&host, "host=evil.example")).await);
    // A script of a page, or a frame in it, gets none either.
    let fetched = ann.auth.fetch(Method::GET, &good).await;
    assert_eq!(fetched.status, 403);
    assert_eq!(fetched.json()["error"], "not_handed_on");
    // An app has no such page.
    assert_eq!(
        ann.wiki.open(&good).await.header("location"),
        format!("{}{good}", ann.auth.origin)
    );

    let unnamed = Person::at(&gateway, "other.localhost");
    assert_not_handed_on(&unnamed.open(&sign_in_page("/")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_browser_digest_brings_its_forger_nothing() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    let thief = Visitor::new(&gateway);
    let begun = thief.app.open(&sign_in_page("/report")).await;
    // Ann is lured to the thief's address: the code is for the thief's browser, but hers brings it first.
    let arrival = ann.follow(begun.header("location")).await;
    assert_eq!(arrival.host, APP);
    assert_not_handed_on(&arrival.reply);
    let end = arrival
        .way
        .last()
        .unwrap()
        .strip_prefix(&thief.app.origin)
        .unwrap();
    assert_not_handed_on(&thief.app.open(end).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_path_stays_on_its_host() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    for elsewhere in [
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "/%09/evil.example",
        "/.gatehouse/sign-out",
    ] {
        let fresh = Visitor {
            app: Person::at(&gateway, APP),
            ..ann_again(&gateway, &ann)
        };
        let arrival = fresh.open(APP, &sign_in_page(elsewhere)).await;
        assert_eq!(arrival.host, APP, "{elsewhere}: {:#?}", arrival.way);
        assert_eq!(
            arrival.way.last().unwrap(),
            &format!("{}/", fresh.app.origin),
            "{elsewhere}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_cookies_a_page_says_so_and_nothing_loops() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    let code = ann.code().await;
    let forgetful = Person::at(&gateway, APP);
    let reply = forgetful.open(&code).await;
    assert_not_handed_on(&reply);
    assert!(reply.text().contains("cookies must be allowed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_paid_for_by_network() {
    let gateway = gateway().await;
    let guesser = Person::at(&gateway, APP);
    let mut throttled = false;
    for _ in 0..500 {
        let reply = guesser.open(&format!("{END}?flow=x&code=x")).await;
        throttled |= reply.status == 429;
        if throttled {
            break;
        }
    }
    assert!(throttled);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_on_its_way_is_not_planted() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    let code = ann.code().await;
    ann.auth.press_on_account_page("/.gatehouse/sign-out").await;
    assert_not_handed_on(&ann.app.open(&code).await);

    // Ended beside the server, which may not have heard of it yet: no going to and fro meanwhile.
    gateway.invite("carol@example.com", &[]);
    let carol = Visitor::of(
        &gateway,
        gateway.person_with_session("carol@example.com", "full"),
    );
    assert_eq!(carol.auth.session_kind().await, "full");
    gateway.command(&["session", "revoke", "--account", "carol@example.com"]);
    let arrival = carol.open(APP, "/report").await;
    assert!(
        arrival.way.last().unwrap().contains("/.gatehouse/sign-in?"),
        "{:#?}",
        arrival.way
    );
    assert_eq!((arrival.host.as_str(), arrival.way.len()), (AUTH_HOST, 4));

    gateway.invite("bob@example.com", &[]);
    let bob = Visitor::of(
        &gateway,
        gateway.person_with_session("bob@example.com", "full"),
    );
    let code = bob.code().await;
    let done = gateway.command(&["account", "disable", "bob@example.com"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_not_handed_on(&bob.app.open(&code).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tabs_that_open_at_once_do_not_disturb_each_other() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    let (first, second) = (ann.code().await, ann.code().await);
    assert!(ann.app.open(&first).await.leads_to("/report"));
    let session = ann.app.session_cookie();
    assert!(ann.app.open(&second).await.leads_to("/report"));
    assert_eq!(
        ann.app.session_cookie(),
        session,
        "the first tab's session goes on"
    );

    // Someone who restores thirty tabs is signed in all the same.
    let ann = ann_again(&gateway, &ann);
    for _ in 0..30 {
        ann.app
            .open(&sign_in_page(&format!("/{}", "x".repeat(1500))))
            .await;
    }
    assert!(ann.app.cookie_header().len() < 32 * 1024);
    let code = ann.code().await;
    assert!(ann.app.open(&code).await.leads_to("/report"));
}
