use std::sync::Arc;

use http::{Method, Version};
use proptest::prelude::*;

use super::*;
use crate::{
    clock::Timestamp,
    email_address::EmailAddress,
    gateway::authority::Authority,
    id::{AccountId, SessionId, UserHandle},
    policy::target::Target,
    session::Claims,
    store::{AccountState, Recovery},
};

fn facts() -> RequestFacts {
    RequestFacts {
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
    let mut request = request(fields);
    Introduction {
        facts: &facts(),
        visit,
        identity: &Identity {
            presets: vec![IdentityPreset::Remote, IdentityPreset::XForwarded],
        },
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
    ];
    let request = introduce(&forged, None);
    assert!(request.headers.keys().all(|name| {
        let name = name.as_str();
        !name.starts_with("remote")
            && !name.starts_with("x-auth")
            && !name.starts_with("x-gatehouse")
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
            "x-forwarded-for", "x-forwarded-host", "x-request-id", "host"]
        {
            let values: Vec<_> = request.headers.iter()
                .filter(|(name, _)| folded(name.as_str()) == folded(ours))
                .map(|(_, value)| value)
                .collect();
            prop_assert_eq!(values.len(), 1, "{}: {:?}", ours, values);
            prop_assert!(fields.iter().all(|(_, forged)| values[0] != forged.as_str()));
        }
        for never in ["x-auth-request-user", "x-auth-request-groups", "x-gatehouse-assertion", "x-real-ip",
            "connection"]
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
