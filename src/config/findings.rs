//! Gathers what is found wrong with one file, and says where and with which value.

use std::ops::Range;

use super::{
    at::At,
    file::List,
    problem::{Problem, Problems, Severity},
    source::Source,
};

/// Keys whose values may be secrets.
const SECRETS: [&str; 6] = [
    "server.secret",
    "mail.url",
    "route.authorization.basic",
    "route.authorization.bearer",
    "route.request_headers.set",
    "traces.headers",
];

/// The longest value that is repeated in a problem, in characters.
const MAX_SHOWN: usize = 80;

/// What is wrong, without the place.
pub(super) struct Finding {
    problem: String,
    accepted: Option<String>,
    suggestion: Option<String>,
}

impl Finding {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            accepted: None,
            suggestion: None,
        }
    }

    /// A value that cannot be used.
    pub(super) fn value(accepted: impl Into<String>) -> Self {
        Self::new("wrong value").expected(accepted)
    }

    pub(super) fn expected(mut self, accepted: impl Into<String>) -> Self {
        self.accepted = Some(accepted.into());
        self
    }

    pub(super) fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }
}

/// Everything found so far.
pub(super) struct Findings<'a> {
    source: &'a Source<'a>,
    problems: Vec<Problem>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(source: &'a Source<'a>) -> Self {
        Self {
            source,
            problems: Vec::new(),
        }
    }

    /// A value, or a table as a whole, that keeps the configuration from being used.
    pub(super) fn error<T>(&mut self, at: &At<T>, finding: Finding) {
        self.at(Severity::Error, at.span.as_ref(), finding);
    }

    /// A value, or a table as a whole, that somebody should look at.
    pub(super) fn warning<T>(&mut self, at: &At<T>, finding: Finding) {
        self.at(Severity::Warning, at.span.as_ref(), finding);
    }

    /// The key or value at exactly these bytes; used while reading, when nothing but bytes is known.
    pub(super) fn at_bytes(&mut self, span: Range<usize>, finding: Finding) {
        let key = self.source.outermost(&span).unwrap_or_default().to_owned();
        self.push(Severity::Error, Some(&span), key, finding);
    }

    /// A value that must be given, or `None` after saying that it is not.
    pub(super) fn required<'v, T, S>(
        &mut self,
        value: Option<&'v At<T>>,
        section: &At<S>,
        key: &str,
        accepted: &str,
    ) -> Option<&'v At<T>> {
        if value.is_none() {
            self.missing(section, key, Finding::new("missing").expected(accepted));
        }
        value
    }

    /// A key that is not in its table. `key` is its whole path where the table itself may be absent,
    /// its name otherwise. Nothing is said when it was there and has been refused already.
    pub(super) fn missing<S>(&mut self, section: &At<S>, key: &str, finding: Finding) {
        let table = section
            .span
            .as_ref()
            .and_then(|span| self.source.innermost(span));
        let path = match table {
            Some(table) => format!("{table}.{}", key.rsplit('.').next().unwrap_or(key)),
            None => key.to_owned(),
        };
        if !self.source.has(&path) {
            self.push(Severity::Error, section.span.as_ref(), path, finding);
        }
    }

    /// Whether a list has elements; says so when not, unless those it had have been refused already.
    pub(super) fn filled<T>(&mut self, list: &List<T>, accepted: &str) -> bool {
        let path = list
            .span
            .as_ref()
            .and_then(|span| self.source.innermost(span));
        let had_some = path.is_some_and(|path| self.source.has(&format!("{path}[0]")));
        if list.value.is_empty() && !had_some {
            self.error(list, Finding::new("empty list").expected(accepted));
        }
        !list.value.is_empty()
    }

    /// Whether the file has this key, also if it has been refused already.
    pub(super) fn in_file(&self, path: &str) -> bool {
        self.source.has(path)
    }

    /// Whether a table has keys in the file, also if they have been refused already.
    pub(super) fn had_keys<T>(&self, table: &At<T>) -> bool {
        let path = table
            .span
            .as_ref()
            .and_then(|span| self.source.innermost(span));
        path.is_some_and(|path| self.source.has_below(path))
    }

    /// The line of a value, counted from 1; 0 for a default.
    pub(super) fn line<T>(&self, at: &At<T>) -> usize {
        at.span
            .as_ref()
            .map_or(0, |span| self.source.place(span).line)
    }

    pub(super) fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    /// All of it, in the order of the file.
    pub(super) fn into_problems(mut self) -> Problems {
        self.problems
            .sort_by_key(|problem| (problem.line, problem.column));
        Problems(self.problems)
    }

    fn at(&mut self, severity: Severity, span: Option<&Range<usize>>, finding: Finding) {
        let key = span.and_then(|span| self.source.innermost(span));
        let key = key.unwrap_or_default().to_owned();
        self.push(severity, span, key, finding);
    }

    fn push(
        &mut self,
        severity: Severity,
        span: Option<&Range<usize>>,
        key: String,
        finding: Finding,
    ) {
        let place = span.map(|span| self.source.place(span));
        self.problems.push(Problem {
            severity,
            file: self.source.path.clone(),
            line: place.as_ref().map(|place| place.line),
            column: place.as_ref().map(|place| place.column),
            value: span.and_then(|span| self.shown(&key, span)),
            key,
            problem: finding.problem,
            accepted: finding.accepted,
            suggestion: finding.suggestion,
        });
    }

    /// A short value as written, unless it may hold a secret.
    fn shown(&self, key: &str, span: &Range<usize>) -> Option<String> {
        let text = self.source.slice(span)?;
        let scalar = !text.starts_with(['[', '{'])
            && !text.contains('\n')
            && text.chars().count() <= MAX_SHOWN;
        let shown = scalar && self.source.is_value(span) && !may_be_secret(key, text);
        (shown && self.source.innermost(span) == Some(key)).then(|| text.to_owned())
    }
}

/// Whether `key` holds a secret or a table with one (which somebody may have written as a string), or
/// `text` is a URL with a user in it.
pub(super) fn may_be_secret(key: &str, text: &str) -> bool {
    let below = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    let key = without_indices(key);
    let named = SECRETS
        .iter()
        .any(|secret| key.starts_with(secret) || below(&key, secret));
    named || (text.contains("://") && text.contains('@'))
}

/// `route[2].host` → `route.host`.
pub(super) fn without_indices(path: &str) -> String {
    path.split('.')
        .map(|part| part.split('[').next().unwrap_or(part))
        .collect::<Vec<_>>()
        .join(".")
}
