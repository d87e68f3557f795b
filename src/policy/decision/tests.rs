//! The rules of the decision as tables.

use super::*;
use crate::policy::{
    certificate::{CertificateName, Certificates},
    route::{HostPattern, PathPattern},
    target::Ambiguities,
};

const NOW: Timestamp = Timestamp::from_seconds(1_000_000);
const FIVE_MINUTES: Access = step_up(300);

const fn step_up(seconds: u64) -> Access {
    Access::StepUp {
        max_age: Duration::from_secs(seconds),
    }
}

fn route(path: &str, access: Access) -> Route {
    Route {
        host: None,
        path: PathPattern::parse(path).unwrap(),
        methods: Vec::new(),
        access,
        allow: Allow::default(),
        tolerate: Ambiguities::default(),
        upstream: Some(0),
        index: 0,
        line: 0,
        certificates: Certificates::default(),
    }
}

fn for_group(group: &str, route: Route) -> Route {
    Route {
        allow: Allow {
            groups: vec![group.to_owned()],
            ..Allow::default()
        },
        ..route
    }
}

fn session(groups: &[String]) -> Session<'_> {
    Session {
        restricted: false,
        stepped_up_at: None,
        email: None,
        groups,
    }
}

fn full() -> Session<'static> {
    session(&[])
}

fn restricted() -> Session<'static> {
    Session {
        restricted: true,
        ..full()
    }
}

fn stepped_up(seconds_ago: i64) -> Session<'static> {
    Session {
        stepped_up_at: Some(Timestamp::from_seconds(NOW.seconds() - seconds_ago)),
        ..full()
    }
}

/// The decision in short, with the index of the route that it forwards by.
#[derive(Debug, PartialEq)]
enum Short {
    Forward(usize),
    Own,
    Ask(Challenge),
    Deny(Denial),
}

use Short::{Ask, Deny, Forward, Own};

fn decided(routes: Vec<Route>, path: &str, session: Option<Session<'_>>) -> Short {
    decided_for(routes, &Method::GET, "h", path, session)
}

fn decided_for(
    routes: Vec<Route>,
    method: &Method,
    host: &str,
    path: &str,
    session: Option<Session<'_>>,
) -> Short {
    decided_with(routes, method, host, path, (session, &[]))
}

fn decided_with(
    mut routes: Vec<Route>,
    method: &Method,
    host: &str,
    path: &str,
    (session, certificate): (Option<Session<'_>>, &[CertificateName]),
) -> Short {
    for (index, route) in routes.iter_mut().enumerate() {
        route.upstream = Some(index);
    }
    let table = RouteTable::new(routes);
    let target = Target::parse(path.as_bytes()).unwrap();
    let request = Request {
        method,
        host,
        target: &target,
        session,
        now: NOW,
        certificate,
    };
    match decide(&table, &request) {
        Decision::Forward(permit) => Forward(permit.route().upstream.unwrap()),
        Decision::OwnPage => Own,
        Decision::Challenge(challenge) => Ask(challenge),
        Decision::Deny(denial) => Deny(denial),
    }
}

#[test]
fn each_access_and_each_kind_of_session() {
    let sign_in = || Ask(Challenge::SignIn);
    let re_enrol = || Ask(Challenge::ReEnrol);
    let prove = || {
        Ask(Challenge::StepUp {
            max_age: Duration::from_secs(300),
        })
    };
    let restricted_and_stepped_up = Session {
        restricted: true,
        ..stepped_up(0)
    };
    let go = || Forward(0);
    for (session, expected) in [
        (None, [go(), sign_in(), sign_in(), sign_in()]),
        (Some(restricted()), [go(), go(), re_enrol(), re_enrol()]),
        (
            Some(restricted_and_stepped_up),
            [go(), go(), re_enrol(), re_enrol()],
        ),
        (Some(full()), [go(), go(), go(), prove()]),
        (Some(stepped_up(0)), [go(), go(), go(), go()]),
        (Some(stepped_up(300)), [go(), go(), go(), go()]),
        (Some(stepped_up(301)), [go(), go(), go(), prove()]),
        (Some(stepped_up(-1)), [go(), go(), go(), prove()]),
        (Some(stepped_up(i64::MIN / 2)), [go(), go(), go(), prove()]),
        (Some(stepped_up(i64::MAX / 2)), [go(), go(), go(), prove()]),
    ] {
        let accesses = [Access::Public, Access::SignedIn, Access::Full, FIVE_MINUTES];
        for (access, expected) in accesses.into_iter().zip(expected) {
            let decision = decided(vec![route("/*", access)], "/x", session);
            assert_eq!(decision, expected, "{access:?} {session:?}");
        }
    }
}

#[test]
fn what_no_route_names_is_not_forwarded() {
    assert_eq!(decided(vec![], "/", Some(full())), Deny(Denial::NoRoute));
    let on_host = Route {
        host: Some(HostPattern::parse("*.example.com").unwrap()),
        methods: vec![Method::GET],
        ..route("/app/*", Access::Public)
    };
    for (method, host, path, expected) in [
        (Method::GET, "a.example.com", "/app", Forward(0)),
        (Method::HEAD, "a.example.com", "/app", Forward(0)),
        (Method::POST, "a.example.com", "/app", Deny(Denial::NoRoute)),
        (Method::GET, "example.com", "/app", Deny(Denial::NoRoute)),
        (Method::GET, "a.example.com", "/", Deny(Denial::NoRoute)),
        (Method::GET, "a.example.com", "//app", Deny(Denial::NoRoute)),
    ] {
        let decision = decided_for(vec![on_host.clone()], &method, host, path, None);
        assert_eq!(decision, expected, "{method} {host} {path}");
    }
}

#[test]
fn own_pages_are_never_forwarded_however_they_are_spelt() {
    for (path, expected) in [
        ("/.gatehouse", Own),
        ("/.gatehouse/sign-in?x", Own),
        ("/.well-known/change-password", Own),
        ("/.well-known/security.txt", Forward(0)),
        ("/.gatehouses", Forward(0)),
        ("/.Gatehouse/x", Deny(Denial::Ambiguous)),
        ("//.gatehouse", Deny(Denial::Ambiguous)),
        ("/.gatehouse;a", Deny(Denial::Ambiguous)),
        ("/.gatehouse%2Fx", Deny(Denial::Ambiguous)),
        ("/.gatehouse./x", Deny(Denial::Ambiguous)),
        ("/%252Egatehouse/x", Deny(Denial::Ambiguous)),
    ] {
        let tolerant = Route {
            tolerate: Ambiguities {
                encoded_slash: true,
                double_encoding: true,
            },
            ..route("/*", Access::Public)
        };
        assert_eq!(decided(vec![tolerant], path, None), expected, "{path}");
    }
    assert_eq!(decided(vec![], "/.gatehouse/x", None), Own);
}

#[test]
fn an_ambiguity_passes_only_where_it_is_tolerated() {
    let slash = Ambiguities {
        encoded_slash: true,
        double_encoding: false,
    };
    let tolerant = Route {
        tolerate: slash,
        ..route("/files/*", Access::Public)
    };
    let routes = vec![tolerant, route("/*", Access::Public)];
    for (path, expected) in [
        ("/files/a%2Fb", Forward(0)),
        ("/files%2Fa", Deny(Denial::Ambiguous)),
        ("/a%2Fb", Deny(Denial::Ambiguous)),
        ("/files/%2541", Deny(Denial::Ambiguous)),
        ("/files/%2541%2F", Deny(Denial::Ambiguous)),
    ] {
        assert_eq!(decided(routes.clone(), path, None), expected, "{path}");
    }
}

#[test]
fn a_tolerated_ambiguity_is_held_to_what_it_decodes_to() {
    let tolerant = Route {
        tolerate: Ambiguities {
            encoded_slash: true,
            double_encoding: true,
        },
        ..route("/*", Access::Public)
    };
    let routes = vec![route("/admin/x", Access::Full), tolerant];
    for path in ["/admin%2Fx", "/%2561dmin/x", "/admin%2F%2578"] {
        let decision = decided(routes.clone(), path, None);
        assert_eq!(decision, Ask(Challenge::SignIn), "{path}");
    }
    assert_eq!(decided(routes, "/admin%2Fy", None), Forward(1));
}

#[test]
fn the_strictest_reading_is_asked_for_and_the_canonical_one_is_forwarded() {
    let routes = vec![
        route("/admin/*", step_up(600)),
        route("/Secret", step_up(60)),
        route("/users/me@home", Access::Full),
        route("/*", Access::SignedIn),
    ];
    for path in [
        "/Admin",
        "/ADMIN/x",
        "//admin",
        "/admin;x",
        "/;x/admin",
        "/admin./x",
        "/admin%20",
        "/admin;/x",
        "//x/admin",
        "/admin%3Bx",
        "/secret",
        "/secret/",
        "/SECRET;a",
    ] {
        let decision = decided(routes.clone(), path, Some(full()));
        assert!(matches!(decision, Ask(Challenge::StepUp { .. })), "{path}");
    }
    let fresh = Some(stepped_up(100));
    assert_eq!(decided(routes.clone(), "/Admin", fresh), Forward(3));
    let shorter = Ask(Challenge::StepUp {
        max_age: Duration::from_secs(60),
    });
    assert_eq!(decided(routes.clone(), "/secret", fresh), shorter);
    for path in ["/users/me%40home", "/Users/me@home", "/users/me@home/"] {
        let decision = decided(routes.clone(), path, Some(restricted()));
        assert_eq!(decision, Ask(Challenge::ReEnrol), "{path}");
    }
}

#[test]
fn everybody_who_may_pass_by_each_reading_may_pass() {
    let routes = vec![
        for_group("ops", route("/admin/*", Access::SignedIn)),
        for_group("ops", route("/open", Access::Public)),
        for_group("staff", route("/*", Access::Full)),
    ];
    let groups = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    for (path, member_of, expected) in [
        ("/admin", &["ops"][..], Forward(0)),
        ("/admin", &["staff"], Deny(Denial::NotAllowed)),
        ("/Admin", &["ops"], Deny(Denial::NotAllowed)),
        ("/Admin", &["staff"], Deny(Denial::NotAllowed)),
        ("/Admin", &["staff", "ops"], Forward(2)),
        ("/Open", &["staff"], Forward(2)),
        ("/open", &[], Forward(1)),
    ] {
        let groups = groups(member_of);
        let decision = decided(routes.clone(), path, Some(session(&groups)));
        assert_eq!(decision, expected, "{path} {member_of:?}");
    }
    assert_eq!(decided(routes.clone(), "/open", None), Forward(1));
    assert_eq!(decided(routes, "/Open", None), Ask(Challenge::SignIn));
}

#[test]
fn nobody_is_asked_to_step_up_for_what_they_cannot_have() {
    let routes = vec![for_group("ops", route("/*", FIVE_MINUTES))];
    for session in [restricted(), full(), stepped_up(0)] {
        let decision = decided(routes.clone(), "/", Some(session));
        assert_eq!(decision, Deny(Denial::NotAllowed));
    }
    assert_eq!(decided(routes, "/", None), Ask(Challenge::SignIn));
}

fn for_machine(name: &str, route: Route) -> Route {
    Route {
        certificates: Certificates::OneOf(vec![CertificateName::parse(name).unwrap()]),
        ..route
    }
}

#[test]
fn a_route_for_machines_asks_for_their_certificate_before_anything_else() {
    let backup = [CertificateName::parse("backup.example").unwrap()];
    let other = [CertificateName::parse("other.example").unwrap()];
    let refused = || Deny(Denial::NoCertificate);
    for (access, session, names, expected) in [
        (Access::Public, None, &backup[..], Forward(0)),
        (Access::Public, None, &other, refused()),
        (Access::Public, None, &[], refused()),
        (Access::Full, None, &[], refused()),
        (Access::Full, None, &backup, Ask(Challenge::SignIn)),
        (Access::Full, Some(full()), &[], refused()),
        (Access::Full, Some(full()), &backup, Forward(0)),
        (
            Access::Full,
            Some(restricted()),
            &backup,
            Ask(Challenge::ReEnrol),
        ),
    ] {
        let routes = vec![for_machine("backup.example", route("/*", access))];
        let found = decided_with(routes, &Method::GET, "h", "/x", (session, names));
        assert_eq!(found, expected, "{access:?} {names:?}");
    }
}

#[test]
fn no_other_reading_gets_past_a_certificate() {
    let routes = || {
        vec![
            for_machine("backup.example", route("/dump/*", Access::Public)),
            route("/*", Access::Public),
        ]
    };
    let backup = [CertificateName::parse("backup.example").unwrap()];
    for path in ["/dump/all", "//dump/all", "/Dump/all", "/dump;x/all"] {
        let with = |names| decided_with(routes(), &Method::GET, "h", path, (None, names));
        assert_eq!(with(&[]), Deny(Denial::NoCertificate), "{path}");
        assert!(matches!(with(&backup), Forward(_)), "{path}");
    }
    assert_eq!(decided(routes(), "/other", None), Forward(1));
}
