//! Clients of HTTP/2 that mean harm: each comes to an end that is laid down, and nobody else notices.

use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::harness::{
    Gateway,
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, End, Frames, HEADERS, PING, PRIORITY,
        RST_STREAM, SETTINGS, WINDOW_UPDATE, content_type, frame, request,
    },
    upstream::Answer,
};

/// Sends the same frames again and again, far more often than anybody has to.
async fn flood(gateway: &Gateway, first: &[u8], again: &[u8]) -> usize {
    let mut attacker = Frames::connect(gateway.address).await;
    assert!(attacker.send_bytes(first).await);
    let mut sent = 0;
    while sent < MANY && attacker.send_bytes(again).await {
        sent += 1;
    }
    attacker.closed().await;
    sent
}

const MANY: usize = 200_000;

async fn others_are_served(gateway: &Gateway) {
    assert_eq!(gateway.person().open("/public/page").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_frames_that_carry_nothing_costs_the_connection() {
    let gateway = Gateway::start().await;
    let post = frame(HEADERS, END_HEADERS, 1, &request("POST", "/public/upload"));
    for (name, first, again) in [
        ("ping", Vec::new(), frame(PING, 0, 0, &[0; 8])),
        ("settings", Vec::new(), frame(SETTINGS, 0, 0, &[])),
        (
            "priority",
            Vec::new(),
            frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 9]),
        ),
        ("empty data", post, frame(DATA, 0, 1, &[])),
        ("unknown", Vec::new(), frame(99, 0, 0, &[1, 2, 3])),
    ] {
        let sent = flood(&gateway, &first, &again).await;
        assert!(sent < MANY, "{name}: {sent} were taken");
        others_are_served(&gateway).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_of_an_ordinary_client_are_answered() {
    let gateway = Gateway::start().await;
    let mut client = Frames::connect(gateway.address).await;
    for number in 0..200_u8 {
        assert!(client.send(PING, 0, 0, &[number; 8]).await);
        loop {
            let answer = client.next().await.expect("the connection stays");
            if answer.kind == PING {
                assert_eq!((answer.flags, answer.payload), (1, vec![number; 8]));
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rapid_reset_costs_the_connection() {
    let gateway = Gateway::start().await;
    gateway.upstream.answer("/public/slow", Answer::Silence);
    let mut attacker = Frames::connect(gateway.address).await;
    let get = request("GET", "/public/slow");
    let mut stream = 1;
    while stream < 100_001 {
        let begin = frame(HEADERS, END_HEADERS | END_STREAM, stream, &get);
        let reset = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        if !attacker.send_bytes(&[begin, reset].concat()).await {
            break;
        }
        stream += 2;
    }
    attacker.closed().await;
    others_are_served(&gateway).await;
    let reached = gateway.upstream.received().len();
    assert!(reached < 300, "{reached} requests were begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_never_ends_costs_the_connection() {
    let gateway = Gateway::start().await;
    let begin = frame(HEADERS, 0, 1, &request("GET", "/public/page"));
    for piece in [&b""[..], &[0x00, 1, b'a', 1, b'b']] {
        let more = frame(CONTINUATION, 0, 1, piece);
        let sent = flood(&gateway, &begin, &more).await;
        assert!(sent < MANY, "{sent} were taken");
        others_are_served(&gateway).await;
    }
    assert_eq!(gateway.upstream.targets().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_header_that_unpacks_to_a_large_one_is_refused() {
    let gateway = Gateway::start().await;
    let mut attacker = Frames::connect(gateway.address).await;
    // A field of 3,000 bytes goes into the dynamic table once, then stands there by one byte each time.
    let value = [b'x'; 3000];
    let entry = [&[0x40, 1, b'a', 0x7f, 0xb9, 0x16][..], &value].concat();
    let bomb = [request("GET", "/public/page"), entry, vec![0xbe; 10_000]].concat();
    assert!(
        attacker
            .send(HEADERS, END_HEADERS | END_STREAM, 1, &bomb)
            .await
    );
    // 431, a reset or the end: the app hears nothing.
    loop {
        match attacker.next().await {
            Some(answer) if answer.kind == HEADERS || answer.kind == RST_STREAM => break,
            Some(_) => {}
            None => break,
        }
    }
    assert_eq!(gateway.upstream.targets(), [""; 0]);
    others_are_served(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_overflows_ends_the_connection() {
    const FLOW_CONTROL_ERROR: u32 = 3;
    let gateway = Gateway::start().await;
    let mut attacker = Frames::connect(gateway.address).await;
    let most = 0x7fff_ffff_u32.to_be_bytes();
    attacker.send(WINDOW_UPDATE, 0, 0, &most).await;
    attacker.send(WINDOW_UPDATE, 0, 0, &most).await;
    assert_eq!(attacker.end().await, End::Goaway(FLOW_CONTROL_ERROR));
    attacker.closed().await;
    others_are_served(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_update_of_nothing_is_a_fault() {
    const PROTOCOL_ERROR: u32 = 1;
    let gateway = Gateway::start().await;
    let mut attacker = Frames::connect(gateway.address).await;
    attacker.send(WINDOW_UPDATE, 0, 0, &[0; 4]).await;
    assert_eq!(attacker.end().await, End::Goaway(PROTOCOL_ERROR));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_nothing_loses_its_stream() {
    let gateway = Gateway::start()
        .with("server.limits", "stall_timeout = '1s'\nin_flight = 1")
        .await;
    // SETTINGS_INITIAL_WINDOW_SIZE = 0: the answer's body may never be sent.
    let none = [0, 4, 0, 0, 0, 0];
    let mut attacker = Frames::connect_with(gateway.address, &none).await;
    let get = request("GET", "/public/page");
    attacker
        .send(HEADERS, END_HEADERS | END_STREAM, 1, &get)
        .await;
    assert!(matches!(
        attacker.end().await,
        End::Reset(_) | End::Closed | End::Goaway(_)
    ));
    // Its place among the requests in flight is free again.
    others_are_served(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_coming_costs_the_stream_and_the_connection_goes_on() {
    let gateway = Gateway::start()
        .with("server.limits", "stall_timeout = '1s'\nin_flight = 1")
        .with_upstream("write_timeout = '1s'")
        .await;
    for path in ["/public/upload", "/.gatehouse/sign-in/email"] {
        let mut client = Frames::connect(gateway.address).await;
        let post = request("POST", path);
        client.send(HEADERS, END_HEADERS, 1, &post).await;
        client.send(DATA, 0, 1, b"begun").await;
        // An own page says 408; what an app was sent half of can only be reset.
        loop {
            let answer = client.next().await.expect("the connection stays");
            if answer.stream == 1 && matches!(answer.kind, HEADERS | RST_STREAM) {
                break;
            }
        }
        let get = request("GET", "/public/page");
        client
            .send(HEADERS, END_HEADERS | END_STREAM, 3, &get)
            .await;
        assert!(client.is_answered(3).await, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_body_that_is_waited_for_can_stall() {
    let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Gateway::start()
        .before(app.local_addr().unwrap())
        .with("server.limits", "stall_timeout = '1s'")
        .with_upstream("write_timeout = '1s'")
        .await;
    // It has sent all of its body and waits for its answer.
    let mut waiting = Frames::connect(gateway.address).await;
    let post = request("POST", "/public/wait");
    waiting.send(HEADERS, END_HEADERS, 1, &post).await;
    waiting.send(DATA, END_STREAM, 1, b"whole").await;
    let mut waiting_app = app.accept().await.unwrap().0;
    // Twice the patience, told by others who stall; it does not help to pretend to be a call of gRPC.
    for pretence in [vec![], content_type("application/grpc")] {
        let mut stalled = Frames::connect(gateway.address).await;
        let upload = [request("POST", "/public/upload"), pretence].concat();
        stalled.send(HEADERS, END_HEADERS, 1, &upload).await;
        assert!(matches!(stalled.end().await, End::Reset(_)));
        drop(app.accept().await.unwrap());
    }
    let done = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    waiting_app.write_all(done.as_bytes()).await.unwrap();
    assert!(waiting.is_answered(1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_asked_to_go_after_its_requests() {
    let gateway = Gateway::start()
        .with("server.limits", "requests_per_connection = 2")
        .await;
    let mut client = Frames::connect(gateway.address).await;
    let get = request("GET", "/public/page");
    for stream in [1, 3] {
        client
            .send(HEADERS, END_HEADERS | END_STREAM, stream, &get)
            .await;
    }
    assert_eq!(client.end().await, End::Goaway(0));
    // A client that keeps to it notices nothing.
    let person = gateway.person_over(crate::harness::person::Protocol::Http2);
    for _ in 0..7 {
        assert_eq!(person.open("/public/page").await.status, 200);
    }
}
