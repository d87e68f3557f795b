//! Cookies on their way through: crumbs are joined, and the gateway's own never reach an upstream nor come
//! from one.

use http::{HeaderMap, HeaderValue, header};

use crate::session::cookie;

/// The Cookie fields of HTTP/2 as the one that HTTP/1.1 has (RFC 9113 §8.2.3); `None` when there is at most
/// one already.
pub fn join_crumbs(headers: &HeaderMap) -> Option<HeaderValue> {
    let crumbs: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if crumbs.len() < 2 {
        return None;
    }
    Some(HeaderValue::from_bytes(&crumbs.join(&b"; "[..])).unwrap_or(HeaderValue::from_static("")))
}

/// All cookies but the gateway's own, as one field; `None` when no other is left.
pub fn foreign_cookies(headers: &HeaderMap) -> Option<HeaderValue> {
    let foreign: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty() && !is_own(pair))
        .collect();
    if foreign.is_empty() {
        return None;
    }
    HeaderValue::from_bytes(&foreign.join(&b"; "[..])).ok()
}

/// Whether a `Set-Cookie` value, or a pair of a `Cookie` one, is about one of the gateway's own cookies.
///
/// An empty name is looked through: `=__Host-gatehouse=x` is stored by some browsers without a name and
/// sent back as `__Host-gatehouse=x` (RFC 6265bis §5.7 step 20).
pub fn is_own(pair: &[u8]) -> bool {
    let name = name_of(pair);
    // Some browsers and upstreams fold the case of names; flow cookies have the session's name and a suffix.
    let own = name
        .get(..cookie::NAME.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(cookie::NAME.as_bytes()));
    own && name
        .get(cookie::NAME.len())
        .is_none_or(|byte| *byte == b'-')
}

/// Whether a `Set-Cookie` value sets or clears the session cookie itself.
pub fn is_session(pair: &[u8]) -> bool {
    name_of(pair) == cookie::NAME.as_bytes()
}

fn name_of(pair: &[u8]) -> &[u8] {
    let start = pair
        .iter()
        .position(|byte| !byte.is_ascii_whitespace() && *byte != b'=');
    let named = &pair[start.unwrap_or(pair.len())..];
    let end = named.iter().position(|byte| matches!(byte, b'=' | b';'));
    named[..end.unwrap_or(named.len())].trim_ascii_end()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cookies(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::COOKIE, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn crumbs_are_joined_in_order() {
        assert_eq!(
            join_crumbs(&cookies(&["a=1", "b=2; c=3"])).unwrap(),
            "a=1; b=2; c=3"
        );
        assert_eq!(join_crumbs(&cookies(&["a=1"])), None);
        assert_eq!(join_crumbs(&cookies(&[])), None);
    }

    #[test]
    fn own_cookies_are_left_out_wherever_they_stand() {
        for (sent, forwarded) in [
            (&["a=1; __Host-gatehouse=x; b=2"][..], Some("a=1; b=2")),
            (&["__Host-gatehouse=x", "a=1"], Some("a=1")),
            (&["__Host-gatehouse=x"], None),
            (&["__HOST-Gatehouse-flow=x;a=1;;"], Some("a=1")),
            (&[" __Host-gatehouse =x"], None),
            (&["=__Host-gatehouse=x"], None),
            (
                &["__Host-gatehousekeeping=x"],
                Some("__Host-gatehousekeeping=x"),
            ),
            (&["a=__Host-gatehouse"], Some("a=__Host-gatehouse")),
            (&[""], None),
        ] {
            let kept = foreign_cookies(&cookies(sent));
            assert_eq!(
                kept.as_ref().map(|value| value.to_str().unwrap()),
                forwarded,
                "{sent:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_own_cookie_is_ever_left(values in proptest::collection::vec(
            "([ =;]|__Host-gatehouse|__host-GATEHOUSE-x|[a-c])*", 0..4)) {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            if let Some(kept) = foreign_cookies(&cookies(&values)) {
                let kept = kept.to_str().unwrap();
                prop_assert!(kept.split(';').all(|pair| !is_own(pair.as_bytes())), "{}", kept);
            }
        }
    }
}
