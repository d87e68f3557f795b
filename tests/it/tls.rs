//! TLS: certificates by name and kind, resumption, client certificates, renewal.

use std::path::Path;

use reqwest::{Client, StatusCode};
use rustls::{
    HandshakeKind,
    pki_types::{CertificateDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use tokio::task::block_in_place;

use crate::harness::{
    Gateway,
    door_authority::{Authority, Issued},
    gateway::install_crypto_provider,
    tls_client::{TlsClient, request},
    waiting::{SOON, within},
};

fn der(issued: &Issued) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_chosen_by_name() {
    let setup = Gateway::start();
    let authority = Authority::new();
    let first = authority.server(&["first.example"]);
    let wild = authority.server(&["*.b.example"]);
    let exact = authority.server(&["a.b.example"]);
    for (issued, file) in [(&first, "first"), (&wild, "wild"), (&exact, "exact")] {
        issued.write(setup.folder(), file);
    }
    let gateway = setup.with_certificates(&["first", "wild", "exact"]).await;
    for (name, expected) in [
        ("first.example", &first),
        ("a.b.example", &exact),
        ("c.b.example", &wild),
    ] {
        for version in [&TLS12, &TLS13] {
            let client = TlsClient::new(&authority, version);
            let shown = block_in_place(|| client.connect(gateway.address, name));
            assert!(shown.certificate == der(expected), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rsa_is_for_clients_that_know_nothing_else() {
    let setup = Gateway::start();
    let authority = Authority::new();
    let (rsa, ecdsa) = (
        authority.server_with_rsa(&["a.example"]),
        authority.server(&["a.example"]),
    );
    rsa.write(setup.folder(), "rsa");
    ecdsa.write(setup.folder(), "ecdsa");
    let gateway = setup.with_certificates(&["rsa", "ecdsa"]).await;
    for version in [&TLS12, &TLS13] {
        let client = TlsClient::new(&authority, version);
        let shown = block_in_place(|| client.connect(gateway.address, "a.example"));
        assert!(shown.certificate == der(&ecdsa));
    }
    // What the authority signed is of no use to such a client; only what it is shown is looked at.
    let file = gateway.folder().join("shown");
    let shown = openssl_shows(&gateway, "RSA-PSS+SHA256", &file);
    assert_eq!(shown, der(&rsa));
    assert_eq!(openssl_shows(&gateway, "ECDSA+SHA256", &file), der(&ecdsa));
}

/// The certificate shown to a client that knows these signatures alone.
fn openssl_shows(gateway: &Gateway, signatures: &str, file: &Path) -> CertificateDer<'static> {
    let address = gateway.address.to_string();
    let said = block_in_place(|| {
        std::process::Command::new("openssl")
            .args(["s_client", "-connect", &address, "-servername", "a.example"])
            .args(["-sigalgs", signatures])
            .stdin(std::process::Stdio::null())
            .output()
            .expect("openssl is installed")
    });
    std::fs::write(file, said.stdout).unwrap();
    CertificateDer::from_pem_file(file).expect("a certificate is shown")
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_resume_in_both_versions() {
    let setup = Gateway::start();
    let authority = Authority::new();
    authority.server(&["a.example"]).write(setup.folder(), "a");
    let gateway = setup.with_certificates(&["a"]).await;
    for version in [&TLS12, &TLS13] {
        let client = TlsClient::new(&authority, version);
        let first = block_in_place(|| client.connect(gateway.address, "a.example"));
        assert_eq!(first.version, version.version);
        assert_ne!(first.kind, HandshakeKind::Resumed);
        let second = block_in_place(|| client.connect(gateway.address, "a.example"));
        assert_eq!(second.kind, HandshakeKind::Resumed, "{version:?}");
        let stranger = TlsClient::new(&authority, version);
        let third = block_in_place(|| stranger.connect(gateway.address, "a.example"));
        assert_ne!(third.kind, HandshakeKind::Resumed);
    }
}

const MACHINES: &str = "path = '/machines/*'\naccess = 'public'\n\
    client_certificates = ['backup.example', 'spiffe://example/backup']";
const BOTH: &str = "path = '/both/*'\nclient_certificates = ['backup.example']";
const OPEN: &str = "path = '/public/*'\naccess = 'public'";

async fn for_machines() -> (Gateway, Authority, Authority) {
    let setup = Gateway::start()
        .with_server("client_ca = 'machines.pem'")
        .with_route(MACHINES)
        .with_route(BOTH)
        .with_route(OPEN);
    let (authority, machines) = (Authority::new(), Authority::new());
    authority
        .server(&["localhost"])
        .write(setup.folder(), "site");
    machines.write(setup.folder(), "machines.pem");
    (
        setup.with_certificates(&["site"]).await,
        authority,
        machines,
    )
}

fn client(gateway: &Gateway, authority: &Authority, shows: Option<&Issued>) -> Client {
    install_crypto_provider();
    let mut client = Client::builder()
        .resolve("localhost", gateway.address)
        .no_proxy()
        .tls_certs_only([authority.root()]);
    if let Some(issued) = shows {
        client = client.identity(issued.identity());
    }
    client.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_for_machines_takes_the_certificates_it_lists() {
    let (gateway, authority, machines) = for_machines().await;
    let url = format!("{}/machines/dump", gateway.origin);
    let by_name = machines.client(&["other.example", "Backup.example"], &[]);
    let by_uri = machines.client(&[], &["spiffe://example/backup"]);
    for (issued, name) in [
        (&by_name, "backup.example"),
        (&by_uri, "spiffe://example/backup"),
    ] {
        let client = client(&gateway, &authority, Some(issued));
        let request = client.get(&url).header("X-Gatehouse-Certificate", "root");
        assert_eq!(request.send().await.unwrap().status(), 200);
        let last = gateway.upstream.last();
        assert_eq!(last.header("X-Gatehouse-Certificate"), name);
    }
    let heard = gateway.upstream.targets().len();
    let stranger = machines.client(&["stranger.example"], &["spiffe://example/backup/x"]);
    let wildcard = machines.client(&["*.example"], &[]);
    for shows in [None, Some(&stranger), Some(&wildcard)] {
        let client = client(&gateway, &authority, shows);
        let answer = client.get(&url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert!(
            answer
                .text()
                .await
                .unwrap()
                .contains("no_client_certificate")
        );
    }
    assert_eq!(gateway.upstream.targets().len(), heard);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_asked_for_besides_a_session_and_told_to_no_other_route() {
    let (gateway, authority, machines) = for_machines().await;
    let backup = machines.client(&["backup.example"], &[]);
    let with = client(&gateway, &authority, Some(&backup));
    let without = client(&gateway, &authority, None);
    let both = format!("{}/both/x", gateway.origin);
    assert_eq!(without.get(&both).send().await.unwrap().status(), 403);
    // What is missing now is a session.
    assert_eq!(with.get(&both).send().await.unwrap().status(), 401);
    let open = format!("{}/public/x", gateway.origin);
    for client in [with, without] {
        assert_eq!(client.get(&open).send().await.unwrap().status(), 200);
        let headers = gateway.upstream.last().headers;
        let told = |(name, _): &(String, String)| name.to_lowercase().contains("certificate");
        assert!(!headers.iter().any(told), "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_somebody_else_fails_the_handshake() {
    let (gateway, authority, _) = for_machines().await;
    let forged = Authority::new().client(&["backup.example"], &[]);
    let client = client(&gateway, &authority, Some(&forged));
    let url = format!("{}/public/x", gateway.origin);
    assert!(client.get(url).send().await.is_err());
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_knows_certificates() {
    let (gateway, _, _) = for_machines().await;
    let explain = |more: &[&str]| {
        let url = "https://localhost/machines/x";
        let arguments = [&["explain", "GET", url, "--session", "none"], more].concat();
        gateway.command(&arguments).stdout
    };
    let refused = explain(&[]);
    assert!(refused.contains("403: no client certificate"), "{refused}");
    assert!(
        refused.contains("a client certificate of backup.example or"),
        "{refused}"
    );
    let passes = explain(&["--certificate", "backup.example"]);
    assert!(passes.contains("forwarded"), "{passes}");
    assert!(explain(&["--certificate", "x.example"]).contains("403"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_taken_up_and_open_connections_stay() {
    let setup = Gateway::start();
    let authority = Authority::new();
    let (old, new) = (
        authority.server(&["localhost"]),
        authority.server(&["localhost"]),
    );
    old.write(setup.folder(), "site");
    let gateway = setup.with_certificates(&["site"]).await;
    let shown = || {
        let client = TlsClient::new(&authority, &TLS13);
        block_in_place(|| client.connect(gateway.address, "localhost"))
    };
    let mut open = shown();
    assert!(open.certificate == der(&old));
    // Half of a renewal, and a broken one: the old certificate serves on.
    std::fs::write(gateway.folder().join("site.pem"), &new.certificate).unwrap();
    assert!(shown().certificate == der(&old));
    new.write(gateway.folder(), "site");
    within(SOON, "the new certificate is shown", || async {
        (shown().certificate == der(&new)).then_some(())
    })
    .await;
    let answered = block_in_place(|| request(&mut open.stream, "localhost", "/public/page"));
    assert_eq!(answered.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_are_replaced_and_what_they_vouched_for_is_forgotten() {
    let (gateway, authority, machines) = for_machines().await;
    let backup = machines.client(&["backup.example"], &[]);
    let url = format!("{}/machines/x", gateway.origin);
    let ask = || {
        // A client of its own each time, so that there is a handshake.
        let client = client(&gateway, &authority, Some(&backup));
        let request = client.get(&url).send();
        async move { request.await.map(|answer| answer.status()) }
    };
    assert_eq!(ask().await.unwrap(), 200);
    Authority::new().write(gateway.folder(), "machines.pem");
    within(SOON, "the old authority is not believed", || async {
        ask().await.is_err().then_some(())
    })
    .await;
    machines.write(gateway.folder(), "machines.pem");
    within(SOON, "it is believed again", || async {
        ask().await.ok().filter(|status| *status == 200)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_session_bears_its_certificate_while_the_authority_is_believed() {
    let (gateway, authority, machines) = for_machines().await;
    let backup = machines.client(&["backup.example"], &[]);
    for version in [&TLS12, &TLS13] {
        machines.write(gateway.folder(), "machines.pem");
        let ask = |client: &TlsClient| {
            block_in_place(|| client.try_connect(gateway.address, "localhost", "/machines/x"))
        };
        // The authority of the turn before may still be in force.
        let client = within(SOON, "the machine is known", || async {
            let client = TlsClient::showing(&authority, version, &backup);
            ask(&client)
                .is_ok_and(|done| done.status == 200)
                .then_some(client)
        })
        .await;
        let resumed = ask(&client).unwrap();
        assert_eq!(
            (resumed.status, resumed.kind),
            (200, HandshakeKind::Resumed)
        );
        Authority::new().write(gateway.folder(), "machines.pem");
        within(SOON, "its ticket is of no use any more", || async {
            ask(&client).is_err().then_some(())
        })
        .await;
    }
}
