//! What the pages load: stylesheet, script, icon, and the operator's colour and logo.
//!
//! Each file's name carries a fingerprint of its content, so that it may be cached for ever and a new
//! version is a new file. The set is built once per configuration; looking one up touches no disk.

use std::sync::Arc;

use bytes::Bytes;
use ring::digest::{SHA256, digest};

mod accent;

use self::accent::Colour;
use crate::config::Branding;

/// Where assets are served; a file name follows.
pub const ASSETS_PATH: &str = "/.gatehouse/assets/";

/// Every asset of one configuration.
#[derive(Clone, Debug)]
pub struct Assets {
    stylesheet: Entry,
    brand: Entry,
    script: Entry,
    icon: Entry,
    logo: Option<Entry>,
}

/// One file to serve, with `Cache-Control: public, max-age=31536000, immutable`.
///
/// An operator's SVG logo could hold script: serve it with the pages' `Content-Security-Policy` and with
/// `X-Content-Type-Options: nosniff`, as every asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// For `Content-Type`.
    pub media_type: &'static str,
    /// The content, cheap to clone: it is embedded in the program or shared with the configuration.
    pub bytes: Bytes,
}

#[derive(Clone, Debug)]
struct Entry {
    url: String,
    asset: Asset,
}

impl Assets {
    /// The assets for this branding.
    pub fn new(branding: &Branding) -> Self {
        let accent = branding
            .accent
            .as_deref()
            .and_then(Colour::parse)
            .unwrap_or(accent::DEFAULT);
        let embedded = |stem, extension, media_type, content: &'static str| {
            Entry::new(
                stem,
                extension,
                media_type,
                Bytes::from_static(content.as_bytes()),
            )
        };
        Self {
            stylesheet: embedded("app", ".css", CSS, include_str!("../../static/app.css")),
            brand: Entry::new("brand", ".css", CSS, accent::stylesheet(accent).into()),
            script: embedded(
                "app",
                ".js",
                JAVASCRIPT,
                include_str!("../../static/app.js"),
            ),
            icon: embedded("icon", ".svg", SVG, include_str!("../../static/icon.svg")),
            logo: branding.logo.as_ref().map(|logo| {
                let bytes = Bytes::from_owner(Arc::clone(&logo.bytes));
                Entry::new("logo", "", logo.media_type, bytes)
            }),
        }
    }

    /// The asset of this file name, fingerprint included.
    pub fn get(&self, file_name: &str) -> Option<Asset> {
        self.entries()
            .find(|entry| entry.file_name() == file_name)
            .map(|entry| entry.asset.clone())
    }

    /// Path of the stylesheet of all pages.
    pub fn stylesheet(&self) -> &str {
        &self.stylesheet.url
    }

    /// Path of the stylesheet that holds the accent colour.
    pub fn brand(&self) -> &str {
        &self.brand.url
    }

    /// Path of the script of all pages, a module.
    pub fn script(&self) -> &str {
        &self.script.url
    }

    /// Path of the icon for browser tabs: the operator's logo, or ours.
    pub fn icon(&self) -> &str {
        self.logo().unwrap_or(&self.icon.url)
    }

    /// Path of the operator's logo.
    pub fn logo(&self) -> Option<&str> {
        self.logo.as_ref().map(|logo| logo.url.as_str())
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        [&self.stylesheet, &self.brand, &self.script, &self.icon]
            .into_iter()
            .chain(&self.logo)
    }
}

impl Entry {
    fn new(stem: &str, extension: &str, media_type: &'static str, bytes: Bytes) -> Self {
        let fingerprint = fingerprint(&bytes);
        Self {
            url: format!("{ASSETS_PATH}{stem}-{fingerprint}{extension}"),
            asset: Asset { media_type, bytes },
        }
    }

    fn file_name(&self) -> &str {
        self.url.strip_prefix(ASSETS_PATH).unwrap_or_default()
    }
}

/// The first 8 hex digits of SHA-256: enough to tell versions apart, and nothing depends on more.
fn fingerprint(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest.as_ref()[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Logo;

    fn branding(accent: Option<&str>, logo: Option<&[u8]>) -> Branding {
        Branding {
            name: "Example".to_owned(),
            logo: logo.map(|bytes| Logo {
                media_type: "image/png",
                bytes: bytes.into(),
            }),
            accent: accent.map(str::to_owned),
        }
    }

    fn named(assets: &Assets, url: &str) -> Asset {
        assets.get(url.strip_prefix(ASSETS_PATH).unwrap()).unwrap()
    }

    #[test]
    fn every_address_leads_to_its_file() {
        let assets = Assets::new(&branding(None, Some(b"logo")));
        assert_eq!(named(&assets, assets.stylesheet()).media_type, CSS);
        assert_eq!(named(&assets, assets.brand()).media_type, CSS);
        assert_eq!(named(&assets, assets.script()).media_type, JAVASCRIPT);
        let logo = named(&assets, assets.logo().unwrap());
        assert_eq!(
            (logo.media_type, &logo.bytes[..]),
            ("image/png", &b"logo"[..])
        );
        assert_eq!(assets.icon(), assets.logo().unwrap());
    }

    #[test]
    fn other_content_has_another_name() {
        let one = Assets::new(&branding(Some("#123456"), Some(b"one")));
        let two = Assets::new(&branding(Some("#123457"), Some(b"two")));
        assert_ne!(one.brand(), two.brand());
        assert_ne!(one.logo(), two.logo());
        assert_eq!(one.stylesheet(), two.stylesheet());
        assert_eq!(
            one.brand(),
            Assets::new(&branding(Some("#123456"), None)).brand()
        );
    }

    #[test]
    fn a_name_without_its_fingerprint_is_not_found() {
        let assets = Assets::new(&branding(None, None));
        for name in [
            "",
            "app.css",
            "app-00000000.css",
            "../app.css",
            "logo-",
            "icon.svg",
        ] {
            assert_eq!(assets.get(name), None, "{name}");
        }
        assert_eq!(assets.logo(), None);
        assert!(assets.icon().ends_with(".svg"));
    }

    #[test]
    fn the_accent_reaches_the_stylesheet_and_nothing_else_does() {
        let own = Assets::new(&branding(Some("#aa3300"), None));
        let text = named(&own, own.brand()).bytes;
        assert!(
            String::from_utf8(text.to_vec())
                .unwrap()
                .contains("--accent:#aa3300;")
        );
        let broken = Assets::new(&branding(Some("red;}*{display:none"), None));
        assert_eq!(broken.brand(), Assets::new(&branding(None, None)).brand());
    }
}
