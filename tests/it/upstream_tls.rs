//! Servers of apps behind TLS: who is trusted, by which name, and what the gateway shows of itself.

use std::path::Path;

use crate::harness::{
    Gateway,
    authority::{Authority, Issued},
    gateway::Setup,
    nginx::{self, Nginx},
    tls_server::TlsServer,
    waiting::{SOON, within},
};

const PUBLIC: &str = "path = '/*'\naccess = 'public'";

fn before(server: &str, tls: &str) -> Setup {
    Gateway::start()
        .with_route(PUBLIC)
        .before_server(server)
        .with_upstream(&format!("tls = {tls}"))
}

fn trusting(authority: &Path, name: &str) -> String {
    format!(
        "{{ ca = '{}', server_name = '{name}' }}",
        authority.display()
    )
}

fn showing(authority: &Path, name: &str, shown: &Issued) -> String {
    format!(
        "{{ ca = '{}', server_name = '{name}', client_cert = '{}', client_key = '{}' }}",
        authority.display(),
        shown.certificate.display(),
        shown.key.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_nginx_is_asked_by_its_name_over_kept_connections() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let issued = authority.issue("app.internal");
    let server = Nginx::answering("ssl", &nginx::tls(&issued.certificate, &issued.key));
    let tls = trusting(&authority.file, "app.internal");
    let gateway = before(&server.address.to_string(), &tls).await;
    let person = gateway.person();
    let first = person.open("/x").await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert!(
        first
            .text()
            .contains("HTTP/1.1 sni=app.internal host=localhost"),
        "{}",
        first.text()
    );
    assert_eq!(
        person.open("/x").await.text(),
        first.text(),
        "one connection"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_is_the_servers_own_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let issued = authority.issue("localhost");
    let server = Nginx::answering("ssl", &nginx::tls(&issued.certificate, &issued.key));
    let gateway = before(
        &format!("localhost:{}", server.address.port()),
        &format!("{{ ca = '{}' }}", authority.file.display()),
    )
    .await;
    let reply = gateway.person().open("/x").await;
    assert!(reply.text().contains("sni=localhost"), "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_prove_its_name_hears_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let other = Authority::new(folder.path(), "other");
    let right = ours.issue("app.internal");
    let system = "{ server_name = 'app.internal' }".to_owned();
    for (problem, issued, tls) in [
        ("wrong name", &right, trusting(&ours.file, "other.internal")),
        (
            "wrong authority",
            &right,
            trusting(&other.file, "app.internal"),
        ),
        ("not an authority of the system", &right, system),
        (
            "expired",
            &ours.issue_expired("app.internal"),
            trusting(&ours.file, "app.internal"),
        ),
        (
            "an address instead of the name",
            &right,
            trusting(&ours.file, "127.0.0.1"),
        ),
    ] {
        let server = TlsServer::start(issued, None).await;
        let gateway = before(&server.address.to_string(), &tls).await;
        let reply = gateway.person().open("/x").await;
        assert_eq!(reply.status, 502, "{problem}");
        assert!(reply.text().contains("This application is not available"));
        assert_eq!(server.heard(), "", "{problem}");
    }
    let issued = ours.issue("app.internal");
    let server = TlsServer::start(&issued, None).await;
    let tls = trusting(&ours.file, "app.internal");
    let gateway = before(&server.address.to_string(), &tls).await;
    assert_eq!(gateway.person().open("/x").await.text(), "trusted");
    assert!(server.heard().starts_with("GET /x HTTP/1.1\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_the_certificate_is_a_name_too() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let server = TlsServer::start(&ours.issue("127.0.0.1"), None).await;
    let tls = trusting(&ours.file, "127.0.0.1");
    let gateway = before(&server.address.to_string(), &tls).await;
    assert_eq!(gateway.person().open("/x").await.text(), "trusted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_a_certificate_gets_the_configured_one() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let clients = Authority::new(folder.path(), "clients");
    let issued = ours.issue("app.internal");
    let shown = clients.issue_to_client("gateway");
    let stranger = ours.issue_to_client("gateway");
    let none = trusting(&ours.file, "app.internal");
    let right = showing(&ours.file, "app.internal", &shown);
    let wrong = showing(&ours.file, "app.internal", &stranger);
    for (tls, status) in [(&none, 502), (&wrong, 502), (&right, 200)] {
        let server = TlsServer::start(&issued, Some(&clients.file)).await;
        let gateway = before(&server.address.to_string(), tls).await;
        assert_eq!(gateway.person().open("/x").await.status, status, "{tls}");
        assert_eq!(server.heard().is_empty(), status == 502, "{tls}");
    }

    let directives = format!(
        "{} ssl_verify_client on; ssl_client_certificate {};",
        nginx::tls(&issued.certificate, &issued.key),
        clients.file.display()
    );
    let server = Nginx::answering("ssl", &directives);
    let gateway = before(&server.address.to_string(), &right).await;
    let reply = gateway.person().open("/x").await;
    assert!(reply.text().contains("client=SUCCESS"), "{}", reply.text());
    // nginx finishes the handshake and then says what is missing.
    let gateway = before(&server.address.to_string(), &none).await;
    assert_eq!(gateway.person().open("/x").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_connections_do_not_stand_in_for_tls() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let plain = Nginx::answering("", "");
    let tls = trusting(&ours.file, "app.internal");
    let gateway = before(&plain.address.to_string(), &tls).await;
    assert_eq!(gateway.person().open("/x").await.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_never_ends_is_a_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let tls = trusting(&ours.file, "app.internal");
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .before_server(&address)
        .with_upstream(&format!("tls = {tls}\nconnect_timeout = '1s'"))
        .await;
    assert_eq!(gateway.person().open("/x").await.status, 504);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_by_connection_wants_the_right_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let right = TlsServer::start(&ours.issue("app.internal"), None).await;
    let expired = TlsServer::start(&ours.issue_expired("app.internal"), None).await;
    let tls = trusting(&ours.file, "app.internal");
    let gateway = Gateway::start()
        .with_route(PUBLIC)
        .before(right.address)
        .before(expired.address)
        .with_upstream(&format!(
            "tls = {tls}\nhealth = {{ interval = '1s', unhealthy_after = 1 }}"
        ))
        .await;
    let up = right.address.to_string();
    within(SOON, "only one is trusted", || async {
        (gateway.servers_up() == [up.clone()]).then_some(())
    })
    .await;
}
