//! What is asking: a person's browser on its way to a page, one that sends a form, or a program.
//!
//! It decides only how a request is turned away (a redirect, a page, JSON), never whether.

use http::{HeaderMap, Method, header};

/// What is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A browser loading a page: it can be sent to another one.
    PageLoad,
    /// A browser sending a form: it shows a page, but a redirect would lose what was sent.
    FormPost,
    /// `fetch`, a WebSocket, a command line: it reads status and JSON.
    Program,
}

impl Asker {
    /// By the Fetch Metadata fields; browsers leave those out on plain HTTP outside loopback, and then by
    /// what the asker says it accepts.
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        if !is_navigation(headers) {
            Self::Program
        } else if method == Method::GET || method == Method::HEAD {
            Self::PageLoad
        } else {
            Self::FormPost
        }
    }
}

fn is_navigation(headers: &HeaderMap) -> bool {
    if FETCH_METADATA
        .iter()
        .any(|name| headers.contains_key(*name))
    {
        return is(headers, "sec-fetch-mode", b"navigate")
            && is(headers, "sec-fetch-dest", b"document");
    }
    !headers.contains_key("x-requested-with") && accepts_html(headers)
}

/// W3C Fetch Metadata Request Headers §2.
const FETCH_METADATA: [&str; 4] = [
    "sec-fetch-mode",
    "sec-fetch-dest",
    "sec-fetch-site",
    "sec-fetch-user",
];

fn is(headers: &HeaderMap, name: &str, expected: &[u8]) -> bool {
    headers
        .get(name)
        .is_some_and(|value| value.as_bytes() == expected)
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| matches!(byte, b',' | b';')))
        .any(|range| range.trim_ascii().eq_ignore_ascii_case(b"text/html"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn browsers_on_their_way_to_a_page_are_told_from_programs() {
        let navigate = [
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        let html = [("accept", "application/xhtml+xml, Text/HTML;q=0.9")];
        type Fields<'a> = &'a [(&'static str, &'static str)];
        let cases: [(&str, Fields<'_>, Asker); 11] = [
            ("GET", &navigate, Asker::PageLoad),
            ("HEAD", &navigate, Asker::PageLoad),
            ("POST", &navigate, Asker::FormPost),
            ("GET", &html, Asker::PageLoad),
            ("POST", &html, Asker::FormPost),
            (
                "GET",
                &[
                    ("accept", "text/html"),
                    ("x-requested-with", "XMLHttpRequest"),
                ],
                Asker::Program,
            ),
            (
                "GET",
                &[("accept", "text/html"), ("sec-fetch-mode", "cors")],
                Asker::Program,
            ),
            (
                "GET",
                &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
                Asker::Program,
            ),
            (
                "GET",
                &[
                    ("sec-fetch-mode", "websocket"),
                    ("sec-fetch-dest", "websocket"),
                ],
                Asker::Program,
            ),
            ("GET", &[("accept", "*/*")], Asker::Program),
            ("GET", &[], Asker::Program),
        ];
        for (method, fields, asker) in cases {
            let headers = fields
                .iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_static(value),
                    )
                })
                .collect();
            assert_eq!(
                Asker::of(&method.parse().unwrap(), &headers),
                asker,
                "{method} {fields:?}"
            );
        }
    }
}
