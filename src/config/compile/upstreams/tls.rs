//! `upstream.tls`: the authorities to trust, the names to ask for, the certificate to show.
//!
//! The proxy library skips verification when there is no name, and panics on certificates and keys that
//! it cannot parse; so everything is tried here.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    sign::CertifiedKey,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::{
    ClientCertificate, Upstream, UpstreamTls,
    compile::{Surroundings, server::read_pem},
    file::{self, At, List, Section, ServerAddress},
    findings::{Finding, Findings},
};

/// How TLS is spoken to these servers.
pub(super) fn tls(
    section: &Section<file::UpstreamTls>,
    servers: &List<ServerAddress>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<UpstreamTls> {
    let tls = &section.value;
    let authorities = match &tls.ca {
        Some(ca) => authorities(ca, around, findings).map(Some),
        None => Some(None),
    };
    let names = match &tls.server_name {
        Some(name) => given_name(name, findings).map(|name| vec![name; servers.value.len()]),
        None => own_names(section, servers, findings),
    };
    let client = match (&tls.client_cert, &tls.client_key) {
        (None, None) => Some(None),
        (Some(cert), Some(key)) => client(cert, key, around, findings).map(Some),
        (Some(_), None) => {
            findings.missing(section, "client_key", Finding::new("missing").expected(PEM));
            None
        }
        (None, Some(_)) => {
            findings.missing(
                section,
                "client_cert",
                Finding::new("missing").expected(PEM),
            );
            None
        }
    };
    Some(UpstreamTls {
        authorities: authorities?,
        names: names?,
        client: client?.map(Arc::new),
    })
}

const PEM: &str = "the path of a PEM file";
const NAME: &str = "the name in the certificate, such as \"app.internal\"";

fn authorities(
    ca: &At<PathBuf>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Vec<CertificateDer<'static>>> {
    let chain = certificates(ca, around, findings)?;
    let mut trusted = RootCertStore::empty();
    for certificate in &chain {
        if let Err(error) = trusted.add(certificate.clone()) {
            findings.error(
                ca,
                Finding::new(format!("cannot be used as an authority: {error}")),
            );
            return None;
        }
    }
    Some(chain)
}

/// Certificates that the proxy library can parse, at least one.
fn certificates(
    path: &At<PathBuf>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Vec<CertificateDer<'static>>> {
    let (chain, _) = read_pem(path, around, findings, |path| {
        let chain = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
        // Reported in the words of a file without a key.
        if chain.is_empty() {
            Err(rustls::pki_types::pem::Error::NoItemsFound)
        } else {
            Ok(chain)
        }
    })?;
    if let Some(error) = chain
        .iter()
        .find_map(|certificate| X509Certificate::from_der(certificate).err())
    {
        let problem = format!("holds a certificate that cannot be read: {error}");
        findings.error(path, Finding::new(problem));
        return None;
    }
    Some(chain)
}

fn given_name(name: &At<String>, findings: &mut Findings<'_>) -> Option<String> {
    // A name without characters is no name to rustls either; the library would take it for "any".
    if ServerName::try_from(name.value.as_str()).is_ok() {
        return Some(name.value.clone());
    }
    findings.error(name, Finding::value(NAME));
    None
}

/// Each server's own host name.
fn own_names(
    section: &Section<file::UpstreamTls>,
    servers: &List<ServerAddress>,
    findings: &mut Findings<'_>,
) -> Option<Vec<String>> {
    let names: Option<Vec<String>> = servers
        .value
        .iter()
        .map(|server| match &server.value {
            ServerAddress::Network { host, .. } => {
                let named =
                    host.parse::<IpAddr>().is_err() && ServerName::try_from(host.as_str()).is_ok();
                named.then(|| host.clone())
            }
            ServerAddress::Unix(_) => None,
        })
        .collect();
    if names.is_none() {
        let finding = Finding::new(
            "missing: not every server has a host name that a certificate could be for",
        );
        findings.missing(section, "server_name", finding.expected(NAME));
    }
    names
}

fn client(
    cert: &At<PathBuf>,
    key: &At<PathBuf>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<ClientCertificate> {
    let chain = certificates(cert, around, findings);
    let (private, _) = read_pem(key, around, findings, |path| {
        PrivateKeyDer::from_pem_file(path)
    })?;
    let chain = chain?;
    // The library guesses the kind of a key from its bytes; it has to guess right.
    let guessed = PrivateKeyDer::try_from(private.secret_der().to_vec()).ok();
    let problem = match CertifiedKey::from_der(
        chain.clone(),
        private.clone_key(),
        &ring::default_provider(),
    ) {
        Err(error) => format!("cannot be used with this certificate: {error}"),
        Ok(_) if guessed.as_ref() != Some(&private) => {
            "is of a kind that cannot be used; PKCS #8 can".to_owned()
        }
        Ok(_) => {
            return Some(ClientCertificate {
                chain,
                key: private,
            });
        }
    };
    findings.error(key, Finding::new(problem));
    None
}

/// One server is trusted in one way: what is right for it cannot depend on the upstream that leads to it, and
/// a plain connection beside a verified one is a mistake.
pub(super) fn note_conflicts(
    sections: &[Section<file::Upstream>],
    upstreams: &[Option<Upstream>],
    findings: &mut Findings<'_>,
) {
    let mut seen: Vec<(&Upstream, usize, usize)> = Vec::new();
    for (section, upstream) in sections.iter().zip(upstreams) {
        let (Some(upstream), Some(written)) = (upstream, &section.value.servers) else {
            continue;
        };
        for (index, at) in written.value.iter().enumerate() {
            let rival = seen.iter().find(|(other, place, _)| {
                other.servers.get(*place).map(|server| &server.address)
                    == upstream.servers.get(index).map(|server| &server.address)
                    && trust(other, *place) != trust(upstream, index)
            });
            if let Some((_, _, line)) = rival {
                let problem = format!(
                    "the upstream in line {line} reaches this server with other TLS settings"
                );
                findings.error(
                    at,
                    Finding::new(problem).expected("the same `tls` for the same server"),
                );
            }
        }
        let line = findings.line(section);
        seen.extend((0..upstream.servers.len()).map(|index| (upstream, index, line)));
    }
}

type Trust<'a> = (
    Option<&'a [CertificateDer<'static>]>,
    Option<&'a str>,
    Option<&'a ClientCertificate>,
);

fn trust(upstream: &Upstream, server: usize) -> Option<Trust<'_>> {
    upstream.tls.as_ref().map(|tls| {
        (
            tls.authorities.as_deref(),
            tls.names.get(server).map(String::as_str),
            tls.client.as_deref(),
        )
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tempfile::TempDir;

    use crate::config::compile::fixture::{APP, PARTY, ROUTE, found, read};

    /// `one.pem` and `one-key.pem`, `other-key.pem`, and files that are something else.
    fn folder() -> TempDir {
        let folder = TempDir::new().unwrap();
        let made = || generate_simple_self_signed(["app.internal".to_owned()]).unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let CertifiedKey { cert, signing_key } = made();
        write("one.pem", &cert.pem());
        write("one-key.pem", &signing_key.serialize_pem());
        write("other.pem", &made().cert.pem());
        write("other-key.pem", &made().signing_key.serialize_pem());
        write("empty.pem", "");
        write(
            "broken.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        );
        folder
    }

    fn app(servers: &str, tls: &str) -> String {
        let app = APP.replace("\"127.0.0.1:9000\"", servers);
        format!("{PARTY}{app}tls = {tls}\n{ROUTE}")
    }

    #[test]
    fn each_rule_of_tls_is_held() {
        let folder = folder();
        for (servers, tls, expected) in [
            (
                "\"127.0.0.1:1\"",
                "{}",
                "upstream[0].tls.server_name: missing: not every server",
            ),
            (
                "\"localhost:1\", \"[::1]:1\"",
                "{}",
                "upstream[0].tls.server_name: missing: not every server",
            ),
            (
                "\"unix:/a\"",
                "{}",
                "upstream[0].tls.server_name: missing: not every server",
            ),
            (
                "\"localhost:1\"",
                "{ server_name = \"\" }",
                "tls.server_name = \"\": wrong value; expected the name",
            ),
            (
                "\"localhost:1\"",
                "{ server_name = \"a b\" }",
                "tls.server_name = \"a b\": wrong value",
            ),
            (
                "\"localhost:1\"",
                "{ ca = \"none.pem\" }",
                "none.pem cannot be read as PEM",
            ),
            (
                "\"localhost:1\"",
                "{ ca = \"empty.pem\" }",
                "empty.pem cannot be read as PEM",
            ),
            (
                "\"localhost:1\"",
                "{ ca = \"one-key.pem\" }",
                "one-key.pem cannot be read as PEM",
            ),
            (
                "\"localhost:1\"",
                "{ ca = \"broken.pem\" }",
                "tls.ca = \"broken.pem\": holds a certificate that cannot be read",
            ),
            (
                "\"localhost:1\"",
                "{ client_cert = \"one.pem\" }",
                "upstream[0].tls.client_key: missing",
            ),
            (
                "\"localhost:1\"",
                "{ client_key = \"one-key.pem\" }",
                "upstream[0].tls.client_cert: missing",
            ),
            (
                "\"localhost:1\"",
                "{ client_cert = \"one.pem\", client_key = \"other-key.pem\" }",
                "tls.client_key = \"other-key.pem\": cannot be used with this certificate",
            ),
            (
                "\"localhost:1\"",
                "{ verify = false }",
                "upstream[0].tls.verify",
            ),
        ] {
            let found = found(&folder, &app(servers, tls));
            assert!(
                matches!(found.as_slice(), [only] if only.contains(expected)),
                "{servers} {tls}\nexpected {expected}\nfound {found:#?}"
            );
            assert!(found[0].starts_with("f:"), "{}", found[0]);
        }
    }

    #[test]
    fn the_name_is_each_servers_own_unless_one_is_given() {
        let folder = folder();
        let names = |servers: &str, tls: &str| {
            let config = read(&folder, &app(servers, tls)).unwrap().config;
            config.upstreams[0].tls.as_ref().unwrap().names.clone()
        };
        assert_eq!(names("\"localhost:1\"", "{}"), ["localhost"]);
        assert_eq!(
            names(
                "\"localhost:1\", \"127.0.0.1:1\"",
                "{ server_name = \"app.internal\" }"
            ),
            ["app.internal"; 2]
        );
        let client =
            "{ ca = \"one.pem\", client_cert = \"one.pem\", client_key = \"one-key.pem\" }";
        assert_eq!(names("\"localhost:1\"", client), ["localhost"]);
    }

    #[test]
    fn one_server_is_trusted_in_one_way() {
        let folder = folder();
        let two = |first: &str, second: &str| {
            let other = "[[upstream]]\nname = \"other\"\nservers = [\"localhost:1\"]\n";
            let app = APP.replace("127.0.0.1:9000", "localhost:1");
            let route = ROUTE.replace("app.example", "b.example");
            let route = route.replace("\"app\"", "\"other\"");
            found(
                &folder,
                &format!("{PARTY}{app}{first}\n{other}{second}\n{ROUTE}{route}"),
            )
        };
        let plain = "";
        let system = "tls = {}";
        let (one, other) = ("tls = { ca = \"one.pem\" }", "tls = { ca = \"other.pem\" }");
        let named = "tls = { server_name = \"app.internal\" }";
        for same in [plain, system, one, named] {
            assert_eq!(two(same, same), [""; 0], "{same}");
        }
        for (first, second) in [
            (plain, system),
            (system, plain),
            (system, one),
            (one, other),
            (system, named),
        ] {
            let found = two(first, second);
            assert!(
                matches!(found.as_slice(), [only] if only.contains(
                    "upstream[1].servers[0] = \"localhost:1\": the upstream in line 3 reaches this server"
                )),
                "{first} {second} {found:#?}"
            );
        }
    }
}
