//! A line of the access log: one request, and what became of it.
//!
//! It holds no cookie, no query, no address and no token: the client is its network, the person an account
//! id, and the path of an own page ends at the page's name, because what follows may be a one-time link.
//! Where lines go is in [`super::access_log`].

use std::{borrow::Cow, io::Write, time::Duration};

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, format_description::FormatItem, macros::format_description};

use super::outcome::{CutShort, Outcome, SessionKind};
use crate::{
    config::AccessFormat,
    id::{AccountId, RequestId},
    network::Network,
    policy::{certificate::CertificateName, own_page::is_own_page, route::Access},
};

/// One request and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct AccessRecord<'a> {
    /// When it was over.
    #[serde(rename = "timestamp", serialize_with = "moment")]
    pub over_at: OffsetDateTime,
    /// As in the other lines of the log, for those who gather both.
    #[serde(flatten)]
    pub kind: Kind,
    /// Its id.
    #[serde(serialize_with = "as_text")]
    pub request_id: RequestId,
    /// The method, as sent.
    pub method: &'a str,
    /// The host; `None` when it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<&'a str>,
    /// The canonical path, without query, as it may be [shown](shown_path); `None` when it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<&'a str>,
    /// Of COPY and MOVE: the canonical path that they write to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<&'a str>,
    /// The version of HTTP that the client speaks.
    pub protocol: &'static str,
    /// The status answered; `None` when the client left before one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long the answer's body was, as far as it went; `None` where the request was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_out: Option<usize>,
    /// What was decided.
    #[serde(serialize_with = "outcome")]
    pub decision: Outcome,
    /// What the visitor would have needed, where that was the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<&'static str>,
    /// The route that it falls under, and what that asks for.
    #[serde(flatten)]
    pub rule: Option<Rule>,
    /// Name of the upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<&'a str>,
    /// Its server that had the request last, as the configuration calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<&'a str>,
    /// From the end of the request's header to the end of the answer.
    #[serde(rename = "duration_us", serialize_with = "microseconds")]
    pub duration: Duration,
    /// Where the request came from.
    #[serde(serialize_with = "as_text")]
    pub network: Network,
    /// Whose session it carried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// What kind of session that was.
    #[serde(serialize_with = "session")]
    pub session: SessionKind,
    /// How old its passkey check was.
    #[serde(
        rename = "step_up_age_s",
        skip_serializing_if = "Option::is_none",
        serialize_with = "seconds"
    )]
    pub step_up_age: Option<Duration>,
    /// The names on the client's certificate.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub certificate: &'a [CertificateName],
    /// Why it was ended before it was done.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "cut_short")]
    pub cut: Option<CutShort>,
    /// The trace that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<&'a str>,
    /// What would have been decided if routes with `report_only` were enforced; `None` where it is the same.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "other_outcome"
    )]
    pub report_only: Option<Outcome>,
    /// Line of the route that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_only_route: Option<usize>,
    /// What the candidate of `serve --shadow` would have decided; `None` where it is the same.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "other_outcome"
    )]
    pub shadow: Option<Outcome>,
    /// Line of its route, in the candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_route: Option<usize>,
    /// Where the candidate would have forwarded the request, if elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_upstream: Option<&'a str>,
    /// Whether another proxy asked about it, to serve it itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forward_auth: bool,
}

/// What tells an access line from others.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Kind {
    level: &'static str,
    target: &'static str,
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            level: "INFO",
            target: TARGET,
        }
    }
}

/// What access lines are called among the lines of the log.
pub const TARGET: &str = "access";

/// A route, and what it asks for.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rule {
    /// Its line in the configuration file.
    #[serde(rename = "route")]
    pub line: usize,
    /// What every reading of the request takes together.
    #[serde(flatten, serialize_with = "needs")]
    pub access: Access,
}

impl AccessRecord<'_> {
    /// The line, with its line break.
    pub fn line(&self, format: AccessFormat) -> Option<Vec<u8>> {
        let mut line = Vec::with_capacity(USUAL_LINE);
        let written = match format {
            AccessFormat::Json => serde_json::to_writer(&mut line, self).is_ok(),
            AccessFormat::Combined => self.write_combined(&mut line).is_ok(),
            AccessFormat::Off => false,
        };
        line.push(b'\n');
        written.then_some(line)
    }

    /// Host, identity, user, time, request, status, length, referrer and browser. The last two are not logged.
    fn write_combined(&self, line: &mut Vec<u8>) -> std::io::Result<()> {
        let account = self.account.map(|account| account.to_string());
        let at = self.over_at.format(NCSA_TIME).unwrap_or_default();
        write!(
            line,
            "{} - {} [{at}] \"",
            self.network.address(),
            account.as_deref().unwrap_or("-"),
        )?;
        write_escaped(line, self.method);
        line.push(b' ');
        write_escaped(line, self.path.unwrap_or("-"));
        let or_dash = |number: Option<String>| number.map_or(Cow::Borrowed("-"), Cow::Owned);
        write!(
            line,
            " {}\" {} {} \"-\" \"-\"",
            self.protocol,
            or_dash(self.status.map(|status| status.to_string())),
            or_dash(self.bytes_out.map(|bytes| bytes.to_string())),
        )
    }
}

/// As common servers do: what could end the field, or the line, is written by its number.
fn write_escaped(line: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | 0..=b' ' | 0x7f.. => {
                // Writing to memory does not fail.
                let _ = write!(line, "\\x{byte:02X}");
            }
            _ => line.push(byte),
        }
    }
}

/// Most lines fit; a longer one grows.
const USUAL_LINE: usize = 512;

const NCSA_TIME: &[FormatItem<'_>] = format_description!(
    "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
);

/// As `tracing` writes them.
const MOMENT: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

fn moment<S: Serializer>(moment: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&moment.format(MOMENT).unwrap_or_default())
}

fn as_text<S: Serializer>(
    value: &impl std::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn outcome<S: Serializer>(outcome: &Outcome, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(outcome.name())
}

fn other_outcome<S: Serializer>(
    outcome: &Option<Outcome>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    outcome.map(Outcome::name).serialize(serializer)
}

fn session<S: Serializer>(kind: &SessionKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

fn cut_short<S: Serializer>(cut: &Option<CutShort>, serializer: S) -> Result<S::Ok, S::Error> {
    cut.map(CutShort::name).serialize(serializer)
}

fn microseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

fn seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration
        .map(|duration| duration.as_secs())
        .serialize(serializer)
}

fn needs<S: Serializer>(access: &Access, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Needs {
        needs: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_age_s: Option<u64>,
    }
    let (needs, max_age_s) = match access {
        Access::Public => ("public", None),
        Access::SignedIn => ("signed_in", None),
        Access::Full => ("full", None),
        Access::StepUp { max_age } => ("step_up", Some(max_age.as_secs())),
    };
    Needs { needs, max_age_s }.serialize(serializer)
}

/// A canonical path as it may be written down.
pub fn shown_path(path: &str) -> &str {
    if is_own_page(path) {
        up_to_the_page(path)
    } else {
        path
    }
}

/// `/.gatehouse/email/…` → `/.gatehouse/email`.
fn up_to_the_page(path: &str) -> &str {
    path.match_indices('/')
        .nth(2)
        .map_or(path, |(end, _)| &path[..end])
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;

    /// A line like any other.
    pub(in crate::telemetry) fn record<'a>(method: &'a str, path: &'a str) -> AccessRecord<'a> {
        AccessRecord {
            over_at: datetime!(2026-11-22 10:21:00.5 UTC),
            kind: Kind::default(),
            request_id: RequestId::from_uuid(uuid::Uuid::from_u128(1)),
            method,
            host: Some("app.example.com"),
            path: Some(path),
            destination: None,
            protocol: "HTTP/1.1",
            status: Some(401),
            bytes_out: Some(12),
            decision: Outcome::StepUp,
            missing: Outcome::StepUp.missing(),
            rule: Some(Rule {
                line: 41,
                access: Access::StepUp {
                    max_age: Duration::from_secs(300),
                },
            }),
            upstream: None,
            server: None,
            duration: Duration::from_micros(250),
            network: Network::of("203.0.113.77".parse().unwrap()),
            account: Some(AccountId::from_uuid(uuid::Uuid::from_u128(2))),
            session: SessionKind::Full,
            step_up_age: Some(Duration::from_secs(720)),
            certificate: &[],
            cut: Some(CutShort::TookTooLong),
            trace_id: None,
            report_only: None,
            report_only_route: None,
            shadow: None,
            shadow_route: None,
            shadow_upstream: None,
            forward_auth: false,
        }
    }

    fn text(record: &AccessRecord<'_>, format: AccessFormat) -> String {
        String::from_utf8(record.line(format).unwrap()).unwrap()
    }

    #[test]
    fn a_line_says_what_was_asked_for_and_what_was_missing() {
        let line = text(&record("GET", "/money"), AccessFormat::Json);
        assert_eq!(
            serde_json::from_str::<Value>(&line).unwrap(),
            json!({
                "timestamp": "2026-11-22T10:21:00.500000Z", "level": "INFO", "target": "access",
                "request_id": "00000000000000000000000000000001", "method": "GET", "host": "app.example.com",
                "path": "/money", "protocol": "HTTP/1.1", "status": 401, "bytes_out": 12, "decision": "step_up",
                "missing": "step_up", "route": 41, "needs": "step_up", "max_age_s": 300, "duration_us": 250,
                "network": "203.0.113.0/24", "account": "00000000000000000000000000000002", "session": "full",
                "step_up_age_s": 720, "cut": "took_too_long",
            })
        );
        assert!(line.ends_with("}\n"));
        let mut bare = record("GET", "/");
        (bare.rule, bare.cut, bare.step_up_age) = (None, None, None);
        let line: Value = serde_json::from_str(&text(&bare, AccessFormat::Json)).unwrap();
        for absent in ["route", "needs", "max_age_s", "cut", "step_up_age_s"] {
            assert_eq!(line.get(absent), None, "{absent}");
        }
    }

    #[test]
    fn the_combined_format_is_as_other_tools_read_it() {
        assert_eq!(
            text(&record("GET", "/money"), AccessFormat::Combined),
            "203.0.113.0 - 00000000000000000000000000000002 [22/Nov/2026:10:21:00 +0000] \"GET /money HTTP/1.1\" \
             401 12 \"-\" \"-\"\n"
        );
        let mut cut = record("GET", "/money");
        (cut.path, cut.status, cut.bytes_out, cut.account) = (None, None, None, None);
        assert_eq!(
            text(&cut, AccessFormat::Combined),
            "203.0.113.0 - - [22/Nov/2026:10:21:00 +0000] \"GET - HTTP/1.1\" - - \"-\" \"-\"\n"
        );
        assert_eq!(cut.line(AccessFormat::Off), None);
    }

    #[test]
    fn nothing_that_a_client_sends_forges_a_line_or_a_field() {
        for hostile in [
            "/x\" 200 1 \"-\" \"-\"\n203.0.113.9 - root [",
            "/x\r\n{\"target\":\"access\"}",
            "/x\\\" 200",
            "/x y z",
            "/\u{1b}[2J\u{7f}\u{9b}\u{2028}",
        ] {
            let record = record(hostile, hostile);
            let line = text(&record, AccessFormat::Combined);
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert_eq!(line.matches('"').count(), 6, "{line:?}");
            assert!(
                line.trim_end()
                    .bytes()
                    .all(|byte| (b' '..0x7f).contains(&byte)),
                "{line:?}"
            );
            let request = line.split('"').nth(1).unwrap();
            assert_eq!(request.split(' ').count(), 3, "{request:?}");
            let line = text(&record, AccessFormat::Json);
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            let read: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(
                (&read["path"], &read["method"]),
                (&hostile.into(), &hostile.into())
            );
        }
    }

    #[test]
    fn what_follows_the_name_of_an_own_page_is_not_logged() {
        for (path, shown) in [
            ("/.gatehouse/sign-in", "/.gatehouse/sign-in"),
            ("/.gatehouse/email/SECRET", "/.gatehouse/email"),
            ("/.gatehouse/email/SECRET/more", "/.gatehouse/email"),
            ("/.gatehouse", "/.gatehouse"),
            ("/app/a/b/c", "/app/a/b/c"),
        ] {
            assert_eq!(shown_path(path), shown);
        }
    }
}
