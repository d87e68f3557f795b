//! `[[route]]`: what each request needs and where it goes.

use std::sync::Arc;

use axum::http::Method;

use super::{forward_auth, people};
use crate::{
    config::{
        file::{self, AccessLevel, At, File, HttpMethod, List, Section, Tolerated},
        findings::{Finding, Findings},
        suggestion::nearest,
    },
    email_address::EmailAddress,
    policy::{
        certificate::{CertificateName, Certificates},
        report_only::{Doubt, ReportOnly},
        route::{Access, Allow, HostPattern, PathPattern, Route, RouteTable},
        target::Ambiguities,
    },
};

/// The route table, and the one with routes that are only tried out in their places.
pub(super) fn tables(
    file: &File,
    findings: &mut Findings<'_>,
) -> Option<(Arc<RouteTable>, Option<Arc<ReportOnly>>)> {
    if file.route.is_empty() {
        let nowhere = At::from(());
        let finding = Finding::new("missing")
            .expected("at least one [[route]]: nothing is forwarded that no route names");
        findings.missing(&nowhere, "route", finding);
        return None;
    }
    let routes: Vec<_> = file
        .route
        .iter()
        .enumerate()
        .map(|(index, section)| route(index, section, file, findings))
        .collect();
    let all: Vec<Route> = routes.into_iter().collect::<Option<_>>()?;
    let is_tried = |route: &Route| file.route[route.index].value.report_only.value;
    let (tried, in_force): (Vec<_>, Vec<_>) = all.iter().cloned().partition(is_tried);
    let table = RouteTable::new(in_force);
    for (later, earlier) in table.unreachable() {
        warn_of_cover(
            &table.routes()[later],
            &table.routes()[earlier],
            file,
            findings,
        );
    }
    let tried = tried.iter().map(|route| route.index).collect();
    let report_only = ReportOnly::new(all, tried);
    for doubt in report_only.iter().flat_map(|tried| tried.doubts(&table)) {
        match doubt {
            Doubt::NeverAsked { route, by } => warn_of_cover(route, by, file, findings),
            Doubt::NothingInForce { route } => {
                let problem = "only tried out, and no other route takes any of its requests: they get 404 until it \
                               is enforced";
                let key = &file.route[route.index].value.report_only;
                findings.warning(key, Finding::new(problem));
            }
        }
    }
    Some((Arc::new(table), report_only.map(Arc::new)))
}

fn warn_of_cover(later: &Route, earlier: &Route, file: &File, findings: &mut Findings<'_>) {
    let line = findings.line(&file.route[earlier.index]);
    let problem = format!("can never match: the route in line {line} takes all of its requests");
    findings.warning(&file.route[later.index], Finding::new(problem));
}

/// The host of a route in lower case, unless it has a wildcard or cannot be read.
pub(super) fn exact_host(host: &At<String>) -> Option<String> {
    let pattern = HostPattern::parse(&host.value).ok()?;
    (!pattern.as_str().starts_with('*')).then(|| pattern.as_str().to_owned())
}

fn route(
    index: usize,
    section: &Section<file::Route>,
    file: &File,
    findings: &mut Findings<'_>,
) -> Option<Route> {
    let route = &section.value;
    let host = route
        .host
        .as_ref()
        .map(|host| read(host, HostPattern::parse, findings));
    let path = read(&route.path, PathPattern::parse, findings);
    let methods = methods(route.methods.as_ref(), findings);
    let access = access(section, findings);
    let allow = allow(route, findings);
    let upstream = match forward_auth::is_alone(section, file, findings) {
        true => Some(None),
        false => upstream_index(section, file, findings).map(Some),
    };
    let certificates = client_certificates(route, file, findings);
    Some(Route {
        host: host.map_or(Some(None), |host| host.map(Some))?,
        path: path?,
        methods: methods?,
        access: access?,
        allow: allow?,
        tolerate: Ambiguities {
            encoded_slash: tolerates(route, Tolerated::EncodedSlash),
            double_encoding: tolerates(route, Tolerated::DoubleEncoding),
        },
        upstream: upstream?,
        index,
        line: findings.line(section),
        certificates: certificates?,
    })
}

fn tolerates(route: &file::Route, what: Tolerated) -> bool {
    route.tolerate.value.iter().any(|named| named.value == what)
}

fn read<T>(
    text: &At<String>,
    parse: fn(&str) -> Result<T, String>,
    findings: &mut Findings<'_>,
) -> Option<T> {
    match parse(&text.value) {
        Ok(value) => Some(value),
        Err(problem) => {
            findings.error(text, Finding::new(problem));
            None
        }
    }
}

fn methods(list: Option<&List<HttpMethod>>, findings: &mut Findings<'_>) -> Option<Vec<Method>> {
    let Some(list) = list else {
        return Some(Vec::new());
    };
    // An empty list means every method in the table; whoever wrote one meant none or forgot it.
    let filled = findings.filled(
        list,
        "at least one method; without the key every method matches",
    );
    filled.then(|| {
        list.value
            .iter()
            .map(|method| http_method(method.value))
            .collect()
    })
}

fn http_method(method: HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
    }
}

fn access(section: &Section<file::Route>, findings: &mut Findings<'_>) -> Option<Access> {
    let route = &section.value;
    let access = match (route.access.value, &route.max_age) {
        (AccessLevel::StepUp, Some(max_age)) => {
            let max_age = max_age.value.duration();
            return Some(Access::StepUp { max_age });
        }
        (AccessLevel::StepUp, None) => {
            let finding = Finding::new("missing, and access is \"step_up\"")
                .expected("a duration such as \"5m\"");
            findings.missing(section, "max_age", finding);
            return None;
        }
        (AccessLevel::Public, _) => Access::Public,
        (AccessLevel::SignedIn, _) => Access::SignedIn,
        (AccessLevel::Full, _) => Access::Full,
    };
    if let Some(max_age) = &route.max_age {
        findings.error(
            max_age,
            Finding::new("has no effect").expected("it with access = \"step_up\" alone"),
        );
    }
    Some(access)
}

fn allow(route: &file::Route, findings: &mut Findings<'_>) -> Option<Allow> {
    let Some(section) = &route.allow else {
        return Some(Allow::default());
    };
    if route.access.value == AccessLevel::Public {
        let problem = "a public route asks nobody who they are";
        findings.error(
            section,
            Finding::new(problem).expected("it with any other access"),
        );
        return None;
    }
    let file::Allow {
        groups,
        emails,
        email_domains,
    } = &*section.value;
    // The table reads three empty lists as anyone.
    if groups.is_none()
        && emails.is_none()
        && email_domains.is_none()
        && !findings.had_keys(section)
    {
        let finding =
            Finding::new("names nobody").expected("`groups`, `emails` or `email_domains`");
        findings.error(section, finding);
        return None;
    }
    let groups = groups
        .as_ref()
        .map_or(Some(Vec::new()), |list| group_names(list, findings));
    let emails = emails
        .as_ref()
        .map_or(Some(Vec::new()), |list| addresses(list, findings));
    let email_domains = email_domains
        .as_ref()
        .map_or(Some(Vec::new()), |list| people::domains(list, findings));
    Some(Allow {
        groups: groups?,
        emails: emails?,
        email_domains: email_domains?,
    })
}

fn client_certificates(
    route: &file::Route,
    file: &File,
    findings: &mut Findings<'_>,
) -> Option<Certificates> {
    let Some(list) = &route.client_certificates else {
        return Some(Certificates::NotAsked);
    };
    let accepted = "a DNS name such as \"backup.example.com\" or a URI such as \
                    \"spiffe://example.com/backup\", as the certificate bears it";
    let filled = findings.filled(list, accepted);
    if file.server.client_ca.is_none() {
        let finding = Finding::new("has no effect without server.client_ca")
            .expected("it with an authority whose certificates are believed");
        findings.error(list, finding);
        return None;
    }
    let mut names = Vec::new();
    for text in &list.value {
        match CertificateName::parse(&text.value) {
            Some(name) => names.push(name),
            None => findings.error(text, Finding::value(accepted)),
        }
    }
    filled.then_some(Certificates::OneOf(names))
}

fn group_names(list: &List<String>, findings: &mut Findings<'_>) -> Option<Vec<String>> {
    // Upstreams get groups joined by commas: a name with one would read as two.
    let accepted = "the name of a group, without comma or control character";
    let filled = findings.filled(list, accepted);
    for name in &list.value {
        if name.value.trim().is_empty() || name.value.contains(|c: char| c == ',' || c.is_control())
        {
            findings.error(name, Finding::value(accepted));
        }
    }
    filled.then(|| list.value.iter().map(|name| name.value.clone()).collect())
}

fn addresses(list: &List<String>, findings: &mut Findings<'_>) -> Option<Vec<EmailAddress>> {
    let accepted = "an email address such as \"ann@example.com\"";
    let filled = findings.filled(list, accepted);
    let mut addresses = Vec::new();
    for text in &list.value {
        match EmailAddress::parse(&text.value) {
            Some(address) => addresses.push(address),
            None => findings.error(text, Finding::value(accepted)),
        }
    }
    filled.then_some(addresses)
}

const OR_FORWARD_AUTH: &str =
    "the name of an [[upstream]], or server.forward_auth where another proxy serves the route";

fn upstream_index(
    section: &Section<file::Route>,
    file: &File,
    findings: &mut Findings<'_>,
) -> Option<usize> {
    let wanted = section.value.upstream.as_ref();
    let wanted = findings.required(wanted, section, "upstream", OR_FORWARD_AUTH)?;
    let names: Vec<Option<&str>> = file
        .upstream
        .iter()
        .map(|section| section.value.name.as_ref().map(|name| name.value.as_str()))
        .collect();
    let found = names.iter().position(|name| *name == Some(&wanted.value));
    if found.is_none() {
        let known: Vec<&str> = names.into_iter().flatten().collect();
        let listed: Vec<String> = known.iter().map(|name| format!("\"{name}\"")).collect();
        let accepted = match listed.join(", ") {
            none if none.is_empty() => {
                "the name of an [[upstream]], of which there is none".to_owned()
            }
            names => format!("the name of an [[upstream]]: {names}"),
        };
        let finding = Finding::new("unknown upstream").expected(accepted);
        findings.error(wanted, finding.suggest(nearest(&wanted.value, known)));
    }
    found
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::config::compile::fixture::{APP, PARTY, ROUTE, assert_found, read};

    #[test]
    fn each_rule_of_routes_is_held() {
        for (text, expected) in [
            (
                "[[route]]\nupstream = \"app\"\npath = \"/.gatehouse/x\"",
                "route[1].path = \"/.gatehouse/x\":",
            ),
            (
                "[[route]]\nupstream = \"app\"\nhost = \"a:80\"",
                "route[1].host = \"a:80\":",
            ),
            (
                "[[route]]\nupstream = \"app\"\nmethods = []",
                "route[1].methods: empty list",
            ),
            (
                "[[route]]\nupstream = \"app\"\naccess = \"step_up\"",
                "route[1].max_age: missing",
            ),
            (
                "[[route]]\nupstream = \"app\"\nmax_age = \"5m\"",
                "route[1].max_age = \"5m\": has no effect",
            ),
            (
                "[[route]]\nupstream = \"app\"\nallow = {}",
                "route[1].allow: names nobody",
            ),
            (
                "[[route]]\nupstream = \"app\"\nallow.groups = []",
                "route[1].allow.groups: empty list",
            ),
            (
                "[[route]]\nupstream = \"app\"\nallow.groups = [\"a,b\"]",
                "allow.groups[0] = \"a,b\": wrong value",
            ),
            (
                "[[route]]\nupstream = \"app\"\nallow.groups = 5",
                "route[1].allow.groups = 5: wrong type",
            ),
            (
                "[[route]]\nupstream = \"app\"\nallow.emails = [\"ann\"]",
                "allow.emails[0] = \"ann\": wrong value",
            ),
            (
                "[[route]]\nupstream = \"app\"\nallow.email_domains = [\"@b\"]",
                "allow.email_domains[0] = \"@b\": wrong",
            ),
            (
                "[[route]]\nupstream = \"app\"\naccess = \"public\"\nallow.groups = [\"a\"]",
                "route[1].allow: a public route asks nobody",
            ),
            (
                "[[route]]\nupstream = \"app\"\nclient_certificates = [\"a.example\"]",
                "route[1].client_certificates: has no effect without server.client_ca",
            ),
            (
                "[[route]]\nupstream = \"app\"\nhost = \"new.example.com\"\nreport_only = true",
                "f:12:15: warning: route[1].report_only = true: only tried out, and no other route takes any",
            ),
            (
                "[[route]]\nupstream = \"app\"\nhost = \"app.example.com\"\npath = \"/x\"\nreport_only = true",
                "f:9:1: warning: route[1]: can never match: the route in line 6 takes all of its requests",
            ),
            (
                "[[route]]\nupstream = \"app\"\nhost = \"app.example.com\"\npath = \"/x\"",
                "f:9:1: warning: route[1]: can never match: the route in line 6 takes all of its requests",
            ),
        ] {
            assert_found(&format!("{PARTY}{APP}{ROUTE}{text}\n"), expected);
        }
        assert_found(
            &format!("{PARTY}origins = [\"https://example.com\"]\n"),
            "f: route: missing; expected at least one",
        );
    }

    #[test]
    fn a_route_that_is_tried_out_decides_nothing_and_keeps_its_place() {
        let tried = "[[route]]\nupstream = \"app\"\npath = \"/money/*\"\naccess = \"step_up\"\nmax_age = \"5m\"\n\
                     report_only = true\n";
        let rest =
            "[[route]]\nupstream = \"app\"\nhost = \"app.example.com\"\nmax_body = \"1KiB\"\n";
        let folder = TempDir::new().unwrap();
        let loaded = read(&folder, &format!("{PARTY}{APP}{tried}{rest}"))
            .unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(loaded.warnings, []);
        let config = loaded.config;
        let places = |table: &RouteTable| -> Vec<_> {
            table.routes().iter().map(|route| route.index).collect()
        };
        assert_eq!(places(&config.routes), [1]);
        assert_eq!(
            places(config.report_only.as_ref().unwrap().routes()),
            [0, 1]
        );
        assert_eq!(config.deliveries[1].max_body, Some(1024));
    }
}
