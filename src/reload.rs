//! Taking up a new configuration while everything goes on: the whole of it, or nothing.
//!
//! [`Reloads`] is where a reload is asked for (SIGHUP) and where others learn of it. [`Core::prepare`] builds the new
//! snapshot beside the old one, and [`Core::take_up`] swaps them. [`mod@watch`] does all of that when it is asked
//! for and when files change.

pub mod candidate;
mod looked;
pub mod watch;

use std::sync::Arc;

use tokio::sync::watch as channel;

use crate::{
    config::{Config, Problems, SecretSource, StoreLocation},
    core::Core,
    gateway::TlsError,
    mail,
    relying_party::RelyingParty,
    session::SessionsError,
    snapshot::Snapshot,
    telemetry::access_log,
};

/// Who asks for reloads, and who wants to know.
#[derive(Debug, Default)]
pub struct Reloads {
    asked: channel::Sender<u64>,
    taken: channel::Sender<u64>,
}

/// Why a configuration is not taken up. The one before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It cannot be used.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// It changes what a running process cannot change.
    #[error("{} cannot change while the gateway runs; a restart takes it up (SIGUSR2 loses no request)", .0.join(", "))]
    Fixed(Vec<&'static str>),
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Mail cannot leave as configured.
    #[error(transparent)]
    Mail(#[from] mail::OpenError),
    /// The passkey library does not accept the relying party.
    #[error("the relying party is not accepted")]
    RelyingParty(#[from] webauthn_rs::prelude::WebauthnError),
    /// The access log cannot be written.
    #[error(transparent)]
    AccessLog(#[from] access_log::OpenError),
    /// A key for assertions cannot be had.
    #[error(transparent)]
    Sessions(#[from] SessionsError),
    /// Reading it broke off.
    #[error("the configuration could not be read")]
    Reading(#[from] tokio::task::JoinError),
}

impl Reloads {
    /// Asks for a reload, also if no file has changed.
    pub fn ask(&self) {
        self.asked.send_modify(|asked| *asked += 1);
    }

    /// Changes whenever a reload is asked for: for whatever is opened anew then.
    pub fn asked(&self) -> channel::Receiver<u64> {
        self.asked.subscribe()
    }

    /// Changes whenever another configuration is in force.
    pub fn taken(&self) -> channel::Receiver<u64> {
        self.taken.subscribe()
    }
}

impl Core {
    /// Builds everything for a new configuration, beside the present one.
    ///
    /// # Errors
    /// When it cannot be used, or not without a restart.
    pub async fn prepare(&self, config: Config) -> Result<Snapshot, ReloadError> {
        let present = self.snapshot();
        let fixed = fixed_that_change(&present.config, &config);
        if !fixed.is_empty() {
            return Err(ReloadError::Fixed(fixed));
        }
        let relying_party = RelyingParty::new(&config.relying_party)?;
        // Before anybody is told of it: apps would refuse what nobody signed.
        if config.identity.assertion.is_some() {
            self.sessions.ensure_assertion_key().await?;
        }
        Ok(Snapshot::succeeding(&present, config, relying_party))
    }

    /// The next request finds it in force; those under way end under the old one, and what lasts is judged anew.
    pub fn take_up(&self, snapshot: Snapshot) {
        self.swap(Arc::new(snapshot));
        self.reloads.taken.send_modify(|taken| *taken += 1);
    }
}

/// Which of the keys differ that are read once, when the process starts.
fn fixed_that_change(old: &Config, new: &Config) -> Vec<&'static str> {
    let StoreLocation::Sqlite(old_store) = &old.store;
    let StoreLocation::Sqlite(new_store) = &new.store;
    [
        ("server.listen", old.listen != new.listen),
        (
            "server.redirect_listen",
            old.door.redirect_listen != new.door.redirect_listen,
        ),
        (
            "server.admin_listen",
            old.door.admin_listen != new.door.admin_listen,
        ),
        (
            "server.tls (with or without)",
            old.tls.is_empty() != new.tls.is_empty(),
        ),
        ("server.secret", !is_same_secret(&old.secret, &new.secret)),
        ("store.url", old_store != new_store),
        ("traces", old.traces != new.traces),
        (
            "relying_party.id",
            old.relying_party.id != new.relying_party.id,
        ),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}

fn is_same_secret(old: &SecretSource, new: &SecretSource) -> bool {
    match (old, new) {
        (SecretSource::Given(old), SecretSource::Given(new)) => old == new,
        (SecretSource::Generated(old), SecretSource::Generated(new)) => old == new,
        (SecretSource::Given(_), SecretSource::Generated(_))
        | (SecretSource::Generated(_), SecretSource::Given(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    const BASE: &str = "relying_party = { id = \"example.com\", origins = [\"https://app.example.com\"] }\n\
        [[upstream]]\nname = \"app\"\nservers = [\"127.0.0.1:1\"]\n[[route]]\nupstream = \"app\"\n";

    fn config(text: &str) -> Config {
        config::parse(text, Path::new("/gateway.toml"), &|_| None)
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config
    }

    #[test]
    fn what_is_read_once_is_named_when_it_changes() {
        let with = |line: &str| config(&format!("{line}\n{BASE}"));
        let secret = |last: char| format!("server.secret = \"{}{last}\"", "0".repeat(40));
        for (old, new, named) in [
            ("", "", &[][..]),
            ("", "server.listen = [\"127.0.0.1:1\"]", &["server.listen"]),
            (
                "",
                "server.redirect_listen = [\"127.0.0.1:1\"]",
                &["server.redirect_listen"],
            ),
            (
                "",
                "server.admin_listen = \"127.0.0.1:1\"",
                &["server.admin_listen"],
            ),
            (
                "",
                "store.url = \"sqlite:other.db\"",
                &["server.secret", "store.url"],
            ),
            ("", &secret('1'), &["server.secret"]),
            (
                "",
                "traces.endpoint = \"http://127.0.0.1:4318/v1/traces\"",
                &["traces"],
            ),
            (&secret('1'), &secret('1'), &[]),
            (&secret('1'), &secret('2'), &["server.secret"]),
            ("", "server.limits.connections = 5", &[]),
            ("", "server.drain = \"5m\"", &[]),
            ("", "session.lifetime = \"1h\"", &[]),
        ] {
            assert_eq!(
                fixed_that_change(&with(old), &with(new)),
                named,
                "{old} {new}"
            );
        }
        let other = config(&BASE.replace("example.com", "example.org"));
        assert_eq!(
            fixed_that_change(&config(BASE), &other),
            ["relying_party.id"]
        );
    }
}
