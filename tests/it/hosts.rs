//! One sign-in for many hosts: what it opens, and how it ends.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::{
    Gateway,
    cookies::SESSION,
    gateway::AUTH_HOST,
    upstream::Answer,
    visitor::{ANN, APP, Visitor, WIKI, ann_again, gateway, return_to_of},
    waiting::{SOON, within},
};

const HANDOFF: &str = "/.gatehouse/handoff";

fn sessions(gateway: &Gateway) -> Vec<serde_json::Value> {
    let listed = gateway.command(&["session", "list", "--account", ANN, "--json"]);
    listed.json().as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sign_in_opens_every_host_without_a_click() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    for host in [APP, WIKI] {
        let arrival = ann.open(host, "/report?year=2025").await;
        assert_eq!(
            (arrival.host.as_str(), arrival.reply.status.as_u16()),
            (host, 200)
        );
        assert_eq!(arrival.way.len(), 5, "{:#?}", arrival.way);
        let on_the_way = &arrival.way[2..4];
        assert!(
            on_the_way
                .iter()
                .all(|address| !address.contains("report") && !address.contains("2025")),
            "{on_the_way:#?}"
        );
        assert_eq!(
            gateway
                .upstream
                .last_of("/report?year=2025")
                .header("Remote-User"),
            ANN
        );
        let again = ann.open(host, "/report").await;
        assert_eq!((again.reply.status.as_u16(), again.way.len()), (200, 1));
    }
    let cookies: Vec<_> = [&ann.auth, &ann.app, &ann.wiki]
        .map(|person| person.session_cookie().expect("a session"))
        .into();
    assert!(cookies[0] != cookies[1] && cookies[1] != cookies[2]);
    let listed = sessions(&gateway);
    assert_eq!(listed.len(), 1, "{listed:#?}");
    assert_eq!(listed[0]["hosts"], json!([WIKI, APP, AUTH_HOST]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_signs_in_at_the_auth_host_and_lands_where_they_were_going() {
    let gateway = gateway().await;
    let mut ann = Visitor::enrolled(&gateway).await;
    ann.auth.press_on_account_page("/.gatehouse/sign-out").await;
    let arrival = ann.open(WIKI, "/report?year=2025").await;
    assert_eq!(
        (arrival.host.as_str(), arrival.reply.status.as_u16()),
        (AUTH_HOST, 200)
    );
    let (_, return_to) = arrival
        .way
        .last()
        .unwrap()
        .split_once("return_to=")
        .unwrap();
    let return_to = percent_encoding::percent_decode_str(return_to)
        .decode_utf8()
        .unwrap()
        .into_owned();
    let signed_in = ann.auth.sign_in(&return_to).await.json();
    let location = format!(
        "{}{}",
        ann.auth.origin,
        signed_in["location"].as_str().unwrap()
    );
    let arrival = ann.follow(&location).await;
    assert_eq!(
        (arrival.host.as_str(), arrival.reply.status.as_u16()),
        (WIKI, 200)
    );
    assert!(
        arrival.way.last().unwrap().ends_with("/report?year=2025"),
        "{:?}",
        arrival.way
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_of_one_host_is_none_at_another() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    ann.open(APP, "/report").await;
    let of_app = ann.app.session_cookie().unwrap();
    for host in [WIKI, AUTH_HOST] {
        let thief = Visitor::new(&gateway);
        thief.on(host).keep_cookie(SESSION, &of_app);
        assert_eq!(thief.on(host).session_kind().await, "none", "{host}");
    }
    let of_auth = ann.auth.session_cookie().unwrap();
    let thief = Visitor::new(&gateway);
    thief.app.keep_cookie(SESSION, &of_auth);
    assert_eq!(thief.app.session_kind().await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn own_pages_lead_to_the_auth_host_and_take_nothing_elsewhere() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    for path in [
        "/.gatehouse/account",
        "/.gatehouse/recover?return_to=/x",
        "/.gatehouse/enrol?invitation=abc",
        "/.gatehouse/sign-in?by=email",
        "/.gatehouse/sign-in/link?token=abc",
        "/.gatehouse/pair",
        "/.gatehouse/admin",
        "/.gatehouse/not-me?token=abc",
        "/.gatehouse/nowhere",
        "/.gatehouse/sign-out",
    ] {
        let reply = ann.app.open(path).await;
        assert_eq!(reply.status, 303, "{path}");
        assert_eq!(
            reply.header("location"),
            format!("{}{path}", ann.auth.origin)
        );
    }
    ann.open(APP, "/report").await;
    for path in [
        "/.gatehouse/sign-in/passkey/start",
        "/.gatehouse/enrol/start",
        "/.gatehouse/admin/api/accounts",
    ] {
        let reply = ann.app.post_json("", path, &json!({})).await;
        assert_eq!(reply.status, 405, "{path}");
        assert_eq!(reply.json()["error"], "elsewhere");
    }
    let form = ann
        .app
        .send_form("/.gatehouse/account/passkeys/x/remove", String::new())
        .await;
    assert_eq!(form.status, 405);
    assert!(form.text().contains("This is done at another address"));

    assert_eq!(ann.app.session_kind().await, "full");
    assert_eq!(ann.app.open("/.gatehouse/sign-out").await.status, 200);
    let change = ann.app.open("/.well-known/change-password").await;
    assert_eq!(
        change.header("location"),
        format!("{}/.gatehouse/account", ann.auth.origin)
    );
    let endpoints = ann
        .app
        .fetch(Method::GET, "/.well-known/passkey-endpoints")
        .await
        .json();
    assert_eq!(
        endpoints["manage"],
        format!("{}/.gatehouse/account", ann.auth.origin)
    );
    // The auth host's own front page is the account; nothing else of it is a page.
    assert!(ann.auth.open("/").await.leads_to("/.gatehouse/account"));
    assert_eq!(ann.auth.open("/report").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_and_links_lead_to_the_auth_host() {
    let gateway = gateway().await;
    let printed = gateway
        .command(&["account", "invite", "--email", ANN, "--json"])
        .json();
    let link = printed["link"].as_str().unwrap();
    assert!(link.starts_with(&format!("http://{AUTH_HOST}:")), "{link}");
    let ann = Visitor::new(&gateway);
    ann.auth.ask_for_mail(ANN, "/").await;
    let mail = gateway.mailbox.next(ANN).await;
    assert!(
        mail.link().starts_with(&format!("http://{AUTH_HOST}:")),
        "{}",
        mail.link()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_on_one_host_signs_out_on_all() {
    let gateway = gateway().await;
    for host in [APP, AUTH_HOST] {
        let mut ann = if host == APP {
            Visitor::enrolled(&gateway).await
        } else {
            Visitor::of(&gateway, gateway.person())
        };
        if host == AUTH_HOST {
            let invitation = gateway.invite("bob@example.com", &[]);
            ann.auth.enrol(Some(&invitation), "/").await;
        }
        ann.open(APP, "/report").await;
        ann.open(WIKI, "/report").await;
        let page = ann.on(host).open("/.gatehouse/sign-out").await;
        let out = ann
            .on(host)
            .submit(&page, "/.gatehouse/sign-out", &[])
            .await;
        assert!(out.leads_to("/.gatehouse/signed-out"), "{}", out.location());
        for other in [APP, WIKI, AUTH_HOST] {
            assert_eq!(
                ann.on(other).session_kind().await,
                "none",
                "{host}: {other}"
            );
        }
        let arrival = ann.open(WIKI, "/report").await;
        assert_eq!(
            arrival.host, AUTH_HOST,
            "nobody is signed in silently any more"
        );
        let shown = ann
            .follow(&format!("{}/.gatehouse/signed-out", ann.on(host).origin))
            .await;
        if host == APP {
            let back = format!("href=\"{}/\"", ann.app.origin);
            assert!(shown.reply.text().contains(&back), "{}", shown.reply.text());
        }
        assert!(
            shown.reply.text().contains("Signed out"),
            "{}",
            shown.reply.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signed_in_anew_meanwhile_is_asked_before_they_count_as_signed_out() {
    let gateway = Gateway::start()
        .with_hosts(&[APP, WIKI])
        .with("session", "lifetime = '12h'\nidle = '10m'")
        .await;
    let mut ann = Visitor::enrolled(&gateway).await;
    for _ in 0..4 {
        ann.open(APP, "/report").await;
        gateway.after(4);
    }
    // The auth host has seen nobody for a quarter of an hour, and each host has an idle limit of its own.
    assert_eq!(ann.auth.session_kind().await, "none");
    assert_eq!(ann.app.session_kind().await, "full");
    ann.auth.sign_in("/").await;
    let page = ann.app.open("/.gatehouse/sign-out").await;
    let out = ann.app.submit(&page, "/.gatehouse/sign-out", &[]).await;
    let shown = ann
        .follow(&format!("{}{}", ann.app.origin, out.location()))
        .await;
    assert_eq!(shown.host, AUTH_HOST);
    assert!(
        shown.reply.text().contains("Sign out?"),
        "{}",
        shown.reply.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_ends_on_every_host_whoever_ends_it() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    let ends: [(&str, &[&str]); 2] = [("revoke", &["session", "revoke", "--id"]), ("account", &[])];
    for (name, command) in ends {
        let visitor = if name == "revoke" {
            ann_again(&gateway, &ann)
        } else {
            let phone = gateway.person_with_session(ANN, "full");
            Visitor::of(&gateway, phone)
        };
        visitor.open(APP, "/report").await;
        visitor.open(WIKI, "/report").await;
        let listed = sessions(&gateway);
        let family = listed
            .iter()
            .find(|line| line["ids"].as_array().unwrap().len() > 1)
            .unwrap();
        let id = family["id"].as_str().unwrap();
        if command.is_empty() {
            let other = gateway.person_with_session(ANN, "full");
            let page = other.open("/.gatehouse/account").await;
            assert!(
                page.text().contains(&format!("{WIKI}, {APP}")),
                "{}",
                page.text()
            );
            let action = format!("/.gatehouse/account/sessions/{id}/end");
            other.submit(&page, &action, &[]).await;
        } else {
            let done = gateway.command(&[command, &[id]].concat());
            assert_eq!(done.code, 0, "{done:?}");
        }
        within(SOON, "every host has heard", || async {
            let app = visitor.app.session_kind().await;
            let wiki = visitor.wiki.session_kind().await;
            (app == "none" && wiki == "none").then_some(())
        })
        .await;
        assert_eq!(visitor.auth.session_kind().await, "none", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_on_one_host_cuts_the_open_streams_of_the_others() {
    let gateway = gateway().await;
    gateway.upstream.answer("/events", Answer::Endless);
    let ann = Visitor::enrolled(&gateway).await;
    ann.open(APP, "/report").await;
    ann.open(WIKI, "/report").await;
    let stream = ann.app.request(Method::GET, "/events").send();
    let mut stream = stream.await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    let page = ann.wiki.open("/.gatehouse/sign-out").await;
    ann.wiki.submit(&page, "/.gatehouse/sign-out", &[]).await;
    let cut = tokio::time::timeout(Duration::from_secs(2), async {
        while let Ok(Some(_)) = stream.chunk().await {}
    });
    assert!(cut.await.is_ok(), "the stream went on");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_after_signing_out_leads_to_no_foreign_host() {
    let gateway = gateway().await;
    let stranger = gateway.person();
    for host in [
        "evil.example",
        "localhost",
        "evil.example%2F.app.localhost",
        "%22%3E",
    ] {
        let page = stranger
            .open(&format!("/.gatehouse/signed-out?host={host}"))
            .await
            .text();
        assert!(
            page.contains("href=\"/.gatehouse/sign-in\""),
            "{host}: {page}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_is_made_once_and_reaches_the_other_hosts_silently() {
    let gateway = gateway().await;
    let mut ann = Visitor::enrolled(&gateway).await;
    ann.open(APP, "/report").await;
    ann.open(WIKI, "/report").await;
    let asked = ann.open(APP, "/admin/users").await;
    assert_eq!(asked.host, AUTH_HOST);
    let address = asked.way.last().unwrap();
    assert!(address.contains("/.gatehouse/step-up?"), "{address}");
    let return_to = return_to_of(address);
    assert!(
        return_to.contains("need=step-up") && return_to.contains("max_age=300"),
        "{return_to}"
    );
    let before = ann.app.session_cookie();
    let done = ann.auth.step_up(&return_to).await.json();
    let arrival = ann
        .follow(&format!(
            "{}{}",
            ann.auth.origin,
            done["location"].as_str().unwrap()
        ))
        .await;
    assert_eq!(
        (arrival.host.as_str(), arrival.reply.status.as_u16()),
        (APP, 200)
    );
    assert!(arrival.way.last().unwrap().ends_with("/admin/users"));
    assert_ne!(ann.app.session_cookie(), before, "a new session id");

    let silently = ann.open(WIKI, "/admin/users").await;
    assert_eq!(
        (silently.host.as_str(), silently.reply.status.as_u16()),
        (WIKI, 200),
        "{:#?}",
        silently.way
    );
    gateway.after(6);
    assert_eq!(
        ann.open(WIKI, "/admin/users").await.host,
        AUTH_HOST,
        "it is too old by now"
    );
    assert_eq!(sessions(&gateway).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_session_is_handed_on_restricted_and_raised_everywhere() {
    let gateway = gateway().await;
    gateway.invite(ANN, &[]);
    let mut ann = Visitor::new(&gateway);
    ann.auth.ask_for_mail(ANN, "/").await;
    let page = ann
        .auth
        .open_link(&gateway.mailbox.next(ANN).await.link())
        .await;
    ann.auth.confirm_link(&page).await;
    assert_eq!(ann.auth.session_kind().await, "restricted");

    assert_eq!(ann.open(APP, "/notes/7").await.reply.status, 200);
    assert_eq!(ann.app.session_kind().await, "restricted");
    let asked = ann.open(APP, "/report").await;
    let address = asked.way.last().unwrap();
    assert!(
        asked.host == AUTH_HOST && address.contains("/.gatehouse/enrol?"),
        "{address}"
    );
    assert!(
        !asked.reply.text().contains("need=full\">Continue"),
        "going on would lead back here"
    );
    let return_to = return_to_of(address);
    ann.auth.enrol(None, &return_to).await;
    let arrival = ann.follow(&format!("{}{return_to}", ann.auth.origin)).await;
    assert_eq!(
        (arrival.host.as_str(), arrival.reply.status.as_u16()),
        (APP, 200)
    );
    assert_eq!(ann.app.session_kind().await, "full");
    let wiki = ann.open(WIKI, "/report").await;
    assert_eq!(
        (wiki.host.as_str(), wiki.reply.status.as_u16()),
        (WIKI, 200)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_person_at_the_auth_host_takes_the_place_of_the_first_everywhere() {
    let gateway = gateway().await;
    let ann = Visitor::enrolled(&gateway).await;
    ann.open(APP, "/report").await;
    gateway.invite("bob@example.com", &[]);
    let bob = gateway.session("bob@example.com", "full");
    ann.auth.keep_cookie(SESSION, &bob);
    let arrival = ann.open(WIKI, "/report").await;
    assert_eq!(arrival.reply.status, 200);
    assert_eq!(
        gateway.upstream.last_of("/report").header("Remote-User"),
        "bob@example.com"
    );
    // The app still has Ann's; what asks there for more gets Bob's, and Ann's sign-in ends with it.
    let asked = ann.open(APP, "/.gatehouse/step-up?return_to=/report").await;
    assert_eq!(asked.host, AUTH_HOST);
    assert_eq!(sessions(&gateway).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_posts_to_its_upstream_is_told_where_to_sign_in() {
    let gateway = gateway().await;
    let ann = Visitor::new(&gateway);
    let told = ann.app.fetch(Method::POST, "/transfer").await;
    assert_eq!(told.status, 401);
    let location = told.json()["location"].as_str().unwrap().to_owned();
    let reply = ann.app.open(&location).await;
    assert!(
        reply
            .header("location")
            .starts_with(&format!("{}{HANDOFF}?", ann.auth.origin))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_was_turned_away_gets_a_step_up_as_fresh_as_its_route_asks_for() {
    let gateway = Gateway::start()
        .with_hosts(&[APP])
        .with_route(&format!(
            "host = '{APP}'\npath = '/money/*'\nmethods = ['POST']\naccess = 'step_up'\nmax_age = '2m'"
        ))
        .with_route(&format!("host = '{APP}'\npath = '/*'"))
        .await;
    let mut ann = Visitor::enrolled(&gateway).await;
    ann.open(APP, "/money/form").await;
    ann.auth.step_up("/").await;
    gateway.after(3);
    let turned_away = ann
        .app
        .request(Method::POST, "/money/send")
        .header("accept", "text/html")
        .header("referer", format!("{}/money/form", ann.app.origin));
    let page = ann.app.send(turned_away).await;
    assert_eq!(page.status, 401);
    let asked = ann
        .open(APP, "/.gatehouse/step-up?return_to=/money/form")
        .await;
    assert_eq!(
        asked.host, AUTH_HOST,
        "a step-up of three minutes ago would be turned away again"
    );
    let return_to = return_to_of(asked.way.last().unwrap());
    ann.auth.step_up(&return_to).await;
    let arrival = ann.follow(&format!("{}{return_to}", ann.auth.origin)).await;
    assert!(arrival.way.last().unwrap().ends_with("/money/form"));
    let sent = ann
        .app
        .send(ann.app.request(Method::POST, "/money/send"))
        .await;
    assert_eq!(sent.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_where_people_of_a_host_sign_in() {
    let gateway = gateway().await;
    let explain = |host: &str| {
        let url = format!("https://{host}/report");
        gateway.command(&["explain", "GET", &url]).stdout
    };
    let at = format!("People sign in at {}, which hands", gateway.origin);
    assert!(explain(APP).contains(&at), "{}", explain(APP));
    assert!(explain("other.localhost").contains("Nobody can sign in for this host"));
    assert!(
        !explain(AUTH_HOST).contains("sign in at"),
        "{}",
        explain(AUTH_HOST)
    );
    let json = gateway
        .command(&["explain", "GET", "https://app.localhost/", "--json"])
        .json();
    assert_eq!(json["sign_in_at"], gateway.origin);
}

#[tokio::test(flavor = "multi_thread")]
async fn passkeys_of_other_places_are_refused_at_the_auth_host() {
    let gateway = gateway().await;
    let mut ann = Visitor::enrolled(&gateway).await;
    ann.auth.press_on_account_page("/.gatehouse/sign-out").await;
    let ceremony = ann.auth.begin_sign_in("/").await;
    // What a script in an app could get at, if browsers let it.
    let credential = ann
        .auth
        .phone
        .get(&ceremony.public_key, &ann.app.origin)
        .expect("a passkey");
    let refused = ann.auth.finish_sign_in(&ceremony, credential, "/").await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(ann.auth.session_kind().await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn related_origins_are_listed_and_their_passkeys_taken() {
    let related = "https://shop.example.org";
    let gateway = Gateway::start()
        .with(
            "relying_party",
            &format!("id = 'localhost'\norigins = ['http://localhost:8080', '{related}']"),
        )
        .await;
    let mut ann = gateway.person();
    ann.origin = gateway.origin.clone();
    let invitation = gateway.invite(ANN, &[]);
    let ceremony = ann.begin_enrolment(Some(&invitation)).await;
    let credential = ann
        .phone
        .create(&ceremony.public_key, related)
        .expect("a passkey");
    let saved = ann
        .finish_enrolment(&ceremony, Some(&invitation), credential, "/")
        .await;
    assert_eq!(saved.status, 200, "{}", saved.text());
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    for (origin, status) in [("https://evil.example.org", 400), (related, 200)] {
        let ceremony = ann.begin_sign_in("/").await;
        let credential = ann
            .phone
            .get(&ceremony.public_key, origin)
            .expect("a passkey");
        let reply = ann.finish_sign_in(&ceremony, credential, "/").await;
        assert_eq!(reply.status, status, "{origin}: {}", reply.text());
    }
    let listed = gateway
        .person()
        .fetch(Method::GET, "/.well-known/webauthn")
        .await;
    assert_eq!(
        listed.json(),
        json!({"origins": ["http://localhost:8080", related]})
    );
    assert_eq!(listed.header("content-type"), "application/json");
    assert!(
        listed.header("cache-control").starts_with("public"),
        "{:?}",
        listed.headers
    );
}
