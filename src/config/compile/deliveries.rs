//! `[[route]]`, as far as it says how requests are passed on.

use super::{Surroundings, app_credentials, header_edits, live};
use crate::{
    config::{
        AppHost, Delivery, HeaderEdits, Identity, PathPrefix,
        file::{self, At, File, Section, ServerAddress},
        findings::{Finding, Findings},
    },
    policy::route::{HostPattern, PathPattern},
};

/// One for each route, in the order of the file.
pub(super) fn all(
    file: &File,
    identity: &Identity,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Vec<Delivery>> {
    let deliveries: Vec<_> = file
        .route
        .iter()
        .map(|section| delivery(section, file, identity, around, findings))
        .collect();
    deliveries.into_iter().collect()
}

fn delivery(
    section: &Section<file::Route>,
    file: &File,
    identity: &Identity,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Delivery> {
    let route = &*section.value;
    let upstream = upstream(route, file);
    let servers = upstream.map_or_else(Vec::new, servers);
    let host = host(&route.host_header, upstream, &servers, findings);
    let prefix = prefix(route, findings);
    let request_headers = match &route.request_headers {
        Some(edits) => header_edits::of_requests(&edits.value, identity, around, findings),
        None => Some(HeaderEdits::default()),
    };
    let response_headers = match &route.response_headers {
        Some(edits) => header_edits::of_responses(&edits.value, findings),
        None => Some(HeaderEdits::default()),
    };
    let authorization = app_credentials::of_route(route, around, findings);
    let live = live::of_route(route, findings);
    Some(Delivery {
        max_body: route.max_body.as_ref().map(|size| size.value.bytes()),
        host: host?,
        servers,
        prefix: prefix?,
        request_headers: request_headers?,
        response_headers: response_headers?,
        anonymous: !route.identity.value,
        authorization: authorization?,
        sign_out: route.sign_out.value,
        security_headers: route.security_headers.value,
        live: live?,
        body_timeout: route
            .body_timeout
            .as_ref()
            .map(|period| period.value.duration()),
    })
}

/// `None` when it names none that there is, which is reported elsewhere.
fn upstream<'f>(route: &file::Route, file: &'f File) -> Option<&'f file::Upstream> {
    let wanted = &route.upstream.as_ref()?.value;
    let mut upstreams = file.upstream.iter().map(|section| &*section.value);
    upstreams.find(|upstream| upstream.name.as_ref().map(|name| &name.value) == Some(wanted))
}

/// Its servers by the names in the file.
fn servers(upstream: &file::Upstream) -> Vec<AppHost> {
    let servers = upstream.servers.iter().flat_map(|list| &list.value);
    servers
        .filter_map(|server| match &server.value {
            ServerAddress::Network { host, port } => {
                let host = host.to_ascii_lowercase();
                Some(AppHost {
                    host: match host.contains(':') {
                        true => format!("[{host}]"),
                        false => host,
                    },
                    port: Some(*port),
                })
            }
            // A socket has no name that an app could call itself by.
            ServerAddress::Unix(_) => None,
        })
        .collect()
}

/// `Some(None)` keeps the visitor's.
fn host(
    text: &At<String>,
    upstream: Option<&file::Upstream>,
    servers: &[AppHost],
    findings: &mut Findings<'_>,
) -> Option<Option<AppHost>> {
    match text.value.as_str() {
        "keep" => Some(None),
        "upstream" => match servers.first() {
            Some(server) => {
                let tls = upstream.is_some_and(|upstream| upstream.tls.is_some());
                let usual = if tls { 443 } else { 80 };
                Some(Some(AppHost {
                    port: server.port.filter(|port| *port != usual),
                    ..server.clone()
                }))
            }
            None => {
                if upstream.is_some_and(|upstream| upstream.servers.is_some()) {
                    let finding = Finding::new("no server of the upstream has a name")
                        .expected("\"keep\" or a host name, since the servers are sockets");
                    findings.error(text, finding);
                }
                // Without servers the upstream is refused anyway.
                None
            }
        },
        name => {
            let named = named_host(name);
            if named.is_none() {
                let accepted = "\"keep\", \"upstream\" or a host name with or without a port, such as \"wiki.internal\"";
                findings.error(text, Finding::value(accepted));
            }
            named.map(Some)
        }
    }
}

fn named_host(text: &str) -> Option<AppHost> {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => {
            // `u16` would read a sign as well.
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            let port: u16 = port.parse().ok().filter(|port| digits && *port != 0)?;
            (host, Some(port))
        }
        None => (text, None),
    };
    let pattern = HostPattern::parse(host).ok()?;
    (!host.starts_with('*')).then(|| AppHost {
        host: pattern.as_str().to_owned(),
        port,
    })
}

fn prefix(route: &file::Route, findings: &mut Findings<'_>) -> Option<PathPrefix> {
    let strip = part(route.strip_prefix.as_ref(), findings);
    let add = part(route.add_prefix.as_ref(), findings);
    let (strip, add) = (strip?, add?);
    if let Some(text) = &route.strip_prefix {
        let path = route.path.value.as_str();
        let path = path.strip_suffix("/*").unwrap_or(path);
        let covers = path
            .strip_prefix(strip.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !covers {
            let finding = Finding::new("the route's `path` is not at or below it")
                .expected("what every path of the route begins with, up to a slash");
            findings.error(text, finding);
            return None;
        }
        if strip == add {
            findings.error(
                text,
                Finding::new("has no effect: `add_prefix` puts it back"),
            );
            return None;
        }
    }
    Some(PathPrefix { strip, add })
}

/// Empty when there is none.
fn part(text: Option<&At<String>>, findings: &mut Findings<'_>) -> Option<String> {
    let Some(text) = text else {
        return Some(String::new());
    };
    let path = text.value.as_str();
    let problem = match PathPattern::parse(path) {
        Ok(_) if path.ends_with('/') || path.ends_with("/*") => {
            Finding::value("a path such as \"/wiki\", without a slash at its end")
        }
        Ok(_) => return Some(path.to_owned()),
        Err(problem) => Finding::new(problem),
    };
    findings.error(text, problem);
    None
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::config::compile::fixture::{APP, PARTY, ROUTE, assert_found, read};

    fn of_route(lines: &str) -> Delivery {
        let folder = TempDir::new().unwrap();
        let text = format!("{PARTY}{APP}{ROUTE}{lines}\n");
        let loaded = read(&folder, &text).unwrap_or_else(|problems| panic!("{problems}"));
        loaded.config.deliveries[0].clone()
    }

    #[test]
    fn without_a_word_nothing_is_changed() {
        let delivery = of_route("");
        assert_eq!(delivery.host, None);
        assert!(delivery.prefix.is_none() && !delivery.anonymous && !delivery.sign_out);
        assert!(delivery.authorization.is_none() && !delivery.security_headers);
        assert_eq!(delivery.servers[0].authority(), "127.0.0.1:9000");
    }

    #[test]
    fn the_host_is_kept_or_the_upstreams_or_a_name() {
        for (text, authority) in [
            ("keep", None),
            ("upstream", Some("127.0.0.1:9000")),
            ("Wiki.internal", Some("wiki.internal")),
            ("wiki:8080", Some("wiki:8080")),
        ] {
            let host = of_route(&format!("host_header = \"{text}\"")).host;
            assert_eq!(host.map(|host| host.authority()).as_deref(), authority);
        }
    }

    #[test]
    fn a_socket_has_no_name_to_be_called_by() {
        let app = APP.replace("127.0.0.1:9000", "unix:app.sock");
        let route = format!("{ROUTE}host_header = \"upstream\"\n");
        assert_found(
            &format!("{PARTY}{app}{route}"),
            "route[0].host_header = \"upstream\": no server of the upstream has a name",
        );
    }

    #[test]
    fn the_usual_port_of_a_scheme_is_not_named() {
        let folder = TempDir::new().unwrap();
        for (servers, tls, authority) in [
            ("localhost:80", "", "localhost"),
            ("localhost:443", "tls = {}", "localhost"),
            ("localhost:443", "", "localhost:443"),
        ] {
            let app = APP.replace("127.0.0.1:9000", servers);
            let text = format!("{PARTY}{app}{tls}\n{ROUTE}host_header = \"upstream\"\n");
            let loaded = read(&folder, &text).unwrap_or_else(|problems| panic!("{problems}"));
            let host = loaded.config.deliveries[0].host.clone();
            assert_eq!(host.unwrap().authority(), authority);
        }
    }

    #[test]
    fn each_rule_of_hosts_and_prefixes_is_held() {
        for (text, expected) in [
            (
                "host_header = \"a b\"",
                "route[0].host_header = \"a b\": wrong value",
            ),
            (
                "host_header = \"*.a\"",
                "route[0].host_header = \"*.a\": wrong value",
            ),
            (
                "host_header = \"a:0\"",
                "route[0].host_header = \"a:0\": wrong value",
            ),
            ("host_header = \"a:+1\"", "wrong value"),
            ("host_header = \"\"", "wrong value"),
            ("host_header = \"a\\r\\nX: 1\"", "route[0].host_header"),
            (
                "strip_prefix = \"/wiki\"",
                "route[0].strip_prefix = \"/wiki\": the route's `path` is not at or below it",
            ),
            (
                "path = \"/wikis/*\"\nstrip_prefix = \"/wiki\"",
                "strip_prefix = \"/wiki\": the route's `path` is not at or below it",
            ),
            (
                "path = \"/wiki/*\"\nstrip_prefix = \"/wiki/x\"",
                "strip_prefix = \"/wiki/x\": the route's `path` is not at or below it",
            ),
            (
                "path = \"/wiki/*\"\nstrip_prefix = \"/wiki\"\nadd_prefix = \"/wiki\"",
                "strip_prefix = \"/wiki\": has no effect",
            ),
            ("add_prefix = \"app\"", "route[0].add_prefix = \"app\":"),
            ("add_prefix = \"/\"", "add_prefix = \"/\": wrong value"),
            ("add_prefix = \"/app/\"", "route[0].add_prefix = \"/app/\":"),
            (
                "add_prefix = \"/app/*\"",
                "add_prefix = \"/app/*\": wrong value",
            ),
            ("add_prefix = \"/a/../b\"", "add_prefix = \"/a/../b\":"),
            ("add_prefix = \"//a\"", "add_prefix = \"//a\":"),
            ("add_prefix = \"/a?b\"", "add_prefix = \"/a?b\":"),
            (
                "identity = \"no\"",
                "route[0].identity = \"no\": wrong type",
            ),
        ] {
            assert_found(&format!("{PARTY}{APP}{ROUTE}{text}\n"), expected);
        }
    }

    #[test]
    fn a_prefix_is_at_the_border_of_a_segment() {
        for (lines, strip, add) in [
            ("path = \"/wiki/*\"\nstrip_prefix = \"/wiki\"", "/wiki", ""),
            (
                "path = \"/wiki/a/*\"\nstrip_prefix = \"/wiki\"\nadd_prefix = \"/app\"",
                "/wiki",
                "/app",
            ),
            ("path = \"/wiki\"\nstrip_prefix = \"/wiki\"", "/wiki", ""),
            ("add_prefix = \"/app/v2\"", "", "/app/v2"),
        ] {
            let PathPrefix {
                strip: found_strip,
                add: found_add,
            } = of_route(lines).prefix;
            assert_eq!((found_strip.as_str(), found_add.as_str()), (strip, add));
        }
    }
}
