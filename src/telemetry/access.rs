//! The access log: one structured event per request, target `access`.
//!
//! It holds no cookie, no query, no address and no token: the client is its network, the person an account
//! id, and the path of an own page ends at the page's name, because what follows may be a one-time link.

use std::time::Duration;

use crate::{
    id::{AccountId, RequestId},
    network::Network,
};

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct AccessRecord<'a> {
    /// Its id.
    pub request_id: RequestId,
    /// The method, as sent.
    pub method: &'a str,
    /// The host; `None` when it could not be read.
    pub host: Option<&'a str>,
    /// The canonical path, without query; `None` when it could not be read.
    pub path: Option<&'a str>,
    /// The status answered; `None` when the client left before one was.
    pub status: Option<u16>,
    /// What was decided.
    pub decision: Outcome,
    /// Line of the route in the configuration file.
    pub route: Option<usize>,
    /// Name of the upstream.
    pub upstream: Option<&'a str>,
    /// Its server that had the request last, as the configuration calls it.
    pub server: Option<&'a str>,
    /// From the end of the request's header to the end of the answer.
    pub duration: Duration,
    /// Where the request came from.
    pub network: Network,
    /// Whose session it carried.
    pub account: Option<AccountId>,
    /// What kind of session that was.
    pub session: SessionKind,
    /// What would have been decided if routes with `report_only` were enforced; `None` where it is the same.
    pub report_only: Option<Outcome>,
    /// Line of the route that says so.
    pub report_only_route: Option<usize>,
    /// What the candidate of `serve --shadow` would have decided; `None` where it is the same.
    pub shadow: Option<Outcome>,
    /// Line of its route, in the candidate.
    pub shadow_route: Option<usize>,
    /// Where the candidate would have forwarded the request, if elsewhere.
    pub shadow_upstream: Option<&'a str>,
    /// Whether another proxy asked about it, to serve it itself.
    pub forward_auth: bool,
}

/// What was decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: the client left, or something of ours failed first.
    Undecided,
    /// It went to an upstream.
    Forwarded,
    /// One of the gateway's own pages answered.
    OwnPage,
    /// The visitor has to sign in.
    SignIn,
    /// The visitor has to save a passkey.
    ReEnrol,
    /// The visitor has to prove a passkey again.
    StepUp,
    /// No route names it.
    NoRoute,
    /// The person is not among those allowed.
    NotAllowed,
    /// It can be read in more than one way.
    Ambiguous,
    /// It is not a request that the gateway takes.
    Malformed,
    /// Its connection bears no client certificate that the route takes.
    NoCertificate,
    /// It was sent from plain HTTP to HTTPS.
    Redirected,
    /// Its connection is for another host.
    Misdirected,
    /// More requests were in flight than the gateway takes.
    Overloaded,
}

/// What kind of session a request carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// None.
    None,
    /// One held to low-stakes operations.
    Restricted,
    /// An unrestricted one.
    Full,
}

impl AccessRecord<'_> {
    /// Writes the event.
    pub fn write(&self) {
        tracing::info!(
            target: "access",
            request_id = %self.request_id,
            method = self.method,
            host = self.host,
            path = self.shown_path(),
            status = self.status,
            decision = self.decision.name(),
            route = self.route,
            upstream = self.upstream,
            server = self.server,
            duration_us = u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX),
            network = %self.network,
            account = self.account.map(tracing::field::display),
            session = self.session.name(),
            report_only = self.report_only.map(Outcome::name),
            report_only_route = self.report_only_route,
            shadow = self.shadow.map(Outcome::name),
            shadow_route = self.shadow_route,
            shadow_upstream = self.shadow_upstream,
            forward_auth = self.forward_auth.then_some(true),
        );
    }

    fn shown_path(&self) -> Option<&str> {
        match self.decision {
            Outcome::OwnPage => self.path.map(up_to_the_page),
            Outcome::Undecided
            | Outcome::Forwarded
            | Outcome::SignIn
            | Outcome::ReEnrol
            | Outcome::StepUp
            | Outcome::NoRoute
            | Outcome::NotAllowed
            | Outcome::Ambiguous
            | Outcome::Malformed
            | Outcome::NoCertificate
            | Outcome::Redirected
            | Outcome::Misdirected
            | Outcome::Overloaded => self.path,
        }
    }
}

/// `/.gatehouse/email/…` → `/.gatehouse/email`.
fn up_to_the_page(path: &str) -> &str {
    path.match_indices('/')
        .nth(2)
        .map_or(path, |(end, _)| &path[..end])
}

impl Outcome {
    /// All of them, in their order.
    pub const ALL: [Self; 14] = [
        Self::Undecided,
        Self::Forwarded,
        Self::OwnPage,
        Self::SignIn,
        Self::ReEnrol,
        Self::StepUp,
        Self::NoRoute,
        Self::NotAllowed,
        Self::Ambiguous,
        Self::Malformed,
        Self::NoCertificate,
        Self::Redirected,
        Self::Misdirected,
        Self::Overloaded,
    ];

    /// The word in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::Forwarded => "forward",
            Self::OwnPage => "own_page",
            Self::SignIn => "sign_in",
            Self::ReEnrol => "re_enrol",
            Self::StepUp => "step_up",
            Self::NoRoute => "no_route",
            Self::NotAllowed => "not_allowed",
            Self::Ambiguous => "ambiguous",
            Self::Malformed => "malformed",
            Self::NoCertificate => "no_certificate",
            Self::Redirected => "redirected",
            Self::Misdirected => "misdirected",
            Self::Overloaded => "overloaded",
        }
    }
}

impl SessionKind {
    /// The word in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Restricted => "restricted",
            Self::Full => "full",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_name_of_an_own_page_is_not_logged() {
        for (path, shown) in [
            ("/.gatehouse/sign-in", "/.gatehouse/sign-in"),
            ("/.gatehouse/email/SECRET", "/.gatehouse/email"),
            ("/.gatehouse/email/SECRET/more", "/.gatehouse/email"),
            ("/.gatehouse", "/.gatehouse"),
        ] {
            assert_eq!(up_to_the_page(path), shown);
        }
    }
}
