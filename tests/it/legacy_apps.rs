//! Apps that nobody here wrote, unmodified: httpbin and a WebSocket echo.

use reqwest::Method;
use serde_json::Value as Json;

use crate::harness::{Gateway, Person, app::App};

const ANN: &str = "ann@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn httpbin_sees_the_person_and_no_secrets() {
    let (_app, gateway, ann) = before_httpbin().await;
    let request = ann
        .request(Method::GET, "/headers")
        .header("Remote-User", "root")
        .header("X-Own", "kept");
    let headers = ann.send(request).await.json()["headers"].clone();
    assert_eq!(headers["Remote-User"], ANN);
    assert_eq!(headers["X-Own"], "kept");
    assert_eq!(
        headers["Host"],
        gateway.origin.trim_start_matches("http://")
    );
    assert!(headers["Cookie"].is_null(), "{headers}");
    assert!(
        gateway
            .person()
            .open("/headers")
            .await
            .leads_to("/.gatehouse/sign-in")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn httpbins_redirects_stay_on_this_origin() {
    let (_app, gateway, ann) = before_httpbin().await;
    let reply = ann.open("/redirect-to?url=%2Fget&status_code=307").await;
    assert_eq!(
        (reply.status.as_u16(), reply.location().as_str()),
        (307, "/get")
    );
    let reply = ann.open("/absolute-redirect/1").await;
    assert!(
        reply.header("location").starts_with(&gateway.origin),
        "{}",
        reply.header("location")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn httpbins_statuses_and_cookies_come_through() {
    let (_app, _gateway, ann) = before_httpbin().await;
    for status in [200, 204, 304, 404, 418, 500, 503] {
        assert_eq!(ann.open(&format!("/status/{status}")).await.status, status);
    }
    let reply = ann.open("/cookies/set?flavour=oat").await;
    assert!(reply.header("set-cookie").starts_with("flavour=oat"));
    let cookies = ann.fetch(Method::GET, "/cookies").await.json();
    assert_eq!(cookies["cookies"], serde_json::json!({"flavour": "oat"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn httpbins_chunked_answers_come_whole() {
    let (_app, _gateway, ann) = before_httpbin().await;
    let stream = ann.open("/stream/20").await;
    let lines: Vec<Json> = stream
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 20);
    assert_eq!(
        ann.open("/stream-bytes/100000?chunk_size=777&seed=1")
            .await
            .body
            .len(),
        100_000
    );
    assert_eq!(
        ann.open("/drip?numbytes=5&duration=0&delay=0").await.body,
        b"*****"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn httpbins_compressed_answers_are_passed_on_as_they_are() {
    let (_app, _gateway, ann) = before_httpbin().await;
    for (path, encoding, magic) in [
        ("/gzip", "gzip", vec![0x1f, 0x8b]),
        ("/deflate", "deflate", vec![0x78]),
    ] {
        let reply = ann.open(path).await;
        assert_eq!(reply.header("content-encoding"), encoding);
        assert!(reply.body.starts_with(&magic), "{path}");
        assert_eq!(reply.header("content-length"), reply.body.len().to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_reach_httpbin_and_come_back() {
    let (_app, _gateway, ann) = before_httpbin().await;
    let body = "0123456789abcdef".repeat(512 * 1024);
    let request = ann
        .request(Method::POST, "/post")
        .header("Content-Type", "text/plain")
        .body(body.clone());
    let echoed = ann.send(request).await.json();
    assert!(
        echoed["data"].as_str() == Some(&body),
        "8 MiB came back changed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn httpbin_hears_every_method_and_range() {
    let (_app, _gateway, ann) = before_httpbin().await;
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let path = format!("/{}", method.as_str().to_ascii_lowercase());
        assert_eq!(ann.fetch(method, &path).await.status, 200, "{path}");
    }
    let head = ann.send(ann.request(Method::HEAD, "/get")).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    let range = ann
        .request(Method::GET, "/range/1024")
        .header("Range", "bytes=10-19");
    let part = ann.send(range).await;
    assert_eq!((part.status.as_u16(), part.body.len()), (206, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_carries_messages_both_ways_and_the_person_is_known() {
    let (_app, gateway, ann) = before_echo().await;
    let mut client = websocket(&gateway, &ann.cookie_header(), &["who", "hello", "world"]);
    assert_eq!(client.line().as_deref(), Some(ANN));
    assert_eq!(client.line().as_deref(), Some("hello"));
    assert_eq!(client.line().as_deref(), Some("world"));
    assert_eq!(client.line().as_deref(), Some("open"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_without_a_session_is_refused_before_it_opens() {
    let (_app, gateway, _ann) = before_echo().await;
    let mut client = websocket(&gateway, "", &["who"]);
    assert_eq!(client.line().as_deref(), Some("refused 401"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_a_session_closes_its_websocket() {
    let (_app, gateway, ann) = before_echo().await;
    let mut client = websocket(&gateway, &ann.cookie_header(), &["who"]);
    client.line();
    assert_eq!(client.line().as_deref(), Some("open"));
    let start = std::time::Instant::now();
    gateway.command(&["session", "revoke", "--account", ANN]);
    assert_eq!(client.line().as_deref(), Some("closed"));
    assert!(start.elapsed().as_secs() < 4, "{:?}", start.elapsed());
}

async fn before_httpbin() -> (App, Gateway, Person) {
    before("legacy_httpbin.py").await
}

async fn before_echo() -> (App, Gateway, Person) {
    before("websocket_echo.py").await
}

async fn before(script: &str) -> (App, Gateway, Person) {
    let mut app = App::start(script, &[]);
    let gateway = Gateway::start()
        .before(app.address())
        .with_route("path = '/*'")
        .await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "full");
    (app, gateway, ann)
}

fn websocket(gateway: &Gateway, cookie: &str, messages: &[&str]) -> App {
    let url = format!("{}/echo", gateway.origin.replacen("http", "ws", 1));
    let arguments = [&[url.as_str(), &gateway.origin, cookie], messages].concat();
    App::start("websocket_client.py", &arguments)
}
