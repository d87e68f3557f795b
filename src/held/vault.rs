//! What is kept is sealed under a key that takes the secret in its browser's cookie as well as the server's:
//! whoever has the store, or the store and the server's secret, reads nothing of it.

use bytes::Bytes;

use super::summary::Summary;
use crate::{
    core::Core,
    id::HeldId,
    secret::{Purpose, Sealer},
    web::browser::Browser,
};

/// Seals and opens for one browser, on one host.
pub struct Vault<'a> {
    sealer: Sealer,
    host: &'a str,
}

impl<'a> Vault<'a> {
    /// With the keys of both.
    pub fn new(core: &Core, browser: &Browser, host: &'a str) -> Self {
        Self {
            sealer: browser.sealer(Purpose::HeldRequest, &core.secret),
            host,
        }
    }

    /// `None` when it does not serialise.
    pub fn seal_summary(&self, id: HeldId, summary: &Summary) -> Option<Vec<u8>> {
        let plain = serde_json::to_vec(summary).ok()?;
        Some(self.sealer.seal(&self.context(b"summary", id), &plain))
    }

    /// `None` when anything about it differs.
    pub fn open_summary(&self, id: HeldId, sealed: &[u8]) -> Option<Summary> {
        let plain = self.sealer.open(&self.context(b"summary", id), sealed)?;
        serde_json::from_slice(&plain).ok()
    }

    /// Sealed for this id alone.
    pub fn seal_body(&self, id: HeldId, body: &[u8]) -> Vec<u8> {
        self.sealer.seal(&self.context(b"body", id), body)
    }

    /// `None` when anything about it differs.
    pub fn open_body(&self, id: HeldId, sealed: &[u8]) -> Option<Bytes> {
        let plain = self.sealer.open(&self.context(b"body", id), sealed)?;
        Some(Bytes::from_owner(plain))
    }

    fn context(&self, part: &[u8], id: HeldId) -> Vec<u8> {
        let id = id.uuid();
        [part, b"/", id.as_bytes(), b"/", self.host.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;
    use crate::secret::ServerSecret;

    fn vault<'a>(secret: &ServerSecret, browser: &Browser, host: &'a str) -> Vault<'a> {
        Vault {
            sealer: browser.sealer(Purpose::HeldRequest, secret),
            host,
        }
    }

    #[test]
    fn what_is_kept_opens_in_its_browser_on_its_host_under_its_id_alone() {
        let secret = ServerSecret::random();
        let browser = Browser::of(&HeaderMap::new());
        let here = vault(&secret, &browser, "app.example");
        let (id, other) = (HeldId::random(), HeldId::random());
        let sealed = here.seal_body(id, b"money");
        assert_eq!(here.open_body(id, &sealed).unwrap(), "money");
        assert!(here.open_body(other, &sealed).is_none());
        assert!(here.open_summary(id, &sealed).is_none());
        let there = vault(&secret, &browser, "wiki.example");
        assert!(there.open_body(id, &sealed).is_none());
        let stranger = Browser::of(&HeaderMap::new());
        let stolen = vault(&secret, &stranger, "app.example");
        assert!(stolen.open_body(id, &sealed).is_none());
        let thief = vault(&ServerSecret::random(), &browser, "app.example");
        assert!(thief.open_body(id, &sealed).is_none());
    }
}
