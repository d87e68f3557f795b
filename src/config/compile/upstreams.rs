//! `[[upstream]]`: the apps behind the gateway. [`servers`] looks up where they are, [`tls`] reads what they
//! are trusted by, [`health`] what they are asked.

mod health;
mod servers;
mod tls;

use super::Surroundings;
use crate::config::{
    Ejection, Upstream, UpstreamProtocol,
    file::{self, File, Section},
    findings::{Finding, Findings},
};

/// All upstreams, in the order of the file: routes hold indices into it.
pub(super) fn all(
    file: &File,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Vec<Upstream>> {
    note_duplicates(&file.upstream, findings);
    note_unused(file, findings);
    let upstreams: Vec<_> = file
        .upstream
        .iter()
        .map(|section| upstream(section, around, findings))
        .collect();
    tls::note_conflicts(&file.upstream, &upstreams, findings);
    upstreams.into_iter().collect()
}

fn upstream(
    section: &Section<file::Upstream>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Upstream> {
    let name = findings.required(section.value.name.as_ref(), section, "name", NAME);
    if let Some(name) = name.filter(|name| name.value.trim().is_empty()) {
        findings.error(name, Finding::value(NAME));
    }
    let written = findings.required(section.value.servers.as_ref(), section, "servers", SERVERS);
    let servers = written.and_then(|list| servers::all(list, around, findings));
    let tls = match (&section.value.tls, written) {
        (None, _) => Some(None),
        (Some(tls), Some(written)) => tls::tls(tls, written, around, findings).map(Some),
        (Some(_), None) => None,
    };
    let health = match (&section.value.health, written) {
        (None, _) => Some(None),
        (Some(health), Some(written)) => health::check(health, written, findings).map(Some),
        (Some(_), None) => None,
    };
    let eject = &section.value.eject.value;
    let failures = eject.failures.value.number();
    Some(Upstream {
        name: name?.value.clone(),
        servers: servers?,
        balance: section.value.balance.value,
        protocol: match section.value.protocol.value {
            file::UpstreamProtocol::Http1 => UpstreamProtocol::Http1,
            file::UpstreamProtocol::H2 => UpstreamProtocol::H2,
        },
        tls: tls?,
        connect_timeout: section.value.connect_timeout.value.duration(),
        read_timeout: section.value.read_timeout.value.duration(),
        write_timeout: section.value.write_timeout.value.duration(),
        total_timeout: section
            .value
            .total_timeout
            .as_ref()
            .map(|period| period.value.duration()),
        retries: section.value.retries.value.small(),
        max_connections: section
            .value
            .max_connections
            .as_ref()
            .map(|number| number.value.number()),
        max_idle: section.value.max_idle.value.number(),
        idle_timeout: section.value.idle_timeout.value.duration(),
        health: health?,
        ejection: (failures > 0).then(|| Ejection {
            failures,
            period: eject.period.value.duration(),
        }),
    })
}

const NAME: &str = "a name that routes refer to";
const SERVERS: &str = "a list such as [\"127.0.0.1:9000\"]";

fn note_duplicates(upstreams: &[Section<file::Upstream>], findings: &mut Findings<'_>) {
    let names: Vec<_> = upstreams
        .iter()
        .filter_map(|section| section.value.name.as_ref())
        .collect();
    for (index, name) in names.iter().enumerate() {
        if let Some(first) = names[..index]
            .iter()
            .find(|first| first.value == name.value)
        {
            let line = findings.line(*first);
            findings.error(
                *name,
                Finding::new(format!("the upstream in line {line} has this name already")),
            );
        }
    }
}

fn note_unused(file: &File, findings: &mut Findings<'_>) {
    let used: Vec<_> = file
        .route
        .iter()
        .filter_map(|route| route.value.upstream.as_ref())
        .collect();
    let names = file
        .upstream
        .iter()
        .filter_map(|section| section.value.name.as_ref());
    for name in names.filter(|name| !used.iter().any(|used| used.value == name.value)) {
        findings.warning(name, Finding::new("no route leads to this upstream"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{
        Balance,
        compile::fixture::{APP, PARTY, ROUTE, assert_found, read},
    };

    #[test]
    fn each_rule_of_upstreams_is_held() {
        for (text, expected) in [
            (
                APP,
                "upstream[1].name = \"app\": the upstream in line 4 has this name already",
            ),
            (
                "[[upstream]]\nname = \"b\"\nservers = [\"127.0.0.1:1\"]",
                "warning: upstream[1].name = \"b\": no route",
            ),
            (
                "[[upstream]]\nservers = [\"127.0.0.1:1\"]",
                "upstream[1].name: missing",
            ),
        ] {
            assert_found(&format!("{PARTY}{APP}{ROUTE}{text}\n"), expected);
        }
    }

    #[test]
    fn each_rule_of_one_upstream_is_held() {
        for (line, expected) in [
            ("balance = \"random\"", "upstream[0].balance = \"random\": "),
            ("protocol = \"h3\"", "upstream[0].protocol = \"h3\": "),
            ("retries = 6", "upstream[0].retries = 6: "),
            (
                "total_timeout = \"0s\"",
                "upstream[0].total_timeout = \"0s\": ",
            ),
            ("max_connections = 0", "upstream[0].max_connections = 0: "),
            ("max_idle = 0", "upstream[0].max_idle = 0: "),
            (
                "idle_timeout = \"soon\"",
                "upstream[0].idle_timeout = \"soon\": ",
            ),
            ("eject = { failures = 101 }", "upstream[0].eject.failures"),
            ("eject = { after = 5 }", "upstream[0].eject.after"),
        ] {
            assert_found(&format!("{PARTY}{APP}{line}\n{ROUTE}"), expected);
        }
    }

    fn with(lines: &str) -> Upstream {
        let folder = tempfile::TempDir::new().unwrap();
        let text = format!("{PARTY}{APP}{lines}\n{ROUTE}");
        let loaded = read(&folder, &text).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
        loaded.config.upstreams.into_iter().next().unwrap()
    }

    #[test]
    fn what_is_not_said_about_an_upstream_is_the_safe_choice() {
        let app = with("");
        assert_eq!(
            (app.balance, app.protocol, app.retries),
            (Balance::RoundRobin, UpstreamProtocol::Http1, 1)
        );
        assert_eq!(
            [app.connect_timeout, app.read_timeout, app.write_timeout],
            [5, 60, 60].map(Duration::from_secs)
        );
        assert!(app.total_timeout.is_none() && app.tls.is_none() && app.health.is_none());
        assert!(app.max_connections.is_none());
        let ejection = app.ejection.unwrap();
        assert_eq!(
            (ejection.failures, ejection.period),
            (5, Duration::from_secs(30))
        );
    }

    #[test]
    fn what_is_said_about_an_upstream_is_taken() {
        let app = with(
            "balance = \"consistent-hash\"\nprotocol = \"h2\"\ntotal_timeout = \"10m\"\nretries = 0\n\
             max_connections = 100\neject = { failures = 0 }",
        );
        assert_eq!(
            (app.balance, app.protocol, app.retries),
            (Balance::ConsistentHash, UpstreamProtocol::H2, 0)
        );
        assert_eq!(app.total_timeout, Some(Duration::from_mins(10)));
        assert_eq!((app.max_connections, app.ejection), (Some(100), None));
    }
}
