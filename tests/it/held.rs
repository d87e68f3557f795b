//! A POST is not lost: what meets a challenge is kept, shown, and sent once, as it was.

use futures_util::future::join_all;
use gatehouse::telemetry::metrics::HoldEvent;
use reqwest::Body;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::harness::{
    Gateway, Person,
    cookies::SESSION,
    gateway::Setup,
    held::{Button, FORM, kept_at},
    nginx::Nginx,
    person::Protocol,
    raw,
    script::{Act, Scripted},
    upstream::Upstream,
    visitor::{self, Visitor},
};

const ANN: &str = "ann@example.com";
const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

/// Ann, who has a passkey and has signed out.
async fn signed_out(gateway: &Gateway) -> Person {
    let ann = gateway.enrolled(ANN).await;
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    ann
}

/// A form with a file of so many bytes of every kind.
fn upload(file_bytes: usize) -> Vec<u8> {
    let file: Vec<u8> = (0..file_bytes).map(|at| (at * 31 % 256) as u8).collect();
    let mut body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"caf\u{e9}.bin\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )
    .into_bytes();
    body.extend(file);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
    body
}

fn in_chunks(body: &[u8]) -> Body {
    let chunks: Vec<Result<Vec<u8>, std::io::Error>> = body
        .chunks(10_000)
        .map(|chunk| Ok(chunk.to_vec()))
        .collect();
    Body::wrap_stream(futures_util::stream::iter(chunks))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_meets_sign_in_is_sent_after_it_as_it_was() {
    for (tls, protocol) in [
        (false, Protocol::Http1),
        (false, Protocol::Http2),
        (true, Protocol::Http2),
    ] {
        let setup = Gateway::start();
        let setup = if tls { setup.with_tls() } else { setup };
        let gateway = setup.await;
        let mut ann = gateway.person_over(protocol);
        let invitation = gateway.invite(ANN, &[]);
        ann.enrol(Some(&invitation), "/").await;
        ann.press_on_account_page("/.gatehouse/sign-out").await;
        ann.keep_cookie("basket", "7");
        let body = "to=Bob+%26+Co&amount=12%2C50&note=%E2%82%AC";
        let kept = ann.send_off("/transfer?from=1&x=%20", FORM, body).await;
        assert_eq!(kept.status, 303, "{}", kept.text());
        assert!(kept.leads_to("/.gatehouse/sign-in"), "{}", kept.location());
        let resume = kept_at(&kept);
        let sign_in = ann.open(&kept.location()).await;
        assert!(sign_in.text().contains("What you entered is kept."));
        assert!(ann.open(&resume).await.leads_to("/.gatehouse/sign-in"));

        let done = ann.sign_in(&resume).await;
        assert_eq!(done.json()["location"], resume.as_str());
        let page = ann.open(&resume).await;
        assert_eq!(page.status, 200, "{}", page.text());
        for shown in [
            "Send what you entered?",
            "has not been sent yet",
            "localhost/transfer<",
            "POST",
            "A form, 43 bytes",
        ] {
            assert!(page.text().contains(shown), "{shown}: {}", page.text());
        }
        assert_eq!(gateway.upstream.targets(), [""; 0], "nothing was sent yet");

        let sent = ann.press_send(&page).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        assert!(sent.text().contains("POST /transfer?from=1"));
        assert_eq!(sent.header("x-gatehouse-held"), "");
        let arrived = gateway.upstream.last_of("/transfer?from=1&x=%20");
        assert_eq!(arrived.method, "POST");
        assert_eq!(arrived.body, body.as_bytes());
        assert_eq!(arrived.header("content-type"), FORM);
        assert_eq!(arrived.header("content-length"), "43");
        assert_eq!(arrived.header("transfer-encoding"), "");
        assert_eq!(arrived.header("origin"), ann.origin);
        assert_eq!(
            arrived.header("referer"),
            format!("{}/form?step=2", ann.origin)
        );
        assert_eq!(arrived.header("cookie"), "basket=7");
        assert_eq!(arrived.header("remote-user"), ANN);
        assert_eq!(gateway.upstream.received().len(), 1);
        for event in [HoldEvent::Held, HoldEvent::Resumed] {
            assert_eq!(gateway.held(event), 1, "{event:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_meets_a_step_up_arrives_byte_for_byte() {
    for (protocol, chunked) in [
        (Protocol::Http1, false),
        (Protocol::Http1, true),
        (Protocol::Http2, true),
    ] {
        let gateway = Gateway::start().await;
        let invitation = gateway.invite(ANN, &[]);
        let mut ann = gateway.person_over(protocol);
        ann.enrol(Some(&invitation), "/").await;
        gateway.after(10);
        let body = upload(1024 * 1024 - 300);
        let sent = if chunked {
            in_chunks(&body)
        } else {
            body.clone().into()
        };
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let kept = ann.send_off("/admin/import", &kind, sent).await;
        assert!(kept.leads_to("/.gatehouse/step-up"), "{}", kept.text());
        let resume = kept_at(&kept);
        ann.step_up(&resume).await;
        let page = ann.open(&resume).await;
        assert!(page.text().contains("with files if you chose any, 1023."));
        assert_eq!(ann.press_send(&page).await.status, 200);
        let arrived = gateway.upstream.last_of("/admin/import");
        assert!(arrived.body == body, "{} bytes", arrived.body.len());
        assert_eq!(arrived.header("content-type"), kind);
        assert_eq!(arrived.header("content-length"), body.len().to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_upload_reaches_servers_of_either_protocol() {
    for (flags, protocol) in [("", ""), ("http2", "protocol = 'h2'")] {
        let app = Upstream::start().await;
        let server = Nginx::before(app.address, flags);
        let gateway = Gateway::start()
            .with("hold", "max_body = '16MiB'\nroom_per_network = '17MiB'")
            .with_upstream(protocol)
            .before(server.address)
            .await;
        gateway.invite(ANN, &[]);
        let ann = gateway.person();
        let body = upload(16 * 1024 * 1024 - 300);
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let resume = kept_at(&ann.send_off("/import", &kind, body.clone()).await);
        ann.keep_cookie(SESSION, &gateway.session(ANN, "full"));
        let page = ann.open(&resume).await;
        let sent = ann.press_send(&page).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        let arrived = app.last_of("/import");
        assert!(arrived.body == body, "{protocol}: {}", arrived.body.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_waits_to_be_asked_for_is_asked_for() {
    let gateway = Gateway::start().await;
    let form = format!(
        "POST /transfer HTTP/1.1\r\nHost: localhost:{port}\r\nSec-Fetch-Site: same-origin\r\n\
         Origin: {origin}\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
         Content-Type: {FORM}\r\nContent-Length: 6\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n\
         to=Bob",
        port = gateway.address.port(),
        origin = gateway.origin,
    );
    let answers = raw::send(gateway.address, form.as_bytes()).await;
    assert_eq!(answers.statuses(), [100, 303], "{}", answers.0);
    assert!(answers.0.contains("return_to=/.gatehouse/resume%3Fheld%3D"));
}

#[tokio::test(flavor = "multi_thread")]
async fn json_by_fetch_is_kept_and_sent_with_what_the_page_said_of_it() {
    let gateway = Gateway::start().await;
    let mut ann = signed_out(&gateway).await;
    let body = r#"{"to":"Bob","amount":12.5}"#;
    let told = ann.fetch_json("/api/transfer", body).await;
    assert_eq!(told.status, 401);
    assert_eq!(
        told.header("www-authenticate"),
        "Bearer realm=\"gatehouse\""
    );
    let resume = kept_at(&told);
    let json = told.json();
    assert_eq!(json["error"], "sign_in_required");
    assert_eq!(json["held"]["location"], resume.as_str());
    assert_eq!(json["held"]["expires_in"], 600);

    ann.sign_in(&resume).await;
    let page = ann.open(&resume).await;
    assert!(page.text().contains("Data from a page, 26 bytes"));
    assert!(page.text().contains("href=\"/form?step=2\""));
    // As the page's script does.
    let button = Button::on(&page);
    let request = ann
        .request(reqwest::Method::POST, &button.action)
        .header("Content-Type", "text/plain")
        .header("X-Gatehouse-Held", "send")
        .header("Sec-Fetch-Site", "same-origin")
        .header("Sec-Fetch-Mode", "cors")
        .header("Sec-Fetch-Dest", "empty")
        .body(button.body);
    assert_eq!(ann.send(request).await.status, 200);
    let arrived = gateway.upstream.last_of("/api/transfer");
    assert_eq!(arrived.body, body.as_bytes());
    assert_eq!(arrived.header("content-type"), "application/json");
    assert_eq!(arrived.header("accept"), "application/json");
    assert_eq!(arrived.header("x-csrf-token"), "from-the-page");
    assert_eq!(arrived.header("x-gatehouse-held"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_meets_re_enrolment_is_sent_once_a_passkey_is_saved() {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &[]);
    let mut ann = gateway.person_with_session(ANN, "restricted");
    let kept = ann.send_off("/transfer", FORM, "to=Bob").await;
    assert!(kept.leads_to("/.gatehouse/enrol"), "{}", kept.text());
    let resume = kept_at(&kept);
    assert!(ann.open(&resume).await.leads_to("/.gatehouse/enrol"));
    ann.enrol(None, &resume).await;
    let page = ann.open(&resume).await;
    assert_eq!(ann.press_send(&page).await.status, 200);
    assert_eq!(gateway.upstream.last_of("/transfer").body, b"to=Bob");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_fields_is_kept_as_well() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let gateway = Gateway::start().await;
        gateway.invite(ANN, &[]);
        let ann = gateway.person_over(protocol);
        let kept = ann.send_off("/notes/7/delete", FORM, "").await;
        let resume = kept_at(&kept);
        ann.keep_cookie(SESSION, &gateway.session(ANN, "full"));
        let page = ann.open(&resume).await;
        assert!(page.text().contains("A form, 0 bytes"));
        let sent = ann.press_send(&page).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        let arrived = gateway.upstream.last_of("/notes/7/delete");
        assert_eq!((arrived.method.as_str(), arrived.body.len()), ("POST", 0));
        assert_eq!(arrived.header("content-length"), "0");
        // The connection to the app is as good as before.
        assert_eq!(ann.open("/page").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_on_its_own_host_while_people_sign_in_on_another() {
    let gateway = visitor::gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    let kept = ann.app.send_off("/transfer", FORM, "to=Bob").await;
    assert!(kept.leads_to("/.gatehouse/sign-in"), "{}", kept.text());
    let resume = kept_at(&kept);
    let arrived = ann.open(visitor::APP, &kept.location()).await;
    assert_eq!(arrived.host, visitor::APP);
    assert!(
        arrived.way.last().unwrap().ends_with(&resume),
        "{:?}",
        arrived.way
    );
    let page = arrived.reply;
    assert!(page.text().contains("app.localhost/transfer"));
    assert_eq!(ann.app.press_send(&page).await.status, 200);
    assert_eq!(gateway.upstream.last_of("/transfer").body, b"to=Bob");

    let again = ann.app.send_off("/transfer", FORM, "to=Eve").await;
    assert_eq!(again.status, 200, "nothing is kept of who is signed in");
    let kept = ann.wiki.send_off("/transfer", FORM, "to=Eve").await;
    let elsewhere = ann.app.open(&kept_at(&kept)).await;
    assert_eq!(elsewhere.status, 404, "it is of another host");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_survives_a_restart() {
    let mut gateway = Gateway::start().await;
    let mut ann = signed_out(&gateway).await;
    let resume = kept_at(&ann.send_off("/transfer", FORM, "to=Bob").await);
    gateway.restart().await;
    ann.sign_in(&resume).await;
    let page = ann.open(&resume).await;
    assert_eq!(ann.press_send(&page).await.status, 200);
    assert_eq!(gateway.upstream.last_of("/transfer").body, b"to=Bob");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_that_is_too_old_again_is_asked_for_again_and_nothing_is_spent() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    gateway.after(6);
    let kept = ann.send_off("/admin/import", FORM, "a=1").await;
    let resume = kept_at(&kept);
    ann.step_up(&resume).await;
    let page = ann.open(&resume).await;
    gateway.after(6);
    let asked = ann.press_send(&page).await;
    assert!(asked.leads_to("/.gatehouse/step-up"), "{}", asked.text());
    assert_eq!(asked.header("x-gatehouse-held"), "not-sent");
    assert_eq!(kept_at(&asked), resume);
    assert_eq!(gateway.held(HoldEvent::Held), 1, "the button is not kept");
    assert_eq!(gateway.upstream.targets(), [""; 0]);
    ann.step_up(&resume).await;
    assert_eq!(ann.press_send(&page).await.status, 200);
    assert_eq!(gateway.upstream.last_of("/admin/import").body, b"a=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_sends_once() {
    let gateway = Gateway::start().await;
    let mut ann = signed_out(&gateway).await;
    let resume = kept_at(&ann.send_off("/transfer", FORM, "to=Bob").await);
    ann.sign_in(&resume).await;
    let page = ann.open(&resume).await;
    let clicks = (0..5).map(|_| ann.press_send(&page));
    let mut answers = join_all(clicks).await;
    answers.sort_by_key(|answer| answer.status.as_u16());
    assert_eq!(answers[0].status, 200, "{}", answers[0].text());
    for answer in &answers[1..] {
        assert_eq!(answer.status, 409);
        assert!(answer.text().contains("This was sent already"));
        assert_eq!(answer.header("x-gatehouse-held"), "not-sent");
    }
    assert_eq!(gateway.upstream.targets(), ["/transfer"]);
    assert_eq!(ann.open(&resume).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_server_could_be_given_waits_again() {
    let place = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = place.local_addr().unwrap();
    drop(place);
    let gateway = Gateway::start().before(address).await;
    let mut ann = signed_out(&gateway).await;
    let resume = kept_at(&ann.send_off("/transfer", FORM, "to=Bob").await);
    ann.sign_in(&resume).await;
    let page = ann.open(&resume).await;
    let down = ann.press_send(&page).await;
    assert_eq!(down.status, 502);
    assert!(down.text().contains("Nothing was sent."), "{}", down.text());
    assert!(down.text().contains(&format!("href=\"{resume}\"")));
    assert_eq!(down.header("x-gatehouse-held"), "not-sent");
    assert_eq!(gateway.held(HoldEvent::GivenBack), 1);

    let app = TcpListener::bind(address).await.expect("its port is free");
    let served = tokio::spawn(async move {
        let (mut stream, _) = app.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"to=Bob") {
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        stream.write_all(answer).await.unwrap();
    });
    let page = ann.open(&resume).await;
    let sent = ann.press_send(&page).await;
    assert_eq!((sent.status.as_u16(), sent.text().as_str()), (200, "ok"));
    served.await.unwrap();
}

/// A kept connection may be closed under a request, and then nobody knows whether it was acted on.
#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_a_connection_of_its_own_and_to_one_server_once() {
    let server = Scripted::start(&[Act::Answer, Act::Close]).await;
    let other = Scripted::start(&[]).await;
    let gateway = before(&[&server, &other]).await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person();
    let resume = kept_at(&ann.send_off("/transfer", FORM, "to=Bob").await);
    ann.keep_cookie(SESSION, &gateway.session(ANN, "full"));
    let page = ann.open(&resume).await;
    for _ in 0..2 {
        assert_eq!(ann.open("/page").await.status, 200);
    }
    let broken = ann.press_send(&page).await;
    assert_eq!(broken.status, 502);
    assert!(
        broken.text().contains("Look in the application"),
        "{}",
        broken.text()
    );
    assert_eq!(broken.header("x-gatehouse-held"), "");
    assert_eq!(server.methods(), ["GET", "POST"]);
    assert_eq!(server.connections(), 2);
    assert_eq!(other.methods(), ["GET"]);
    assert_eq!(ann.press_send(&page).await.status, 409);
}

async fn before(servers: &[&Scripted]) -> Gateway {
    let setup = Gateway::start().with_upstream("eject = { failures = 0 }\nretries = 5");
    let before = |setup: Setup, server: &&Scripted| setup.before(server.address);
    servers.iter().fold(setup, before).await
}

/// What apps send themselves in the one encoding that the gateway looks into.
#[tokio::test(flavor = "multi_thread")]
async fn an_apps_own_plain_forms_pass_as_they_are() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let gateway = Gateway::start().await;
        let ann = gateway.person_over(protocol);
        for length in [0, 3, 20, 70_000, 3_000_000] {
            let body: Vec<u8> = b"gatehouse-hold="
                .iter()
                .copied()
                .cycle()
                .take(length)
                .collect();
            for chunked in [false, true] {
                let sent = if chunked {
                    in_chunks(&body)
                } else {
                    body.clone().into()
                };
                let target = format!("/public/{length}-{chunked}");
                let reply = ann.send_off(&target, "text/plain", sent).await;
                assert_eq!(reply.status, 200, "{target}: {}", reply.text());
                let arrived = gateway.upstream.last_of(&target);
                assert!(
                    arrived.body == body,
                    "{target}: {} bytes",
                    arrived.body.len()
                );
            }
        }
    }
}
