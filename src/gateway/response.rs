//! An answer on its way out: the request's id, the renewed session cookie, and no session cookie from
//! anybody else.

use http::{HeaderMap, HeaderValue, header};
use pingora::http::ResponseHeader;

use super::cookies;
use crate::id::RequestId;

/// Takes the gateway's own cookies out of an upstream's answer: an app that could set them could sign its
/// visitors in as somebody else.
///
/// `Clear-Site-Data: "cookies"` is left alone; an app may sign its visitors out.
///
/// # Errors
/// None in practice: the values kept were headers already.
pub fn drop_planted_cookies(response: &mut ResponseHeader) -> pingora::Result<()> {
    let is_foreign = |value: &&HeaderValue| !cookies::is_own(value.as_bytes());
    let cookies = response.headers.get_all(header::SET_COOKIE);
    if cookies.iter().all(|value| is_foreign(&value)) {
        return Ok(());
    }
    let kept: Vec<HeaderValue> = cookies.iter().filter(is_foreign).cloned().collect();
    response.remove_header(&header::SET_COOKIE);
    for cookie in kept {
        response.append_header("Set-Cookie", cookie)?;
    }
    Ok(())
}

/// Adds the request's id and, unless the answer sets a session cookie itself, the renewed one.
///
/// # Errors
/// None in practice: all values are headers already.
pub fn sign(
    response: &mut ResponseHeader,
    request_id: RequestId,
    renewed: Option<&HeaderValue>,
) -> pingora::Result<()> {
    response.insert_header("X-Request-Id", request_id.to_string())?;
    let Some(cookie) = renewed.filter(|_| !sets_session_cookie(&response.headers)) else {
        return Ok(());
    };
    response.append_header("Set-Cookie", cookie.clone())?;
    if let Some(private) = made_private(&response.headers) {
        response.insert_header("Cache-Control", private)?;
    }
    Ok(())
}

fn sets_session_cookie(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::SET_COOKIE)
        .iter()
        .any(|value| cookies::is_session(value.as_bytes()))
}

/// The Cache-Control that keeps a shared cache from handing one person's cookie to another; `None` when the
/// present one does already.
fn made_private(headers: &HeaderMap) -> Option<String> {
    let directives: Vec<&str> = headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|directive| !directive.is_empty())
        .collect();
    let is = |directive: &str, name: &str| {
        directive
            .split('=')
            .next()
            .is_some_and(|word| word.trim().eq_ignore_ascii_case(name))
    };
    // `private="Field"` keeps back that field alone (RFC 9111 §5.2.2.7).
    if directives
        .iter()
        .any(|directive| directive.eq_ignore_ascii_case("private") || is(directive, "no-store"))
    {
        return None;
    }
    let kept = directives.into_iter().filter(|directive| {
        !is(directive, "public") && !is(directive, "s-maxage") && !is(directive, "private")
    });
    Some(
        ["private"]
            .into_iter()
            .chain(kept)
            .collect::<Vec<_>>()
            .join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(fields: &[(&'static str, &str)]) -> ResponseHeader {
        let mut response = ResponseHeader::build(200, None).unwrap();
        for (name, value) in fields {
            response.append_header(*name, *value).unwrap();
        }
        response
    }

    fn cookies(response: &ResponseHeader) -> Vec<&str> {
        response
            .headers
            .get_all("set-cookie")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect()
    }

    #[test]
    fn an_upstream_sets_its_own_cookies_and_none_of_ours() {
        let mut response = response(&[
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "__Host-gatehouse=forged; Path=/; Secure"),
            ("Set-Cookie", "__HOST-gatehouse-flow=x"),
            ("Set-Cookie", " =__Host-gatehouse=x"),
            ("Set-Cookie", "b=__Host-gatehouse"),
        ]);
        drop_planted_cookies(&mut response).unwrap();
        assert_eq!(cookies(&response), ["a=1", "b=__Host-gatehouse"]);
    }

    #[test]
    fn a_renewed_cookie_makes_the_answer_private() {
        let renewed = HeaderValue::from_static("__Host-gatehouse=new");
        for (before, after) in [
            (None, "private"),
            (
                Some("public, max-age=60, s-maxage=600"),
                "private, max-age=60",
            ),
            (Some("private, max-age=60"), "private, max-age=60"),
            (Some("no-store"), "no-store"),
            (Some("private=\"x\", no-cache"), "private, no-cache"),
        ] {
            let fields: Vec<_> = before
                .map(|value| ("Cache-Control", value))
                .into_iter()
                .collect();
            let mut response = response(&fields);
            sign(&mut response, RequestId::random(), Some(&renewed)).unwrap();
            assert_eq!(response.headers["cache-control"], after);
            assert_eq!(cookies(&response), ["__Host-gatehouse=new"]);
        }
    }

    #[test]
    fn a_page_that_ends_or_begins_a_session_has_the_last_word() {
        let renewed = HeaderValue::from_static("__Host-gatehouse=new");
        let mut signed_out = response(&[("Set-Cookie", "__Host-gatehouse=; Max-Age=0")]);
        sign(&mut signed_out, RequestId::random(), Some(&renewed)).unwrap();
        assert_eq!(cookies(&signed_out), ["__Host-gatehouse=; Max-Age=0"]);
        let mut flow = response(&[("Set-Cookie", "__Host-gatehouse-flow=x")]);
        sign(&mut flow, RequestId::random(), Some(&renewed)).unwrap();
        assert_eq!(
            cookies(&flow),
            ["__Host-gatehouse-flow=x", "__Host-gatehouse=new"]
        );
    }
}
