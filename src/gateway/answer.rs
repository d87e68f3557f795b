//! The gateway's own answers on their way to the client: pages, redirects and refusals whole, events as they happen.

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use pingora::{http::ResponseHeader, proxy::Session};

use super::{
    event_stream, lifeline::Patience, own_pages, passage::Passage, response, strict_transport,
    tenure::Standing,
};

/// Writes an answer, whole.
///
/// # Errors
/// When the client takes no more of it.
pub async fn whole(
    session: &mut Session,
    passage: &Passage,
    response: Response<Bytes>,
) -> pingora::Result<()> {
    own_pages::discard_body(session).await;
    let (parts, mut body) = response.into_parts();
    let mut head = ResponseHeader::from(parts);
    let bodiless = matches!(
        head.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    if bodiless {
        head.remove_header(&header::CONTENT_LENGTH);
        body.clear();
    } else if session.req_header().method == Method::HEAD {
        // A page that answers HEAD says itself how long its body would have been.
        if !head.headers.contains_key(header::CONTENT_LENGTH) {
            head.set_content_length(body.len())?;
        }
        body.clear();
    } else {
        head.set_content_length(body.len())?;
    }
    response::sign(&mut head, passage.request_id, passage.renewed_cookie())?;
    strict_transport::say(&mut head, passage)?;
    passage.unwritten.note_status(head.status);
    session.write_response_header(Box::new(head), false).await?;
    session.write_response_body(Some(body), true).await
}

/// Writes an own page's events as they happen, no longer than the session lives in which it was asked.
///
/// # Errors
/// When the client has left.
pub async fn events(
    session: &mut Session,
    passage: &Passage,
    response: Response<Body>,
) -> pingora::Result<()> {
    let standing = Standing::of_own_page(passage.visit.as_ref());
    passage.watch(standing, Patience::default());
    own_pages::discard_body(session).await;
    let (parts, events) = response.into_parts();
    let mut head = ResponseHeader::from(parts);
    response::sign(&mut head, passage.request_id, passage.renewed_cookie())?;
    strict_transport::say(&mut head, passage)?;
    passage.unwritten.note_status(head.status);
    event_stream::write(session, head, events, &passage.lifeline).await
}
