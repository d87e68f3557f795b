//! The apps behind the gateway.

use std::{net::SocketAddr, time::Duration};

/// A legacy app.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name in the file.
    pub name: String,
    /// Its servers, tried in turn; at least one.
    pub servers: Vec<SocketAddr>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest silence while an answer is awaited or read. WebSockets are exempt.
    pub read_timeout: Duration,
}
