//! HTTP/1.1 and HTTP/2, with and without TLS; bodies that flow.

use reqwest::{Method, Version};

use crate::harness::{
    Gateway,
    person::Protocol,
    raw,
    upstream::Answer,
    waiting::{SOON, within},
};

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_http_are_spoken() {
    let gateway = Gateway::start().await;
    for (protocol, version) in [
        (Protocol::Http1, Version::HTTP_11),
        (Protocol::Http2, Version::HTTP_2),
    ] {
        let person = gateway.person_over(protocol);
        let reply = person.open("/public/page").await;
        assert_eq!((reply.status.as_u16(), reply.version), (200, version));
        assert_eq!(
            gateway.upstream.last().header("Host"),
            gateway.origin.trim_start_matches("http://")
        );
        assert_eq!(person.open("/.gatehouse/sign-in").await.status, 200);
        assert!(person.open("/report").await.leads_to("/.gatehouse/sign-in"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_over_http_2() {
    let gateway = Gateway::start().await;
    let invitation = gateway.invite("ann@example.com", &[]);
    let mut ann = gateway.person_over(Protocol::Http2);
    ann.enrol(Some(&invitation), "/").await;
    assert_eq!(ann.open("/report").await.status, 200);
    assert_eq!(
        gateway.upstream.last().header("Remote-User"),
        "ann@example.com"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_version_is_agreed_by_alpn_and_people_sign_in() {
    let gateway = Gateway::start().with_tls().await;
    for (protocol, version) in [
        (Protocol::Http1, Version::HTTP_11),
        (Protocol::Http2, Version::HTTP_2),
    ] {
        let email = format!("{protocol:?}@example.com");
        let invitation = gateway.invite(&email, &[]);
        let mut person = gateway.person_over(protocol);
        let done = person.enrol(Some(&invitation), "/").await;
        assert_eq!(
            (done.status.as_u16(), done.version),
            (200, version),
            "{}",
            done.text()
        );
        assert_eq!(person.open("/report").await.status, 200);
        assert_eq!(gateway.upstream.last().header("X-Forwarded-Proto"), "https");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_on_a_tls_listener_reaches_nobody() {
    let gateway = Gateway::start().with_tls().await;
    let answer = raw::get(gateway.address, "/public/page", &[]).await;
    assert_ne!(answer.status(), 200);
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_in_both_directions() {
    let gateway = Gateway::start().await;
    let body: Vec<u8> = (0..4_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let download = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let download = [download.into_bytes(), body.clone()].concat();
    gateway
        .upstream
        .answer("/public/download", Answer::Raw(download));
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let person = gateway.person_over(protocol);
        let upload = person
            .request(Method::POST, "/public/upload")
            .body(body.clone());
        assert_eq!(person.send(upload).await.status, 200);
        assert!(
            gateway.upstream.last().body == body,
            "{protocol:?}: the upload arrived changed"
        );
        assert!(
            person.open("/public/download").await.body == body,
            "{protocol:?}: the download came changed"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_upload_arrives_whole() {
    let gateway = Gateway::start().await;
    let request = "POST /public/upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\
                   Connection: close\r\n\r\n4\r\nWiki\r\n6\r\npedia \r\n0\r\n\r\n";
    assert_eq!(
        raw::send(gateway.address, request.as_bytes())
            .await
            .status(),
        200
    );
    assert_eq!(gateway.upstream.last().body, b"Wikipedia ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_flows_while_it_is_open_and_ends_with_its_reader() {
    let gateway = Gateway::start().await;
    gateway.upstream.answer("/public/events", Answer::Endless);
    let person = gateway.person();
    let mut response = person
        .request(Method::GET, "/public/events")
        .send()
        .await
        .unwrap();
    let first = tokio::time::timeout(SOON, response.chunk())
        .await
        .expect("the event is not held back");
    assert_eq!(first.unwrap().unwrap(), "data: hello\n\n");
    drop((response, person));
    let open = gateway.upstream.open_streams();
    within(SOON, "the app learns that nobody reads", || async {
        (*open.borrow() == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_one_request_after_another() {
    let gateway = Gateway::start().await;
    let one = "GET /public/1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let other = "GET /.gatehouse/session HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /public/2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut statuses = Vec::new();
    let mut stream = std::net::TcpStream::connect(gateway.address).unwrap();
    for request in [one, other, last] {
        statuses.push(tokio::task::block_in_place(|| {
            exchange(&mut stream, request)
        }));
    }
    assert_eq!(statuses.len(), 3);
    assert!(
        statuses.iter().all(|status| (200..500).contains(status)),
        "{statuses:?}"
    );
    assert_eq!(gateway.upstream.targets(), ["/public/1", "/public/2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_100_continue_is_told_to_go_on() {
    let gateway = Gateway::start().await;
    for path in ["/public/upload", "/.gatehouse/sign-in/email"] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\
             Connection: close\r\n\r\na=b"
        );
        let answer = raw::send(gateway.address, request.as_bytes()).await;
        assert!(
            answer
                .statuses()
                .last()
                .is_some_and(|status| *status >= 200),
            "{path}: {}",
            answer.0
        );
    }
}

/// One answer with a Content-Length, on a connection that stays open.
fn exchange(stream: &mut std::net::TcpStream, request: &str) -> u16 {
    use std::io::{BufRead, BufReader, Read, Write};
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest[..3].parse().unwrap();
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    status
}
