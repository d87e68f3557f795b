//! Servers that break off at a precise moment: what may be sent again is, and nothing is delivered twice that
//! must not be.

use std::net::SocketAddr;

use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
};

use crate::harness::{
    Gateway,
    nginx::Nginx,
    raw,
    script::{Act, Scripted},
    upstream::Upstream,
};

/// A gateway before these servers, each of which is tried in turn, beginning with the first.
async fn before(servers: &[&Scripted], lines: &str) -> Gateway {
    let setup = Gateway::start()
        .with_upstream(&format!("eject = {{ failures = 0 }}\n{lines}"))
        .with_route("path = '/*'\naccess = 'public'");
    servers
        .iter()
        .fold(setup, |setup, server| setup.before(server.address))
        .await
}

/// The status of one request with a body of so many bytes.
async fn status(gateway: &Gateway, method: Method, body_bytes: usize) -> u16 {
    let person = gateway.person();
    let request = person.request(method, "/x").body(vec![b'x'; body_bytes]);
    person.send(request).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_that_meets_a_closing_kept_connection_is_sent_again_on_a_new_one() {
    let server = Scripted::start(&[Act::Answer, Act::Close]).await;
    let gateway = before(&[&server], "retries = 0").await;
    assert_eq!(status(&gateway, Method::GET, 0).await, 200);
    assert_eq!(status(&gateway, Method::GET, 0).await, 200);
    assert_eq!(server.methods(), ["GET"; 3]);
    assert_eq!(server.connections(), 2, "the first was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_meets_a_closing_kept_connection_is_answered_502_and_delivered_once() {
    for act in [Act::Close, Act::CloseAfterHead] {
        let server = Scripted::start(&[Act::Answer, act]).await;
        let other = Scripted::start(&[]).await;
        let gateway = before(&[&server, &other], "retries = 5").await;
        assert_eq!(status(&gateway, Method::GET, 0).await, 200);
        assert_eq!(status(&gateway, Method::GET, 0).await, 200);
        assert_eq!(status(&gateway, Method::POST, 9).await, 502, "{act:?}");
        assert_eq!(server.methods(), ["GET", "POST"], "{act:?}");
        assert_eq!(server.connections(), 1);
        assert_eq!(other.methods(), ["GET"], "{act:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_repeated_goes_to_the_next_server_with_its_body() {
    for act in [Act::Close, Act::CloseAfterHead, Act::HalfHead] {
        for (method, body_bytes) in [
            (Method::GET, 0),
            (Method::DELETE, 0),
            (Method::OPTIONS, 0),
            (Method::PUT, 0),
            (Method::PUT, 60_000),
        ] {
            let broken = Scripted::start(&[act]).await;
            let other = Scripted::start(&[]).await;
            let gateway = before(&[&broken, &other], "").await;
            let name = format!("{act:?} {method} {body_bytes}");
            assert_eq!(
                status(&gateway, method.clone(), body_bytes).await,
                200,
                "{name}"
            );
            assert_eq!(broken.methods(), [method.as_str()], "{name}");
            let [heard] = &other.heard()[..] else {
                panic!("{name}: {:?}", other.heard());
            };
            assert_eq!(heard.body_bytes, body_bytes, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_repeated_is_delivered_once() {
    for act in [Act::Close, Act::CloseAfterHead, Act::HalfHead] {
        for (method, body_bytes) in [
            (Method::POST, 0),
            (Method::POST, 9),
            (Method::PATCH, 9),
            // More than is kept for another try.
            (Method::PUT, 200_000),
        ] {
            let broken = Scripted::start(&[act]).await;
            let other = Scripted::start(&[]).await;
            let gateway = before(&[&broken, &other], "retries = 5").await;
            let name = format!("{act:?} {method} {body_bytes}");
            assert_eq!(
                status(&gateway, method.clone(), body_bytes).await,
                502,
                "{name}"
            );
            assert_eq!(broken.methods(), [method.as_str()], "{name}");
            assert!(other.heard().is_empty(), "{name}: {:?}", other.heard());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_connection_is_replaced_whatever_the_method() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let other = Scripted::start(&[]).await;
    let gateway = Gateway::start()
        .with_route("path = '/*'\naccess = 'public'")
        .with_upstream("retries = 0")
        .before(unused)
        .before(other.address)
        .await;
    for _ in 0..2 {
        assert_eq!(status(&gateway, Method::POST, 9).await, 200);
    }
    assert_eq!(other.methods(), ["POST"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_again_once_a_byte_of_the_answer_came_through() {
    for act in [Act::HalfBody, Act::Hint] {
        let broken = Scripted::start(&[act]).await;
        let other = Scripted::start(&[]).await;
        let gateway = before(&[&broken, &other], "retries = 5").await;
        let answer = raw::get(gateway.address, "/x", &[]).await;
        assert!(!answer.0.ends_with("ok"), "{act:?}: {}", answer.0);
        assert_eq!(broken.methods(), ["GET"], "{act:?}");
        assert!(other.heard().is_empty(), "{act:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_not_followed_by_another() {
    let silent = Scripted::start(&[Act::Silence]).await;
    let other = Scripted::start(&[]).await;
    let gateway = before(&[&silent, &other], "retries = 5\nread_timeout = '1s'").await;
    assert_eq!(status(&gateway, Method::GET, 0).await, 504);
    assert!(other.heard().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_as_many_retries_as_the_configuration_says() {
    for (retries, arrived) in [(0, 1), (1, 2), (2, 3), (5, 3)] {
        let servers = [
            Scripted::start(&[Act::Close]).await,
            Scripted::start(&[Act::Close]).await,
            Scripted::start(&[Act::Close]).await,
        ];
        let gateway = before(&servers.each_ref(), &format!("retries = {retries}")).await;
        assert_eq!(status(&gateway, Method::GET, 0).await, 502, "{retries}");
        let heard: usize = servers.iter().map(|server| server.heard().len()).sum();
        assert_eq!(heard, arrived, "{retries}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closing_kept_connection_does_not_count_against_its_server() {
    let server = Scripted::start(&[Act::Answer, Act::Close]).await;
    let other = Scripted::start(&[]).await;
    let gateway = Gateway::start()
        .with_upstream("eject = { failures = 1, for = '1h' }")
        .with_route("path = '/*'\naccess = 'public'")
        .before(server.address)
        .before(other.address)
        .await;
    for _ in 0..8 {
        assert_eq!(status(&gateway, Method::GET, 0).await, 200);
    }
    // Its four, and the one that was sent again.
    assert_eq!(server.heard().len(), 5);
    assert_eq!(other.heard().len(), 4);
}

/// A server of HTTP/2 that meets each request with this frame and hangs up; and how many requests came.
async fn broken_http_2_server(last_frame: &'static [u8]) -> (SocketAddr, watch::Receiver<usize>) {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const HEADERS: u8 = 1;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, heard) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut preface = [0; 24];
            if stream.read_exact(&mut preface).await.is_err() {
                continue;
            }
            stream.write_all(SETTINGS).await.unwrap();
            let mut head = [0; 9];
            while stream.read_exact(&mut head).await.is_ok() {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; length as usize];
                stream.read_exact(&mut payload).await.unwrap();
                if head[3] == HEADERS {
                    requests.send_modify(|count| *count += 1);
                    stream.write_all(last_frame).await.unwrap();
                    break;
                }
            }
        }
    });
    (address, heard)
}

/// RST_STREAM of the first stream with REFUSED_STREAM: nothing was done (RFC 9113 §8.7).
const REFUSED: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7];

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_the_same_is_sent_again_and_the_same_is_not() {
    for last_frame in [&b""[..], REFUSED] {
        for (method, body_bytes, expected) in [
            (Method::GET, 0, 200),
            (Method::PUT, 9, 200),
            (Method::POST, 9, 502),
        ] {
            let (broken, heard) = broken_http_2_server(last_frame).await;
            // It reads a body before it answers, as apps do.
            let app = Upstream::start().await;
            let pass_on = format!("location /x {{ proxy_pass http://{}; }}", app.address);
            let other = Nginx::answering("http2", &pass_on);
            let gateway = Gateway::start()
                .with_upstream("protocol = 'h2'")
                .with_route("path = '/*'\naccess = 'public'")
                .before(broken)
                .before(other.address)
                .await;
            assert_eq!(
                status(&gateway, method.clone(), body_bytes).await,
                expected,
                "{method} {last_frame:?}"
            );
            assert_eq!(*heard.borrow(), 1, "{method} {last_frame:?}");
            let arrived: Vec<_> = app.received();
            let bodies: Vec<_> = arrived.iter().map(|request| request.body.len()).collect();
            let expected = if expected == 200 {
                vec![body_bytes]
            } else {
                vec![]
            };
            assert_eq!(bodies, expected, "{method} {last_frame:?}");
        }
    }
}
