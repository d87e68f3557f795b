//! How a route passes requests on and answers back: host, prefixes, headers, credentials, the app's sign-out.

use reqwest::Method;

use crate::harness::{Gateway, Person, gateway::Setup, raw, upstream::Answer};

const ANN: &str = "ann@example.com";

async fn signed_in(setup: Setup) -> (Gateway, Person) {
    let gateway = setup.await;
    gateway.invite(ANN, &["--login", "ann", "--group", "staff"]);
    let ann = gateway.person_with_session(ANN, "full");
    (gateway, ann)
}

fn answer(fields: &str) -> Answer {
    Answer::Raw(format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{fields}\r\n\r\n").into_bytes())
}

fn redirect(to: &str) -> Answer {
    let head = format!("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {to}\r\n\r\n");
    Answer::Raw(head.into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_hears_the_host_that_its_route_says() {
    for (host_header, expected) in [
        ("keep", "localhost".to_owned()),
        ("wiki.internal:81", "wiki.internal:81".to_owned()),
        ("upstream", String::new()),
    ] {
        let route = format!("path = '/*'\nhost_header = '{host_header}'");
        let (gateway, ann) = signed_in(Gateway::start().with_route(&route)).await;
        assert_eq!(ann.open("/report").await.status, 200);
        let request = gateway.upstream.last();
        let expected = match host_header {
            "keep" => gateway.origin.trim_start_matches("http://").to_owned(),
            "upstream" => gateway.upstream.address.to_string(),
            _ => expected,
        };
        assert_eq!(request.header("Host"), expected);
        assert_eq!(
            request.header("X-Forwarded-Host"),
            gateway.origin.trim_start_matches("http://")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_to_the_apps_own_address_lead_back_here() {
    let route = "path = '/*'\nhost_header = 'wiki.internal'";
    let (gateway, ann) = signed_in(Gateway::start().with_route(route)).await;
    let server = gateway.upstream.address;
    for (target, to, expected) in [
        (
            "/a",
            format!("http://{server}/x"),
            format!("{}/x", gateway.origin),
        ),
        (
            "/b",
            "http://wiki.internal/x?y".to_owned(),
            format!("{}/x?y", gateway.origin),
        ),
        ("/c", "/x".to_owned(), "/x".to_owned()),
        (
            "/d",
            "https://elsewhere.example/x".to_owned(),
            "https://elsewhere.example/x".to_owned(),
        ),
        (
            "/e",
            format!("http://{server}//evil.example"),
            format!("{}/evil.example", gateway.origin),
        ),
    ] {
        gateway.upstream.answer(target, redirect(&to));
        let reply = ann.open(target).await;
        assert_eq!(reply.header("location"), expected, "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_under_a_prefix_hears_its_own_paths_and_is_put_back() {
    let setup = Gateway::start()
        .with_route("path = '/wiki/*'\nstrip_prefix = '/wiki'\nadd_prefix = '/app'")
        .with_route("path = '/*'");
    let (gateway, ann) = signed_in(setup).await;
    for (asked, heard) in [
        ("/wiki", "/app"),
        ("/wiki/", "/app/"),
        ("/wiki/a/b?next=/wiki/c", "/app/a/b?next=/wiki/c"),
        ("/wikis", "/wikis"),
        ("/x", "/x"),
    ] {
        assert_eq!(ann.open(asked).await.status, 200);
        let request = gateway.upstream.last();
        assert_eq!(request.target, heard);
        let stripped = asked.starts_with("/wiki") && asked != "/wikis";
        let prefix = if stripped { "/wiki" } else { "" };
        assert_eq!(request.header("X-Forwarded-Prefix"), prefix);
    }
    gateway.upstream.answer("/app/go", redirect("/app/there"));
    assert_eq!(ann.open("/wiki/go").await.header("location"), "/wiki/there");
    let fields = "Set-Cookie: a=1; Path=/app\r\nSet-Cookie: b=2; Path=/\r\nContent-Location: /app/x\r\nRefresh: 5; url=/app/y";
    gateway.upstream.answer("/app/cookies", answer(fields));
    let reply = ann.open("/wiki/cookies").await;
    let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1; Path=/wiki", "b=2; Path=/wiki"]);
    assert_eq!(reply.header("content-location"), "/wiki/x");
    assert_eq!(reply.header("refresh"), "5; url=/wiki/y");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_decision_is_about_what_the_visitor_asked_for() {
    // Below the prefix lies an `/admin` that has no rule of its own, and `/wiki/admin` has one.
    let setup = Gateway::start()
        .with_route(
            "path = '/wiki/admin/*'\nstrip_prefix = '/wiki'\nallow = { groups = ['board'] }",
        )
        .with_route("path = '/wiki/*'\nstrip_prefix = '/wiki'")
        .with_route("path = '/admin/*'\naccess = 'public'");
    let (gateway, ann) = signed_in(setup).await;
    for (path, status) in [
        ("/wiki/admin", 403),
        ("/wiki/%61dmin", 403),
        ("/wiki//admin", 403),
        ("/wiki/ADMIN", 403),
        ("/wiki/../admin", 400),
        ("/wiki/%2e%2e/admin", 400),
        ("/wiki%2fadmin", 404),
        ("/wiki/x%2f..%2fadmin", 400),
    ] {
        let cookie = format!("Cookie: {}", ann.cookie_header());
        let reply = raw::get(gateway.address, path, &[&cookie, "Sec-Fetch-Mode: cors"]).await;
        assert_eq!(reply.status(), status, "{path}");
    }
    assert!(gateway.upstream.received().is_empty());
    assert_eq!(gateway.person().open("/admin/x").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_set_and_taken_away_as_the_operator_says() {
    let route = "path = '/*'\nrequest_headers = { set = { X-Env = 'prod' }, remove = ['Accept-Encoding'] }\n\
                 response_headers = { set = { X-Answer = 'set' }, remove = ['Server'] }";
    let (gateway, ann) = signed_in(Gateway::start().with_route(route)).await;
    gateway
        .upstream
        .answer("/x", answer("Server: Old/1.0\r\nX-Answer: own"));
    let request = ann
        .request(Method::GET, "/x")
        .header("X-Env", "test")
        .header("Accept-Encoding", "br");
    let reply = ann.send(request).await;
    assert_eq!(reply.header("x-answer"), "set");
    assert!(!reply.headers.contains_key("server"));
    let request = gateway.upstream.last();
    assert_eq!(request.header("X-Env"), "prod");
    assert!(request.values("Accept-Encoding").is_empty());
    assert_eq!(request.header("Remote-User"), "ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn careful_headers_are_added_where_they_are_wanted_and_missing() {
    let setup = Gateway::start()
        .with_route("path = '/careful/*'\nsecurity_headers = true")
        .with_route("path = '/*'");
    let (gateway, ann) = signed_in(setup).await;
    gateway
        .upstream
        .answer("/careful/own", answer("X-Frame-Options: DENY"));
    let framed = "Content-Security-Policy: frame-ancestors https://portal.example";
    gateway.upstream.answer("/careful/framed", answer(framed));
    for (path, frames, nosniff) in [
        ("/careful/x", "SAMEORIGIN", "nosniff"),
        ("/careful/own", "DENY", "nosniff"),
        ("/careful/framed", "", "nosniff"),
        ("/x", "", ""),
    ] {
        let reply = ann.open(path).await;
        assert_eq!(reply.header("x-frame-options"), frames, "{path}");
        assert_eq!(reply.header("x-content-type-options"), nosniff, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_ones_own_are_set_and_nobody_else_sets_them() {
    let identity = "headers = []\ncustom = { user = 'X_Remote_User', groups = 'X-App-Groups' }";
    let (gateway, ann) = signed_in(Gateway::start().with("identity", identity)).await;
    ann.open("/report").await;
    let request = gateway.upstream.last();
    assert_eq!(request.names_folding_to("x-remote-user").len(), 1);
    assert_eq!(request.header("X_Remote_User"), "ann");
    assert_eq!(request.header("X-App-Groups"), "staff");
    assert!(request.values("Remote-User").is_empty());
    for spelling in [
        "X-Remote-User",
        "x_remote_user",
        "X.Remote.User",
        "X_REMOTE-USER",
    ] {
        let forged = format!("{spelling}: root");
        raw::get(gateway.address, "/public/page", &[&forged]).await;
        let request = gateway.upstream.last();
        assert_eq!(
            request.names_folding_to("x-remote-user"),
            [""; 0],
            "{forged}"
        );
        let cookie = format!("Cookie: {}", ann.cookie_header());
        let reply = raw::get(gateway.address, "/report", &[&forged, &cookie]).await;
        if reply.status() == 200 {
            let request = gateway.upstream.last();
            assert_eq!(
                request.names_folding_to("x-remote-user").len(),
                1,
                "{forged}"
            );
            assert_eq!(request.header("X_Remote_User"), "ann");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_need_not_know_hears_nothing_of_the_person() {
    let setup = Gateway::start()
        .with("identity", "assertion = 'X-Gatehouse-Assertion'")
        .with_route("path = '/*'\nidentity = false");
    let (gateway, ann) = signed_in(setup).await;
    assert_eq!(ann.open("/x").await.status, 200);
    let request = gateway.upstream.last();
    for (name, value) in &request.headers {
        let name = name.to_ascii_lowercase();
        assert!(
            !name.starts_with("remote-") && !name.starts_with("x-gatehouse"),
            "{name}"
        );
        assert!(!value.contains("ann"), "{name}: {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_group_is_signed_in_to_the_app_with_its_own_password() {
    let authorization = "authorization = [{ group = 'board', basic = 'boss:1' }, \
                         { group = 'staff', bearer = 'token' }]";
    let setup = Gateway::start()
        .with_route(&format!("path = '/legacy/*'\n{authorization}"))
        .with_route("path = '/*'");
    let (gateway, ann) = signed_in(setup).await;
    gateway.invite("bob@example.com", &["--group", "board", "--group", "staff"]);
    gateway.invite("eve@example.com", &[]);
    let bob = gateway.person_with_session("bob@example.com", "full");
    let eve = gateway.person_with_session("eve@example.com", "full");
    for (person, path, heard) in [
        (&ann, "/legacy/x", "Bearer token"),
        (&bob, "/legacy/x", "Basic Ym9zczox"),
        (&eve, "/legacy/x", ""),
        (&eve, "/x", "Basic b3duOg=="),
    ] {
        let request = person
            .request(Method::GET, path)
            .header("Authorization", "Basic b3duOg==")
            .header("Authorization_", "Basic b3duOg==");
        person.send(request).await;
        assert_eq!(
            gateway.upstream.last_of(path).header("Authorization"),
            heard
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_sign_out_ends_the_session_here_too() {
    let setup = Gateway::start()
        .with_route("path = '/logout'\nsign_out = true\naccess = 'public'")
        .with_route("path = '/*'");
    let (gateway, ann) = signed_in(setup).await;
    gateway.upstream.answer("/logout", redirect("/bye"));
    let stolen = ann.session_cookie().unwrap();
    let reply = ann.fetch(Method::POST, "/logout").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("location")),
        (302, "/bye")
    );
    assert_eq!(gateway.upstream.last().target, "/logout");
    assert_eq!(ann.session_cookie(), None);
    let thief = gateway.person();
    thief.keep_cookie(crate::harness::cookies::SESSION, &stolen);
    assert_eq!(thief.session_kind().await, "none");
    let events = crate::backup_codes::events(&gateway, ANN);
    assert!(events.contains(&"signed_out".to_owned()), "{events:?}");
    // Nobody is there any more, and the app may still be asked.
    assert_eq!(ann.fetch(Method::POST, "/logout").await.status, 302);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_unknown_length_that_signs_out_arrives_whole() {
    let setup = Gateway::start().with_route("path = '/*'\nsign_out = true");
    let (gateway, ann) = signed_in(setup).await;
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbye\r\n0\r\n\r\n";
    gateway
        .upstream
        .answer("/logout", Answer::Raw(chunked.to_vec()));
    let reply = ann.fetch(Method::GET, "/logout").await;
    assert_eq!(reply.text(), "bye");
    assert_eq!(ann.session_kind().await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_site_and_no_failing_app_signs_anybody_out() {
    let setup = Gateway::start()
        .with_route("path = '/logout'\nsign_out = true")
        .with_route("path = '/broken'\nsign_out = true")
        .with_route("path = '/*'");
    let (gateway, ann) = signed_in(setup).await;
    gateway.upstream.answer(
        "/broken",
        Answer::Raw(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n".to_vec()),
    );
    for (path, name, value) in [
        ("/logout", "Sec-Fetch-Site", "cross-site"),
        ("/logout", "Sec-Fetch-Site", "same-site"),
        ("/logout", "Origin", "https://evil.example"),
        ("/logout", "Referer", "https://evil.example/"),
        ("/logout", "X-Nothing", "said"),
        ("/broken", "Sec-Fetch-Site", "same-origin"),
        ("/report", "Sec-Fetch-Site", "same-origin"),
    ] {
        let request = ann.request(Method::GET, path).header(name, value);
        ann.send(request).await;
        assert_eq!(gateway.upstream.last().target, path);
        assert_eq!(ann.session_kind().await, "full", "{path} {name}: {value}");
    }
    let request = ann
        .request(Method::GET, "/logout")
        .header("Referer", format!("{}/report", gateway.origin));
    ann.send(request).await;
    assert_eq!(ann.session_kind().await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_where_writing_is_allowed_and_nowhere_else() {
    let (gateway, ann) = signed_in(
        Gateway::start()
            .with_route("path = '/files/admin/*'\naccess = 'step_up'\nmax_age = '5m'")
            .with_route("path = '/files/*'\nstrip_prefix = '/files'\nhost_header = 'dav.internal'"),
    )
    .await;
    let copy = |destination: String| {
        let method = Method::from_bytes(b"COPY").unwrap();
        ann.send(
            ann.request(method, "/files/a")
                .header("Destination", destination),
        )
    };
    for (destination, status) in [
        (format!("{}/files/admin/x", gateway.origin), 401),
        ("/files/admin/x".to_owned(), 401),
        ("/files/Admin/x".to_owned(), 401),
        ("/files/x/%2e%2e/admin/y".to_owned(), 400),
        ("/nowhere".to_owned(), 404),
        ("http://other.example/files/b".to_owned(), 400),
        ("/.gatehouse/account".to_owned(), 400),
    ] {
        assert_eq!(
            copy(destination.clone()).await.status,
            status,
            "{destination}"
        );
    }
    assert_eq!(gateway.upstream.targets(), [""; 0]);
    assert_eq!(
        copy(format!("{}/files/b%20c", gateway.origin)).await.status,
        200
    );
    let request = gateway.upstream.last();
    assert_eq!(request.target, "/a");
    assert_eq!(request.header("Destination"), "http://dav.internal/b%20c");
}
