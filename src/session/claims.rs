//! What a session token says, and how it is written as a JWT (RFC 7519).

use std::time::Duration;

use jsonwebtoken::{Algorithm, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use super::key_ring::{KeyRing, header};
use crate::{
    clock::Timestamp,
    id::{AccountId, SessionId},
    method::Method,
    store::SessionRecord,
};

/// How long a token is good for without a look into the store. A session that ended elsewhere can outlive
/// the store's own outage by no more than this.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// A token this old is renewed on the way through.
pub const RENEW_AFTER: Duration = Duration::from_secs(150);

/// How fresh a passkey check must be for changing what opens the account: whoever finds an unlocked screen or
/// steals a cookie must not be able to plant a key, or take codes, of their own.
const FRESH: Duration = Duration::from_secs(5 * 60);

const ISSUER: &str = "gatehouse";

/// What a session token says. No name, address or group: those are looked up when they are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whose session.
    pub account: AccountId,
    /// Which session.
    pub sid: SessionId,
    /// When this token was made.
    pub issued_at: Timestamp,
    /// From then on the store must be asked.
    pub token_expires_at: Timestamp,
    /// When the person proved who they are.
    pub authenticated_at: Timestamp,
    /// How.
    pub via: Method,
    /// Held to low-stakes operations until a passkey is saved.
    pub restricted: bool,
    /// The last fresh passkey check.
    pub stepped_up_at: Option<Timestamp>,
    /// Absolute end.
    pub session_expires_at: Timestamp,
    /// The host that takes it; `None` is any. A session that was handed to one host, whose names may be less
    /// well guarded than those of another, is worth nothing there.
    pub host: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    iss: String,
    aud: String,
    sub: AccountId,
    sid: SessionId,
    iat: Timestamp,
    exp: Timestamp,
    auth_time: Timestamp,
    #[serde(default, skip_deserializing)]
    amr: &'static [&'static str],
    via: Method,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restricted: Option<Restriction>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stepped_up_at: Option<Timestamp>,
    ses_exp: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
}

#[derive(Serialize, Deserialize)]
enum Restriction {
    #[serde(rename = "re-enrol")]
    ReEnrol,
}

impl Claims {
    /// The claims of a session's token made `now`.
    pub fn of(session: &SessionRecord, now: Timestamp) -> Self {
        Self {
            account: session.account,
            sid: session.id,
            issued_at: now,
            token_expires_at: now.plus(TOKEN_LIFETIME).min(session.expires_at),
            authenticated_at: session.authenticated_at,
            via: session.method,
            restricted: session.restricted,
            stepped_up_at: session.stepped_up_at,
            session_expires_at: session.expires_at,
            host: session.host.clone(),
        }
    }

    /// Whether the token may be used `now` without a look into the store. One from the future is not: the
    /// clock was wrong when it was made, or is now.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.token_expires_at && self.issued_at <= now.plus(CLOCK_SKEW)
    }

    /// The last passkey check: the sign-in, if it was one, or a step-up.
    pub fn passkey_checked_at(&self) -> Option<Timestamp> {
        match self.via {
            Method::Passkey => self.stepped_up_at.max(Some(self.authenticated_at)),
            Method::Email
            | Method::BackupCode
            | Method::Recovery
            | Method::Pairing
            | Method::Operator => self.stepped_up_at,
        }
    }

    /// Whether this is a full session with a passkey check of the last five minutes: what it takes to change the
    /// ways into an account. Whoever finds an unlocked screen or steals a cookie must not be able to plant a key
    /// of their own. A restricted session never counts: the passkey that opened it is still waiting.
    pub fn has_fresh_passkey_check(&self, now: Timestamp) -> bool {
        let checked_at = self.passkey_checked_at();
        !self.restricted && checked_at.is_some_and(|checked_at| now.since(checked_at) <= FRESH)
    }

    /// Whether a request to `host` may come with it.
    pub fn is_for(&self, host: &str) -> bool {
        self.host.as_deref().is_none_or(|own| own == host)
    }

    /// Whether the token should be renewed.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now.since(self.issued_at) >= RENEW_AFTER || !self.is_fresh(now)
    }
}

/// How far the clocks of two nodes may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// Signs and verifies the session tokens of one deployment.
pub struct TokenFormat {
    audience: String,
    validation: Validation,
}

impl TokenFormat {
    /// For the deployment whose relying party is `audience`.
    pub fn new(audience: &str) -> Self {
        super::jwt_ring::install();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Expiry is judged by our own clock, in `Claims::is_fresh`: an expired token of a live session is
        // renewed, not refused.
        validation.validate_exp = false;
        Self {
            audience: audience.to_owned(),
            validation,
        }
    }

    /// The signed token.
    pub fn sign(&self, claims: &Claims, keys: &KeyRing) -> String {
        let key = keys.signing_key(claims.issued_at);
        let payload = Payload {
            iss: ISSUER.to_owned(),
            aud: self.audience.clone(),
            sub: claims.account,
            sid: claims.sid,
            iat: claims.issued_at,
            exp: claims.token_expires_at,
            auth_time: claims.authenticated_at,
            amr: claims.via.amr(),
            via: claims.via,
            restricted: claims.restricted.then_some(Restriction::ReEnrol),
            stepped_up_at: claims.stepped_up_at,
            ses_exp: claims.session_expires_at,
            host: claims.host.clone(),
        };
        encode(&header(key.kid()), &payload, key.encoding())
            .expect("HS256 signs plain data with a key of its own kind")
    }

    /// What an authentic token says, whether or not it has expired; `None` for anything else.
    pub fn verify(&self, token: &str, keys: &KeyRing) -> Option<Claims> {
        // Only headers that we write ourselves are known; nothing in one is obeyed.
        let (header, _) = token.split_once('.')?;
        let key = keys.of_header(header)?;
        let payload = decode::<Payload>(token, key.decoding(), &self.validation)
            .ok()?
            .claims;
        Some(Claims {
            account: payload.sub,
            sid: payload.sid,
            issued_at: payload.iat,
            token_expires_at: payload.exp,
            authenticated_at: payload.auth_time,
            via: payload.via,
            restricted: payload.restricted.is_some(),
            stepped_up_at: payload.stepped_up_at,
            session_expires_at: payload.ses_exp,
            host: payload.host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::key_ring::Key;

    fn claims() -> Claims {
        Claims {
            account: AccountId::random(),
            sid: SessionId::random(),
            issued_at: at(1000),
            token_expires_at: at(1300),
            authenticated_at: at(900),
            via: Method::Email,
            restricted: true,
            stepped_up_at: None,
            session_expires_at: at(9000),
            host: Some("app.example.com".to_owned()),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_token_says_what_was_signed() {
        let format = TokenFormat::new("example.com");
        let keys = KeyRing::new(vec![Key::random(at(0))]);
        let claims = claims();
        let token = format.sign(&claims, &keys);
        assert!(token.len() < crate::session::cookie::MAX_TOKEN_BYTES);
        assert_eq!(format.verify(&token, &keys), Some(claims));
    }

    #[test]
    fn what_was_not_signed_so_is_refused() {
        let format = TokenFormat::new("example.com");
        let keys = KeyRing::new(vec![Key::random(at(0))]);
        let token = format.sign(&claims(), &keys);
        assert_eq!(
            TokenFormat::new("other.example").verify(&token, &keys),
            None,
            "audience"
        );
        assert_eq!(
            format.verify(&token, &KeyRing::new(vec![Key::random(at(0))])),
            None,
            "unknown key"
        );
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // The last character of a base64 text has bits that do not count.
            if changed != token && at + 1 != token.len() {
                assert_eq!(format.verify(&changed, &keys), None, "changed at {at}");
            }
            assert_eq!(format.verify(&token[..at], &keys), None, "cut at {at}");
        }
    }

    #[test]
    fn a_token_of_another_type_or_without_a_signature_is_refused() {
        let format = TokenFormat::new("example.com");
        let key = Key::random(at(0));
        let keys = KeyRing::new(vec![key.clone()]);
        let token = format.sign(&claims(), &keys);
        let body = token.split('.').nth(1).unwrap();
        let mut header = jsonwebtoken::Header::new(Algorithm::HS256);
        header.kid = Some(key.kid().to_owned());
        let payload: serde_json::Value = jsonwebtoken::dangerous::insecure_decode(&token)
            .unwrap()
            .claims;
        let other = encode(&header, &payload, key.encoding()).unwrap();
        assert_eq!(format.verify(&other, &keys), None, "typ JWT");
        // {"alg":"none","typ":"gatehouse-session+jwt"}
        let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiZ2F0ZWhvdXNlLXNlc3Npb24rand0In0.{body}.");
        assert_eq!(format.verify(&none, &keys), None, "alg none");
    }

    #[test]
    fn a_passkey_check_is_fresh_for_five_minutes_in_a_full_session() {
        let by_mail = Claims {
            restricted: false,
            ..claims()
        };
        assert!(!by_mail.has_fresh_passkey_check(at(900)));
        let stepped_up = Claims {
            stepped_up_at: Some(at(1000)),
            ..by_mail.clone()
        };
        assert!(stepped_up.has_fresh_passkey_check(at(1300)));
        assert!(!stepped_up.has_fresh_passkey_check(at(1301)));
        let by_passkey = Claims {
            via: Method::Passkey,
            ..by_mail
        };
        assert!(by_passkey.has_fresh_passkey_check(at(1200)));
        assert!(!by_passkey.has_fresh_passkey_check(at(1201)));
        let restricted = Claims {
            restricted: true,
            ..by_passkey
        };
        assert!(!restricted.has_fresh_passkey_check(at(900)));
    }

    #[test]
    fn a_token_is_for_its_host_or_for_any() {
        let bound = claims();
        assert!(bound.is_for("app.example.com"));
        for other in ["wiki.example.com", "example.com", "app.example.com.", ""] {
            assert!(!bound.is_for(other), "{other}");
        }
        let free = Claims {
            host: None,
            ..bound
        };
        assert!(free.is_for("wiki.example.com"));
    }

    #[test]
    fn freshness_follows_the_clock() {
        let claims = claims();
        assert!(claims.is_fresh(at(1299)) && !claims.is_fresh(at(1300)));
        assert!(!claims.is_due(at(1149)) && claims.is_due(at(1150)));
        assert!(!claims.is_fresh(at(900)), "made in the future");
    }
}
