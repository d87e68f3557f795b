//! How the gateway itself is reached.

use std::path::PathBuf;

use crate::secret::ServerSecret;

/// A certificate chain and its key, PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Chain, leaf first.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Where `server.secret` comes from.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// The file or the environment named it.
    Given(ServerSecret),
    /// Kept in this file beside the store, made on first start.
    Generated(PathBuf),
}
