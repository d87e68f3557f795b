//! Tells a person what [`decide`] decides, and why.
//!
//! [`explain`] asks the very functions that the server runs, for as many kinds of session as one likes.
//! What it answers with is in [`super::explanation`].

use axum::http::Method;

pub use super::explanation::{
    Closed, Explanation, Level, OtherReading, Outcome, RouteSummary, SessionKind, SessionOutcome,
};
use super::{
    certificate::CertificateName,
    decision::{Challenge, Decision, Denial, Place, Request, Session, decide, demand, place},
    own_page::is_reserved,
    route::{OtherMatch, Route, RouteTable},
    target::{Ambiguities, Target},
};
use crate::{clock::Timestamp, email_address::EmailAddress};

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The method.
    pub method: &'a Method,
    /// The host, lower case, without port.
    pub host: &'a str,
    /// The canonical target.
    pub target: &'a Target,
    /// The address of the person in those sessions that have one.
    pub email: Option<&'a EmailAddress>,
    /// That person's groups.
    pub groups: &'a [String],
    /// The names on the client certificate of the connection.
    pub certificate: &'a [CertificateName],
}

/// Explains one request for some kinds of session.
pub fn explain(routes: &RouteTable, question: &Question<'_>, kinds: &[SessionKind]) -> Explanation {
    let Question {
        method,
        host,
        target,
        ..
    } = *question;
    let summary = |route: &Route| RouteSummary::new(route);
    let place = place(routes, method, host, target);
    let route = match place {
        Place::OwnPage => None,
        Place::Closed(_) | Place::Route(_) => routes.find(method, host, target),
    };
    let stricter: Vec<_> = match place {
        Place::OwnPage | Place::Closed(_) => Vec::new(),
        Place::Route(_) => routes.other_matches(method, host, target).collect(),
    };
    Explanation {
        method: method.to_string(),
        host: host.to_owned(),
        target: target.path_and_query(),
        route: route.map(summary),
        closed: closed(place, target, route),
        required: demand(routes, method, host, target).map(|(_, access)| Level::new(access)),
        other_readings: under_other_routes(&stricter, route)
            .map(|other| OtherReading {
                path: other.reading.path().to_owned(),
                changes: other.reading.changes().to_vec(),
                ignoring_case: other.ignoring_case,
                route: summary(other.route),
            })
            .collect(),
        sessions: kinds
            .iter()
            .map(|&kind| SessionOutcome {
                kind,
                outcome: outcome(routes, question, kind),
            })
            .collect(),
    }
}

/// One reading for each route that is not the main one.
fn under_other_routes<'a>(
    others: &'a [OtherMatch<'a>],
    main: Option<&'a Route>,
) -> impl Iterator<Item = &'a OtherMatch<'a>> {
    others.iter().enumerate().filter_map(move |(index, other)| {
        let same = |route: &Route| std::ptr::eq(route, other.route);
        let told = main.is_some_and(same) || others[..index].iter().any(|other| same(other.route));
        (!told).then_some(other)
    })
}

fn closed(place: Place<'_>, target: &Target, route: Option<&Route>) -> Option<Closed> {
    match place {
        Place::Route(_) => None,
        Place::OwnPage => Some(Closed::OwnPage),
        Place::Closed(Denial::NoRoute | Denial::NotAllowed | Denial::NoCertificate) => {
            Some(Closed::NoRoute)
        }
        Place::Closed(Denial::Ambiguous) if target.readings().any(is_reserved) => {
            Some(Closed::ReadsAsOwnPage)
        }
        Place::Closed(Denial::Ambiguous) => {
            let slash_alone = Ambiguities {
                double_encoding: false,
                ..target.ambiguities()
            };
            let tolerated = route.map(|route| route.tolerate).unwrap_or_default();
            Some(if slash_alone.exceed(tolerated) {
                Closed::EncodedSlash
            } else {
                Closed::DoubleEncoding
            })
        }
    }
}

fn outcome(routes: &RouteTable, question: &Question<'_>, kind: SessionKind) -> Outcome {
    let now = Timestamp::from_seconds(0);
    let session = |restricted, stepped_up_at| {
        Some(Session {
            restricted,
            stepped_up_at,
            email: question.email,
            groups: question.groups,
        })
    };
    let request = Request {
        method: question.method,
        host: question.host,
        target: question.target,
        session: match kind {
            SessionKind::None => None,
            SessionKind::Restricted => session(true, None),
            SessionKind::Full => session(false, None),
            SessionKind::StepUp { age } => session(false, Some(now.minus(age))),
        },
        now,
        certificate: question.certificate,
    };
    match decide(routes, &request) {
        Decision::Forward(_) => Outcome::Forward,
        Decision::OwnPage => Outcome::OwnPage,
        Decision::Challenge(Challenge::SignIn) => Outcome::SignIn,
        Decision::Challenge(Challenge::ReEnrol) => Outcome::ReEnrol,
        Decision::Challenge(Challenge::StepUp { max_age }) => Outcome::StepUp { max_age },
        Decision::Deny(Denial::NoRoute) => Outcome::NoRoute,
        Decision::Deny(Denial::NotAllowed) => Outcome::NotAllowed,
        Decision::Deny(Denial::Ambiguous) => Outcome::Ambiguous,
        Decision::Deny(Denial::NoCertificate) => Outcome::NoCertificate,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::{
        certificate::Certificates,
        route::{Access, Allow, HostPattern, PathPattern},
    };

    const KINDS: [SessionKind; 4] = [
        SessionKind::None,
        SessionKind::Restricted,
        SessionKind::Full,
        SessionKind::StepUp {
            age: Duration::from_secs(60),
        },
    ];

    fn routes() -> RouteTable {
        let route = |index, line, path, access| Route {
            host: None,
            path: PathPattern::parse(path).unwrap(),
            methods: Vec::new(),
            access,
            allow: Allow::default(),
            tolerate: Ambiguities::default(),
            upstream: Some(0),
            index,
            line,
            certificates: Certificates::default(),
        };
        let five_minutes = Access::StepUp {
            max_age: Duration::from_secs(300),
        };
        RouteTable::new(vec![
            Route {
                allow: Allow {
                    groups: vec!["ops".to_owned()],
                    email_domains: vec!["example.com".to_owned()],
                    ..Allow::default()
                },
                ..route(0, 12, "/admin/*", Access::Full)
            },
            Route {
                host: Some(HostPattern::parse("app.example.com").unwrap()),
                methods: vec![Method::POST],
                ..route(1, 41, "/money/*", five_minutes)
            },
            route(2, 50, "/money/*", Access::SignedIn),
            route(3, 60, "/*", Access::Public),
        ])
    }

    fn explained(method: Method, path: &str) -> Explanation {
        let target = Target::parse(path.as_bytes()).unwrap();
        let question = Question {
            method: &method,
            host: "app.example.com",
            target: &target,
            email: None,
            groups: &[],
            certificate: &[],
        };
        explain(&routes(), &question, &KINDS)
    }

    #[test]
    fn a_person_reads_which_route_and_what_comes_of_it() {
        assert_eq!(
            explained(Method::POST, "/money/send?x").to_string(),
            "POST app.example.com/money/send?x\n\
             matched route 2 (line 41: POST app.example.com /money/*), which needs a full session with a \
             step-up at most 5m old\n\
             \x20 no session              → sign-in\n\
             \x20 restricted              → re-enrolment page\n\
             \x20 full                    → step-up page (good for 5m)\n\
             \x20 full, stepped up 1m ago → forwarded\n"
        );
    }

    #[test]
    fn a_person_reads_why_other_readings_made_it_stricter() {
        assert_eq!(
            explained(Method::GET, "/;v=1/Admin").to_string(),
            "GET app.example.com/;v=1/Admin\n\
             matched route 4 (line 60: /*), which needs nothing\n\
             an upstream may read it as /Admin (;parameters cut, doubled slashes merged, letter case \
             ignored): route 1 (line 12: /admin/*), which needs a full session of a member of ops or \
             somebody @example.com\n\
             all in all it needs a full session\n\
             \x20 no session              → sign-in\n\
             \x20 restricted              → 403: not allowed\n\
             \x20 full                    → 403: not allowed\n\
             \x20 full, stepped up 1m ago → 403: not allowed\n"
        );
    }

    #[test]
    fn a_person_reads_that_another_proxy_serves_a_route() {
        let mut routes = routes().routes().to_vec();
        routes[3].upstream = None;
        let target = Target::parse(b"/x").unwrap();
        let question = Question {
            method: &Method::GET,
            host: "app.example.com",
            target: &target,
            email: None,
            groups: &[],
            certificate: &[],
        };
        let explained = explain(&RouteTable::new(routes), &question, &KINDS[..1]);
        assert_eq!(
            explained.to_string(),
            "GET app.example.com/x\n\
             matched route 4 (line 60: /*), which needs nothing\n\
             no app is behind it here: this is for a proxy that asks by forward-auth, and 404 to a visitor of the \
             gateway itself\n\
             \x20 no session → forwarded\n"
        );
        let json = serde_json::to_value(&explained).unwrap();
        assert_eq!(json["route"]["forward_auth_only"], true);
    }

    #[test]
    fn a_program_reads_the_same() {
        let json = serde_json::to_value(explained(Method::POST, "/money//x")).unwrap();
        assert_eq!(json["route"]["line"], 41);
        assert_eq!(json["route"]["access"], "step_up");
        assert_eq!(json["required"]["max_age_s"], 300);
        assert_eq!(json["closed"], serde_json::Value::Null);
        assert_eq!(json["other_readings"], serde_json::json!([]));
        assert_eq!(
            json["sessions"],
            serde_json::json!([
                {"session": "none", "decision": "sign_in"},
                {"session": "restricted", "decision": "re_enrol"},
                {"session": "full", "decision": "step_up", "max_age_s": 300},
                {"session": "step_up", "age_s": 60, "decision": "forward"},
            ])
        );
    }

    #[test]
    fn what_nobody_may_is_explained_too() {
        for (path, closed, outcome) in [
            ("/.gatehouse/sign-in", Closed::OwnPage, Outcome::OwnPage),
            ("//.gatehouse", Closed::ReadsAsOwnPage, Outcome::Ambiguous),
            ("/a%2Fb", Closed::EncodedSlash, Outcome::Ambiguous),
            ("/%2541", Closed::DoubleEncoding, Outcome::Ambiguous),
            ("/%2541%2F", Closed::EncodedSlash, Outcome::Ambiguous),
        ] {
            let explanation = explained(Method::GET, path);
            assert_eq!(explanation.closed, Some(closed), "{path}");
            assert_eq!(explanation.required, None);
            assert!(explanation.to_string().contains(&closed.to_string()));
            for session in explanation.sessions {
                assert_eq!(session.outcome, outcome, "{path}");
            }
        }
        let target = Target::parse(b"/x").unwrap();
        let question = Question {
            method: &Method::GET,
            host: "h",
            target: &target,
            email: None,
            groups: &[],
            certificate: &[],
        };
        let explanation = explain(&RouteTable::default(), &question, &KINDS[..1]);
        assert_eq!(explanation.closed, Some(Closed::NoRoute));
        assert_eq!(explanation.sessions[0].outcome, Outcome::NoRoute);
    }
}
