//! Bodies of any size pass through a gateway whose memory does not grow with them, at the pace of the slower end,
//! and are no longer than their route says.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use reqwest::{Body, Method};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{
    Gateway, Person,
    bulk::{Bulk, PATIENCE, PIECE, standing},
    person::Protocol,
    process::Process,
    raw,
    waiting::{SOON, within},
};

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// What a gateway may need more for a body of any size, over what it needed before: buffers of sockets and streams.
const GROWTH: u64 = 48 * MIB;

/// What may lie between two ends of which one has stopped: the buffers of two connections on loopback.
const BETWEEN: u64 = 32 * MIB;

async fn before_bulk(lines: &str) -> (Bulk, Gateway) {
    let bulk = Bulk::start().await;
    let gateway = Gateway::start()
        .before(bulk.address)
        .with_route(&format!("path = '/*'\naccess = 'public'\n{lines}"))
        .await;
    (bulk, gateway)
}

/// The same, as a process of its own.
async fn process_before_bulk() -> (Bulk, Gateway, Process) {
    let (bulk, mut gateway) = before_bulk("").await;
    gateway.stop().await;
    let process = Process::serve(&gateway.config);
    (bulk, gateway, process)
}

fn pieces(bytes: u64) -> Body {
    let count = bytes / PIECE.len() as u64;
    Body::wrap_stream(stream::iter(
        (0..count).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&PIECE))),
    ))
}

async fn upload(person: &Person, bytes: u64) -> String {
    let request = person.request(Method::POST, "/up").timeout(PATIENCE);
    let answer = request.body(pieces(bytes)).send().await.expect("an answer");
    answer.text().await.expect("a body")
}

async fn download(person: &Person, bytes: u64) -> u64 {
    let request = person
        .request(Method::GET, &format!("/down/{bytes}"))
        .timeout(PATIENCE);
    let mut answer = request.send().await.expect("an answer");
    let mut got = 0;
    while let Some(piece) = answer.chunk().await.expect("all of it") {
        got += piece.len() as u64;
    }
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_and_more_passes_either_way_at_flat_memory() {
    let (_bulk, gateway, process) = process_before_bulk().await;
    // Unoptimised HTTP/2 takes a gibibyte in 18 seconds, and no more memory than for a quarter of it.
    for (protocol, length) in [(Protocol::Http1, GIB), (Protocol::Http2, GIB / 4)] {
        let person = gateway.person_over(protocol);
        assert_eq!(upload(&person, 4 * MIB).await, (4 * MIB).to_string());
        assert_eq!(download(&person, 4 * MIB).await, 4 * MIB);
        let before = process.peak_memory();
        let start = Instant::now();
        assert_eq!(upload(&person, length).await, length.to_string());
        let up = start.elapsed();
        assert_eq!(download(&person, length).await, length);
        let down = start.elapsed() - up;
        let growth = process.peak_memory() - before;
        println!(
            "{protocol:?}: {} MiB up in {up:.1?}, down in {down:.1?}; peak memory {} KiB, {} KiB more than before",
            length / MIB,
            process.peak_memory() / 1024,
            growth / 1024
        );
        assert!(growth < GROWTH, "{protocol:?}: {growth} bytes more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_not_read_ahead_for() {
    let (bulk, gateway, process) = process_before_bulk().await;
    let length = 256 * MIB;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let person = gateway.person_over(protocol);
        assert_eq!(download(&person, MIB).await, MIB);
        let (sent, memory) = (bulk.sent(), process.peak_memory());
        let request = person
            .request(Method::GET, &format!("/down/{length}"))
            .timeout(PATIENCE);
        let mut answer = request.send().await.unwrap();
        let ahead = standing(|| bulk.sent() - sent).await;
        assert!(ahead < BETWEEN, "{protocol:?}: {ahead} bytes ahead");
        let mut got = 0;
        while let Some(piece) = answer.chunk().await.unwrap() {
            got += piece.len() as u64;
        }
        assert_eq!(got, length);
        let growth = process.peak_memory() - memory;
        assert!(growth < GROWTH, "{protocol:?}: {growth} bytes more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_app_is_not_sent_ahead_to() {
    let (bulk, gateway, process) = process_before_bulk().await;
    let length = 256 * MIB;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let person = gateway.person_over(protocol);
        assert_eq!(upload(&person, MIB).await, MIB.to_string());
        let memory = process.peak_memory();
        bulk.hold();
        let (count, sent) = counted(length);
        let request = person.request(Method::POST, "/up").timeout(PATIENCE);
        let sending = tokio::spawn(request.body(count).send());
        let ahead = standing(|| sent.load(std::sync::atomic::Ordering::SeqCst)).await;
        assert!(ahead < BETWEEN, "{protocol:?}: {ahead} bytes ahead");
        bulk.go_on();
        let answer = sending.await.unwrap().expect("an answer");
        assert_eq!(answer.text().await.unwrap(), length.to_string());
        let growth = process.peak_memory() - memory;
        assert!(growth < GROWTH, "{protocol:?}: {growth} bytes more");
    }
}

/// A body, and how much of it the client has handed on.
fn counted(bytes: u64) -> (Body, std::sync::Arc<std::sync::atomic::AtomicU64>) {
    let handed = std::sync::Arc::<std::sync::atomic::AtomicU64>::default();
    let counting = handed.clone();
    let pieces = (0..bytes / PIECE.len() as u64).map(move |_| {
        counting.fetch_add(PIECE.len() as u64, std::sync::atomic::Ordering::SeqCst);
        Ok::<_, std::io::Error>(Bytes::from_static(&PIECE))
    });
    (Body::wrap_stream(stream::iter(pieces)), handed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_the_middle_leaves_nothing_behind() {
    let (bulk, gateway, process) = process_before_bulk().await;
    let visitor = gateway.person();
    assert_eq!(upload(&visitor, MIB).await, MIB.to_string());
    let files = process.open_files();
    for head in [
        "POST /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\nsome",
        "POST /up HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
    ] {
        let (taken, broken_off) = (bulk.taken(), bulk.broken_off());
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        within(SOON, "the app has the beginning", || async {
            (bulk.taken() == taken + 4).then_some(())
        })
        .await;
        drop(stream);
        within(SOON, "the app learns of it", || async {
            (bulk.broken_off() == broken_off + 1).then_some(())
        })
        .await;
    }
    // Over HTTP/2, and in the middle of an answer.
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let broken_off = bulk.broken_off();
        let person = gateway.person_over(protocol);
        let request = person.request(Method::GET, &format!("/down/{GIB}"));
        let mut answer = request.send().await.unwrap();
        assert!(answer.chunk().await.unwrap().is_some());
        drop((answer, person));
        within(SOON, "the app learns of it", || async {
            (bulk.broken_off() == broken_off + 1).then_some(())
        })
        .await;
    }
    drop(visitor);
    within(SOON, "every connection is closed", || async {
        (process.open_files() <= files).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_waits_for_100_continue_and_a_refusal_comes_instead_of_it() {
    let (bulk, gateway) = before_bulk("max_body = '1KiB'").await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head = "POST /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\
                Connection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(bulk.taken(), 0);
    stream.write_all(b"some").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n4"),
        "{answer}"
    );

    let head = "POST /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1025\r\nExpect: 100-continue\r\n\r\n";
    let answer = raw::send(gateway.address, head.as_bytes()).await;
    assert_eq!(answer.statuses(), [413], "{}", answer.0);
    assert!(answer.0.contains("Connection: close"), "{}", answer.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_no_longer_than_its_route_takes() {
    let (bulk, gateway) = before_bulk("max_body = '1MiB'").await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let person = gateway.person_over(protocol);
        // Announced: the app hears nothing of it.
        let (taken, broken_off) = (bulk.taken(), bulk.broken_off());
        let exact = vec![b'x'; MIB as usize];
        let request = person.request(Method::POST, "/up").body(exact.clone());
        assert_eq!(person.send(request).await.text(), MIB.to_string());
        let request = person
            .request(Method::POST, "/up")
            .body([&exact[..], b"x"].concat());
        let refused = person.send(request).await;
        assert_eq!(refused.status, 413, "{protocol:?}");
        assert_eq!(refused.json()["error"], "too_large");
        assert_eq!(bulk.taken(), taken + MIB);
        assert_eq!(bulk.broken_off(), broken_off);
        // Counted: the app must not take it for whole.
        assert_eq!(upload(&person, MIB).await, MIB.to_string());
        let request = person.request(Method::POST, "/up").body(pieces(2 * MIB));
        match request.send().await {
            Ok(refused) => assert_eq!(refused.status(), 413, "{protocol:?}"),
            // The answer may be lost to a client that is still sending.
            Err(error) => assert!(
                error.is_request() || error.is_body(),
                "{protocol:?}: {error}"
            ),
        }
        within(SOON, "the app's connection breaks", || async {
            (bulk.broken_off() == broken_off + 1).then_some(())
        })
        .await;
        assert_eq!(upload(&person, MIB).await, MIB.to_string(), "others go on");
    }
    let chunked = format!(
        "POST /up HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n{}\r\n0\r\n\r\n",
        "x".repeat(MIB as usize + 1)
    );
    let answer = raw::send(gateway.address, chunked.as_bytes()).await;
    assert_eq!(answer.statuses(), [413], "{}", answer.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stalls_is_given_up() {
    let bulk = Bulk::start().await;
    let gateway = Gateway::start()
        .before(bulk.address)
        .with_upstream("read_timeout = '1s'")
        .with_route("path = '/*'\naccess = 'public'\nbody_timeout = '1s'")
        .await;
    let head = "POST /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nsome";
    let start = Instant::now();
    let answer = raw::send(gateway.address, head.as_bytes()).await;
    assert_eq!(answer.statuses(), [408], "{}", answer.0);
    assert!(start.elapsed() >= Duration::from_secs(1));

    let browser = gateway.person_over(Protocol::Http2);
    let stalls = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"some")) });
    let stalls = futures_util::StreamExt::chain(stalls, stream::pending());
    let request = browser
        .request(Method::POST, "/up")
        .body(Body::wrap_stream(stalls));
    let given_up = tokio::time::timeout(SOON, request.send()).await;
    let given_up = given_up.expect("it is given up").expect("in words");
    assert_eq!(given_up.status(), 408);
    within(SOON, "the app learns of it", || async {
        (bulk.broken_off() == 2).then_some(())
    })
    .await;
    assert_eq!(
        upload(&browser, MIB).await,
        MIB.to_string(),
        "the connection goes on"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_unknown_length_ends_once_so_that_the_next_request_is_read_from_its_start() {
    let (bulk, gateway) = before_bulk("").await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let person = gateway.person_over(protocol);
        for _ in 0..3 {
            // The body's last frame is an empty one here.
            assert_eq!(upload(&person, MIB).await, MIB.to_string(), "{protocol:?}");
        }
    }
    assert_eq!(bulk.broken_off(), 0);
}
