//! `gatehouse explain` on an access log: what was decided, and what a configuration decides of the same requests.
//!
//! [`request`] is one request that somebody asks about, [`replay`] a whole log. Both judge by the very functions that
//! the server runs. A log does not say who somebody is, so addresses and groups are those that the store has now.

mod lines;
mod people;
pub(super) mod replay;
pub(super) mod request;

use std::path::PathBuf;

use axum::http::Method;
use serde::Deserialize;

pub(super) use self::people::People;
use crate::{
    clock::Timestamp,
    config::Config,
    gateway::judgement::{self, Purpose},
    id::{AccountId, RequestId},
    policy::{
        certificate::CertificateName,
        decision::{Request, Session},
        own_page::is_own_page,
        target::Target,
    },
    store::StoreError,
    telemetry::{access::TARGET, outcome::Outcome},
};

/// Why nothing can be said of a log.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogError {
    #[error("{path} cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("whose requests they are cannot be looked up; --no-store judges without")]
    Store(#[from] StoreError),
    #[error(
        "no request {id} in {places}; it may be in an older file (--log FILE, as often as there are files; \
         zcat FILE.gz | gatehouse explain --request-id {id} --log -), or of a request still under way"
    )]
    NotFound { id: RequestId, places: String },
    #[error("{0} requests would be decided otherwise")]
    Changes(u64),
}

/// A line of the access log in JSON, as far as it matters here.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Logged {
    target: String,
    request_id: Option<RequestId>,
    timestamp: Option<String>,
    method: String,
    host: Option<String>,
    path: Option<String>,
    destination: Option<String>,
    status: Option<u16>,
    decision: String,
    route: Option<usize>,
    needs: Option<String>,
    max_age_s: Option<u64>,
    upstream: Option<String>,
    server: Option<String>,
    account: Option<AccountId>,
    session: Option<String>,
    step_up_age_s: Option<u64>,
    #[serde(default)]
    certificate: Vec<String>,
    cut: Option<String>,
    #[serde(default)]
    forward_auth: bool,
}

/// Why a line is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Skip {
    /// Not a line of the access log in JSON.
    OtherLine,
    /// The gateway's own, then and now.
    OwnPage,
    /// It never came to a decision by routes.
    NotDecided,
    /// What it says cannot be read back.
    Unreadable,
    /// It depends on who the person is, and that is not known.
    PersonUnknown,
}

impl Skip {
    const ALL: [Self; 5] = [
        Self::OtherLine,
        Self::OwnPage,
        Self::NotDecided,
        Self::Unreadable,
        Self::PersonUnknown,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::OtherLine => "other_line",
            Self::OwnPage => "own_page",
            Self::NotDecided => "not_decided",
            Self::Unreadable => "unreadable",
            Self::PersonUnknown => "person_unknown",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::OtherLine => "lines of something else than the access log in JSON",
            Self::OwnPage => "own pages of the gateway",
            Self::NotDecided => {
                "never decided by a route (malformed, redirected, misdirected, overloaded, or broken off before)"
            }
            Self::Unreadable => "cannot be read back",
            Self::PersonUnknown => {
                "depend on who the person is, whom the store does not know (deleted since, or not looked up)"
            }
        }
    }
}

/// What a configuration decides of a logged request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) then: Outcome,
    pub(super) now: Outcome,
    /// Line of the route that it falls under now.
    pub(super) route: Option<usize>,
}

/// What is asked of the policy anew.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) host: String,
    pub(super) target: Target,
    destination: Option<Target>,
    pub(super) certificate: Vec<CertificateName>,
}

impl Logged {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is another.
    pub(super) fn read(line: &[u8]) -> Result<Self, Skip> {
        let logged: Self = serde_json::from_slice(line).map_err(|_| Skip::OtherLine)?;
        if logged.target == TARGET {
            Ok(logged)
        } else {
            Err(Skip::OtherLine)
        }
    }

    /// What was decided.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        Outcome::ALL
            .into_iter()
            .find(|outcome| outcome.name() == self.decision)
    }

    /// The request, as the policy sees it.
    ///
    /// # Errors
    /// When the line does not say.
    pub(super) fn asked(&self) -> Result<Asked, Skip> {
        let target = |path: &str| Target::parse(path.as_bytes()).map_err(|_| Skip::Unreadable);
        let (Some(host), Some(path)) = (&self.host, &self.path) else {
            return Err(Skip::Unreadable);
        };
        let names = self
            .certificate
            .iter()
            .map(|name| CertificateName::parse(name));
        Ok(Asked {
            method: self.method.parse().map_err(|_| Skip::Unreadable)?,
            host: host.clone(),
            target: target(path)?,
            destination: self.destination.as_deref().map(target).transpose()?,
            certificate: names.collect::<Option<_>>().ok_or(Skip::Unreadable)?,
        })
    }

    /// Whether its session was restricted; `None` without one.
    ///
    /// # Errors
    /// When the line does not say.
    fn is_restricted(&self) -> Result<Option<bool>, Skip> {
        match self.session.as_deref() {
            Some("none") => Ok(None),
            Some("restricted") => Ok(Some(true)),
            Some("full") => Ok(Some(false)),
            Some(_) | None => Err(Skip::Unreadable),
        }
    }

    /// Has a configuration decide it anew.
    ///
    /// # Errors
    /// When that says nothing.
    pub(super) fn judge(&self, config: &Config, people: &People) -> Result<Judged, Skip> {
        let then = self.outcome().ok_or(Skip::Unreadable)?;
        match then {
            Outcome::OwnPage => return Err(Skip::OwnPage),
            Outcome::Undecided
            | Outcome::Malformed
            | Outcome::Redirected
            | Outcome::Misdirected
            | Outcome::Overloaded => return Err(Skip::NotDecided),
            Outcome::Forwarded
            | Outcome::SignIn
            | Outcome::ReEnrol
            | Outcome::StepUp
            | Outcome::NoRoute
            | Outcome::NotAllowed
            | Outcome::Ambiguous
            | Outcome::NoCertificate => {}
        }
        let asked = self.asked()?;
        if is_own_page(asked.target.path()) {
            return Err(Skip::OwnPage);
        }
        // When it was does not matter; how old the passkey check was by then does.
        let now = Timestamp::from_seconds(0);
        let person = self.account.and_then(|account| people.get(account));
        let session = self.is_restricted()?.map(|restricted| Session {
            restricted,
            stepped_up_at: self
                .step_up_age_s
                .map(|age| now.minus(std::time::Duration::from_secs(age))),
            email: person.and_then(|person| person.email.as_ref()),
            groups: person.map_or(&[], |person| &person.groups),
        });
        let request = Request {
            method: &asked.method,
            host: &asked.host,
            target: &asked.target,
            session,
            now,
            certificate: &asked.certificate,
        };
        let purpose = match self.forward_auth {
            true => Purpose::Tell,
            false => Purpose::Serve,
        };
        let destination = asked.destination.as_ref();
        let decision = judgement::decide_all(config, &request, destination, purpose);
        let outcome = judgement::outcome(&decision);
        if outcome == Outcome::NotAllowed && session.is_some() && person.is_none() {
            return Err(Skip::PersonUnknown);
        }
        Ok(Judged {
            then,
            now: outcome,
            route: judgement::rule(&config.routes, &request, &decision).map(|rule| rule.line),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::email_address::EmailAddress;

    const CONFIG: &str = r#"
[relying_party]
id = "example.com"
origins = ["https://app.example.com"]
[[upstream]]
name = "app"
servers = ["127.0.0.1:9000"]
[[route]]
path = "/public/*"
access = "public"
upstream = "app"
[[route]]
path = "/money/*"
access = "step_up"
max_age = "5m"
upstream = "app"
[[route]]
path = "/staff/*"
allow = { groups = ["staff"] }
upstream = "app"
[[route]]
path = "/*"
upstream = "app"
"#;

    fn config() -> Config {
        crate::config::parse(CONFIG, Path::new("/x/gatehouse.toml"), &|_| None)
            .unwrap()
            .config
    }

    /// A line, with these fields on top of the usual ones.
    pub(super) fn line(fields: Value) -> Vec<u8> {
        let mut line = json!({
            "timestamp": "2026-11-22T10:21:00Z", "target": "access", "method": "GET", "host": "app.example.com",
            "path": "/x", "decision": "forward", "session": "full",
            "request_id": "00000000000000000000000000000001", "network": "192.0.2.0/24", "new_field": 1,
        });
        for (name, value) in fields.as_object().unwrap() {
            line[name] = value.clone();
        }
        serde_json::to_vec(&line).unwrap()
    }

    #[test]
    fn each_request_is_decided_anew_by_what_its_line_says() {
        let ann = AccountId::random();
        let email = EmailAddress::parse("ann@example.com");
        let people = People::of([(ann, email, vec!["staff".to_owned()])]);
        for (fields, now, route) in [
            (json!({ "session": "none" }), Ok("sign_in"), Some("/*")),
            (
                json!({ "session": "restricted" }),
                Ok("re_enrol"),
                Some("/*"),
            ),
            (json!({}), Ok("forward"), Some("/*")),
            (
                json!({ "path": "/public/x", "session": "none" }),
                Ok("forward"),
                Some("/public/*"),
            ),
            (
                json!({ "path": "/money/x" }),
                Ok("step_up"),
                Some("/money/*"),
            ),
            (
                json!({ "path": "/money/x", "step_up_age_s": 300 }),
                Ok("forward"),
                Some("/money/*"),
            ),
            (
                json!({ "path": "/money/x", "step_up_age_s": 301 }),
                Ok("step_up"),
                Some("/money/*"),
            ),
            (
                json!({ "path": "/staff/x", "account": ann }),
                Ok("forward"),
                Some("/staff/*"),
            ),
            (
                json!({ "path": "/staff/x", "account": AccountId::random() }),
                Err(Skip::PersonUnknown),
                None,
            ),
            (
                json!({ "path": "/x", "account": AccountId::random() }),
                Ok("forward"),
                Some("/*"),
            ),
            (
                json!({ "path": "/.gatehouse/sign-in", "decision": "own_page" }),
                Err(Skip::OwnPage),
                None,
            ),
            (
                json!({ "decision": "malformed", "path": null }),
                Err(Skip::NotDecided),
                None,
            ),
            (
                json!({ "decision": "no_such_word" }),
                Err(Skip::Unreadable),
                None,
            ),
            (json!({ "path": "no-slash" }), Err(Skip::Unreadable), None),
            (json!({ "path": null }), Err(Skip::Unreadable), None),
            (
                json!({ "session": "unheard-of" }),
                Err(Skip::Unreadable),
                None,
            ),
            (
                json!({ "method": "MOVE", "path": "/x", "destination": "/money/x" }),
                Ok("step_up"),
                Some("/*"),
            ),
        ] {
            let config = config();
            let judged = Logged::read(&line(fields.clone()))
                .unwrap()
                .judge(&config, &people);
            assert_eq!(judged.map(|judged| judged.now.name()), now, "{fields}");
            let line = judged.ok().and_then(|judged| judged.route);
            let mut routes = config.routes.routes().iter();
            let found = line.and_then(|line| routes.find(|route| route.line == line));
            assert_eq!(found.map(|route| route.path.as_str()), route, "{fields}");
        }
    }

    #[test]
    fn other_lines_are_told_from_access_lines() {
        for other in [
            &b"not json"[..],
            b"",
            b"[1]",
            b"203.0.113.0 - - [22/Nov/2026:10:21:00 +0000] \"GET /x HTTP/1.1\" 200 1 \"-\" \"-\"",
            br#"{"target":"audit","event":"signed_in"}"#,
            br#"{"target":"audit","method":"GET","decision":"forward"}"#,
            b"\xff\xfe",
        ] {
            assert_eq!(Logged::read(other).err(), Some(Skip::OtherLine));
        }
    }
}
