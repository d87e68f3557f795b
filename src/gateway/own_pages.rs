//! Own pages: an axum router called in-process, with the whole request in hand and the whole answer taken
//! from it before a byte is written; event streams alone are written as they come.

use std::time::Duration;

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{Request, Response};
use pingora::proxy::Session;
use tower::ServiceExt;
use tracing::Instrument;

use super::{
    body::{self, Incomplete},
    event_stream,
    facts::RequestFacts,
    refusal::Refusal,
};
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
    let body = body::whole(session, MAX_BODY, patience.min(BODY_DEADLINE))
        .await
        .map_err(Incomplete::refusal)?;
    let mut request = Request::builder()
        .method(facts.method.clone())
        .uri(facts.target.path_and_query())
        .body(Body::from(body))
        .map_err(|_| Refusal::broken_off())?;
    request
        .headers_mut()
        .clone_from(&session.req_header().headers);
    request.extensions_mut().insert(caller);

    // A task of its own: a client that leaves does not stop a handler half-way through a change, and a
    // panic ends the handler alone.
    // Whatever it logs bears the request's id.
    let span = tracing::error_span!("page", %request_id);
    let page = async move {
        let Ok(response) = pages.oneshot(request).await;
        if event_stream::is_event_stream(&response) {
            return Ok(Answer::Events(response));
        }
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await?;
        Ok::<_, axum::Error>(Answer::Whole(Response::from_parts(parts, bytes)))
    };
    match tokio::spawn(page.instrument(span)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            tracing::error!(%request_id, %error, "an own page broke off; please report it");
            Err(Refusal::internal())
        }
        Err(error) => {
            tracing::error!(%request_id, %error, "the handler of an own page did not finish; please report it");
            Err(Refusal::internal())
        }
    }
}

/// Own pages take forms and WebAuthn answers; none comes near it.
const MAX_BODY: usize = 64 * 1024;
/// HTTP/2 bodies have no timeout of their own.
const BODY_DEADLINE: Duration = Duration::from_secs(30);
