//! What is not kept, and what is not sent on: the page says plainly that nothing was sent.

use gatehouse::telemetry::metrics::HoldEvent;
use reqwest::{Body, Method};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

use crate::harness::{
    Gateway, Person,
    cookies::SESSION,
    held::{Button, FORM, kept_at},
    page::Reply,
    raw,
};

const ANN: &str = "ann@example.com";

fn assert_not_kept(reply: &Reply, why: &str) {
    assert_eq!(reply.status, 401, "{}", reply.text());
    let text = reply.text();
    assert!(text.contains("Nothing was sent."), "{text}");
    assert!(text.contains(why), "{why}: {text}");
    assert!(!text.contains("/.gatehouse/resume"), "{text}");
    assert!(text.contains("href=\"/.gatehouse/sign-in"), "{text}");
}

fn assert_nothing_sent(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert!(
        reply.text().contains("<h1>Nothing was sent"),
        "{}",
        reply.text()
    );
}

/// A browser whose form waits; it is signed in by now and looks at the page.
async fn waiting(gateway: &Gateway) -> (Person, String, Reply) {
    gateway.invite(ANN, &[]);
    let ann = gateway.person();
    let resume = kept_at(&ann.send_off("/transfer", FORM, "to=Bob").await);
    ann.keep_cookie(SESSION, &gateway.session(ANN, "full"));
    let page = ann.open(&resume).await;
    assert_eq!(page.status, 200, "{}", page.text());
    (ann, resume, page)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_from_a_page_of_the_same_origin_is_not_kept() {
    let gateway = Gateway::start().await;
    let eve = gateway.person();
    let other = "It came from another site";
    let unsaid = "did not say which page it came from";
    let own = gateway.origin.as_str();
    let same = ("Sec-Fetch-Site", "same-origin");
    type Said<'a> = &'a [(&'static str, &'a str)];
    let cases: [(Said<'_>, &str); 8] = [
        (
            &[
                ("Sec-Fetch-Site", "cross-site"),
                ("Origin", "https://evil.example"),
            ],
            other,
        ),
        (&[("Sec-Fetch-Site", "cross-site"), ("Origin", own)], other),
        (&[("Sec-Fetch-Site", "same-site"), ("Origin", own)], other),
        (&[("Sec-Fetch-Site", "none")], other),
        (&[same, ("Origin", "https://evil.example")], other),
        (&[("Origin", "http://localhost:1")], other),
        (&[("Origin", "null")], unsaid),
        (&[], unsaid),
    ];
    for (said, why) in cases {
        let mut form = eve.form("/transfer").header("Content-Type", FORM);
        for (name, value) in said {
            form = form.header(*name, *value);
        }
        assert_not_kept(&eve.send(form.body("to=Eve")).await, why);
    }
    assert_eq!(gateway.held(HoldEvent::CrossSite), 6);
    assert_eq!(gateway.held(HoldEvent::UnknownOrigin), 2);
    assert_eq!(gateway.held(HoldEvent::Held), 0);

    // A program that is no browser is not told of it either.
    let told = eve.request(Method::POST, "/transfer").body("to=Eve");
    let told = eve.send(told).await;
    assert_eq!(told.status, 401);
    assert!(told.json().get("not_held").is_none() && told.json().get("held").is_none());
    let fetched = eve
        .request(Method::POST, "/transfer")
        .header("Sec-Fetch-Site", "cross-site")
        .header("Sec-Fetch-Mode", "cors")
        .body("to=Eve");
    assert_eq!(eve.send(fetched).await.json()["not_held"], "cross_site");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_browser_is_silent_its_word_on_the_origin_is_enough() {
    let gateway = Gateway::start().await;
    let ann = gateway.person();
    let form = ann
        .request(Method::POST, "/transfer")
        .header("Accept", "text/html")
        .header("Content-Type", FORM)
        .header("Origin", &gateway.origin)
        .body("to=Bob");
    kept_at(&ann.send(form).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_not_kept_whether_it_says_so_or_not() {
    let gateway = Gateway::start().with("hold", "max_body = '1KiB'").await;
    let ann = gateway.person();
    kept_at(&ann.send_off("/transfer", FORM, vec![b'x'; 1024]).await);
    let why = "It is too large to be kept";
    let announced = ann.send_off("/transfer", FORM, vec![b'x'; 1025]).await;
    assert_not_kept(&announced, why);
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
        vec![Ok(vec![b'x'; 600]), Ok(vec![b'x'; 600])];
    let chunked = Body::wrap_stream(futures_util::stream::iter(pieces));
    assert_not_kept(&ann.send_off("/transfer", FORM, chunked).await, why);
    let told = ann.fetch_json("/transfer", &"x".repeat(1025)).await;
    assert_eq!(told.status, 401);
    assert_eq!(told.json()["not_held"], "too_large");
    assert_eq!(gateway.held(HoldEvent::TooLarge), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_post_or_not_to_be_kept_is_not_kept() {
    let gateway = Gateway::start().await;
    let ann = gateway.person();
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let request = ann
            .request(method.clone(), "/transfer")
            .header("Sec-Fetch-Site", "same-origin")
            .header("Sec-Fetch-Mode", "cors")
            .header("Origin", &gateway.origin)
            .body("{}");
        let told = ann.send(request).await;
        assert_eq!(told.status, 401, "{method}");
        assert!(told.json().get("held").is_none(), "{method}");
    }
    let off = Gateway::start().with("hold", "enabled = false").await;
    let ann = off.person();
    assert_not_kept(&ann.send_off("/transfer", FORM, "to=Bob").await, "sign in");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_arrive_whole_is_not_kept() {
    let gateway = Gateway::start()
        .with("server.limits", "stall_timeout = '1s'")
        .await;
    let form = format!(
        "POST /transfer HTTP/1.1\r\nHost: localhost:{}\r\nOrigin: {}\r\nAccept: text/html\r\n\
         Content-Type: {FORM}\r\nContent-Length: 100\r\n\r\nto=B",
        gateway.address.port(),
        gateway.origin,
    );
    let answers = raw::send(gateway.address, form.as_bytes()).await;
    assert_eq!(answers.status(), 401, "{}", answers.0);
    assert!(
        answers.0.contains("It did not arrive whole"),
        "{}",
        answers.0
    );
    assert_eq!(gateway.held(HoldEvent::Incomplete), 1);
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_too_long_is_not_sent() {
    let gateway = Gateway::start().await;
    let (ann, resume, page) = waiting(&gateway).await;
    gateway.clock.advance(std::time::Duration::from_secs(599));
    assert_eq!(ann.open(&resume).await.status, 200);
    gateway.clock.advance(std::time::Duration::from_secs(2));
    let late = ann.press_send(&page).await;
    assert_nothing_sent(&late, 410);
    assert!(
        late.text().contains("This took too long"),
        "{}",
        late.text()
    );
    assert_nothing_sent(&ann.open(&resume).await, 410);
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_browser_has_nothing_to_send() {
    let gateway = Gateway::start().await;
    let (_, resume, page) = waiting(&gateway).await;
    let elsewhere = gateway.person();
    elsewhere.keep_cookie(SESSION, &gateway.session(ANN, "full"));
    assert_nothing_sent(&elsewhere.open(&resume).await, 404);
    // Somebody who has read the page has no cookie that goes with it.
    assert_nothing_sent(&elsewhere.press_send(&page).await, 403);
    // A form token of one's own opens nothing of another browser.
    let own = elsewhere.open("/.gatehouse/sign-out").await.form_token();
    let mut button = Button::on(&page);
    button.body = button.body.replace(&page.form_token(), &own);
    assert_nothing_sent(&elsewhere.press(&button).await, 404);
    let made_up = "/.gatehouse/resume?held=0123456789abcdef0123456789abcdef";
    for path in [made_up, "/.gatehouse/resume?held=x", "/.gatehouse/resume"] {
        assert_nothing_sent(&elsewhere.open(path).await, 404);
    }
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_does_not_send_what_a_session_sent() {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &[]);
    gateway.invite("eve@example.com", &[]);
    let browser = gateway.person_with_session(ANN, "full");
    let kept = browser.send_off("/admin/import", FORM, "a=1").await;
    assert!(kept.leads_to("/.gatehouse/step-up"), "{}", kept.text());
    let resume = kept_at(&kept);
    let eve = gateway.session("eve@example.com", "step_up");
    let ann = gateway.session(ANN, "step_up");
    browser.keep_cookie(SESSION, &ann);
    let page = browser.open(&resume).await;
    browser.keep_cookie(SESSION, &eve);
    assert_nothing_sent(&browser.open(&resume).await, 403);
    assert_nothing_sent(&browser.press_send(&page).await, 403);
    assert_eq!(gateway.held(HoldEvent::OtherAccount), 2);
    assert_eq!(gateway.upstream.targets(), [""; 0]);
    browser.keep_cookie(SESSION, &ann);
    assert_eq!(browser.press_send(&page).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_may_not_send_it_is_told_so() {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person();
    let resume = kept_at(&ann.send_off("/staff/plan", FORM, "a=1").await);
    ann.keep_cookie(SESSION, &gateway.session(ANN, "full"));
    assert_nothing_sent(&ann.open(&resume).await, 403);
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_button_of_another_site_or_page_sends_nothing() {
    let gateway = Gateway::start().await;
    let (ann, _, page) = waiting(&gateway).await;
    let button = Button::on(&page);
    for site in ["cross-site", "same-site"] {
        let pressed = ann.pressed(&button, site);
        assert_nothing_sent(&ann.send(pressed).await, 403);
    }
    let token = page.form_token();
    for body in [
        button
            .body
            .replace(&token, &token.chars().rev().collect::<String>()),
        button.body.replace(&token, ""),
        button.body.split_once("form_token").unwrap().0.to_owned(),
        format!("{}more=1\r\n", button.body),
    ] {
        let forged = Button {
            body,
            ..button.clone()
        };
        assert_nothing_sent(&ann.press(&forged).await, 403);
    }
    let elsewhere = Button {
        action: "/transfer/other".to_owned(),
        ..button.clone()
    };
    assert_nothing_sent(&ann.press(&elsewhere).await, 400);
    let public = Button {
        action: "/public/form".to_owned(),
        ..button.clone()
    };
    assert_nothing_sent(&ann.press(&public).await, 400);
    let long = Button {
        body: format!("gatehouse-held={}", "x".repeat(1000)),
        ..button.clone()
    };
    assert_eq!(ann.press(&long).await.status, 413);
    assert_eq!(
        gateway.upstream.targets(),
        [""; 0],
        "no app sees the button"
    );
    assert_eq!(ann.press(&button).await.status, 200);
    assert_eq!(ann.press(&button).await.status, 409);
    assert_eq!(gateway.upstream.targets(), ["/transfer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_cookie_opens_nothing() {
    let gateway = Gateway::start().await;
    let (ann, resume, page) = waiting(&gateway).await;
    let name = "__Host-gatehouse-browser";
    let cookies = ann.cookie_header();
    let (_, own) = cookies.split_once(&format!("{name}=")).unwrap();
    let own = own.split(';').next().unwrap().to_owned();
    for other in ["", "x", &own.chars().rev().collect::<String>()] {
        ann.keep_cookie(name, other);
        assert_nothing_sent(&ann.open(&resume).await, 404);
        ann.keep_cookie(name, other);
        assert_nothing_sent(&ann.press_send(&page).await, 403);
    }
    ann.keep_cookie(name, &own);
    assert_eq!(ann.press_send(&page).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_wanted_any_more_is_thrown_away() {
    let gateway = Gateway::start().await;
    let (ann, resume, page) = waiting(&gateway).await;
    let held = page.input("gatehouse-held").unwrap();
    let discard = "/.gatehouse/resume/discard";
    let thrown = ann.submit(&page, discard, &[("held", &held)]).await;
    assert_nothing_sent(&thrown, 200);
    assert!(thrown.text().contains("href=\"/form?step=2\""));
    assert_nothing_sent(&ann.press_send(&page).await, 410);
    assert_nothing_sent(&ann.open(&resume).await, 410);
    assert_eq!(gateway.held(HoldEvent::Discarded), 1);
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_it_says_so_plainly() {
    let gateway = Gateway::start()
        .with(
            "hold",
            "max_body = '8KiB'\nroom = '24KiB'\nroom_per_network = '16KiB'",
        )
        .with_server("trusted_proxies = ['127.0.0.1']")
        .await;
    let from = |network: &'static str| {
        let person = gateway.person();
        let form = person
            .form("/transfer")
            .header("Sec-Fetch-Site", "same-origin")
            .header("Content-Type", FORM)
            .header("X-Forwarded-For", network)
            .body(vec![b'x'; 7000]);
        async move { person.send(form).await }
    };
    let why = "There is no room to keep it right now";
    for _ in 0..2 {
        kept_at(&from("203.0.113.1").await);
    }
    assert_not_kept(&from("203.0.113.2").await, why);
    kept_at(&from("198.51.100.1").await);
    assert_not_kept(&from("192.0.2.1").await, why);
    assert_eq!(gateway.held(HoldEvent::NoRoom), 2);
    gateway.after(10);
    kept_at(&from("192.0.2.1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_sends_too_much_is_not_kept_more_of() {
    let gateway = Gateway::start().await;
    let eve = gateway.person();
    let mut kept = 0;
    loop {
        let reply = eve.send_off("/transfer", FORM, "to=Eve").await;
        if reply.status != 303 {
            assert_not_kept(&reply, "Too much was sent in a short time");
            break;
        }
        kept += 1;
        assert!(kept < 100, "there is no limit");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_away_nothing_is_kept_and_nothing_is_sent() {
    let gateway = Gateway::start().await;
    let (ann, resume, page) = waiting(&gateway).await;
    let file = gateway.folder().join("gatehouse.db");
    let options = SqliteConnectOptions::new().filename(file);
    let mut lock = options.connect().await.unwrap();
    let begin = sqlx::query("BEGIN IMMEDIATE").execute(&mut lock).await;
    begin.unwrap();
    let stranger = gateway.person();
    let refused = stranger.send_off("/transfer", FORM, "to=Bob").await;
    assert_not_kept(&refused, "It cannot be kept right now");
    assert_nothing_sent(&ann.press_send(&page).await, 503);
    assert_eq!(ann.open(&resume).await.status, 200, "reading goes on");
    assert_eq!(gateway.upstream.targets(), [""; 0]);
    drop(lock);
    assert_eq!(ann.press_send(&page).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_shows_nothing_of_what_is_kept() {
    let gateway = Gateway::start().await;
    let ann = gateway.person();
    kept_at(
        &ann.send_off("/transfer/hidden", FORM, "password=sesame")
            .await,
    );
    for name in ["gatehouse.db", "gatehouse.db-wal"] {
        let bytes = std::fs::read(gateway.folder().join(name)).unwrap_or_default();
        for secret in [&b"sesame"[..], b"/transfer/hidden"] {
            let shown = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!shown, "{name}");
        }
    }
}
