//! Apps that break the protocol, by mistake or on purpose: whoever asked gets a defined answer or a cut
//! connection, and nobody ever gets what was meant for another.

use std::time::{Duration, Instant};

use reqwest::Method;

use crate::harness::{
    Gateway, Person,
    hostile::{Deed, Hostile, Then, own_body},
    person::Protocol,
    process::Process,
    raw,
    waiting::{SOON, within},
};

/// What somebody who asks for something spoilt gets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Got {
    /// This status and the gateway's page.
    Page(u16),
    /// This status and body, whole.
    Whole(u16, String),
    /// This status, and a body that visibly breaks off.
    Broken(u16),
    /// No answer: the connection or stream is cut.
    Cut,
}

async fn before_hostile() -> (Hostile, Gateway) {
    let hostile = Hostile::start().await;
    let gateway = Gateway::start()
        .before(hostile.address)
        .with_upstream("read_timeout = '1s'")
        .with_route("path = '/*'\naccess = 'public'")
        .await;
    (hostile, gateway)
}

async fn ask(person: &Person, method: Method, target: &str) -> Got {
    let asked = person.request(method, target).timeout(SOON).send().await;
    let Ok(answer) = asked else {
        return Got::Cut;
    };
    let status = answer.status().as_u16();
    match answer.text().await {
        Err(_) => Got::Broken(status),
        Ok(text) if text.contains("\"request_id\"") => Got::Page(status),
        Ok(text) => Got::Whole(status, text),
    }
}

/// That the next requests of the same people over the same connections get their own answers.
async fn others_are_not_harmed(person: &Person, after: &str) {
    for number in 0..3 {
        let target = format!("/other/{number}");
        let got = ask(person, Method::GET, &target).await;
        assert_eq!(got, Got::Whole(200, own_body(&target)), "after {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spoilt_answers_are_refused_or_cut_and_reach_nobody_else() {
    let (hostile, gateway) = before_hostile().await;
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    let ok = |body: &str| Got::Whole(200, body.to_owned());
    let fields = "X-Field: filler\r\n".repeat(10_000);
    let megabyte = "x".repeat(1 << 20);
    use Then::{Close, Hold, KeepAlive};
    let cases: Vec<(&str, String, Then, Got)> = vec![
        ("nothing", String::new(), Close, Got::Page(502)),
        (
            "no status line",
            "hello\r\n\r\nworld".into(),
            Close,
            Got::Page(502),
        ),
        ("HTTP/0.9", "<h1>hello</h1>".into(), Close, Got::Page(502)),
        (
            "a wrong version",
            "HTTP/3.7 200 OK\r\n\r\n".into(),
            Close,
            Got::Page(502),
        ),
        (
            "a wrong status",
            "HTTP/1.1 20 OK\r\n\r\n".into(),
            Close,
            Got::Page(502),
        ),
        (
            "status 0",
            "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n".into(),
            Close,
            Got::Page(502),
        ),
        (
            "a null byte in a field",
            "HTTP/1.1 200 OK\r\nA: \0\r\nContent-Length: 0\r\n\r\n".into(),
            Hold,
            Got::Page(502),
        ),
        (
            "a space before the colon",
            "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok".into(),
            Close,
            ok("ok"),
        ),
        (
            "a folded field",
            "HTTP/1.1 200 OK\r\nA: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok".into(),
            Close,
            ok("ok"),
        ),
        (
            "bare line feeds",
            "HTTP/1.1 200 OK\nContent-Length: 2\n\nok".into(),
            KeepAlive,
            ok("ok"),
        ),
        (
            "length and chunks",
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{poison}"
            ),
            KeepAlive,
            ok("ok"),
        ),
        (
            "two lengths",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok{poison}"),
            KeepAlive,
            Got::Page(502),
        ),
        (
            "the same length twice",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok".into(),
            KeepAlive,
            ok("ok"),
        ),
        (
            "a negative length",
            "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok".into(),
            Hold,
            Got::Page(502),
        ),
        (
            "a length that is none",
            "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok".into(),
            Hold,
            Got::Page(502),
        ),
        (
            "an endless length",
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\nok",
                "9".repeat(40)
            ),
            Hold,
            Got::Page(502),
        ),
        (
            "chunks that are none",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n".into(),
            Hold,
            Got::Broken(200),
        ),
        (
            "a negative chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n".into(),
            Hold,
            Got::Broken(200),
        ),
        (
            "an endless chunk",
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}\r\nok\r\n",
                "f".repeat(40)
            ),
            Hold,
            Got::Broken(200),
        ),
        (
            "an unknown coding",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok".into(),
            Close,
            Got::Page(502),
        ),
        (
            "garbage after a length",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{poison}"),
            KeepAlive,
            ok("ok"),
        ),
        (
            "garbage after chunks",
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{poison}"
            ),
            KeepAlive,
            ok("ok"),
        ),
        (
            "a body of 204",
            format!("HTTP/1.1 204 No Content\r\n\r\n{poison}"),
            KeepAlive,
            Got::Whole(204, String::new()),
        ),
        (
            "a body of 304",
            format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison{poison}"),
            KeepAlive,
            Got::Whole(304, String::new()),
        ),
        (
            "a switch nobody asked for",
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n{poison}"
            ),
            Hold,
            Got::Page(502),
        ),
        (
            "an end within the header",
            "HTTP/1.1 200 OK\r\nContent-Le".into(),
            Close,
            Got::Page(502),
        ),
        (
            "an end within the body",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok".into(),
            Close,
            Got::Broken(200),
        ),
        (
            "an end within a chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok".into(),
            Close,
            Got::Broken(200),
        ),
        (
            "an end between chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n".into(),
            Close,
            Got::Broken(200),
        ),
        (
            "a body that stops",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok".into(),
            Hold,
            Got::Broken(200),
        ),
        (
            "a header that stops",
            "HTTP/1.1 200 OK\r\nContent-".into(),
            Hold,
            Got::Page(504),
        ),
        (
            "ten thousand fields",
            format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok"),
            KeepAlive,
            Got::Page(502),
        ),
        (
            "a field of a mebibyte",
            format!("HTTP/1.1 200 OK\r\nA: {megabyte}\r\nContent-Length: 2\r\n\r\nok"),
            KeepAlive,
            Got::Page(502),
        ),
        (
            "an endless header",
            format!(
                "HTTP/1.1 200 OK\r\n{}",
                format!("A: {megabyte}\r\n").repeat(3)
            ),
            Hold,
            Got::Page(502),
        ),
        (
            "provisional answers only",
            "HTTP/1.1 100 Continue\r\n\r\n".into(),
            Hold,
            Got::Page(504),
        ),
        (
            "a few provisional answers",
            format!(
                "{}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                "HTTP/1.1 102 Processing\r\n\r\n".repeat(5)
            ),
            KeepAlive,
            ok("ok"),
        ),
        (
            "endless provisional answers",
            "HTTP/1.1 100 Continue\r\n\r\n".into(),
            Then::Repeat,
            Got::Page(502),
        ),
        (
            "trailers",
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie\r\n\r\n2\r\nok\r\n0\r\nSet-Cookie: __Host-gatehouse=x\r\nContent-Length: 99\r\n\r\n{poison}"
            ),
            KeepAlive,
            ok("ok"),
        ),
    ];
    let mut wrong = Vec::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let person = gateway.person_over(protocol);
        for (number, (what, answer, then, expected)) in cases.iter().enumerate() {
            let target = format!("/spoilt/{number}");
            hostile.on(&target, Deed::saying(answer.as_str(), *then));
            let got = ask(&person, Method::GET, &target).await;
            if got != *expected {
                wrong.push(format!(
                    "{protocol:?}, {what}: {got:?} instead of {expected:?}"
                ));
            }
            others_are_not_harmed(&person, what).await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tolerated_in_a_header_is_passed_on_mended() {
    let (hostile, gateway) = before_hostile().await;
    let answer = "HTTP/1.1 200 OK\r\nX-Folded: one\r\n two\r\nX-Spaced : three\r\nContent-Length: 2\r\n\r\nok";
    hostile.on("/folded", Deed::saying(answer, Then::KeepAlive));
    let got = raw::get(gateway.address, "/folded", &[]).await;
    let lines: Vec<&str> = got.0.split("\r\n").collect();
    assert!(lines.contains(&"X-Spaced: three"), "{}", got.0);
    let folded = lines.iter().find(|line| line.starts_with("X-Folded: one"));
    assert!(
        folded.is_some_and(|line| line.ends_with("two")),
        "{}",
        got.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_head_has_no_body_whatever_the_app_sends() {
    let (hostile, gateway) = before_hostile().await;
    let bodies = [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\npoison",
    ];
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let person = gateway.person_over(protocol);
        for answer in bodies {
            hostile.on("/head", Deed::saying(answer, Then::KeepAlive));
            let got = ask(&person, Method::HEAD, "/head").await;
            assert_eq!(
                got,
                Got::Whole(200, String::new()),
                "{protocol:?}: {answer}"
            );
            others_are_not_harmed(&person, answer).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_comes_byte_by_byte_is_given_up() {
    let (hostile, gateway) = before_hostile().await;
    let slow = format!("HTTP/1.1 200 OK\r\nX-Slow: {}", "x".repeat(10_000));
    hostile.on("/slow", Deed::dripping(slow, Duration::from_millis(50)));
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let person = gateway.person_over(protocol);
        let start = Instant::now();
        assert_eq!(ask(&person, Method::GET, "/slow").await, Got::Cut);
        let lasted = start.elapsed();
        // Twice the app's `read_timeout`, and not for as long as a byte comes now and then.
        assert!(
            lasted >= Duration::from_secs(2) && lasted < Duration::from_secs(6),
            "{lasted:?}"
        );
        others_are_not_harmed(&person, "a slow header").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoilt_connection_is_not_used_again_and_a_good_one_is() {
    let (hostile, gateway) = before_hostile().await;
    let person = gateway.person();
    for number in 0..5 {
        let target = format!("/good/{number}");
        let got = ask(&person, Method::GET, &target).await;
        assert_eq!(got, Got::Whole(200, own_body(&target)));
    }
    assert_eq!(hostile.connections(), 1);
    let poisoned = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    hostile.on("/poisoned", Deed::saying(poisoned, Then::KeepAlive));
    let got = ask(&person, Method::GET, "/poisoned").await;
    assert_eq!(got, Got::Whole(200, "ok".to_owned()));
    others_are_not_harmed(&person, "bytes that nobody asked for").await;
    assert_eq!(
        hostile.connections(),
        2,
        "the spoilt connection was given up"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn half_an_answer_is_seen_to_be_half_by_plain_clients() {
    let (hostile, gateway) = before_hostile().await;
    for (what, answer) in [
        (
            "a length",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        ),
        (
            "chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        ),
    ] {
        hostile.on("/half", Deed::saying(answer, Then::Close));
        let got = raw::get(gateway.address, "/half", &[]).await;
        assert_eq!(
            got.statuses(),
            [200],
            "{what}: one answer, and no page behind it"
        );
        assert!(
            got.0.contains("half") && !got.0.ends_with("0\r\n\r\n"),
            "{what}: {}",
            got.0
        );
    }
    // Without either, the end of the connection is the end of the body, as HTTP/1.0 has it.
    hostile.on(
        "/whole",
        Deed::saying("HTTP/1.0 200 OK\r\n\r\nall of it", Then::Close),
    );
    let got = raw::get(gateway.address, "/whole", &[]).await;
    assert!(
        got.0.contains("all of it") && got.0.ends_with("0\r\n\r\n"),
        "{}",
        got.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_is_logged_once() {
    let (hostile, mut gateway) = before_hostile().await;
    gateway.stop().await;
    let process = Process::serve(&gateway.config);
    let person = gateway.person();
    for (number, (answer, then, expected)) in [
        ("hello", Then::Close, Got::Page(502)),
        ("", Then::Hold, Got::Page(504)),
        (
            "HTTP/1.1 100 Continue\r\n\r\n",
            Then::Repeat,
            Got::Page(502),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            Then::Close,
            Got::Page(502),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
            Then::Close,
            Got::Broken(200),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            Then::Close,
            Got::Broken(200),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("/spoilt/{number}");
        hostile.on(&target, Deed::saying(answer, then));
        assert_eq!(
            ask(&person, Method::GET, &target).await,
            expected,
            "{answer:?}"
        );
        others_are_not_harmed(&person, answer).await;
        let warnings = within(SOON, "it is logged", || async {
            Some(process.warnings()).filter(|warnings| warnings.len() > number)
        })
        .await;
        assert_eq!(warnings.len(), number + 1, "{answer:?}: {warnings:#?}");
    }
    hostile.on(
        "/slow",
        Deed::dripping(
            "HTTP/1.1 200 OK\r\nX: xxxxxxxxxxx",
            Duration::from_millis(200),
        ),
    );
    assert_eq!(ask(&person, Method::GET, "/slow").await, Got::Cut);
    let warnings = within(SOON, "it is logged", || async {
        Some(process.warnings()).filter(|warnings| warnings.len() > 6)
    })
    .await;
    assert_eq!(warnings.len(), 7);
    assert!(warnings[6].contains("NoAnswer"), "{}", warnings[6]);
}
