//! What was decided on a request, by everything that it acts on, and what that is called in the access log.

use crate::{
    config::Config,
    policy::{
        decision::{Challenge, Decision, Denial, Request, decide, demand},
        destination::decide_both,
        own_page::is_own_page,
        route::{Route, RouteTable},
        target::Target,
    },
    telemetry::{access::Rule, outcome::Outcome},
};

/// What a verdict is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// For serving the request here.
    Serve,
    /// For telling another proxy, which has it and serves it.
    Tell,
}

/// The verdict by everything that a request acts on. What is written elsewhere is written by the same app, under
/// the same address of it.
pub fn decide_all<'t>(
    config: &'t Config,
    request: &Request<'_>,
    destination: Option<&Target>,
    purpose: Purpose,
) -> Decision<'t> {
    decide_by(&config.routes, config, request, destination, purpose)
}

/// The same by another table than the one in force.
pub fn decide_by<'t>(
    routes: &'t RouteTable,
    config: &Config,
    request: &Request<'_>,
    destination: Option<&Target>,
    purpose: Purpose,
) -> Decision<'t> {
    match purpose {
        Purpose::Serve if is_for_others(routes, request) => return Decision::Deny(Denial::NoRoute),
        Purpose::Serve | Purpose::Tell => {}
    }
    let decision = decide(routes, request);
    let Some(destination) = destination else {
        return decision;
    };
    let address = |route: &Route| {
        let delivery = config.deliveries.get(route.index)?;
        Some((route.upstream, &delivery.prefix, &delivery.host))
    };
    decide_both(routes, decision, request, destination, |one, other| {
        address(one) == address(other)
    })
}

/// Whether a request falls under a route without an app behind it: those are for forward-auth alone, and for
/// whoever asks the gateway itself there is nothing.
fn is_for_others(routes: &RouteTable, request: &Request<'_>) -> bool {
    routes.has_routes_for_others()
        && !is_own_page(request.target.path())
        && routes
            .find(request.method, request.host, request.target)
            .is_some_and(|route| route.upstream.is_none())
}

/// The route that a request falls under, as its line tells it.
pub fn rule(routes: &RouteTable, request: &Request<'_>, decision: &Decision<'_>) -> Option<Rule> {
    match decision {
        Decision::Forward(permit) => Some(Rule {
            line: permit.route().line,
            access: permit.access(),
        }),
        Decision::OwnPage => None,
        Decision::Challenge(_) | Decision::Deny(_) => {
            let (route, access) = demand(routes, request.method, request.host, request.target)?;
            Some(Rule {
                line: route.line,
                access,
            })
        }
    }
}

/// As the access log calls it.
pub const fn outcome(decision: &Decision<'_>) -> Outcome {
    match decision {
        Decision::Forward(_) => Outcome::Forwarded,
        Decision::OwnPage => Outcome::OwnPage,
        Decision::Challenge(Challenge::SignIn) => Outcome::SignIn,
        Decision::Challenge(Challenge::ReEnrol) => Outcome::ReEnrol,
        Decision::Challenge(Challenge::StepUp { .. }) => Outcome::StepUp,
        Decision::Deny(Denial::NoRoute) => Outcome::NoRoute,
        Decision::Deny(Denial::NotAllowed) => Outcome::NotAllowed,
        Decision::Deny(Denial::Ambiguous) => Outcome::Ambiguous,
        Decision::Deny(Denial::NoCertificate) => Outcome::NoCertificate,
    }
}
