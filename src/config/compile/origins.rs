//! Where people reach the gateway and where passkeys work: `relying_party.origins` and `server.auth_host`.

use std::collections::HashSet;

use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::ResolvesServerCertUsingSni,
    sign::CertifiedKey,
};

use super::{routes, site::domain};
use crate::config::{
    Origin, RelyingParty, TlsFiles,
    file::{self, AccessLevel, File, List, Section},
    findings::{Finding, Findings},
};

const ORIGIN: &str = "an origin such as \"https://app.example.com\" or \"http://localhost:8080\"; passkeys do not work \
                      at IP addresses, nor over plain http elsewhere";

/// Browsers take related origins of at least so many names, and may take no more (WebAuthn L3 §5.11.1).
const MAX_RELATED_NAMES: usize = 5;

/// The origins that are written down; `None` if there are none, `Some(None)` after saying what is wrong with them.
pub(super) fn given(
    section: &Section<file::RelyingParty>,
    findings: &mut Findings<'_>,
) -> Option<Option<Vec<Origin>>> {
    let list = section.value.origins.as_ref()?;
    Some(given_origins(list, findings))
}

/// All origins, and the one of `server.auth_host`.
pub(super) fn of(
    file: &File,
    id: &str,
    given: Option<Option<Vec<Origin>>>,
    findings: &mut Findings<'_>,
) -> Option<(Vec<Origin>, Option<Origin>)> {
    let auth = match auth_host(file, findings) {
        None => None,
        Some(host) => Some(auth_origin(file, id, &host?, given.as_ref(), findings)?),
    };
    let origins = match (given, &auth) {
        (Some(origins), auth) => {
            let mut origins = origins?;
            origins.extend(auth.clone().filter(|auth| !origins.contains(auth)));
            origins
        }
        (None, Some(auth)) => vec![auth.clone()],
        (None, None) => {
            let origins = default_origins(file, id);
            if origins.is_empty() {
                let finding = Finding::new(format!(
                    "missing, and no route names a host at or below \"{id}\""
                ))
                .expected("a list of origins such as [\"https://app.example.com\"]");
                findings.missing(&file.relying_party, "relying_party.origins", finding);
                return None;
            }
            origins
        }
    };
    Some((origins, auth))
}

/// The name in `server.auth_host`: `None` if there is none, `Some(None)` after saying what is wrong with it.
fn auth_host(file: &File, findings: &mut Findings<'_>) -> Option<Option<String>> {
    let written = file.server.auth_host.as_ref()?;
    let name = domain(&written.value);
    if name.is_none() {
        let accepted = "a host name such as \"auth.example.com\", without scheme and port";
        findings.error(written, Finding::value(accepted));
    }
    Some(name)
}

/// A host where people sign in, and which no certificate is for. Whatever else is wrong with one has been said.
pub(super) fn warn_of_missing_certificate(
    file: &File,
    certificates: &[TlsFiles],
    findings: &mut Findings<'_>,
) {
    let Some(host) = &file.server.auth_host else {
        return;
    };
    let is_for_host = |files: &TlsFiles| {
        let chain = CertificateDer::pem_file_iter(&files.cert).ok()?;
        let chain: Vec<_> = chain.collect::<Result<_, _>>().ok()?;
        let key = PrivateKeyDer::from_pem_file(&files.key).ok()?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider()).ok()?;
        // The library takes a certificate for a name only if it is for that name.
        let added = ResolvesServerCertUsingSni::new().add(&host.value, certified);
        added.ok()
    };
    if !certificates.is_empty()
        && !certificates
            .iter()
            .any(|files| is_for_host(files).is_some())
    {
        let problem =
            "no certificate of [[server.tls]] is for this host, so browsers will refuse it";
        findings.warning(host, Finding::new(problem));
    }
}

/// How browsers reach the host where people sign in.
fn auth_origin(
    file: &File,
    id: &str,
    host: &str,
    given: Option<&Option<Vec<Origin>>>,
    findings: &mut Findings<'_>,
) -> Option<Origin> {
    let given = given.and_then(Option::as_deref).unwrap_or_default();
    if let Some(origin) = given.iter().find(|origin| origin.host() == host) {
        return Some(origin.clone());
    }
    let written = file.server.auth_host.as_ref()?;
    if !is_at_or_below(host, id) {
        let finding =
            Finding::new("passkeys of the relying party do not work here").expected(format!(
                "a host that is \"{id}\" or ends in \".{id}\", or one of relying_party.origins"
            ));
        findings.error(written, finding);
        return None;
    }
    Origin::parse(&format!("https://{host}"))
}

/// Hosts that ask for a sign-in which people would not get there.
pub(super) fn warn_of_hosts_without_sign_in(
    file: &File,
    party: &RelyingParty,
    findings: &mut Findings<'_>,
) {
    warn_of_related_origins(file, party, findings);
    for route in &file.route {
        let Some(host) = &route.value.host else {
            if party.auth.is_some() && route.value.access.value != AccessLevel::Public {
                let problem = "with server.auth_host, hosts get sessions that a route names, exactly or by a \
                               wildcard; at any other, nobody can sign in";
                findings.warning(route, Finding::new(problem).expected("a `host`"));
            }
            continue;
        };
        if party.auth.is_some() {
            continue;
        }
        let Some(name) = routes::exact_host(host) else {
            continue;
        };
        let guarded = route.value.access.value != AccessLevel::Public;
        if guarded && !party.origins.iter().any(|origin| origin.host() == name) {
            let problem =
                "people cannot sign in at this host: it is not among relying_party.origins";
            findings.warning(host, Finding::new(problem));
        }
    }
}

fn is_at_or_below(host: &str, id: &str) -> bool {
    host.strip_suffix(id)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn given_origins(list: &List<String>, findings: &mut Findings<'_>) -> Option<Vec<Origin>> {
    if !findings.filled(list, "at least one origin") {
        return None;
    }
    let mut origins: Vec<Origin> = Vec::new();
    for text in &list.value {
        match Origin::parse(&text.value) {
            Some(origin) if !origins.contains(&origin) => origins.push(origin),
            Some(_) => {}
            None => findings.error(text, Finding::value(ORIGIN)),
        }
    }
    (!origins.is_empty()).then_some(origins)
}

fn default_origins(file: &File, id: &str) -> Vec<Origin> {
    let mut origins: Vec<Origin> = Vec::new();
    let hosts = file
        .route
        .iter()
        .filter_map(|route| route.value.host.as_ref());
    for host in hosts.filter_map(routes::exact_host) {
        let origin =
            Origin::parse(&format!("https://{host}")).filter(|_| is_at_or_below(&host, id));
        origins.extend(origin.filter(|origin| !origins.contains(origin)));
    }
    origins
}

/// Passkeys work at related origins by leave of the relying party's own host, which browsers ask.
fn warn_of_related_origins(file: &File, party: &RelyingParty, findings: &mut Findings<'_>) {
    let Some(list) = &file.relying_party.value.origins else {
        return;
    };
    let offered: Vec<_> = party.passkey_origins().iter().map(Origin::host).collect();
    if offered.iter().all(|host| party.is_at_home(host)) {
        return;
    }
    let names: HashSet<_> = offered.iter().map(|host| registrable_name(host)).collect();
    if names.len() > MAX_RELATED_NAMES {
        let problem = format!(
            "origins of {} different names: browsers may take the first {MAX_RELATED_NAMES} alone",
            names.len()
        );
        findings.warning(list, Finding::new(problem));
    }
    let id = &party.id;
    let served = file.route.iter().any(|route| match &route.value.host {
        None => true,
        Some(host) => routes::exact_host(host).as_deref() == Some(id.as_str()),
    });
    if !served && party.auth.as_ref().map(Origin::host) != Some(id) {
        let problem = format!(
            "browsers ask https://{id}/.well-known/webauthn before passkeys work at related origins, and no \
             route names that host; let this address reach the gateway, or serve there what the gateway answers"
        );
        findings.warning(list, Finding::new(problem));
    }
}

/// The label that browsers count related origins by, as far as it can be told without the public suffix list:
/// `example` of `app.example.com` and of `app.example.co.uk`.
fn registrable_name(host: &str) -> &str {
    let labels: Vec<_> = host.rsplit('.').collect();
    match labels.as_slice() {
        [top, second, third, ..] if top.len() == 2 && second.len() <= 3 => third,
        [_, second, ..] => second,
        [only] => only,
        [] => "",
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::config::compile::fixture::{APP, PARTY, ROUTE, assert_found, found, read};

    #[test]
    fn at_or_below_ends_at_a_label() {
        assert!(is_at_or_below("example.com", "example.com"));
        assert!(is_at_or_below("app.example.com", "example.com"));
        assert!(!is_at_or_below("badexample.com", "example.com"));
        assert!(!is_at_or_below("example.com", "app.example.com"));
    }

    const MANY_WILDCARDS: &str = "[[route]]\nhost = \"*.example.com\"\nupstream = \"app\"\n";

    #[test]
    fn the_host_where_people_sign_in_is_one_where_passkeys_work() {
        for (text, expected) in [
            (
                "server.auth_host = \"https://auth.example.com\"",
                "server.auth_host = \"https://auth.example.com\": wrong value; expected a host name such as",
            ),
            (
                "server.auth_host = \"auth.example.com:8443\"",
                "server.auth_host = \"auth.example.com:8443\": wrong value",
            ),
            (
                "server.auth_host = \"192.0.2.1\"",
                "server.auth_host = \"192.0.2.1\": wrong value",
            ),
            (
                "server.auth_host = \"*.example.com\"",
                "server.auth_host = \"*.example.com\": wrong value",
            ),
            (
                "server.auth_host = \"\"",
                "server.auth_host = \"\": wrong value",
            ),
            (
                "server.auth_host = \"auth.example.org\"",
                "server.auth_host = \"auth.example.org\": passkeys of the relying party do not work here; expected \
                 a host that is \"example.com\" or ends in \".example.com\", or one of relying_party.origins",
            ),
        ] {
            assert_found(&format!("{text}\n{PARTY}{APP}{ROUTE}"), expected);
        }
        let without_host = "[[route]]\nupstream = \"app\"\n";
        assert_found(
            &format!("server.auth_host = \"auth.example.com\"\n{PARTY}{APP}{without_host}"),
            "warning: route[0]: with server.auth_host, hosts get sessions that a route names",
        );
    }

    #[test]
    fn a_certificate_is_for_the_host_where_people_sign_in() {
        let folder = TempDir::new().unwrap();
        let with = |name: &str| {
            let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            let write =
                |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
            write("cert.pem", &made.cert.pem());
            write("key.pem", &made.signing_key.serialize_pem());
            let tls = "[[server.tls]]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n";
            let server = "server.auth_host = \"auth.example.com\"\n";
            found(&folder, &format!("{server}{tls}{PARTY}{APP}{ROUTE}"))
        };
        assert_eq!(with("auth.example.com"), [""; 0]);
        assert_eq!(with("*.example.com"), [""; 0]);
        for other in ["app.example.com", "*.auth.example.com", "example.com"] {
            let found = with(other);
            assert!(
                matches!(found.as_slice(), [only] if only.contains("no certificate of [[server.tls]] is for this host")),
                "{other}: {found:#?}"
            );
        }
    }

    #[test]
    fn passkeys_work_at_the_host_where_people_sign_in_alone() {
        let auth = |text: &str| {
            let folder = TempDir::new().unwrap();
            let party = format!("[relying_party]\nid = \"example.com\"\n{text}\n");
            let text =
                format!("server.auth_host = \"Auth.example.com\"\n{party}{APP}{MANY_WILDCARDS}");
            read(&folder, &text.replace("Auth", "auth"))
                .unwrap_or_else(|problems| panic!("{problems}"))
                .config
                .relying_party
        };
        let written = |origins: &[Origin]| -> Vec<_> {
            origins
                .iter()
                .map(|origin| origin.as_str().to_owned())
                .collect()
        };
        let party = auth("");
        assert_eq!(
            written(party.passkey_origins()),
            ["https://auth.example.com"]
        );
        assert_eq!(
            party.origin_for("app.example.com").as_str(),
            "https://auth.example.com"
        );
        let address =
            |party: &RelyingParty, host| party.address_of(host).unwrap().as_str().to_owned();
        assert_eq!(
            address(&party, "app.example.com"),
            "https://app.example.com"
        );
        let party =
            auth("origins = [\"https://app.example.com:9443\", \"https://auth.example.com:8443\"]");
        assert_eq!(
            written(party.passkey_origins()),
            ["https://auth.example.com:8443"]
        );
        assert_eq!(
            address(&party, "app.example.com"),
            "https://app.example.com:9443"
        );
        assert_eq!(
            address(&party, "wiki.example.com"),
            "https://wiki.example.com:8443"
        );
        for forged in [
            "evil.example:9/.example.com",
            "a/b",
            "a@b",
            "a?b",
            "a#b",
            "A",
            "a b",
            "",
        ] {
            assert!(party.address_of(forged).is_none(), "{forged}");
        }
    }

    #[test]
    fn related_origins_are_few_and_somebody_answers_for_them() {
        let with = |origins: &str, routes: &str| {
            let party = format!("[relying_party]\nid = \"example.com\"\norigins = [{origins}]\n");
            found(&TempDir::new().unwrap(), &format!("{party}{APP}{routes}"))
        };
        let home = "[[route]]\nhost = \"example.com\"\nupstream = \"app\"\n";
        let both = "\"https://example.com\", \"https://shop.example.co.uk\"";
        assert_eq!(with(both, home), [""; 0]);
        let shop = "[[route]]\nhost = \"shop.example.co.uk\"\nupstream = \"app\"\n";
        let found = with(both, shop);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].contains("warning: relying_party.origins: browsers ask https://example.com/.well-known/webauthn"),
            "{found:#?}"
        );
        let six = "\"https://a.org\", \"https://b.org\", \"https://c.org\", \"https://d.org\", \"https://e.org\", \
                   \"https://f.org\", \"https://www.f.org\", \"https://example.com\"";
        let found = with(six, home);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].contains("origins of 7 different names"),
            "{found:#?}"
        );
    }
}
