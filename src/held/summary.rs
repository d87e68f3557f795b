//! What is known of a kept request besides its body: where it goes, and the fields that describe it.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};

use crate::{
    id::RequestId,
    reserved_header::{folded, is_hop_by_hop, is_ours},
    web::{pages::HeldKind, return_to::ReturnTo},
};

/// A kept request but for its body. Its method is POST.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Canonical path and query.
    pub target: String,
    /// How long its body is.
    pub body_bytes: u64,
    /// Whether a script sent it, which then waits for an answer in vain.
    pub by_script: bool,
    /// The page that sent it, if the browser says which.
    pub came_from: Option<String>,
    /// Its id when it came, for the log.
    pub request: RequestId,
    fields: Vec<Field>,
}

/// Name and value, each byte as a character: values need not be UTF-8.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Field(String, String);

/// It may be a bearer token.
impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Summary {
    /// Of a request as it came.
    pub fn of(
        target: String,
        headers: &HeaderMap,
        body_bytes: usize,
        by_script: bool,
        came_from: Option<&str>,
        request: RequestId,
    ) -> Self {
        Self {
            target,
            body_bytes: body_bytes as u64,
            by_script,
            came_from: came_from.map(|page| ReturnTo::parse(page).as_str().to_owned()),
            request,
            fields: fields(headers),
        }
    }

    /// What it says in the gateway's terms of forms.
    pub fn kind(&self) -> HeldKind {
        let given = self
            .fields
            .iter()
            .find(|Field(name, _)| name == header::CONTENT_TYPE.as_str());
        let essence = given.and_then(|Field(_, value)| value.split(';').next());
        match essence
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
            .as_str()
        {
            "application/x-www-form-urlencoded" | "text/plain" | "" => HeldKind::Form,
            "multipart/form-data" => HeldKind::Upload,
            _ => HeldKind::Data,
        }
    }

    /// The path without what follows it, for people.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Makes the fields of another request those of this one: what describes that other is taken out, and what
    /// described this one is put in, but for what that other says for itself: its cookies, its host and what
    /// proxies have added are of the present.
    pub fn take_over(&self, headers: &mut HeaderMap) {
        let describing: Vec<HeaderName> = headers
            .keys()
            .filter(|name| describes_body_or_sender(name.as_str()))
            .cloned()
            .collect();
        for name in describing {
            headers.remove(name);
        }
        let standing: Vec<HeaderName> = headers.keys().cloned().collect();
        for Field(name, value) in &self.fields {
            let name = HeaderName::from_bytes(name.as_bytes());
            let bytes: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(c).ok()).collect();
            let value = bytes.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
            if let (Ok(name), Some(value)) = (name, value)
                && !standing.contains(&name)
            {
                headers.append(name, value);
            }
        }
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.body_bytes));
    }
}

/// Whether a field says something of a body, or of the page that sends it.
fn describes_body_or_sender(name: &str) -> bool {
    ["content-", "sec-fetch-", "sec-ch-", "x-gatehouse-"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || matches!(
            name,
            "accept"
                | "origin"
                | "referer"
                | "transfer-encoding"
                | "upgrade-insecure-requests"
                | "cache-control"
                | "pragma"
                | "priority"
                | "expect"
        )
}

/// What goes with the request wherever it goes. Not cookies and host, which are of the moment it is sent; not what
/// is of a connection, by its name or by `Connection` (RFC 9110 §7.6.1); not what only the gateway may say.
fn fields(headers: &HeaderMap) -> Vec<Field> {
    let nominated: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let stays = |name: &str| {
        let plain = folded(name);
        matches!(&*plain, "cookie" | "host")
            || is_hop_by_hop(&plain)
            || is_ours(&plain)
            || nominated.iter().any(|nominated| nominated == name)
    };
    headers
        .iter()
        .filter(|(name, _)| !stays(name.as_str()))
        .map(|(name, value)| {
            let value = value.as_bytes().iter().map(|byte| char::from(*byte));
            Field(name.as_str().to_owned(), value.collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &[u8])]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| {
                let name = HeaderName::from_static(name);
                (name, HeaderValue::from_bytes(value).unwrap())
            })
            .collect()
    }

    fn summary(fields: &[(&'static str, &[u8])]) -> Summary {
        let headers = headers(fields);
        let id = RequestId::random();
        Summary::of(
            "/a?b=c".to_owned(),
            &headers,
            12,
            false,
            Some("/form?x=1"),
            id,
        )
    }

    #[test]
    fn it_reads_back_as_it_was_written() {
        let summary = summary(&[("x-odd", b"caf\xe9"), ("content-type", b"text/plain")]);
        let json = serde_json::to_vec(&summary).unwrap();
        assert_eq!(serde_json::from_slice::<Summary>(&json).unwrap(), summary);
        assert_eq!(summary.path(), "/a");
        assert_eq!(summary.came_from.as_deref(), Some("/form?x=1"));
    }

    #[test]
    fn what_described_it_is_put_in_the_place_of_what_describes_the_button() {
        let summary = summary(&[
            ("content-type", b"multipart/form-data; boundary=x"),
            ("content-encoding", b"gzip"),
            ("origin", b"https://app.example"),
            ("accept", b"*/*"),
            ("x-csrf-token", b"caf\xe9"),
            ("authorization", b"Bearer x"),
            ("user-agent", b"old"),
            ("cookie", b"old=1"),
            ("host", b"app.example"),
            ("content-length", b"12"),
            ("transfer-encoding", b"chunked"),
            ("connection", b"close, X-Hop"),
            ("x-hop", b"1"),
            ("x-forwarded-for", b"1.2.3.4"),
            ("x-http-method-override", b"DELETE"),
            ("remote_user", b"eve"),
        ]);
        let mut now = headers(&[
            ("content-type", b"text/plain"),
            ("content-length", b"99"),
            ("transfer-encoding", b"chunked"),
            ("content-language", b"en"),
            ("origin", b"null"),
            ("accept", b"text/html"),
            ("sec-fetch-mode", b"navigate"),
            ("upgrade-insecure-requests", b"1"),
            ("user-agent", b"new"),
            ("cookie", b"new=1"),
            ("host", b"app.example"),
        ]);
        summary.take_over(&mut now);
        let mut found: Vec<_> = now
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        found.sort_unstable();
        assert_eq!(
            found,
            [
                ("accept", &b"*/*"[..]),
                ("authorization", b"Bearer x"),
                ("content-encoding", b"gzip"),
                ("content-length", b"12"),
                ("content-type", b"multipart/form-data; boundary=x"),
                ("cookie", b"new=1"),
                ("host", b"app.example"),
                ("origin", b"https://app.example"),
                ("remote_user", b"eve"),
                ("user-agent", b"new"),
                ("x-csrf-token", b"caf\xe9"),
            ]
        );
    }

    #[test]
    fn a_bearer_token_is_not_shown() {
        let summary = summary(&[("authorization", b"Bearer secret")]);
        assert!(!format!("{summary:?}").contains("secret"));
    }

    #[test]
    fn people_are_told_a_form_from_an_upload_and_from_data() {
        for (given, kind) in [
            (&b"application/x-www-form-urlencoded"[..], HeldKind::Form),
            (b"Text/Plain;charset=UTF-8", HeldKind::Form),
            (b"multipart/form-data; boundary=x", HeldKind::Upload),
            (b"application/json", HeldKind::Data),
        ] {
            assert_eq!(summary(&[("content-type", given)]).kind(), kind);
        }
        assert_eq!(summary(&[]).kind(), HeldKind::Form);
    }
}
