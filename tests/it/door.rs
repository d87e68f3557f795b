//! The listeners: the way to HTTPS, and connections that are for another host.

use std::net::SocketAddr;

use reqwest::{Client, redirect::Policy};

use crate::harness::{
    Gateway, door_authority::Authority, gateway::install_crypto_provider, raw, upstream::Answer,
};

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_leads_to_https_and_nowhere_else() {
    let gateway = Gateway::start().with_tls().with_redirect().await;
    let plain = gateway.redirect.unwrap();
    let page = raw::get(plain, "/public/page?a=%20b", &[]).await;
    assert_eq!(page.status(), 308);
    let location = format!("\r\nlocation: {}/public/page?a=%20b\r\n", gateway.origin);
    assert!(page.0.to_lowercase().contains(&location), "{}", page.0);
    assert!(!page.0.to_lowercase().contains("strict-transport-security"));
    for path in ["/", "/.gatehouse/sign-in", "/.well-known/acme-challenge/x"] {
        assert_eq!(raw::get(plain, path, &[]).await.status(), 308, "{path}");
    }
    let post = "POST /public/x HTTP/1.1\r\nHost: LOCALHOST:80\r\nContent-Length: 3\r\n\
                Connection: close\r\n\r\na=b";
    assert_eq!(raw::send(plain, post.as_bytes()).await.status(), 308);
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_leads_nobody_to_a_host_that_is_not_named() {
    let gateway = Gateway::start().with_tls().with_redirect().await;
    let plain = gateway.redirect.unwrap();
    for (host, status) in [
        ("evil.example", 421),
        ("127.0.0.1", 421),
        ("localhost.evil.example", 421),
        ("localhost/evil", 400),
        ("", 400),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = raw::send(plain, request.as_bytes()).await;
        assert_eq!(answer.status(), status, "{host}: {}", answer.0);
        assert!(!answer.0.to_lowercase().contains("\r\nlocation:"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_to_stay_with_https() {
    const HSTS: &str = "strict-transport-security";
    let (gateway, authority) = with_names(&["app.example.com", "localhost"]).await;
    let client = client(&authority, gateway.address);
    let said = |host: &'static str, path: &'static str| {
        let url = format!("https://{host}:{}{path}", gateway.address.port());
        let request = client.get(url).send();
        async move {
            let headers = request.await.unwrap().headers().clone();
            let values = headers.get_all(HSTS).iter();
            let values = values.map(|value| value.to_str().unwrap().to_owned());
            values.collect::<Vec<_>>()
        }
    };
    for path in [
        "/public/page",
        "/.gatehouse/sign-in",
        "/closed",
        "/public/%2e%2e%2fx",
    ] {
        let expected: &[&str] = match path {
            // Without a reading there is no host to say it for.
            "/public/%2e%2e%2fx" => &[],
            _ => &["max-age=2592000"],
        };
        assert_eq!(said("app.example.com", path).await, expected, "{path}");
        assert_eq!(said("localhost", path).await, [""; 0], "{path}");
    }
    let own =
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nStrict-Transport-Security: max-age=5\r\n\r\n";
    gateway
        .upstream
        .answer("/public/own", Answer::Raw(own.into()));
    assert_eq!(said("app.example.com", "/public/own").await, ["max-age=5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hsts_can_be_left_out() {
    let setup = Gateway::start().with_server("hsts = '0s'");
    let authority = Authority::new();
    authority
        .server(&["app.example.com"])
        .write(setup.folder(), "app");
    let gateway = setup.with_certificates(&["app"]).await;
    let url = format!(
        "https://app.example.com:{}/public/page",
        gateway.address.port()
    );
    let answer = client(&authority, gateway.address)
        .get(url)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(!answer.headers().contains_key("strict-transport-security"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_the_hosts_of_its_certificate_and_no_others() {
    let setup = Gateway::start();
    let authority = Authority::new();
    for (file, names) in [
        ("ab", &["a.example", "b.example"][..]),
        ("c", &["c.example"]),
        ("wild", &["*.w.example"]),
    ] {
        authority.server(names).write(setup.folder(), file);
    }
    let gateway = setup.with_certificates(&["ab", "c", "wild"]).await;
    let client = client(&authority, gateway.address);
    for (name, host, status) in [
        ("a.example", "a.example", 200),
        ("a.example", "b.example", 200),
        ("a.example", "A.example:443", 200),
        ("a.example", "c.example", 421),
        ("a.example", "unknown.example", 421),
        ("c.example", "a.example", 421),
        ("c.example", "c.example", 200),
        ("x.w.example", "y.w.example", 200),
        ("x.w.example", "x.y.w.example", 421),
    ] {
        let url = format!("https://{name}:{}/public/page", gateway.address.port());
        let answer = client.get(url).header("Host", host).send().await.unwrap();
        assert_eq!(answer.status(), status, "{name} {host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_a_connection_serves_no_other_hosts_either() {
    let setup = Gateway::start();
    let authority = Authority::new();
    let root = authority.write(setup.folder(), "authority.pem");
    for (file, names) in [
        ("ab", &["a.example", "b.example"][..]),
        ("c", &["c.example"]),
    ] {
        authority.server(names).write(setup.folder(), file);
    }
    let gateway = setup.with_certificates(&["ab", "c"]).await;
    let port = gateway.address.port();
    for (host, expected) in [
        ("a.example", "200 2"),
        ("b.example", "200 2"),
        ("c.example", "421 2"),
    ] {
        let curl = tokio::task::block_in_place(|| {
            std::process::Command::new("curl")
                .args(["--silent", "--http2", "--output", "/dev/null"])
                .args(["--write-out", "%{http_code} %{http_version}"])
                .arg("--cacert")
                .arg(&root)
                .args(["--resolve", &format!("a.example:{port}:127.0.0.1")])
                .args(["--header", &format!("Host: {host}")])
                .arg(format!("https://a.example:{port}/public/page"))
                .output()
        });
        let said = String::from_utf8(curl.expect("curl runs").stdout).unwrap();
        assert_eq!(said, expected, "{host}");
    }
}

async fn with_names(names: &[&str]) -> (Gateway, Authority) {
    let setup = Gateway::start();
    let authority = Authority::new();
    authority.server(names).write(setup.folder(), "all");
    (setup.with_certificates(&["all"]).await, authority)
}

/// Finds every name at the gateway; speaks HTTP/1.1, where Host may differ from the address.
fn client(authority: &Authority, gateway: SocketAddr) -> Client {
    install_crypto_provider();
    let names = [
        "app.example.com",
        "localhost",
        "a.example",
        "b.example",
        "c.example",
        "x.w.example",
    ];
    names
        .iter()
        .fold(Client::builder(), |client, name| {
            client.resolve(name, gateway)
        })
        .redirect(Policy::none())
        .no_proxy()
        .http1_only()
        .tls_certs_only([authority.root()])
        .build()
        .unwrap()
}
