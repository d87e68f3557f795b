//! What an app is told about the person: by the gateway alone, whatever the request claims.

use reqwest::Method;

use crate::harness::{Gateway, cookies::SESSION, person::Protocol, raw};

/// Every name under which some app looks for the person.
const IDENTITY_HEADERS: [&str; 14] = [
    "remote-user",
    "remote-email",
    "remote-name",
    "remote-groups",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-preferred-username",
    "x-forwarded-groups",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-preferred-username",
    "x-auth-request-groups",
    "x-gatehouse-session",
    "x-gatehouse-assertion",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_app_learns_who_is_there() {
    let gateway = Gateway::start().await;
    gateway.invite(
        "ann@example.com",
        &[
            "--login", "ann", "--name", "Ann", "--group", "staff", "--group", "board",
        ],
    );
    let ann = gateway.person_with_session("ann@example.com", "full");
    assert_eq!(ann.open("/report").await.status, 200);

    let request = gateway.upstream.last();
    assert_eq!(request.header("Remote-User"), "ann");
    assert_eq!(request.header("Remote-Email"), "ann@example.com");
    assert_eq!(request.header("Remote-Name"), "Ann");
    assert_eq!(request.header("Remote-Groups"), "board,staff");
    assert_eq!(request.header("X-Gatehouse-Session"), "full");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_learns_that_a_session_is_restricted() {
    let gateway = Gateway::start().await;
    gateway.invite("ann@example.com", &[]);
    let ann = gateway.person_with_session("ann@example.com", "restricted");
    assert_eq!(ann.open("/notes/1").await.status, 200);
    assert_eq!(
        gateway.upstream.last().header("X-Gatehouse-Session"),
        "restricted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_families_of_headers_are_set_where_the_operator_asks_for_them() {
    let gateway = Gateway::start()
        .with("identity", "headers = ['x-auth-request']")
        .await;
    gateway.invite("ann@example.com", &[]);
    let ann = gateway.person_with_session("ann@example.com", "full");
    ann.open("/report").await;
    let request = gateway.upstream.last();
    assert_eq!(request.header("X-Auth-Request-User"), "ann@example.com");
    assert!(request.values("Remote-User").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_cannot_claim_to_be_somebody_in_any_spelling() {
    let gateway = Gateway::start().await;
    for name in IDENTITY_HEADERS {
        for spelling in spellings(name) {
            let forged = format!("{spelling}: root");
            raw::get(gateway.address, "/public/page", &[&forged]).await;
            if let Some(request) = gateway.upstream.received().pop() {
                assert_eq!(request.names_folding_to(name), [""; 0], "{forged}");
            }
        }
    }
    // The plain spelling is stripped, not refused: proxies in front of us may add it.
    let answer = raw::get(gateway.address, "/public/end", &["Remote-User: root"]).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_in_person_cannot_claim_to_be_somebody_else() {
    let gateway = Gateway::start().await;
    gateway.invite("ann@example.com", &[]);
    let ann = gateway.person_with_session("ann@example.com", "full");
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let browser = gateway.person_over(protocol);
        let request = browser
            .request(Method::GET, "/report")
            .header("Cookie", ann.cookie_header())
            .header("Remote-User", "root")
            .header("Remote_User", "root")
            .header("X-Gatehouse-Session", "full")
            .header("X-Forwarded-Groups", "wheel");
        assert_eq!(browser.send(request).await.status, 200, "{protocol:?}");
        let request = gateway.upstream.last();
        assert_eq!(request.header("Remote-User"), "ann@example.com");
        assert_eq!(request.names_folding_to("remote-user").len(), 1);
        assert!(request.names_folding_to("x-forwarded-groups").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn naming_an_identity_header_in_connection_does_not_remove_it() {
    let gateway = Gateway::start().await;
    gateway.invite("ann@example.com", &[]);
    let cookie = gateway.session("ann@example.com", "full");
    let cookie = format!("Cookie: {SESSION}={cookie}");
    for name in [
        "Remote-User",
        "remote-email",
        "X-Gatehouse-Session",
        "X-Request-Id",
    ] {
        let answer = raw::get(
            gateway.address,
            "/report",
            &[&cookie, &format!("Connection: {name}")],
        )
        .await;
        assert!(!answer.refused(), "{name}: {}", answer.status());
        let request = gateway.upstream.last();
        assert_eq!(request.header("Remote-User"), "ann@example.com", "{name}");
        assert_eq!(request.header("Remote-Email"), "ann@example.com", "{name}");
        assert_eq!(request.header("X-Gatehouse-Session"), "full", "{name}");
        assert_eq!(request.header("X-Forwarded-For"), "127.0.0.1", "{name}");
        assert_eq!(request.header("X-Request-Id").len(), 32, "{name}");
    }
    // The proxy library itself refuses these.
    let forwarded = ["Connection: X-Forwarded-For", &cookie];
    assert_eq!(
        raw::get(gateway.address, "/report", &forwarded)
            .await
            .status(),
        400
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_own_cookies_stay_with_the_gateway() {
    let gateway = Gateway::start().await;
    gateway.invite("ann@example.com", &[]);
    let ann = gateway.person_with_session("ann@example.com", "full");
    // Leaves the cookies of a started sign-in in the browser too.
    ann.open("/.gatehouse/sign-in").await;
    ann.keep_cookie("theme", "dark");
    ann.keep_cookie("zone", "\"a b\"");
    ann.open("/report").await;
    let cookies = gateway.upstream.last().header("Cookie").to_owned();
    assert!(cookies.contains("theme=dark"), "{cookies}");
    assert!(cookies.contains("zone=\"a b\""), "{cookies}");
    assert!(!cookies.contains("gatehouse"), "{cookies}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_without_cookies_of_its_own_sees_no_cookie_header() {
    let gateway = Gateway::start().await;
    gateway.invite("ann@example.com", &[]);
    gateway
        .person_with_session("ann@example.com", "full")
        .open("/report")
        .await;
    assert!(gateway.upstream.last().values("Cookie").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn cookie_crumbs_of_http_2_are_joined_for_reading_and_for_the_app() {
    let gateway = Gateway::start().await;
    gateway.invite("ann@example.com", &[]);
    let cookie = gateway.session("ann@example.com", "full");
    let browser = gateway.person_over(Protocol::Http2);
    let request = browser
        .request(Method::GET, "/report")
        .header("Cookie", "theme=dark")
        .header("Cookie", format!("{SESSION}={cookie}"))
        .header("Cookie", "zone=north");
    assert_eq!(browser.send(request).await.status, 200);
    assert_eq!(
        gateway.upstream.last().header("Cookie"),
        "theme=dark; zone=north"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_request_came_from_is_said_by_the_gateway() {
    let gateway = Gateway::start().await;
    let answer = raw::get(
        gateway.address,
        "/public/page",
        &[
            "X-Forwarded-For: 10.0.0.1",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: elsewhere.example",
            "Forwarded: for=10.0.0.1",
            "X-Request-Id: chosen-by-a-stranger",
        ],
    )
    .await;
    assert_eq!(answer.status(), 200);
    let request = gateway.upstream.last();
    assert_eq!(request.header("X-Forwarded-For"), "127.0.0.1");
    assert_eq!(request.header("X-Forwarded-Proto"), "http");
    assert_eq!(request.header("X-Forwarded-Host"), "localhost");
    assert!(request.values("Forwarded").is_empty());
    assert_ne!(request.header("X-Request-Id"), "chosen-by-a-stranger");
    assert_eq!(request.header("X-Request-Id").len(), 32);
}

/// As an app that reads CGI variables might fold them together.
fn spellings(name: &str) -> Vec<String> {
    vec![
        name.to_owned(),
        name.to_ascii_uppercase(),
        name.replace('-', "_"),
        name.replace('-', "."),
        name.replacen('-', "_", 1).to_ascii_uppercase(),
    ]
}
