//! Forward-auth, as the gateway hears it: who may ask, in which words, and what is answered. Traefik and Envoy are
//! tried here by what they are documented to send.

use std::net::SocketAddr;

use gatehouse::telemetry::{metrics::HoldEvent, outcome::Outcome};

use crate::harness::{
    Gateway,
    door_authority::Authority,
    gateway::{Setup, install_crypto_provider},
    process::Process,
    raw,
    waiting::SOON,
};

const ANN: &str = "ann@example.com";
const AUTH: &str = "/.gatehouse/auth";

/// Nobody reaches this gateway but the test, in the place of a proxy of this kind.
fn asked_by(peer: &str) -> Setup {
    Gateway::start().asked_by(peer, SocketAddr::from(([127, 0, 0, 1], 1)))
}

/// Asks at this target, with these lines.
async fn ask(gateway: &Gateway, target: &str, lines: &[String]) -> raw::Answers {
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    raw::get(gateway.address, target, &lines).await
}

/// What nginx asks with.
fn question(method: &str, target: &str, more: &[&str]) -> Vec<String> {
    let mut lines = vec![
        format!("X-Original-Method: {method}"),
        format!("X-Original-URL: http://localhost{target}"),
    ];
    lines.extend(more.iter().map(|line| (*line).to_owned()));
    lines
}

fn cookie(gateway: &Gateway, access: &str) -> String {
    gateway.invite(ANN, &["--group", "staff"]);
    format!("Cookie: __Host-gatehouse={}", gateway.session(ANN, access))
}

/// One field's value; empty when absent.
fn field(answer: &raw::Answers, name: &str) -> String {
    let head = answer.0.split("\r\n\r\n").next().unwrap_or_default();
    let value = head.lines().find_map(|line| {
        let (other, value) = line.split_once(": ")?;
        other.eq_ignore_ascii_case(name).then(|| value.to_owned())
    });
    value.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_gets_a_status_and_asks_again_for_what_the_visitor_is_to_see() {
    let gateway = asked_by("nginx").await;
    let cookie = cookie(&gateway, "full");
    let page = "Accept: text/html";
    let for_visitor = format!("{AUTH}?for-visitor");
    for (lines, status, seen) in [
        (question("GET", "/x", &[page]), 401, 303),
        (question("GET", "/x", &[]), 401, 401),
        (question("GET", "/admin/x", &[page, &cookie]), 401, 303),
        (question("GET", "/x", &[page, &cookie]), 200, 303),
        (question("POST", "/x", &[&cookie]), 200, 503),
        (
            question("GET", "//evil.example/x", &[page, &cookie]),
            200,
            503,
        ),
        (question("GET", "/staff/x", &[page, &cookie]), 200, 303),
        (
            question("GET", "/.gatehouse/account", &[page, &cookie]),
            403,
            404,
        ),
        (question("GET", "/a%2Fb", &[&cookie]), 403, 400),
        (question("GET", "/a/../b", &[&cookie]), 403, 400),
        (question("TRACE", "/x", &[&cookie]), 403, 405),
        (vec![cookie.clone()], 403, 400),
    ] {
        let answer = ask(&gateway, AUTH, &lines).await;
        assert_eq!(answer.status(), status, "{lines:?}: {}", answer.0);
        assert_eq!(field(&answer, "content-length"), "0");
        assert_eq!(field(&answer, "location"), "");
        assert_eq!(
            field(&answer, "remote-user"),
            if status == 200 { ANN } else { "" }
        );
        assert!(!field(&answer, "x-request-id").is_empty());

        // Who would pass by now is sent there again, and is told nothing that is for the app.
        let answer = ask(&gateway, &for_visitor, &lines).await;
        assert_eq!(answer.status(), seen, "{lines:?}: {}", answer.0);
        assert_eq!(field(&answer, "remote-user"), "");
        assert_eq!(field(&answer, "cache-control"), "no-store");
        if status == 200 && seen == 303 {
            assert!(
                lines
                    .iter()
                    .any(|line| line.ends_with(&field(&answer, "location")))
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traefik_is_answered_as_it_needs_it() {
    let gateway = asked_by("traefik").await;
    let cookie = cookie(&gateway, "full");
    // doc.traefik.io, ForwardAuth, "Forward-Request Headers"; all others are the visitor's.
    let traefik = |uri: &str, more: &[&str]| -> Vec<String> {
        let own = [
            "X-Forwarded-Method: GET",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: app.example.com:8443",
            &format!("X-Forwarded-Uri: {uri}"),
            "X-Forwarded-For: 203.0.113.9",
        ];
        own.iter()
            .chain(more)
            .map(|line| (*line).to_owned())
            .collect()
    };
    let lines = traefik(
        "/report?x=1",
        &[&cookie, "Cookie2: x", "Authorization: Bearer mine"],
    );
    // A visitor's query is not ours.
    for target in [AUTH, "/.gatehouse/auth?for-visitor"] {
        let answer = ask(&gateway, target, &lines).await;
        assert_eq!(answer.status(), 200, "{}", answer.0);
        assert_eq!(field(&answer, "remote-user"), ANN);
        assert_eq!(field(&answer, "remote-groups"), "staff");
        assert_eq!(field(&answer, "authorization"), "Bearer mine");
        assert_eq!(field(&answer, "cookie"), "");
        assert_eq!(field(&answer, "x-envoy-auth-headers-to-remove"), "");
    }
    // It takes a redirect without a host for one to the gateway's own address.
    let answer = ask(
        &gateway,
        AUTH,
        &traefik("/report?x=1", &["Accept: text/html"]),
    )
    .await;
    assert_eq!(answer.status(), 303);
    assert_eq!(
        field(&answer, "location"),
        "https://app.example.com:8443/.gatehouse/sign-in?return_to=/report%3Fx%3D1"
    );
    for uri in ["/a/../b", "/%2e%2e/b", "b", "/a%2Fb"] {
        let answer = ask(&gateway, AUTH, &traefik(uri, &[&cookie])).await;
        assert_eq!(answer.status(), 400, "{uri}: {}", answer.0);
    }
    let refused = ask(
        &gateway,
        AUTH,
        &traefik("/x", &[&cookie, "X-Original-URL: http://a/y"]),
    )
    .await;
    assert_eq!(refused.status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_is_told_what_to_take_away() {
    let gateway = asked_by("envoy").await;
    let cookie = cookie(&gateway, "full");
    // envoyproxy.io, ext_authz, HttpService: method, host and, after the prefix, path are the visitor's; so are the
    // other fields, with what Envoy itself adds.
    let ask = async |method: &str, path: &str, lines: &[&str]| {
        let more = lines
            .iter()
            .map(|line| format!("{line}\r\n"))
            .collect::<String>();
        let request = format!(
            "{method} {AUTH}{path} HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 0\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-For: 203.0.113.9\r\nX-Envoy-Internal: true\r\nConnection: close\r\n{more}\r\n"
        );
        raw::send(gateway.address, request.as_bytes()).await
    };
    let forged = [
        "Remote_User: admin",
        "X.Gatehouse.Session: full",
        "X-Auth-Request-User: admin",
    ];
    let lines = [&[cookie.as_str(), "Remote-User: admin"], &forged[..]].concat();
    let answer = ask("POST", "/report?x=1", &lines).await;
    assert_eq!(answer.status(), 200, "{}", answer.0);
    assert_eq!(field(&answer, "remote-user"), ANN);
    let removed = field(&answer, "x-envoy-auth-headers-to-remove");
    let removed: Vec<_> = removed.split(',').collect();
    for name in [
        "remote_user",
        "x.gatehouse.session",
        "x-auth-request-user",
        "cookie",
        "remote-name",
    ] {
        assert!(removed.contains(&name), "{name}: {removed:?}");
    }
    for name in [
        "remote-user",
        "x-gatehouse-session",
        "host",
        "x-forwarded-for",
        "content-length",
    ] {
        assert!(!removed.contains(&name), "{name}: {removed:?}");
    }
    let answer = ask("GET", "/report?x=1", &["Accept: text/html"]).await;
    assert_eq!(answer.status(), 303);
    let way = "/.gatehouse/sign-in?return_to=/report%3Fx%3D1";
    assert_eq!(field(&answer, "location"), way);
    assert_eq!(ask("POST", "/report", &[]).await.status(), 401);
    for (path, status) in [("/a/../b", 400), ("/%2e%2e/b", 400), ("", 404), ("x", 404)] {
        assert_eq!(
            ask("GET", path, &[&cookie]).await.status(),
            status,
            "{path}"
        );
    }
    for line in [
        "X-Forwarded-Host: open.example",
        "X-Forwarded-Uri: /public/x",
        "X-Original-Method: HEAD",
    ] {
        let answer = ask("GET", "/report", &[&cookie, line]).await;
        assert_eq!(answer.status(), 400, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_trusted_finds_no_such_page() {
    let untrusted = "trusted_proxies = ['203.0.113.0/24']\nforward_auth = 'nginx'";
    let not_asked = "trusted_proxies = ['127.0.0.1']";
    for server in [untrusted, not_asked, ""] {
        let gateway = Gateway::start().with_server(server).await;
        let cookie = cookie(&gateway, "full");
        let lines = question("GET", "/public/x", &[&cookie]);
        let page = |answer: &raw::Answers| {
            let (_, page) = answer.0.split_once("\r\n\r\n").unwrap();
            page.replace(&field(answer, "x-request-id"), "")
        };
        let nothing = ask(&gateway, "/.gatehouse/nothing", &lines).await;
        for target in [AUTH, "/.gatehouse/auth?for-visitor"] {
            let answer = ask(&gateway, target, &lines).await;
            assert_eq!(answer.status(), 404, "{server}");
            assert_eq!(page(&answer), page(&nothing), "{server}");
        }
        assert_eq!(gateway.upstream.targets(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_two_ways_is_refused_and_counted() {
    let gateway = asked_by("nginx").await;
    let cookie = cookie(&gateway, "full");
    let lines: [&[&str]; 7] = [
        &["X-Original-URL: http://localhost/public/x"],
        &["X-Original-Method: POST"],
        &["X-Original-URI: /public/x"],
        &["X-Forwarded-Uri: /public/x"],
        &["X-Forwarded-Method: HEAD"],
        &["X-Forwarded-Host: open.example"],
        &["X-Forwarded-Proto: https"],
    ];
    for (count, more) in lines.iter().enumerate() {
        let more = [&[cookie.as_str()], *more].concat();
        let answer = ask(&gateway, AUTH, &question("GET", "/report", &more)).await;
        assert_eq!(answer.status(), 403, "{more:?}: {}", answer.0);
        let counted = gateway.forward_auth_decisions(Outcome::Malformed);
        assert_eq!(counted, count as u64 + 1);
    }
    let passes = ask(&gateway, AUTH, &question("GET", "/report", &[&cookie])).await;
    assert_eq!(passes.status(), 200);
    assert_eq!(gateway.forward_auth_decisions(Outcome::Forwarded), 1);
    let same = [
        "X-Forwarded-Host: localhost",
        "X-Forwarded-Uri: /report",
        &cookie,
    ];
    let passes = ask(&gateway, AUTH, &question("GET", "/report", &same)).await;
    assert_eq!(passes.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_decided_by_where_it_writes_too() {
    let gateway = asked_by("nginx").await;
    let cookie = cookie(&gateway, "full");
    for (destination, status) in [
        ("http://localhost/b", 200),
        ("/b", 200),
        ("http://localhost/admin/b", 401),
        ("http://other.localhost/b", 403),
        ("/public/%2e%2e/b", 403),
    ] {
        let destination = format!("Destination: {destination}");
        let lines = question("COPY", "/a", &[&cookie, &destination]);
        let answer = ask(&gateway, AUTH, &lines).await;
        assert_eq!(answer.status(), status, "{destination}: {}", answer.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn to_its_own_visitors_a_gateway_without_apps_has_nothing_but_its_pages() {
    let gateway = asked_by("nginx").await;
    let cookie = cookie(&gateway, "step_up");
    for path in ["/", "/public/page", "/report", "/admin/users", "/a%2Fb"] {
        for lines in [&[][..], &[cookie.as_str(), "Accept: text/html"]] {
            let answer = raw::get(gateway.address, path, lines).await;
            assert_eq!(answer.status(), 404, "{path}: {}", answer.0);
        }
    }
    let page = raw::get(gateway.address, "/.gatehouse/sign-in", &[]).await;
    assert_eq!(page.status(), 200);
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_pass_cookies_on_ends_no_session_early() {
    let gateway = asked_by("nginx").await;
    let lines = question("GET", "/report", &[&cookie(&gateway, "full")]);
    // The session issued here lasts an hour, its token five minutes.
    for _ in 0..5 {
        gateway.after(10);
        let answer = ask(&gateway, AUTH, &lines).await;
        assert_eq!(answer.status(), 200, "{}", answer.0);
    }
    gateway.after(15);
    assert_eq!(ask(&gateway, AUTH, &lines).await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_get_the_signed_assertion_and_only_what_their_route_tells() {
    let gateway = asked_by("nginx")
        .with("identity", "assertion = 'X-Assertion'\nheaders = ['x-auth-request']\ncustom = { user = 'X-Login' }")
        .with_route("path = '/quiet/*'\nidentity = false")
        .with_route("path = '/*'")
        .await;
    let cookie = cookie(&gateway, "full");
    let told = ask(
        &gateway,
        AUTH,
        &question("GET", "/x", &[&cookie, "Cookie: theme=dark"]),
    )
    .await;
    assert_eq!(told.status(), 200);
    assert_eq!(field(&told, "x-assertion").split('.').count(), 3);
    assert_eq!(field(&told, "x-auth-request-user"), ANN);
    assert_eq!(field(&told, "x-login"), ANN);
    assert_eq!(field(&told, "cookie"), "theme=dark");
    let quiet = ask(&gateway, AUTH, &question("GET", "/quiet/x", &[&cookie])).await;
    assert_eq!(quiet.status(), 200);
    for name in [
        "x-assertion",
        "x-auth-request-user",
        "x-login",
        "x-gatehouse-session",
    ] {
        assert_eq!(field(&quiet, name), "", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_of_the_request_that_was_asked_about() {
    let mut gateway = asked_by("nginx").await;
    let cookie = cookie(&gateway, "full");
    gateway.stop().await;
    let (_process, log) = Process::serve_and_log(&gateway.config, &[]);
    let record_of = async |lines: &[String]| {
        let answer = ask(&gateway, AUTH, lines).await;
        let mut lines = Vec::new();
        loop {
            let line = tokio::task::block_in_place(|| log.recv_timeout(SOON)).expect("a line");
            lines.push(line);
            if lines.last().unwrap()["target"] == "access" {
                return (answer, lines);
            }
        }
    };
    let (_, lines) = record_of(&question("POST", "/report?secret=1", &[&cookie])).await;
    let record = lines.last().unwrap();
    assert_eq!(record["forward_auth"], true);
    assert_eq!(record["method"], "POST");
    assert_eq!(record["path"], "/report");
    assert_eq!(record["host"], "localhost");
    assert_eq!(record["decision"], "forward");
    assert_eq!(record["session"], "full");
    assert!(record["route"].is_u64(), "{record}");

    let twice = "X-Forwarded-Uri: /public/x";
    let (answer, lines) = record_of(&question("GET", "/report", &[&cookie, twice])).await;
    assert_eq!(lines.last().unwrap()["decision"], "malformed");
    let why = &lines[lines.len() - 2];
    assert_eq!(why["level"], "WARN", "{lines:?}");
    assert_eq!(why["request_id"], field(&answer, "x-request-id").as_str());
    let problem = why["problem"].as_str().unwrap();
    assert!(problem.contains("X-Forwarded-Uri"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_a_peer_that_is_not_trusted() {
    let mut gateway = Gateway::start()
        .with_server("trusted_proxies = ['203.0.113.0/24']\nforward_auth = 'nginx'")
        .await;
    gateway.stop().await;
    let (_process, log) = Process::serve_and_log(&gateway.config, &[]);
    let answer = ask(&gateway, AUTH, &question("GET", "/public/x", &[])).await;
    let warning = loop {
        let line = tokio::task::block_in_place(|| log.recv_timeout(SOON)).expect("a line");
        if line["level"] == "WARN" {
            break line;
        }
    };
    assert_eq!(warning["peer"], "127.0.0.1");
    assert_eq!(
        warning["request_id"],
        field(&answer, "x-request-id").as_str()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_a_peer_is_not_its_visitors() {
    install_crypto_provider();
    let setup = Gateway::start()
        .with_server(
            "client_ca = 'machines.pem'\ntrusted_proxies = ['127.0.0.1']\nforward_auth = 'nginx'",
        )
        .with_route(
            "path = '/machines/*'\naccess = 'public'\nclient_certificates = ['proxy.example']",
        )
        .with_route("path = '/public/*'\naccess = 'public'");
    let (authority, machines) = (Authority::new(), Authority::new());
    authority
        .server(&["localhost"])
        .write(setup.folder(), "site");
    machines.write(setup.folder(), "machines.pem");
    let gateway = setup.with_certificates(&["site"]).await;
    let client = reqwest::Client::builder()
        .resolve("localhost", gateway.address)
        .no_proxy()
        .tls_certs_only([authority.root()])
        .identity(machines.client(&["proxy.example"], &[]).identity())
        .build()
        .unwrap();
    let own = client.get(format!("{}/machines/x", gateway.origin));
    assert_eq!(own.send().await.unwrap().status(), 200);
    for (path, status) in [("/machines/x", 403), ("/public/x", 200)] {
        let asked = client
            .get(format!("{}{AUTH}", gateway.origin))
            .header("X-Original-Method", "GET")
            .header("X-Original-URL", format!("https://localhost{path}"));
        assert_eq!(asked.send().await.unwrap().status(), status, "{path}");
    }
    // Nothing was forwarded for those who only asked.
    assert_eq!(gateway.upstream.targets(), ["/machines/x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_or_sent_on_for_a_request_whose_body_is_elsewhere() {
    let gateway = asked_by("caddy").await;
    for kind in ["application/x-www-form-urlencoded", "text/plain"] {
        let asked = [
            "X-Forwarded-Method: POST",
            "X-Forwarded-Proto: http",
            "X-Forwarded-Host: localhost",
            "X-Forwarded-Uri: /form",
            "Origin: http://localhost",
            "Sec-Fetch-Site: same-origin",
            "Sec-Fetch-Mode: navigate",
            "Sec-Fetch-Dest: document",
            &format!("Content-Type: {kind}"),
        ];
        let answer = ask(&gateway, AUTH, &asked.map(str::to_owned)).await;
        assert_eq!(answer.status(), 401, "{}", answer.0);
        assert!(answer.0.contains("Nothing was sent."), "{}", answer.0);
    }
    assert_eq!(gateway.held(HoldEvent::Held), 0);
}
