//! Clients that break the protocol, by mistake or on purpose: what they send is read in one way or not at all, and
//! what one of them does is never part of what another gets.

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{
    Gateway,
    hostile::{Deed, Hostile, Then, own_body},
    raw,
    waiting::{SOON, within},
};

async fn before_app() -> (Hostile, Gateway) {
    let app = Hostile::start().await;
    let gateway = Gateway::start()
        .before(app.address)
        .with_upstream("read_timeout = '1s'")
        .with_route("path = '/closed/*'")
        .with_route("path = '/small/*'\naccess = 'public'\nmax_body = '10B'")
        .with_route("path = '/*'\naccess = 'public'\nbody_timeout = '1s'")
        .await;
    (app, gateway)
}

/// The targets of the requests that the app took for whole.
fn targets(app: &Hostile) -> Vec<String> {
    let heard = app.heard();
    let target = |request: &String| request.split(' ').nth(1).map(str::to_owned);
    heard.iter().filter_map(target).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_within_another_is_never_served() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = smuggled.len();
    let cases = [
        (
            "the body of a request that is turned away",
            format!(
                "POST /closed/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{smuggled}"
            ),
            &[401][..],
        ),
        (
            "the body of a request that is too long",
            format!(
                "POST /small/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{smuggled}"
            ),
            &[413],
        ),
        (
            "a chunk of a request that is too long",
            format!(
                "POST /small/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{smuggled}\r\n0\r\n\r\n"
            ),
            &[413],
        ),
        (
            "the body of a request that waits to go on and is turned away",
            format!(
                "POST /closed/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n{smuggled}"
            ),
            &[401],
        ),
        (
            "behind a length and chunks",
            format!(
                "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
            ),
            &[400],
        ),
        (
            "behind two lengths",
            format!(
                "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: {length}\r\n\r\n{smuggled}"
            ),
            &[400],
        ),
        (
            "behind a target that cannot be read",
            format!("GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n{smuggled}"),
            &[400],
        ),
        (
            "behind a chunk that is none",
            format!(
                "POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{smuggled}"
            ),
            &[400],
        ),
        (
            "behind an answer that the app spoils",
            format!("GET /spoilt HTTP/1.1\r\nHost: localhost\r\n\r\n{smuggled}"),
            &[502],
        ),
        (
            "in a switch of protocols that the app refuses",
            format!(
                "GET /closed/x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: {length}\r\n\r\n{smuggled}"
            ),
            &[401],
        ),
    ];
    // At once: some connections stay open, and are listened to for a while.
    let each = cases.map(|(what, request, statuses)| {
        Box::pin(async move {
            let (app, gateway) = before_app().await;
            app.on("/spoilt", Deed::saying("hello", Then::Close));
            let answers = raw::send(gateway.address, request.as_bytes()).await;
            assert_eq!(answers.statuses(), statuses, "{what}: {}", answers.0);
            assert!(!targets(&app).contains(&"/smuggled".to_owned()), "{what}");
            let own = raw::get(gateway.address, "/other", &[]).await;
            assert!(own.0.ends_with(&own_body("/other")), "{what}: {}", own.0);
        })
    });
    join_all(each).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_on_one_connection_get_their_answers_in_their_order() {
    let (app, gateway) = before_app().await;
    let requests = "GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n\
                    POST /2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody\
                    GET /closed/3 HTTP/1.1\r\nHost: localhost\r\n\r\n\
                    GET /4 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answers = raw::send(gateway.address, requests.as_bytes()).await;
    assert_eq!(answers.statuses(), [200, 200, 401, 200], "{}", answers.0);
    let places: Vec<_> = ["/1", "/2", "/4"]
        .map(|target| answers.0.find(&own_body(target)).expect("its answer"))
        .into();
    assert!(places.is_sorted());
    assert_eq!(targets(&app), ["/1", "/2", "/4"]);
    assert!(app.heard()[1].ends_with("\r\n\r\nbody"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_lies_harms_only_its_sender() {
    let (app, gateway) = before_app().await;
    // Shorter than the body: what is left over is no request.
    let short =
        "POST /short HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nbody and more\r\n\r\n";
    let answers = raw::send(gateway.address, short.as_bytes()).await;
    assert_eq!(answers.statuses(), [200, 400], "{}", answers.0);
    assert!(app.heard()[0].ends_with("\r\n\r\nbo"));
    // Longer: the rest never comes, and the app must not take the beginning for the whole.
    let long = "POST /long HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\nbody";
    let answers = raw::send(gateway.address, long.as_bytes()).await;
    assert_eq!(answers.statuses(), [408], "{}", answers.0);
    // A chunk that is cut off.
    app.on("/chunk", Deed::saying("", Then::Hold));
    let chunk =
        "POST /chunk HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n14\r\nbody";
    let answers = raw::send(gateway.address, chunk.as_bytes()).await;
    assert_eq!(answers.statuses(), [408], "{}", answers.0);
    assert_eq!(targets(&app)[0], "/short");
    let own = raw::get(gateway.address, "/other", &[]).await;
    assert!(own.0.ends_with(&own_body("/other")), "{}", own.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_upstream_connection_along() {
    let (app, gateway) = before_app().await;
    app.on("/silent", Deed::saying("", Then::Hold));
    for half_closed in [false, true] {
        let before = app.connections_closed();
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream
            .write_all(b"GET /silent HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        let asked = if half_closed { 2 } else { 1 };
        within(SOON, "the app has the request", || async {
            (targets(&app).len() >= asked).then_some(())
        })
        .await;
        if half_closed {
            stream.shutdown().await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "", "who says no more is taken to have left");
        } else {
            drop(stream);
        }
        within(SOON, "the app learns of it", || async {
            (app.connections_closed() == before + 1).then_some(())
        })
        .await;
    }
    let own = raw::get(gateway.address, "/other", &[]).await;
    assert!(own.0.ends_with(&own_body("/other")), "{}", own.0);
}
