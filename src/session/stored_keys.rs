//! The signing keys in the store: the first of each kind, new ones, and the end of old ones.

use std::{sync::Arc, time::Duration};

use axum::http::HeaderValue;

use super::{
    Sessions, SessionsError, Visit,
    assertion_keys::{self, AssertionKey, AssertionKeys, Jwks},
    key_ring::{Key, KeyRing},
};
use crate::{
    clock::Timestamp,
    key_kind::KeyKind,
    secret::ServerSecret,
    store::{Store, StoreError, StoredKey},
    telemetry::audit::{Actor, AuditEvent, AuditRecord},
};

impl Sessions {
    /// Makes the first key for assertions if there is none: before the first app is told anything in one.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn ensure_assertion_key(&self) -> Result<(), SessionsError> {
        if self.assertion_keys.load().is_empty() {
            let (store, secret) = (&*self.store, &self.secret);
            add_first_key(store, secret, self.clock.now(), KeyKind::Assertion).await?;
            let loaded = load_keys(store, secret).await?;
            self.assertion_keys.store(Arc::new(loaded.assertion));
        }
        Ok(())
    }

    /// A signed statement of who asks, by `issuer` for the app at the host `audience`; `None` when there is no
    /// key.
    pub fn assertion(&self, visit: &Visit, issuer: &str, audience: &str) -> Option<HeaderValue> {
        let (keys, now) = (self.assertion_keys.load(), self.clock.now());
        self.assertions.of(visit, (issuer, audience), &keys, now)
    }

    /// The keys by which apps verify assertions.
    pub fn jwks(&self) -> Jwks {
        self.assertion_keys.load().published(self.clock.now())
    }

    /// Forgets the signing keys that can verify nothing any more.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn forget_keys(&self) -> Result<(), SessionsError> {
        let now = self.clock.now();
        for kind in KeyKind::ALL {
            let superseded_before = match kind {
                KeyKind::Session => now.minus(KEEP_SESSION_KEYS),
                KeyKind::Assertion => assertion_keys::unneeded_before(now),
            };
            let store = &self.store;
            for kid in store.forget_keys(kind, superseded_before, now).await? {
                tracing::info!(%kind, kid, "a signing key that verifies nothing any more is forgotten");
            }
        }
        Ok(())
    }
}

/// A superseded session key is kept so long at least. That no living session needs it is for the store to say; this
/// covers what the store cannot know, such as the clocks of nodes.
const KEEP_SESSION_KEYS: Duration = Duration::from_secs(60 * 60);

/// Adds a new key, which signs once it has settled. Gives its name.
///
/// # Errors
/// When the store does not answer.
pub async fn rotate_key(
    store: &dyn Store,
    secret: &ServerSecret,
    now: Timestamp,
    kind: KeyKind,
    by: Actor,
) -> Result<String, StoreError> {
    let (key, audit) = new_key(secret, now, kind, Some(by));
    store.add_key(&key, false, &audit).await?;
    audit.log();
    Ok(key.kid)
}

/// Adds the first key of a kind; nodes that start together agree on one.
pub(super) async fn add_first_key(
    store: &dyn Store,
    secret: &ServerSecret,
    now: Timestamp,
    kind: KeyKind,
) -> Result<(), StoreError> {
    let (key, audit) = new_key(secret, now, kind, None);
    if store.add_key(&key, true, &audit).await? {
        audit.log();
    }
    Ok(())
}

fn new_key(
    secret: &ServerSecret,
    now: Timestamp,
    kind: KeyKind,
    actor: Option<Actor>,
) -> (StoredKey, AuditRecord) {
    let key = match kind {
        KeyKind::Session => Key::random(now).seal(secret),
        KeyKind::Assertion => AssertionKey::random(now).seal(secret),
    };
    let kid = key.kid.clone();
    let audit = AuditRecord {
        at: now,
        account: None,
        network: None,
        request: None,
        actor,
        event: AuditEvent::KeyRotated { kid, kind },
    };
    (key, audit)
}

/// The keys of each kind.
pub(super) struct LoadedKeys {
    /// `None` when there is no key yet.
    pub session: Option<KeyRing>,
    pub assertion: AssertionKeys,
}

pub(super) async fn load_keys(
    store: &dyn Store,
    secret: &ServerSecret,
) -> Result<LoadedKeys, SessionsError> {
    let (mut session, mut assertion) = (Vec::new(), Vec::new());
    for key in store.keys().await? {
        match key.kind {
            KeyKind::Session => session.push(Key::open(&key, secret)),
            KeyKind::Assertion => assertion.push(AssertionKey::open(&key, secret)),
        }
    }
    let session: Option<Vec<_>> = session.into_iter().collect();
    let session = session.ok_or(SessionsError::WrongSecret)?;
    let assertion: Option<Vec<_>> = assertion.into_iter().collect();
    Ok(LoadedKeys {
        session: (!session.is_empty()).then(|| KeyRing::new(session)),
        assertion: AssertionKeys::new(assertion.ok_or(SessionsError::WrongSecret)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Clock, store::sqlite::SqliteStore};

    #[tokio::test]
    async fn keys_that_nobody_needs_any_more_are_forgotten_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gatehouse.db");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&file).await.unwrap());
        let clock = Clock::fixed(Timestamp::from_seconds(1_000_000));
        let secret = ServerSecret::random();
        let opened = Sessions::open(
            Arc::clone(&store),
            clock.clone(),
            secret.clone(),
            "example.com",
        );
        let sessions = opened.await.unwrap();
        sessions.ensure_assertion_key().await.unwrap();
        sessions.ensure_assertion_key().await.unwrap();
        clock.advance(Duration::from_secs(60));
        for kind in KeyKind::ALL {
            let by = Actor::CommandLine(None);
            rotate_key(&*store, &secret, clock.now(), kind, by)
                .await
                .unwrap();
        }
        // Minutes from the rotation, and how many keys are left: two of each kind, then one of each.
        for (minutes, left) in [(0, 4), (11, 4), (12, 3), (60, 3), (61, 2), (600, 2)] {
            let moment = Timestamp::from_seconds(1_000_060 + minutes * 60);
            clock.advance(moment.since(clock.now()));
            sessions.forget_keys().await.unwrap();
            assert_eq!(
                store.keys().await.unwrap().len(),
                left,
                "after {minutes} minutes"
            );
        }
        sessions.catch_up().await.unwrap();
        let secret = ServerSecret::random();
        let other = Sessions::open(store, clock, secret, "example.com").await;
        assert!(matches!(other.err(), Some(SessionsError::WrongSecret)));
    }
}
