//! Own pages: an axum router called in-process, with the whole request in hand and the whole answer taken
//! from it before a byte is written; event streams alone are written as they come.

use std::time::Duration;

use axum::{Router, body::Body};
use bytes::{Bytes, BytesMut};
use http::{Request, Response, header};
use pingora::proxy::Session;
use tower::ServiceExt;

use super::{event_stream, facts::RequestFacts, refusal::Refusal};
use crate::web::caller::Caller;

/// What an own page gave.
pub enum Answer {
    /// All of it.
    Whole(Response<Bytes>),
    /// Events that are still to come.
    Events(Response<Body>),
}

/// Runs the page that a request names, if its body is there within `patience`.
///
/// # Errors
/// The refusal to answer with instead.
pub async fn call(
    pages: Router,
    session: &mut Session,
    facts: &RequestFacts,
    caller: Caller,
    patience: Duration,
) -> Result<Answer, Refusal> {
    let request_id = caller.request_id;
    let mut request = Request::builder()
        .method(facts.method.clone())
        .uri(facts.target.path_and_query())
        .body(Body::from(body(session, patience).await?))
        .map_err(|_| Refusal::broken_off())?;
    request
        .headers_mut()
        .clone_from(&session.req_header().headers);
    request.extensions_mut().insert(caller);

    // A task of its own: a client that leaves does not stop a handler half-way through a change, and a
    // panic ends the handler alone.
    let answered = tokio::spawn(async move {
        let Ok(response) = pages.oneshot(request).await;
        if event_stream::is_event_stream(&response) {
            return Ok(Answer::Events(response));
        }
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await?;
        Ok::<_, axum::Error>(Answer::Whole(Response::from_parts(parts, bytes)))
    });
    match answered.await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            tracing::error!(%request_id, %error, "an own page broke off");
            Err(Refusal::internal())
        }
        Err(error) => {
            tracing::error!(%request_id, %error, "the handler of an own page did not finish");
            Err(Refusal::internal())
        }
    }
}

/// The request's body, whole. Own pages take forms and WebAuthn answers; none comes near the limit.
async fn body(session: &mut Session, patience: Duration) -> Result<Bytes, Refusal> {
    if session.is_body_empty() {
        return Ok(Bytes::new());
    }
    if announced(session).is_some_and(|length| length > MAX_BODY) {
        return Err(Refusal::body_too_large());
    }
    if expects_continue(session) {
        // The library gives up keep-alive with any header that it writes before the body has ended.
        let keepalive = session.get_keepalive();
        session
            .downstream_session
            .write_continue_response()
            .await
            .map_err(|_| Refusal::broken_off())?;
        session.set_keepalive(keepalive);
    }
    match tokio::time::timeout(patience.min(BODY_DEADLINE), read(session)).await {
        Ok(body) => body,
        Err(_) => Err(Refusal::body_too_slow()),
    }
}

async fn read(session: &mut Session) -> Result<Bytes, Refusal> {
    let mut body = BytesMut::new();
    while let Some(chunk) = session
        .downstream_session
        .read_request_body()
        .await
        .map_err(|_| Refusal::broken_off())?
    {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Refusal::body_too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Reads and forgets what is left of a body, within limits: a connection closed on unread bytes is reset,
/// and the reset can overtake the answer. A client that waits for `100 Continue` sends nothing to read.
pub async fn discard_body(session: &mut Session) {
    if session.is_body_done() {
        return;
    }
    if expects_continue(session) {
        // Whether a body comes after all is the client's choice: a next request could not be told from it.
        session.set_keepalive(None);
        return;
    }
    if announced(session).is_some_and(|length| length > MAX_DISCARDED) {
        return;
    }
    let discard = async {
        let mut discarded = 0;
        while discarded <= MAX_DISCARDED {
            match session.downstream_session.read_request_body().await {
                Ok(Some(chunk)) => discarded += chunk.len(),
                Ok(None) | Err(_) => return,
            }
        }
    };
    // Too slow is the same as too long: it is answered, and the connection closes.
    let _ = tokio::time::timeout(DISCARD_DEADLINE, discard).await;
}

fn announced(session: &Session) -> Option<usize> {
    let length = session.req_header().headers.get(header::CONTENT_LENGTH)?;
    // A length beyond `usize` is beyond every limit.
    Some(length.to_str().ok()?.parse().unwrap_or(usize::MAX))
}

fn expects_continue(session: &Session) -> bool {
    session
        .req_header()
        .headers
        .get(header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

const MAX_BODY: usize = 64 * 1024;
const MAX_DISCARDED: usize = 1024 * 1024;
/// HTTP/2 bodies have no timeout of their own.
const BODY_DEADLINE: Duration = Duration::from_secs(30);
const DISCARD_DEADLINE: Duration = Duration::from_secs(5);
