//! The verdict on a request that another proxy has, worded as that proxy expects it.
//!
//! Passing is 200 and nothing else, with what the app is to be told in its headers. All that is not 200 keeps the
//! request from the app, whatever the peer makes of it.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use pingora::http::RequestHeader;

use super::super::{
    asker::Asker,
    challenge,
    facts::RequestFacts,
    introduction::{Introduction, is_reserved},
    passage::Passage,
    refusal::Refusal,
};
use crate::{
    config::{Delivery, ForwardAuthPeer},
    core::Core,
    policy::decision::Permit,
};

/// The answer to a question about a request that passes.
pub fn pass(
    core: &Core,
    asked: &RequestHeader,
    passage: &mut Passage,
    facts: &RequestFacts,
    permit: &Permit<'_>,
) -> Response<Bytes> {
    let refused = |refusal: Refusal| {
        refusal.answer(passage.asker, passage.request_id, Some(&passage.snapshot))
    };
    if passage.forward_auth.is_some_and(|call| call.for_visitor) {
        // It did not pass a moment ago. What the app is told is none of the visitor's business.
        return match (passage.asker, facts.target.path_and_query()) {
            // Two slashes would name a host to a browser.
            (Asker::PageLoad, target) if !target.starts_with("//") => challenge::redirect(&target),
            (Asker::PageLoad | Asker::FormPost | Asker::Program, _) => {
                refused(Refusal::overloaded())
            }
        };
    }
    let delivery = passage.config().deliveries.get(permit.route().index);
    let answer = delivery.map(|delivery| introduce(core, asked, passage, facts, delivery));
    let Some(Ok(answer)) = answer else {
        tracing::error!(request_id = %passage.request_id, "what the app is to be told cannot be written");
        return refused(Refusal::internal());
    };
    answer
}

/// What the app would be told if the gateway forwarded the request.
fn introduce(
    core: &Core,
    asked: &RequestHeader,
    passage: &Passage,
    facts: &RequestFacts,
    delivery: &Delivery,
) -> pingora::Result<Response<Bytes>> {
    let mut told = RequestHeader::build(Method::GET, b"/", None)?;
    for name in [header::COOKIE, header::AUTHORIZATION] {
        if let Some(value) = asked.headers.get(&name) {
            told.insert_header(name, value)?;
        }
    }
    Introduction {
        facts,
        visit: passage.visit.as_ref(),
        identity: &passage.config().identity,
        delivery,
        assertion: passage.assertion(core, facts, delivery),
        client: passage.client,
        secure: passage.is_secure(facts.authority.host()),
        request_id: passage.request_id,
    }
    .say_who(&mut told)?;

    let mut answer = Response::new(Bytes::new());
    if let Some(gone) = to_remove(asked, &told, passage) {
        answer.headers_mut().insert(TO_REMOVE, gone);
    }
    answer.headers_mut().extend(
        told.headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// Envoy sets what it is told and leaves the rest of the visitor's headers, so it is told what to take away as
/// well; the others can be configured to remove a header in every spelling.
fn to_remove(
    asked: &RequestHeader,
    told: &RequestHeader,
    passage: &Passage,
) -> Option<HeaderValue> {
    match passage.forward_auth?.peer {
        ForwardAuthPeer::Envoy => {}
        ForwardAuthPeer::Nginx
        | ForwardAuthPeer::Caddy
        | ForwardAuthPeer::Traefik
        | ForwardAuthPeer::Haproxy => return None,
    }
    let ours = |name: &HeaderName| {
        let replaced = *name == header::COOKIE || *name == header::AUTHORIZATION;
        // Envoy's own word for where the request comes from is for the app to hear.
        let envoys = name.as_str().starts_with("x-forwarded-") || name.as_str() == "x-request-id";
        replaced || (is_reserved(name.as_str(), &passage.config().identity) && !envoys)
    };
    let identity = crate::config::IdentityPreset::ALL
        .into_iter()
        .flat_map(crate::config::IdentityPreset::headers);
    let mut names: Vec<String> = asked
        .headers
        .keys()
        .filter(|name| ours(name))
        .cloned()
        .chain(identity)
        .filter(|name| !told.headers.contains_key(name))
        .map(|name| name.to_string())
        .collect();
    names.sort_unstable();
    names.dedup();
    HeaderValue::try_from(names.join(",")).ok()
}

const TO_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// Words an answer as the peer needs it; without effect on one to a request that asks about none.
pub fn settle(mut answer: Response<Bytes>, passage: &Passage) -> Response<Bytes> {
    let Some(call) = passage.forward_auth else {
        return answer;
    };
    match call.peer {
        ForwardAuthPeer::Nginx if !call.for_visitor => status_alone(answer),
        ForwardAuthPeer::Nginx
        | ForwardAuthPeer::Caddy
        | ForwardAuthPeer::Envoy
        | ForwardAuthPeer::Haproxy => answer,
        ForwardAuthPeer::Traefik => {
            if let Some(location) = absolute(&answer, passage) {
                answer.headers_mut().insert(header::LOCATION, location);
            }
            answer
        }
    }
}

/// nginx knows 401 and 403, and takes everything else for an accident of ours; then it asks once more, for what
/// the visitor is to see.
fn status_alone(answer: Response<Bytes>) -> Response<Bytes> {
    let status = answer.status();
    let folded = if status == StatusCode::UNAUTHORIZED || status.is_redirection() {
        StatusCode::UNAUTHORIZED
    } else if status.is_client_error() {
        StatusCode::FORBIDDEN
    } else {
        return answer;
    };
    let mut folded_answer = Response::new(Bytes::new());
    *folded_answer.status_mut() = folded;
    for name in [header::WWW_AUTHENTICATE, header::CACHE_CONTROL] {
        if let Some(value) = answer.headers().get(&name) {
            folded_answer.headers_mut().insert(name, value.clone());
        }
    }
    folded_answer
}

/// A redirect within the host as Traefik needs it: it would take one without a host for one to the gateway's own
/// address.
fn absolute(answer: &Response<Bytes>, passage: &Passage) -> Option<HeaderValue> {
    let location = answer.headers().get(header::LOCATION)?.to_str().ok()?;
    let facts = passage.facts.as_ref()?;
    if !location.starts_with('/') {
        return None;
    }
    let authority = &facts.authority;
    let scheme = match passage.is_secure(authority.host()) {
        true => "https",
        false => "http",
    };
    HeaderValue::try_from(format!("{scheme}://{authority}{location}")).ok()
}
