//! Properties of [`decide`], checked on random tables and requests against an oracle that was written
//! apart from it: plain loops over segments, no shortcuts, no shared code.

use std::{collections::BTreeSet, time::Duration};

use axum::http::Method;
use proptest::prelude::*;

use super::{
    certificate::{CertificateName, Certificates},
    decision::{Challenge, Decision, Denial, Request, Session, decide},
    route::{Access, Allow, PathPattern, Route, RouteTable},
    target::{Ambiguities, Target},
};
use crate::clock::Timestamp;

const NOW: i64 = 10_000;

/// A visitor: none, or restricted, step-up age and group; and whether the connection bears the certificate.
type Visitor = (Option<(bool, Option<i64>, bool)>, bool);

fn rule(
    path: &str,
    access: u8,
    (staff_only, machines_only): (bool, bool),
    tolerate: (bool, bool),
    post: bool,
) -> Route {
    Route {
        host: None,
        path: PathPattern::parse(path).unwrap(),
        methods: if post { vec![Method::POST] } else { vec![] },
        access: match access {
            0 => Access::Public,
            1 => Access::SignedIn,
            2 => Access::Full,
            minutes => Access::StepUp {
                max_age: Duration::from_secs(u64::from(minutes) * 60),
            },
        },
        allow: Allow {
            groups: if staff_only {
                vec!["staff".to_owned()]
            } else {
                vec![]
            },
            ..Allow::default()
        },
        tolerate: Ambiguities {
            encoded_slash: tolerate.0,
            double_encoding: tolerate.1,
        },
        upstream: Some(0),
        index: 0,
        line: 0,
        certificates: if machines_only {
            Certificates::OneOf(machine())
        } else {
            Certificates::NotAsked
        },
    }
}

/// The one certificate there is.
fn machine() -> Vec<CertificateName> {
    vec![CertificateName::parse("backup.example").unwrap()]
}

fn rules_over(patterns: &'static [&'static str]) -> impl Strategy<Value = Vec<Route>> {
    let one = (
        prop::sample::select(patterns),
        0..5u8,
        any::<(bool, bool)>(),
        any::<(bool, bool)>(),
        any::<bool>(),
    );
    prop::collection::vec(
        one.prop_map(|(path, access, staff, tolerate, post)| {
            rule(path, access, staff, tolerate, post)
        }),
        0..6,
    )
}

const PATTERNS: &[&str] = &[
    "/*", "/", "/a", "/a/*", "/a/b", "/a/b/*", "/b/*", "/A/*", "/A/b", "/a@/*", "/b/A",
];
const LOWER_CASE_PATTERNS: &[&str] = &["/*", "/", "/a", "/a/*", "/a/b", "/a/b/*", "/b/*", "/a@/*"];

fn paths() -> impl Strategy<Value = String> {
    let segments = prop::sample::select(vec![
        "a",
        "b",
        "A",
        "B",
        "",
        "a;x",
        ";",
        "a.",
        "b%20",
        "a%40",
        "a@",
        "a%2Fb",
        "%2561",
        "a%3Bx",
        ".gatehouse",
        ".Gatehouse",
        "a%2540",
    ]);
    prop::collection::vec(segments, 1..5).prop_map(|segments| format!("/{}", segments.join("/")))
}

fn visitors() -> impl Strategy<Value = Visitor> {
    let age = prop::option::of(prop::sample::select(vec![-1, 0, 180, 181, 240, 241]));
    (
        prop::option::of((any::<bool>(), age, any::<bool>())),
        any::<bool>(),
    )
}

/// What comes of it: the position of the route, or words.
fn decided(table: &RouteTable, method: &Method, path: &str, visitor: Visitor) -> Option<String> {
    let target = Target::parse(path.as_bytes()).ok()?;
    let staff = vec!["staff".to_owned()];
    let (session, certified) = visitor;
    let names = if certified { machine() } else { Vec::new() };
    let session = session.map(|(restricted, age, is_staff)| Session {
        restricted,
        stepped_up_at: age.map(|age| Timestamp::from_seconds(NOW - age)),
        email: None,
        groups: if is_staff { &staff } else { &[] },
    });
    let request = Request {
        method,
        host: "h",
        target: &target,
        session,
        now: Timestamp::from_seconds(NOW),
        certificate: &names,
    };
    Some(match decide(table, &request) {
        Decision::Forward(permit) => {
            let forwarded = permit.route();
            let is_it = |route: &Route| std::ptr::eq(route, forwarded);
            format!("route {}", table.routes().iter().position(is_it).unwrap())
        }
        Decision::OwnPage => "own page".to_owned(),
        Decision::Challenge(Challenge::SignIn) => "sign in".to_owned(),
        Decision::Challenge(Challenge::ReEnrol) => "re-enrol".to_owned(),
        Decision::Challenge(Challenge::StepUp { max_age }) => {
            format!("step up {}", max_age.as_secs())
        }
        Decision::Deny(Denial::NoRoute) => "no route".to_owned(),
        Decision::Deny(Denial::NotAllowed) => "not allowed".to_owned(),
        Decision::Deny(Denial::Ambiguous) => "ambiguous".to_owned(),
        Decision::Deny(Denial::NoCertificate) => "no certificate".to_owned(),
    })
}

fn forwarded(decision: Option<&str>) -> bool {
    decision.is_some_and(|decision| decision.starts_with("route "))
}

/// All paths, as segments, that the naive oracle can turn a path into.
fn naive_readings(path: &str) -> BTreeSet<Vec<String>> {
    let mut known = BTreeSet::new();
    let mut new = vec![segments(path)];
    while let Some(reading) = new.pop() {
        if !known.insert(reading.clone()) {
            continue;
        }
        let each = |change: &dyn Fn(&str) -> String| -> Vec<String> {
            reading.iter().map(|segment| change(segment)).collect()
        };
        new.push(each(&|s| s.split(';').next().unwrap().to_owned()));
        new.push(each(&|s| naive_trim(s)));
        new.push(each(&|s| s.replace("%40", "@").replace("%3B", ";")));
        new.push(each(&|s| s.replace("%2561", "a").replace("%2540", "%40")));
        new.push(segments(&format!(
            "/{}",
            reading.join("/").replace("%2F", "/")
        )));
        let mut merged: Vec<_> = reading.iter().filter(|s| !s.is_empty()).cloned().collect();
        if reading.last().is_some_and(String::is_empty) {
            merged.push(String::new());
        }
        new.push(merged);
        if reading.len() > 1 && reading.last().is_some_and(String::is_empty) {
            new.push(reading[..reading.len() - 1].to_vec());
        }
        if reading.len() > 1 && reading[0].is_empty() {
            let host = reading
                .iter()
                .position(|s| !s.is_empty())
                .unwrap_or(reading.len());
            let below = reading.get(host + 1..).unwrap_or_default().to_vec();
            new.push(if below.is_empty() {
                vec![String::new()]
            } else {
                below
            });
        }
    }
    known
}

fn segments(path: &str) -> Vec<String> {
    path[1..].split('/').map(str::to_owned).collect()
}

fn naive_trim(segment: &str) -> String {
    let mut text = segment.replace("%20", " ");
    while text.ends_with([' ', '.']) {
        text.pop();
    }
    text.replace(' ', "%20")
}

fn naive_match(pattern: &str, path: &[String]) -> bool {
    let pattern = segments(pattern);
    match pattern.split_last() {
        Some((last, base)) if last == "*" => path.starts_with(base),
        _ => pattern == path,
    }
}

/// What the rules say, read off one by one.
fn naive_decision(routes: &[Route], method: &Method, path: &str, visitor: Visitor) -> String {
    let canonical = segments(path);
    if canonical[0] == ".gatehouse" {
        return "own page".to_owned();
    }
    let readings = naive_readings(path);
    if readings
        .iter()
        .any(|reading| reading[0].to_lowercase() == ".gatehouse")
    {
        return "ambiguous".to_owned();
    }
    let first = |reading: &[String], fold: bool| {
        let lower = |text: &str| {
            if fold {
                text.to_lowercase()
            } else {
                text.to_owned()
            }
        };
        let reading: Vec<_> = reading.iter().map(|segment| lower(segment)).collect();
        routes.iter().position(|route| {
            (route.methods.is_empty() || route.methods.contains(method))
                && naive_match(&lower(route.path.as_str()), &reading)
        })
    };
    let Some(main) = first(&canonical, false) else {
        return "no route".to_owned();
    };
    let tolerate = routes[main].tolerate;
    if (path.contains("%2F") && !tolerate.encoded_slash)
        || (path.contains("%25") && !tolerate.double_encoding)
    {
        return "ambiguous".to_owned();
    }
    let matched: BTreeSet<usize> = readings
        .iter()
        .flat_map(|reading| [first(reading, false), first(reading, true)])
        .flatten()
        .collect();
    let rules = || matched.iter().map(|&index| &routes[index]);
    let (session, certified) = visitor;
    if !certified && rules().any(|rule| rule.certificates != Certificates::NotAsked) {
        return "no certificate".to_owned();
    }
    let closed: Vec<_> = rules()
        .filter(|rule| rule.access != Access::Public)
        .collect();
    if closed.is_empty() {
        return format!("route {main}");
    }
    let Some((restricted, age, is_staff)) = session else {
        return "sign in".to_owned();
    };
    if closed.iter().any(|rule| !rule.allow.groups.is_empty()) && !is_staff {
        return "not allowed".to_owned();
    }
    if restricted && closed.iter().any(|rule| rule.access != Access::SignedIn) {
        return "re-enrol".to_owned();
    }
    let ages = closed.iter().filter_map(|rule| match rule.access {
        Access::StepUp { max_age } => Some(max_age.as_secs()),
        Access::Public | Access::SignedIn | Access::Full => None,
    });
    match ages.min() {
        Some(max) if !age.is_some_and(|age| u64::try_from(age).is_ok_and(|age| age <= max)) => {
            format!("step up {max}")
        }
        Some(_) | None => format!("route {main}"),
    }
}

/// A plain path, and another spelling of it.
fn spellings() -> impl Strategy<Value = (String, String)> {
    let segment = (
        prop::sample::select(vec!["a", "b", "ab"]),
        prop::sample::select(vec!["", ";", ";x=1", ".", "%20", "%3Bx"]),
        prop::sample::select(vec!["/", "//", "/;/", "///"]),
        any::<bool>(),
    );
    (prop::collection::vec(segment, 1..4), any::<bool>()).prop_map(|(segments, slash_at_end)| {
        let (mut plain, mut spelt) = (String::new(), String::new());
        for (name, suffix, slash, upper) in segments {
            plain += &format!("/{name}");
            let name = if upper {
                name.to_uppercase()
            } else {
                name.to_owned()
            };
            spelt += &format!("{slash}{name}{}", suffix);
        }
        if slash_at_end {
            spelt.push('/');
        }
        (plain, spelt)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn decide_agrees_with_the_oracle(
        routes in rules_over(PATTERNS), path in paths(), visitor in visitors(), post in any::<bool>(),
    ) {
        let method = if post { Method::POST } else { Method::GET };
        let naive = naive_decision(&routes, &method, &path, visitor);
        if let Some(decision) = decided(&RouteTable::new(routes), &method, &path, visitor) {
            prop_assert_eq!(decision, naive);
        }
    }

    #[test]
    fn readings_are_those_of_the_oracle(path in paths()) {
        if let Ok(target) = Target::parse(path.as_bytes()) {
            let found: BTreeSet<_> = target.readings().map(|reading| segments(reading.path())).collect();
            prop_assert_eq!(found, naive_readings(&path));
        }
    }

    #[test]
    fn a_stronger_session_passes_wherever_a_weaker_one_does(
        routes in rules_over(PATTERNS),
        path in paths(),
        is_staff in any::<bool>(),
        certified in any::<bool>(),
    ) {
        let table = RouteTable::new(routes);
        let ascending = [
            None,
            Some((true, None, is_staff)),
            Some((true, Some(0), is_staff)),
            Some((false, None, is_staff)),
            Some((false, Some(200), is_staff)),
            Some((false, Some(0), is_staff)),
        ];
        let passes = ascending.map(|visitor| {
            forwarded(decided(&table, &Method::GET, &path, (visitor, certified)).as_deref())
        });
        prop_assert!(passes.is_sorted(), "{:?}", passes);
    }

    #[test]
    fn joining_a_group_never_takes_away(
        routes in rules_over(PATTERNS), path in paths(), restricted in any::<bool>(), age in 0..400i64,
    ) {
        let table = RouteTable::new(routes);
        let passes = |is_staff| {
            let visitor = (Some((restricted, Some(age), is_staff)), true);
            forwarded(decided(&table, &Method::GET, &path, visitor).as_deref())
        };
        prop_assert!(!passes(false) || passes(true));
    }

    #[test]
    fn a_certificate_never_takes_away(
        routes in rules_over(PATTERNS), path in paths(), visitor in visitors(),
    ) {
        let table = RouteTable::new(routes);
        let passes = |certified| {
            let visitor = (visitor.0, certified);
            forwarded(decided(&table, &Method::GET, &path, visitor).as_deref())
        };
        prop_assert!(!passes(false) || passes(true));
    }

    #[test]
    fn no_spelling_gets_past_the_rule_of_the_plain_path(
        mut routes in rules_over(LOWER_CASE_PATTERNS),
        (plain, spelt) in spellings(),
        visitor in visitors(),
    ) {
        routes.push(rule("/*", 0, (false, false), (false, false), false));
        let table = RouteTable::new(routes);
        let passes = |path| forwarded(decided(&table, &Method::POST, path, visitor).as_deref());
        prop_assert!(!passes(&spelt) || passes(&plain), "{} {}", plain, spelt);
    }

    #[test]
    fn what_is_called_unreachable_is_never_matched(routes in rules_over(PATTERNS), path in paths()) {
        let table = RouteTable::new(routes);
        let Ok(target) = Target::parse(path.as_bytes()) else { return Ok(()) };
        for method in [Method::GET, Method::POST] {
            if let Some(found) = table.find(&method, "h", &target) {
                let claims = table.unreachable();
                let is_found = |(route, _): &(usize, usize)| std::ptr::eq(&table.routes()[*route], found);
                prop_assert!(!claims.iter().any(is_found));
            }
        }
    }
}
