//! What clients are held to, and that those who keep to it are served meanwhile.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{
    Gateway, raw,
    upstream::Answer,
    waiting::{SOON, within},
};

const GET: &str = "GET /public/page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A connection that sent this.
async fn sent(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may be closed already, which the reading shows.
    drop(stream.write_all(text.as_bytes()).await);
    stream
}

/// All that comes before the gateway closes the connection, which it has to.
async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut answer)).await;
    // A reset is as good as a close.
    drop(read.expect("the connection is closed"));
    String::from_utf8_lossy(&answer).into_owned()
}

async fn status(address: SocketAddr) -> Option<u16> {
    let answer = rest(sent(address, GET).await).await;
    answer.get(9..12)?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_closed_until_another_ends() {
    let gateway = Gateway::start()
        .with(
            "server.limits",
            "connections = 2\nconnections_per_network = 2",
        )
        .await;
    // Answered once, so that both are known to be in.
    let mut open = Vec::new();
    for _ in 0..2 {
        let keep = GET.replace("Connection: close\r\n", "");
        let mut stream = sent(gateway.address, &keep).await;
        stream.read_exact(&mut [0; 12]).await.unwrap();
        open.push(stream);
    }
    assert_eq!(rest(sent(gateway.address, GET).await).await, "");
    open.pop();
    within(SOON, "there is a place again", || async {
        status(gateway.address)
            .await
            .filter(|status| *status == 200)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_takes_no_more_than_its_own_places() {
    let gateway = Gateway::start()
        .with_server("proxy_protocol = ['127.0.0.1']")
        .with("server.limits", "connections_per_network = 1")
        .await;
    let from = |client: &str, text: &str| format!("PROXY TCP4 {client} 10.0.0.1 1 2\r\n{text}");
    let keep = GET.replace("Connection: close\r\n", "");
    let mut open = sent(gateway.address, &from("203.0.113.1", &keep)).await;
    open.read_exact(&mut [0; 12]).await.unwrap();
    let neighbour = from("203.0.113.2", GET);
    assert_eq!(rest(sent(gateway.address, &neighbour).await).await, "");
    let elsewhere = from("203.0.114.1", GET);
    let answer = rest(sent(gateway.address, &elsewhere).await).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(open);
    within(SOON, "the neighbour has a place", || async {
        let answer = rest(sent(gateway.address, &neighbour).await).await;
        answer.starts_with("HTTP/1.1 200 ").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_has_all_the_connections_of_its_clients() {
    let gateway = Gateway::start()
        .with_server("trusted_proxies = ['127.0.0.1']")
        .with("server.limits", "connections_per_network = 1")
        .await;
    let keep = GET.replace("Connection: close\r\n", "");
    let mut open = sent(gateway.address, &keep).await;
    open.read_exact(&mut [0; 12]).await.unwrap();
    assert_eq!(status(gateway.address).await, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_too_many_is_asked_to_come_again() {
    let gateway = Gateway::start()
        .with("server.limits", "in_flight = 1")
        .await;
    gateway.upstream.answer("/public/slow", Answer::Silence);
    let slow = sent(gateway.address, &GET.replace("page", "slow")).await;
    within(SOON, "the slow request is under way", || async {
        (!gateway.upstream.targets().is_empty()).then_some(())
    })
    .await;
    for path in ["/public/page", "/.gatehouse/sign-in"] {
        let answer = raw::get(gateway.address, path, &["Accept: text/html"]).await;
        assert_eq!(answer.status(), 503);
        let lower = answer.0.to_lowercase();
        assert!(lower.contains("\r\nretry-after: 2\r\n"), "{lower}");
        assert!(
            lower.contains("<h1>too many requests at once</h1>"),
            "{lower}"
        );
    }
    drop(slow);
    within(SOON, "the place is free", || async {
        status(gateway.address)
            .await
            .filter(|status| *status == 200)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_no_request_in_flight() {
    let gateway = Gateway::start()
        .with("server.limits", "in_flight = 1")
        .await;
    let switching =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let endless = gateway.upstream.open_streams();
    gateway
        .upstream
        .answer("/public/ws", Answer::Raw(switching.into()));
    let request = "GET /public/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let mut socket = sent(gateway.address, request).await;
    let mut head = [0; 12];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    assert_eq!(status(gateway.address).await, Some(200));
    drop(endless);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_closes_after_its_requests() {
    let gateway = Gateway::start()
        .with("server.limits", "requests_per_connection = 3")
        .await;
    let one = GET.replace("Connection: close\r\n", "");
    let answers = rest(sent(gateway.address, &one.repeat(5)).await).await;
    let count = answers.matches("HTTP/1.1 200 ").count();
    assert_eq!(count, 3, "{answers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_has_a_size_and_a_time() {
    let limits = "header_timeout = '1s'\nheader_bytes = '8KiB'\nheader_fields = 20";
    let gateway = Gateway::start().with("server.limits", limits).await;
    for (lines, status) in [
        (vec![format!("X: {}", "x".repeat(7000))], 200),
        (vec![format!("X: {}", "x".repeat(9000))], 431),
        (vec!["X: y".to_owned(); 10], 200),
        (vec!["X: y".to_owned(); 30], 431),
    ] {
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let answer = raw::get(gateway.address, "/public/page", &lines).await;
        assert_eq!(answer.status(), status, "{:.80}", answer.0);
    }
    // Begun and never ended, a byte now and then.
    let mut slow = sent(gateway.address, "GET /public/page HTTP/1.1\r\nHost: loc").await;
    let (mut reader, mut writer) = slow.split();
    let drip = async {
        let mut beat = tokio::time::interval(Duration::from_millis(100));
        while writer.write_all(b"x").await.is_ok() {
            beat.tick().await;
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        read = timeout(SOON, reader.read_to_end(&mut answer)) => drop(read.expect("it is closed")),
        () = drip => {}
    }
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
    assert_eq!(status(gateway.address).await, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_without_end_is_cut_long_before_it_fills_the_memory() {
    let gateway = Gateway::start().await;
    let mut stream = sent(
        gateway.address,
        "GET /public/page HTTP/1.1\r\nHost: localhost\r\n",
    )
    .await;
    let line = format!("X: {}\r\n", "x".repeat(1000));
    let mut taken = 0;
    while taken < 50_000_000 && stream.write_all(line.as_bytes()).await.is_ok() {
        taken += line.len();
    }
    // Most of it is in the buffers of the system, whose size is its own choice.
    assert!(taken < 50_000_000, "{taken} bytes were taken");
    assert_eq!(status(gateway.address).await, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_one_connection_are_counted_one_by_one() {
    let gateway = Gateway::start()
        .with("server.limits", "header_bytes = '8KiB'")
        .await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let page = "/.gatehouse/sign-out";
    let request = format!(
        "HEAD {page} HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(7000)
    );
    // Together far more than the header of one may have.
    for _ in 0..60 {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(SOON, stream.read_u8()).await.unwrap();
            head.push(byte.expect("the connection stays"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_coming_is_given_up() {
    let gateway = Gateway::start()
        .with("server.limits", "stall_timeout = '1s'\nin_flight = 1")
        .await;
    for path in ["/public/upload", "/.gatehouse/sign-in/email"] {
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\na=b");
        let answer = rest(sent(gateway.address, &request).await).await;
        assert!(!answer.contains(" 200 "), "{path}: {answer}");
        within(SOON, "its place is free", || async {
            status(gateway.address)
                .await
                .filter(|status| *status == 200)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_will_send_no_more_is_answered_or_let_go() {
    let gateway = Gateway::start().await;
    for (text, may_be_served) in [
        (GET.replace("/public/page", "/.gatehouse/sign-in"), true),
        (GET.to_owned(), true),
        ("GET /public/page HTTP/1.1\r\nHost: lo".to_owned(), false),
        (
            "POST /public/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab".to_owned(),
            false,
        ),
        (String::new(), false),
    ] {
        let mut stream = sent(gateway.address, &text).await;
        stream.shutdown().await.unwrap();
        let answer = rest(stream).await;
        let served = answer.starts_with("HTTP/1.1 200 ");
        assert!(may_be_served || !served, "{text}: {answer}");
    }
    assert_eq!(status(gateway.address).await, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_has_a_time() {
    let gateway = Gateway::start()
        .with_tls()
        .with("server.limits", "handshake_timeout = '1s'")
        .await;
    // The first half of the head of a ClientHello, and nothing.
    for bytes in ["\u{16}\u{3}\u{1}", ""] {
        assert_eq!(rest(sent(gateway.address, bytes).await).await, "");
    }
    assert_eq!(gateway.person().open("/public/page").await.status, 200);
}
