//! Where a person was going: a path on this host, never anywhere else.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::policy::target::Target;

/// A canonical path and query on the host that was asked, at most [`ReturnTo::MAX_BYTES`] long. It cannot
/// name another host, so following it is no open redirect (OWASP ASVS 5.0 §3.7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(String);

impl ReturnTo {
    /// Longer addresses are given up: they would not fit a cookie beside the rest.
    pub const MAX_BYTES: usize = 2000;

    /// The front page.
    pub fn home() -> Self {
        Self("/".to_owned())
    }

    /// `text` as a return path, or [`home`](Self::home) when it is none.
    pub fn parse(text: &str) -> Self {
        Self::accept(text).unwrap_or_else(Self::home)
    }

    fn accept(text: &str) -> Option<Self> {
        if text.len() > Self::MAX_BYTES {
            return None;
        }
        let target = Target::parse(text.as_bytes()).ok()?;
        // Two slashes name another host in a `Location` (RFC 3986 §4.2). Coming back to a page of signing
        // in or out would loop or undo what was just done; those that manage an account may be gone to.
        let elsewhere = target.path().starts_with("//");
        let path = target.path();
        let own = path.to_ascii_lowercase().starts_with("/.gatehouse");
        let managing = path.starts_with("/.gatehouse/account")
            || path.starts_with("/.gatehouse/admin")
            || [
                "/.gatehouse/enrol",
                // On its way to another host; it leads nowhere by itself.
                "/.gatehouse/handoff",
                "/.gatehouse/pair/approve",
                "/.gatehouse/pair/phone",
                "/.gatehouse/resume",
            ]
            .contains(&path);
        (!elsewhere && (!own || managing)).then(|| Self(target.path_and_query()))
    }

    /// The path and query.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path alone.
    pub fn path(&self) -> &str {
        self.0.split('?').next().unwrap_or_default()
    }

    /// `page` with this path as its `return_to` parameter.
    pub fn on(&self, page: &str) -> String {
        format!(
            "{page}?return_to={}",
            utf8_percent_encode(&self.0, PARAMETER)
        )
    }
}

/// Characters that stand for themselves in a query parameter.
const PARAMETER: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_of_this_host_is_kept() {
        for path in [
            "/",
            "/notes",
            "/notes?a=1&b=%20",
            "/.gatehouse/account",
            "/.gatehouse/admin?query=ann",
            "/.gatehouse/enrol?return_to=/x",
            "/.gatehouse/pair/approve?token=x",
            "/.gatehouse/handoff?host=x",
            "/.gatehouse/resume?held=x",
        ] {
            assert_eq!(ReturnTo::parse(path).as_str(), path);
        }
        assert_eq!(
            ReturnTo::parse("/a?b=c&d").on("/.gatehouse/sign-in"),
            "/.gatehouse/sign-in?return_to=/a%3Fb%3Dc%26d"
        );
    }

    #[test]
    fn anything_else_leads_home() {
        let long = format!("/{}", "a".repeat(ReturnTo::MAX_BYTES));
        for text in [
            "",
            "notes",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "/../x",
            "/%2e%2e/x",
            "/\r\nSet-Cookie: a=b",
            "/\tx",
            "/.gatehouse/sign-in",
            "/.gatehouse/pair",
            "/.gatehouse/handoff/end?code=x",
            "/.gatehouse/resume/discard",
            "/.Gatehouse/sign-out",
            &long,
        ] {
            assert_eq!(ReturnTo::parse(text), ReturnTo::home(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_browser_stays_on_the_host(text in "\\PC*") {
            let base = url::Url::parse("https://app.example.com/here").unwrap();
            let landed = base.join(ReturnTo::parse(&text).as_str()).unwrap();
            prop_assert_eq!(landed.origin(), base.origin());
        }

        #[test]
        fn slashes_backslashes_and_dots_stay_on_the_host(text in "[/\\\\.:@%2fe5c a\t]{0,12}") {
            let base = url::Url::parse("https://app.example.com/here").unwrap();
            let landed = base.join(ReturnTo::parse(&text).as_str()).unwrap();
            prop_assert_eq!(landed.origin(), base.origin());
        }
    }
}
