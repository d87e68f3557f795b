//! `[relying_party]`: what passkeys belong to, where people reach the gateway, and how pages look.

use std::{collections::HashSet, path::Path};

use super::{Surroundings, routes};
use crate::config::{
    Branding, Logo, Origin, RelyingParty,
    file::{self, AccessLevel, File, List, Section},
    findings::{Finding, Findings},
};

/// Bytes. A logo travels with the first page of every visitor.
const MAX_LOGO_BYTES: usize = 256 * 1024;

const ID: &str = "a domain name such as \"example.com\", or \"localhost\"";
const ORIGIN: &str = "an origin such as \"https://app.example.com\" or \"http://localhost:8080\"; passkeys do not work \
                      at IP addresses, nor over plain http elsewhere";

/// Browsers take related origins of at least so many names, and may take no more (WebAuthn L3 §5.11.1).
const MAX_RELATED_NAMES: usize = 5;

/// The relying party.
pub(super) fn relying_party(file: &File, findings: &mut Findings<'_>) -> Option<RelyingParty> {
    let section = &file.relying_party;
    let written = findings.required(section.value.id.as_ref(), section, "relying_party.id", ID);
    let given = section
        .value
        .origins
        .as_ref()
        .map(|origins| given_origins(origins, findings));
    let written = written?;
    let Some(id) = domain(&written.value) else {
        findings.error(written, Finding::value(ID));
        return None;
    };
    let auth = match auth_host(file, findings) {
        None => None,
        Some(host) => Some(auth_origin(file, &id, &host?, given.as_ref(), findings)?),
    };
    let origins = match (given, &auth) {
        (Some(origins), auth) => {
            let mut origins = origins?;
            origins.extend(auth.clone().filter(|auth| !origins.contains(auth)));
            origins
        }
        (None, Some(auth)) => vec![auth.clone()],
        (None, None) => {
            let origins = default_origins(file, &id);
            if origins.is_empty() {
                let finding = Finding::new(format!(
                    "missing, and no route names a host at or below \"{id}\""
                ))
                .expected("a list of origins such as [\"https://app.example.com\"]");
                findings.missing(section, "relying_party.origins", finding);
                return None;
            }
            origins
        }
    };
    Some(RelyingParty {
        name: name(&section.value, &id),
        origins,
        auth,
        id,
    })
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

/// Name, logo and colour.
pub(super) fn branding(
    section: &Section<file::RelyingParty>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Branding> {
    let section = &section.value;
    if let Some(name) = section
        .name
        .as_ref()
        .filter(|name| name.value.trim().is_empty())
    {
        findings.error(name, Finding::value("a name to show to people"));
    }
    let logo = match &section.logo {
        None => None,
        Some(path) => match read_logo(&around.folder.join(&path.value)) {
            Ok(logo) => Some(logo),
            Err(finding) => {
                findings.error(path, finding);
                return None;
            }
        },
    };
    Some(Branding {
        name: name(section, section.id.as_ref().map_or("", |id| &id.value)),
        logo,
        accent: section
            .accent
            .as_ref()
            .map(|colour| colour.value.as_str().to_owned()),
    })
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

fn name(section: &file::RelyingParty, id: &str) -> String {
    match &section.name {
        Some(name) => name.value.trim().to_owned(),
        None => id.to_owned(),
    }
}

/// Lower case; `None` unless `text` is a domain name that browsers take as a relying party id.
fn domain(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let url::Host::Domain(name) = url::Host::parse(&lower).ok()? else {
        return None;
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    // A single label is a public suffix, which would share passkeys with strangers; browsers refuse it.
    let labels = name == "localhost" || (name.contains('.') && name.split('.').all(is_label));
    (name == lower && labels).then_some(name)
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

fn read_logo(path: &Path) -> Result<Logo, Finding> {
    let bytes = std::fs::read(path)
        .map_err(|error| Finding::new(format!("{} cannot be read: {error}", path.display())))?;
    if bytes.len() > MAX_LOGO_BYTES {
        let problem = format!("{} has {} bytes", path.display(), bytes.len());
        return Err(Finding::new(problem).expected("at most 256 KiB"));
    }
    match media_type(&bytes) {
        Some(media_type) => Ok(Logo {
            media_type,
            bytes: bytes.into(),
        }),
        None => {
            Err(Finding::new("not an image that can be shown").expected("an SVG, PNG or WebP file"))
        }
    }
}

/// By content: the browser is told this type and not to guess another.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some("image/png");
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    let text = std::str::from_utf8(bytes)
        .ok()?
        .trim_start_matches('\u{feff}')
        .trim_start();
    let svg = text.starts_with("<svg")
        || ((text.starts_with("<?xml") || text.starts_with("<!")) && text.contains("<svg"));
    svg.then_some("image/svg+xml")
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::config::compile::fixture::{APP, PARTY, ROUTE, assert_found, found};

    #[test]
    fn a_relying_party_id_is_a_domain_of_two_labels_or_localhost() {
        for (text, id) in [
            ("Example.com", Some("example.com")),
            ("localhost", Some("localhost")),
            ("com", None),
            ("127.0.0.1", None),
            ("[::1]", None),
            ("https://example.com", None),
            ("example.com:8443", None),
            ("example.com.", None),
            ("*.example.com", None),
            ("", None),
        ] {
            assert_eq!(domain(text).as_deref(), id, "{text}");
        }
    }

    #[test]
    fn at_or_below_ends_at_a_label() {
        assert!(is_at_or_below("example.com", "example.com"));
        assert!(is_at_or_below("app.example.com", "example.com"));
        assert!(!is_at_or_below("badexample.com", "example.com"));
        assert!(!is_at_or_below("example.com", "app.example.com"));
    }

    #[test]
    fn a_logo_is_known_by_its_content() {
        for (bytes, expected) in [
            (&b"\x89PNG\r\n\x1a\n...."[..], Some("image/png")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (
                b"<?xml version=\"1.0\"?>\n<svg xmlns=\"\"/>",
                Some("image/svg+xml"),
            ),
            (b" <svg/>", Some("image/svg+xml")),
            (b"<html><svg/></html>", None),
            (b"GIF89a", None),
            (b"", None),
        ] {
            assert_eq!(media_type(bytes), expected);
        }
    }

    #[test]
    fn each_rule_of_the_relying_party_is_held() {
        for (text, expected) in [
            ("", "relying_party.id: missing"),
            (
                "[relying_party]\nid = \"com\"",
                "relying_party.id = \"com\": wrong value",
            ),
            (
                "[relying_party]\nid = \"10.0.0.1\"",
                "relying_party.id = \"10.0.0.1\": wrong value",
            ),
            (
                "[relying_party]\nid = \"example.org\"",
                "relying_party.origins: missing, and no route names a host",
            ),
            (
                "[relying_party]\nid = \"example.com\"\norigins = []",
                "relying_party.origins: empty list",
            ),
            (
                "[relying_party]\nid = \"example.com\"\nname = \" \"",
                "relying_party.name = \" \": wrong value",
            ),
            (
                "[relying_party]\nid = \"example.com\"\nlogo = \"no.svg\"",
                "no.svg cannot be read",
            ),
            (
                "[relying_party]\nid = \"example.com\"\norigins = [\"http://app.example.com\"]",
                "relying_party.origins[0] = \"http://app.example.com\": wrong value",
            ),
            (
                "[relying_party]\nid = \"example.com\"\norigins = [\"https://example.com\"]",
                "warning: route[0].host = \"app.example.com\": people cannot sign in at this host",
            ),
        ] {
            assert_found(&format!("{text}\n{APP}{ROUTE}"), expected);
        }
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
    fn passkeys_work_at_the_host_where_people_sign_in_alone() {
        let auth = |text: &str| {
            let folder = TempDir::new().unwrap();
            let party = format!("[relying_party]\nid = \"example.com\"\n{text}\n");
            let text =
                format!("server.auth_host = \"Auth.example.com\"\n{party}{APP}{MANY_WILDCARDS}");
            crate::config::compile::fixture::read(&folder, &text.replace("Auth", "auth"))
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

    #[test]
    fn a_logo_is_an_image_of_modest_size() {
        let folder = TempDir::new().unwrap();
        let with = |bytes: &[u8]| {
            std::fs::write(folder.path().join("logo"), bytes).unwrap();
            found(&folder, &format!("{PARTY}logo = \"logo\"\n{APP}{ROUTE}"))
        };
        assert_eq!(with(b"<svg/>"), [""; 0]);
        assert!(with(b"GIF89a")[0].contains("relying_party.logo = \"logo\": not an image"));
        let mut large = b"<svg>".to_vec();
        large.resize(256 * 1024 + 1, b' ');
        assert!(with(&large)[0].contains("has 262145 bytes; expected at most 256 KiB"));
    }
}
