//! The route table: which rule a request falls under.
//!
//! Start at [`RouteTable`]. What stands in a `host` or `path` key is parsed in [`super::pattern`].

use std::time::Duration;

use axum::http::Method;

pub use super::pattern::{HostPattern, PathPattern};
use super::{
    certificate::Certificates,
    reading::Reading,
    target::{Ambiguities, Target},
};
use crate::email_address::EmailAddress;

/// Routes in the order of the file; the first match wins.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Route>,
    /// Whether a pattern differs from its folded form, so that a lower-case path may match it too.
    patterns_have_case: bool,
    /// Whether any is for forward-auth alone.
    has_routes_for_others: bool,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Route {
    /// Which hosts; `None` is every host.
    pub host: Option<HostPattern>,
    /// Which paths.
    pub path: PathPattern,
    /// Which methods; empty is every method. `GET` covers `HEAD`.
    pub methods: Vec<Method>,
    /// What it takes to pass.
    pub access: Access,
    /// Who may pass.
    pub allow: Allow,
    /// Ambiguities that its upstream is known to read one way.
    pub tolerate: Ambiguities,
    /// Index into [`crate::config::Config::upstreams`]; `None` for a route without an app behind the gateway, which
    /// is for forward-auth alone.
    pub upstream: Option<usize>,
    /// Its place in the file, from 0; index into [`crate::config::Config::deliveries`].
    pub index: usize,
    /// Line in the configuration file, for `check` and `explain`.
    pub line: usize,
    /// Whose client certificate it takes, besides what `access` asks for.
    pub certificates: Certificates,
}

/// What it takes to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Public,
    /// Any session.
    SignedIn,
    /// An unrestricted session.
    Full,
    /// An unrestricted session with a step-up at most so old.
    StepUp {
        /// How old.
        max_age: Duration,
    },
}

/// Who may pass: anyone, or those who are in one of the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// Members of any of these groups.
    pub groups: Vec<String>,
    /// These addresses.
    pub emails: Vec<EmailAddress>,
    /// Addresses in these domains, lower case.
    pub email_domains: Vec<String>,
}

/// A route that an upstream may mean by another reading of the path than the canonical one.
#[derive(Clone, Copy, Debug)]
pub(super) struct OtherMatch<'a> {
    /// The reading.
    pub(super) reading: &'a Reading,
    /// Whether it was compared without regard to case.
    pub(super) ignoring_case: bool,
    /// The route that it falls under.
    pub(super) route: &'a Route,
}

impl RouteTable {
    /// Builds the table.
    pub fn new(routes: Vec<Route>) -> Self {
        Self {
            patterns_have_case: routes.iter().any(|route| route.path.has_case()),
            has_routes_for_others: routes.iter().any(|route| route.upstream.is_none()),
            routes,
        }
    }

    /// Whether any route is for forward-auth alone.
    pub const fn has_routes_for_others(&self) -> bool {
        self.has_routes_for_others
    }

    /// All routes, in order.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Whether a route names a host, exactly or by a wildcard.
    pub fn names_host(&self, host: &str) -> bool {
        self.routes
            .iter()
            .filter_map(|route| route.host.as_ref())
            .any(|pattern| pattern.matches(host))
    }

    /// The least age of a step-up that any route of a host asks for.
    pub fn strictest_step_up(&self, host: &str) -> Option<Duration> {
        let of_host = self.routes.iter().filter(|route| {
            route
                .host
                .as_ref()
                .is_none_or(|pattern| pattern.matches(host))
        });
        of_host
            .filter_map(|route| match route.access {
                Access::StepUp { max_age } => Some(max_age),
                Access::Public | Access::SignedIn | Access::Full => None,
            })
            .min()
    }

    /// The first route that matches the canonical reading.
    pub fn find(&self, method: &Method, host: &str, target: &Target) -> Option<&Route> {
        self.routes
            .iter()
            .find(|route| route.takes(method, host) && route.path.matches(target.path()))
    }

    /// The first route of every other reading: of other paths, and of each path in whatever case.
    pub(super) fn other_matches<'a>(
        &'a self,
        method: &'a Method,
        host: &'a str,
        target: &'a Target,
    ) -> impl Iterator<Item = OtherMatch<'a>> {
        let as_written = target.readings().skip(1).map(|reading| (reading, false));
        let in_any_case = target
            .readings()
            .filter(|reading| self.patterns_have_case || reading.has_case())
            .map(|reading| (reading, true));
        as_written
            .chain(in_any_case)
            .filter_map(move |(reading, ignoring_case)| {
                let matches = |path: &PathPattern| {
                    if ignoring_case {
                        path.matches_folded(reading.folded())
                    } else {
                        path.matches(reading.path())
                    }
                };
                let route = self
                    .routes
                    .iter()
                    .find(|route| route.takes(method, host) && matches(&route.path))?;
                Some(OtherMatch {
                    reading,
                    ignoring_case,
                    route,
                })
            })
    }

    /// Routes that no request can reach, each with the earlier route that takes all of its requests:
    /// indices into [`Self::routes`].
    pub fn unreachable(&self) -> Vec<(usize, usize)> {
        let first_cover = |later: usize| {
            self.routes[..later]
                .iter()
                .position(|earlier| earlier.covers(&self.routes[later]))
        };
        (0..self.routes.len())
            .filter_map(|later| Some((later, first_cover(later)?)))
            .collect()
    }
}

impl Route {
    /// Whether it is about this method on this host, whatever the path.
    fn takes(&self, method: &Method, host: &str) -> bool {
        self.takes_method(method)
            && self
                .host
                .as_ref()
                .is_none_or(|pattern| pattern.matches(host))
    }

    fn takes_method(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            || (method == Method::HEAD && self.methods.contains(&Method::GET))
    }

    /// Whether some request matches both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let methods = match (self.methods.as_slice(), other.methods.as_slice()) {
            ([], _) | (_, []) => true,
            (mine, theirs) => {
                mine.iter().any(|method| other.takes_method(method))
                    || theirs.iter().any(|method| self.takes_method(method))
            }
        };
        let hosts = match (&self.host, &other.host) {
            (None, _) | (_, None) => true,
            (Some(mine), Some(theirs)) => mine.covers(theirs) || theirs.covers(mine),
        };
        methods && hosts && (self.path.covers(&other.path) || other.path.covers(&self.path))
    }

    /// Whether it matches whatever `other` matches.
    fn covers(&self, other: &Self) -> bool {
        let methods = match other.methods.as_slice() {
            [] => self.methods.is_empty(),
            methods => methods.iter().all(|method| self.takes_method(method)),
        };
        let hosts = match (&self.host, &other.host) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => mine.covers(theirs),
        };
        methods && hosts && self.path.covers(&other.path)
    }
}

impl Access {
    /// What satisfies both.
    pub fn strictest(self, other: Self) -> Self {
        if let (Self::StepUp { max_age: one }, Self::StepUp { max_age: two }) = (self, other) {
            return Self::StepUp {
                max_age: one.min(two),
            };
        }
        if self.rank() < other.rank() {
            other
        } else {
            self
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Public => 0,
            Self::SignedIn => 1,
            Self::Full => 2,
            Self::StepUp { .. } => 3,
        }
    }
}

impl Allow {
    /// Whether it is anyone.
    pub fn is_anyone(&self) -> bool {
        self.groups.is_empty() && self.emails.is_empty() && self.email_domains.is_empty()
    }

    /// Whether a person with this address and these groups may pass.
    pub fn permits(&self, email: Option<&EmailAddress>, groups: &[String]) -> bool {
        self.is_anyone()
            || groups.iter().any(|group| self.groups.contains(group))
            || email.is_some_and(|email| {
                self.emails.contains(email)
                    || self
                        .email_domains
                        .iter()
                        .any(|domain| domain == email.domain())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A route written `METHOD,METHOD host path`, `*` for every method or host.
    fn route(text: &str) -> Route {
        let parts: Vec<_> = text.split(' ').collect();
        let some = |part: &str| (part != "*").then(|| part.to_owned());
        Route {
            host: some(parts[1]).map(|host| HostPattern::parse(&host).unwrap()),
            path: PathPattern::parse(parts[2]).unwrap(),
            methods: some(parts[0]).map_or_else(Vec::new, |methods| {
                methods
                    .split(',')
                    .map(|method| method.parse().unwrap())
                    .collect()
            }),
            access: Access::Full,
            allow: Allow::default(),
            tolerate: Ambiguities::default(),
            upstream: Some(0),
            index: 0,
            line: 1,
            certificates: Certificates::default(),
        }
    }

    fn table(routes: &[&str]) -> RouteTable {
        RouteTable::new(routes.iter().map(|text| route(text)).collect())
    }

    fn found(table: &RouteTable, method: &str, host: &str, path: &str) -> Option<usize> {
        let target = Target::parse(path.as_bytes()).unwrap();
        let route = table.find(&method.parse().unwrap(), host, &target)?;
        table
            .routes()
            .iter()
            .position(|other| std::ptr::eq(other, route))
    }

    #[test]
    fn the_first_match_on_host_path_and_method_wins() {
        let table = table(&[
            "POST app.example.com /money/*",
            "GET app.example.com /money/rates",
            "* *.example.com /money/*",
            "GET,PUT * /money",
        ]);
        for (method, host, path, expected) in [
            ("POST", "app.example.com", "/money", Some(0)),
            ("POST", "app.example.com", "/money/x", Some(0)),
            ("GET", "app.example.com", "/money/rates", Some(1)),
            ("HEAD", "app.example.com", "/money/rates", Some(1)),
            ("PUT", "app.example.com", "/money/rates", Some(2)),
            ("GET", "app.example.com", "/money/rates/x", Some(2)),
            ("GET", "b.example.com", "/money/rates", Some(2)),
            ("GET", "a.b.example.com", "/money/rates", None),
            ("HEAD", "example.com", "/money", Some(3)),
            ("PUT", "example.com", "/money", Some(3)),
            ("DELETE", "example.com", "/money", None),
            ("GET", "example.com", "/Money", None),
            ("GET", "example.com", "/moneyed", None),
        ] {
            assert_eq!(
                found(&table, method, host, path),
                expected,
                "{method} {host} {path}"
            );
        }
        assert_eq!(found(&RouteTable::default(), "GET", "h", "/"), None);
    }

    #[test]
    fn head_alone_is_not_get() {
        let table = table(&["HEAD * /*"]);
        assert_eq!(found(&table, "HEAD", "h", "/"), Some(0));
        assert_eq!(found(&table, "GET", "h", "/"), None);
    }

    #[test]
    fn other_readings_find_their_routes() {
        let table = table(&["* * /Admin/*", "* * /app/x", "* * /*"]);
        for (path, expected) in [
            ("/app", &[("/app", true, 2)][..]),
            ("/admin", &[("/admin", true, 0)]),
            (
                "/app//x",
                &[
                    ("/app/x", false, 1),
                    ("/app//x", true, 2),
                    ("/app/x", true, 1),
                ],
            ),
        ] {
            let target = Target::parse(path.as_bytes()).unwrap();
            let found: Vec<_> = table
                .other_matches(&Method::GET, "h", &target)
                .map(|other| {
                    let routes = table.routes().iter();
                    let index = routes
                        .take_while(|route| !std::ptr::eq(*route, other.route))
                        .count();
                    (other.reading.path(), other.ignoring_case, index)
                })
                .collect();
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn without_case_anywhere_nothing_is_looked_up_twice() {
        let table = table(&["* * /app", "* * /*"]);
        let count = |path: &[u8]| {
            let target = Target::parse(path).unwrap();
            table.other_matches(&Method::GET, "h", &target).count()
        };
        assert_eq!(count(b"/app"), 0);
        assert_eq!(count(b"/App"), 1);
    }

    #[test]
    fn a_route_is_unreachable_when_one_earlier_route_takes_it_all() {
        for (earlier, later, unreachable) in [
            ("* * /*", "GET h /a", true),
            ("* * /a/*", "* * /a", true),
            ("* * /a/*", "* * /a/b/*", true),
            ("* * /a/*", "* * /ab", false),
            ("* * /a", "* * /a/*", false),
            ("* * /a", "* * /A", false),
            ("* * /a", "* * /a", true),
            ("GET * /a", "HEAD * /a", true),
            ("HEAD * /a", "GET * /a", false),
            ("GET,POST * /a", "POST,HEAD * /a", true),
            ("GET,POST * /a", "POST,PUT * /a", false),
            ("GET * /a", "* * /a", false),
            ("* *.x.com /a", "* b.x.com /a", true),
            ("* *.x.com /a", "* *.x.com /a", true),
            ("* *.x.com /a", "* x.com /a", false),
            ("* *.x.com /a", "* a.b.x.com /a", false),
            ("* *.x.com /a", "* *.b.x.com /a", false),
            ("* b.x.com /a", "* *.x.com /a", false),
            ("* h /a", "* * /a", false),
            ("* * /a", "* h /a", true),
        ] {
            let expected: &[_] = if unreachable { &[(1, 0)] } else { &[] };
            assert_eq!(
                table(&[earlier, later]).unreachable(),
                expected,
                "{earlier} {later}"
            );
        }
    }

    #[test]
    fn each_unreachable_route_is_told_with_the_first_that_covers_it() {
        let table = table(&["GET * /a", "* * /a/*", "* * /b", "GET h /a/*", "GET h /a"]);
        assert_eq!(table.unreachable(), [(3, 1), (4, 0)]);
    }

    #[test]
    fn the_stricter_access_is_kept() {
        let step_up = |seconds| Access::StepUp {
            max_age: Duration::from_secs(seconds),
        };
        let ascending = [
            Access::Public,
            Access::SignedIn,
            Access::Full,
            step_up(60),
            step_up(5),
        ];
        for (low, one) in ascending.iter().enumerate() {
            for two in &ascending[low..] {
                assert_eq!(one.strictest(*two), *two);
                assert_eq!(two.strictest(*one), *two);
            }
        }
    }

    #[test]
    fn allow_admits_members_of_any_list() {
        let ann = EmailAddress::parse("ann@example.com").unwrap();
        let groups = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        let anyone = Allow::default();
        assert!(anyone.permits(None, &[]) && anyone.is_anyone());
        let staff = Allow {
            groups: groups(&["staff", "ops"]),
            ..Allow::default()
        };
        assert!(staff.permits(None, &groups(&["guests", "ops"])));
        assert!(!staff.permits(Some(&ann), &groups(&["Staff"])));
        assert!(!staff.permits(Some(&ann), &[]));
        let her = Allow {
            emails: vec![ann.clone()],
            ..staff.clone()
        };
        assert!(her.permits(Some(&ann), &[]) && her.permits(None, &groups(&["staff"])));
        assert!(!her.permits(EmailAddress::parse("bob@example.com").as_ref(), &[]));
        let domain = Allow {
            email_domains: groups(&["example.com"]),
            ..Allow::default()
        };
        assert!(domain.permits(Some(&ann), &[]));
        for other in [
            "ann@sub.example.com",
            "ann@badexample.com",
            "ann@example.com.evil.org",
        ] {
            assert!(
                !domain.permits(EmailAddress::parse(other).as_ref(), &[]),
                "{other}"
            );
        }
        assert!(!domain.permits(None, &groups(&["example.com"])));
    }

    #[test]
    fn hosts_are_named_exactly_or_by_a_wildcard_and_not_by_routes_for_every_host() {
        let table = RouteTable::new(
            ["* app.example.com /x", "* *.example.org /*", "* * /*"]
                .map(route)
                .into(),
        );
        for (host, named) in [
            ("app.example.com", true),
            ("wiki.example.com", false),
            ("wiki.example.org", true),
            ("example.org", false),
            ("a.b.example.org", false),
            ("", false),
        ] {
            assert_eq!(table.names_host(host), named, "{host}");
        }
    }

    #[test]
    fn the_strictest_step_up_of_a_host_is_the_least_age_that_any_of_its_routes_asks_for() {
        let step_up = |text: &str, seconds| Route {
            access: Access::StepUp {
                max_age: Duration::from_secs(seconds),
            },
            ..route(text)
        };
        let table = RouteTable::new(vec![
            step_up("* app.example.com /a", 300),
            step_up("* app.example.com /b", 60),
            step_up("* *.example.org /*", 10),
            route("* wiki.example.com /*"),
        ]);
        let strictest = |host| table.strictest_step_up(host).map(|age| age.as_secs());
        assert_eq!(strictest("app.example.com"), Some(60));
        assert_eq!(strictest("shop.example.org"), Some(10));
        assert_eq!(strictest("wiki.example.com"), None);
    }
}
