//! The browser that asked: a random cookie that ties a flow to the one browser that began it and from
//! which form tokens are derived. It says nothing about a person.

use axum::http::{HeaderMap, HeaderValue};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::time::Duration;

use crate::{
    secret::{Digest, Purpose, Sealer, ServerSecret, Token},
    session::cookie,
};

const NAME: &str = "__Host-gatehouse-browser";

/// Renewed on each visit to a page, so only a browser that stays away for so long is forgotten.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The browser of one request.
#[derive(Clone, Debug)]
pub struct Browser {
    secret: Token,
    known: bool,
}

impl Browser {
    /// The browser its cookie names, or a new one.
    pub fn of(headers: &HeaderMap) -> Self {
        let known = cookie::single(headers, NAME).and_then(Token::parse);
        Self {
            known: known.is_some(),
            secret: known.unwrap_or_else(Token::random),
        }
    }

    /// What is stored to recognise it by.
    pub fn digest(&self) -> Digest {
        self.secret.digest()
    }

    /// The cookie to set, if the browser does not have it yet.
    pub fn cookie_to_set(&self) -> Option<HeaderValue> {
        (!self.known).then(|| cookie::set(NAME, &self.secret.reveal(), LIFETIME))
    }

    /// The token that this browser's forms carry (OWASP: signed double submit). A page of another site
    /// can make the browser send its cookies but knows neither cookie nor token.
    pub fn form_token(&self, secret: &ServerSecret) -> String {
        URL_SAFE_NO_PAD.encode(self.expected(secret).bytes())
    }

    /// Whether a form was served to this very browser.
    pub fn accepts(&self, form_token: &str, secret: &ServerSecret) -> bool {
        // A browser without the cookie was never served a form.
        self.known
            && form_token.len() == 43
            && URL_SAFE_NO_PAD
                .decode(form_token)
                .ok()
                .and_then(|bytes| Digest::from_slice(&bytes))
                .is_some_and(|given| given == self.expected(secret))
    }

    /// A key that takes this browser's secret as well as the server's.
    pub fn sealer(&self, purpose: Purpose, secret: &ServerSecret) -> Sealer {
        secret.sealer_with(purpose, &self.secret)
    }

    fn expected(&self, secret: &ServerSecret) -> Digest {
        secret
            .mac_key(Purpose::FormToken)
            .digest(&[self.secret.reveal_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    fn returning(browser: &Browser) -> Browser {
        let cookie = browser.cookie_to_set().unwrap();
        let pair = cookie
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_str(&pair).unwrap());
        Browser::of(&headers)
    }

    #[test]
    fn a_form_token_is_good_for_the_browser_it_was_served_to_and_no_other() {
        let secret = ServerSecret::random();
        let browser = Browser::of(&HeaderMap::new());
        let token = browser.form_token(&secret);
        assert!(returning(&browser).accepts(&token, &secret));
        assert!(!browser.accepts(&token, &secret), "no cookie");
        assert!(
            !returning(&Browser::of(&HeaderMap::new())).accepts(&token, &secret),
            "another"
        );
        assert!(!returning(&browser).accepts("", &secret));
        assert!(!returning(&browser).accepts(&token, &ServerSecret::random()));
    }

    #[test]
    fn a_known_browser_is_not_given_a_new_cookie() {
        let browser = returning(&Browser::of(&HeaderMap::new()));
        assert!(browser.cookie_to_set().is_none());
    }
}
