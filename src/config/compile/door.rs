//! The rest of `[server]`: redirects, client certificates, who is believed, and limits.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use axum::http::HeaderValue;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{Surroundings, forward_auth};
use crate::{
    config::{
        Door, DoorLimits, Drain, HeaderSize, RelyingParty,
        file::{At, Cidr, File, Limits, List, Server},
        findings::{Finding, Findings},
    },
    network::Networks,
};

/// How connections come in, and what they are held to.
pub(super) fn door(
    file: &File,
    relying_party: Option<&RelyingParty>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Door> {
    let server = &file.server;
    let redirect_listen = redirect_listen(server, relying_party, findings);
    let admin_listen = admin_listen(server, findings);
    let client_ca = client_ca(server, around, findings);
    let limits = limits(&server.limits, findings);
    let trusted_proxies = networks(&server.trusted_proxies, findings);
    if server.hsts.span.is_some()
        && server.tls.is_empty()
        && server.trusted_proxies.value.is_empty()
    {
        let finding = Finding::new("has no effect without TLS")
            .expected("it with [[server.tls]] or `trusted_proxies` that end TLS");
        findings.error(&server.hsts, finding);
    }
    Some(Door {
        redirect_listen: redirect_listen?,
        hsts: server.hsts.value.duration().map(strict_transport),
        client_ca: client_ca?,
        trusted_proxies,
        proxy_protocol: networks(&server.proxy_protocol, findings),
        limits: limits?,
        admin_listen: admin_listen?,
        forward_auth: forward_auth::peer(file, findings),
        drain: Drain {
            delay: server.drain_delay.value.duration().unwrap_or_default(),
            patience: server.drain.value.duration(),
        },
    })
}

/// Not an address that is taken, and best one that strangers do not reach.
fn admin_listen(server: &Server, findings: &mut Findings<'_>) -> Option<Option<SocketAddr>> {
    let Some(given) = &server.admin_listen else {
        return Some(None);
    };
    let address = given.value.0;
    let others = [&server.listen, &server.redirect_listen];
    let mut others = others.into_iter().flat_map(|list| &list.value);
    if address.port() != 0 && others.any(|other| clashes(other.value.0, address)) {
        let finding = Finding::new("this address is listened on already")
            .expected("a port of its own, such as 9901");
        findings.error(given, finding);
        return None;
    }
    if !address.ip().to_canonical().is_loopback() {
        let problem =
            "not loopback: whoever reaches it reads the names of upstreams and certificates";
        let finding = Finding::new(problem).expected("\"127.0.0.1:9901\", or a network of its own");
        findings.warning(given, finding);
    }
    Some(Some(address))
}

/// Whether the system would refuse the second: the same address, or the same port of all addresses.
fn clashes(one: SocketAddr, other: SocketAddr) -> bool {
    let same = one.ip() == other.ip();
    one.port() == other.port() && (same || one.ip().is_unspecified() || other.ip().is_unspecified())
}

/// Not for the hosts below: those may belong to somebody else.
fn strict_transport(period: Duration) -> HeaderValue {
    HeaderValue::try_from(format!("max-age={}", period.as_secs()))
        .expect("letters and digits are a header value")
}

fn redirect_listen(
    server: &Server,
    relying_party: Option<&RelyingParty>,
    findings: &mut Findings<'_>,
) -> Option<Vec<SocketAddr>> {
    let mut taken: Vec<SocketAddr> = Vec::new();
    let mut right = true;
    for (list, what) in [
        (&server.listen, "listen"),
        (&server.redirect_listen, "redirect_listen"),
    ] {
        for address in &list.value {
            // Each port 0 becomes another one.
            if address.value.0.port() != 0 && taken.contains(&address.value.0) {
                let finding = Finding::new("this address is listened on already")
                    .expected(format!("each address once in `listen` and {what}"));
                findings.error(address, finding);
                right = false;
            }
            taken.push(address.value.0);
        }
    }
    let secure = !server.tls.is_empty()
        || relying_party.is_none_or(|party| {
            let mut origins = party.origins.iter();
            origins.any(|origin| origin.url().scheme() == "https")
        });
    if !server.redirect_listen.value.is_empty() && !secure {
        let finding = Finding::new("there is no HTTPS to lead to")
            .expected("it with [[server.tls]] or an https origin in relying_party.origins");
        findings.error(&server.redirect_listen, finding);
        right = false;
    }
    right.then(|| {
        let addresses = server.redirect_listen.value.iter();
        addresses.map(|address| address.value.0).collect()
    })
}

fn client_ca(
    server: &Server,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Option<PathBuf>> {
    let Some(given) = &server.client_ca else {
        return Some(None);
    };
    if server.tls.is_empty() {
        let finding = Finding::new("has no effect without TLS").expected("it with [[server.tls]]");
        findings.error(given, finding);
        return None;
    }
    let file = around.file(&given.value);
    match authorities(&file) {
        Ok(()) => Some(Some(file)),
        Err(problem) => {
            findings.error(given, Finding::new(problem));
            None
        }
    }
}

fn authorities(file: &std::path::Path) -> Result<(), String> {
    let unreadable = |error: rustls::pki_types::pem::Error| {
        format!("{} cannot be read as PEM: {error}", file.display())
    };
    let mut store = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        store
            .add(certificate.map_err(unreadable)?)
            .map_err(|error| format!("{} holds no authority: {error}", file.display()))?;
    }
    if store.is_empty() {
        return Err(format!("{} holds no certificate", file.display()));
    }
    Ok(())
}

fn networks(list: &List<Cidr>, findings: &mut Findings<'_>) -> Networks {
    for network in &list.value {
        if network.value.0.prefix_len() == 0 {
            let problem = "this is everybody: whoever connects can say to be anyone";
            findings.warning(network, Finding::new(problem));
        }
    }
    list.value.iter().map(|network| network.value.0).collect()
}

fn limits(limits: &Limits, findings: &mut Findings<'_>) -> Option<DoorLimits> {
    let bytes = header_bytes(limits, findings);
    if limits.connections_per_network.value.number() > limits.connections.value.number() {
        // Where `connections` alone was lowered, it bounds each network as well.
        if findings.in_file("server.limits.connections_per_network") {
            let finding = Finding::new("more than all connections together")
                .expected("at most what server.limits.connections says");
            findings.error(&limits.connections_per_network, finding);
        }
    }
    Some(DoorLimits {
        header_timeout: limits.header_timeout.value.duration(),
        idle_timeout: limits.idle_timeout.value.duration(),
        handshake_timeout: limits.handshake_timeout.value.duration(),
        stall_timeout: limits.stall_timeout.value.duration(),
        header: HeaderSize {
            bytes: bytes?,
            fields: count(limits.header_fields.value.number()),
        },
        connections: count(limits.connections.value.number()),
        connections_per_network: count(limits.connections_per_network.value.number()),
        in_flight: count(limits.in_flight.value.number()),
        requests_per_connection: limits.requests_per_connection.value.number(),
    })
}

/// The proxy library reads 1 MiB at most, and what it cannot read it answers without a word of why.
fn header_bytes(limits: &Limits, findings: &mut Findings<'_>) -> Option<usize> {
    let given: &At<_> = &limits.header_bytes;
    let bytes = usize::try_from(given.value.bytes()).ok();
    let bytes = bytes.filter(|bytes| (MIN_HEADER..=MAX_HEADER).contains(bytes));
    if bytes.is_none() {
        findings.error(given, Finding::value("\"4KiB\" to \"512KiB\""));
    }
    bytes
}

const MIN_HEADER: usize = 4 * 1024;
const MAX_HEADER: usize = 512 * 1024;

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use crate::config::compile::fixture::{APP, PARTY, ROUTE, assert_found, config, found};

    #[test]
    fn what_is_not_said_is_the_safe_choice() {
        let door = config("").door;
        assert!(door.redirect_listen.is_empty() && door.client_ca.is_none());
        assert_eq!(door.hsts.unwrap(), "max-age=2592000");
        assert!(!door.trusted_proxies.contain("127.0.0.1".parse().unwrap()));
        assert!(!door.proxy_protocol.contain("127.0.0.1".parse().unwrap()));
        assert_eq!(door.limits.header_timeout, Duration::from_secs(20));
        assert_eq!(
            (door.limits.header.bytes, door.limits.header.fields),
            (65_536, 100)
        );
        assert_eq!(door.limits.connections, 10_000);
        assert_eq!(door.admin_listen, None);
    }

    #[test]
    fn what_is_said_is_taken() {
        let door = config(
            "[server]\nredirect_listen = [\"127.0.0.1:80\"]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n\
             listen = [\"127.0.0.1:0\"]\nadmin_listen = \"127.0.0.1:0\"\n\
             limits = { connections = 5, connections_per_network = 5, header_bytes = \"8KiB\" }",
        )
        .door;
        assert_eq!(door.redirect_listen, ["127.0.0.1:80".parse().unwrap()]);
        assert!(door.trusted_proxies.contain("10.9.9.9".parse().unwrap()));
        assert_eq!(door.limits.connections, 5);
        assert_eq!(door.limits.header.bytes, 8192);
        assert_eq!(door.admin_listen, Some("127.0.0.1:0".parse().unwrap()));
    }

    #[test]
    fn each_rule_of_the_door_is_held() {
        for (text, expected) in [
            (
                "listen = [\"127.0.0.1:80\"]\nredirect_listen = [\"127.0.0.1:80\"]",
                "server.redirect_listen[0] = \"127.0.0.1:80\": this address is listened on already",
            ),
            (
                "listen = [\"127.0.0.1:80\", \"127.0.0.1:80\"]",
                "server.listen[1] = \"127.0.0.1:80\": this address is listened on already",
            ),
            (
                "redirect_listen = [\"80\"]",
                "server.redirect_listen[0] = \"80\":",
            ),
            (
                "hsts = \"1d\"",
                "server.hsts = \"1d\": has no effect without TLS",
            ),
            (
                "listen = [\"127.0.0.1:80\"]\nadmin_listen = \"127.0.0.1:80\"",
                "server.admin_listen = \"127.0.0.1:80\": this address is listened on already; expected a port of its own",
            ),
            (
                "listen = [\"127.0.0.1:80\"]\nadmin_listen = \"0.0.0.0:80\"",
                "server.admin_listen = \"0.0.0.0:80\": this address is listened on already",
            ),
            (
                "redirect_listen = [\"127.0.0.1:80\"]\nadmin_listen = \"127.0.0.1:80\"",
                "server.admin_listen = \"127.0.0.1:80\": this address is listened on already",
            ),
            (
                "admin_listen = \"0.0.0.0:9901\"",
                "warning: server.admin_listen = \"0.0.0.0:9901\": not loopback",
            ),
            (
                "admin_listen = \"9901\"",
                "server.admin_listen = \"9901\": wrong value",
            ),
            (
                "admin_listen = [\"127.0.0.1:9901\"]",
                "server.admin_listen: wrong type",
            ),
            ("hsts = \"soon\"", "server.hsts = \"soon\":"),
            (
                "client_ca = \"ca.pem\"",
                "server.client_ca = \"ca.pem\": has no effect without TLS",
            ),
            (
                "trusted_proxies = [\"10.1.2.3/8\"]",
                "server.trusted_proxies[0] = \"10.1.2.3/8\":",
            ),
            (
                "trusted_proxies = [\"0.0.0.0/0\"]",
                "warning: server.trusted_proxies[0] = \"0.0.0.0/0\": this is everybody",
            ),
            (
                "proxy_protocol = [\"lb.internal\"]",
                "server.proxy_protocol[0] = \"lb.internal\":",
            ),
            (
                "limits.header_bytes = \"1KiB\"",
                "server.limits.header_bytes = \"1KiB\": wrong value; expected \"4KiB\" to \"512KiB\"",
            ),
            (
                "limits.header_bytes = \"1MiB\"",
                "server.limits.header_bytes = \"1MiB\": wrong value",
            ),
            (
                "limits.header_fields = 5",
                "server.limits.header_fields = 5:",
            ),
            ("limits.connections = 0", "server.limits.connections = 0:"),
            (
                "limits = { connections = 10, connections_per_network = 11 }",
                "server.limits.connections_per_network = 11: more than all connections",
            ),
            (
                "limits.header_timeout = \"0s\"",
                "server.limits.header_timeout = \"0s\":",
            ),
            ("limits.patience = 1", "server.limits.patience"),
        ] {
            assert_found(&format!("[server]\n{text}\n{PARTY}{APP}{ROUTE}"), expected);
        }
        let local = "[relying_party]\nid = \"localhost\"\norigins = [\"http://localhost:1\"]\n";
        assert_found(
            &format!(
                "server.redirect_listen = [\"127.0.0.1:80\"]\n{local}{APP}[[route]]\nhost = \"localhost\"\nupstream = \"app\"\n"
            ),
            "server.redirect_listen: there is no HTTPS to lead to",
        );
    }

    #[test]
    fn authorities_of_client_certificates_are_read_when_the_file_is() {
        let folder = TempDir::new().unwrap();
        let made = rcgen::generate_simple_self_signed(["app.example.com".to_owned()]).unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("cert.pem", &made.cert.pem());
        write("key.pem", &made.signing_key.serialize_pem());
        write("empty.pem", "");
        let with = |ca: &str, more: &str| {
            let server = format!("[server]\nclient_ca = \"{ca}\"\n");
            let tls = "[[server.tls]]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n";
            found(
                &folder,
                &format!("{server}{tls}{PARTY}{APP}{ROUTE}{more}\n"),
            )
        };
        assert_eq!(with("cert.pem", ""), [""; 0]);
        assert!(with("none.pem", "")[0].contains("none.pem cannot be read as PEM"));
        assert!(with("empty.pem", "")[0].contains("empty.pem"));
        assert_eq!(
            with("cert.pem", "client_certificates = [\"a.example\"]"),
            [""; 0]
        );
        for (list, expected) in [
            ("[]", "route[0].client_certificates: empty list"),
            (
                "[\"*.example\"]",
                "route[0].client_certificates[0] = \"*.example\": wrong value",
            ),
            (
                "[\"\"]",
                "route[0].client_certificates[0] = \"\": wrong value",
            ),
        ] {
            let found = with("cert.pem", &format!("client_certificates = {list}"));
            assert!(found[0].contains(expected), "{found:?}");
        }
    }
}
