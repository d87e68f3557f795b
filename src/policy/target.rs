//! The one form of a request target.
//!
//! A target is brought to a canonical form that is matched and forwarded. What could be taken for
//! another path altogether is refused; what upstreams legitimately differ in is listed as
//! [readings](super::reading). Start at [`Target::parse`].

use percent_encoding::percent_decode_str;

use super::reading::{Reading, other_readings};

/// A request target in canonical form: in the path, unreserved octets stand for themselves, all that is
/// not a `pchar` (RFC 3986 §3.3) is percent-encoded with upper-case digits, and no reading of it holds a
/// dot segment, a backslash or a control byte. The query is as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    primary: Reading,
    others: Vec<Reading>,
    query: Option<String>,
    ambiguities: Ambiguities,
}

/// Ways in which a target could be read otherwise that a route may choose to tolerate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ambiguities {
    /// The path holds an encoded slash.
    pub encoded_slash: bool,
    /// Decoded once, the path still holds a percent-encoded octet.
    pub double_encoding: bool,
}

/// Why a target is refused whatever the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Asterisk, absolute or authority form, or nothing at all.
    #[error("the path does not begin with a slash")]
    NoLeadingSlash,
    /// Longer than [`Target::MAX_BYTES`].
    #[error("path and query are longer than {} bytes", Target::MAX_BYTES)]
    TooLong,
    /// A fragment never leaves a browser (RFC 9110 §7.1).
    #[error("the target holds a number sign, which begins a fragment")]
    Fragment,
    /// A byte below 0x21 or 0x7f, or the escape of one below 0x20 or 0x7f.
    #[error("the target holds a control byte or a space")]
    ControlByte,
    /// A byte above 0x7e that is not percent-encoded.
    #[error("the target holds a byte outside ASCII that is not percent-encoded")]
    NotAscii,
    /// A backslash, which Windows and browsers take for a slash.
    #[error("the path holds a backslash")]
    Backslash,
    /// A segment that some server takes for `.` or `..`.
    #[error("the path holds a dot segment")]
    DotSegment,
    /// A percent sign without two hexadecimal digits.
    #[error("the path holds a percent sign without two hexadecimal digits after it")]
    InvalidEscape,
    /// Overlong forms are among these.
    #[error("the decoded path is not valid UTF-8")]
    InvalidUtf8,
    /// `%252F` and deeper.
    #[error("the path holds a slash that is percent-encoded more than once")]
    HiddenSlash,
    /// More readings than [`super::reading::MAX_OTHER_READINGS`], or more to read in all of them than
    /// [`super::reading::MAX_READING_BYTES`].
    #[error("the path can be read in too many ways")]
    TooManyReadings,
}

impl Target {
    /// The longest path and query, raw or canonical. RFC 9110 §4.1 asks for 8000 octets at least; the
    /// usual upstreams stop at 8 KiB for the whole request line, so more would be refused there.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// Reads an origin-form target (RFC 9112 §3.2.1).
    ///
    /// # Errors
    /// When it is in another form, or could be taken for another path than its canonical one.
    pub fn parse(raw: &[u8]) -> Result<Self, TargetError> {
        if raw.first() != Some(&b'/') {
            return Err(TargetError::NoLeadingSlash);
        }
        if raw.len() > Self::MAX_BYTES {
            return Err(TargetError::TooLong);
        }
        let raw = visible_ascii(raw)?;
        let (path, query) = match raw.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (raw, None),
        };
        let primary = Reading::new(canonical_path(path)?, Vec::new());
        let query_bytes = query.as_ref().map_or(0, |query| query.len() + 1);
        if primary.path().len() + query_bytes > Self::MAX_BYTES {
            return Err(TargetError::TooLong);
        }
        Ok(Self {
            others: other_readings(&primary)?,
            ambiguities: Ambiguities::of(primary.path()),
            primary,
            query,
        })
    }

    /// The canonical path.
    pub fn path(&self) -> &str {
        self.primary.path()
    }

    /// The query, without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Path and query as they are forwarded.
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path()),
            None => self.path().to_owned(),
        }
    }

    /// What is ambiguous about it.
    pub fn ambiguities(&self) -> Ambiguities {
        self.ambiguities
    }

    /// The paths that an upstream may take it for, the canonical one first.
    pub fn readings(&self) -> impl Iterator<Item = &Reading> {
        std::iter::once(&self.primary).chain(&self.others)
    }
}

impl Ambiguities {
    fn of(path: &str) -> Self {
        Self {
            encoded_slash: path.contains("%2F"),
            double_encoding: path
                .match_indices("%25")
                .any(|(at, percent)| hex_octet(&path[at + percent.len()..]).is_some()),
        }
    }

    /// Whether there is one that `tolerated` does not hold.
    pub fn exceed(self, tolerated: Self) -> bool {
        (self.encoded_slash && !tolerated.encoded_slash)
            || (self.double_encoding && !tolerated.double_encoding)
    }
}

/// Refuses bytes that no valid request line carries, and the fragment.
fn visible_ascii(raw: &[u8]) -> Result<&str, TargetError> {
    for byte in raw {
        match byte {
            b'#' => return Err(TargetError::Fragment),
            0x00..=0x20 | 0x7f => return Err(TargetError::ControlByte),
            0x80.. => return Err(TargetError::NotAscii),
            0x21..=0x7e => {}
        }
    }
    std::str::from_utf8(raw).map_err(|_| TargetError::NotAscii)
}

/// The canonical form of a path in visible ASCII. Canonical paths come back as they are.
pub(super) fn canonical_path(path: &str) -> Result<String, TargetError> {
    let mut canonical = String::with_capacity(path.len());
    let mut beyond_ascii = false;
    let mut bytes = path.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        let octet = match byte {
            b'%' => {
                let octet = escaped_octet(&path[at..]).ok_or(TargetError::InvalidEscape)?;
                bytes.nth(1);
                octet
            }
            byte => byte,
        };
        match octet {
            b'\\' => return Err(TargetError::Backslash),
            0x00..=0x1f | 0x7f => return Err(TargetError::ControlByte),
            octet if is_unreserved(octet) => canonical.push(char::from(octet)),
            octet if byte != b'%' && (octet == b'/' || is_reserved_pchar(octet)) => {
                canonical.push(char::from(octet));
            }
            octet => {
                beyond_ascii |= !octet.is_ascii();
                push_escaped(&mut canonical, octet);
            }
        }
    }
    if beyond_ascii && percent_decode_str(&canonical).decode_utf8().is_err() {
        return Err(TargetError::InvalidUtf8);
    }
    Ok(canonical)
}

/// The octet of the escape that `text` begins with.
pub(super) fn escaped_octet(text: &str) -> Option<u8> {
    text.strip_prefix('%').and_then(hex_octet)
}

/// The octet of the two hexadecimal digits that `text` begins with.
pub(super) fn hex_octet(text: &str) -> Option<u8> {
    let [high, low, ..] = text.as_bytes() else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

/// Characters whose escapes mean the same as they do themselves (RFC 3986 §2.3).
fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')
}

/// The reserved characters that a segment may hold (RFC 3986 §3.3). By the RFC their escapes mean
/// something else than they do; most upstreams make no difference.
pub(super) fn is_reserved_pchar(octet: u8) -> bool {
    b"!$&'()*+,;=:@".contains(&octet)
}

fn push_escaped(text: &mut String, octet: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(DIGITS[usize::from(octet >> 4)]));
    text.push(char::from(DIGITS[usize::from(octet & 0xf)]));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(raw: &str) -> String {
        Target::parse(raw.as_bytes())
            .unwrap_or_else(|error| panic!("{raw}: {error}"))
            .path_and_query()
    }

    #[test]
    fn a_target_is_brought_to_its_canonical_form() {
        for (raw, expected) in [
            ("/", "/"),
            ("/a/b.c", "/a/b.c"),
            ("/%61%2d%5F%7e%2E5", "/a-_~.5"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%20b%3b%40", "/a%20b%3B%40"),
            ("/!$&'()*+,;=:@", "/!$&'()*+,;=:@"),
            ("/|^\"<>`{}[]", "/%7C%5E%22%3C%3E%60%7B%7D%5B%5D"),
            ("/100%25", "/100%25"),
            ("/a%2fb", "/a%2Fb"),
            ("//a///b/", "//a///b/"),
            ("/.a/b.../..c/a..b", "/.a/b.../..c/a..b"),
            ("/a?", "/a?"),
            ("/a?b=%zz&c=%41/../\\|?%0a", "/a?b=%zz&c=%41/../\\|?%0a"),
        ] {
            assert_eq!(canonical(raw), expected);
        }
    }

    #[test]
    fn path_and_query_are_told_apart() {
        let target = Target::parse(b"/%41?b?c").unwrap();
        assert_eq!((target.path(), target.query()), ("/A", Some("b?c")));
        assert_eq!(Target::parse(b"/a").unwrap().query(), None);
    }

    #[test]
    fn what_could_be_another_path_is_refused() {
        use TargetError::*;
        for (raws, error) in [
            (
                &["", "*", "a/b", "http://h/a", "h:443", "?a", "%2Fa", "\\a"][..],
                NoLeadingSlash,
            ),
            (&["/a#b", "/a?b#c", "/#"], Fragment),
            (
                &["/a b", "/a?b c", "/a\tb", "/\0", "/a\x7f", "/a?\r\nX: y"],
                ControlByte,
            ),
            (&["/%00", "/a%0a", "/%1F", "/%7f"], ControlByte),
            (&["/é", "/a?é"], NotAscii),
            (&["/a\\b", "/a%5cb", "/..%5C", "/a%255cb"], Backslash),
            (
                &["/.", "/..", "/a/./b", "/a/../b", "/%2e", "/.%2E/a"],
                DotSegment,
            ),
            (&["/..;/a", "/a/..;x=1/b", "/.;/a", "/..%3Bx/a"], DotSegment),
            (&["/a%2F..%2Fb", "/a%2f%2e%2e", "/a;b%2F..;c"], DotSegment),
            (
                &["/..%20/a", "/a/%20./b", "/.../a", "/a/.%20./b"],
                DotSegment,
            ),
            (&["/%252e%252e/a", "/%25252e/a", "/..%253Bx/a"], DotSegment),
            (
                &["/%", "/a%4", "/%zz", "/%u002f", "/%+1", "/%%41"],
                InvalidEscape,
            ),
            (
                &[
                    "/%ff",
                    "/%c0%af",
                    "/%e0%80%af",
                    "/%C3",
                    "/%C3x%A9",
                    "/%ed%a0%80",
                ],
                InvalidUtf8,
            ),
            (
                &["/%25c0%25af", "/%25FF", "/100%25ab", "/%c3%25a9"],
                InvalidUtf8,
            ),
            (&["/a%252fb", "/a%25%32%46b", "/a%25252Fb"], HiddenSlash),
            (&["/a%2500", "/a%250A", "/a%25257f"], ControlByte),
        ] {
            for raw in raws {
                assert_eq!(Target::parse(raw.as_bytes()), Err(error), "{raw}");
            }
        }
    }

    #[test]
    fn length_is_limited_before_and_after() {
        let of = |unit: &str, times: usize| format!("/{}", unit.repeat(times));
        let parse = |raw: String| Target::parse(raw.as_bytes()).err();
        assert_eq!(parse(of("a", Target::MAX_BYTES - 1)), None);
        assert_eq!(
            parse(of("a", Target::MAX_BYTES)),
            Some(TargetError::TooLong)
        );
        assert_eq!(
            parse(of("|", Target::MAX_BYTES / 2)),
            Some(TargetError::TooLong)
        );
        let query = format!("/?{}", "a".repeat(Target::MAX_BYTES - 2));
        assert_eq!(parse(query.clone()), None);
        assert_eq!(parse(query + "a"), Some(TargetError::TooLong));
    }

    #[test]
    fn endless_nesting_is_refused_and_cheap() {
        let nested = format!("/%{}41", "25".repeat(4000));
        assert_eq!(
            Target::parse(nested.as_bytes()),
            Err(TargetError::TooManyReadings)
        );
    }

    #[test]
    fn ambiguities_are_noticed() {
        for (raw, encoded_slash, double_encoding) in [
            ("/a;b//C?d=%2F%2541", false, false),
            ("/a%2fb", true, false),
            ("/100%25", false, false),
            ("/100%25a", false, false),
            ("/%2541", false, true),
            ("/%25%34%31%2F", true, true),
        ] {
            let expected = Ambiguities {
                encoded_slash,
                double_encoding,
            };
            let target = Target::parse(raw.as_bytes()).unwrap();
            assert_eq!(target.ambiguities(), expected, "{raw}");
        }
    }

    #[test]
    fn an_ambiguity_is_tolerated_by_name() {
        let (slash, double) = (
            Ambiguities {
                encoded_slash: true,
                double_encoding: false,
            },
            Ambiguities {
                encoded_slash: false,
                double_encoding: true,
            },
        );
        let none = Ambiguities::default();
        assert!(!none.exceed(none) && !slash.exceed(slash) && !double.exceed(double));
        assert!(slash.exceed(none) && slash.exceed(double) && double.exceed(slash));
    }

    /// Text made of what path parsers trip over.
    fn tricky() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "/", "/", "a", "B", ".", "..", ";", "%2e", "%2F", "%25", "25", "2e", "2F", "%5c",
            "%20", "%3B", "%40", "@", "|", "%c3%a9", "%C0", "%", "?", "\\", "%00", "~", "41",
        ]);
        prop::collection::vec(pieces, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    fn is_dot_segment(segment: &str) -> bool {
        let name = segment.split_once(';').map_or(segment, |(name, _)| name);
        name == "." || name == ".."
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(raw in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Target::parse(&raw);
            let _ = Target::parse(&[b"/", raw.as_slice()].concat());
        }

        #[test]
        fn the_canonical_form_is_a_fixed_point(raw in tricky()) {
            if let Ok(target) = Target::parse(raw.as_bytes()) {
                let again = Target::parse(target.path_and_query().as_bytes());
                prop_assert_eq!(again, Ok(target));
            }
        }

        #[test]
        fn no_reading_holds_what_is_refused(raw in tricky()) {
            if let Ok(target) = Target::parse(raw.as_bytes()) {
                for reading in target.readings() {
                    let mut decoded = reading.path().to_owned();
                    loop {
                        let next = percent_decode_str(&decoded).decode_utf8().unwrap().into_owned();
                        prop_assert!(next.starts_with('/'));
                        prop_assert!(!next.contains(|c: char| c == '\\' || c.is_ascii_control()));
                        prop_assert!(!next.split('/').any(is_dot_segment));
                        if next == decoded {
                            break;
                        }
                        decoded = next;
                    }
                }
            }
        }
    }
}
