//! Forward-auth: proxies that serve the app themselves and ask the gateway about every request. What is shipped for
//! nginx, Caddy and HAProxy is tried with the real programs.

use reqwest::{Method, header::CONTENT_TYPE};

use crate::harness::{
    app::App,
    gateway::AUTH_HOST,
    outer_proxy::{Kind, Site},
    raw,
    visitor::{APP, Visitor, WIKI},
};

const ANN: &str = "ann@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_signs_in_and_lands_where_they_were_going() {
    for kind in Kind::ALL {
        let site = Site::start(kind).await;
        let mut ann = site.gateway.person();
        let turned = ann.open("/report?year=2025&x=%20").await;
        let way = "/.gatehouse/sign-in?return_to=/report%3Fyear%3D2025%26x%3D%2520";
        assert_eq!(
            (turned.status.as_u16(), turned.location().as_str()),
            (303, way),
            "{kind:?}: {}\n{}",
            turned.text(),
            site.proxy.log()
        );
        assert_eq!(turned.header("cache-control"), "no-store");
        assert!(!turned.header("x-request-id").is_empty());
        let page = ann.open(&turned.location()).await;
        assert!(page.text().contains("Sign in with passkey"), "{kind:?}");
        site.app_heard_nothing();

        let invitation = site.gateway.invite(ANN, &[]);
        let done = ann
            .enrol(Some(&invitation), "/report?year=2025&x=%20")
            .await;
        assert_eq!(done.status, 200, "{kind:?}: {}", done.text());
        let report = ann.open("/report?year=2025&x=%20").await;
        assert_eq!(report.status, 200, "{kind:?}: {}", report.text());
        let heard = site.gateway.upstream.last();
        assert_eq!(heard.target, "/report?year=2025&x=%20");
        assert_eq!(heard.header("Remote-User"), ANN);
        assert_eq!(heard.header("X-Gatehouse-Session"), "full");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_what_it_can_act_on() {
    for kind in Kind::ALL {
        let site = Site::start(kind).await;
        let nobody = site.gateway.person();
        let turned = nobody.fetch(Method::GET, "/report").await;
        assert_eq!(turned.status, 401, "{kind:?}: {}", site.proxy.log());
        assert_eq!(
            turned.header("www-authenticate"),
            "Bearer realm=\"gatehouse\""
        );
        assert_eq!(turned.json()["error"], "sign_in_required", "{kind:?}");
        let form = nobody.send_form("/report", "a=b".to_owned()).await;
        assert_eq!(form.status, 401, "{kind:?}");
        assert!(
            form.text().contains("Nothing was sent."),
            "{kind:?}: {}",
            form.text()
        );

        site.gateway.invite(ANN, &[]);
        let ann = site.person(ANN, "full");
        let turned = ann.fetch(Method::GET, "/admin/users").await;
        assert_eq!(turned.status, 401, "{kind:?}");
        assert_eq!(turned.json()["error"], "step_up_required", "{kind:?}");
        assert_eq!(turned.json()["max_age"], 300);
        assert!(
            turned
                .header("www-authenticate")
                .contains("max_age=\"300\"")
        );
        let page = ann.open("/admin/users").await;
        assert!(
            page.leads_to("/.gatehouse/step-up"),
            "{kind:?}: {}",
            page.location()
        );
        site.app_heard_nothing();
        assert_eq!(
            site.person(ANN, "step_up")
                .open("/admin/users")
                .await
                .status,
            200
        );
    }
}

/// Everything that a visitor may hope an app to believe.
const FORGED: [(&str, &str); 24] = [
    ("Remote-User", "admin"),
    ("Remote_User", "admin"),
    ("REMOTE_USER", "admin"),
    ("remote.user", "admin"),
    ("Remote!User", "admin"),
    ("X~Gatehouse~Session", "full"),
    ("X.Forwarded.User", "admin"),
    ("Remote-Email", "admin@example.com"),
    ("Remote-Groups", "admins"),
    ("Remote_Groups", "admins"),
    ("Remote-Name", "Admin"),
    ("X-Gatehouse-Session", "full"),
    ("X_Gatehouse_Session", "full"),
    ("X-Gatehouse_Session", "full"),
    ("X-Gatehouse-Assertion", "forged"),
    ("X-Gatehouse-Certificate", "forged"),
    ("X-Forwarded-User", "admin"),
    ("X_Forwarded_User", "admin"),
    ("X-Forwarded-Groups", "admins"),
    ("X-Auth-Request-User", "admin"),
    ("X-Auth-Request_User", "admin"),
    ("X-Forwarded-For", "192.0.2.1"),
    ("Forwarded", "for=192.0.2.1"),
    ("X-Request-Id", "forged"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_app_hears_who_asks_from_the_gateway_alone() {
    for kind in Kind::ALL {
        let site = Site::start(kind).await;
        site.gateway
            .invite(ANN, &["--group", "staff", "--group", "ops"]);
        let ann = site.person(ANN, "full");
        ann.keep_cookie("theme", "dark");
        let mut asked = ann.request(Method::GET, "/staff/page");
        for (name, value) in FORGED {
            asked = asked.header(name, value);
        }
        let page = ann.send(asked.header("Authorization", "Bearer mine")).await;
        assert_eq!(
            page.status,
            200,
            "{kind:?}: {}\n{}",
            page.text(),
            site.proxy.log()
        );
        let heard = site.gateway.upstream.last();
        for (name, value) in [
            ("Remote-User", ANN),
            ("Remote-Email", ANN),
            ("Remote-Groups", "ops,staff"),
            ("X-Gatehouse-Session", "full"),
            ("Cookie", "theme=dark"),
            ("Authorization", "Bearer mine"),
        ] {
            assert_eq!(heard.header(name), value, "{kind:?} {name}");
        }
        for (name, value) in FORGED {
            let forged = heard.headers.iter().any(|(_, heard)| heard == value);
            assert!(value == "full" || !forged, "{kind:?} {name}: {heard:?}");
        }
        let spellings = |plain: &str| {
            let folded = |name: &String| name.to_lowercase().replace(['_', '.', '!', '~'], "-");
            let names = heard.headers.iter().map(|(name, _)| folded(name));
            names.filter(|name| name == plain).count()
        };
        for name in [
            "remote-user",
            "x-gatehouse-session",
            "cookie",
            "x-forwarded-for",
        ] {
            assert_eq!(spellings(name), 1, "{kind:?} {name}: {heard:?}");
        }

        // Where nobody is signed in, nobody is named.
        let mut asked = site.gateway.person().request(Method::GET, "/public/page");
        for (name, value) in FORGED {
            asked = asked.header(name, value);
        }
        assert_eq!(asked.send().await.unwrap().status(), 200, "{kind:?}");
        let heard = site.gateway.upstream.last();
        for (name, value) in &heard.headers {
            let name = name.to_lowercase().replace(['_', '.', '!', '~'], "-");
            let told = name.starts_with("remote-") || name.starts_with("x-gatehouse");
            assert!(!told || value.is_empty(), "{kind:?}: {heard:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_header_takes_away_what_the_app_is_told() {
    for kind in Kind::ALL {
        let site = Site::start(kind).await;
        site.gateway.invite(ANN, &[]);
        let cookie = format!(
            "Cookie: __Host-gatehouse={}",
            site.gateway.session(ANN, "full")
        );
        for connection in [
            "remote-user",
            "close, Remote-User",
            "keep-alive, remote-user, x-gatehouse-session",
        ] {
            let request = format!(
                "GET /page HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\nConnection: {connection}\r\n\r\n"
            );
            let answer = raw::send(site.front, request.as_bytes()).await;
            assert_eq!(answer.status(), 200, "{kind:?} {connection}: {}", answer.0);
            let heard = site.gateway.upstream.last();
            assert_eq!(heard.header("Remote-User"), ANN, "{kind:?} {connection}");
            assert_eq!(
                heard.header("X-Gatehouse-Session"),
                "full",
                "{kind:?} {connection}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_allowed_is_refused() {
    for kind in Kind::ALL {
        let site = Site::start(kind).await;
        site.gateway.invite(ANN, &[]);
        let ann = site.person(ANN, "full");
        let refused = ann.open("/staff/page").await;
        assert_eq!(refused.status, 403, "{kind:?}");
        assert!(
            refused.text().contains("Not open to this account"),
            "{kind:?}"
        );
        let restricted = site.person(ANN, "restricted").open("/report").await;
        assert!(restricted.leads_to("/.gatehouse/enrol"), "{kind:?}");
        assert_eq!(
            site.person(ANN, "restricted").open("/notes/1").await.status,
            200
        );
        assert_eq!(site.gateway.upstream.targets(), ["/notes/1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_session_reaches_the_browser() {
    for kind in Kind::ALL {
        let site = Site::start(kind).await;
        site.gateway.invite(ANN, &[]);
        let ann = site.person(ANN, "full");
        assert_eq!(ann.open("/report").await.session_cookie(), None, "{kind:?}");
        site.gateway.after(6);
        let page = ann.open("/report").await;
        let renewed = page.session_cookie().unwrap_or_else(|| panic!("{kind:?}"));
        assert!(renewed.contains("HttpOnly"), "{renewed}");
        let caching = page.headers.get_all("cache-control");
        assert!(caching.iter().any(|value| value == "private"), "{kind:?}");
        assert_eq!(ann.open("/report").await.session_cookie(), None, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_read_in_two_ways_reaches_no_app() {
    for kind in Kind::ALL {
        let site = Site::start(kind).await;
        site.gateway.invite(ANN, &[]);
        let cookie = format!(
            "Cookie: __Host-gatehouse={}",
            site.gateway.session(ANN, "full")
        );
        for target in [
            "/public/../staff/page",
            "/public/%2e%2e/staff/page",
            "/public/%2e%2e%2fstaff/page",
            "/public%2f..%2fstaff/page",
            "/public/..;/staff/page",
            "/public/%c0%ae%c0%ae/staff/page",
            "/public/\\..\\staff/page",
            "/public/%00",
        ] {
            let answer = raw::get(site.front, target, &[&cookie]).await;
            assert!(
                (400..500).contains(&answer.status()),
                "{kind:?} {target}: {}",
                answer.0
            );
        }
        // What is only spelt otherwise is held to what it means.
        for target in [
            "/%73taff/page",
            "/Staff/page",
            "/public;/../staff",
            "//staff/page",
        ] {
            let answer = raw::get(site.front, target, &[&cookie]).await;
            assert!(
                (400..500).contains(&answer.status()),
                "{kind:?} {target}: {}",
                answer.0
            );
        }
        for line in [
            "OPTIONS *",
            "OPTIONS http://localhost",
            "GET http://localhost?staff",
        ] {
            let request =
                format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            raw::send(site.front, request.as_bytes()).await;
        }
        site.app_heard_nothing();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_hears_the_host_that_was_decided_on() {
    for kind in Kind::ALL {
        let site = Site::with(kind, |setup| {
            setup
                .with_route("host = 'open.localhost'\naccess = 'public'")
                .with_route("host = 'localhost'")
        })
        .await;
        for (address, host) in [
            ("http://localhost", "open.localhost"),
            ("http://open.localhost", "localhost"),
            ("", "localhost\r\nHost: open.localhost"),
            ("", "open.localhost\r\nHost: localhost"),
            ("", "localhost\r\nX-Forwarded-Host: open.localhost"),
            (
                "",
                "localhost\r\nX-Original-URL: http://open.localhost/page",
            ),
            ("", "localhost\r\nForwarded: host=open.localhost"),
        ] {
            let request =
                format!("GET {address}/page HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            raw::send(site.front, request.as_bytes()).await;
            for heard in site.gateway.upstream.received() {
                assert_eq!(heard.header("Host"), "open.localhost", "{kind:?} {request}");
                assert_eq!(
                    heard.header("X-Forwarded-Host"),
                    "open.localhost",
                    "{kind:?}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_methods_reach_the_app_as_they_were_sent() {
    for kind in Kind::ALL {
        let only_reading = "path = '/notes/*'\nmethods = ['GET']\naccess = 'public'";
        let site = Site::with(kind, |setup| {
            setup.with_route(only_reading).with_route("path = '/*'")
        })
        .await;
        site.gateway.invite(ANN, &[]);
        let ann = site.person(ANN, "full");
        let body = "x".repeat(100_000);
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let nobody = site
                .gateway
                .person()
                .fetch(method.clone(), "/notes/1")
                .await;
            assert_eq!(nobody.status, 401, "{kind:?} {method}");
            let asked = ann.request(method.clone(), "/notes/1");
            let asked = asked.header(CONTENT_TYPE, "text/plain").body(body.clone());
            assert_eq!(ann.send(asked).await.status, 200, "{kind:?} {method}");
            let heard = site.gateway.upstream.last();
            assert_eq!(
                (heard.method.as_str(), heard.body.len()),
                (method.as_str(), body.len()),
                "{kind:?}"
            );
        }
        let nobody = site.gateway.person();
        assert_eq!(nobody.fetch(Method::GET, "/notes/1").await.status, 200);
        assert_eq!(nobody.fetch(Method::HEAD, "/notes/1").await.status, 200);
        assert_eq!(nobody.fetch(Method::HEAD, "/other").await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_cannot_ask() {
    for kind in Kind::ALL {
        let site = Site::start(kind).await;
        site.gateway.invite(ANN, &[]);
        let cookie = format!(
            "Cookie: __Host-gatehouse={}",
            site.gateway.session(ANN, "full")
        );
        let lines = [
            cookie.as_str(),
            "X-Original-Method: GET",
            "X-Original-URL: http://localhost/report",
            "X-Forwarded-Method: GET",
            "X-Forwarded-Uri: /report",
        ];
        for path in [
            "/.gatehouse/auth",
            "/.gatehouse/auth/",
            "/.gatehouse/auth/report",
            "/.gatehouse/auth?for-visitor",
            "/.gatehouse/%61uth",
            "/.gatehouse//auth",
            "/.Gatehouse/auth",
            "/%2egatehouse/auth",
        ] {
            let answer = raw::get(site.front, path, &lines).await;
            assert!(answer.status() >= 400, "{kind:?} {path}: {}", answer.0);
            assert!(
                !answer.0.to_lowercase().contains("remote-user"),
                "{}",
                answer.0
            );
        }
        site.app_heard_nothing();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_gateway_nothing_passes() {
    for kind in Kind::ALL {
        let mut site = Site::start(kind).await;
        site.gateway.invite(ANN, &[]);
        let ann = site.person(ANN, "full");
        site.gateway.stop().await;
        for path in ["/report", "/public/page", "/admin/users"] {
            let answer = ann.open(path).await;
            assert!(
                answer.status.is_server_error(),
                "{kind:?}: {}",
                answer.status
            );
        }
        site.app_heard_nothing();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_is_signed_in_to_with_comes_from_the_gateway() {
    let credentials = "path = '/*'\nauthorization = [{ group = 'staff', basic = 'app:long' }]";
    for kind in Kind::ALL {
        let site = Site::with(kind, |setup| setup.with_route(credentials)).await;
        site.gateway.invite(ANN, &["--group", "staff"]);
        site.gateway.invite("bob@example.com", &[]);
        for (email, told) in [(ANN, "Basic YXBwOmxvbmc="), ("bob@example.com", "")] {
            let person = site.gateway.person_with_session(email, "full");
            let asked = person
                .request(Method::GET, "/x")
                .header("Authorization", "Bearer mine");
            let page = person.send(asked).await;
            assert_eq!(page.status, 200, "{kind:?}: {}", page.text());
            assert_eq!(
                site.gateway.upstream.last().header("Authorization"),
                told,
                "{kind:?}"
            );
            assert_eq!(page.header("authorization"), "");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_open_for_whoever_may_and_nobody_else() {
    let mut echo = App::start("websocket_echo.py", &[]);
    let app = echo.address();
    for kind in Kind::ALL {
        let site = Site::before(app, &["localhost"], kind, |setup| setup).await;
        site.gateway.invite(ANN, &[]);
        let cookie = format!("__Host-gatehouse={}", site.gateway.session(ANN, "full"));
        let url = site.gateway.origin.replace("http://", "ws://") + "/socket";
        for (cookie, heard) in [
            ("", &["refused 401"][..]),
            (cookie.as_str(), &[ANN, "hello", "open"]),
        ] {
            let arguments = [&url, &site.gateway.origin, cookie, "who am I", "hello"];
            let mut client = App::start("websocket_client.py", &arguments);
            for line in heard {
                assert_eq!(client.line().as_deref(), Some(*line), "{kind:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sign_in_opens_every_host_of_a_proxy() {
    for kind in Kind::ALL {
        let hosts = [APP, WIKI, AUTH_HOST];
        let site = Site::on(&hosts, kind, |setup| setup.with_hosts(&[APP, WIKI])).await;
        let visitor = Visitor::enrolled(&site.gateway).await;
        for host in [APP, WIKI] {
            let arrival = visitor.open(host, "/report?year=2025").await;
            assert_eq!(
                (arrival.host.as_str(), arrival.reply.status.as_u16()),
                (host, 200),
                "{kind:?}: {:#?}",
                arrival.way
            );
            let heard = site.gateway.upstream.last();
            assert_eq!(heard.header("Remote-User"), ANN);
            assert!(heard.header("Host").starts_with(host));
        }
    }
}
