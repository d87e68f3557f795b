use std::sync::Arc;

use http::{Method, Version};
use proptest::prelude::*;

use super::*;
use crate::{
    clock::Timestamp,
    config::{AppCredential, AppHost, IdentityPreset, PathPrefix},
    email_address::EmailAddress,
    gateway::authority::Authority,
    id::{AccountId, SessionId, UserHandle},
    policy::target::Target,
    session::Claims,
    store::{AccountState, Recovery},
};

fn facts() -> RequestFacts {
    RequestFacts {
        destination: None,
        method: Method::GET,
        authority: Authority::parse(b"App.Example:8080").unwrap(),
        target: Target::parse(b"/canonical?q=1").unwrap(),
    }
}

fn visit(groups: &[&str]) -> Visit {
    let now = Timestamp::from_seconds(1);
    Visit {
        claims: Arc::new(Claims {
            sid: SessionId::random(),
            via: crate::method::Method::Passkey,
            restricted: true,
            stepped_up_at: None,
            account: AccountId::random(),
            issued_at: now,
            token_expires_at: now,
            authenticated_at: now,
            session_expires_at: now,
            host: None,
        }),
        account: Arc::new(Account {
            id: AccountId::random(),
            user_handle: UserHandle::random(),
            login: "ann".into(),
            email: EmailAddress::parse("ann@example.com"),
            email_verified_at: Some(now),
            name: Some("José, “A”\r\nX: 1 ".into()),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            state: AccountState::Active,
            created_at: now,
            enrolled_at: None,
            recovery: Recovery::default(),
            remind_at: None,
        }),
        set_cookie: None,
    }
}

fn request(fields: &[(String, String)]) -> RequestHeader {
    let mut request = RequestHeader::build("GET", b"/as/sent", None).unwrap();
    request.set_version(Version::HTTP_11);
    for (name, value) in fields {
        request.append_header(name.clone(), value.as_str()).unwrap();
    }
    request
}

fn introduce(fields: &[(&str, &str)], visit: Option<&Visit>) -> RequestHeader {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    introduce_owned(&fields, visit)
}

fn introduce_owned(fields: &[(String, String)], visit: Option<&Visit>) -> RequestHeader {
    deliver(fields, visit, &facts(), &Delivery::default())
}

fn identity() -> Identity {
    let custom = [
        Some(HeaderName::from_static("x-own-user")),
        None,
        None,
        None,
    ];
    let presets = vec![IdentityPreset::Remote, IdentityPreset::XForwarded];
    Identity::new(presets, custom, Some(HeaderName::from_static("x-signed")))
}

fn deliver(
    fields: &[(String, String)],
    visit: Option<&Visit>,
    facts: &RequestFacts,
    delivery: &Delivery,
) -> RequestHeader {
    let mut request = request(fields);
    Introduction {
        facts,
        visit,
        identity: &identity(),
        delivery,
        assertion: None,
        client: "203.0.113.7".parse().unwrap(),
        secure: true,
        request_id: RequestId::random(),
    }
    .write(&mut request)
    .unwrap();
    request
}

#[test]
fn the_upstream_hears_the_canonical_target_and_who_asks() {
    let visit = visit(&["a,admin", "staff"]);
    let request = introduce(
        &[("Host", "app.example:8080"), ("Accept", "*/*")],
        Some(&visit),
    );
    assert_eq!(request.raw_path(), b"/canonical?q=1");
    for (name, value) in [
        ("host", "app.example:8080"),
        ("accept", "*/*"),
        ("remote-user", "ann"),
        ("remote-email", "ann@example.com"),
        (
            "remote-name",
            "Jos%C3%A9%2C %E2%80%9CA%E2%80%9D%0D%0AX: 1%20",
        ),
        ("remote-groups", "a%2Cadmin,staff"),
        ("x-forwarded-user", "ann"),
        ("x-own-user", "ann"),
        ("x-gatehouse-session", "restricted"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "app.example:8080"),
    ] {
        assert_eq!(request.headers[name], value, "{name}");
    }
    assert!(!request.headers.contains_key("x-auth-request-user"));
}

#[test]
fn without_a_session_no_identity_is_told() {
    let forged = [
        ("Remote-User", "root"),
        ("X-Auth-Request-Email", "a@b.c"),
        ("X-Gatehouse-Session", "full"),
        ("X-Own-User", "root"),
        ("X-Signed", "root"),
    ];
    let request = introduce(&forged, None);
    assert!(request.headers.keys().all(|name| {
        let name = name.as_str();
        !name.starts_with("remote")
            && !name.starts_with("x-auth")
            && !name.starts_with("x-gatehouse")
            && !name.starts_with("x-own")
            && name != "x-signed"
    }));
}

#[test]
fn names_that_change_what_was_decided_are_removed_in_every_spelling() {
    for name in [
        "X-Original-URL",
        "x_rewrite_url",
        "X.HTTP.Method.Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "Content_Length",
        "transfer.encoding",
        "X_Forwarded_For",
        "Forwarded",
        "X-Real-Ip",
        "X-Forwarded-Port",
        "Proxy",
        "remote!user",
        "Remote_Groups",
        "X_Own_User",
        "x.own.user",
        "X_Signed",
        "X-Forwarded-Prefix",
    ] {
        let request = introduce(&[(name, "7")], None);
        let kept = request
            .headers
            .get_all(name)
            .iter()
            .any(|value| value == "7");
        assert!(!kept, "{name}");
    }
}

#[test]
fn an_app_that_need_not_know_hears_nothing_of_the_person() {
    let anonymous = Delivery {
        anonymous: true,
        ..Delivery::default()
    };
    let request = deliver(&[], Some(&visit(&["staff"])), &facts(), &anonymous);
    let names: Vec<_> = request.headers.keys().map(HeaderName::as_str).collect();
    for name in &names {
        assert!(
            [
                "host",
                "x-request-id",
                "x-forwarded-for",
                "x-forwarded-proto",
                "x-forwarded-host"
            ]
            .contains(name),
            "{names:?}"
        );
    }
}

#[test]
fn the_operators_changes_lose_to_the_gateways_words() {
    let delivery = Delivery {
        request_headers: HeaderEdits {
            set: vec![
                ("x-env".parse().unwrap(), HeaderValue::from_static("prod")),
                // A compiled configuration has none such.
                (
                    "remote-user".parse().unwrap(),
                    HeaderValue::from_static("root"),
                ),
                (
                    "host".parse().unwrap(),
                    HeaderValue::from_static("elsewhere"),
                ),
            ],
            remove: vec![header::ACCEPT_ENCODING],
        },
        ..Delivery::default()
    };
    let fields = [
        ("X-Env", "test"),
        ("Accept-Encoding", "br"),
        ("X-Env", "more"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let request = deliver(&fields, Some(&visit(&[])), &facts(), &delivery);
    let values: Vec<_> = request.headers.get_all("x-env").iter().collect();
    assert_eq!(values, ["prod"]);
    assert!(!request.headers.contains_key("accept-encoding"));
    assert_eq!(request.headers["remote-user"], "ann");
    assert_eq!(request.headers["host"], "app.example:8080");
}

#[test]
fn the_app_hears_the_host_and_path_that_it_knows() {
    let facts = RequestFacts {
        target: Target::parse(b"/wiki/a?b=/wiki/c").unwrap(),
        ..facts()
    };
    let delivery = Delivery {
        host: Some(AppHost {
            host: "wiki.internal".into(),
            port: Some(81),
        }),
        prefix: PathPrefix {
            strip: "/wiki".into(),
            add: "/app".into(),
        },
        ..Delivery::default()
    };
    let request = deliver(&[], None, &facts, &delivery);
    assert_eq!(request.raw_path(), b"/app/a?b=/wiki/c");
    assert_eq!(request.headers["host"], "wiki.internal:81");
    assert_eq!(request.headers["x-forwarded-host"], "app.example:8080");
    assert_eq!(request.headers["x-forwarded-prefix"], "/wiki");
}

#[test]
fn each_group_is_signed_in_to_the_app_by_the_first_entry_that_fits() {
    let entry = |group: Option<&str>, value| AppCredential {
        group: group.map(str::to_owned),
        value: HeaderValue::from_static(value),
    };
    let groups_first = vec![
        entry(Some("staff"), "Basic s"),
        entry(Some("board"), "Basic b"),
    ];
    let and_everybody = [groups_first.clone(), vec![entry(None, "Bearer e")]].concat();
    for (credentials, groups, expected) in [
        (
            Some(groups_first.clone()),
            &["board", "staff"][..],
            Some("Basic s"),
        ),
        (Some(groups_first.clone()), &["board"], Some("Basic b")),
        (Some(groups_first), &["guests"], None),
        (Some(and_everybody), &[], Some("Bearer e")),
        (None, &["staff"], Some("Basic own")),
    ] {
        let delivery = Delivery {
            authorization: credentials,
            ..Delivery::default()
        };
        let own = [("Authorization".to_owned(), "Basic own".to_owned())];
        let request = deliver(&own, Some(&visit(groups)), &facts(), &delivery);
        let values: Vec<_> = request.headers.get_all("authorization").iter().collect();
        assert_eq!(values, expected.as_slice(), "{groups:?}");
    }
}

#[test]
fn without_a_session_nobody_is_signed_in_to_the_app() {
    let delivery = Delivery {
        authorization: Some(vec![AppCredential {
            group: None,
            value: HeaderValue::from_static("Basic s"),
        }]),
        ..Delivery::default()
    };
    let own = [("Authorization".to_owned(), "Basic own".to_owned())];
    let request = deliver(&own, None, &facts(), &delivery);
    assert!(!request.headers.contains_key("authorization"));
}

#[test]
fn the_gateways_cookies_stay_with_the_gateway() {
    let request = introduce(
        &[("Cookie", "a=1; __Host-gatehouse=x"), ("Cookie", "b=2")],
        None,
    );
    let cookies: Vec<_> = request.headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2"]);
    assert!(
        !introduce(&[("Cookie", "__Host-gatehouse=x")], None)
            .headers
            .contains_key("cookie")
    );
}

#[test]
fn connection_names_nothing_but_a_websocket() {
    let request = introduce(
        &[
            ("Connection", "Upgrade, Remote-User"),
            ("Upgrade", "WebSocket"),
        ],
        None,
    );
    assert_eq!(request.headers["connection"], "Upgrade");
    let request = introduce(&[("Connection", "X-Request-Id"), ("Upgrade", "h2c")], None);
    assert!(
        !request.headers.contains_key("connection") && !request.headers.contains_key("upgrade")
    );
}

/// As CGI folds names.
fn folded(name: &str) -> String {
    name.replace(|character: char| !character.is_ascii_alphanumeric(), "_")
        .to_ascii_uppercase()
}

fn any_field() -> impl Strategy<Value = (String, String)> {
    let ours = prop::sample::select(vec![
        "remote-user",
        "remote-email",
        "remote-name",
        "remote-groups",
        "x-forwarded-user",
        "x-forwarded-email",
        "x-forwarded-preferred-username",
        "x-forwarded-groups",
        "x-auth-request-user",
        "x-auth-request-groups",
        "x-gatehouse-session",
        "x-gatehouse-assertion",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-request-id",
        "host",
        "x-real-ip",
        "x-own-user",
        "x-signed",
        "accept",
        "connection",
    ]);
    let separators = prop::collection::vec(prop::sample::select(vec!['-', '_', '.', '~', '!']), 4);
    let spelled = (ours, separators, any::<bool>()).prop_map(|(name, separators, upper)| {
        let mut separators = separators.into_iter().cycle();
        let name: String = name
            .chars()
            .map(|character| {
                if character == '-' {
                    separators.next().unwrap_or('-')
                } else {
                    character
                }
            })
            .collect();
        if upper {
            name.to_ascii_uppercase()
        } else {
            name
        }
    });
    let value = prop::sample::select(vec![
        "forged",
        "close",
        "remote-user",
        "Remote-User, x-gatehouse-session, X-Request-Id",
        "keep-alive, host",
    ]);
    (spelled, value).prop_map(|(name, value)| (name, value.to_owned()))
}

proptest! {
    #[test]
    fn every_identity_name_is_ours_and_there_once(fields in prop::collection::vec(any_field(), 0..12)) {
        let visit = visit(&["staff"]);
        let request = introduce_owned(&fields, Some(&visit));
        for ours in ["remote-user", "remote-email", "remote-name", "remote-groups", "x-forwarded-user",
            "x-forwarded-email", "x-forwarded-preferred-username", "x-forwarded-groups", "x-gatehouse-session",
            "x-forwarded-for", "x-forwarded-host", "x-request-id", "host", "x-own-user"]
        {
            let values: Vec<_> = request.headers.iter()
                .filter(|(name, _)| folded(name.as_str()) == folded(ours))
                .map(|(_, value)| value)
                .collect();
            prop_assert_eq!(values.len(), 1, "{}: {:?}", ours, values);
            prop_assert!(fields.iter().all(|(_, forged)| values[0] != forged.as_str()));
        }
        for never in ["x-auth-request-user", "x-auth-request-groups", "x-gatehouse-assertion", "x-real-ip",
            "x-signed", "connection"]
        {
            prop_assert!(!request.headers.keys().any(|name| folded(name.as_str()) == folded(never)), "{}", never);
        }
    }

    #[test]
    fn an_encoded_value_is_a_header_and_decodes_to_the_text(text: String) {
        let encoded = encode(&text);
        prop_assert!(HeaderValue::from_str(&encoded).is_ok());
        prop_assert!(encoded.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b','));
        prop_assert_eq!(encoded.trim(), encoded.as_str());
        let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap();
        prop_assert_eq!(decoded.as_ref(), text.as_str());
    }
}
