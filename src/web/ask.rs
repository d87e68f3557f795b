//! One request for an own page: everything its handler needs, and the checks that every form passes.

use std::sync::Arc;

use askama::Template;
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    browser::Browser,
    caller::Caller,
    error::{Outcome, Refusal},
    pages::Frame,
};
use crate::{
    clock::Timestamp,
    config::{Config, RelyingParty},
    core::Core,
    email_address::EmailAddress,
    mail::Happening,
    notice::{self, Telling},
    secret::Purpose,
    session::Visit,
    snapshot::Snapshot,
    store::{Account, Notice, Suspect},
};

/// The header in which a script sends the form token.
pub const FORM_TOKEN_HEADER: HeaderName = HeaderName::from_static("x-gatehouse-form");

/// A request for an own page.
#[derive(Clone)]
pub struct Ask {
    /// What everything works with.
    pub core: Arc<Core>,
    /// The configuration in force when the request came.
    pub snapshot: Arc<Snapshot>,
    /// Who asks.
    pub caller: Caller,
    /// The browser that asks.
    pub browser: Browser,
    /// Which browser and system it says it is: what people see in lists and mails.
    pub device: String,
    form_token: String,
}

impl Ask {
    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.snapshot.config
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.core.clock.now()
    }

    /// The host that a session begun here is for: where one host signs people in for all, a session is good
    /// for its own host alone.
    pub fn session_host(&self) -> Option<String> {
        let auth = self.config().relying_party.auth.as_ref();
        auth.map(|_| self.caller.host.clone())
    }

    /// The live session.
    ///
    /// # Errors
    /// [`Refusal::SIGN_IN_FIRST`] when there is none.
    pub fn visit(&self) -> Outcome<&Visit> {
        self.caller.visit.as_ref().ok_or(Refusal::SIGN_IN_FIRST)
    }

    /// What every page shows.
    pub fn frame(&self) -> Frame<'_> {
        Frame {
            branding: &self.config().branding,
            assets: &self.snapshot.assets,
            form_token: &self.form_token,
            signed_in_as: self
                .caller
                .visit
                .as_ref()
                .map(|visit| visit.account.login.as_str()),
            email_offered: self.config().methods.email.is_some(),
            administers: self.caller.visit.as_ref().is_some_and(|visit| {
                !visit.claims.restricted && self.config().admin.admits(&visit.account.groups)
            }),
        }
    }

    /// Has this node learn at once of what was just changed. If it cannot, the change stands all the same and
    /// is learnt of within a second of the store's return: the answer must not say otherwise.
    pub async fn catch_up(&self) {
        if let Err(error) = self.core.sessions.catch_up().await {
            tracing::warn!(%error, "a change was made but is not yet followed");
        }
    }

    /// A notice to an account's address of what is about to happen to it. The step of the store that makes it
    /// happen keeps it; then wake the outbox.
    pub fn notice(
        &self,
        account: &Account,
        what: Happening,
        suspect: Option<Suspect>,
    ) -> Option<Notice> {
        self.notice_to(account, &account.email, what, suspect)
    }

    /// The same to other addresses than the account's.
    pub fn notice_to<'a>(
        &self,
        account: &Account,
        addresses: impl IntoIterator<Item = &'a EmailAddress>,
        what: Happening,
        suspect: Option<Suspect>,
    ) -> Option<Notice> {
        let telling = Telling {
            what,
            device: Some(&self.device),
            network: Some(self.caller.network()),
            suspect,
        };
        let config = self.config();
        let origin = config.relying_party.origin_for(&self.caller.host);
        notice::write(&self.core, config, origin, account, addresses, telling)
    }

    /// What this very browser keeps and nobody can read or alter; `flow` names what it is of, and it opens as
    /// nothing else.
    ///
    /// # Errors
    /// [`Refusal::INTERNAL`] when it does not serialise.
    pub fn seal(&self, flow: &str, state: &impl Serialize) -> Outcome<String> {
        let plain = serde_json::to_vec(state).map_err(|_| Refusal::INTERNAL)?;
        let sealer = self.core.secret.sealer(Purpose::FlowState);
        Ok(URL_SAFE_NO_PAD.encode(sealer.seal(&self.flow_context(flow), &plain)))
    }

    /// What [`seal`](Self::seal) gave this browser.
    pub fn unseal<T: DeserializeOwned>(&self, flow: &str, sealed: &str) -> Option<T> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let sealer = self.core.secret.sealer(Purpose::FlowState);
        let plain = sealer.open(&self.flow_context(flow), &sealed)?;
        serde_json::from_slice(&plain).ok()
    }

    fn flow_context(&self, flow: &str) -> Vec<u8> {
        [flow.as_bytes(), b"/", self.browser.digest().bytes()].concat()
    }

    /// A page as an answer.
    ///
    /// # Errors
    /// [`Refusal::INTERNAL`] when it does not render.
    pub fn page(&self, page: &impl Template) -> Outcome {
        match page.render() {
            Ok(html) => Ok(Html(html).into_response()),
            Err(error) => {
                tracing::error!(%error, "a page does not render");
                Err(Refusal::INTERNAL)
            }
        }
    }
}

impl FromRequestParts<Arc<Core>> for Ask {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, core: &Arc<Core>) -> Result<Self, Refusal> {
        // The outermost layer made one already; handlers must see the same browser.
        if let Some(ask) = parts.extensions.get::<Self>() {
            return Ok(ask.clone());
        }
        let caller = parts
            .extensions
            .get::<Caller>()
            .cloned()
            .ok_or(Refusal::INTERNAL)?;
        let browser = Browser::of(&parts.headers);
        let agent = parts
            .headers
            .get(header::USER_AGENT)
            .and_then(|agent| agent.to_str().ok());
        Ok(Self {
            snapshot: core.snapshot(),
            form_token: browser.form_token(&core.secret),
            device: super::device::label(agent),
            core: Arc::clone(core),
            caller,
            browser,
        })
    }
}

/// The parameters of an address.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Core>> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Core>) -> Result<Self, Refusal> {
        read_form(parts.uri.query().unwrap_or_default().as_bytes()).map(Self)
    }
}

/// A posted form that this very browser was served.
pub struct Form<T>(pub T);

/// A script's JSON, from a page that this very browser was served.
pub struct Json<T>(pub T);

#[derive(serde::Deserialize)]
struct FormToken {
    #[serde(default)]
    form_token: String,
}

impl<T: DeserializeOwned> FromRequest<Arc<Core>> for Form<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, core: &Arc<Core>) -> Result<Self, Refusal> {
        let (ask, headers, body) = take(request, core).await?;
        require_type(&headers, "application/x-www-form-urlencoded")?;
        let FormToken { form_token } = read_form(&body)?;
        ask.require_own_page(&headers, &form_token)?;
        read_form(&body).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<Core>> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, core: &Arc<Core>) -> Result<Self, Refusal> {
        let (ask, headers, body) = take(request, core).await?;
        require_type(&headers, "application/json")?;
        let form_token = headers
            .get(FORM_TOKEN_HEADER)
            .and_then(|token| token.to_str().ok());
        ask.require_own_page(&headers, form_token.unwrap_or_default())?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|_| Refusal::MALFORMED)
    }
}

impl Ask {
    /// Two independent checks against requests forged by other sites: where the browser says the request
    /// comes from (Fetch Metadata, RFC 6454 `Origin`), and the token that only our page knows.
    fn require_own_page(&self, headers: &HeaderMap, form_token: &str) -> Result<(), Refusal> {
        let party = &self.config().relying_party;
        let from_here = is_from_here(headers, party, &self.caller.host);
        if from_here && self.browser.accepts(form_token, &self.core.secret) {
            Ok(())
        } else {
            Err(Refusal::FORM_EXPIRED)
        }
    }
}

/// Whether the browser says that a request comes from a page of ours on this host, or says nothing of it; the form
/// token is the other half.
pub fn is_from_here(headers: &HeaderMap, party: &RelyingParty, host: &str) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes);
    match (site, origin) {
        (Some(site), _) => matches!(site, b"same-origin" | b"none"),
        // Our pages send no referrer, which makes browsers say `null` here (Fetch §3.2).
        (None, None | Some(b"null")) => true,
        (None, Some(origin)) => {
            let here = party.address_of(host);
            here.is_some_and(|here| here.as_str().as_bytes() == origin)
        }
    }
}

async fn take(request: Request, core: &Arc<Core>) -> Result<(Ask, HeaderMap, Bytes), Refusal> {
    let (mut parts, body) = request.into_parts();
    let ask = Ask::from_request_parts(&mut parts, core).await?;
    // The gateway buffered the body and refused a large one; this is the same limit for other callers.
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES)
        .await
        .map_err(|_| Refusal::TOO_LARGE)?;
    Ok((ask, parts.headers, body))
}

/// The largest form: a passkey's answer with an attestation is below 10 KiB.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

fn require_type(headers: &HeaderMap, expected: &str) -> Result<(), Refusal> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = given
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if essence.eq_ignore_ascii_case(expected) {
        Ok(())
    } else {
        Err(Refusal {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ..Refusal::MALFORMED
        })
    }
}

fn read_form<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_urlencoded::from_bytes(body).map_err(|_| Refusal::MALFORMED)
}
