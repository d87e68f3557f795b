use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use super::{super::assertion_keys::AssertionKey, *};
use crate::{
    email_address::EmailAddress,
    id::UserHandle,
    store::{AccountState, Recovery},
};

const FOR_APP: (&str, &str) = ("https://example.com", "app.example.com");

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn visit(via: Method, restricted: bool, stepped_up_at: Option<i64>) -> Visit {
    let id = AccountId::random();
    Visit {
        claims: Arc::new(Claims {
            account: id,
            sid: SessionId::random(),
            issued_at: at(1000),
            token_expires_at: at(1300),
            authenticated_at: at(900),
            via,
            restricted,
            stepped_up_at: stepped_up_at.map(at),
            session_expires_at: at(9000),
            host: None,
        }),
        account: Arc::new(Account {
            id,
            user_handle: UserHandle::random(),
            login: "ann".into(),
            email: EmailAddress::parse("ann@example.com"),
            email_verified_at: None,
            name: None,
            groups: vec!["staff".into()],
            state: AccountState::Active,
            created_at: at(0),
            enrolled_at: None,
            recovery: Recovery::default(),
            remind_at: None,
        }),
        set_cookie: None,
    }
}

fn part(token: &HeaderValue, part: usize) -> Vec<u8> {
    let part = token.to_str().unwrap().split('.').nth(part).unwrap();
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

fn payload(token: &HeaderValue) -> Value {
    serde_json::from_slice(&part(token, 1)).unwrap()
}

fn verifies(token: &HeaderValue, keys: &AssertionKeys, now: Timestamp) -> bool {
    let header: Value = serde_json::from_slice(&part(token, 0)).unwrap();
    let list = serde_json::to_value(keys.published(now)).unwrap();
    let list = list["keys"].as_array().unwrap();
    let Some(key) = list.iter().find(|key| key["kid"] == header["kid"]) else {
        return false;
    };
    assert_eq!(
        (&header["alg"], &key["alg"]),
        (&json!("ES256"), &json!("ES256"))
    );
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [&[4][..], &coordinate("x"), &coordinate("y")].concat();
    let text = token.to_str().unwrap();
    let signed = &text[..text.rfind('.').unwrap()];
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(signed.as_bytes(), &part(token, 2))
        .is_ok()
}

fn one_key() -> AssertionKeys {
    super::super::jwt_ring::install();
    AssertionKeys::new(vec![AssertionKey::random(at(0))])
}

#[test]
fn an_app_learns_who_asks_and_can_verify_it() {
    let keys = one_key();
    let visit = visit(Method::Passkey, false, None);
    let token = Assertions::new()
        .of(&visit, FOR_APP, &keys, at(1000))
        .unwrap();
    assert!(token.is_sensitive() && verifies(&token, &keys, at(1000)));
    assert!(!verifies(&token, &one_key(), at(1000)));
    assert_eq!(
        payload(&token),
        json!({
            "iss": "https://example.com", "sub": visit.account.id, "aud": "app.example.com",
            "iat": 1000, "exp": 1300, "auth_time": 900, "acr": "phr", "amr": ["pop", "user", "mfa"],
            "restricted": false, "preferred_username": "ann", "email": "ann@example.com",
            "groups": ["staff"],
        })
    );
}

#[test]
fn how_strongly_it_was_proved_is_told() {
    let keys = one_key();
    for (via, restricted, stepped_up_at, acr, amr, auth_time) in [
        (
            Method::Passkey,
            false,
            None,
            "phr",
            &["pop", "user", "mfa"][..],
            900,
        ),
        (
            Method::Passkey,
            false,
            Some(950),
            "phr",
            &["pop", "user", "mfa"],
            950,
        ),
        (
            Method::Passkey,
            true,
            None,
            "basic",
            &["pop", "user", "mfa"],
            900,
        ),
        (Method::Email, true, None, "basic", &["otp"], 900),
        (Method::Email, false, None, "basic", &["otp"], 900),
        (
            Method::Email,
            false,
            Some(950),
            "phr",
            &["otp", "pop", "user", "mfa"],
            950,
        ),
        (Method::Operator, false, None, "basic", &[], 900),
    ] {
        let visit = visit(via, restricted, stepped_up_at);
        let token = Assertions::new()
            .of(&visit, FOR_APP, &keys, at(1000))
            .unwrap();
        let said = payload(&token);
        assert_eq!(
            (
                &said["acr"],
                &said["amr"],
                &said["auth_time"],
                &said["restricted"]
            ),
            (
                &json!(acr),
                &json!(amr),
                &json!(auth_time),
                &json!(restricted)
            ),
            "{via:?}"
        );
    }
}

#[test]
fn an_assertion_serves_until_it_is_half_over_or_says_something_else() {
    let (assertions, keys) = (Assertions::new(), one_key());
    let first_visit = visit(Method::Passkey, false, None);
    let of = |visit: &Visit, issuer, audience, now| {
        assertions
            .of(visit, (issuer, audience), &keys, at(now))
            .unwrap()
    };
    let first = of(&first_visit, "https://a", "app", 1000);
    assert_eq!(of(&first_visit, "https://a", "app", 1149), first);
    assert_ne!(of(&first_visit, "https://a", "app", 1150), first);
    let second = of(&first_visit, "https://a", "app", 1200);
    assert_ne!(of(&first_visit, "https://a", "other", 1200), second);
    assert_ne!(of(&first_visit, "https://b", "app", 1200), second);

    let reloaded = Visit {
        account: Arc::new(Account::clone(&first_visit.account)),
        ..first_visit.clone()
    };
    let third = of(&reloaded, "https://a", "app", 1200);
    assert_eq!(of(&first_visit, "https://a", "app", 1200), third);
    let promoted = Visit {
        account: Arc::new(Account {
            groups: vec!["board".into()],
            ..Account::clone(&first_visit.account)
        }),
        ..first_visit.clone()
    };
    assert_eq!(
        payload(&of(&promoted, "https://a", "app", 1200))["groups"],
        json!(["board"])
    );
    let stepped_up = Visit {
        claims: Arc::new(Claims {
            stepped_up_at: Some(at(1200)),
            ..Claims::clone(&first_visit.claims)
        }),
        ..promoted
    };
    assert_eq!(
        payload(&of(&stepped_up, "https://a", "app", 1200))["auth_time"],
        1200
    );
}

#[test]
fn without_a_key_nothing_is_said() {
    let visit = visit(Method::Passkey, false, None);
    let none = AssertionKeys::default();
    assert_eq!(Assertions::new().of(&visit, FOR_APP, &none, at(1000)), None);
}
