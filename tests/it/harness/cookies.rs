//! The cookies of one browser, as far as the tests need them: by name, replaced and removed as told.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, SET_COOKIE};

/// The session cookie's name.
pub const SESSION: &str = "__Host-gatehouse";

/// One browser's cookies.
#[derive(Clone, Default)]
pub struct CookieJar {
    cookies: BTreeMap<String, String>,
}

impl CookieJar {
    /// Does what an answer's `Set-Cookie` fields ask.
    pub fn take_from(&mut self, headers: &HeaderMap) {
        for line in set_cookie_lines(headers) {
            let (pair, attributes) = line.split_once(';').unwrap_or((&line, ""));
            let (name, value) = pair.split_once('=').expect("a cookie has a name");
            if attributes.to_ascii_lowercase().contains("max-age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// The `Cookie` field; `None` without cookies.
    pub fn header(&self) -> Option<String> {
        let pairs: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// One cookie's value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// Sets a cookie by hand.
    pub fn set(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }
}

/// The `Set-Cookie` fields of an answer.
pub fn set_cookie_lines(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(SET_COOKIE)
        .iter()
        .map(|line| line.to_str().expect("cookies are ASCII").to_owned())
        .collect()
}
