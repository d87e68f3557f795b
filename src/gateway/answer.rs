//! The gateway's own answers on their way to the client: pages, redirects and refusals whole, events as they happen.

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use pingora::{http::ResponseHeader, proxy::Session};

use super::{
    body, event_stream, lifeline::Patience, passage::Passage, response, strict_transport,
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
    body::discard(session).await;
    let (parts, mut content) = response.into_parts();
    let mut head = ResponseHeader::from(parts);
    let bodiless = matches!(
        head.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    if bodiless {
        head.remove_header(&header::CONTENT_LENGTH);
        content.clear();
    } else if session.req_header().method == Method::HEAD {
        // A page that answers HEAD says itself how long its body would have been.
        if !head.headers.contains_key(header::CONTENT_LENGTH) {
            head.set_content_length(content.len())?;
        }
        content.clear();
    } else {
        head.set_content_length(content.len())?;
    }
    response::sign(&mut head, passage.request_id, passage.renewed_cookie())?;
    strict_transport::say(&mut head, passage)?;
    passage.unwritten.note_status(head.status);
    passage.resuming.mark(&mut head)?;
    session.write_response_header(Box::new(head), false).await?;
    session.write_response_body(Some(content), true).await
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
    body::discard(session).await;
    let (parts, events) = response.into_parts();
    let mut head = ResponseHeader::from(parts);
    response::sign(&mut head, passage.request_id, passage.renewed_cookie())?;
    strict_transport::say(&mut head, passage)?;
    passage.unwritten.note_status(head.status);
    event_stream::write(session, head, events, &passage.lifeline).await
}
