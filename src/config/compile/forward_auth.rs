//! `server.forward_auth`, and the routes whose requests another proxy serves.

use crate::config::{
    ForwardAuthPeer,
    file::{self, File, Section},
    findings::{Finding, Findings},
};

/// Who may ask.
pub(super) fn peer(file: &File, findings: &mut Findings<'_>) -> Option<ForwardAuthPeer> {
    let peer = file.server.forward_auth.as_ref()?;
    if file.server.trusted_proxies.value.is_empty() {
        let finding = Finding::new("nobody may ask: server.trusted_proxies is empty")
            .expected("it with the addresses of the proxy that asks");
        findings.error(peer, finding);
    }
    Some(peer.value)
}

/// Whether a route is for forward-auth alone: no app stands behind it here.
pub(super) fn is_alone(
    section: &Section<file::Route>,
    file: &File,
    findings: &mut Findings<'_>,
) -> bool {
    if section.value.upstream.is_some() || file.server.forward_auth.is_none() {
        return false;
    }
    note_what_another_proxy_does(section, findings);
    true
}

/// The gateway sees neither the request on its way nor the answer.
fn note_what_another_proxy_does(section: &Section<file::Route>, findings: &mut Findings<'_>) {
    let route = &*section.value;
    let given = [
        route.max_body.as_ref().map(|key| &key.span),
        Some(&route.host_header.span),
        route.strip_prefix.as_ref().map(|key| &key.span),
        route.add_prefix.as_ref().map(|key| &key.span),
        route.request_headers.as_ref().map(|key| &key.span),
        route.response_headers.as_ref().map(|key| &key.span),
        Some(&route.sign_out.span),
        Some(&route.security_headers.span),
        route.live.as_ref().map(|key| &key.span),
        route.body_timeout.as_ref().map(|key| &key.span),
    ];
    for span in given.into_iter().flatten().flatten() {
        let at = file::At {
            value: (),
            span: Some(span.clone()),
        };
        let finding = Finding::new("has no effect: the proxy that asks serves this route")
            .expected("it with an `upstream`, or the like in that proxy's configuration");
        findings.error(&at, finding);
    }
    if let Some(names) = &route.client_certificates {
        let problem = "nobody passes: certificates are shown to the proxy that asks, which cannot tell of them";
        findings.error(
            names,
            Finding::new(problem).expected("it with an `upstream`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{
        ForwardAuthPeer,
        compile::fixture::{APP, PARTY, ROUTE, assert_found, config, found, read},
    };

    const SERVER: &str = "[server]\nforward_auth = \"nginx\"\ntrusted_proxies = [\"127.0.0.1\"]\n";

    #[test]
    fn nobody_may_ask_unless_it_is_said() {
        assert_eq!(config("").door.forward_auth, None);
        for (text, peer) in [
            ("nginx", ForwardAuthPeer::Nginx),
            ("caddy", ForwardAuthPeer::Caddy),
            ("traefik", ForwardAuthPeer::Traefik),
            ("envoy", ForwardAuthPeer::Envoy),
            ("haproxy", ForwardAuthPeer::Haproxy),
        ] {
            let server = SERVER.replace("nginx", text);
            assert_eq!(config(&server).door.forward_auth, Some(peer));
        }
    }

    #[test]
    fn a_route_without_an_app_is_for_those_who_ask() {
        let folder = tempfile::TempDir::new().unwrap();
        let route = "[[route]]\nhost = \"app.example.com\"\n";
        let text = format!("{SERVER}{PARTY}{route}");
        let loaded = read(&folder, &text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(loaded.config.routes.routes()[0].upstream, None);
        assert!(loaded.config.upstreams.is_empty());
    }

    #[test]
    fn each_rule_of_forward_auth_is_held() {
        assert_found(
            &format!("[server]\nforward_auth = \"nginx\"\n{PARTY}{APP}{ROUTE}"),
            "server.forward_auth = \"nginx\": nobody may ask: server.trusted_proxies is empty",
        );
        assert_found(
            &format!("[server]\nforward_auth = \"apache\"\n{PARTY}{APP}{ROUTE}"),
            "server.forward_auth = \"apache\":",
        );
        assert_found(
            &format!("{PARTY}{APP}{ROUTE}[[route]]\npath = \"/x\"\n"),
            "route[1].upstream: missing; expected the name of an [[upstream]], or server.forward_auth",
        );
        let serves = "has no effect: the proxy that asks serves this route";
        for (line, problem) in [
            ("max_body = \"1MiB\"", serves),
            ("host_header = \"upstream\"", serves),
            ("path = \"/x/*\"\nstrip_prefix = \"/x\"", serves),
            ("add_prefix = \"/x\"", serves),
            ("request_headers = { remove = [\"x\"] }", serves),
            ("response_headers = { remove = [\"x\"] }", serves),
            ("sign_out = true", serves),
            ("security_headers = true", serves),
            (
                "access = \"step_up\"\nmax_age = \"5m\"\nlive = \"max_age\"",
                serves,
            ),
            ("body_timeout = \"5s\"", serves),
        ] {
            assert_found(
                &format!("{SERVER}{PARTY}[[route]]\nhost = \"app.example.com\"\n{line}\n"),
                problem,
            );
        }
        let route =
            "[[route]]\nhost = \"app.example.com\"\nclient_certificates = [\"a.example\"]\n";
        let folder = tempfile::TempDir::new().unwrap();
        let found = found(&folder, &format!("{SERVER}{PARTY}{route}"));
        let nobody = "route[0].client_certificates: nobody passes";
        assert!(found.iter().any(|line| line.contains(nobody)), "{found:?}");
    }
}
