//! Who gets through to the app, by which route, and what becomes of requests on the way.

use reqwest::Method;

use crate::harness::{Gateway, raw, upstream::Answer};

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_session_passes_where_its_route_says() {
    let gateway = Gateway::start().await;
    gateway.invite("ann@example.com", &[]);
    let visitor = gateway.person();
    let restricted = gateway.person_with_session("ann@example.com", "restricted");
    let full = gateway.person_with_session("ann@example.com", "full");
    let stepped_up = gateway.person_with_session("ann@example.com", "step_up");
    let sign_in = "/.gatehouse/sign-in";
    let enrol = "/.gatehouse/enrol";
    let step_up = "/.gatehouse/step-up";
    for (path, [none, some, more, most]) in [
        ("/public/x", ["", "", "", ""]),
        ("/notes/x", [sign_in, "", "", ""]),
        ("/report", [sign_in, enrol, "", ""]),
        ("/admin/x", [sign_in, enrol, step_up, ""]),
    ] {
        for (person, turned_to) in [
            (&visitor, none),
            (&restricted, some),
            (&full, more),
            (&stepped_up, most),
        ] {
            let reply = person.open(path).await;
            if turned_to.is_empty() {
                assert_eq!(reply.status, 200, "{path}");
            } else {
                assert!(
                    reply.leads_to(turned_to),
                    "{path}: {} {}",
                    reply.status,
                    reply.location()
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_turned_away_takes_the_way_back_along() {
    let gateway = Gateway::start().await;
    let reply = gateway.person().open("/report?year=2025&part=a%26b").await;
    let query = reply.location();
    let query = query.split_once('?').expect("a query").1.to_owned();
    let return_to =
        url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "return_to");
    assert_eq!(return_to.unwrap().1, "/report?year=2025&part=a%26b");
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_get_a_challenge_they_can_read_instead_of_a_page() {
    let gateway = Gateway::start().await;
    gateway.invite("ann@example.com", &[]);
    let full = gateway.person_with_session("ann@example.com", "full");
    for (person, method, path) in [
        (gateway.person(), Method::GET, "/report"),
        (gateway.person(), Method::POST, "/public-not"),
        (
            gateway.person_with_session("ann@example.com", "restricted"),
            Method::POST,
            "/transfer",
        ),
        (full, Method::DELETE, "/admin/x"),
    ] {
        let reply = person.fetch(method, path).await;
        assert_eq!(reply.status, 401, "{path}");
        assert!(
            reply.header("content-type").starts_with("application/json"),
            "{path}"
        );
        assert!(reply.json().is_object());
        assert!(!reply.header("www-authenticate").is_empty(), "{path}");
    }
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_route_is_closed_to_others() {
    let gateway = Gateway::start().await;
    gateway.invite("ann@example.com", &["--group", "staff"]);
    gateway.invite("bob@example.com", &["--group", "guests"]);
    let ann = gateway.person_with_session("ann@example.com", "full");
    let bob = gateway.person_with_session("bob@example.com", "full");
    assert_eq!(ann.open("/staff/plan").await.status, 200);
    assert_eq!(bob.open("/staff/plan").await.status, 403);
    assert_eq!(gateway.upstream.targets(), ["/staff/plan"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_domains_narrow_a_route_too() {
    let gateway = Gateway::start()
        .with_route("path = '/one/*'\nallow = { emails = ['ann@example.com'] }")
        .with_route("path = '/all/*'\nallow = { email_domains = ['example.com'] }")
        .await;
    for email in ["ann@example.com", "bob@example.com", "eve@sub.example.com"] {
        gateway.invite(email, &[]);
    }
    let ann = gateway.person_with_session("ann@example.com", "full");
    let bob = gateway.person_with_session("bob@example.com", "full");
    let eve = gateway.person_with_session("eve@sub.example.com", "full");
    assert_eq!(ann.open("/one/x").await.status, 200);
    assert_eq!(bob.open("/one/x").await.status, 403);
    assert_eq!(bob.open("/all/x").await.status, 200);
    assert_eq!(eve.open("/all/x").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_route_names_is_not_forwarded() {
    let gateway = Gateway::start()
        .with_route("host = 'localhost'\npath = '/only/*'\naccess = 'public'")
        .await;
    let visitor = gateway.person();
    assert_eq!(visitor.open("/only/x").await.status, 200);
    assert_eq!(visitor.open("/other").await.status, 404);
    let elsewhere = "GET /only/x HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close\r\n\r\n";
    assert_eq!(
        raw::send(gateway.address, elsewhere.as_bytes())
            .await
            .status(),
        404
    );
    assert_eq!(gateway.upstream.targets(), ["/only/x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn own_pages_are_never_forwarded() {
    let gateway = Gateway::start()
        .with_route("path = '/*'\naccess = 'public'")
        .await;
    for path in [
        "/.gatehouse/sign-in",
        "/.gatehouse/nothing-here",
        "/.gatehouse",
        "/.Gatehouse/sign-in",
    ] {
        raw::get(gateway.address, path, &[]).await;
    }
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hop_by_hop_fields_end_at_the_gateway() {
    let gateway = Gateway::start().await;
    let answer = raw::get(
        gateway.address,
        "/public/page",
        &[
            "Connection: X-Only-For-You",
            "X-Only-For-You: secret",
            "Keep-Alive: timeout=5",
            "Proxy-Authorization: Basic eDp5",
            "Proxy-Connection: keep-alive",
            "TE: trailers",
            "X-End-To-End: kept",
        ],
    )
    .await;
    assert_eq!(answer.status(), 200);
    let request = gateway.upstream.last();
    for name in [
        "X-Only-For-You",
        "Keep-Alive",
        "Proxy-Authorization",
        "Proxy-Connection",
    ] {
        assert!(request.values(name).is_empty(), "{name}");
    }
    assert_eq!(request.header("X-End-To-End"), "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_down_gets_the_visitor_a_plain_page_with_a_request_id() {
    // A port that was free a moment ago: nothing listens there.
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let gateway = Gateway::start().before(unused).await;
    let reply = gateway.person().open("/public/page").await;
    assert_eq!(reply.status, 502);
    assert!(reply.header("content-type").starts_with("text/html"));
    let id = reply.header("x-request-id");
    assert_eq!(id.len(), 32, "{id:?}");
    assert!(reply.text().contains(id), "{}", reply.text());
    assert!(!reply.text().contains(&unused.port().to_string()));

    let reply = gateway.person().fetch(Method::GET, "/public/page").await;
    assert_eq!(reply.status, 502);
    assert!(
        reply.header("content-type").starts_with("application/json"),
        "{}",
        reply.header("content-type")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_says_nothing_gets_the_visitor_a_page_that_says_so() {
    let gateway = Gateway::start().with_upstream("read_timeout = '1s'").await;
    gateway.upstream.answer("/public/slow", Answer::Silence);
    let reply = gateway.person().open("/public/slow").await;
    assert_eq!(reply.status, 504);
    assert!(
        reply.text().contains(reply.header("x-request-id")),
        "{}",
        reply.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_hangs_up_gets_the_visitor_the_same_page() {
    let gateway = Gateway::start().await;
    gateway.upstream.answer("/public/broken", Answer::HangUp);
    let reply = gateway.person().open("/public/broken").await;
    assert_eq!(reply.status, 502);
    assert!(reply.text().contains(reply.header("x-request-id")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apps_own_errors_and_headers_are_passed_on_as_they_are() {
    let gateway = Gateway::start().await;
    let answer = b"HTTP/1.1 418 I'm a teapot\r\nX-App: yes\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 5\r\n\r\nshort";
    gateway
        .upstream
        .answer("/public/teapot", Answer::Raw(answer.to_vec()));
    let reply = gateway.person().open("/public/teapot").await;
    assert_eq!(reply.status, 418);
    assert_eq!(reply.header("x-app"), "yes");
    assert_eq!(reply.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(reply.text(), "short");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_cannot_set_the_session_cookie() {
    let gateway = Gateway::start().await;
    let answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: __Host-gatehouse=planted; Secure; Path=/\r\nSet-Cookie: own=1\r\nContent-Length: 0\r\n\r\n";
    gateway
        .upstream
        .answer("/public/plant", Answer::Raw(answer.to_vec()));
    let reply = gateway.person().open("/public/plant").await;
    assert_eq!(reply.session_cookie(), None);
    assert_eq!(reply.header("set-cookie"), "own=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn early_hints_do_not_end_the_answer() {
    let gateway = Gateway::start().await;
    let answer = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";
    gateway
        .upstream
        .answer("/public/hints", Answer::Raw(answer.to_vec()));
    let reply = gateway.person().open("/public/hints").await;
    assert_eq!(
        (reply.status.as_u16(), reply.text().as_str()),
        (200, "done")
    );
}
