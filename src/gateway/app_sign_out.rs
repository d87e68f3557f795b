//! Where an app signs people out, the gateway does too: else the next request would be signed in again, and
//! *sign out* would mean nothing.

use http::{HeaderMap, HeaderValue, header};
use pingora::http::ResponseHeader;
use url::Url;

use super::{authority::Authority, passage::Passage};
use crate::{account::sign_out, core::Core, session::cookie};

/// Ends the session of a request when its route is where the app signs people out and the app has answered
/// that it did. `request` is what the client sent.
///
/// # Errors
/// None in practice: the cookie is a header already.
pub async fn follow(
    core: &Core,
    passage: &Passage,
    request: &HeaderMap,
    response: &mut ResponseHeader,
) -> pingora::Result<()> {
    let (Some(delivery), Some(facts)) = (passage.delivery(), &passage.facts) else {
        return Ok(());
    };
    let answered = !response.status.is_informational() && !response.status.is_server_error();
    if !delivery.sign_out || !answered || passage.visit.is_none() {
        return Ok(());
    }
    let secure = passage.is_secure(facts.authority.host());
    if !is_from_here(request, &facts.authority, secure) {
        tracing::info!(request_id = %passage.request_id, "the app's sign-out was asked for by another site; the session goes on");
        return Ok(());
    }
    if let Err(error) = sign_out::end_session(core, &passage.caller(facts)).await {
        // The browser forgets it at least; the person asked for no less.
        tracing::error!(request_id = %passage.request_id, %error, "a session could not be ended with the app's");
    }
    response.append_header("Set-Cookie", cookie::clear(cookie::NAME))?;
    // Kept by a cache, it would sign out whoever gets it next.
    response.insert_header("Cache-Control", "no-store")
}

/// Whether a request comes from a page of this very host, or from nothing but the person: by Fetch Metadata,
/// and for browsers without it by `Origin` and `Referer`. One that does not say counts as another site's.
fn is_from_here(headers: &HeaderMap, authority: &Authority, secure: bool) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    if let Some(site) = sites.next() {
        let known = matches!(site.as_bytes(), b"same-origin" | b"none");
        return known && sites.next().is_none();
    }
    let stated = headers
        .get(header::ORIGIN)
        .or_else(|| headers.get(header::REFERER));
    stated.is_some_and(|stated| is_of_origin(stated, authority, secure))
}

fn is_of_origin(stated: &HeaderValue, authority: &Authority, secure: bool) -> bool {
    let scheme = if secure { "https" } else { "http" };
    let url = stated.to_str().ok().and_then(|text| Url::parse(text).ok());
    url.is_some_and(|url| url.scheme() == scheme && authority.is_of(&url))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn only_what_comes_from_this_host_signs_out() {
        for (fields, expected) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "")], false),
            (
                &[
                    ("sec-fetch-site", "same-origin"),
                    ("sec-fetch-site", "cross-site"),
                ],
                false,
            ),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "https://app.example.com"),
                ],
                false,
            ),
            (&[("origin", "https://app.example.com")], true),
            (&[("origin", "https://app.example.com:443")], true),
            (&[("origin", "http://app.example.com")], false),
            (&[("origin", "https://example.com")], false),
            (&[("origin", "null")], false),
            (
                &[
                    ("origin", "https://evil.example"),
                    ("referer", "https://app.example.com/"),
                ],
                false,
            ),
            (&[("referer", "https://app.example.com/x?y")], true),
            (
                &[("referer", "https://app.example.com.evil.example/")],
                false,
            ),
            (
                &[("referer", "https://app.example.com@evil.example/")],
                false,
            ),
            (&[("referer", "")], false),
            (&[], false),
        ] {
            let headers: HeaderMap = fields
                .iter()
                .map(|(name, value)| {
                    let name = HeaderName::from_static(name);
                    (name, HeaderValue::from_static(value))
                })
                .fold(HeaderMap::new(), |mut headers, (name, value)| {
                    headers.append(name, value);
                    headers
                });
            let authority = Authority::parse(b"app.example.com").unwrap();
            assert_eq!(
                is_from_here(&headers, &authority, true),
                expected,
                "{fields:?}"
            );
        }
    }
}
