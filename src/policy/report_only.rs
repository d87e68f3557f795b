//! Routes that are tried out (`report_only = true`): they decide nothing, and a second table says what they would.

use axum::http::Method;

use super::{
    route::{Route, RouteTable},
    target::Target,
};

/// The table as it would be if every route in it decided.
#[derive(Debug)]
pub struct ReportOnly {
    routes: RouteTable,
    /// Places in the file of those that are tried out.
    tried: Vec<usize>,
}

impl ReportOnly {
    /// Takes all routes, and the places in the file of those that are tried out; `None` where there are none.
    pub fn new(routes: Vec<Route>, tried: Vec<usize>) -> Option<Self> {
        (!tried.is_empty()).then(|| Self {
            routes: RouteTable::new(routes),
            tried,
        })
    }

    /// All routes, those that are tried out among the others.
    pub const fn routes(&self) -> &RouteTable {
        &self.routes
    }

    /// The line of the route to look at when a request would be decided otherwise: the first that is tried out and
    /// that any reading of it falls under, else whichever it falls under.
    pub fn line(&self, method: &Method, host: &str, target: &Target) -> Option<usize> {
        let main = self.routes.find(method, host, target);
        let others = self.routes.other_matches(method, host, target);
        main.into_iter()
            .chain(others.map(|other| other.route))
            .find(|route| self.is_tried(route))
            .or(main)
            .map(|route| route.line)
    }

    /// Whether a route decides nothing yet.
    pub fn is_tried(&self, route: &Route) -> bool {
        self.tried.contains(&route.index)
    }

    /// What somebody should know who tries routes out, one for each such route that will never say anything of use.
    pub fn doubts<'a>(&'a self, in_force: &'a RouteTable) -> impl Iterator<Item = Doubt<'a>> {
        let covered = self.routes.unreachable();
        let tried = self.routes.routes().iter().enumerate();
        tried
            .filter(|(_, route)| self.is_tried(route))
            .filter_map(move |(place, route)| {
                let earlier = covered.iter().find(|(later, _)| *later == place);
                if let Some((_, earlier)) = earlier {
                    let by = self.routes.routes().get(*earlier)?;
                    return Some(Doubt::NeverAsked { route, by });
                }
                let alone = !in_force.routes().iter().any(|other| other.overlaps(route));
                alone.then_some(Doubt::NothingInForce { route })
            })
    }
}

/// Why a route that is tried out is of no use.
#[derive(Clone, Copy, Debug)]
pub enum Doubt<'a> {
    /// An earlier one takes all of its requests.
    NeverAsked {
        /// The route.
        route: &'a Route,
        /// The earlier one.
        by: &'a Route,
    },
    /// Nothing is in force for any of its requests, so that all of them get 404.
    NothingInForce {
        /// The route.
        route: &'a Route,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{
        certificate::Certificates,
        route::{Access, Allow, HostPattern, PathPattern},
        target::Ambiguities,
    };

    /// Routes written `host path`, or `?host path` where they are tried out; `*` for every host.
    fn tables(texts: &[&str]) -> (RouteTable, Option<ReportOnly>) {
        let route = |(index, text): (usize, &&str)| {
            let (host, path) = text.trim_start_matches('?').split_once(' ').unwrap();
            Route {
                host: (host != "*").then(|| HostPattern::parse(host).unwrap()),
                path: PathPattern::parse(path).unwrap(),
                methods: Vec::new(),
                access: Access::Full,
                allow: Allow::default(),
                tolerate: Ambiguities::default(),
                upstream: Some(0),
                index,
                line: 10 + index,
                certificates: Certificates::default(),
            }
        };
        let all: Vec<_> = texts.iter().enumerate().map(route).collect();
        let tried: Vec<_> = (0..texts.len())
            .filter(|index| texts[*index].starts_with('?'))
            .collect();
        let in_force = all.iter().filter(|route| !tried.contains(&route.index));
        let in_force = RouteTable::new(in_force.cloned().collect());
        (in_force, ReportOnly::new(all, tried))
    }

    #[test]
    fn without_routes_to_try_there_is_no_second_table() {
        assert!(tables(&["* /*", "* /x"]).1.is_none());
    }

    #[test]
    fn the_route_to_look_at_is_one_that_is_tried_out() {
        let (_, table) = tables(&["?* /admin/*", "* /Admin/*", "* /*"]);
        let table = table.unwrap();
        for (path, line) in [
            ("/admin/x", 10),
            ("/Admin/x", 10),
            ("/x", 12),
            ("/;v/admin", 10),
        ] {
            let target = Target::parse(path.as_bytes()).unwrap();
            assert_eq!(table.line(&Method::GET, "h", &target), Some(line), "{path}");
        }
    }

    #[test]
    fn a_route_that_can_say_nothing_of_use_is_doubted() {
        for (texts, doubts) in [
            (&["?* /money/*", "* /money/*"][..], &[][..]),
            (&["?* /money/x", "* /money/*"], &[]),
            (&["?* /money/*", "* /money/x"], &[]),
            (&["?a.example /*", "*.example /*"], &[]),
            (&["* /*", "?* /money/*"], &["1 behind 0"]),
            (&["?* /*", "?* /money/*", "* /x"], &["1 behind 0"]),
            (&["?* /money/*", "* /notes/*"], &["0 alone"]),
            (&["?a.example /*", "b.example /*"], &["0 alone"]),
            (&["?* /*"], &["0 alone"]),
        ] {
            let (in_force, table) = tables(texts);
            let table = table.unwrap();
            let found: Vec<_> = table
                .doubts(&in_force)
                .map(|doubt| match doubt {
                    Doubt::NeverAsked { route, by } => {
                        format!("{} behind {}", route.index, by.index)
                    }
                    Doubt::NothingInForce { route } => format!("{} alone", route.index),
                })
                .collect();
            assert_eq!(found, doubts, "{texts:?}");
        }
    }
}
