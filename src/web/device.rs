//! A short label for a device from its `User-Agent`, so that people recognise their own sessions and
//! passkeys: *Chrome on Windows*, *Safari on iPhone*.
//!
//! The header is whatever its sender likes, and today's browsers freeze most of it. The label is put
//! together from words of our own, never from the header's, so a hostile one can only be wrong.

/// The longest label in bytes; none that [`label`] makes is longer.
pub const MAX_LABEL_BYTES: usize = 32;

/// How much of the header is read. Real ones are under 300 bytes.
const MAX_READ_BYTES: usize = 512;

/// What to call the device that sent `user_agent`. Never empty.
pub fn label(user_agent: Option<&str>) -> String {
    let text = user_agent.unwrap_or_default();
    let text = &text[..text.floor_char_boundary(MAX_READ_BYTES)];
    match (first_match(text, BROWSERS), first_match(text, PLATFORMS)) {
        (Some(browser), Some(platform)) => format!("{browser} on {platform}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(platform)) => format!("Browser on {platform}"),
        (None, None) => "Unknown device".to_owned(),
    }
}

fn first_match(text: &str, table: &[(&str, &'static str)]) -> Option<&'static str> {
    table
        .iter()
        .find(|(mark, _)| text.contains(mark))
        .map(|(_, name)| *name)
}

/// Most browsers also claim to be Chrome, and nearly all to be Safari: the particular comes first.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
];

/// Android says Linux as well, and an iPhone mentions Mac OS X: the particular comes first.
const PLATFORMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("Linux", "Linux"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn people_recognise_their_devices() {
        let cases = [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36",
                "Chrome on Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36 Edg/149.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/149.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPhone",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
                "Safari on Mac",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
                "Samsung Internet on Android",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0",
                "Firefox on Linux",
            ),
            ("curl/8.14.1", "curl"),
            ("Mozilla/5.0 (iPad)", "Browser on iPad"),
        ];
        for (user_agent, expected) in cases {
            assert_eq!(label(Some(user_agent)), expected);
        }
    }

    #[test]
    fn nothing_and_nonsense_are_unknown() {
        for user_agent in [
            None,
            Some(""),
            Some("<script>alert(1)</script>"),
            Some("🦀"),
        ] {
            assert_eq!(label(user_agent), "Unknown device");
        }
    }

    #[test]
    fn the_end_of_an_overlong_header_is_not_read() {
        let long = format!("{}Firefox/1", "é".repeat(400));
        assert_eq!(label(Some(&long)), "Unknown device");
    }

    #[test]
    fn no_label_outgrows_its_limit() {
        for (_, browser) in BROWSERS {
            for (_, platform) in PLATFORMS {
                assert!(format!("{browser} on {platform}").len() <= MAX_LABEL_BYTES);
            }
        }
    }

    proptest! {
        #[test]
        fn a_hostile_header_gives_a_harmless_label(user_agent in "\\PC{0,600}") {
            let label = label(Some(&user_agent));
            prop_assert!(!label.is_empty() && label.len() <= MAX_LABEL_BYTES);
            prop_assert!(label.chars().all(|c| c.is_ascii_alphanumeric() || c == ' '));
        }
    }
}
