//! `upstream.servers`: where they are.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::Path,
};

use crate::config::{
    MAX_SERVERS, Server, ServerPlace,
    compile::Surroundings,
    file::{At, List, ServerAddress},
    findings::{Finding, Findings},
};

/// All servers of an upstream, at least one.
pub(super) fn all(
    list: &List<ServerAddress>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Vec<Server>> {
    if !findings.filled(list, super::SERVERS) {
        return None;
    }
    if list.value.len() > MAX_SERVERS {
        let finding = Finding::new(format!("{} servers", list.value.len()));
        findings.error(list, finding.expected(format!("at most {MAX_SERVERS}")));
        return None;
    }
    note_twins(list, findings);
    let servers: Vec<_> = list
        .value
        .iter()
        .map(|server| {
            Some(Server {
                written: server.value.written(),
                address: place(server, around, findings)?,
                name: name(&server.value),
            })
        })
        .collect();
    servers.into_iter().collect()
}

fn note_twins(list: &List<ServerAddress>, findings: &mut Findings<'_>) {
    for (index, server) in list.value.iter().enumerate() {
        if list.value[..index]
            .iter()
            .any(|other| other.value == server.value)
        {
            let finding = Finding::new("this server is in the list already");
            findings.error(server, finding.expected("each server once"));
        }
    }
}

fn place(
    server: &At<ServerAddress>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<ServerPlace> {
    let found = match &server.value {
        ServerAddress::Network { host, port } => look_up(host, *port).map(ServerPlace::Network),
        ServerAddress::Unix(path) => socket(&around.folder.join(path)),
    };
    found
        .map_err(|problem| findings.error(server, Finding::new(problem)))
        .ok()
}

/// One address per server.
fn look_up(host: &str, port: u16) -> Result<SocketAddr, String> {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => Server::settle(&addresses.collect::<Vec<_>>(), None)
            .ok_or_else(|| "the name has no address".to_owned()),
        Err(error) => Err(format!("the name cannot be looked up: {error}")),
    }
}

/// It need not be there yet: the app may start after the gateway.
fn socket(path: &Path) -> Result<ServerPlace, String> {
    // Systems hold a socket's path in about 100 bytes.
    std::os::unix::net::SocketAddr::from_pathname(path)
        .map(|_| ServerPlace::Unix(path.to_owned()))
        .map_err(|error| format!("{} cannot be a socket: {error}", path.display()))
}

/// `None` for what cannot move.
fn name(server: &ServerAddress) -> Option<(String, u16)> {
    match server {
        ServerAddress::Network { host, port } if host.parse::<std::net::IpAddr>().is_err() => {
            Some((host.clone(), *port))
        }
        ServerAddress::Network { .. } | ServerAddress::Unix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use crate::config::{
        ServerPlace,
        compile::fixture::{APP, PARTY, ROUTE, assert_found, read},
    };

    fn with(servers: &str) -> String {
        let app = APP.replace("[\"127.0.0.1:9000\"]", servers);
        format!("{PARTY}{app}{ROUTE}")
    }

    #[test]
    fn each_rule_of_servers_is_held() {
        let many = (1..=65).map(|port| format!("\"127.0.0.1:{port}\""));
        let many = many.collect::<Vec<_>>().join(", ");
        let long = "x".repeat(200);
        for (servers, expected) in [
            (
                "[\"nowhere.invalid:9000\"]".to_owned(),
                "upstream[0].servers[0] = \"nowhere.invalid:9000\": the name",
            ),
            (
                "[]".to_owned(),
                "upstream[0].servers: empty list; expected a list",
            ),
            (
                format!("[{many}]"),
                "upstream[0].servers: 65 servers; expected at most 64",
            ),
            (
                "[\"127.0.0.1:1\", \"127.0.0.1:1\"]".to_owned(),
                "upstream[0].servers[1] = \"127.0.0.1:1\": this server is in the list already",
            ),
            (
                format!("[\"unix:/{long}\"]"),
                "cannot be a socket: path must be shorter",
            ),
            (
                "[\"unix:\"]".to_owned(),
                "upstream[0].servers[0] = \"unix:\": ",
            ),
        ] {
            assert_found(&with(&servers), expected);
        }
    }

    #[test]
    fn names_can_be_looked_up_again_and_sockets_start_at_the_folder() {
        let folder = TempDir::new().unwrap();
        let text = with("[\"localhost:1\", \"[::1]:2\", \"unix:app.sock\"]");
        let config = read(&folder, &text).unwrap().config;
        let servers = &config.upstreams[0].servers;
        assert_eq!(servers[0].name, Some(("localhost".to_owned(), 1)));
        assert_eq!(
            (servers[1].written.as_str(), &servers[1].name),
            ("[::1]:2", &None)
        );
        let socket = folder.path().join("app.sock");
        assert_eq!(servers[2].address, ServerPlace::Unix(socket));
        assert_eq!(servers[2].written, "unix:app.sock");
    }
}
