//! `[traces]`: the collector, and what it is sent.

use axum::http::{HeaderName, HeaderValue};
use url::{Host, Url};

use super::{Surroundings, header_edits, secret};
use crate::config::{
    Traces,
    file::{self, At, Section},
    findings::{Finding, Findings},
};

/// `Some(None)` when there are none.
pub(super) fn traces(
    section: Option<&Section<file::Traces>>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Option<Traces>> {
    let Some(section) = section else {
        return Some(None);
    };
    let traces = &section.value;
    let given = findings.required(traces.endpoint.as_ref(), section, "endpoint", ACCEPTED);
    let endpoint = given.and_then(|given| endpoint(given, findings));
    let headers = headers(traces, around, findings);
    let service_name = service_name(&traces.service_name, findings);
    let (given, endpoint, headers) = (given?, endpoint?, headers?);
    if endpoint.scheme() == "http" && !is_loopback(&endpoint) && !headers.is_empty() {
        let problem = "traces.headers are sent in clear: others may read them on the way";
        findings.warning(given, Finding::new(problem));
    }
    Some(Some(Traces {
        endpoint,
        sample: traces.sample.value.fraction(),
        headers,
        service_name: service_name?,
    }))
}

const ACCEPTED: &str = "the address of a collector such as \"http://127.0.0.1:4318/v1/traces\"";

fn endpoint(given: &At<String>, findings: &mut Findings<'_>) -> Option<Url> {
    let read = Url::parse(&given.value).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    });
    let finding = match &read {
        None => Finding::value(ACCEPTED),
        // Collectors answer the root with 404, and nobody looks there.
        Some(url) if url.path() == "/" => Finding::new("has no path").expected(ACCEPTED),
        Some(_) => return read,
    };
    findings.error(given, finding);
    None
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn headers(
    traces: &file::Traces,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let mut complete = Some(Vec::new());
    for (name, text) in &traces.headers {
        let name = header_edits::header_name(name, text, findings);
        let finding = match secret::read(&text.value, around) {
            Err(problem) => Some(Finding::new(problem)),
            Ok(value) => match (HeaderValue::from_str(&value), name) {
                (Ok(mut value), Some(name)) => {
                    value.set_sensitive(true);
                    if let Some(headers) = &mut complete {
                        headers.push((name, value));
                    }
                    continue;
                }
                (Err(_), _) => Some(Finding::value("text without control characters")),
                (Ok(_), None) => None,
            },
        };
        if let Some(finding) = finding {
            findings.error(text, finding);
        }
        complete = None;
    }
    complete
}

fn service_name(name: &At<String>, findings: &mut Findings<'_>) -> Option<String> {
    let plain = (1..=255).contains(&name.value.len()) && !name.value.contains(char::is_control);
    if !plain {
        findings.error(name, Finding::value("a name such as \"gatehouse\""));
    }
    plain.then(|| name.value.clone())
}

#[cfg(test)]
mod tests {
    use crate::config::compile::fixture::{APP, PARTY, ROUTE, assert_found, config};

    #[test]
    fn traces_are_off_unless_a_collector_is_named() {
        assert!(config("").traces.is_none());
        let traces = config(
            "traces = { endpoint = \"http://127.0.0.1:4318/v1/traces\", headers = { X-Token = \"env:LONG\" } }",
        )
        .traces
        .unwrap();
        assert!((traces.sample - 0.01).abs() < 1e-9);
        assert_eq!(traces.service_name, "gatehouse");
        assert_eq!(traces.headers[0].0, "x-token");
        assert!(!format!("{traces:?} {:?}", traces.headers).contains("0123456789"));
    }

    #[test]
    fn each_rule_of_traces_is_held() {
        const HERE: &str = "endpoint = \"http://127.0.0.1:4318/v1/traces\"";
        for (text, expected) in [
            (
                String::new(),
                "traces.endpoint: missing; expected the address of a collector",
            ),
            (
                "endpoint = \"127.0.0.1:4318\"".to_owned(),
                "traces.endpoint = \"127.0.0.1:4318\": wrong value; expected the address",
            ),
            (
                "endpoint = \"grpc://127.0.0.1:4317/v1/traces\"".to_owned(),
                "traces.endpoint = \"grpc://127.0.0.1:4317/v1/traces\": wrong value",
            ),
            (
                "endpoint = \"http://127.0.0.1:4318\"".to_owned(),
                "traces.endpoint = \"http://127.0.0.1:4318\": has no path",
            ),
            (
                "endpoint = \"https://user:hunter2@collector/v1/traces\"".to_owned(),
                "traces.endpoint: wrong value",
            ),
            (
                "endpoint = \"http://collector/v1/traces\"\nheaders.X-Token = \"hunter2\""
                    .to_owned(),
                "warning: traces.endpoint = \"http://collector/v1/traces\": traces.headers are sent in clear",
            ),
            (
                format!("{HERE}\nsample = 0.5"),
                "traces.sample = 0.5: wrong type",
            ),
            (
                format!("{HERE}\nsample = \"150%\""),
                "traces.sample = \"150%\": wrong value; expected a share",
            ),
            (
                format!("{HERE}\nheaders.X-Token = \"env:NOT_SET\""),
                "traces.headers.X-Token: the environment variable NOT_SET is not set",
            ),
            (
                format!("{HERE}\nheaders.X-Token = \"a\\nhunter2\""),
                "traces.headers.X-Token: wrong value; expected text without control characters",
            ),
            (
                format!("{HERE}\nheaders.\"X Token\" = \"hunter2\""),
                "not a header name",
            ),
            (
                format!("{HERE}\nservice_name = \"\""),
                "traces.service_name = \"\": wrong value; expected a name",
            ),
        ] {
            assert_found(&format!("[traces]\n{text}\n{PARTY}{APP}{ROUTE}"), expected);
        }
    }
}
