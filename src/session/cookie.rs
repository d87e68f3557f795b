//! The session cookie: how it is found among what a browser sends, and how it is set.
//!
//! RFC 6265bis §4.1.3.2: a name with the prefix `__Host-` is accepted from a secure origin alone, for this
//! host alone. Chromium and Firefox count `http://localhost` as secure, so the name is the same there.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use memchr::memchr_iter;

/// The name of the session cookie.
pub const NAME: &str = "__Host-gatehouse";

/// A token is shorter than this; what is longer is not looked at.
pub const MAX_TOKEN_BYTES: usize = 1024;

/// The value of the one cookie called `name`, with HTTP/2's crumbs (RFC 9113 §8.2.3) as if joined. Two of
/// that name are none: one of them was planted, and nobody can say which.
pub fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut found = None;
    for line in headers.get_all(header::COOKIE) {
        for value in values(line.as_bytes(), name.as_bytes()) {
            if found.replace(value).is_some() {
                return None;
            }
        }
    }
    std::str::from_utf8(found?).ok()
}

/// The values of the cookies called `name` in one header line.
fn values<'l>(line: &'l [u8], name: &[u8]) -> impl Iterator<Item = &'l [u8]> {
    let ends = memchr_iter(b';', line).chain([line.len()]);
    let pairs = ends.scan(0, |start, end| {
        let pair = &line[*start..end];
        *start = end + 1;
        Some(pair)
    });
    pairs.filter_map(move |pair| {
        let rest = pair.trim_ascii_start().strip_prefix(name)?;
        let value = rest.trim_ascii_start().strip_prefix(b"=")?;
        Some(value.trim_ascii())
    })
}

/// A `Set-Cookie` that keeps `value` under `name` for `max_age`.
pub fn set(name: &str, value: &str, max_age: Duration) -> HeaderValue {
    let text = format!(
        "{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={}",
        max_age.as_secs()
    );
    HeaderValue::try_from(text).expect("our cookie values are base64url and dots")
}

/// A `Set-Cookie` that takes `name` away.
pub fn clear(name: &str) -> HeaderValue {
    set(name, "", Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::COOKIE, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn the_cookie_is_found_wherever_it_stands() {
        for values in [
            &["__Host-gatehouse=t"][..],
            &["a=1; __Host-gatehouse=t; b=2"],
            &["a=1", "__Host-gatehouse=t", "b=2"],
            &["__Host-gatehouse-browser=x;__Host-gatehouse=t"],
        ] {
            assert_eq!(single(&headers(values), NAME), Some("t"), "{values:?}");
        }
    }

    #[test]
    fn two_of_one_name_are_none() {
        assert_eq!(
            single(&headers(&["__Host-gatehouse=a; __Host-gatehouse=b"]), NAME),
            None
        );
        assert_eq!(
            single(
                &headers(&["__Host-gatehouse=a", "__Host-gatehouse=a"]),
                NAME
            ),
            None
        );
    }

    proptest! {
        #[test]
        fn any_cookie_header_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                headers.append(header::COOKIE, value);
            }
            if let Some(value) = single(&headers, NAME) {
                prop_assert!(!value.contains(';'));
            }
        }
    }
}
