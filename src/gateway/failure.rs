//! What went wrong while a request was forwarded: what its sender is told, and what the log is.

use std::time::Instant;

use pingora::{Error, ErrorSource, ErrorType};

use super::{
    forwarding::{Forwarding, NoWay},
    passage::Passage,
    refusal::Refusal,
    upload,
};
use crate::telemetry::{metrics::UpstreamFailure, outcome::CutShort};

/// What a failed request is answered with; `None` when the client is gone.
pub fn refusal_for(error: &Error) -> Option<Refusal> {
    match error.esource() {
        ErrorSource::Upstream => Some(match error.etype() {
            ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout => {
                Refusal::upstream_slow()
            }
            _ => Refusal::upstream_down(),
        }),
        ErrorSource::Downstream if upload::was_too_large(error) => {
            Some(Refusal::upload_too_large())
        }
        ErrorSource::Downstream => match error.etype() {
            ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed => None,
            ErrorType::WriteTimedout => None,
            ErrorType::ReadTimedout => Some(Refusal::body_too_slow()),
            _ => Some(Refusal::broken_off()),
        },
        ErrorSource::Internal | ErrorSource::Unset => Some(Refusal::internal()),
    }
}

/// What a request is answered with that may be forwarded and cannot be.
pub const fn no_way(no_way: NoWay) -> Refusal {
    match no_way {
        NoWay::Busy => Refusal::upstream_busy(),
        NoWay::WebSocketOverHttp2 => Refusal::no_websockets(),
        NoWay::NoUpstream => Refusal::internal(),
    }
}

/// What a failure of an upstream is counted as.
pub const fn kind(error: &Error) -> UpstreamFailure {
    use ErrorType as E;
    match error.etype {
        E::ConnectTimedout => UpstreamFailure::ConnectTimeout,
        E::ConnectRefused
        | E::ConnectNoRoute
        | E::ConnectError
        | E::BindError
        | E::SocketError
        | E::ConnectProxyFailure => UpstreamFailure::Connect,
        E::TLSHandshakeFailure | E::TLSHandshakeTimedout | E::InvalidCert | E::HandshakeError => {
            UpstreamFailure::Tls
        }
        E::ReadTimedout => UpstreamFailure::ReadTimeout,
        E::WriteTimedout => UpstreamFailure::WriteTimeout,
        E::ReadError | E::WriteError | E::ConnectionClosed | E::H2Error => {
            UpstreamFailure::BrokenOff
        }
        // The library may add types; what is left is about what the upstream sent.
        _ => UpstreamFailure::BadAnswer,
    }
}

/// Why an exchange ended in the middle, for its line.
pub fn cut(error: &Error, passage: &Passage) -> CutShort {
    match error.esource() {
        ErrorSource::Upstream => {
            let deadline = passage.forwarding.as_ref().and_then(Forwarding::deadline);
            match deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                true => CutShort::TookTooLong,
                false => CutShort::UpstreamFailed,
            }
        }
        ErrorSource::Downstream => CutShort::ClientLeft,
        ErrorSource::Internal | ErrorSource::Unset => CutShort::Failed,
    }
}

/// One record per failure that is the last. The library's message is left out: it may quote the request.
pub fn report(error: &Error, refusal: Option<&Refusal>, passage: &Passage) {
    let request_id = passage.request_id;
    let cause = error.etype().as_str();
    let upstream = passage
        .forwarding
        .as_ref()
        .map(|forwarding| forwarding.upstream().name.as_str());
    let server = passage.forwarding.as_ref().map(Forwarding::server);
    let after_ms = milliseconds(passage);
    match error.esource() {
        ErrorSource::Upstream => {
            let advice = advice(error);
            tracing::warn!(
                %request_id, upstream, server, cause, detail = detail(error), after_ms, advice, "an upstream failed a request"
            );
        }
        ErrorSource::Downstream => tracing::debug!(%request_id, cause, "a client broke off"),
        ErrorSource::Internal | ErrorSource::Unset => {
            let answered = refusal.is_some();
            tracing::error!(
                %request_id, upstream, server, cause, answered, "a request failed inside the gateway; please report it"
            );
        }
    }
}

/// One record per failure that is made good by another try.
pub fn report_retry(error: &Error, passage: &Passage) {
    let forwarding = passage.forwarding.as_ref();
    tracing::warn!(
        request_id = %passage.request_id,
        upstream = forwarding.map(|forwarding| forwarding.upstream().name.as_str()),
        server = forwarding.and_then(Forwarding::failed_server),
        cause = error.etype().as_str(),
        detail = detail(error),
        after_ms = milliseconds(passage),
        "trying again upstream"
    );
}

/// Where to look first.
fn advice(error: &Error) -> &'static str {
    match error.etype() {
        ErrorType::ConnectRefused => {
            "nothing listens there: see whether the app runs, and servers of its upstream"
        }
        ErrorType::ConnectTimedout | ErrorType::ConnectNoRoute | ErrorType::ConnectError => {
            "the server cannot be reached: see the network between, and servers of its upstream"
        }
        ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert => {
            "the two ends do not trust each other: see detail, and tls of its upstream"
        }
        ErrorType::ReadTimedout => {
            "the app took longer than read_timeout of its upstream: see the app's log"
        }
        ErrorType::WriteTimedout => {
            "the app took in nothing for write_timeout of its upstream: see the app's log"
        }
        _ => "the app ended the exchange, or answered with what cannot be passed on: see its log",
    }
}

/// Why a server was not trusted, or did not trust us. No request was written by then, so none is quoted.
fn detail(error: &Error) -> Option<&str> {
    match error.etype() {
        ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert => {
            error.context.as_ref().map(|context| context.as_str())
        }
        _ => None,
    }
}

fn milliseconds(passage: &Passage) -> u64 {
    u64::try_from(passage.began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_of_an_upstream_has_a_kind() {
        for (error, expected) in [
            (ErrorType::ConnectRefused, UpstreamFailure::Connect),
            (ErrorType::ConnectTimedout, UpstreamFailure::ConnectTimeout),
            (ErrorType::InvalidCert, UpstreamFailure::Tls),
            (ErrorType::ReadTimedout, UpstreamFailure::ReadTimeout),
            (ErrorType::WriteTimedout, UpstreamFailure::WriteTimeout),
            (ErrorType::ConnectionClosed, UpstreamFailure::BrokenOff),
            (ErrorType::InvalidHTTPHeader, UpstreamFailure::BadAnswer),
            (ErrorType::H2Downgrade, UpstreamFailure::BadAnswer),
        ] {
            assert_eq!(kind(&Error::new(error)), expected);
        }
    }
}
