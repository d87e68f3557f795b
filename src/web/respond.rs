//! The outermost layer of own pages: it gives every answer its headers, every browser its cookie, and
//! every [`Refusal`] a form that the asker can read.

use std::sync::Arc;

use askama::Template;
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use serde_json::json;

use super::{
    ask::Ask,
    error::Refusal,
    pages::{BareFrame, ErrorPage},
};
use crate::core::Core;

/// Nothing inline, nothing from elsewhere, in nobody's frame (CSP Level 3; OWASP ASVS 5.0 §3.4).
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action ";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Links carry tokens: no page of ours tells the next one where the person came from.
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "publickey-credentials-get=(self), publickey-credentials-create=(self)",
    ),
];

/// The layer.
pub async fn respond(State(core): State<Arc<Core>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let scripted = wants_json(&parts.headers) || is_for_scripts(parts.uri.path());
    let ask =
        match <Ask as axum::extract::FromRequestParts<_>>::from_request_parts(&mut parts, &core)
            .await
        {
            Ok(ask) => ask,
            Err(refusal) => return finish(refusal.into_response(), "'self'"),
        };
    parts.extensions.insert(ask.clone());
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        let kept = response.headers().clone();
        response = if scripted {
            as_json(&refusal, &ask)
        } else {
            as_page(&refusal, &ask)
        };
        // What may be done instead belongs to a 405 (RFC 9110 §15.5.6).
        for name in [header::SET_COOKIE, header::ALLOW] {
            for value in kept.get_all(&name) {
                response.headers_mut().append(&name, value.clone());
            }
        }
    }
    let page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if page && let Some(cookie) = ask.browser.cookie_to_set() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    let form_targets = match response.extensions_mut().remove::<FormsLeadAnywhere>() {
        Some(FormsLeadAnywhere) => "*",
        None => &ask.snapshot.form_targets,
    };
    finish(response, form_targets)
}

/// Said of a page by an extension of its answer: its form goes to an app, which may answer with a redirect to
/// any site, and browsers hold that to the page's policy.
#[derive(Clone, Copy)]
pub struct FormsLeadAnywhere;

fn finish(mut response: Response, form_targets: &str) -> Response {
    let headers = response.headers_mut();
    let policy = HeaderValue::try_from(format!("{CONTENT_SECURITY_POLICY}{form_targets}"))
        .unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

fn wants_json(headers: &HeaderMap) -> bool {
    let is_json = |name| {
        headers
            .get(name)
            .is_some_and(|value: &HeaderValue| value.as_bytes().starts_with(b"application/json"))
    };
    is_json(header::CONTENT_TYPE) || is_json(header::ACCEPT)
}

/// Whether whatever asks there is a program: it is answered in JSON, whatever it says it takes.
pub fn is_for_scripts(path: &str) -> bool {
    path.starts_with("/.gatehouse/admin/api/")
}

fn as_json(refusal: &Refusal, ask: &Ask) -> Response {
    let body = json!({
        "error": refusal.code,
        "message": refusal.sentence,
        "request_id": ask.caller.request_id.to_string(),
    });
    (refusal.status, Json(body)).into_response()
}

fn as_page(refusal: &Refusal, ask: &Ask) -> Response {
    let request_id = ask.caller.request_id.to_string();
    let page = ErrorPage {
        frame: BareFrame {
            branding: Some(&ask.config().branding),
            assets: Some(&ask.snapshot.assets),
        },
        status: refusal.status.as_u16(),
        heading: refusal.heading,
        sentence: refusal.sentence,
        request_id: &request_id,
        way_on: refusal.way_on,
    };
    match page.render() {
        Ok(html) => (refusal.status, Html(html)).into_response(),
        Err(_) => (refusal.status, refusal.sentence).into_response(),
    }
}
