//! The body of a forwarded request on its way in: how long it may be, and how slow.

use std::time::Duration;

use bytes::Bytes;
use http::{Version, header};
use pingora::{Error, ErrorSource, ErrorType, proxy::Session};

use super::{
    lifeline::{Lifeline, Patience},
    refusal::Refusal,
};
use crate::{
    config::{Config, Delivery, UpstreamProtocol},
    policy::decision::Permit,
    snapshot::Snapshot,
};

/// Counts a body against its limit. Begins anew with every attempt to send it.
#[derive(Debug, Default)]
pub struct Count {
    bytes: u64,
}

impl Count {
    /// The body is sent from its beginning.
    pub const fn restart(&mut self) {
        self.bytes = 0;
    }

    /// Takes a piece of the body.
    ///
    /// # Errors
    /// When it is longer than its route takes: the upstream's connection breaks, so that nothing takes what
    /// has arrived for the whole.
    pub fn add(&mut self, piece: Option<&Bytes>, limit: Option<u64>) -> pingora::Result<()> {
        self.bytes += piece.map_or(0, |piece| piece.len() as u64);
        if limit.is_some_and(|limit| self.bytes > limit) {
            return Err(
                Error::explain(TOO_LARGE, "the body is longer than the route takes").into_down(),
            );
        }
        Ok(())
    }
}

/// Takes away a last piece that is empty, as HTTP/2 often ends a body: the library would write it as an end of
/// chunks and then its own end after it, which the upstream takes for the beginning of somebody's next request
/// (cloudflare/pingora#935).
pub fn drop_empty_end(piece: &mut Option<Bytes>, is_last: bool) {
    if is_last && piece.as_ref().is_some_and(Bytes::is_empty) {
        *piece = None;
    }
}

/// What a request is answered with that says itself that its body is longer than its route takes. Nothing of it
/// is sent on.
pub fn refusal_for(session: &Session, permit: &Permit<'_>, snapshot: &Snapshot) -> Option<Refusal> {
    let limit = snapshot
        .config
        .deliveries
        .get(permit.route().index)?
        .max_body?;
    let announced = session.req_header().headers.get(header::CONTENT_LENGTH)?;
    let announced = announced
        .to_str()
        .ok()
        .and_then(|length| length.trim().parse::<u64>().ok());
    // One that is no number has been refused before; beyond `u64` is beyond every limit.
    announced
        .is_none_or(|length| length > limit)
        .then(Refusal::upload_too_large)
}

/// Whether forwarding ended because of [`Count::add`].
pub fn was_too_large(error: &Error) -> bool {
    *error.esource() == ErrorSource::Downstream && *error.etype() == TOO_LARGE
}

/// The client's failure behind one that looks like the upstream's: who has not got the whole request yet is not
/// late with its answer.
pub fn stall_behind(error: &Error, lifeline: &Lifeline) -> Option<Box<Error>> {
    let waited_in_vain =
        *error.esource() == ErrorSource::Upstream && *error.etype() == ErrorType::ReadTimedout;
    (waited_in_vain && !lifeline.is_body_in()).then(|| {
        Error::explain(ErrorType::ReadTimedout, "the rest of the body did not come").into_down()
    })
}

/// How long a client may keep a forwarded request waiting, and the upstream its answer.
pub fn patience(session: &Session, permit: &Permit<'_>, snapshot: &Snapshot) -> Patience {
    let route = permit.route();
    let config = &snapshot.config;
    let Some(upstream) = route
        .upstream
        .and_then(|upstream| config.upstreams.get(upstream))
    else {
        return Patience::default();
    };
    let silence = silence(config.deliveries.get(route.index), config);
    let request = session.req_header();
    // A call may keep its half of a stream open in silence for as long as it is wanted. Its word for it is
    // taken where calls can be answered at all, which takes trailers and so HTTP/2: anybody can say so.
    let is_grpc = upstream.protocol == UpstreamProtocol::H2
        && request
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    Patience {
        // An upstream that takes nothing is no fault of the client; it has a time limit of its own.
        with_body: (request.version == Version::HTTP_2 && !is_grpc)
            .then_some(silence.max(upstream.write_timeout)),
        // One silence before the header begins, which the library allows, and as much for the rest of it.
        with_header: (!is_grpc).then_some(upstream.read_timeout * 2),
    }
}

/// The longest silence within a body.
pub fn silence(delivery: Option<&Delivery>, config: &Config) -> Duration {
    delivery
        .and_then(|delivery| delivery.body_timeout)
        .unwrap_or(config.door.limits.stall_timeout)
}

const TOO_LARGE: ErrorType = ErrorType::HTTPStatus(413);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_may_be_as_long_as_its_limit_and_no_longer() {
        let mut count = Count::default();
        let piece = Bytes::from_static(b"12345");
        assert!(count.add(Some(&piece), Some(10)).is_ok());
        assert!(count.add(Some(&piece), Some(10)).is_ok());
        assert!(count.add(None, Some(10)).is_ok());
        let error = count
            .add(Some(&Bytes::from_static(b"1")), Some(10))
            .unwrap_err();
        assert!(was_too_large(&error));
        count.restart();
        assert!(count.add(Some(&piece), Some(10)).is_ok());
        assert!(Count::default().add(Some(&piece), None).is_ok());
    }

    #[test]
    fn an_app_that_waits_for_the_rest_of_a_body_is_not_to_blame() {
        let late = Error::explain(ErrorType::ReadTimedout, "no header").into_up();
        let lifeline = Lifeline::default();
        let behind = stall_behind(&late, &lifeline).unwrap();
        assert_eq!(*behind.esource(), ErrorSource::Downstream);
        let closed = Error::explain(ErrorType::ConnectionClosed, "no header").into_up();
        assert!(stall_behind(&closed, &lifeline).is_none());
        lifeline.note_body(true);
        assert!(stall_behind(&late, &lifeline).is_none());
    }

    #[test]
    fn other_errors_are_not_taken_for_it() {
        let upstream = Error::explain(TOO_LARGE, "said by the app").into_up();
        assert!(!was_too_large(&upstream));
        let client = Error::explain(ErrorType::ReadError, "gone").into_down();
        assert!(!was_too_large(&client));
    }
}
