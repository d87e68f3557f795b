//! One reading of every request: what could be read in two ways is refused, and what was decided about is
//! what reaches the app.

use crate::harness::{Gateway, cookies::SESSION, raw};

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_can_be_read_in_two_ways_is_refused() {
    let gateway = Gateway::start().await;
    for target in [
        "/public/%2e%2e/admin",
        "/public/%2E%2E/admin",
        "/public/.%2e/admin",
        "/public/%2fadmin",
        "/public%2f..%2fadmin",
        "/public/%5cadmin",
        "/public/..\\admin",
        "/public/%252e%252e/admin",
        "/public/%00",
        "/public/%0d%0aX-Injected:%20yes",
        "/public/%c0%ae%c0%ae/admin",
        "/public/%ff",
        "/public/%zz",
        "/public/%2",
        "public/page",
        "admin",
        "http://elsewhere.example/public/page",
        "http://localhost:1/public/page",
        "*",
    ] {
        let answer = raw::get(gateway.address, target, &[]).await;
        assert_eq!(answer.status(), 400, "{target}");
    }
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_bytes_outside_ascii_and_control_bytes_are_refused() {
    let gateway = Gateway::start().await;
    for byte in [0x00, 0x01, 0x09, 0x0b, 0x7f, 0x80, 0xc3, 0xff] {
        let mut request = b"GET /public/".to_vec();
        request.push(byte);
        request.extend_from_slice(b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = raw::send(gateway.address, &request).await;
        assert!(answer.refused(), "{byte:#04x}: {}", answer.0);
    }
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dot_segments_never_lead_out_of_a_public_place() {
    let gateway = Gateway::start().await;
    for target in [
        "/public/../admin",
        "/public/./../admin/x",
        "/public/..",
        "/public/../public/../admin",
    ] {
        let answer = raw::get(gateway.address, target, &["Accept: text/html"]).await;
        assert_ne!(answer.status(), 200, "{target}");
    }
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_that_apps_differ_in_are_held_to_the_strictest_of_them() {
    let gateway = Gateway::start().await;
    gateway.invite("ann@example.com", &[]);
    let cookie = gateway.session("ann@example.com", "full");
    let cookie = format!("Cookie: {SESSION}={cookie}");
    for target in [
        "/Admin/x",
        "/ADMIN",
        "//admin/x",
        "/admin;v=1/x",
        "/public/..;/admin",
        "/%61dmin/x",
    ] {
        let answer = raw::get(gateway.address, target, &[&cookie]).await;
        assert_ne!(answer.status(), 200, "{target} passed without a step-up");
    }
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_receives_the_reading_that_was_decided_about() {
    let gateway = Gateway::start().await;
    for (sent, forwarded) in [
        ("/public/a%20b", "/public/a%20b"),
        ("/public/%7euser", "/public/~user"),
        ("/public/caf%c3%a9", "/public/caf%C3%A9"),
        (
            "/public/x?q=%2e%2e/&r=a+b%26",
            "/public/x?q=%2e%2e/&r=a+b%26",
        ),
        ("/public/x?", "/public/x?"),
    ] {
        assert_eq!(
            raw::get(gateway.address, sent, &[]).await.status(),
            200,
            "{sent}"
        );
        assert_eq!(gateway.upstream.last().target, forwarded, "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn absolute_form_that_agrees_with_host_is_the_same_request() {
    let gateway = Gateway::start().await;
    let answer = raw::get(gateway.address, "http://localhost/public/page", &[]).await;
    // RFC 9112 §3.2.2 asks servers to take it.
    assert_eq!(answer.status(), 200);
    assert_eq!(gateway.upstream.last().target, "/public/page");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_may_tolerate_an_ambiguity_by_name() {
    let gateway = Gateway::start()
        .with_route("path = '/repos/*'\naccess = 'public'\ntolerate = ['encoded-slash']")
        .with_route("path = '/*'\naccess = 'public'")
        .await;
    assert_eq!(
        raw::get(gateway.address, "/repos/a%2fb", &[])
            .await
            .status(),
        200
    );
    assert_eq!(
        gateway.upstream.last().target.to_ascii_lowercase(),
        "/repos/a%2fb"
    );
    assert_eq!(
        raw::get(gateway.address, "/else/a%2fb", &[]).await.status(),
        400
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_needs_exactly_one_host_that_is_a_host() {
    let gateway = Gateway::start().await;
    for lines in [
        "",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: localhost\r\nHost: elsewhere.example\r\n",
        "Host: local host\r\n",
        "Host: localhost/admin\r\n",
        "Host: user@localhost\r\n",
        "Host: \r\n",
    ] {
        let request = format!("GET /public/page HTTP/1.1\r\n{lines}Connection: close\r\n\r\n");
        assert!(
            raw::send(gateway.address, request.as_bytes())
                .await
                .refused(),
            "{lines:?}"
        );
    }
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_are_not_for_apps_are_refused() {
    let gateway = Gateway::start().await;
    for method in ["TRACE", "TRACK", "CONNECT"] {
        let request = format!(
            "{method} /public/page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        );
        assert!(
            raw::send(gateway.address, request.as_bytes())
                .await
                .refused(),
            "{method}"
        );
    }
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_apps_use_pass() {
    let gateway = Gateway::start().await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let request = format!(
            "{method} /public/page HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            raw::send(gateway.address, request.as_bytes())
                .await
                .status(),
            200,
            "{method}"
        );
        assert_eq!(gateway.upstream.last().method, method);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_cannot_hide_in_the_body_of_a_first() {
    let gateway = Gateway::start().await;
    let hidden = "GET /public/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let framed = format!("0\r\n\r\n{hidden}");
    for framing in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked".to_owned(),
        format!(
            "Transfer-Encoding: chunked\r\nContent-Length: {}",
            framed.len()
        ),
        "Content-Length: 0\r\nContent-Length: 6".to_owned(),
        "Content-Length: 0, 6".to_owned(),
        "Content-Length: +0".to_owned(),
        "Content-Length: -1".to_owned(),
        "Content-Length: 0x6".to_owned(),
        "Transfer-Encoding: gzip, chunked".to_owned(),
        "Transfer-Encoding: chunked, chunked".to_owned(),
        "Transfer-Encoding: xchunked".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity".to_owned(),
        "Transfer-Encoding : chunked".to_owned(),
        "Transfer-Encoding:\u{b}chunked".to_owned(),
        "X: y\r\n Transfer-Encoding: chunked".to_owned(),
    ] {
        let request =
            format!("POST /public/first HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n{framed}");
        let answer = raw::send(gateway.address, request.as_bytes()).await;
        assert!(answer.refused(), "{framing}: {}", answer.0);
        let hidden_arrived = gateway
            .upstream
            .targets()
            .iter()
            .any(|target| target == "/public/hidden");
        assert!(!hidden_arrived, "{framing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn header_names_that_an_app_could_take_for_framing_do_not_reach_it() {
    let gateway = Gateway::start().await;
    for line in [
        "Content_Length: 100",
        "Transfer_Encoding: chunked",
        "Content.Length: 100",
    ] {
        raw::get(gateway.address, "/public/page", &[line]).await;
        if let Some(request) = gateway.upstream.received().pop() {
            let (name, _) = line.split_once(':').unwrap();
            assert!(request.values(name).is_empty(), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_end_in_a_bare_line_feed_are_refused() {
    let gateway = Gateway::start().await;
    let request = b"GET /public/page HTTP/1.1\nHost: localhost\nConnection: close\n\n";
    assert!(raw::send(gateway.address, request).await.refused());
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_head_is_refused() {
    let gateway = Gateway::start().await;
    let large = format!("X-Large: {}", "x".repeat(200 * 1024));
    let answer = raw::get(gateway.address, "/public/page", &[&large]).await;
    assert!(answer.refused(), "{}", answer.status());
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}
