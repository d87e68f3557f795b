//! How a visitor who has to do something first is told so: a page load is taken to the page, everything
//! else gets a 401 that a program can act on (RFC 9470).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    asker::Asker,
    facts::RequestFacts,
    holding::{Kept, NotKept},
    refusal::{Refusal, WayOn},
};
use crate::{
    config::Config,
    id::RequestId,
    policy::decision::{Challenge, Denial},
    snapshot::Snapshot,
};

/// What has become of the request that is turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// There was nothing to keep, or nothing is kept.
    Gone,
    /// It is not kept, for this reason.
    NotKept(NotKept),
    /// It is kept, and this is where it is sent on from.
    Kept(Kept),
    /// It was to send what is kept there, and that stays kept.
    StillKept(Kept),
}

/// The answer to a request that meets a challenge.
pub fn answer(
    challenge: Challenge,
    asker: Asker,
    facts: &RequestFacts,
    headers: &HeaderMap,
    fate: &Fate,
    (request_id, snapshot): (RequestId, Option<&Snapshot>),
) -> Response<Bytes> {
    match (asker, fate) {
        (Asker::PageLoad, _) => {
            redirect(&location(challenge, Some(&facts.target.path_and_query())))
        }
        (Asker::FormPost, Fate::Kept(kept) | Fate::StillKept(kept)) => {
            redirect(&location(challenge, Some(&kept.location)))
        }
        (Asker::FormPost, Fate::Gone | Fate::NotKept(_)) | (Asker::Program, _) => {
            turned_away(challenge, asker, facts, headers, fate).answer(asker, request_id, snapshot)
        }
    }
}

/// The front page of the host where people sign in, where no route has one: somebody who came there by
/// themselves manages their account.
pub fn front_page(
    denial: Denial,
    facts: &RequestFacts,
    config: &Config,
) -> Option<Response<Bytes>> {
    let auth = config.relying_party.auth.as_ref()?;
    let front = facts.target.path() == "/" && facts.authority.host() == auth.host();
    match denial {
        Denial::NoRoute if front => Some(redirect("/.gatehouse/account")),
        Denial::NoRoute | Denial::NotAllowed | Denial::NoCertificate | Denial::Ambiguous => None,
    }
}

/// 303, so that the page is loaded with GET whatever this request was.
pub fn redirect(location: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let location =
        HeaderValue::from_str(location).expect("a percent-encoded location is plain ASCII");
    response.headers_mut().insert(header::LOCATION, location);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn turned_away(
    challenge: Challenge,
    asker: Asker,
    facts: &RequestFacts,
    headers: &HeaderMap,
    fate: &Fate,
) -> Refusal {
    let (code, heading, message, label) = words(challenge);
    let (kept, not_kept) = match fate {
        Fate::Gone | Fate::StillKept(_) => (None, None),
        Fate::NotKept(reason) => (None, Some(*reason)),
        Fate::Kept(kept) => (Some(kept.clone()), None),
    };
    let message = match asker {
        Asker::FormPost => {
            let why = not_kept.map_or("", NotKept::sentence);
            let and_then = "Then go back to the form and send it again; your browser's back button may still have \
                            what you typed.";
            format!("Nothing was sent. {why}{message} {and_then}").into()
        }
        Asker::PageLoad | Asker::Program => message.into(),
    };
    // Where a form or a fetch goes to is no page; the page it came from is the place to return to.
    let from = match fate {
        Fate::Kept(kept) | Fate::StillKept(kept) => Some(kept.location.clone()),
        Fate::Gone | Fate::NotKept(_) => page_of_origin(facts, headers),
    };
    Refusal {
        status: StatusCode::UNAUTHORIZED,
        code,
        heading,
        message,
        way_on: Some(WayOn {
            location: location(challenge, from.as_deref()),
            label,
        }),
        max_age: match challenge {
            Challenge::SignIn | Challenge::ReEnrol => None,
            Challenge::StepUp { max_age } => Some(max_age),
        },
        authenticate: HeaderValue::from_str(&www_authenticate(challenge)).ok(),
        kept,
        not_kept: not_kept.map(NotKept::word),
    }
}

/// Code, heading, sentence and link.
const fn words(challenge: Challenge) -> (&'static str, &'static str, &'static str, &'static str) {
    match challenge {
        Challenge::SignIn => (
            "sign_in_required",
            "Sign in first",
            "Please sign in to go on.",
            "Sign in",
        ),
        Challenge::ReEnrol => (
            "re_enrolment_required",
            "Save a passkey first",
            "This needs a passkey on your account. Please save one to go on.",
            "Save a passkey",
        ),
        Challenge::StepUp { .. } => (
            "step_up_required",
            "Confirm it is you first",
            "This needs a fresh check with your passkey. Please confirm that it is you.",
            "Confirm with passkey",
        ),
    }
}

/// RFC 9470 §3. `phr` is *phishing-resistant* (OpenID EAP ACR Values 1.0 §2). Without a session there is
/// no token that could be insufficient, so the bare scheme stands alone (RFC 6750 §3.1).
fn www_authenticate(challenge: Challenge) -> String {
    let insufficient = "Bearer error=\"insufficient_user_authentication\"";
    match challenge {
        Challenge::SignIn => "Bearer realm=\"gatehouse\"".to_owned(),
        Challenge::ReEnrol => format!(
            "{insufficient}, error_description=\"A passkey has to be saved first\", acr_values=\"phr\""
        ),
        Challenge::StepUp { max_age } => format!(
            "{insufficient}, error_description=\"A fresh passkey check is needed\", acr_values=\"phr\", \
             max_age=\"{}\"",
            max_age.as_secs()
        ),
    }
}

fn location(challenge: Challenge, return_to: Option<&str>) -> String {
    let page = match challenge {
        Challenge::SignIn => "/.gatehouse/sign-in",
        Challenge::ReEnrol => "/.gatehouse/enrol",
        Challenge::StepUp { .. } => "/.gatehouse/step-up",
    };
    match return_to {
        Some(target) => format!(
            "{page}?return_to={}",
            utf8_percent_encode(target, IN_QUERY_VALUE)
        ),
        None => page.to_owned(),
    }
}

/// Everything but the unreserved characters (RFC 3986 §2.3) and the slash.
const IN_QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Path and query of the page that sent the request, if the browser says which and it is on this host.
pub fn page_of_origin(facts: &RequestFacts, headers: &HeaderMap) -> Option<String> {
    let referer = headers.get(header::REFERER)?.to_str().ok()?;
    let url = url::Url::parse(referer)
        .ok()
        .filter(|url| facts.authority.is_of(url))?;
    Some(match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Method;

    use super::*;
    use crate::{gateway::authority::Authority, policy::target::Target};

    const STEP_UP: Challenge = Challenge::StepUp {
        max_age: Duration::from_secs(300),
    };

    fn ask(challenge: Challenge, asker: Asker, referer: Option<&'static str>) -> Response<Bytes> {
        let facts = RequestFacts {
            destination: None,
            method: Method::GET,
            authority: Authority::parse(b"app.example").unwrap(),
            target: Target::parse(b"/deep/link?a=1&b=%20").unwrap(),
        };
        let headers = referer
            .map(|referer| (header::REFERER, HeaderValue::from_static(referer)))
            .into_iter()
            .collect();
        answer(
            challenge,
            asker,
            &facts,
            &headers,
            &Fate::Gone,
            (RequestId::random(), None),
        )
    }

    #[test]
    fn a_page_load_is_taken_to_the_page_and_will_return() {
        for (challenge, page) in [
            (Challenge::SignIn, "sign-in"),
            (Challenge::ReEnrol, "enrol"),
            (STEP_UP, "step-up"),
        ] {
            let response = ask(challenge, Asker::PageLoad, None);
            assert_eq!(response.status(), StatusCode::SEE_OTHER);
            let location = response.headers()[header::LOCATION].to_str().unwrap();
            assert_eq!(
                location,
                format!("/.gatehouse/{page}?return_to=/deep/link%3Fa%3D1%26b%3D%2520")
            );
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        }
    }

    #[test]
    fn a_program_gets_the_rfc_9470_challenge_and_json() {
        let response = ask(
            STEP_UP,
            Asker::Program,
            Some("https://app.example/money?x=1"),
        );
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(
            response.headers()[header::WWW_AUTHENTICATE],
            "Bearer error=\"insufficient_user_authentication\", error_description=\"A fresh passkey check is \
             needed\", acr_values=\"phr\", max_age=\"300\""
        );
        let json: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(json["error"], "step_up_required");
        assert_eq!(json["max_age"], 300);
        assert_eq!(
            json["location"],
            "/.gatehouse/step-up?return_to=/money%3Fx%3D1"
        );
    }

    #[test]
    fn the_page_of_another_site_is_no_place_to_return_to() {
        for referer in [
            None,
            Some("https://evil.example/x"),
            Some("https://app.example:444/x"),
            Some("not a url"),
        ] {
            let response = ask(Challenge::SignIn, Asker::Program, referer);
            let json: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(json["location"], "/.gatehouse/sign-in", "{referer:?}");
        }
    }

    #[test]
    fn a_form_that_is_turned_away_gets_a_page_that_says_nothing_was_sent() {
        let response = ask(
            Challenge::ReEnrol,
            Asker::FormPost,
            Some("https://app.example/money"),
        );
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let page = String::from_utf8(response.body().to_vec()).unwrap();
        assert!(page.contains("Nothing was sent."));
        assert!(page.contains("href=\"/.gatehouse/enrol?return_to=/money\""));
    }
}
