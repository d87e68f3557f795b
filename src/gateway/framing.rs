//! Answers whose end cannot be known for sure, or that end HTTP without having been asked to: refused before a byte
//! of them is passed on. What else can be wrong with an answer the proxy library refuses itself.

use http::{HeaderMap, StatusCode, header};
use pingora::{Error, ErrorType, http::ResponseHeader};

/// Looks at the header of an upstream's answer to a request that asked to switch protocols, or did not.
///
/// # Errors
/// When it is refused: the upstream's fault.
pub fn check(head: &ResponseHeader, asked_to_switch: bool) -> pingora::Result<()> {
    if head.status == StatusCode::SWITCHING_PROTOCOLS && !asked_to_switch {
        return refuse("a switch of protocols that nobody asked for");
    }
    if !is_coding_known(&head.headers) {
        return refuse("a transfer coding that nobody asked for");
    }
    Ok(())
}

/// No request of ours accepts another coding than `chunked` (RFC 9112 §6.1); one that ends with the connection
/// would make a broken body look whole.
fn is_coding_known(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(only), None) => only
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

fn refuse(problem: &'static str) -> pingora::Result<()> {
    Err(Error::explain(ErrorType::InvalidHTTPHeader, problem).into_up())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, codings: &[&str]) -> ResponseHeader {
        let mut head = ResponseHeader::build(status, None).unwrap();
        for coding in codings {
            head.append_header("Transfer-Encoding", *coding).unwrap();
        }
        head
    }

    #[test]
    fn only_chunks_are_taken() {
        for (codings, taken) in [
            (&[][..], true),
            (&["chunked"], true),
            (&[" Chunked "], true),
            (&["gzip"], false),
            (&["gzip, chunked"], false),
            (&["chunked, chunked"], false),
            (&["chunked", "chunked"], false),
            (&["chunked", "identity"], false),
            (&["xchunked"], false),
        ] {
            let is_taken = check(&answer(200, codings), false).is_ok();
            assert_eq!(is_taken, taken, "{codings:?}");
        }
    }

    #[test]
    fn protocols_are_switched_for_those_who_asked() {
        assert!(check(&answer(101, &[]), true).is_ok());
        assert!(check(&answer(101, &[]), false).is_err());
        assert!(check(&answer(100, &[]), false).is_ok());
    }
}
