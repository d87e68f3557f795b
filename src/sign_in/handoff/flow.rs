//! What a browser keeps on an app host while its session is fetched: a secret that nobody else has, and sealed
//! beside it where the person was going. One cookie for each, so that several tabs do not disturb each other.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::need::Need;
use crate::{
    secret::{Digest, Purpose, ServerSecret, Token},
    session::cookie,
    web::return_to::ReturnTo,
};

/// As long as somebody may take to sign in: a mail's way and a walk to the other device are in it.
const LIFESPAN: Duration = Duration::from_secs(30 * 60);

/// A browser that opens more tabs than this at once loses the older ones' return paths, not its sessions; the
/// cookies together must fit a request's header.
const MAX_AT_ONCE: usize = 6;

const PREFIX: &str = "__Host-gatehouse-handoff-";

/// A session being fetched.
pub(super) struct Flow {
    secret: Token,
    state: State,
}

#[derive(Serialize, Deserialize)]
struct State {
    return_to: String,
    need: Need,
}

impl Flow {
    /// One that begins.
    pub fn begin(return_to: &ReturnTo, need: Need) -> Self {
        Self {
            secret: Token::random(),
            state: State {
                return_to: return_to.as_str().to_owned(),
                need,
            },
        }
    }

    /// The one that a browser keeps under a tag, on this host.
    pub fn of(headers: &HeaderMap, tag: &str, host: &str, root: &ServerSecret) -> Option<Self> {
        if !is_tag(tag) {
            return None;
        }
        let value = cookie::single(headers, &format!("{PREFIX}{tag}"))?;
        let (secret, sealed) = value.split_once('.')?;
        let secret = Token::parse(secret)?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let sealer = root.sealer(Purpose::FlowState);
        let plain = sealer.open(&context(host, &secret.digest()), &sealed)?;
        let state = serde_json::from_slice(&plain).ok()?;
        Some(Self { secret, state })
    }

    /// What the auth host is told of the secret.
    pub fn browser(&self) -> Digest {
        self.secret.digest()
    }

    /// Where the person was going.
    pub fn return_to(&self) -> ReturnTo {
        ReturnTo::parse(&self.state.return_to)
    }

    /// What the session has to be.
    pub const fn need(&self) -> Need {
        self.state.need
    }

    /// The cookie that keeps it; `None` when it does not serialise.
    pub fn cookie(&self, host: &str, root: &ServerSecret) -> Option<HeaderValue> {
        let plain = serde_json::to_vec(&self.state).ok()?;
        let sealer = root.sealer(Purpose::FlowState);
        let sealed = sealer.seal(&context(host, &self.browser()), &plain);
        let value = format!(
            "{}.{}",
            self.secret.reveal(),
            URL_SAFE_NO_PAD.encode(sealed)
        );
        Some(cookie::set(&self.name(), &value, LIFESPAN))
    }

    /// The cookie that forgets it.
    pub fn forget(&self) -> HeaderValue {
        cookie::clear(&self.name())
    }

    fn name(&self) -> String {
        format!("{PREFIX}{}", tag(&self.browser()))
    }
}

/// What a flow is told by among others of the browser.
pub(super) fn tag(browser: &Digest) -> String {
    let written = URL_SAFE_NO_PAD.encode(browser.bytes());
    written.chars().take(TAG_CHARS).collect()
}

const TAG_CHARS: usize = 16;

fn is_tag(text: &str) -> bool {
    text.len() == TAG_CHARS
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Cookies that forget all flows of a browser that keeps too many.
pub(super) fn forget_many(headers: &HeaderMap) -> Vec<HeaderValue> {
    let tags: Vec<_> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split('=').next()?.strip_prefix(PREFIX))
        .filter(|tag| is_tag(tag))
        .collect();
    if tags.len() < MAX_AT_ONCE {
        return Vec::new();
    }
    tags.iter()
        .map(|tag| cookie::clear(&format!("{PREFIX}{tag}")))
        .collect()
}

/// A cookie is good on its own host and with its own secret alone.
fn context(host: &str, browser: &Digest) -> Vec<u8> {
    [b"handoff/", host.as_bytes(), b"/", browser.bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "app.example.com";

    fn kept(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(pair).unwrap())])
    }

    #[test]
    fn a_flow_is_found_by_its_tag_on_its_host_and_nowhere_else() {
        let root = ServerSecret::random();
        let flow = Flow::begin(&ReturnTo::parse("/notes?page=2"), Need::Full);
        let cookie = flow.cookie(HOST, &root).unwrap();
        let headers = kept(&cookie);
        let tag = tag(&flow.browser());
        let found = Flow::of(&headers, &tag, HOST, &root).unwrap();
        assert_eq!(found.browser(), flow.browser());
        assert_eq!(found.return_to().as_str(), "/notes?page=2");
        assert_eq!(found.need(), Need::Full);
        assert!(!cookie.to_str().unwrap().contains("notes"));

        assert!(Flow::of(&headers, &tag, "wiki.example.com", &root).is_none());
        assert!(Flow::of(&headers, &tag, HOST, &ServerSecret::random()).is_none());
        let other = Flow::begin(&ReturnTo::home(), Need::Full);
        assert!(Flow::of(&headers, &super::tag(&other.browser()), HOST, &root).is_none());
        for tag in ["", "x", "../../../../../..", "aaaaaaaaaaaaaaa;"] {
            assert!(Flow::of(&headers, tag, HOST, &root).is_none(), "{tag}");
        }
    }

    #[test]
    fn a_secret_does_not_open_what_was_sealed_beside_another() {
        let root = ServerSecret::random();
        let [one, other] = ["/one", "/other"].map(|path| {
            let flow = Flow::begin(&ReturnTo::parse(path), Need::SignIn);
            let cookie = flow.cookie(HOST, &root).unwrap();
            let value = cookie.to_str().unwrap().split(';').next().unwrap();
            value
                .split_once('.')
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .unwrap()
        });
        let mixed = HeaderValue::from_str(&format!("{}.{}", one.0, other.1)).unwrap();
        let tag = one.0[PREFIX.len()..].split('=').next().unwrap().to_owned();
        assert!(Flow::of(&kept(&mixed), &tag, HOST, &root).is_none());
    }

    #[test]
    fn the_longest_return_path_fits_a_cookie() {
        let root = ServerSecret::random();
        let path = format!("/{}", "x".repeat(ReturnTo::MAX_BYTES - 1));
        let flow = Flow::begin(
            &ReturnTo::parse(&path),
            Need::StepUp {
                max_age_s: u64::MAX,
            },
        );
        // RFC 6265bis §5.6: name and value together.
        assert!(flow.cookie(HOST, &root).unwrap().len() < 4096);
    }

    #[test]
    fn too_many_flows_are_forgotten_together() {
        let root = ServerSecret::random();
        let mut headers = HeaderMap::new();
        for count in 1..=MAX_AT_ONCE {
            let flow = Flow::begin(&ReturnTo::home(), Need::SignIn);
            for line in kept(&flow.cookie(HOST, &root).unwrap())
                .into_iter()
                .map(|(_, v)| v)
            {
                headers.append(header::COOKIE, line);
            }
            let forgotten = forget_many(&headers).len();
            assert_eq!(forgotten, if count < MAX_AT_ONCE { 0 } else { count });
        }
    }
}
