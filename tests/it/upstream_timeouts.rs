//! Apps that take too long: to take a request, to begin an answer, to end one.

use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{
    Gateway,
    app::App,
    script::{Act, Scripted},
    upstream::{Answer, Upstream},
    waiting::{SOON, within},
};

const PUBLIC: &str = "path = '/*'\naccess = 'public'";

const HANDSHAKE: &str = "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_answer_when_the_whole_time_is_over_gets_a_page() {
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .with_upstream("total_timeout = '1s'\nread_timeout = '1h'")
        .await;
    gateway.upstream.answer("/x", Answer::Silence);
    let start = Instant::now();
    let reply = gateway.person().open("/x").await;
    assert_eq!(reply.status, 504);
    assert!(reply.text().contains("This application takes too long"));
    assert!(reply.text().contains(reply.header("x-request-id")));
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(gateway.person().open("/y").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_goes_on_is_cut_when_the_whole_time_is_over() {
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .with_upstream("total_timeout = '1s'")
        .await;
    gateway.upstream.answer("/x", Answer::Endless);
    assert!(cut_after(&gateway, "/x").await >= Duration::from_secs(1));
    let open = gateway.upstream.open_streams();
    within(SOON, "the app learns of it", || async {
        (*open.borrow() == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_outlives_the_time_for_exchanges() {
    let mut app = App::start("websocket_echo.py", &[]);
    let slow = Upstream::start().await;
    slow.answer("/slow", Answer::Endless);
    let other = format!(
        "[[upstream]]\nname = 'slow'\nservers = ['{}']\ntotal_timeout = '1s'\n\
         [[route]]\npath = '/slow'\naccess = 'public'\nupstream = 'slow'",
        slow.address
    );
    let limits = "total_timeout = '1s'\nread_timeout = '1s'\nwrite_timeout = '1s'";
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .before(app.address())
        .with_upstream(&format!("{limits}\n{other}"))
        .await;
    let mut socket = TcpStream::connect(gateway.address).await.unwrap();
    socket.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));

    // An exchange with the same limit begins later and is cut by it.
    assert!(cut_after(&gateway, "/slow").await >= Duration::from_secs(1));

    // A text frame, masked with zeros (RFC 6455 §5.2).
    socket.write_all(b"\x81\x84\0\0\0\0ping").await.unwrap();
    let mut answer = [0; 8];
    let read = tokio::time::timeout(SOON, socket.read_exact(&mut answer)).await;
    read.expect("it is answered").unwrap();
    assert_eq!(&answer, b"\x81\x06nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_does_not_take_a_body_is_given_up() {
    let deaf = Scripted::start(&[Act::Deaf]).await;
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .before(deaf.address)
        .with_upstream("write_timeout = '1s'\nread_timeout = '1s'")
        .await;
    let person = gateway.person();
    // More than the buffers between the two hold.
    let upload = person
        .request(Method::POST, "/x")
        .body(vec![b'x'; 64 * 1024 * 1024]);
    assert_eq!(person.send(upload).await.status, 504);
}

/// Reads an answer that has no end until its connection is closed; how long that took.
async fn cut_after(gateway: &Gateway, target: &str) -> Duration {
    let start = Instant::now();
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
    closed.expect("it is cut").unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("data: hello"),
        "{answer}"
    );
    assert!(!answer.ends_with("0\r\n\r\n"), "it looks whole: {answer}");
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_never_opens_a_websocket_is_given_up() {
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .with_upstream("connect_timeout = '1s'\nread_timeout = '1s'")
        .await;
    gateway.upstream.answer("/echo", Answer::Silence);
    let mut socket = TcpStream::connect(gateway.address).await.unwrap();
    socket.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let closed = tokio::time::timeout(SOON, socket.read_to_end(&mut Vec::new())).await;
    closed.expect("it is closed").unwrap();
    assert_eq!(gateway.upstream.targets(), ["/echo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_after_its_time() {
    let server = Scripted::start(&[]).await;
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .before(server.address)
        .with_upstream("idle_timeout = '1s'")
        .await;
    let person = gateway.person();
    assert_eq!(person.open("/x").await.status, 200);
    assert_eq!(person.open("/x").await.status, 200);
    assert_eq!((server.connections(), server.open()), (1, 1), "it is kept");
    within(SOON, "it is closed", || async {
        (server.open() == 0).then_some(())
    })
    .await;
    assert_eq!(person.open("/x").await.status, 200);
    assert_eq!(server.connections(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_idle_connections_are_kept_than_allowed() {
    let server = Scripted::start(&[Act::Meet, Act::Meet]).await;
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .before(server.address)
        .with_upstream("max_idle = 1")
        .await;
    let (one, other) = (gateway.person(), gateway.person());
    let (first, second) = tokio::join!(one.open("/x"), other.open("/x"));
    assert_eq!([first.status, second.status], [200, 200]);
    assert_eq!(server.connections(), 2);
    within(SOON, "one of the two is closed", || async {
        (server.open() == 1).then_some(())
    })
    .await;
    assert_eq!(one.open("/x").await.status, 200);
    assert_eq!(server.connections(), 2, "the other one is used");
}
