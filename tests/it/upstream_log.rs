//! What an operator reads of upstreams that fail: once, with the upstream, the server and the cause.

use std::sync::mpsc::Receiver;

use reqwest::Method;
use serde_json::Value as Json;

use crate::harness::{
    Gateway,
    authority::Authority,
    process::Process,
    script::{Act, Scripted},
    tls_server::TlsServer,
    upstream::{Answer, Upstream},
    waiting::{SOON, within},
};

const PUBLIC: &str = "path = '/*'\naccess = 'public'";

/// The lines up to and with the access log's of the next request.
fn lines_of_a_request(log: &Receiver<Json>) -> Vec<Json> {
    let mut lines = Vec::new();
    loop {
        let line = tokio::task::block_in_place(|| log.recv_timeout(SOON)).expect("a line");
        let done = line["target"] == "access";
        if done
            || line["message"]
                .as_str()
                .is_some_and(|text| text.contains("upstream") || text.contains("server"))
        {
            lines.push(line);
        }
        if done {
            return lines;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_is_one_line_that_names_the_server_and_the_cause() {
    let [one, other] = [
        Scripted::start(&[Act::Close]).await,
        Scripted::start(&[Act::Answer, Act::Close]).await,
    ];
    let mut gateway = Gateway::start()
        .with_route(PUBLIC)
        .before(one.address)
        .before(other.address)
        .await;
    gateway.stop().await;
    let (_process, log) = Process::serve_and_log(&gateway.config, &[]);
    let person = gateway.person();

    assert_eq!(person.open("/x?secret=1").await.status, 200);
    let lines = lines_of_a_request(&log);
    let [again, access] = &lines[..] else {
        panic!("{lines:#?}");
    };
    assert_eq!(again["message"], "trying again upstream");
    assert_eq!(again["level"], "WARN");
    assert_eq!(again["upstream"], "app");
    assert_eq!(again["server"], one.address.to_string());
    assert_eq!(again["cause"], "ConnectionClosed");
    assert_eq!(again["request_id"], access["request_id"]);
    assert_eq!(access["server"], other.address.to_string());
    assert_eq!(access["status"], 200);

    // The first server's turn, then the second's.
    assert_eq!(person.open("/x").await.status, 200);
    lines_of_a_request(&log);
    let post = person.request(Method::POST, "/x?secret=1").body("secret");
    assert_eq!(person.send(post).await.status, 502);
    let lines = lines_of_a_request(&log);
    let [failed, access] = &lines[..] else {
        panic!("{lines:#?}");
    };
    assert_eq!(failed["message"], "an upstream failed a request");
    assert_eq!(failed["server"], other.address.to_string());
    assert_eq!(failed["cause"], "ConnectionClosed");
    assert!(failed["after_ms"].is_u64());
    assert_eq!(access["status"], 502);
    assert!(!format!("{lines:?}").contains("secret"), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_trusted_is_explained_and_the_systems_authorities_are_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let server = TlsServer::start(&authority.issue("localhost"), None).await;
    let mut gateway = Gateway::start()
        .with_route(PUBLIC)
        .before_server(&format!("localhost:{}", server.address.port()))
        .with_upstream("tls = {}")
        .await;
    gateway.stop().await;
    {
        let (_process, log) = Process::serve_and_log(&gateway.config, &[]);
        assert_eq!(gateway.person().open("/x").await.status, 502);
        let lines = lines_of_a_request(&log);
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert_eq!(lines[0]["cause"], "TLSHandshakeFailure");
        let detail = lines[0]["detail"].as_str().unwrap();
        assert!(
            detail.contains("UnknownIssuer") && detail.contains("localhost"),
            "{detail}"
        );
    }
    let environment = [("SSL_CERT_FILE", authority.file.as_path())];
    let (_process, _log) = Process::serve_and_log(&gateway.config, &environment);
    assert_eq!(gateway.person().open("/x").await.text(), "trusted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_health_is_one_line() {
    let server = Upstream::start().await;
    let answer = |status: &str| {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        server.answer("/healthz", Answer::Raw(head.into_bytes()));
    };
    answer("500 Oh");
    let mut gateway = Gateway::start()
        .with_route(PUBLIC)
        .before(server.address)
        .with_upstream(
            "health = { path = '/healthz', interval = '1s', unhealthy_after = 1, healthy_after = 1 }",
        )
        .await;
    gateway.stop().await;
    let (_process, log) = Process::serve_and_log(&gateway.config, &[]);
    let next = || loop {
        let line = tokio::task::block_in_place(|| log.recv_timeout(SOON)).expect("a line");
        let text = line["message"].as_str().unwrap_or_default();
        if text.starts_with("a server is") {
            return line;
        }
    };
    let down = next();
    assert_eq!(down["message"], "a server is down");
    assert_eq!(down["upstream"], "app");
    assert_eq!(down["server"], server.address.to_string());
    assert_eq!(down["status"], 500);
    // Two more checks that say the same.
    let checks = || server.targets().len();
    let before = checks();
    within(SOON, "it is asked again", || async {
        (checks() > before + 1).then_some(())
    })
    .await;
    answer("200 OK");
    assert_eq!(next()["message"], "a server is up again");
}
