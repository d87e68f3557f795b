//! `[relying_party]`: what passkeys belong to, where people reach the gateway, and how pages look.

use std::path::Path;

use super::{Surroundings, origins};
use crate::config::{
    Branding, Logo, RelyingParty,
    file::{self, File, Section},
    findings::{Finding, Findings},
};

/// Bytes. A logo travels with the first page of every visitor.
const MAX_LOGO_BYTES: usize = 256 * 1024;

const ID: &str = "a domain name such as \"example.com\", or \"localhost\"";
/// The relying party.
pub(super) fn relying_party(file: &File, findings: &mut Findings<'_>) -> Option<RelyingParty> {
    let section = &file.relying_party;
    let written = findings.required(section.value.id.as_ref(), section, "relying_party.id", ID);
    let given = origins::given(section, findings);
    let written = written?;
    let Some(id) = domain(&written.value) else {
        findings.error(written, Finding::value(ID));
        return None;
    };
    let (origins, auth) = origins::of(file, &id, given, findings)?;
    Some(RelyingParty {
        name: name(&section.value, &id),
        origins,
        auth,
        id,
    })
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
        Some(path) => match read_logo(&around.file(&path.value)) {
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

fn name(section: &file::RelyingParty, id: &str) -> String {
    match &section.name {
        Some(name) => name.value.trim().to_owned(),
        None => id.to_owned(),
    }
}

/// Lower case; `None` unless `text` is a domain name that browsers take as a relying party id.
pub(super) fn domain(text: &str) -> Option<String> {
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
