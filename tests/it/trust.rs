//! Whose word is taken for where a request comes from.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{
    Gateway, door_authority::Authority, gateway::install_crypto_provider, raw, waiting::SOON,
};

const TRUSTED: &str = "trusted_proxies = ['127.0.0.0/8', '10.0.0.0/8']";

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_is_believed() {
    let gateway = Gateway::start().with_server(TRUSTED).await;
    for lines in [
        &[
            "X-Forwarded-For: 1.2.3.4, 203.0.113.9, 10.0.0.7",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: app.example.com",
        ][..],
        &["Forwarded: for=1.2.3.4, for=203.0.113.9;proto=https;host=app.example.com, for=10.0.0.7"],
    ] {
        let answer = raw::get(gateway.address, "/public/page", lines).await;
        assert_eq!(answer.status(), 200, "{}", answer.0);
        let heard = gateway.upstream.last();
        assert_eq!(
            heard.header("X-Forwarded-For"),
            "203.0.113.9, 10.0.0.7, 127.0.0.1"
        );
        assert_eq!(heard.header("X-Forwarded-Proto"), "https");
        assert_eq!(heard.header("X-Forwarded-Host"), "app.example.com");
        assert_eq!(heard.header("Host"), "app.example.com");
        let forwarded = |(name, _): &(String, String)| name.eq_ignore_ascii_case("forwarded");
        assert!(!heard.headers.iter().any(forwarded));
        let hsts = "strict-transport-security: max-age=";
        assert!(answer.0.to_lowercase().contains(hsts), "{}", answer.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_those_of_the_believed_host() {
    let gateway = Gateway::start()
        .with_server(TRUSTED)
        .with_route("host = 'open.example'\npath = '/*'\naccess = 'public'")
        .with_route("host = 'localhost'\npath = '/*'")
        .await;
    let with = |host: &str| format!("X-Forwarded-Host: {host}");
    for (host, status) in [("open.example", 200), ("localhost", 401), ("other", 404)] {
        let answer = raw::get(gateway.address, "/x", &[&with(host)]).await;
        assert_eq!(answer.status(), status, "{host}");
    }
    assert_eq!(raw::get(gateway.address, "/x", &[]).await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_to_the_believed_host_whatever_the_proxy_calls_the_gateway() {
    let gateway = Gateway::start().with_server(TRUSTED).await;
    for (host, status) in [("app.example.com", 200), ("other.example", 400)] {
        let copy = format!(
            "COPY /public/a HTTP/1.1\r\nHost: gateway.internal\r\nX-Forwarded-Host: app.example.com\r\n\
             X-Forwarded-Proto: https\r\nDestination: https://{host}/public/b\r\nConnection: close\r\n\r\n"
        );
        let answer = raw::send(gateway.address, copy.as_bytes()).await;
        assert_eq!(answer.status(), status, "{}", answer.0);
    }
    let heard = gateway.upstream.last();
    let destination = heard.header("Destination");
    assert_eq!(destination, "https://app.example.com/public/b");
    assert_eq!(gateway.upstream.targets(), ["/public/a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trusted_proxy_says_in_two_ways_is_refused() {
    let gateway = Gateway::start().with_server(TRUSTED).await;
    for lines in [
        &["X-Forwarded-For: nobody"][..],
        &["X-Forwarded-Proto: https, http"],
        &["X-Forwarded-Proto: https", "X-Forwarded-Proto: https"],
        &["X-Forwarded-Host: a.example", "X-Forwarded-Host: b.example"],
        &["X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.8"],
        &[
            "X-Forwarded-For: 203.0.113.9",
            "Forwarded: for=203.0.113.9;host=evil",
        ],
        &["Forwarded: for=\"203.0.113.9"],
    ] {
        let answer = raw::get(gateway.address, "/public/page", lines).await;
        assert_eq!(answer.status(), 400, "{lines:?}");
    }
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_believed() {
    for server in ["", "trusted_proxies = ['203.0.113.0/24']"] {
        let gateway = Gateway::start().with_server(server).await;
        let lines = [
            "X-Forwarded-For: 203.0.113.9",
            "X-Forwarded-Proto: gopher, https",
            "X-Forwarded-Host: app.example.com",
            "Forwarded: for=\"",
        ];
        let answer = raw::get(gateway.address, "/public/page", &lines).await;
        assert_eq!(answer.status(), 200);
        let heard = gateway.upstream.last();
        assert_eq!(heard.header("X-Forwarded-For"), "127.0.0.1");
        assert_eq!(heard.header("X-Forwarded-Proto"), "http");
        assert_eq!(heard.header("Host"), "localhost");
    }
}

const PROXIED: &str = "proxy_protocol = ['127.0.0.1']";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\x0a\0\0\x01\x12\x34\x01\xbb";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn get(header: &[u8]) -> Vec<u8> {
    let request = "GET /public/page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    [header, request.as_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_header_says_where_a_connection_comes_from() {
    let gateway = Gateway::start().with_server(PROXIED).await;
    for (header, client) in [
        (
            &b"PROXY TCP4 203.0.113.9 10.0.0.1 4660 443\r\n"[..],
            "203.0.113.9",
        ),
        (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (V2, "203.0.113.9"),
        (LOCAL, "127.0.0.1"),
    ] {
        let answer = raw::send(gateway.address, &get(header)).await;
        assert_eq!(answer.status(), 200, "{}", header.escape_ascii());
        assert_eq!(gateway.upstream.last().header("X-Forwarded-For"), client);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_may_stand_behind_another_that_looks_into_nothing() {
    let server = format!("{PROXIED}\ntrusted_proxies = ['203.0.113.0/24']");
    let gateway = Gateway::start().with_server(&server).await;
    for (proxy, told) in [
        ("203.0.113.9", "198.51.100.1, 203.0.113.9"),
        ("192.0.2.1", "192.0.2.1"),
    ] {
        let header = format!("PROXY TCP4 {proxy} 10.0.0.1 1 2\r\n");
        let request = String::from_utf8(get(header.as_bytes())).unwrap();
        let request = request.replace("Host:", "X-Forwarded-For: 198.51.100.1\r\nHost:");
        let answer = raw::send(gateway.address, request.as_bytes()).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(gateway.upstream.last().header("X-Forwarded-For"), told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_proxy_header_a_connection_is_closed() {
    let gateway = Gateway::start()
        .with_server(PROXIED)
        .with("server.limits", "header_timeout = '1s'")
        .await;
    for bytes in [
        &get(b"")[..],
        &get(b"PROXY TCP4 203.0.113 10.0.0.1 1 2\r\n"),
        b"PROXY TCP4 203.0.113.9",
        b"",
    ] {
        assert_eq!(
            answer(gateway.address, bytes).await,
            b"",
            "{}",
            bytes.escape_ascii()
        );
    }
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_anybody_else_a_proxy_header_is_no_request() {
    let gateway = Gateway::start().await;
    let header = b"PROXY TCP4 203.0.113.9 10.0.0.1 4660 443\r\n";
    for header in [&header[..], V2] {
        let answer = raw::send(gateway.address, &get(header)).await;
        assert!(answer.refused(), "{}", answer.0);
    }
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_header_comes_before_tls() {
    install_crypto_provider();
    let setup = Gateway::start().with_server(PROXIED);
    let authority = Authority::new();
    authority.server(&["localhost"]).write(setup.folder(), "it");
    let gateway = setup.with_certificates(&["it"]).await;
    let relay = relay(gateway.address, V2).await;
    let client = reqwest::Client::builder()
        .resolve("localhost", relay)
        .no_proxy()
        .tls_certs_only([authority.root()])
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/public/page", relay.port());
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.version()),
        (200, reqwest::Version::HTTP_2)
    );
    let heard = gateway.upstream.last();
    assert_eq!(heard.header("X-Forwarded-For"), "203.0.113.9");
}

/// A proxy that passes one connection on, after this header.
async fn relay(to: SocketAddr, header: &'static [u8]) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(to).await.unwrap();
        far.write_all(header).await.unwrap();
        drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
    });
    address
}

/// All that comes back before the other end closes the connection, which it has to.
async fn answer(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut answer)).await;
    // A reset is as good as a close.
    drop(read.expect("the connection is closed"));
    answer
}
