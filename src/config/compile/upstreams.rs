//! `[[upstream]]`: the apps behind the gateway and the addresses of their servers.

use std::net::{SocketAddr, ToSocketAddrs};

use crate::config::{
    Upstream,
    file::{self, At, File, List, Section, ServerAddress},
    findings::{Finding, Findings},
};

/// All upstreams, in the order of the file: routes hold indices into it.
pub(super) fn all(file: &File, findings: &mut Findings<'_>) -> Option<Vec<Upstream>> {
    note_duplicates(&file.upstream, findings);
    note_unused(file, findings);
    let upstreams: Vec<_> = file
        .upstream
        .iter()
        .map(|section| upstream(section, findings))
        .collect();
    upstreams.into_iter().collect()
}

fn upstream(section: &Section<file::Upstream>, findings: &mut Findings<'_>) -> Option<Upstream> {
    let name = findings.required(section.value.name.as_ref(), section, "name", NAME);
    let servers = findings.required(section.value.servers.as_ref(), section, "servers", SERVERS);
    if let Some(name) = name.filter(|name| name.value.trim().is_empty()) {
        findings.error(name, Finding::value(NAME));
    }
    let servers = servers.and_then(|list| resolve_all(list, findings));
    Some(Upstream {
        name: name?.value.clone(),
        servers: servers?,
        connect_timeout: section.value.connect_timeout.value.duration(),
        read_timeout: section.value.read_timeout.value.duration(),
    })
}

const NAME: &str = "a name that routes refer to";
const SERVERS: &str = "a list such as [\"127.0.0.1:9000\"]";

fn resolve_all(list: &List<ServerAddress>, findings: &mut Findings<'_>) -> Option<Vec<SocketAddr>> {
    if !findings.filled(list, SERVERS) {
        return None;
    }
    let resolved: Vec<_> = list
        .value
        .iter()
        .map(|server| resolve(server, findings))
        .collect();
    resolved.into_iter().collect()
}

/// One address per server: an app that listens on IPv4 alone is often reached by a name with both.
fn resolve(server: &At<ServerAddress>, findings: &mut Findings<'_>) -> Option<SocketAddr> {
    let ServerAddress { host, port } = &server.value;
    let problem = match (host.as_str(), *port).to_socket_addrs() {
        Ok(addresses) => {
            let addresses: Vec<SocketAddr> = addresses.collect();
            let first = addresses
                .iter()
                .find(|address| address.is_ipv4())
                .or(addresses.first());
            match first {
                Some(address) => return Some(*address),
                None => "the name has no address".to_owned(),
            }
        }
        Err(error) => format!("the name cannot be looked up: {error}"),
    };
    findings.error(server, Finding::new(problem));
    None
}

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
    use crate::config::compile::fixture::{APP, PARTY, ROUTE, assert_found};

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
    fn a_name_that_cannot_be_looked_up_is_a_problem() {
        let app = APP.replace("127.0.0.1", "nowhere.invalid");
        assert_found(
            &format!("{PARTY}{app}{ROUTE}"),
            "upstream[0].servers[0] = \"nowhere.invalid:9000\": the name",
        );
    }
}
