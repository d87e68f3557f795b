//! How an upstream may read a path otherwise than we do.
//!
//! Servers differ, legitimately, in letter case, `;params`, doubled slashes and more. Nobody knows which
//! upstream stands behind a route, so the policy looks at all of these readings and asks for the strictest
//! of what they need. They are closed under every [`Change`] in any order, since a path may pass
//! through several programs, each with habits of its own.

use std::fmt;

use serde::Serialize;

use super::target::{TargetError, canonical_path, escaped_octet, hex_octet, is_reserved_pchar};

/// One path that an upstream may take a target for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    path: String,
    /// Without differences of case; `None` when that is the path itself.
    folded: Option<String>,
    changes: Vec<Change>,
}

/// What makes one reading of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// `%40` means `@`. Most servers decode a path whole before they look at it.
    ReservedDecoded,
    /// `%2F` means `/`.
    SlashDecoded,
    /// `%2541` means `%41`.
    DecodedAgain,
    /// `/a;b/c` means `/a/c`, as in servlet containers.
    ParamsCut,
    /// `/a./b%20` means `/a/b`, as on Windows.
    TrailingDotsCut,
    /// `//a///b` means `/a/b`, as with nginx and most file systems.
    SlashesMerged,
    /// `//a/b` means `/b`: URL parsers take what follows two slashes for a host, and programs in Node.js
    /// and PHP parse their target as a URL.
    HostCut,
    /// `/a/` means `/a`, as in most routers of web frameworks.
    EndSlashCut,
}

/// The most readings, besides the canonical one, that are looked at: five oddities that are independent of
/// each other. More would be a way to make one request cost as much as thousands.
pub const MAX_OTHER_READINGS: usize = 31;

/// The most bytes of path that all readings may hold together, for the same reason: a path of the greatest
/// length may have two independent oddities, one of 1 KiB all five.
pub const MAX_READING_BYTES: usize = 32 * 1024;

impl Reading {
    /// Of a canonical path.
    pub(super) fn new(path: String, changes: Vec<Change>) -> Self {
        Self {
            folded: folded(&path),
            path,
            changes,
        }
    }

    /// The path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path as an upstream that ignores case sees it; only for comparing with another folded path.
    pub fn folded(&self) -> &str {
        self.folded.as_deref().unwrap_or(&self.path)
    }

    /// Whether ignoring case makes any difference to the path.
    pub fn has_case(&self) -> bool {
        self.folded.is_some()
    }

    /// How it came about; empty for the canonical path.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether nothing could be read otherwise but its case.
    pub(super) fn is_plain(&self) -> bool {
        Change::ALL
            .iter()
            .all(|change| matches!(change.apply(&self.path), Ok(None)))
    }

    /// What each change makes of it.
    fn changed(&self) -> Result<Vec<(Change, String)>, TargetError> {
        let mut changed = Vec::new();
        for change in Change::ALL {
            if let Some(path) = change.apply(&self.path)? {
                changed.push((change, path));
            }
        }
        Ok(changed)
    }

    fn with(&self, path: String, change: Change) -> Self {
        let mut changes = self.changes.clone();
        if !changes.contains(&change) {
            changes.push(change);
        }
        Self::new(path, changes)
    }
}

impl Change {
    const ALL: [Self; 8] = [
        Self::ReservedDecoded,
        Self::SlashDecoded,
        Self::DecodedAgain,
        Self::ParamsCut,
        Self::TrailingDotsCut,
        Self::SlashesMerged,
        Self::HostCut,
        Self::EndSlashCut,
    ];

    /// Whether there may be something to change, told cheaply.
    fn may_apply(self, path: &str) -> bool {
        match self {
            Self::ReservedDecoded => path.contains('%'),
            Self::SlashDecoded => path.contains("%2F"),
            Self::DecodedAgain => path.contains("%25"),
            Self::ParamsCut => path.contains(';'),
            Self::TrailingDotsCut => path.contains('.') || path.contains("%20"),
            Self::SlashesMerged => path.contains("//"),
            Self::HostCut => path.starts_with("//"),
            Self::EndSlashCut => path.ends_with('/'),
        }
    }

    /// The changed path; `None` when there is nothing to change.
    fn apply(self, path: &str) -> Result<Option<String>, TargetError> {
        if !self.may_apply(path) {
            return Ok(None);
        }
        let changed = match self {
            Self::ReservedDecoded => reserved_decoded(path),
            Self::SlashDecoded => path.replace("%2F", "/"),
            Self::DecodedAgain => decoded_again(path)?,
            Self::ParamsCut => each_segment(path, |segment| {
                segment.split_once(';').map_or(segment, |(name, _)| name)
            }),
            Self::TrailingDotsCut => each_segment(path, trailing_dots_cut),
            Self::SlashesMerged => slashes_merged(path),
            Self::HostCut => host_cut(path).to_owned(),
            Self::EndSlashCut => match path.strip_suffix('/') {
                None | Some("") => path.to_owned(),
                Some(shorter) => shorter.to_owned(),
            },
        };
        Ok((changed != path).then_some(changed))
    }
}

/// For a list of what was done to the path.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservedDecoded => "reserved characters decoded",
            Self::SlashDecoded => "encoded slashes decoded",
            Self::DecodedAgain => "escapes decoded twice",
            Self::ParamsCut => ";parameters cut",
            Self::TrailingDotsCut => "trailing dots and spaces cut",
            Self::SlashesMerged => "doubled slashes merged",
            Self::HostCut => "what follows two slashes taken for a host",
            Self::EndSlashCut => "the slash at the end cut",
        })
    }
}

/// All readings of a canonical path but itself, fewest changes first.
pub(super) fn other_readings(primary: &Reading) -> Result<Vec<Reading>, TargetError> {
    if reads_one_way(&primary.path) {
        return Ok(Vec::new());
    }
    refuse_dot_segments(&primary.path)?;
    let mut all = vec![primary.clone()];
    let mut bytes = primary.path.len();
    let mut examined = 0;
    while let Some(from) = all.get(examined).cloned() {
        for (change, path) in from.changed()? {
            if all.iter().any(|known| known.path == path) {
                continue;
            }
            bytes += path.len();
            if all.len() > MAX_OTHER_READINGS || bytes > MAX_READING_BYTES {
                return Err(TargetError::TooManyReadings);
            }
            refuse_dot_segments(&path)?;
            all.push(from.with(path, change));
        }
        examined += 1;
    }
    all.remove(0);
    Ok(all)
}

/// The path without differences of case, `None` when it has none. Beyond ASCII, letters go to upper and back
/// to lower case, since servers compare in the one or the other: `ſ` becomes `s`, the Kelvin sign `k`.
pub(super) fn folded(path: &str) -> Option<String> {
    let begins_beyond_ascii =
        |text: &str| escaped_octet(text).is_some_and(|octet| !octet.is_ascii());
    if !path
        .match_indices('%')
        .any(|(at, _)| begins_beyond_ascii(&path[at..]))
    {
        let has_case = path.bytes().any(|byte| byte.is_ascii_uppercase());
        return has_case.then(|| path.to_ascii_lowercase());
    }
    let bytes = path.as_bytes();
    let mut octets = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match escaped_octet(&path[at..]) {
            Some(octet) if !octet.is_ascii() => {
                octets.push(octet);
                at += 3;
            }
            Some(_) | None => {
                octets.push(*byte);
                at += 1;
            }
        }
    }
    let folded: String = String::from_utf8_lossy(&octets)
        .chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    (folded != path).then_some(folded)
}

/// Whether no change applies, for sure. Nearly every path ends here, in one pass and without allocating.
fn reads_one_way(path: &str) -> bool {
    let mut segment_end = b'/';
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b';' | b'%' => return false,
            b'/' if at > 0 && matches!(segment_end, b'/' | b'.') => return false,
            _ => segment_end = byte,
        }
    }
    path == "/" || !matches!(segment_end, b'/' | b'.')
}

/// Refuses a segment that is `.` or `..` to a server that cuts `;params`, or trailing dots and spaces. Three
/// and more dots are refused with them: to some they lead upward, and no app is known to use them.
fn refuse_dot_segments(path: &str) -> Result<(), TargetError> {
    let is_dots = |segment: &str| {
        let name = segment.split_once(';').map_or(segment, |(name, _)| name);
        name.contains('.') && name.replace("%20", "").bytes().all(|byte| byte == b'.')
    };
    if path.split('/').any(is_dots) {
        return Err(TargetError::DotSegment);
    }
    Ok(())
}

fn reserved_decoded(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        match escaped_octet(&rest[at..]) {
            Some(octet) if is_reserved_pchar(octet) => {
                decoded.push(char::from(octet));
                rest = &rest[at + 3..];
            }
            Some(_) | None => {
                decoded.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    decoded + rest
}

/// Takes `%25` for a percent sign where that makes an escape. A slash that so appears is refused: nobody
/// encodes one twice but to have it seen by one program and not by the next.
fn decoded_again(path: &str) -> Result<String, TargetError> {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find("%25") {
        decoded.push_str(&rest[..at + 1]);
        rest = &rest[at + 3..];
        match hex_octet(rest) {
            Some(b'/') => return Err(TargetError::HiddenSlash),
            Some(_) => {}
            None => decoded.push_str("25"),
        }
    }
    canonical_path(&(decoded + rest))
}

fn each_segment(path: &str, change: impl Fn(&str) -> &str) -> String {
    path.split('/').map(change).collect::<Vec<_>>().join("/")
}

fn trailing_dots_cut(mut segment: &str) -> &str {
    while let Some(shorter) = segment
        .strip_suffix('.')
        .or_else(|| segment.strip_suffix("%20"))
    {
        segment = shorter;
    }
    segment
}

fn slashes_merged(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        merged.push('/');
        merged.push_str(segment);
    }
    if path.ends_with('/') {
        merged.push('/');
    }
    merged
}

fn host_cut(path: &str) -> &str {
    if !path.starts_with("//") {
        return path;
    }
    let host = path.trim_start_matches('/');
    host.find('/').map_or("/", |at| &host[at..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::target::Target;

    fn readings(path: &str) -> Vec<String> {
        let target = Target::parse(path.as_bytes()).unwrap();
        let mut paths: Vec<_> = target.readings().map(|r| r.path().to_owned()).collect();
        assert_eq!(paths.remove(0), target.path());
        paths.sort();
        paths
    }

    #[test]
    fn a_plain_path_is_read_one_way() {
        for path in [
            "/",
            "/a",
            "/a/b.c",
            "/.a/..b",
            "/A/b-c_d~e",
            "/a@b:c",
            "/caf%C3%A9",
            "/100%25",
        ] {
            assert_eq!(readings(path), [""; 0], "{path}");
        }
    }

    #[test]
    fn each_change_gives_a_reading() {
        for (path, expected) in [
            ("/a%40b", &["/a@b"][..]),
            ("/a%2Fb", &["/a/b"]),
            ("/%2561", &["/a"]),
            ("/%25C3%25A9", &["/%C3%A9"]),
            ("/a;b=c/d", &["/a/d"]),
            ("/a./b%20", &["/a/b"]),
            ("/a%20.%20", &["/a"]),
            ("/a///b", &["/a/b"]),
            ("//a/b", &["/a/b", "/b"]),
            ("/a/", &["/a"]),
            ("/%2540", &["/%40", "/@"]),
            ("/%252541", &["/%2541", "/A"]),
            ("/a%3Bb", &["/a", "/a;b"]),
        ] {
            assert_eq!(readings(path), expected, "{path}");
        }
    }

    #[test]
    fn changes_are_made_in_any_order() {
        assert_eq!(
            readings("/x%2Fy;b%2Fc"),
            ["/x%2Fy", "/x/y", "/x/y/c", "/x/y;b/c"]
        );
        assert_eq!(
            readings("//a/;x/b"),
            [
                "/", "//a//b", "//b", "/;x/b", "/a//b", "/a/;x/b", "/a/b", "/b"
            ]
        );
    }

    #[test]
    fn a_reading_tells_how_it_came_about() {
        let target = Target::parse(b"/a;b//c").unwrap();
        let found = target.readings().find(|r| r.path() == "/a/c").unwrap();
        assert_eq!(found.changes(), [Change::ParamsCut, Change::SlashesMerged]);
        assert!(found.is_plain());
        assert!(!target.readings().next().unwrap().is_plain());
    }

    #[test]
    fn folding_forgets_case_in_every_script() {
        for (path, expected) in [
            ("/a%20b", "/a%20b"),
            ("/Ab", "/ab"),
            ("/a%2Fb", "/a%2fb"),
            ("/CAF%C3%89", "/café"),
            ("/caf%C3%A9", "/café"),
            ("/%E2%84%AA", "/k"),
            ("/%C5%BF", "/s"),
        ] {
            assert_eq!(Reading::new(path.to_owned(), vec![]).folded(), expected);
        }
        assert!(!Reading::new("/a/b".to_owned(), vec![]).has_case());
    }

    #[test]
    fn more_readings_than_can_be_looked_at_are_refused() {
        let odd = "//a;b/c./d%40//e%2F%2541/";
        assert_eq!(
            Target::parse(odd.as_bytes()),
            Err(TargetError::TooManyReadings)
        );
        assert!(Target::parse(b"/a;b/c./d%40//e/").is_ok());
        let long = format!("/{}", "a;b/c./d%40//e/".repeat(500));
        assert_eq!(
            Target::parse(long.as_bytes()),
            Err(TargetError::TooManyReadings)
        );
        let long = format!("/{}", "a;b/c./d".repeat(1000));
        assert!(Target::parse(long.as_bytes()).is_ok());
    }

    #[test]
    fn the_shortcut_agrees_with_the_changes() {
        let alphabet = ['/', '.', ';', 'a', '%'];
        for number in 0..alphabet.len().pow(5) {
            let digits = (0..5u32).map(|place| number / alphabet.len().pow(place) % alphabet.len());
            let path: String = "/"
                .chars()
                .chain(digits.map(|digit| alphabet[digit]))
                .collect();
            let path = path.replace('%', "%40");
            let reading = Reading::new(path.clone(), vec![]);
            let plain = reading.is_plain() && refuse_dot_segments(&path).is_ok();
            assert!(!reads_one_way(&path) || plain, "{path}");
        }
    }
}
