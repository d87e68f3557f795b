//! How the gateway itself is reached.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use axum::http::HeaderValue;

pub use crate::config::file::ForwardAuthPeer;
use crate::{network::Networks, secret::ServerSecret};

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

/// How connections come in, and what they are held to.
#[derive(Clone, Debug)]
pub struct Door {
    /// Addresses that lead to HTTPS and serve nothing.
    pub redirect_listen: Vec<SocketAddr>,
    /// What browsers are told in `Strict-Transport-Security`, if anything.
    pub hsts: Option<HeaderValue>,
    /// PEM file of the authorities of client certificates.
    pub client_ca: Option<PathBuf>,
    /// Peers that are believed about where a request comes from.
    pub trusted_proxies: Networks,
    /// Peers whose connections begin with a header of the PROXY protocol.
    pub proxy_protocol: Networks,
    /// What clients are held to.
    pub limits: DoorLimits,
    /// Where those listen to who watch over the gateway.
    pub admin_listen: Option<SocketAddr>,
    /// The kind of trusted proxy that may ask about requests; `None` for none.
    pub forward_auth: Option<ForwardAuthPeer>,
    /// How it ends.
    pub drain: Drain,
}

/// How long the end of the process may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// For others to notice, while everything goes on.
    pub delay: Duration,
    /// For what is open to end by itself.
    pub patience: Duration,
}

/// What clients are held to; the reference of `[server.limits]` says more of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoorLimits {
    /// For the header of a request.
    pub header_timeout: Duration,
    /// Between two requests.
    pub idle_timeout: Duration,
    /// For a TLS handshake.
    pub handshake_timeout: Duration,
    /// For the next piece of a body, in either direction.
    pub stall_timeout: Duration,
    /// How large a header may be.
    pub header: HeaderSize,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one network.
    pub connections_per_network: usize,
    /// Requests at once.
    pub in_flight: usize,
    /// Requests on one connection.
    pub requests_per_connection: u32,
}

/// How large the header of a request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderSize {
    /// Names and values together.
    pub bytes: usize,
    /// How many fields.
    pub fields: usize,
}
