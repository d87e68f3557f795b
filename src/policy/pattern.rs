//! What stands in the `host` and `path` keys of a route.
//!
//! A pattern is checked when the configuration is read, so that one that could never match, or only in
//! some spellings, is an error there and not a hole later.

use super::{
    own_page,
    reading::{Reading, folded},
    target::Target,
};

/// `app.example.com` or `*.example.com` (exactly one label).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    text: String,
}

/// `/x` (exact), `/x/*` (the segment and all below it) or `/*` (everything).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    /// The text without differences of case; `None` when that is the text itself.
    folded: Option<String>,
}

impl HostPattern {
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let error = |problem: &str| {
            Err(format!(
                "`{text}` {problem}; write a host name such as `app.example.com`, or `*.example.com` for \
                 every name one label longer, or leave the key out for every host"
            ))
        };
        let name = text.strip_prefix("*.").unwrap_or(text);
        if !text.is_ascii() {
            return error("is not ASCII: write international names in their `xn--` form");
        }
        if name.contains('*') {
            return error("has `*` elsewhere than as its whole first label");
        }
        if name.contains(':') {
            return error("has a colon: scheme, port and IPv6 addresses have no place here");
        }
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        if text.len() > 253 || !name.split('.').all(is_label) {
            return error("is not a host name");
        }
        Ok(Self {
            text: text.to_ascii_lowercase(),
        })
    }

    /// As in the file, lower case.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches a host in lower case.
    pub fn matches(&self, host: &str) -> bool {
        match self.text.strip_prefix('*') {
            None => self.text == host,
            Some(parent) => host
                .strip_suffix(parent)
                .is_some_and(|label| !label.is_empty() && !label.contains('.')),
        }
    }

    /// Whether it matches whatever `other` matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self == other || (!other.text.starts_with('*') && self.matches(&other.text))
    }
}

impl PathPattern {
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, everything_below) = match text.strip_suffix("/*") {
            Some("") => return Ok(Self::new(text)),
            Some(path) => (path, true),
            None => (text, false),
        };
        let suffix = if everything_below { "/*" } else { "" };
        if path.contains('*') || path.to_ascii_lowercase().contains("%2a") {
            return Err(format!(
                "`{text}` has `*` elsewhere than at the end; write `/x` for one path, `/x/*` for it and all \
                 below it, or `/*` for every path"
            ));
        }
        if path.contains(['?', '#']) {
            return Err(format!(
                "`{text}` has a query or fragment; routes match the path alone"
            ));
        }
        let encoded: String = path.bytes().map(encoded_for_target).collect();
        let target = Target::parse(encoded.as_bytes())
            .map_err(|error| format!("`{text}` cannot be matched: {error}"))?;
        if target.path() != path {
            return Err(format!(
                "`{text}` is not in canonical form; write `{}{suffix}`",
                target.path()
            ));
        }
        if let Some(plain) = target.readings().skip(1).find(|reading| reading.is_plain()) {
            let path = plain.path();
            return Err(format!(
                "`{text}` can be read in other ways; write `{path}{suffix}`, which every spelling of it is \
                 held to"
            ));
        }
        if everything_below && path == "/" {
            return Err(format!("`{text}` has an empty segment; write `/*`"));
        }
        if target.readings().any(is_own) {
            return Err(format!(
                "`{text}` is one of the gateway's own pages, which are never forwarded"
            ));
        }
        Ok(Self::new(text))
    }

    /// As in the file, canonical.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches a canonical path.
    pub(super) fn matches(&self, path: &str) -> bool {
        text_matches(&self.text, path)
    }

    /// Whether it matches a [folded](Reading::folded) path when case does not matter.
    pub(super) fn matches_folded(&self, path: &str) -> bool {
        text_matches(self.folded.as_deref().unwrap_or(&self.text), path)
    }

    /// Whether case makes any difference to it.
    pub(super) fn has_case(&self) -> bool {
        self.folded.is_some()
    }

    /// Whether it matches whatever `other` matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self.text.strip_suffix("/*"), other.text.strip_suffix("/*")) {
            (_, None) => self.matches(&other.text),
            (None, Some(_)) => false,
            (Some(""), Some(_)) => true,
            (Some(_), Some(base)) => self.matches(base),
        }
    }

    fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            folded: folded(text),
        }
    }
}

fn text_matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix("/*") {
        None => pattern == path,
        Some(base) => path
            .strip_prefix(base)
            .is_some_and(|below| below.is_empty() || below.starts_with('/')),
    }
}

fn is_own(reading: &Reading) -> bool {
    own_page::is_own_page(reading.path()) || own_page::is_reserved(reading)
}

/// The way a browser would send it, so that the error can name the canonical form.
fn encoded_for_target(byte: u8) -> String {
    match byte {
        0x21..=0x7e => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_pattern_is_a_name_or_one_label_more() {
        for (pattern, host, matches) in [
            ("App.Example.com", "app.example.com", true),
            ("app.example.com", "x.app.example.com", false),
            ("*.example.com", "app.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "badexample.com", false),
            ("localhost", "localhost", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("xn--caf-dma.example", "xn--caf-dma.example", true),
            ("my_app.internal", "my_app.internal", true),
        ] {
            let parsed = HostPattern::parse(pattern).unwrap();
            assert_eq!(parsed.as_str(), pattern.to_ascii_lowercase());
            assert_eq!(parsed.matches(host), matches, "{pattern} {host}");
        }
    }

    #[test]
    fn a_host_pattern_says_what_is_wrong_with_it() {
        let long = format!("{}com", "a.".repeat(126));
        for (pattern, part) in [
            ("", "is not a host name"),
            ("*", "`*` elsewhere"),
            ("*.", "is not a host name"),
            ("a.*.com", "`*` elsewhere"),
            ("*a.com", "`*` elsewhere"),
            ("*.*.com", "`*` elsewhere"),
            ("café.example", "`xn--` form"),
            ("example.com:443", "colon"),
            ("https://example.com", "colon"),
            ("[::1]", "colon"),
            ("example.com.", "is not a host name"),
            (".example.com", "is not a host name"),
            ("a..com", "is not a host name"),
            ("-a.com", "is not a host name"),
            ("a b.com", "is not a host name"),
            ("example.com/x", "is not a host name"),
            (&long, "is not a host name"),
        ] {
            let error = HostPattern::parse(pattern).unwrap_err();
            assert!(error.contains(part), "{pattern}: {error}");
            assert!(error.contains("such as `app.example.com`"), "{error}");
        }
    }

    #[test]
    fn a_path_pattern_is_exact_or_a_segment_and_all_below() {
        for (pattern, path, matches) in [
            ("/x", "/x", true),
            ("/x", "/x/", false),
            ("/x", "/X", false),
            ("/x/*", "/x", true),
            ("/x/*", "/x/", true),
            ("/x/*", "/x/y/z", true),
            ("/x/*", "/xy", false),
            ("/x/*", "/", false),
            ("/", "/", true),
            ("/", "/x", false),
            ("/*", "/", true),
            ("/*", "//x", true),
            ("/*", "/x/y", true),
            ("/caf%C3%A9/a@b", "/caf%C3%A9/a@b", true),
        ] {
            let parsed = PathPattern::parse(pattern).unwrap();
            assert_eq!(parsed.as_str(), pattern);
            assert_eq!(parsed.matches(path), matches, "{pattern} {path}");
        }
    }

    #[test]
    fn a_path_pattern_matches_folded_paths_in_any_case() {
        let pattern = PathPattern::parse("/Caf%C3%89/*").unwrap();
        assert!(pattern.has_case());
        assert!(pattern.matches_folded("/café/x"));
        assert!(!pattern.matches("/caf%C3%A9/x"));
        assert!(!PathPattern::parse("/cafe").unwrap().has_case());
    }

    #[test]
    fn a_path_pattern_says_what_to_write_instead() {
        for (pattern, part) in [
            ("", "does not begin with a slash"),
            ("x", "does not begin with a slash"),
            ("*", "`*` elsewhere"),
            ("x/*", "does not begin with a slash"),
            ("/x*", "`*` elsewhere"),
            ("/*/x", "`*` elsewhere"),
            ("/*/*", "`*` elsewhere"),
            ("/x/**", "`*` elsewhere"),
            ("/a%2ab", "`*` elsewhere"),
            ("/x?y=1", "query"),
            ("/x#y", "query"),
            ("/a/../b", "dot segment"),
            ("/a\\b", "backslash"),
            ("/%zz", "percent sign"),
            ("/%61/*", "write `/a/*`"),
            ("/a b", "write `/a%20b`"),
            ("/café/*", "write `/caf%C3%A9/*`"),
            ("/%c3%a9", "write `/%C3%A9`"),
            ("/a|b", "write `/a%7Cb`"),
            ("/a%40b/*", "write `/a@b/*`"),
            ("/x/", "write `/x`"),
            ("/x//*", "write `/x/*`"),
            ("//*", "write `/*`"),
            ("//", "write `/`"),
            ("//x", "write `/x`"),
            ("/a;v=1/b", "write `/a/b`"),
            ("/a./b", "write `/a/b`"),
            ("/a%2Fb", "write `/a/b`"),
            ("/.gatehouse/*", "own pages"),
            ("/.Gatehouse/sign-in", "own pages"),
            ("/.well-known/webauthn", "own pages"),
        ] {
            let error = PathPattern::parse(pattern).unwrap_err();
            assert!(error.contains(part), "{pattern}: {error}");
        }
    }

    #[test]
    fn what_one_pattern_covers_another_cannot_match() {
        let patterns = ["/*", "/", "/a", "/a/*", "/a/b", "/a/b/*", "/ab", "/ab/*"];
        let paths = [
            "/", "/a", "/a/", "/a/b", "/a/b/c", "/a/c", "/ab", "/ab/c", "//",
        ];
        for one in patterns.map(|text| PathPattern::parse(text).unwrap()) {
            for two in patterns.map(|text| PathPattern::parse(text).unwrap()) {
                let covers = paths
                    .iter()
                    .all(|path| !two.matches(path) || one.matches(path));
                assert_eq!(one.covers(&two), covers, "{one:?} {two:?}");
            }
        }
    }
}
