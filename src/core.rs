//! What every operation works with: the store, the clock, the sessions, the outbox and the configuration
//! in force.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    clock::Clock,
    condition::Condition,
    config::{Config, SecretSource, StoreLocation},
    limit::Limits,
    mail::Outbox,
    reload::Reloads,
    relying_party::RelyingParty,
    secret::ServerSecret,
    session::{Sessions, SessionsError},
    shadow::Shadow,
    snapshot::Snapshot,
    store::{Store, StoreError, sqlite::SqliteStore},
    telemetry::{access_log::AccessLog, metrics::Metrics, traces::Traces},
};

/// One Gatehouse, shared by the gateway, its pages and its background work; the command line opens one of
/// its own beside a running server.
pub struct Core {
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Clock,
    /// The root of all keys.
    pub secret: ServerSecret,
    /// Who is signed in.
    pub sessions: Sessions,
    /// How often things may be tried.
    pub limits: Limits,
    /// Mail on its way out.
    pub outbox: Outbox,
    /// What is counted and measured.
    pub metrics: Arc<Metrics>,
    /// What is wrong although it serves.
    pub condition: Arc<Condition>,
    /// The candidate that is tried out beside the configuration in force.
    pub shadow: Shadow,
    /// New configurations while it runs.
    pub reloads: Reloads,
    /// Where lines about requests go; nowhere until the server starts it.
    pub access_log: AccessLog,
    /// Where spans of requests go; nowhere unless the server starts it.
    pub traces: Option<Traces>,
    snapshot: ArcSwap<Snapshot>,
}

/// Why a Gatehouse does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store does not open.
    #[error("the store {} does not open", path.display())]
    Store {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// Sessions cannot be had.
    #[error(transparent)]
    Sessions(#[from] SessionsError),
    /// The file of the generated secret cannot be read or written.
    #[error("the secret file {path} cannot be {action}")]
    SecretFile {
        /// Which file.
        path: String,
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The file of the generated secret holds something else.
    #[error("the secret file {path} does not hold a secret of at least 32 bytes in base64url")]
    SecretContent {
        /// Which file.
        path: String,
    },
    /// The passkey library does not accept the relying party.
    #[error("the relying party is not accepted")]
    RelyingParty(#[from] webauthn_rs::prelude::WebauthnError),
}

impl Core {
    /// Opens the store that a configuration names and everything on top of it.
    ///
    /// # Errors
    /// When the store, the secret or the keys cannot be had.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, OpenError> {
        let StoreLocation::Sqlite(path) = &config.store;
        let metrics = Arc::<Metrics>::default();
        let opened = SqliteStore::open(path).await;
        let store = opened.map_err(|source| OpenError::Store {
            path: path.clone(),
            source,
        })?;
        let store: Arc<dyn Store> = Arc::new(store.counted_in(Arc::clone(&metrics)));
        let secret = match &config.secret {
            SecretSource::Given(secret) => secret.clone(),
            SecretSource::Generated(path) => kept_secret(path)?,
        };
        let relying_party = RelyingParty::new(&config.relying_party)?;
        let audience = &config.relying_party.id;
        let sessions =
            Sessions::open(Arc::clone(&store), clock.clone(), secret.clone(), audience).await?;
        let sessions = sessions.counted_in(Arc::clone(&metrics));
        if config.identity.assertion.is_some() {
            sessions.ensure_assertion_key().await?;
        }
        Ok(Self {
            outbox: Outbox::new(&secret),
            snapshot: ArcSwap::from_pointee(Snapshot::new(config, relying_party)),
            shadow: Shadow::default(),
            limits: Limits::counted_in(Arc::clone(&metrics)),
            metrics,
            condition: Arc::default(),
            reloads: Reloads::default(),
            access_log: AccessLog::default(),
            traces: None,
            store,
            clock,
            secret,
            sessions,
        })
    }

    /// The configuration in force. Take it once per request.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Another one is in force from now on.
    pub(crate) fn swap(&self, snapshot: Arc<Snapshot>) {
        self.snapshot.store(snapshot);
    }
}

/// The secret kept beside the store, made on the first start. Two that start at once agree on one: the
/// file is written whole under another name and linked to its own only if nobody was first.
fn kept_secret(path: &Path) -> Result<ServerSecret, OpenError> {
    let failed = |action| {
        let path = path.display().to_string();
        move |source| OpenError::SecretFile {
            path,
            action,
            source,
        }
    };
    if !path.try_exists().map_err(failed("read"))? {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
            .map_err(failed("written"))?;
        std::io::Write::write_all(&mut file, ServerSecret::random().reveal().as_bytes())
            .map_err(failed("written"))?;
        file.as_file().sync_all().map_err(failed("written"))?;
        match file.persist_noclobber(path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("written")(error.error)),
        }
    }
    let text = std::fs::read_to_string(path).map_err(failed("read"))?;
    URL_SAFE_NO_PAD
        .decode(text.trim())
        .ok()
        .and_then(|bytes| ServerSecret::new(&bytes))
        .ok_or_else(|| OpenError::SecretContent {
            path: path.display().to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_secret_is_made_once_and_readable_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gatehouse.db.secret");
        let first = kept_secret(&path).unwrap().reveal();
        assert_eq!(kept_secret(&path).unwrap().reveal(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_spoilt_secret_file_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "short").unwrap();
        let error = kept_secret(&path).unwrap_err();
        assert!(error.to_string().contains("secret"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "short");
    }
}
