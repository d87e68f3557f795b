//! Requests that act on two targets: COPY and MOVE of WebDAV (RFC 4918 §9.8, §9.9) write to a second one that
//! stands in a header. Whoever may not write there by itself may not do it in this way either.

use axum::http::Method;

use super::{
    decision::{Decision, Denial, Request, decide},
    route::{Route, RouteTable},
    target::Target,
};

/// The verdict on a request of which `decision` was the verdict by its first target. It passes when everything
/// that it stands for would pass: reading or deleting where it comes from, and writing where it goes; and when all
/// of that is `together`, so that what was decided is what the upstream does.
pub fn decide_both<'t>(
    routes: &'t RouteTable,
    decision: Decision<'t>,
    request: &Request<'_>,
    destination: &Target,
    together: impl Fn(&Route, &Route) -> bool,
) -> Decision<'t> {
    let Decision::Forward(permit) = decision else {
        return decision;
    };
    let source = match request.method.as_str() {
        "MOVE" => &Method::DELETE,
        _ => &Method::GET,
    };
    let parts = [
        (source, request.target),
        (request.method, destination),
        (&Method::PUT, destination),
    ];
    for (method, target) in parts {
        let part = Request {
            method,
            target,
            ..*request
        };
        match decide(routes, &part) {
            Decision::Forward(other) if together(permit.route(), other.route()) => {}
            Decision::Forward(_) => return Decision::Deny(Denial::NotAllowed),
            Decision::OwnPage => return Decision::Deny(Denial::Ambiguous),
            other @ (Decision::Challenge(_) | Decision::Deny(_)) => return other,
        }
    }
    Decision::Forward(permit)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::Timestamp,
        policy::{
            certificate::Certificates,
            decision::{Challenge, Session},
            route::{Access, Allow, PathPattern},
            target::Ambiguities,
        },
    };

    const STEP_UP: Access = Access::StepUp {
        max_age: Duration::from_secs(300),
    };

    fn route(methods: &[Method], path: &str, access: Access, upstream: usize) -> Route {
        Route {
            host: None,
            path: PathPattern::parse(path).unwrap(),
            methods: methods.to_vec(),
            access,
            allow: Allow::default(),
            tolerate: Ambiguities::default(),
            upstream: Some(upstream),
            index: 0,
            line: 0,
            certificates: Certificates::default(),
        }
    }

    #[test]
    fn a_copy_needs_what_reading_and_writing_need() {
        let routes = RouteTable::new(vec![
            route(&[], "/admin/*", STEP_UP, 0),
            route(&[Method::PUT], "/read-only/*", STEP_UP, 0),
            route(&[Method::DELETE], "/kept/*", STEP_UP, 0),
            route(&[Method::GET], "/secret/*", STEP_UP, 0),
            route(&[], "/other/*", Access::Full, 1),
            route(&[], "/files/*", Access::Full, 0),
            route(&[], "/read-only/*", Access::Full, 0),
            route(&[], "/kept/*", Access::Full, 0),
            route(&[], "/secret/*", Access::Full, 0),
        ]);
        for (method, from, to, verdict) in [
            ("COPY", "/files/a", "/files/b", "forward"),
            ("MOVE", "/files/a", "/files/b", "forward"),
            ("COPY", "/files/a", "/admin/b", "step-up"),
            ("MOVE", "/admin/a", "/files/b", "step-up"),
            ("COPY", "/files/a", "/read-only/b", "step-up"),
            ("COPY", "/read-only/a", "/files/b", "forward"),
            ("MOVE", "/kept/a", "/files/b", "step-up"),
            ("COPY", "/kept/a", "/files/b", "forward"),
            ("COPY", "/secret/a", "/files/b", "step-up"),
            ("MOVE", "/files/a", "/other/b", "no"),
            ("MOVE", "/files/a", "/nowhere", "no"),
            ("MOVE", "/files/a", "/.gatehouse/account", "no"),
        ] {
            let method: Method = method.parse().unwrap();
            let [from, to] = [from, to].map(|path| Target::parse(path.as_bytes()).unwrap());
            let request = Request {
                method: &method,
                host: "h",
                target: &from,
                session: Some(Session {
                    restricted: false,
                    stepped_up_at: None,
                    email: None,
                    groups: &[],
                }),
                now: Timestamp::from_seconds(1000),
                certificate: &[],
            };
            let first = decide(&routes, &request);
            let decision = decide_both(&routes, first, &request, &to, |one, other| {
                one.upstream == other.upstream
            });
            let found = match decision {
                Decision::Forward(_) => "forward",
                Decision::Challenge(Challenge::StepUp { .. }) => "step-up",
                Decision::Challenge(Challenge::SignIn | Challenge::ReEnrol) => "challenge",
                Decision::Deny(_) | Decision::OwnPage => "no",
            };
            assert_eq!(found, verdict, "{method} {} {}", from.path(), to.path());
        }
    }
}
