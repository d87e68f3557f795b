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
mod tests;
