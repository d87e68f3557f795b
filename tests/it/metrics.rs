//! What is counted and measured: that each number moves when it should, and only then.

use reqwest::Method;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::harness::{
    Gateway, raw,
    upstream::Answer,
    waiting::{SOON, within},
    watcher::{Scrape, reads, watched},
};

const ANN: &str = "ann@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_counted_by_what_became_of_it() {
    let (gateway, admin) = watched(Gateway::start()).await;
    let ann = gateway.person();
    assert_eq!(ann.open("/public/page").await.status, 200);
    assert_eq!(ann.open("/public/other").await.status, 200);
    assert!(ann.open("/page").await.leads_to("/.gatehouse/sign-in"));
    assert_eq!(ann.open("/.gatehouse/sign-in").await.status, 200);
    let refused = raw::get(gateway.address, "/public/%2e%2e%2fx", &[]).await;
    assert_eq!(refused.status(), 400);
    reads(
        admin,
        "gatehouse_requests_total",
        &[
            ("{decision=\"forward\"}", 2.0),
            ("{decision=\"sign_in\"}", 1.0),
            ("{decision=\"own_page\"}", 1.0),
            ("{decision=\"malformed\"}", 1.0),
        ],
    )
    .await;
    reads(
        admin,
        "gatehouse_responses_total",
        &[
            ("{class=\"2xx\"}", 3.0),
            ("{class=\"3xx\"}", 1.0),
            ("{class=\"4xx\"}", 1.0),
        ],
    )
    .await;
    reads(
        admin,
        "gatehouse_request_duration_seconds_count",
        &[
            ("{phase=\"decide\"}", 5.0),
            ("{phase=\"upstream_connect\"}", 2.0),
            ("{phase=\"upstream_header\"}", 2.0),
            ("{phase=\"own_page\"}", 1.0),
            ("{phase=\"total\"}", 5.0),
        ],
    )
    .await;
    reads(
        admin,
        "gatehouse_upstream_requests_total",
        &[("{upstream=\"app\"}", 2.0)],
    )
    .await;
    reads(admin, "gatehouse_requests_in_flight", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_library_refuses_by_itself_is_counted_too() {
    let (gateway, admin) = watched(Gateway::start()).await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\nno header\r\n\r\n", 400),
        (
            "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            405,
        ),
    ] {
        let answer = raw::send(gateway.address, request.as_bytes()).await;
        assert_eq!(answer.status(), status, "{}", answer.0);
    }
    // Says nothing and leaves; and one that is as it should be.
    drop(TcpStream::connect(gateway.address).await.unwrap());
    assert_eq!(
        raw::get(gateway.address, "/public/x", &[]).await.status(),
        200
    );
    reads(admin, "gatehouse_connections", &[]).await;
    reads(admin, "gatehouse_unread_requests_total", &[("", 2.0)]).await;
    reads(
        admin,
        "gatehouse_requests_total",
        &[("{decision=\"forward\"}", 1.0)],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_is_counted_and_what_is_refused() {
    let (gateway, admin) = watched(Gateway::start().with(
        "server.limits",
        "connections = 2\nconnections_per_network = 2",
    ))
    .await;
    gateway.upstream.answer("/public/long", Answer::Endless);
    let mut long = TcpStream::connect(gateway.address).await.unwrap();
    let request = "GET /public/long HTTP/1.1\r\nHost: localhost\r\n\r\n";
    long.write_all(request.as_bytes()).await.unwrap();
    let idle = TcpStream::connect(gateway.address).await.unwrap();
    reads(admin, "gatehouse_connections", &[("", 2.0)]).await;
    reads(admin, "gatehouse_requests_in_flight", &[("", 1.0)]).await;
    reads(
        admin,
        "gatehouse_upstream_requests_in_flight",
        &[("{upstream=\"app\"}", 1.0)],
    )
    .await;
    assert_eq!(
        raw::get(gateway.address, "/public/x", &[]).await.status(),
        0
    );
    reads(
        admin,
        "gatehouse_connections_refused_total",
        &[("{reason=\"connections\"}", 1.0)],
    )
    .await;
    drop((long, idle));
    reads(admin, "gatehouse_connections", &[]).await;
    reads(admin, "gatehouse_requests_in_flight", &[]).await;
    reads(admin, "gatehouse_upstream_requests_in_flight", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_closed_unheard_is_counted_by_why() {
    let family = "gatehouse_connections_refused_total";
    let request = "GET /public/x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (setup, said, reason) in [
        (Gateway::start().with_tls(), request, "handshake"),
        (
            Gateway::start().with_server("proxy_protocol = ['127.0.0.1']"),
            request,
            "proxy_header",
        ),
        (
            Gateway::start().with("server.limits", "header_timeout = '1s'"),
            "GET /public/x HTTP/1.1\r\nHo",
            "header_timeout",
        ),
    ] {
        let (gateway, admin) = watched(setup).await;
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        reads(admin, family, &[(&format!("{{reason=\"{reason}\"}}"), 1.0)]).await;
        reads(admin, "gatehouse_connections", &[]).await;
        reads(admin, "gatehouse_requests_total", &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_with_its_session_is_counted_by_itself() {
    let (gateway, admin) = watched(Gateway::start()).await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "full");
    gateway.upstream.answer("/long", Answer::Endless);
    let mut streams = gateway.upstream.open_streams();
    let mut long = TcpStream::connect(gateway.address).await.unwrap();
    let request = format!(
        "GET /long HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n",
        ann.cookie_header()
    );
    long.write_all(request.as_bytes()).await.unwrap();
    streams.wait_for(|open| *open == 1).await.unwrap();
    let revoked = gateway.command(&["session", "revoke", "--account", ANN]);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    reads(admin, "gatehouse_cut_requests_total", &[("", 1.0)]).await;
    reads(admin, "gatehouse_requests_in_flight", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_step_ups_and_enrolments_are_counted_with_their_results() {
    let (gateway, admin) = watched(Gateway::start()).await;
    let mut ann = gateway.enrolled(ANN).await;
    reads(
        admin,
        "gatehouse_enrolments_total",
        &[("{result=\"saved\"}", 1.0)],
    )
    .await;
    ann.step_up("/").await;
    let mut again = gateway.person();
    again.phone = ann.phone;
    assert_eq!(again.sign_in("/").await.status, 200);
    let refused = gateway
        .person()
        .enter_backup_code(ANN, "0000-0000-0000-0000")
        .await;
    assert!(refused.status.is_client_error(), "{}", refused.text());
    reads(
        admin,
        "gatehouse_step_ups_total",
        &[("{result=\"stepped_up\"}", 1.0)],
    )
    .await;
    let scrape = Scrape::of(admin).await;
    for (method, result, expected) in [
        ("passkey", "signed_in", 1.0),
        ("passkey", "refused", 0.0),
        ("backup_code", "refused", 1.0),
        ("backup_code", "signed_in", 0.0),
        ("recovery", "signed_in", 0.0),
    ] {
        let series = format!("gatehouse_sign_ins_total{{method=\"{method}\",result=\"{result}\"}}");
        assert_eq!(scrape.value(&series), expected, "{series}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_limits_refuse_are_counted() {
    let (gateway, admin) = watched(Gateway::start()).await;
    gateway.invite(ANN, &[]);
    for _ in 0..4 {
        gateway.person().ask_for_mail(ANN, "/").await;
    }
    reads(
        admin,
        "gatehouse_throttled_total",
        &[("{what=\"address\"}", 1.0)],
    )
    .await;
    within(SOON, "three mails are sent", || async {
        let scrape = Scrape::of(admin).await;
        (scrape.value("gatehouse_mails_total{result=\"sent\"}") == 3.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_at_the_command_line_shows_how_long_it_took() {
    let (gateway, admin) = watched(Gateway::start()).await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "full");
    assert_eq!(ann.open("/page").await.status, 200);
    let count = "gatehouse_revocation_lag_seconds_count";
    let before = Scrape::of(admin).await.value(count);
    let revoked = gateway.command(&["session", "revoke", "--account", ANN]);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    let scrape = within(SOON, "the revocation is followed", || async {
        let scrape = Scrape::of(admin).await;
        (scrape.value(count) > before).then_some(scrape)
    })
    .await;
    assert_eq!(scrape.value(count), before + 1.0);
    let sum = scrape.value("gatehouse_revocation_lag_seconds_sum");
    assert!((0.0..SOON.as_secs_f64()).contains(&sum), "{sum}");
    let behind = scrape.value("gatehouse_feed_behind_seconds");
    assert!((0.0..SOON.as_secs_f64()).contains(&behind), "{behind}");
    assert!(ann.open("/page").await.leads_to("/.gatehouse/sign-in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_strangers_send_no_series_is_added() {
    let (gateway, admin) = watched(Gateway::start()).await;
    assert_eq!(
        raw::get(gateway.address, "/public/x", &[]).await.status(),
        200
    );
    let before = Scrape::of(admin).await;
    let mut sent = 0.0;
    for number in 0..40 {
        for request in [
            format!("GET /public/{number}\"}} 1 HTTP/1.1\r\nHost: h{number}.example\r\n"),
            format!("METHOD{number} /public/{number}?a={number} HTTP/1.1\r\nHost: localhost\r\n"),
            format!(
                "GET /{number}/%0a HTTP/1.1\r\nHost: localhost\r\nCookie: __Host-gatehouse={number}\r\n"
            ),
            format!("GET /public/x HTTP/1.1\r\nHost: localhost\r\nX-{number}: {number}\r\n"),
        ] {
            let request = format!("{request}Connection: close\r\n\r\n");
            raw::send(gateway.address, request.as_bytes()).await;
            sent += 1.0;
        }
    }
    let after = within(SOON, "all of them are counted", || async {
        let scrape = Scrape::of(admin).await;
        let read: f64 = scrape.moved("gatehouse_requests_total").values().sum();
        let unread = scrape.value("gatehouse_unread_requests_total");
        (read + unread == sent + 1.0).then_some(scrape)
    })
    .await;
    assert_eq!(after.names(), before.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_an_upstream_fails_are_counted_by_how() {
    let nonsense = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n".to_vec();
    for (lines, answer, status, kind) in [
        ("", Answer::HangUp, 502, "broken_off"),
        ("", Answer::Raw(nonsense), 502, "bad_answer"),
        ("read_timeout = '1s'", Answer::Silence, 504, "read_timeout"),
    ] {
        let (gateway, admin) = watched(Gateway::start().with_upstream(lines)).await;
        gateway.upstream.answer("/public/x", answer);
        let failed = gateway.person().fetch(Method::POST, "/public/x").await;
        assert_eq!(failed.status, status, "{kind}");
        reads(admin, FAILURES, &[(&failure(kind), 1.0)]).await;
        reads(admin, "gatehouse_upstream_requests_in_flight", &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_no_server_takes_are_counted_by_why() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let (gateway, admin) = watched(Gateway::start().before(address)).await;
    assert_eq!(gateway.person().open("/public/x").await.status, 502);
    reads(admin, FAILURES, &[(&failure("connect"), 1.0)]).await;

    let (gateway, admin) = watched(Gateway::start().with_upstream("max_connections = 1")).await;
    gateway.upstream.answer("/public/long", Answer::Endless);
    let mut streams = gateway.upstream.open_streams();
    let mut long = TcpStream::connect(gateway.address).await.unwrap();
    let request = "GET /public/long HTTP/1.1\r\nHost: localhost\r\n\r\n";
    long.write_all(request.as_bytes()).await.unwrap();
    streams.wait_for(|open| *open == 1).await.unwrap();
    assert_eq!(gateway.person().open("/public/x").await.status, 503);
    reads(admin, FAILURES, &[(&failure("busy"), 1.0)]).await;
}

const FAILURES: &str = "gatehouse_upstream_failures_total";

fn failure(kind: &str) -> String {
    format!("{{kind=\"{kind}\",upstream=\"app\"}}")
}
