//! A gateway that is told to end finishes what was begun, and takes its leave of what does not end.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{
    Gateway,
    frames::{End, Frames},
    process::{Process, Signal},
    upstream::Answer,
    waiting::{SOON, within},
};

const REQUEST: &[u8] = b"GET /public/page HTTP/1.1\r\nHost: localhost\r\n\r\n";
const FRAME: &[u8] = b"\x82\x02hi";
const GOING_AWAY: &[u8] = b"\x88\x02\x03\xe9";
const NOT_ALLOWED: &[u8] = b"\x88\x02\x03\xf0";

async fn gateway(drain: &str) -> Gateway {
    let gateway = Gateway::start().with_server(drain).await;
    for area in ["/public", "/app"] {
        gateway
            .upstream
            .answer(&format!("{area}/socket"), Answer::Echo);
        gateway
            .upstream
            .answer(&format!("{area}/events"), Answer::Endless);
    }
    gateway
}

/// Sends a request and reads its answer's header.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

/// A connection on which one request was answered.
async fn kept(gateway: &Gateway) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head = ask(&mut stream, REQUEST).await;
    assert!(!head.contains("connection: close"), "{head}");
    let length = head.split("content-length: ").nth(1).unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    stream.read_exact(&mut vec![0; length]).await.unwrap();
    stream
}

/// A WebSocket on which a frame has come back.
async fn socket(gateway: &Gateway, target: &str, cookies: &str) -> TcpStream {
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookies}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    within(SOON, "a WebSocket opens", async || {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        let head = ask(&mut stream, request.as_bytes()).await;
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        let mut heard = [0; 4];
        let echoed = stream.write_all(FRAME).await.is_ok()
            && stream.read_exact(&mut heard).await.is_ok()
            && heard == *FRAME;
        echoed.then_some(stream)
    })
    .await
}

/// All that still comes.
async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    tokio::time::timeout(SOON, stream.read_to_end(&mut rest))
        .await
        .expect("it ends")
        .expect("without a reset");
    rest
}

async fn refuses(address: std::net::SocketAddr) {
    within(SOON, "nothing new is accepted", async || {
        TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_has_one_more_request_answered() {
    let mut gateway = gateway("drain = '60s'").await;
    let mut at_work = kept(&gateway).await;
    let idle = kept(&gateway).await;
    let silent = TcpStream::connect(gateway.address).await.unwrap();
    let (address, core) = (gateway.address, gateway.core());
    // Whoever was not let in yet when nothing is accepted any more is sent away by the system.
    within(SOON, "all of them are in", async || {
        (core.metrics.connections.get() == 3).then_some(())
    })
    .await;
    tokio::join!(gateway.stop(), async {
        refuses(address).await;
        assert!(core.condition.is_stopping());
        let head = ask(&mut at_work, REQUEST).await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        rest(at_work).await;
        // The others go as well, long before patience is over.
        assert_eq!(rest(idle).await, b"");
        assert_eq!(rest(silent).await, b"");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_is_taken_leave_of() {
    let mut gateway = gateway("drain = '1s'").await;
    let socket = socket(&gateway, "/public/socket", "").await;
    let mut events = TcpStream::connect(gateway.address).await.unwrap();
    let head = ask(
        &mut events,
        b"GET /public/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    let mut streams = Frames::connect(gateway.address).await;
    let request = crate::harness::frames::request("GET", "/public/events");
    streams.send(1, 5, 1, &request).await;
    assert!(streams.is_answered(1).await);
    let mut seen = gateway.upstream.open_streams();
    seen.wait_for(|open| *open == 3).await.unwrap();
    // Nothing is watched that lasts for less than a second.
    tokio::join!(gateway.stop(), async {
        assert_eq!(rest(socket).await, GOING_AWAY);
        let events = String::from_utf8(rest(events).await).unwrap();
        assert!(
            events.ends_with("data: hello\n\n\r\n0\r\n\r\n"),
            "{events:?}"
        );
        assert_eq!(streams.end().await, End::Goaway(0));
        streams.closed().await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_closes_its_websocket_with_a_reason() {
    let gateway = gateway("drain = '5s'").await;
    gateway.invite("ann@example.com", &[]);
    let ann = gateway.person_with_session("ann@example.com", "full");
    let socket = socket(&gateway, "/app/socket", &ann.cookie_header()).await;
    gateway.command(&["session", "revoke", "--all"]);
    assert_eq!(rest(socket).await, NOT_ALLOWED);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_delay_leaves_time_for_those_in_front_to_notice() {
    let mut gateway = gateway("drain = '5s'\ndrain_delay = '3s'").await;
    let (address, core) = (gateway.address, gateway.core());
    tokio::join!(gateway.is_told_to_end(), async {
        within(SOON, "it says so", async || {
            core.condition.is_stopping().then_some(())
        })
        .await;
        let mut stream = TcpStream::connect(address).await.expect("it still accepts");
        let head = ask(&mut stream, REQUEST).await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        refuses(address).await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_it_twice_is_obeyed_at_once() {
    let mut gateway = gateway("drain = '10m'").await;
    gateway.stop().await;
    let mut process = Process::serve(&gateway.config);
    let socket = socket(&gateway, "/public/socket", "").await;
    process.signal(Signal::TERM);
    refuses(process.address).await;
    assert!(process.runs());
    let since = Instant::now();
    process.signal(Signal::INT);
    assert_eq!(rest(socket).await, GOING_AWAY);
    process.ended().await;
    assert!(
        since.elapsed() < Duration::from_secs(60),
        "not after ten minutes"
    );
}
