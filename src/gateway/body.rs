//! A request's body, read by the gateway itself: whole, within a length and a time, or to its end and forgotten.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header;
use pingora::proxy::Session;

use super::refusal::Refusal;

/// Why a body is not there as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incomplete {
    /// It is longer than was to be taken.
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// Its sender broke the protocol half-way.
    BrokenOff,
}

impl Incomplete {
    /// As an own page answers it.
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::TooLarge => Refusal::body_too_large(),
            Self::TooSlow => Refusal::body_too_slow(),
            Self::BrokenOff => Refusal::broken_off(),
        }
    }
}

/// All of a body, at most `limit` bytes, if it is there within `patience`.
///
/// # Errors
/// When it is not; some of it may have been read.
pub async fn whole(
    session: &mut Session,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, Incomplete> {
    if session.is_body_empty() {
        return Ok(Bytes::new());
    }
    if announced(session).is_some_and(|length| length > limit) {
        return Err(Incomplete::TooLarge);
    }
    if expects_continue(session) {
        // The library gives up keep-alive with any header that it writes before the body has ended.
        let keepalive = session.get_keepalive();
        session
            .downstream_session
            .write_continue_response()
            .await
            .map_err(|_| Incomplete::BrokenOff)?;
        session.set_keepalive(keepalive);
    }
    let mut body = BytesMut::new();
    match tokio::time::timeout(patience, read(session, limit, &mut body)).await {
        Ok(read) => read.map(|()| body.freeze()),
        Err(_) => Err(Incomplete::TooSlow),
    }
}

/// Reads on to the end of a body.
async fn read(session: &mut Session, limit: usize, body: &mut BytesMut) -> Result<(), Incomplete> {
    while let Some(chunk) = session
        .downstream_session
        .read_request_body()
        .await
        .map_err(|_| Incomplete::BrokenOff)?
    {
        if body.len() + chunk.len() > limit {
            return Err(Incomplete::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(())
}

/// A body of at most `limit` bytes that begins with `mark`; `None` when it begins otherwise, and then what was read
/// of it is kept by the library and forwarded before the rest, as if it were sent a second time.
///
/// # Errors
/// When it begins so and is not there as a whole, or has not begun in time.
pub async fn marked(
    session: &mut Session,
    mark: &[u8],
    limit: usize,
    patience: Duration,
) -> Result<Option<Bytes>, Incomplete> {
    if session.is_body_empty() || expects_continue(session) {
        return Ok(None);
    }
    session.as_mut().enable_retry_buffering();
    let mut body = BytesMut::new();
    let looked = async {
        while body.len() < mark.len() && mark.starts_with(&body) {
            let chunk = session.downstream_session.read_request_body().await;
            match chunk.map_err(|_| Incomplete::BrokenOff)? {
                Some(chunk) => body.extend_from_slice(&chunk),
                None => break,
            }
        }
        if !body.starts_with(mark) {
            return Ok(None);
        }
        if body.len() > limit {
            return Err(Incomplete::TooLarge);
        }
        read(session, limit, &mut body).await?;
        Ok(Some(body.freeze()))
    };
    let looked = match tokio::time::timeout(patience, looked).await {
        Ok(looked) => looked?,
        Err(_) => return Err(Incomplete::TooSlow),
    };
    // What is not in the buffer any more cannot be forwarded.
    if looked.is_none() && session.as_ref().retry_buffer_truncated() {
        return Err(Incomplete::BrokenOff);
    }
    Ok(looked)
}

/// Reads and forgets what is left of a body, within limits: a connection closed on unread bytes is reset,
/// and the reset can overtake the answer. A client that waits for `100 Continue` sends nothing to read.
pub async fn discard(session: &mut Session) {
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

/// How long a body says it is.
pub fn announced(session: &Session) -> Option<usize> {
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

const MAX_DISCARDED: usize = 1024 * 1024;
const DISCARD_DEADLINE: Duration = Duration::from_secs(5);
