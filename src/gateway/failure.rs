//! What went wrong while a request was forwarded: what its sender is told, and what the log is.

use pingora::{Error, ErrorSource, ErrorType};

use super::{passage::Passage, refusal::Refusal};

/// What a failed request is answered with; `None` when the client is gone.
pub fn refusal_for(error: &Error) -> Option<Refusal> {
    match error.esource() {
        ErrorSource::Upstream => Some(match error.etype() {
            ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout => {
                Refusal::upstream_slow()
            }
            _ => Refusal::upstream_down(),
        }),
        ErrorSource::Downstream => match error.etype() {
            ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed => None,
            ErrorType::WriteTimedout => None,
            ErrorType::ReadTimedout => Some(Refusal::body_too_slow()),
            _ => Some(Refusal::broken_off()),
        },
        ErrorSource::Internal | ErrorSource::Unset => Some(Refusal::internal()),
    }
}

/// One record per failure. The library's message is left out: it may quote the request.
pub fn report(error: &Error, refusal: Option<&Refusal>, passage: &Passage) {
    let request_id = passage.request_id;
    let cause = error.etype().as_str();
    let upstream = passage
        .forwarding
        .as_ref()
        .map(|forwarding| forwarding.upstream().name.as_str());
    match error.esource() {
        ErrorSource::Upstream => {
            tracing::warn!(%request_id, upstream, cause, "an upstream failed a request")
        }
        ErrorSource::Downstream => tracing::debug!(%request_id, cause, "a client broke off"),
        ErrorSource::Internal | ErrorSource::Unset => {
            let answered = refusal.is_some();
            tracing::error!(%request_id, upstream, cause, answered, "a request failed inside the gateway");
        }
    }
}
