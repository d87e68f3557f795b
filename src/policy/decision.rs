//! The verdict on one request.
//!
//! Read [`decide`]: it finds where the request falls, gathers what every reading of it asks for, and holds
//! the visitor to the strictest of that.

use std::time::Duration;

use axum::http::Method;

use super::{
    certificate::CertificateName,
    own_page::{is_own_page, is_reserved},
    route::{Access, Allow, Route, RouteTable},
    target::Target,
};
use crate::{clock::Timestamp, email_address::EmailAddress};

/// What the decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// The host, lower case, without port.
    pub host: &'a str,
    /// The canonical target.
    pub target: &'a Target,
    /// Who asks; `None` is a visitor without a session.
    pub session: Option<Session<'a>>,
    /// When.
    pub now: Timestamp,
    /// The names on the verified client certificate of its connection; empty without one.
    pub certificate: &'a [CertificateName],
}

/// What the decision knows of a session.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// Held to low-stakes operations until a passkey is saved.
    pub restricted: bool,
    /// The last fresh passkey check.
    pub stepped_up_at: Option<Timestamp>,
    /// The account's address, which an operator gave or the person proved.
    pub email: Option<&'a EmailAddress>,
    /// The account's groups.
    pub groups: &'a [String],
}

/// The verdict.
#[derive(Debug)]
pub enum Decision<'t> {
    /// To the upstream.
    Forward(Permit<'t>),
    /// One of the gateway's own pages (`/.gatehouse/…` and its well-known addresses), never forwarded.
    OwnPage,
    /// Passes once the visitor has done this.
    Challenge(Challenge),
    /// Does not pass.
    Deny(Denial),
}

/// Leave to forward one request by one route. Only [`decide`] makes one.
#[derive(Debug)]
pub struct Permit<'t> {
    route: &'t Route,
    access: Access,
}

/// What the visitor has to do first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Sign in.
    SignIn,
    /// Save a passkey, which lifts the restriction.
    ReEnrol,
    /// Prove a passkey again.
    StepUp {
        /// How recently it must have been.
        max_age: Duration,
    },
}

/// Why a request does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// No route names it: 404.
    NoRoute,
    /// The person is not among those allowed: 403.
    NotAllowed,
    /// It can be read in more than one way: 400.
    Ambiguous,
    /// Its connection bears no client certificate that the route takes: 403.
    NoCertificate,
}

/// Where a request falls, whoever sends it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'t> {
    /// Among the gateway's own pages.
    OwnPage,
    /// Nowhere that anybody may go.
    Closed(Denial),
    /// Under this route.
    Route(&'t Route),
}

impl<'t> Permit<'t> {
    /// By which route.
    pub fn route(&self) -> &'t Route {
        self.route
    }

    /// What it took to get it: the strictest of what any reading asks for.
    pub const fn access(&self) -> Access {
        self.access
    }
}

/// Decides one request.
pub fn decide<'t>(routes: &'t RouteTable, request: &Request<'_>) -> Decision<'t> {
    let Request {
        method,
        host,
        target,
        session,
        now,
        certificate,
    } = *request;
    let route = match place(routes, method, host, target) {
        Place::OwnPage => return Decision::OwnPage,
        Place::Closed(denial) => return Decision::Deny(denial),
        Place::Route(route) => route,
    };
    let mut access = route.access;
    let mut allowed = admits(route, session);
    let mut certified = route.certificates.admit(certificate);
    for other in routes.other_matches(method, host, target) {
        access = access.strictest(other.route.access);
        allowed &= admits(other.route, session);
        certified &= other.route.certificates.admit(certificate);
    }
    // First of all: no sign-in would bring the certificate, so nobody is asked for one.
    if !certified {
        return Decision::Deny(Denial::NoCertificate);
    }
    match missing(access, allowed, session, now) {
        Some(Missing::Challenge(challenge)) => Decision::Challenge(challenge),
        Some(Missing::Permission) => Decision::Deny(Denial::NotAllowed),
        None => Decision::Forward(Permit { route, access }),
    }
}

/// The route that a request falls under, and what it takes to pass there by every reading of it; `None` where nobody
/// may pass.
pub fn demand<'t>(
    routes: &'t RouteTable,
    method: &Method,
    host: &str,
    target: &Target,
) -> Option<(&'t Route, Access)> {
    match place(routes, method, host, target) {
        Place::OwnPage | Place::Closed(_) => None,
        Place::Route(route) => {
            let others = routes.other_matches(method, host, target);
            let access = others.fold(route.access, |access, other| {
                access.strictest(other.route.access)
            });
            Some((route, access))
        }
    }
}

/// Finds where a request falls.
pub(super) fn place<'t>(
    routes: &'t RouteTable,
    method: &Method,
    host: &str,
    target: &Target,
) -> Place<'t> {
    if is_own_page(target.path()) {
        return Place::OwnPage;
    }
    if target.readings().any(is_reserved) {
        return Place::Closed(Denial::Ambiguous);
    }
    match routes.find(method, host, target) {
        None => Place::Closed(Denial::NoRoute),
        Some(route) if target.ambiguities().exceed(route.tolerate) => {
            Place::Closed(Denial::Ambiguous)
        }
        Some(route) => Place::Route(route),
    }
}

/// Who may pass by a route; on a public one, anyone.
pub(super) fn admitted(route: &Route) -> Option<&Allow> {
    match route.access {
        Access::Public => None,
        Access::SignedIn | Access::Full | Access::StepUp { .. } => Some(&route.allow),
    }
}

/// Without a session nobody is known to be kept out; signing in comes first.
fn admits(route: &Route, session: Option<Session<'_>>) -> bool {
    match (admitted(route), session) {
        (None, _) | (_, None) => true,
        (Some(allow), Some(session)) => allow.permits(session.email, session.groups),
    }
}

enum Missing {
    Challenge(Challenge),
    Permission,
}

/// What a visitor lacks. Permission is looked at before the strength of the session, so that nobody is asked
/// to save or prove a passkey for something they cannot have.
fn missing(
    access: Access,
    allowed: bool,
    session: Option<Session<'_>>,
    now: Timestamp,
) -> Option<Missing> {
    let Some(session) = session else {
        return match access {
            Access::Public => None,
            Access::SignedIn | Access::Full | Access::StepUp { .. } => {
                Some(Missing::Challenge(Challenge::SignIn))
            }
        };
    };
    if !allowed {
        return Some(Missing::Permission);
    }
    let challenge = match access {
        Access::Public | Access::SignedIn => None,
        Access::Full | Access::StepUp { .. } if session.restricted => Some(Challenge::ReEnrol),
        Access::Full => None,
        Access::StepUp { max_age } => (!is_fresh(session.stepped_up_at, max_age, now))
            .then_some(Challenge::StepUp { max_age }),
    };
    challenge.map(Missing::Challenge)
}

/// A step-up from the future is not believed: it would stay fresh for longer than `max_age`.
fn is_fresh(stepped_up_at: Option<Timestamp>, max_age: Duration, now: Timestamp) -> bool {
    stepped_up_at.is_some_and(|at| at <= now && now.since(at) <= max_age)
}

#[cfg(test)]
mod tests;
