//! What policies that are only tried out would have decided on a request: routes with `report_only`, and the
//! candidate of `serve --shadow`. Both are asked by the very function that decides, after it has, and neither can
//! change what was decided.

use super::judgement::{Purpose, decide_all, decide_by, outcome};
use crate::{
    config::Config,
    core::Core,
    policy::{
        decision::{Decision, Request},
        target::Target,
    },
    telemetry::outcome::Outcome,
};

/// Decisions that would have been others.
#[derive(Debug, Default)]
pub struct Differences {
    /// With the routes in their places that are only tried out.
    pub report_only: Option<Would>,
    /// Under the candidate.
    pub shadow: Option<Would>,
}

/// What would have been decided.
#[derive(Debug, PartialEq, Eq)]
pub struct Would {
    /// In a word.
    pub outcome: Outcome,
    /// Line of the route to look at, in the file that it is in.
    pub route: Option<usize>,
    /// Where it would have been forwarded, if elsewhere.
    pub upstream: Option<String>,
}

/// Asks them, and counts where they differ.
pub fn ask(
    core: &Core,
    config: &Config,
    request: &Request<'_>,
    (destination, purpose): (Option<&Target>, Purpose),
    decision: &Decision<'_>,
) -> Differences {
    let differences = Differences {
        report_only: of_report_only(config, request, (destination, purpose), decision),
        shadow: core.shadow.candidate().as_deref().and_then(|candidate| {
            of_candidate(candidate, config, request, (destination, purpose), decision)
        }),
    };
    if let Some(would) = &differences.report_only {
        core.metrics.report_only.count(would.outcome.into());
    }
    if let Some(would) = &differences.shadow {
        core.metrics.shadow_differences.count(would.outcome.into());
    }
    differences
}

fn of_report_only(
    config: &Config,
    request: &Request<'_>,
    (destination, purpose): (Option<&Target>, Purpose),
    decision: &Decision<'_>,
) -> Option<Would> {
    let tried = config.report_only.as_ref()?;
    let would = decide_by(tried.routes(), config, request, destination, purpose);
    let upstream = difference((decision, config), (&would, config))?;
    Some(Would {
        outcome: outcome(&would),
        route: match &would {
            Decision::Forward(permit) if tried.is_tried(permit.route()) => {
                Some(permit.route().line)
            }
            Decision::Forward(_)
            | Decision::OwnPage
            | Decision::Challenge(_)
            | Decision::Deny(_) => tried.line(request.method, request.host, request.target),
        },
        upstream,
    })
}

fn of_candidate(
    candidate: &Config,
    config: &Config,
    request: &Request<'_>,
    (destination, purpose): (Option<&Target>, Purpose),
    decision: &Decision<'_>,
) -> Option<Would> {
    let would = decide_all(candidate, request, destination, purpose);
    let upstream = difference((decision, config), (&would, candidate))?;
    let route = candidate
        .routes
        .find(request.method, request.host, request.target);
    Some(Would {
        outcome: outcome(&would),
        route: route.map(|route| route.line),
        upstream,
    })
}

/// Whether two decisions differ, and the upstream of the second where it forwards to another one.
fn difference(
    (one, under): (&Decision<'_>, &Config),
    (other, of): (&Decision<'_>, &Config),
) -> Option<Option<String>> {
    let elsewhere = upstream(other, of).filter(|name| upstream(one, under) != Some(name));
    (elsewhere.is_some() || outcome(one) != outcome(other)).then(|| elsewhere.map(str::to_owned))
}

fn upstream<'c>(decision: &Decision<'_>, config: &'c Config) -> Option<&'c str> {
    match decision {
        Decision::Forward(permit) => {
            let upstream = config.upstreams.get(permit.route().upstream?)?;
            Some(&upstream.name)
        }
        Decision::OwnPage | Decision::Challenge(_) | Decision::Deny(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use http::Method;

    use super::*;
    use crate::{clock::Timestamp, config, policy::decision::Session};

    fn config(routes: &str) -> Config {
        let text = format!(
            "[relying_party]\nid = \"example.com\"\n[[upstream]]\nname = \"app\"\nservers = [\"127.0.0.1:1\"]\n\
             [[upstream]]\nname = \"new\"\nservers = [\"127.0.0.1:2\"]\n\
             [[route]]\nhost = \"app.example.com\"\nupstream = \"app\"\n{routes}"
        );
        let file = Path::new("gatehouse.toml");
        let loaded = config::parse(&text, file, &|_| None);
        loaded
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config
    }

    /// What is found of a request by a visitor, or by somebody with a full session.
    fn asked<T>(
        config: &Config,
        path: &str,
        signed_in: bool,
        find: impl Fn(&Request<'_>, &Decision<'_>) -> T,
    ) -> T {
        let target = Target::parse(path.as_bytes()).unwrap();
        let request = Request {
            method: &Method::GET,
            host: "app.example.com",
            target: &target,
            session: signed_in.then_some(Session {
                restricted: false,
                stepped_up_at: None,
                email: None,
                groups: &[],
            }),
            now: Timestamp::from_seconds(1000),
            certificate: &[],
        };
        find(
            &request,
            &decide_all(config, &request, None, Purpose::Serve),
        )
    }

    fn would(outcome: Outcome, route: Option<usize>, upstream: Option<&str>) -> Option<Would> {
        let upstream = upstream.map(str::to_owned);
        Some(Would {
            outcome,
            route,
            upstream,
        })
    }

    #[test]
    fn a_route_that_is_tried_out_tells_what_it_would_change() {
        // Line 12 on is tried out; the host's own route is in line 9.
        let routes = "path = \"/x/*\"\n[[route]]\npath = \"/*\"\nupstream = \"app\"\n";
        let tried = |rule: &str| {
            config(&format!(
                "path = \"/never\"\n[[route]]\npath = \"/money/*\"\nreport_only = true\n{rule}\n[[route]]\nhost = \
                 \"app.example.com\"\nupstream = \"app\"\n{routes}"
            ))
        };
        for (rule, path, signed_in, expected) in [
            ("upstream = \"app\"", "/money/x", true, None),
            ("upstream = \"app\"", "/money/x", false, None),
            (
                "upstream = \"app\"\naccess = \"step_up\"\nmax_age = \"5m\"",
                "/money/x",
                true,
                would(Outcome::StepUp, Some(13), None),
            ),
            (
                "upstream = \"app\"\naccess = \"step_up\"\nmax_age = \"5m\"",
                "/money/x",
                false,
                None,
            ),
            (
                "upstream = \"app\"\naccess = \"step_up\"\nmax_age = \"5m\"",
                "/notes",
                true,
                None,
            ),
            (
                "upstream = \"app\"\naccess = \"step_up\"\nmax_age = \"5m\"",
                "//money/x",
                true,
                would(Outcome::StepUp, Some(13), None),
            ),
            (
                "upstream = \"app\"\nallow.groups = [\"ops\"]",
                "/money/x",
                true,
                would(Outcome::NotAllowed, Some(13), None),
            ),
            (
                "upstream = \"app\"\naccess = \"public\"",
                "/money/x",
                false,
                would(Outcome::Forwarded, Some(13), Some("app")),
            ),
            (
                "upstream = \"new\"",
                "/money/x",
                true,
                would(Outcome::Forwarded, Some(13), Some("new")),
            ),
            ("upstream = \"new\"", "/.gatehouse/sign-in", true, None),
        ] {
            let config = tried(rule);
            let found = asked(&config, path, signed_in, |request, decision| {
                of_report_only(&config, request, (None, Purpose::Serve), decision)
            });
            assert_eq!(found, expected, "{rule} {path}");
        }
    }

    #[test]
    fn without_routes_to_try_nothing_is_asked() {
        let config = config("");
        let found = asked(&config, "/", true, |request, decision| {
            of_report_only(&config, request, (None, Purpose::Serve), decision)
        });
        assert_eq!(found, None);
    }

    #[test]
    fn a_candidate_tells_what_it_would_change() {
        let in_force = config("path = \"/*\"\n");
        for (routes, path, signed_in, expected) in [
            ("path = \"/*\"\n", "/x", true, None),
            ("path = \"/*\"\n", "/x", false, None),
            (
                "path = \"/other\"\n",
                "/x",
                true,
                would(Outcome::NoRoute, None, None),
            ),
            (
                "path = \"/other\"\n",
                "/x",
                false,
                would(Outcome::NoRoute, None, None),
            ),
            (
                "path = \"/*\"\naccess = \"public\"\n",
                "/x",
                false,
                would(Outcome::Forwarded, Some(9), Some("app")),
            ),
            ("path = \"/*\"\naccess = \"public\"\n", "/x", true, None),
            (
                "path = \"/y\"\n[[route]]\nupstream = \"new\"\n",
                "/x",
                true,
                would(Outcome::Forwarded, Some(13), Some("new")),
            ),
        ] {
            let candidate = config(routes);
            let found = asked(&in_force, path, signed_in, |request, decision| {
                of_candidate(
                    &candidate,
                    &in_force,
                    request,
                    (None, Purpose::Serve),
                    decision,
                )
            });
            assert_eq!(found, expected, "{routes} {path}");
        }
    }
}
