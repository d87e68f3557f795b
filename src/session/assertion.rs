//! What apps are told of the person in a form that they can verify: a JWT signed by ES256, for one app, for
//! five minutes.
//!
//! Signing costs more than the rest of a request, so an assertion serves until half of its life is over or what
//! it says has changed.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use axum::http::HeaderValue;
use jsonwebtoken::{Algorithm, Header, encode};
use moka::{Equivalent, sync::Cache};
use serde::Serialize;

use super::{
    Visit,
    assertion_keys::{AssertionKeys, LIFETIME},
};
use crate::{
    clock::Timestamp,
    id::{AccountId, SessionId},
    method::Method,
    session::Claims,
    store::Account,
};

/// An assertion this old is made anew.
const RENEW_AFTER: Duration = Duration::from_secs(150);

const CACHED: u64 = 100_000;

/// What is said.
#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    sub: AccountId,
    aud: &'a str,
    iat: Timestamp,
    exp: Timestamp,
    /// When the person last proved who they are (OpenID Connect Core §2): the sign-in, or a later step-up.
    auth_time: Timestamp,
    acr: &'static str,
    amr: Vec<&'static str>,
    restricted: bool,
    preferred_username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    groups: &'a [String],
}

/// The assertions in use, by session and app.
pub(super) struct Assertions {
    made: Cache<Subject, Made>,
}

/// Whose session an assertion is about, and which app it is for.
#[derive(PartialEq, Eq)]
struct Subject {
    session: SessionId,
    audience: String,
}

/// The same, to look for.
struct Wanted<'a> {
    session: SessionId,
    audience: &'a str,
}

#[derive(Clone)]
struct Made {
    value: HeaderValue,
    made_at: Timestamp,
    issuer: Arc<str>,
    account: Arc<Account>,
    standing: Standing,
}

/// What of a session's claims is told.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Standing {
    via: Method,
    restricted: bool,
    authenticated_at: Timestamp,
    stepped_up_at: Option<Timestamp>,
}

impl Assertions {
    pub(super) fn new() -> Self {
        Self {
            made: Cache::builder()
                .max_capacity(CACHED)
                .time_to_live(LIFETIME)
                .build(),
        }
    }

    /// The assertion of who asks for the app at `audience`; `None` when there is no key.
    pub(super) fn of(
        &self,
        visit: &Visit,
        (issuer, audience): (&str, &str),
        keys: &AssertionKeys,
        now: Timestamp,
    ) -> Option<HeaderValue> {
        let session = visit.claims.sid;
        let standing = Standing::of(&visit.claims);
        let wanted = Wanted { session, audience };
        if let Some(made) = self.made.get(&wanted)
            && made.standing == standing
            && &*made.issuer == issuer
            && now.since(made.made_at) < RENEW_AFTER
            && made.made_at <= now
            && (Arc::ptr_eq(&made.account, &visit.account) || made.account == visit.account)
        {
            return Some(made.value);
        }
        let value = sign(visit, standing, (issuer, audience), keys, now)?;
        let made = Made {
            value: value.clone(),
            made_at: now,
            issuer: issuer.into(),
            account: Arc::clone(&visit.account),
            standing,
        };
        let audience = audience.to_owned();
        self.made.insert(Subject { session, audience }, made);
        Some(value)
    }
}

fn sign(
    visit: &Visit,
    standing: Standing,
    (issuer, audience): (&str, &str),
    keys: &AssertionKeys,
    now: Timestamp,
) -> Option<HeaderValue> {
    let key = keys.signing_key(now)?;
    let account = &visit.account;
    let payload = Payload {
        iss: issuer,
        sub: account.id,
        aud: audience,
        iat: now,
        exp: now.plus(LIFETIME).min(visit.claims.session_expires_at),
        auth_time: standing
            .authenticated_at
            .max(standing.stepped_up_at.unwrap_or(standing.authenticated_at)),
        acr: acr(&visit.claims),
        amr: standing.amr(),
        restricted: standing.restricted,
        preferred_username: &account.login,
        email: account.email.as_ref().map(|email| email.as_str()),
        name: account.name.as_deref(),
        groups: &account.groups,
    };
    // The type is the plain one: verifiers of the usual frameworks refuse any other.
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(key.kid().to_owned());
    let token = encode(&header, &payload, key.encoding())
        .inspect_err(|error| tracing::error!(%error, "an assertion could not be signed"))
        .ok()?;
    let mut value = HeaderValue::try_from(token).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `phr`, phishing-resistant, as challenges call it (RFC 9470): a passkey opened or raised the session, which is
/// not restricted. Anything less is `basic`.
fn acr(claims: &Claims) -> &'static str {
    match claims.passkey_checked_at() {
        Some(_) if !claims.restricted => "phr",
        Some(_) | None => "basic",
    }
}

impl Standing {
    fn of(claims: &Claims) -> Self {
        Self {
            via: claims.via,
            restricted: claims.restricted,
            authenticated_at: claims.authenticated_at,
            stepped_up_at: claims.stepped_up_at,
        }
    }

    /// Of the sign-in, and of a step-up, which is by passkey.
    fn amr(self) -> Vec<&'static str> {
        let mut amr = self.via.amr().to_vec();
        let raised = self.stepped_up_at.map(|_| Method::Passkey.amr());
        for reference in raised.into_iter().flatten() {
            if !amr.contains(reference) {
                amr.push(reference);
            }
        }
        amr
    }
}

fn hash<H: Hasher>(session: SessionId, audience: &str, state: &mut H) {
    session.hash(state);
    audience.hash(state);
}

impl Hash for Subject {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.session, &self.audience, state);
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.session, self.audience, state);
    }
}

impl Equivalent<Subject> for Wanted<'_> {
    fn equivalent(&self, subject: &Subject) -> bool {
        self.session == subject.session && self.audience == subject.audience
    }
}

#[cfg(test)]
mod tests {
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
}
