//! `gatehouse explain --request-id ID`: what was decided of one request, by which rule, and what was missing.

use std::{
    fmt::{self, Write as _},
    path::PathBuf,
    time::Duration,
};

use serde_json::{Value, json};

use super::{Asked, LogError, Logged, People, lines};
use crate::{
    cli::{Failure, Report},
    config::{AccessFormat, Config},
    id::RequestId,
    policy::{
        explain::{Explanation, Level, Question, SessionKind, explain},
        explanation::Span,
    },
    telemetry::outcome::Outcome,
};

/// Where to look: the files that were given, else the log that the configuration names and the one before it.
pub(in crate::cli) fn places(given: &[PathBuf], config: &Config) -> Result<Vec<PathBuf>, Failure> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    let log = &config.log;
    let file = match (log.access, &log.access_file) {
        (AccessFormat::Json, Some(file)) => file,
        (AccessFormat::Json, None) => {
            return usage(
                "log.access_file is not set; --log FILE names the log to look in, `-` reads it from a pipe",
            );
        }
        (AccessFormat::Combined | AccessFormat::Off, _) => {
            return usage(
                "log.access is not \"json\", the one format that says what was decided; --log FILE names a log that is",
            );
        }
    };
    let mut rotated = file.as_os_str().to_owned();
    rotated.push(".1");
    let rotated = PathBuf::from(rotated);
    Ok([Some(file.clone()), rotated.exists().then_some(rotated)]
        .into_iter()
        .flatten()
        .collect())
}

fn usage<T>(problem: &str) -> Result<T, Failure> {
    Err(Failure::Usage(problem.to_owned()))
}

/// Finds a request and explains it.
pub(in crate::cli) fn run(
    id: RequestId,
    files: &[PathBuf],
    config: &Config,
    people: &People,
) -> Result<Report, LogError> {
    let (line, logged) = find(id, files)?.ok_or_else(|| {
        let places: Vec<_> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        LogError::NotFound {
            id,
            places: places.join(", "),
        }
    })?;
    let now = logged.judge(config, people).ok();
    let explanation = now.and_then(|_| logged.explanation(config, people));
    let mut text = logged.story(id, people);
    // Writing to a text does not fail.
    let _ = match now {
        None => writeln!(text, "what it would get now cannot be told from its line"),
        Some(now) if now.now == now.then => {
            writeln!(text, "by the configuration as it is now: the same")
        }
        Some(now) => writeln!(
            text,
            "by the configuration as it is now: {}",
            now.now.name()
        ),
    };
    if let Some(explanation) = &explanation {
        for line in explanation.to_string().trim_end().lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    Ok(Report {
        text: text.trim_end().to_owned(),
        json: json!({
            "logged": line,
            "missing": logged.missing(),
            "now": now.map(|now| now.now.name()),
            "same": now.map(|now| now.now == now.then),
            "explanation": explanation,
        }),
    })
}

fn find(id: RequestId, files: &[PathBuf]) -> Result<Option<(Value, Logged)>, LogError> {
    let text = id.to_string();
    let finder = memchr::memmem::Finder::new(&text);
    let mut found = None;
    lines::read(files, |line| {
        if finder.find(line).is_some()
            && let Ok(logged) = Logged::read(line)
            && logged.request_id == Some(id)
        {
            let line = serde_json::from_slice(line).unwrap_or_default();
            found = Some((line, logged));
        }
        found.is_none()
    })?;
    Ok(found)
}

/// How old something was, as one says it.
struct Age(Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds @ 0..120 => write!(f, "{seconds}s"),
            seconds @ 120..7200 => write!(f, "{}m", seconds / 60),
            seconds => write!(f, "{}h", seconds / 3600),
        }
    }
}

impl Logged {
    /// What happened, in lines.
    fn story(&self, id: RequestId, people: &People) -> String {
        let or_unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
        let to = self.destination.as_ref().map(|path| format!(" to {path}"));
        let mut story = format!(
            "request {id}: {} {}{}{}, over at {}, ",
            self.method,
            or_unknown(&self.host),
            or_unknown(&self.path),
            to.unwrap_or_default(),
            or_unknown(&self.timestamp),
        );
        story += &match self.status {
            Some(status) => format!("answered with {status}\n"),
            None => "not answered\n".to_owned(),
        };
        story += &format!("it came with {}\n", self.visitor(people));
        story += &format!("decided then: {}{}\n", self.decision, self.rule());
        if let Some(missing) = self.missing() {
            story += &format!("missing: {missing}\n");
        }
        if let (Some(upstream), Some(server)) = (&self.upstream, &self.server) {
            story += &format!("it went to {upstream} ({server})\n");
        }
        if let Some(cut) = &self.cut {
            story += &format!("it was ended before it was done: {cut}\n");
        }
        story
    }

    fn visitor(&self, people: &People) -> String {
        let account = self.account.map(|account| people.name(account));
        let of = account
            .map(|account| format!(" of {account}"))
            .unwrap_or_default();
        match self.is_restricted() {
            Ok(Some(true)) => format!("a restricted session{of}"),
            Ok(Some(false)) => match self.step_up_age() {
                Some(age) => format!("a full session{of}, stepped up {} before", Age(age)),
                None => format!("a full session{of}, without a step-up"),
            },
            Ok(None) => "no session".to_owned(),
            Err(_) => "an unknown session".to_owned(),
        }
    }

    fn rule(&self) -> String {
        match (self.route, self.level()) {
            (Some(line), Some(level)) => {
                format!(", by the route on line {line}, which needed {level}")
            }
            (Some(line), None) => format!(", by the route on line {line}"),
            (None, _) => String::new(),
        }
    }

    fn level(&self) -> Option<Level> {
        match self.needs.as_deref()? {
            "public" => Some(Level::Public),
            "signed_in" => Some(Level::SignedIn),
            "full" => Some(Level::Full),
            "step_up" => Some(Level::StepUp {
                max_age: Duration::from_secs(self.max_age_s?),
            }),
            _ => None,
        }
    }

    fn step_up_age(&self) -> Option<Duration> {
        self.step_up_age_s.map(Duration::from_secs)
    }

    /// What the visitor would have needed.
    fn missing(&self) -> Option<String> {
        match self.outcome()? {
            Outcome::SignIn => Some("a session".to_owned()),
            Outcome::ReEnrol => Some(
                "a full session; the one it had is restricted until a passkey is saved".to_owned(),
            ),
            Outcome::StepUp => Some(match (self.max_age_s, self.step_up_age()) {
                (Some(max_age), Some(age)) => format!(
                    "a step-up at most {} old; that of the session was {} old",
                    Span(Duration::from_secs(max_age)),
                    Age(age)
                ),
                (Some(max_age), None) => format!(
                    "a step-up at most {} old; the session had none",
                    Span(Duration::from_secs(max_age))
                ),
                (None, _) => "a fresher step-up".to_owned(),
            }),
            Outcome::NotAllowed => {
                Some("permission: the person was not among those whom the route allows".to_owned())
            }
            Outcome::NoCertificate => Some(match self.certificate.as_slice() {
                [] => "a client certificate; the connection bore none".to_owned(),
                names => format!(
                    "a client certificate that the route takes; the connection bore that of {}",
                    names.join(", ")
                ),
            }),
            Outcome::Undecided
            | Outcome::Forwarded
            | Outcome::OwnPage
            | Outcome::NoRoute
            | Outcome::Ambiguous
            | Outcome::Malformed
            | Outcome::Redirected
            | Outcome::Misdirected
            | Outcome::Overloaded => None,
        }
    }

    /// What the configuration says of such a request and its kind of session.
    fn explanation(&self, config: &Config, people: &People) -> Option<Explanation> {
        let Asked {
            method,
            host,
            target,
            certificate,
            ..
        } = &self.asked().ok()?;
        let kind = match (self.is_restricted().ok()?, self.step_up_age()) {
            (None, _) => SessionKind::None,
            (Some(true), _) => SessionKind::Restricted,
            (Some(false), None) => SessionKind::Full,
            (Some(false), Some(age)) => SessionKind::StepUp { age },
        };
        let person = self.account.and_then(|account| people.get(account));
        let question = Question {
            method,
            host,
            target,
            email: person.and_then(|person| person.email.as_ref()),
            groups: person.map_or(&[], |person| &person.groups),
            certificate,
        };
        Some(explain(&config.routes, &question, &[kind]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missing_is_said_in_words() {
        for (fields, missing) in [
            (json!({ "decision": "forward" }), None),
            (json!({ "decision": "no_route" }), None),
            (
                json!({ "decision": "sign_in", "session": "none" }),
                Some("a session"),
            ),
            (
                json!({ "decision": "re_enrol", "session": "restricted" }),
                Some("a full session; the one it had is restricted until a passkey is saved"),
            ),
            (
                json!({ "decision": "step_up", "max_age_s": 300, "step_up_age_s": 720 }),
                Some("a step-up at most 5m old; that of the session was 12m old"),
            ),
            (
                json!({ "decision": "step_up", "max_age_s": 300 }),
                Some("a step-up at most 5m old; the session had none"),
            ),
            (
                json!({ "decision": "not_allowed" }),
                Some("permission: the person was not among those whom the route allows"),
            ),
            (
                json!({ "decision": "no_certificate" }),
                Some("a client certificate; the connection bore none"),
            ),
            (
                json!({ "decision": "no_certificate", "certificate": ["a.example"] }),
                Some(
                    "a client certificate that the route takes; the connection bore that of a.example",
                ),
            ),
        ] {
            let logged = Logged::read(&super::super::tests::line(fields.clone())).unwrap();
            assert_eq!(logged.missing().as_deref(), missing, "{fields}");
        }
    }
}
