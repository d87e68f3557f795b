//! What a request that is not served gets: a plain page for a person, JSON for a program, and always the
//! request's id.

use std::{borrow::Cow, time::Duration};

use askama::Template;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::{asker::Asker, facts::Fault, holding::Kept};
use crate::{
    id::RequestId,
    policy::decision::Denial,
    snapshot::Snapshot,
    web::pages::{BareFrame, ErrorPage},
};

/// A refusal in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// For programs.
    pub code: &'static str,
    /// The page's heading.
    pub heading: &'static str,
    /// One or two plain sentences.
    pub message: Cow<'static, str>,
    /// What the person can do instead.
    pub way_on: Option<WayOn>,
    /// For programs: how recent a step-up has to be.
    pub max_age: Option<Duration>,
    /// The challenge that a 401 carries.
    pub authenticate: Option<HeaderValue>,
    /// For programs: where what they sent is kept.
    pub kept: Option<Kept>,
    /// For programs: why it is not.
    pub not_kept: Option<&'static str>,
}

/// A link that leads on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayOn {
    /// Where, on this host.
    pub location: String,
    /// What it says.
    pub label: &'static str,
}

impl Refusal {
    const fn plain(
        status: StatusCode,
        code: &'static str,
        heading: &'static str,
        message: &'static str,
    ) -> Self {
        Self {
            status,
            code,
            heading,
            message: Cow::Borrowed(message),
            way_on: None,
            max_age: None,
            authenticate: None,
            kept: None,
            not_kept: None,
        }
    }

    /// The request could not be read in one way.
    pub fn malformed(fault: &Fault) -> Self {
        let message = Cow::Owned(format!(
            "The request was not passed on: {fault}. Please go back, check the address and try again; if that does not help, \
             tell whoever runs this site the request number."
        ));
        Self {
            message,
            ..Self::plain(
                fault.status(),
                "bad_request",
                "This request cannot be served",
                "",
            )
        }
    }

    /// The policy says no.
    pub const fn denied(denial: Denial) -> Self {
        match denial {
            Denial::NoRoute => Self::plain(
                StatusCode::NOT_FOUND,
                "not_found",
                "Page not found",
                "There is nothing at this address. Please check it for a slip of the keyboard, or go back to where you came from.",
            ),
            Denial::NotAllowed => Self::plain(
                StatusCode::FORBIDDEN,
                "not_allowed",
                "Not open to this account",
                "Your account does not have access to this page. If it should, ask whoever runs this site \
                 and tell them the request number.",
            ),
            Denial::Ambiguous => Self::plain(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "This request cannot be served",
                "The address can be read in more than one way, so it was not passed on. Please go back and try another link; \
                 if that does not help, tell whoever runs this site the request number.",
            ),
            Denial::NoCertificate => Self::plain(
                StatusCode::FORBIDDEN,
                "no_client_certificate",
                "Open to known machines alone",
                "This address asks for a client certificate that it knows. The connection bears none. \
                 Please use a machine that has one, or ask whoever runs this site.",
            ),
        }
    }

    /// The connection is for another host, or nobody serves this one here (RFC 9110 §15.5.20).
    pub const fn misdirected() -> Self {
        Self::plain(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected",
            "This address is served elsewhere",
            "The request came over a connection that is not for this host. Please load the page again.",
        )
    }

    /// More requests are in flight than the gateway takes.
    pub const fn overloaded() -> Self {
        Self::plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "Too many requests at once",
            "This site is very busy right now. Please try again in a moment.",
        )
    }

    /// An own page takes no body so long.
    pub const fn body_too_large() -> Self {
        Self::plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "Too much was sent",
            "This page takes less than was sent. Nothing was changed. Please shorten it and try again.",
        )
    }

    /// A route takes no body so long.
    pub const fn upload_too_large() -> Self {
        Self::plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "Too much was sent",
            "This application takes less than was sent at once. Please choose a smaller file, or send it in parts.",
        )
    }

    /// The body did not arrive in time.
    pub const fn body_too_slow() -> Self {
        Self::plain(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "The request did not arrive",
            "The rest of the request took too long. Please try again.",
        )
    }

    /// The client broke the protocol half-way.
    pub const fn broken_off() -> Self {
        Self::plain(
            StatusCode::BAD_REQUEST,
            "bad_request",
            "This request cannot be served",
            "The request was not passed on, because it did not arrive whole. Please try again.",
        )
    }

    /// Something of ours failed.
    pub const fn internal() -> Self {
        Self::plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Something went wrong",
            "This is not your fault. Please try again in a moment; if it happens once more, tell whoever runs this site the \
             request number.",
        )
    }

    /// No server of the upstream answers.
    pub const fn upstream_down() -> Self {
        Self::plain(
            StatusCode::BAD_GATEWAY,
            "upstream_unavailable",
            "This application is not available",
            "It does not answer right now. Please try again in a moment; if it stays so, tell whoever runs this site the \
             request number.",
        )
    }

    /// Every server of the upstream has as many requests as it may.
    pub const fn upstream_busy() -> Self {
        Self::plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream_busy",
            "This application is busy",
            "Too many people are using it right now. Please try again in a moment.",
        )
    }

    /// The upstream cannot take a WebSocket.
    pub const fn no_websockets() -> Self {
        Self::plain(
            StatusCode::NOT_IMPLEMENTED,
            "no_websockets",
            "This request cannot be served",
            "This application takes no WebSockets. If it should, tell whoever runs this site the request number.",
        )
    }

    /// The upstream takes too long.
    pub const fn upstream_slow() -> Self {
        Self::plain(
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_timeout",
            "This application takes too long",
            "It did not answer in time. Please try again in a moment; if you sent something, look first whether it arrived.",
        )
    }

    /// The answer for this asker. Without a snapshot the page shows neither name nor style.
    pub fn answer(
        &self,
        asker: Asker,
        request_id: RequestId,
        snapshot: Option<&Snapshot>,
    ) -> Response<Bytes> {
        let request_id = request_id.to_string();
        let (media_type, body) = match asker {
            Asker::PageLoad | Asker::FormPost => {
                ("text/html; charset=utf-8", self.page(&request_id, snapshot))
            }
            Asker::Program => ("application/json", self.json(&request_id)),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        headers.insert(
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        );
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(CONTENT_SECURITY_POLICY),
        );
        if let Some(challenge) = &self.authenticate {
            headers.insert(header::WWW_AUTHENTICATE, challenge.clone());
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(
                header::ALLOW,
                HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            );
        }
        response
    }

    fn json(&self, request_id: &str) -> String {
        let body = RefusalBody {
            error: self.code,
            message: &self.message,
            location: self.way_on.as_ref().map(|way_on| way_on.location.as_str()),
            max_age: self.max_age.map(|age| age.as_secs()),
            held: self.kept.as_ref().map(|kept| HeldBody {
                location: &kept.location,
                expires_in: kept.lifespan.as_secs(),
            }),
            not_held: self.not_kept,
            request_id,
        };
        serde_json::to_string(&body).expect("strings and numbers always serialise")
    }

    fn page(&self, request_id: &str, snapshot: Option<&Snapshot>) -> String {
        let page = ErrorPage {
            frame: BareFrame {
                branding: snapshot.map(|snapshot| &snapshot.config.branding),
                assets: snapshot.map(|snapshot| &snapshot.assets),
            },
            status: self.status.as_u16(),
            heading: self.heading,
            sentence: &self.message,
            request_id,
            way_on: self
                .way_on
                .as_ref()
                .map(|way_on| (way_on.location.as_str(), way_on.label)),
        };
        page.render()
            .expect("a page of plain strings always renders")
    }
}

#[derive(Serialize)]
struct RefusalBody<'a> {
    error: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<HeldBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_held: Option<&'a str>,
    request_id: &'a str,
}

/// Where what was sent is kept, and for how many seconds.
#[derive(Serialize)]
struct HeldBody<'a> {
    location: &'a str,
    expires_in: u64,
}

/// The page loads the gateway's own stylesheet, script and logo, and nothing else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    fn body(refusal: &Refusal, asker: Asker, request_id: RequestId) -> (Response<Bytes>, String) {
        let response = refusal.answer(asker, request_id, None);
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        (response, text)
    }

    #[test]
    fn a_person_gets_a_page_and_a_program_json_both_with_the_request_id() {
        let id = RequestId::random();
        let (response, page) = body(&Refusal::upstream_down(), Asker::PageLoad, id);
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        assert!(
            page.contains(&id.to_string())
                && page.contains("<h1>This application is not available</h1>")
        );
        let (response, json) = body(&Refusal::denied(Denial::NotAllowed), Asker::Program, id);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&json["error"], &json["request_id"]),
            (&"not_allowed".into(), &id.to_string().into())
        );
        assert!(json.get("location").is_none() && json.get("max_age").is_none());
    }

    #[test]
    fn what_stands_on_the_page_is_escaped() {
        let refusal = Refusal {
            way_on: Some(WayOn {
                location: "/x?\"><script>".into(),
                label: "Go on",
            }),
            ..Refusal::internal()
        };
        let (_, page) = body(&refusal, Asker::FormPost, RequestId::random());
        assert!(page.contains("Go on") && !page.contains("\"><script>"));
    }

    #[test]
    fn every_refusal_says_what_happened_and_what_to_do_in_plain_words() {
        let denials = [
            Denial::NoRoute,
            Denial::NotAllowed,
            Denial::Ambiguous,
            Denial::NoCertificate,
        ];
        let faults = [
            Fault::Method,
            Fault::TooLarge,
            Fault::Host("it names no host"),
        ];
        let others = [
            Refusal::misdirected(),
            Refusal::overloaded(),
            Refusal::body_too_large(),
            Refusal::upload_too_large(),
            Refusal::body_too_slow(),
            Refusal::broken_off(),
            Refusal::internal(),
            Refusal::upstream_down(),
            Refusal::upstream_busy(),
            Refusal::no_websockets(),
            Refusal::upstream_slow(),
        ];
        let faults = faults.iter().map(Refusal::malformed);
        for refusal in denials
            .map(Refusal::denied)
            .into_iter()
            .chain(faults)
            .chain(others)
        {
            let said = &refusal.message;
            assert!(
                !refusal.heading.is_empty() && !refusal.heading.ends_with('.'),
                "{said}"
            );
            assert!(said.ends_with('.') && !said.contains("  "), "{said}");
            let step = ["lease ", "ask whoever", "tell whoever"];
            assert!(
                step.iter().any(|word| said.contains(word)),
                "it leads nowhere: {said}"
            );
            for jargon in [
                "session",
                "upstream",
                "token",
                "invalid",
                "null",
                "parameter",
                "exception",
            ] {
                assert!(!said.contains(jargon), "{jargon}: {said}");
            }
            let id = RequestId::random();
            for asker in [Asker::PageLoad, Asker::FormPost, Asker::Program] {
                assert!(
                    body(&refusal, asker, id).1.contains(&id.to_string()),
                    "{said}"
                );
            }
        }
    }
}
