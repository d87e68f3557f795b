//! What ties a long exchange to its session: a WebSocket, an event stream, a long download or upload is cut
//! when the session that began it ends.
//!
//! An exchange that is known to be short is not tied and waits for nothing that others share. Cutting
//! is dropping: HTTP/1 closes its connection, HTTP/2 resets the one stream.

use std::sync::{Arc, OnceLock};

use http::{HeaderMap, header};
use tokio::sync::Notify;

use crate::{id::SessionId, session::Sessions};

tokio::task_local! {
    static LIFELINE: Arc<Lifeline>;
}

/// The tie of one exchange, loose at first.
#[derive(Default)]
pub struct Lifeline {
    session: OnceLock<SessionId>,
    tied: Notify,
}

impl Lifeline {
    /// Runs an exchange to its end, or until the session it was [tied](tie) to has ended; `None` then.
    pub async fn run<T>(sessions: &Sessions, exchange: impl Future<Output = T>) -> Option<T> {
        let lifeline = Arc::new(Self::default());
        let exchange = LIFELINE.scope(lifeline.clone(), exchange);
        tokio::select! {
            biased;
            done = exchange => Some(done),
            session = lifeline.session_ended(sessions) => {
                tracing::info!(%session, "a long exchange was cut: its session has ended");
                None
            }
        }
    }

    async fn session_ended(&self, sessions: &Sessions) -> SessionId {
        let session = loop {
            if let Some(session) = self.session.get() {
                break *session;
            }
            self.tied.notified().await;
        };
        sessions.until_ended(session).await;
        session
    }
}

/// Ties the exchange that this task runs to a session.
pub fn tie(session: SessionId) {
    // An error says that nothing watches: the exchange runs outside of `Lifeline::run`, in a unit test.
    let _ = LIFELINE.try_with(|lifeline| {
        if lifeline.session.set(session).is_ok() {
            lifeline.tied.notify_one();
        }
    });
}

/// Whether a message with this header may take long: its length is unknown or large.
pub fn may_take_long(headers: &HeaderMap) -> bool {
    match headers.get(header::CONTENT_LENGTH) {
        Some(length) => length
            .to_str()
            .ok()
            .and_then(|length| length.parse::<u64>().ok())
            .is_none_or(|length| length > SHORT),
        None => headers.contains_key(header::TRANSFER_ENCODING),
    }
}

/// A body up to so many bytes is over soon.
const SHORT: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_body_of_unknown_or_great_length_may_take_long() {
        let with = |name, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        assert!(!may_take_long(&HeaderMap::new()));
        assert!(!may_take_long(&with(header::CONTENT_LENGTH, "1048576")));
        assert!(may_take_long(&with(header::CONTENT_LENGTH, "1048577")));
        assert!(may_take_long(&with(header::CONTENT_LENGTH, "many")));
        assert!(may_take_long(&with(header::TRANSFER_ENCODING, "chunked")));
    }
}
