//! What [`explain`](super::explain::explain) answers with: JSON by `Serialize`, sentences by `Display`.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};

use super::{
    certificate::{CertificateName, Certificates},
    decision::admitted,
    reading::Change,
    route::{Access, Allow, Route, RouteTable},
};
use crate::email_address::EmailAddress;

/// A kind of session to decide for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "session", rename_all = "snake_case")]
pub enum SessionKind {
    /// A visitor without a session.
    None,
    /// Restricted until re-enrolment.
    Restricted,
    /// Full, never stepped up.
    Full,
    /// Full and stepped up.
    StepUp {
        /// So long ago.
        #[serde(rename = "age_s", serialize_with = "as_seconds")]
        age: Duration,
    },
}

/// Where a request falls, what it takes to pass there, and who does.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The method.
    pub method: String,
    /// The host.
    pub host: String,
    /// Path and query as they would be forwarded.
    pub target: String,
    /// The route that the canonical path falls under.
    pub route: Option<RouteSummary>,
    /// Why nobody passes, whatever the session.
    pub closed: Option<Closed>,
    /// What it takes to pass, all readings considered; `None` where nobody does.
    pub required: Option<Level>,
    /// Readings by which the request falls under other routes, and so has to satisfy those too.
    pub other_readings: Vec<OtherReading>,
    /// The decision for each kind of session.
    pub sessions: Vec<SessionOutcome>,
}

/// One route, as it is spoken of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteSummary {
    /// Position in the file, counted from 1.
    pub number: usize,
    /// Line in the file.
    pub line: usize,
    /// The methods; empty is every method.
    pub methods: Vec<String>,
    /// The host; absent is every host.
    pub host: Option<String>,
    /// The path.
    pub path: String,
    /// What it takes to pass.
    #[serde(flatten)]
    pub access: Level,
    /// Who may pass; absent is anyone.
    pub allow: Option<AllowSummary>,
    /// Whose client certificates it takes; empty where none is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateName>,
    /// Whether it is for forward-auth alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forward_auth_only: bool,
}

/// An access level, as in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "access", rename_all = "snake_case")]
pub enum Level {
    /// Nothing.
    Public,
    /// Any session.
    SignedIn,
    /// An unrestricted session.
    Full,
    /// With a step-up.
    StepUp {
        /// At most so old.
        #[serde(rename = "max_age_s", serialize_with = "as_seconds")]
        max_age: Duration,
    },
}

/// Who may pass by a route that is not for anyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AllowSummary {
    /// Members of any of these groups.
    pub groups: Vec<String>,
    /// These addresses.
    pub emails: Vec<EmailAddress>,
    /// Addresses in these domains.
    pub email_domains: Vec<String>,
}

/// Another reading of the path and where it falls.
#[derive(Debug, Serialize)]
pub struct OtherReading {
    /// The path so read.
    pub path: String,
    /// By which changes.
    pub changes: Vec<Change>,
    /// Whether case was ignored.
    pub ignoring_case: bool,
    /// The route that it falls under.
    pub route: RouteSummary,
}

/// Why nobody passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// It is one of the gateway's own pages.
    OwnPage,
    /// No route names it.
    NoRoute,
    /// An upstream could take it for one of the gateway's own pages.
    ReadsAsOwnPage,
    /// It holds an encoded slash, and the route does not tolerate that.
    EncodedSlash,
    /// It is percent-encoded twice, and the route does not tolerate that.
    DoubleEncoding,
}

/// What is decided for one kind of session.
#[derive(Debug, Serialize)]
pub struct SessionOutcome {
    /// The kind.
    #[serde(flatten)]
    pub kind: SessionKind,
    /// The decision.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A decision in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Outcome {
    /// To the upstream.
    Forward,
    /// Answered by the gateway.
    OwnPage,
    /// To the sign-in page.
    SignIn,
    /// To the re-enrolment page.
    ReEnrol,
    /// To the step-up page.
    StepUp {
        /// For a step-up at most so old.
        #[serde(rename = "max_age_s", serialize_with = "as_seconds")]
        max_age: Duration,
    },
    /// 404.
    NoRoute,
    /// 403.
    NotAllowed,
    /// 400.
    Ambiguous,
    /// 403, for want of a client certificate.
    NoCertificate,
}

impl RouteSummary {
    /// The route that begins on a line of the configuration file.
    pub fn on_line(table: &RouteTable, line: usize) -> Option<Self> {
        let mut routes = table.routes().iter();
        let route = routes.find(|route| route.line == line)?;
        Some(Self::new(route))
    }

    pub(super) fn new(route: &Route) -> Self {
        Self {
            number: route.index + 1,
            line: route.line,
            methods: route.methods.iter().map(ToString::to_string).collect(),
            host: route.host.as_ref().map(|host| host.as_str().to_owned()),
            path: route.path.as_str().to_owned(),
            access: Level::new(route.access),
            allow: admitted(route)
                .filter(|allow| !allow.is_anyone())
                .map(AllowSummary::new),
            certificates: match &route.certificates {
                Certificates::NotAsked => Vec::new(),
                Certificates::OneOf(names) => names.clone(),
            },
            forward_auth_only: route.upstream.is_none(),
        }
    }

    fn needs(&self) -> String {
        let session = match &self.allow {
            None => self.access.to_string(),
            Some(allow) => format!("{} of {allow}", self.access),
        };
        let names: Vec<_> = self.certificates.iter().map(ToString::to_string).collect();
        match names.as_slice() {
            [] => session,
            names => format!(
                "{session} and a client certificate of {}",
                names.join(" or ")
            ),
        }
    }
}

impl Level {
    pub(super) fn new(access: Access) -> Self {
        match access {
            Access::Public => Self::Public,
            Access::SignedIn => Self::SignedIn,
            Access::Full => Self::Full,
            Access::StepUp { max_age } => Self::StepUp { max_age },
        }
    }
}

impl AllowSummary {
    fn new(allow: &Allow) -> Self {
        Self {
            groups: allow.groups.clone(),
            emails: allow.emails.clone(),
            email_domains: allow.email_domains.clone(),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}{}", self.method, self.host, self.target)?;
        if let Some(route) = &self.route {
            writeln!(f, "matched {route}, which needs {}", route.needs())?;
            if route.forward_auth_only {
                writeln!(
                    f,
                    "no app is behind it here: this is for a proxy that asks by forward-auth, and 404 to a visitor \
                     of the gateway itself"
                )?;
            }
        }
        if let Some(closed) = self.closed {
            writeln!(f, "{closed}")?;
        }
        for reading in &self.other_readings {
            writeln!(f, "{reading}")?;
        }
        if let (Some(required), false) = (self.required, self.other_readings.is_empty()) {
            writeln!(f, "all in all it needs {required}")?;
        }
        let kinds: Vec<_> = self
            .sessions
            .iter()
            .map(|session| session.kind.to_string())
            .collect();
        let width = kinds.iter().map(String::len).max().unwrap_or(0);
        for (kind, session) in kinds.iter().zip(&self.sessions) {
            writeln!(f, "  {kind:width$} → {}", session.outcome)?;
        }
        Ok(())
    }
}

impl fmt::Display for RouteSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {} (line {}: ", self.number, self.line)?;
        if !self.methods.is_empty() {
            write!(f, "{} ", self.methods.join(","))?;
        }
        if let Some(host) = &self.host {
            write!(f, "{host} ")?;
        }
        write!(f, "{})", self.path)
    }
}

impl fmt::Display for OtherReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut manner: Vec<_> = self.changes.iter().map(ToString::to_string).collect();
        if self.ignoring_case {
            manner.push("letter case ignored".to_owned());
        }
        write!(
            f,
            "an upstream may read it as {} ({}): {}, which needs {}",
            self.path,
            manner.join(", "),
            self.route,
            self.route.needs()
        )
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("nothing"),
            Self::SignedIn => f.write_str("a session"),
            Self::Full => f.write_str("a full session"),
            Self::StepUp { max_age } => {
                write!(
                    f,
                    "a full session with a step-up at most {} old",
                    Span(*max_age)
                )
            }
        }
    }
}

impl fmt::Display for AllowSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self
            .groups
            .iter()
            .map(|group| format!("a member of {group}"));
        let emails = self.emails.iter().map(ToString::to_string);
        let domains = self
            .email_domains
            .iter()
            .map(|domain| format!("somebody @{domain}"));
        let people: Vec<_> = groups.chain(emails).chain(domains).collect();
        f.write_str(&people.join(" or "))
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnPage => "this is one of the gateway's own pages, never forwarded",
            Self::NoRoute => "no route matches: 404",
            Self::ReadsAsOwnPage => {
                "refused: an upstream could take it for one of the gateway's own pages"
            }
            Self::EncodedSlash => {
                "refused: it holds an encoded slash, which the route does not tolerate"
            }
            Self::DoubleEncoding => {
                "refused: it is percent-encoded twice, which the route does not tolerate"
            }
        })
    }
}

impl fmt::Display for SessionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no session"),
            Self::Restricted => f.write_str("restricted"),
            Self::Full => f.write_str("full"),
            Self::StepUp { age } => write!(f, "full, stepped up {} ago", Span(*age)),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward => f.write_str("forwarded"),
            Self::OwnPage => f.write_str("own page"),
            Self::SignIn => f.write_str("sign-in"),
            Self::ReEnrol => f.write_str("re-enrolment page"),
            Self::StepUp { max_age } => {
                write!(f, "step-up page (good for {})", Span(*max_age))
            }
            Self::NoRoute => f.write_str("404: no route"),
            Self::NotAllowed => f.write_str("403: not allowed"),
            Self::Ambiguous => f.write_str("400: ambiguous"),
            Self::NoCertificate => f.write_str("403: no client certificate that it takes"),
        }
    }
}

/// A duration as it is written in the configuration, rounded down to seconds.
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => f.write_str("0s"),
            seconds if seconds % 3600 == 0 => write!(f, "{}h", seconds / 3600),
            seconds if seconds % 60 == 0 => write!(f, "{}m", seconds / 60),
            seconds => write!(f, "{seconds}s"),
        }
    }
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}
