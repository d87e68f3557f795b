//! A gateway on real connections, between a client that writes bytes and an upstream that records them.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Extension, Router, routing};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
};

use super::*;
use crate::{
    clock::{Clock, Timestamp},
    config,
    web::caller::Caller,
};

/// An upstream that takes one request per connection, keeps its bytes, and answers with fixed ones.
struct Upstream {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    reached: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Upstream {
    async fn answering(answer: &'static str) -> Self {
        Self::start(answer, false).await
    }

    /// Answers each request when `go_on` is notified.
    async fn held(answer: &'static str) -> Self {
        Self::start(answer, true).await
    }

    async fn start(answer: &'static str, held: bool) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            heard: Arc::default(),
            reached: Arc::default(),
            go_on: Arc::default(),
        };
        let (heard, reached, go_on) = (
            upstream.heard.clone(),
            upstream.reached.clone(),
            upstream.go_on.clone(),
        );
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let head = read_head(&mut stream).await;
                let upgraded = head.to_ascii_lowercase().contains("upgrade: websocket");
                heard.lock().unwrap().push(head);
                reached.notify_one();
                if held {
                    go_on.notified().await;
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
                if upgraded {
                    tokio::spawn(async move {
                        let mut bytes = [0; 4];
                        stream.read_exact(&mut bytes).await.unwrap();
                        stream.write_all(&bytes).await.unwrap();
                    });
                }
            }
        });
        upstream
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

struct Running {
    gateway: Gateway,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Running {
    async fn before(upstreams: &[SocketAddr]) -> Self {
        Self::with(upstreams, "").await
    }

    async fn with(upstreams: &[SocketAddr], more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let servers: Vec<String> = upstreams.iter().map(ToString::to_string).collect();
        let text = format!(
            r#"
            server.listen = ["127.0.0.1:0"]
            relying_party = {{ id = "localhost", origins = ["http://localhost:8080"] }}
            store.url = "sqlite:{}/gatehouse.db"
            {more}
            [[upstream]]
            name = "app"
            servers = {servers:?}
            [[route]]
            path = "/private/*"
            upstream = "app"
            [[route]]
            path = "/public/*"
            access = "public"
            upstream = "app"
            "#,
            folder.path().display(),
        );
        let loaded = config::parse(&text, Path::new("/gatehouse.toml"), &|_| None).unwrap();
        let clock = Clock::fixed(Timestamp::from_seconds(1_800_000_000));
        let core = Arc::new(Core::open(loaded.config, clock).await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = Gateway::start(core, pages(), vec![listener]).await.unwrap();
        Self {
            gateway,
            address,
            _folder: folder,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Everything that comes back on a connection of its own, to its end.
    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is as good as an end.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }
}

fn pages() -> Router {
    let page = "/.gatehouse/session";
    Router::new()
        .route(
            page,
            routing::get(|Extension(caller): Extension<Caller>| async move {
                format!(
                    "{} {} {}",
                    caller.host,
                    caller.client,
                    caller.visit.is_some()
                )
            })
            .post(|body: String| async move { body.len().to_string() }),
        )
        .route(
            "/.gatehouse/account",
            routing::get(|| async { panic!("a handler that fails") as String }),
        )
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: __Host-gatehouse=forged\r\n\
    Set-Cookie: a=1\r\nConnection: close\r\n\r\nok";

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: LocalHost:8080\r\nConnection: close\r\n{fields}\r\n")
}

#[tokio::test]
async fn a_public_route_is_forwarded_with_nothing_forged() {
    let upstream = Upstream::answering(OK).await;
    let gateway = Running::before(&[upstream.address]).await;
    let forged =
        "Remote_User: root\r\nX-Forwarded-For: 1.2.3.4\r\nCookie: __Host-gatehouse=x; b=2\r\n";
    let answer = gateway
        .ask(
            &get("http://localhost:8080/public/%7Ea?q=1", forged).replace("LocalHost", "localhost"),
        )
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"),
        "{answer}"
    );
    assert!(!answer.contains("forged") && answer.contains("a=1"));
    let heard = upstream.heard().remove(0);
    let lower = heard.to_ascii_lowercase();
    assert!(
        heard.starts_with("GET /public/~a?q=1 HTTP/1.1\r\n"),
        "{heard}"
    );
    for line in [
        "\r\nhost: localhost:8080\r\n",
        "x-forwarded-for: 127.0.0.1\r\n",
        "cookie: b=2\r\n",
        "x-request-id: ",
    ] {
        assert!(lower.contains(line), "{line:?} in {heard}");
    }
    for never in ["remote", "root", "1.2.3.4", "gatehouse"] {
        assert!(!lower.contains(never), "{never:?} in {heard}");
    }
}

#[tokio::test]
async fn a_visitor_is_sent_to_sign_in_or_told_to() {
    let gateway = Running::before(&["127.0.0.1:1".parse().unwrap()]).await;
    let answer = gateway
        .ask(&get("/private/x?y=1", "Accept: text/html\r\n"))
        .await;
    assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
    assert!(
        answer
            .to_ascii_lowercase()
            .contains("location: /.gatehouse/sign-in?return_to=/private/x%3fy%3d1\r\n")
    );
    let answer = gateway.ask(&get("/private/x", "")).await;
    assert!(
        answer.starts_with("HTTP/1.1 401 ") && answer.contains("\"error\":\"sign_in_required\""),
        "{answer}"
    );
    assert!(
        gateway
            .ask(&get("/elsewhere", ""))
            .await
            .starts_with("HTTP/1.1 404 ")
    );
}

#[tokio::test]
async fn what_cannot_be_read_in_one_way_reaches_nobody() {
    let upstream = Upstream::answering(OK).await;
    let gateway = Running::before(&[upstream.address]).await;
    for (request, status) in [
        (
            "GET /public/x HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
            400,
        ),
        (get("/public/%2e%2e%2fprivate", ""), 400),
        (get("public/x-without-a-slash", ""), 400),
        (get("http://evil.example/public/x", ""), 400),
        (
            "GET /public/x HTTP/1.1\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned(),
            400,
        ),
        (
            get(
                "/public/x",
                "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            ) + "0\r\n\r\n",
            400,
        ),
        (
            get("/public/x", "Transfer-Encoding: gzip, chunked\r\n") + "0\r\n\r\n",
            400,
        ),
        (
            get("/public/x", &format!("X: {}\r\n", "x".repeat(70_000))),
            431,
        ),
        (get("/public/x", "").replace("GET", "TRACE"), 405),
        (get("/public/x", "").replace("GET", "CONNECT"), 405),
    ] {
        let answer = gateway.ask(&request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request:.200}\n{answer}"
        );
    }
    assert!(upstream.heard().is_empty());
}

#[tokio::test]
async fn own_pages_answer_on_a_connection_that_stays() {
    let gateway = Running::before(&["127.0.0.1:1".parse().unwrap()]).await;
    let requests = "GET /.gatehouse/session HTTP/1.1\r\nHost: localhost\r\n\r\n\
        HEAD /.gatehouse/session HTTP/1.1\r\nHost: localhost\r\n\r\n\
        POST /.gatehouse/session HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello\
        GET /.gatehouse/account HTTP/1.1\r\nHost: localhost\r\n\r\n\
        GET /.gatehouse/session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = gateway.ask(requests).await;
    let statuses: Vec<&str> = answer
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| answer.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        statuses,
        ["200", "200", "100", "200", "500", "200"],
        "{answer}"
    );
    assert_eq!(answer.matches("localhost 127.0.0.1 false").count(), 2);
    assert!(answer.contains("\r\n\r\n5HTTP/1.1 500"));
}

#[tokio::test]
async fn an_own_page_takes_a_form_and_no_upload() {
    let gateway = Running::before(&["127.0.0.1:1".parse().unwrap()]).await;
    for (length, status) in [(64 * 1024, 200), (64 * 1024 + 1, 413)] {
        let head = "POST /.gatehouse/session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        let sized = format!(
            "{head}Content-Length: {length}\r\n\r\n{}",
            "x".repeat(length)
        );
        assert!(
            gateway
                .ask(&sized)
                .await
                .starts_with(&format!("HTTP/1.1 {status} ")),
            "{length} sized"
        );
        let chunked = format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{}\r\n0\r\n\r\n",
            "x".repeat(length)
        );
        assert!(
            gateway
                .ask(&chunked)
                .await
                .starts_with(&format!("HTTP/1.1 {status} ")),
            "{length} chunked"
        );
    }
}

#[tokio::test]
async fn the_next_server_is_tried_and_none_is_a_page() {
    let gone: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let upstream = Upstream::answering(OK).await;
    let gateway = Running::before(&[gone, upstream.address]).await;
    for _ in 0..2 {
        let post = "POST /public/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert!(gateway.ask(post).await.starts_with("HTTP/1.1 200 "));
    }
    let gateway = Running::before(&[gone]).await;
    let answer = gateway
        .ask(&get("/public/x", "Accept: text/html\r\n"))
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 502 ") && answer.contains("This application is not available"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_websocket_passes_both_ways() {
    let upstream = Upstream::answering(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    )
    .await;
    let gateway = Running::before(&[upstream.address]).await;
    let mut stream = gateway.connect().await;
    let request = "GET /public/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream.write_all(b"ping").await.unwrap();
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"ping");
}

#[tokio::test]
async fn http_2_by_prior_knowledge_reaches_pages_and_upstreams() {
    let upstream = Upstream::answering(OK).await;
    let gateway = Running::before(&[upstream.address]).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let answer = client
        .get(format!("http://{}/.gatehouse/session", gateway.address))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(answer.text().await.unwrap(), "127.0.0.1 127.0.0.1 false");
    let answer = client
        .post(format!("http://{}/public/x", gateway.address))
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
    let heard = upstream.heard().remove(0).to_ascii_lowercase();
    assert!(heard.contains("cookie: a=1; b=2\r\n"), "{heard}");
    assert!(
        heard.contains(&format!("host: {}\r\n", gateway.address)),
        "{heard}"
    );
}

#[tokio::test]
async fn stopping_waits_for_the_last_request_and_no_longer() {
    let upstream = Upstream::held(OK).await;
    let gateway = Running::before(&[upstream.address]).await;
    let mut idle = gateway.connect().await;
    idle.write_all(b"GET /.gatehouse/session HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    read_head(&mut idle).await;
    let silent = gateway.connect().await;
    let mut busy = gateway.connect().await;
    busy.write_all(get("/public/x", "").as_bytes())
        .await
        .unwrap();
    upstream.reached.notified().await;

    let address = gateway.address;
    let stopped = tokio::spawn(
        gateway
            .gateway
            .stop(Duration::from_secs(600), std::future::pending()),
    );
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopped.is_finished());
    upstream.go_on.notify_one();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    stopped.await.unwrap();
    drop((idle, silent));
}

#[tokio::test]
async fn what_outlasts_the_patience_is_cut() {
    let upstream = Upstream::held(OK).await;
    let gateway = Running::before(&[upstream.address]).await;
    let mut busy = gateway.connect().await;
    busy.write_all(get("/public/x", "").as_bytes())
        .await
        .unwrap();
    upstream.reached.notified().await;
    gateway
        .gateway
        .stop(Duration::ZERO, std::future::pending())
        .await;
    let mut answer = String::new();
    let _ = busy.read_to_string(&mut answer).await;
    assert_eq!(answer, "");
}

#[tokio::test]
async fn tls_listeners_speak_http_2_and_http_1() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = format!("server.tls = [{{ cert = {cert:?}, key = {key:?} }}]");
    let gateway = Running::with(&["127.0.0.1:1".parse().unwrap()], &tls).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (only_http_1, version) in [
        (false, http::Version::HTTP_2),
        (true, http::Version::HTTP_11),
    ] {
        let authority = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
        let builder = reqwest::Client::builder().tls_certs_only([authority]);
        let client = if only_http_1 {
            builder.http1_only()
        } else {
            builder
        }
        .build()
        .unwrap();
        let url = format!(
            "https://localhost:{}/.gatehouse/session",
            gateway.address.port()
        );
        let answer = client.get(url).send().await.unwrap();
        assert_eq!(answer.version(), version);
        assert!(answer.text().await.unwrap().starts_with("localhost "));
    }
}
