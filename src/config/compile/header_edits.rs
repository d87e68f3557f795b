//! `route.request_headers` and `route.response_headers`: which names an operator may set and take away, and
//! with which values.

use std::collections::BTreeMap;

use axum::http::{HeaderName, HeaderValue};

use super::{Surroundings, secret};
use crate::{
    config::{
        HeaderEdits, Identity,
        file::{At, List, RequestHeaders, ResponseHeaders, SecretText},
        findings::{Finding, Findings},
    },
    reserved_header::{folded, is_hop_by_hop, is_ours},
};

/// What is done with a header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edit {
    Set,
    Remove,
}

/// Why a name is not the operator's to edit, by its folded form.
type Objection<'a> = &'a dyn Fn(&str, Edit) -> Option<&'static str>;

/// Changes to requests.
pub(super) fn of_requests(
    section: &RequestHeaders,
    identity: &Identity,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<HeaderEdits> {
    let objection = |name: &str, edit| objection_in_requests(name, edit, identity);
    let read = |text: &At<SecretText>, findings: &mut Findings<'_>| {
        let value = match secret::read(&text.value, around) {
            Ok(text) => text,
            Err(problem) => {
                findings.error(text, Finding::new(problem));
                return None;
            }
        };
        let mut value = header_value(text, &value, findings)?;
        value.set_sensitive(text.value.is_elsewhere());
        Some(value)
    };
    edits(&section.set, &section.remove, &objection, &read, findings)
}

/// Changes to answers.
pub(super) fn of_responses(
    section: &ResponseHeaders,
    findings: &mut Findings<'_>,
) -> Option<HeaderEdits> {
    let read =
        |text: &At<String>, findings: &mut Findings<'_>| header_value(text, &text.value, findings);
    edits(
        &section.set,
        &section.remove,
        &objection_in_responses,
        &read,
        findings,
    )
}

/// A header name, or `None` after saying what is wrong with it.
pub(super) fn header_name<T>(
    name: &str,
    at: &At<T>,
    findings: &mut Findings<'_>,
) -> Option<HeaderName> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
    if parsed.is_none() {
        let finding = Finding::new("not a header name")
            .expected("letters, digits, hyphens and underscores, such as \"X-Env\"");
        findings.error(at, finding);
    }
    parsed
}

fn objection_in_requests(name: &str, edit: Edit, identity: &Identity) -> Option<&'static str> {
    if is_hop_by_hop(name) || name == "host" {
        return Some("frames the message or names its host; `host_header` sets `Host`");
    }
    if name == "cookie" {
        return Some("holds cookies, which the gateway passes on less its own");
    }
    if identity.is_told_in(name) {
        return Some("says who asks, which the gateway alone does; see [identity]");
    }
    if is_ours(name) && !is_free_forwarded(name) {
        return Some("is set or removed by the gateway alone");
    }
    (name == "authorization" && edit == Edit::Set)
        .then_some("signs in to the app; write it as `authorization`")
}

/// Of the family `X-Forwarded-…`, which clients never get through, the gateway itself sets four; apps look for
/// more, such as `X-Forwarded-Port`.
fn is_free_forwarded(name: &str) -> bool {
    const SET: [&str; 4] = ["for", "host", "proto", "prefix"];
    name.strip_prefix("x-forwarded-")
        .is_some_and(|what| !SET.contains(&what))
}

fn objection_in_responses(name: &str, edit: Edit) -> Option<&'static str> {
    if is_hop_by_hop(name) {
        return Some("frames the message");
    }
    if name == "set-cookie" && edit == Edit::Set {
        return Some("would take the place of the app's cookies");
    }
    (name == "x-request-id" || name.starts_with("x-gatehouse"))
        .then_some("is set by the gateway alone")
}

fn edits<T>(
    set: &BTreeMap<String, At<T>>,
    remove: &List<String>,
    objection: Objection<'_>,
    read: &dyn Fn(&At<T>, &mut Findings<'_>) -> Option<HeaderValue>,
    findings: &mut Findings<'_>,
) -> Option<HeaderEdits> {
    let mut seen = Vec::new();
    let mut complete = true;
    let mut edits = HeaderEdits::default();
    for (name, text) in set {
        let name = permitted(name, Edit::Set, text, objection, &mut seen, findings);
        let value = read(text, findings);
        match name.zip(value) {
            Some(pair) => edits.set.push(pair),
            None => complete = false,
        }
    }
    for text in &remove.value {
        match permitted(
            &text.value,
            Edit::Remove,
            text,
            objection,
            &mut seen,
            findings,
        ) {
            Some(name) => edits.remove.push(name),
            None => complete = false,
        }
    }
    complete.then_some(edits)
}

/// A name that may be edited and is not `seen` yet.
fn permitted<T>(
    name: &str,
    edit: Edit,
    at: &At<T>,
    objection: Objection<'_>,
    seen: &mut Vec<HeaderName>,
    findings: &mut Findings<'_>,
) -> Option<HeaderName> {
    let parsed = header_name(name, at, findings)?;
    let problem = match objection(&folded(name), edit) {
        Some(problem) => problem,
        None if seen.contains(&parsed) => "is named twice",
        None => {
            seen.push(parsed.clone());
            return Some(parsed);
        }
    };
    findings.error(at, Finding::new(format!("`{name}` {problem}")));
    None
}

fn header_value<T>(at: &At<T>, text: &str, findings: &mut Findings<'_>) -> Option<HeaderValue> {
    // Readers differ in what other bytes mean (RFC 9110 §5.5).
    let value = HeaderValue::from_str(text).ok().filter(|_| text.is_ascii());
    if value.is_none() {
        let finding = Finding::new("not a header value")
            .expected("visible ASCII characters and spaces, on one line");
        findings.error(at, finding);
    }
    value
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use crate::config::compile::fixture::{APP, PARTY, ROUTE, assert_found, read};

    #[test]
    fn what_is_the_gateways_to_say_is_refused() {
        for (name, expected) in [
            ("Host", "frames the message or names its host"),
            ("transfer_encoding", "frames the message"),
            ("Connection", "frames the message"),
            ("TE", "frames the message"),
            ("Cookie", "holds cookies"),
            ("Remote-User", "says who asks"),
            ("REMOTE_GROUPS", "says who asks"),
            ("X-Auth-Request-Email", "says who asks"),
            ("x_remote_user", "says who asks"),
            ("X-Signed", "says who asks"),
            ("X-Gatehouse-Session", "by the gateway alone"),
            ("X-Forwarded-For", "by the gateway alone"),
            ("x_forwarded_proto", "by the gateway alone"),
            ("X-Original-URL", "by the gateway alone"),
            ("Proxy", "by the gateway alone"),
            ("Authorization", "write it as `authorization`"),
            ("X Y", "not a header name"),
            ("", "not a header name"),
        ] {
            let identity =
                "[identity]\ncustom.user = \"X-Remote-User\"\nassertion = \"X-Signed\"\n";
            assert_found(
                &format!(
                    "{identity}{PARTY}{APP}{ROUTE}request_headers.set = {{ \"{name}\" = \"1\" }}"
                ),
                expected,
            );
        }
        for (name, expected) in [
            ("Content-Length", "frames the message"),
            ("Set-Cookie", "the app's cookies"),
            ("X-Request-Id", "by the gateway alone"),
            ("X-Gatehouse-X", "by the gateway alone"),
        ] {
            assert_found(
                &format!("{PARTY}{APP}{ROUTE}response_headers.set = {{ {name} = \"1\" }}"),
                expected,
            );
        }
    }

    #[test]
    fn each_rule_of_header_edits_is_held() {
        for (text, expected) in [
            (
                "request_headers.remove = [\"Cookie\"]",
                "route[0].request_headers.remove[0] = \"Cookie\": `Cookie` holds cookies",
            ),
            (
                "request_headers = { set = { X-Env = \"1\" }, remove = [\"x-env\"] }",
                "route[0].request_headers.remove[0] = \"x-env\": `x-env` is named twice",
            ),
            (
                "request_headers.set = { X-Env = \"a\\r\\nb\" }",
                "route[0].request_headers.set.X-Env: not a header value",
            ),
            (
                "response_headers.set = { X-Env = \"é\" }",
                "route[0].response_headers.set.X-Env = \"é\": not a header value",
            ),
            (
                "request_headers.set = { X-Key = \"env:NOT_SET\" }",
                "set.X-Key: the environment variable NOT_SET is not set",
            ),
            (
                "response_headers.remove = [\"Connection\"]",
                "`Connection` frames the message",
            ),
            (
                "response_headers.sets = {}",
                "route[0].response_headers.sets: unknown key",
            ),
        ] {
            assert_found(&format!("{PARTY}{APP}{ROUTE}{text}\n"), expected);
        }
    }

    #[test]
    fn what_remains_may_be_edited_and_secrets_are_sensitive() {
        let text = "request_headers = { set = { X-Env = \"prod\", X-Key = \"env:LONG\", X-Forwarded-Port = \"443\" }, \
                    remove = [\"Authorization\", \"Accept-Encoding\"] }\n\
                    response_headers = { set = { X-A = \"1\" }, remove = [\"Set-Cookie\"] }\n";
        let folder = TempDir::new().unwrap();
        let loaded = read(&folder, &format!("{PARTY}{APP}{ROUTE}{text}")).unwrap();
        let delivery = &loaded.config.deliveries[0];
        let set: Vec<_> = delivery
            .request_headers
            .set
            .iter()
            .map(|(name, value)| (name.as_str(), value.is_sensitive()))
            .collect();
        assert_eq!(
            set,
            [
                ("x-env", false),
                ("x-forwarded-port", false),
                ("x-key", true)
            ]
        );
        assert_eq!(delivery.request_headers.remove.len(), 2);
        assert_eq!(delivery.response_headers.remove, ["set-cookie"]);
        assert!(!format!("{:?}", loaded.config).contains("0123456789abcdef"));
    }
}
