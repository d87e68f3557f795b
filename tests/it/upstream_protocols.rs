//! Servers that speak HTTP/2, with TLS and without, and servers behind sockets.

use std::net::TcpListener;

use reqwest::Method;

use crate::harness::{
    Gateway,
    app::App,
    authority::Authority,
    nginx::{self, Nginx},
    person::Protocol,
    waiting::{SOON, within},
};

const PUBLIC: &str = "path = '/*'\naccess = 'public'";

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_of_clients_reach_an_http_2_server_without_tls() {
    let server = Nginx::answering("http2", "");
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .before(server.address)
        .with_upstream("protocol = 'h2'")
        .await;
    let mut answers = Vec::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let person = gateway.person_over(protocol);
        let reply = person.open("/x?q=1").await;
        assert!(
            reply.text().starts_with("HTTP/2.0 sni= host=localhost"),
            "{}",
            reply.text()
        );
        answers.push(reply.text());
        let upload = person.request(Method::POST, "/x").body("x".repeat(300_000));
        assert_eq!(person.send(upload).await.status, 200, "{protocol:?}");
        let head = person.request(Method::HEAD, "/x");
        assert_eq!(person.send(head).await.status, 200, "{protocol:?}");
    }
    assert_eq!(answers[0], answers[1], "they share one connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_http_2_is_agreed_by_alpn() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let issued = authority.issue("app.internal");
    let server = Nginx::answering("ssl http2", &nginx::tls(&issued.certificate, &issued.key));
    let tls = format!(
        "tls = {{ ca = '{}', server_name = 'app.internal' }}",
        authority.file.display()
    );
    // The same server by HTTP/1.1 as well: connections of the two must not mix.
    let old = format!(
        "[[upstream]]\nname = 'old'\nservers = ['{}']\n{tls}\n\
         [[route]]\npath = '/old/*'\naccess = 'public'\nupstream = 'old'",
        server.address
    );
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .before(server.address)
        .with_upstream(&format!("protocol = 'h2'\n{tls}\n{old}"))
        .await;
    let person = gateway.person();
    for _ in 0..2 {
        for (path, version) in [("/x", "HTTP/2.0"), ("/old/x", "HTTP/1.1")] {
            let reply = person.open(path).await;
            let expected = format!("{version} sni=app.internal");
            assert!(reply.text().starts_with(&expected), "{}", reply.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_asks_an_http_2_server_in_its_own_tongue() {
    let well = Nginx::answering("http2", "");
    let unwell = Nginx::answering("http2", "location = /healthz { return 500; }");
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .before(well.address)
        .before(unwell.address)
        .with_upstream(
            "protocol = 'h2'\nhealth = { path = '/healthz', interval = '1s', unhealthy_after = 2 }",
        )
        .await;
    let up = well.address.to_string();
    within(SOON, "only one is well", || async {
        (gateway.servers_up() == [up.clone()]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_speak_http_2_is_an_app_that_is_down() {
    // Without TLS it takes the preface for a request; with it nothing is agreed.
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .with_upstream("protocol = 'h2'")
        .await;
    assert_eq!(gateway.person().open("/x").await.status, 502);

    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let issued = authority.issue("app.internal");
    let server = Nginx::answering("ssl", &nginx::tls(&issued.certificate, &issued.key));
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .before(server.address)
        .with_upstream(&format!(
            "protocol = 'h2'\ntls = {{ ca = '{}', server_name = 'app.internal' }}",
            authority.file.display()
        ))
        .await;
    assert_eq!(gateway.person().open("/x").await.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_server_that_was_started_again_is_used_again() {
    let server = Nginx::answering("http2", "");
    let address = server.address;
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .before(address)
        .with_upstream("protocol = 'h2'")
        .await;
    let person = gateway.person();
    assert_eq!(person.open("/x").await.status, 200);
    drop(server);
    assert_eq!(person.open("/x").await.status, 502);
    let _server = Nginx::answering_on(TcpListener::bind(address).unwrap(), "http2", "");
    assert_eq!(person.open("/x").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_to_an_http_2_server_is_refused_in_plain_words() {
    let gateway = Gateway::start()
        .with_route("path = '/*'\naccess = 'public'")
        .with_upstream("protocol = 'h2'")
        .await;
    let url = format!("{}/echo", gateway.origin.replacen("http", "ws", 1));
    let mut client = App::start("websocket_client.py", &[&url, &gateway.origin, "", "hello"]);
    assert_eq!(client.line().as_deref(), Some("refused 501"));
    assert!(gateway.upstream.targets().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_behind_a_socket_is_reached_over_kept_connections() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let socket = format!("unix:{}", path.display());
    let _server = Nginx::answering("", &format!("listen {socket};"));
    within(SOON, "nginx has its socket", || async {
        tokio::net::UnixStream::connect(&path).await.ok()
    })
    .await;
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .before_server(&socket)
        .with_upstream("health = { path = '/', interval = '1s', unhealthy_after = 1 }")
        .await;
    let person = gateway.person();
    let first = person.open("/x").await;
    assert!(first.text().starts_with("HTTP/1.1"), "{}", first.text());
    assert_eq!(
        person.open("/x").await.text(),
        first.text(),
        "one connection"
    );
    let upload = person.request(Method::POST, "/x").body("x".repeat(300_000));
    assert_eq!(person.send(upload).await.status, 200);
    assert_eq!(gateway.servers_up(), [socket]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_not_there_is_an_app_that_is_down() {
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .before_server("unix:nobody.sock")
        .await;
    assert_eq!(gateway.person().open("/x").await.status, 502);
}
