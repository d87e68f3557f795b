//! An answer on its way out: the request's id, the renewed session cookie, no session cookie from anybody else,
//! and what the route says about answers.

use http::{HeaderMap, HeaderValue, header};
use pingora::http::ResponseHeader;

use super::{cookies, passage::Passage, rewriting::Rewriting};
use crate::{config::HeaderEdits, id::RequestId};

/// Does what the route says about answers: addresses are put back, then the operator's changes are made, then
/// what is still missing of the careful headers is added.
///
/// # Errors
/// None in practice: all values are headers already.
pub fn settle(response: &mut ResponseHeader, passage: &Passage) -> pingora::Result<()> {
    let (Some(delivery), Some(facts)) = (passage.delivery(), &passage.facts) else {
        return Ok(());
    };
    let secure = passage.is_secure(facts.authority.host());
    Rewriting::new(delivery, facts, secure).rewrite(response)?;
    edit(response, &delivery.response_headers)?;
    if delivery.security_headers {
        add_careful_headers(response)?;
    }
    Ok(())
}

fn edit(response: &mut ResponseHeader, edits: &HeaderEdits) -> pingora::Result<()> {
    for name in &edits.remove {
        response.remove_header(name);
    }
    for (name, value) in &edits.set {
        response.insert_header(name.clone(), value.clone())?;
    }
    Ok(())
}

/// What an app does not say itself. Nothing that takes pages apart which were written without it: no policy of
/// content, of openers or of permissions.
fn add_careful_headers(response: &mut ResponseHeader) -> pingora::Result<()> {
    let frames = response
        .headers
        .get_all(header::CONTENT_SECURITY_POLICY)
        .iter()
        .any(|policy| names_frame_ancestors(policy.as_bytes()));
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
        (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
    ] {
        // Browsers that know both obey the policy alone; others would be stricter than the app means.
        let said =
            (name == header::X_FRAME_OPTIONS && frames) || response.headers.contains_key(&name);
        if !said {
            response.insert_header(name, value)?;
        }
    }
    Ok(())
}

fn names_frame_ancestors(policy: &[u8]) -> bool {
    policy
        .split(|byte| matches!(byte, b';' | b','))
        .filter_map(|directive| {
            directive
                .trim_ascii_start()
                .split(u8::is_ascii_whitespace)
                .next()
        })
        .any(|name| name.eq_ignore_ascii_case(b"frame-ancestors"))
}

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
    fn careful_headers_are_added_where_the_app_has_none() {
        let careful = |fields: &[(&'static str, &str)]| {
            let mut response = response(fields);
            add_careful_headers(&mut response).unwrap();
            [
                "x-content-type-options",
                "referrer-policy",
                "x-frame-options",
            ]
            .map(|name| {
                let values: Vec<_> = response.headers.get_all(name).iter().collect();
                assert!(values.len() < 2, "{name}");
                values
                    .first()
                    .map(|value| value.to_str().unwrap().to_owned())
            })
        };
        let all = ["nosniff", "strict-origin-when-cross-origin", "SAMEORIGIN"]
            .map(|value| Some(value.to_owned()));
        assert_eq!(careful(&[]), all);
        let other = [("Content-Security-Policy", "default-src 'self'")];
        assert_eq!(careful(&other), all);
        let own = [
            ("Referrer-Policy", "origin"),
            ("X-Frame-Options", "DENY"),
            ("X-Content-Type-Options", ""),
        ];
        assert_eq!(
            careful(&own),
            ["", "origin", "DENY"].map(|value| Some(value.to_owned()))
        );
        for policy in [
            "frame-ancestors https://portal.example",
            "a b;  Frame-Ancestors *",
            "a, frame-ancestors *",
        ] {
            assert_eq!(
                careful(&[("Content-Security-Policy", policy)])[2],
                None,
                "{policy}"
            );
        }
    }

    #[test]
    fn the_operators_changes_to_an_answer_are_made() {
        let mut response = response(&[("Server", "Old/1.0"), ("X-A", "1"), ("X-A", "2")]);
        let edits = HeaderEdits {
            set: vec![("x-a".parse().unwrap(), HeaderValue::from_static("3"))],
            remove: vec![header::SERVER],
        };
        edit(&mut response, &edits).unwrap();
        let values: Vec<_> = response.headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["3"]);
        assert!(!response.headers.contains_key("server"));
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
