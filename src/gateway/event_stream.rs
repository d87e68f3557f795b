//! An own page's event stream on its way to the client: the one answer of an own page that is not gathered
//! first. It ends with its page, with the client or with the session, whichever is first.

use axum::body::Body;
use futures_util::StreamExt;
use http::{Response, Version, header};
use pingora::{Error, http::ResponseHeader, proxy::Session};

use super::{farewell, lifeline::Lifeline};

/// The media type (HTML, "Server-sent events", §9.2.5).
pub const MEDIA_TYPE: &[u8] = b"text/event-stream";

/// Whether an answer is one.
pub fn is_event_stream<B>(response: &Response<B>) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes() == MEDIA_TYPE)
}

/// Writes each event as it happens.
///
/// # Errors
/// When the client has left or takes no more: the usual end of a stream, and nobody's fault.
pub async fn write(
    session: &mut Session,
    head: ResponseHeader,
    events: Body,
    lifeline: &Lifeline,
) -> pingora::Result<()> {
    let relayed = relay(session, head, events, lifeline).await;
    relayed.map_err(Error::into_down)
}

async fn relay(
    session: &mut Session,
    mut head: ResponseHeader,
    events: Body,
    lifeline: &Lifeline,
) -> pingora::Result<()> {
    // HTTP/2 has frames of its own; before HTTP/1.1 the end of the connection is the end of the stream.
    if session.as_http1().is_some() && session.req_header().version == Version::HTTP_11 {
        head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        farewell::foresee_events(session, lifeline);
    }
    session.write_response_header(Box::new(head), false).await?;
    let mut events = events.into_data_stream();
    loop {
        // A client that leaves is noticed at once, not when the next event cannot be written.
        let event = tokio::select! {
            event = events.next() => event,
            left = session.downstream_session.read_body_or_idle(true) => {
                left?;
                continue;
            }
        };
        match event {
            Some(Ok(event)) => session.write_response_body(Some(event), false).await?,
            // A page that breaks off is a stream that ends early: browsers ask again.
            Some(Err(_)) | None => break,
        }
    }
    session.write_response_body(None, true).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_event_streams_are_streamed() {
        let of = |kind: &str| Response::builder().header("content-type", kind).body(());
        assert!(is_event_stream(&of("text/event-stream").unwrap()));
        assert!(!is_event_stream(&of("text/html").unwrap()));
        assert!(!is_event_stream(&Response::new(())));
    }
}
