//! The apps behind the gateway.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use http::{HeaderValue, uri::PathAndQuery};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub use crate::config::file::Balance;

/// A legacy app.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name in the file.
    pub name: String,
    /// Its servers; at least one, at most [`MAX_SERVERS`].
    pub servers: Vec<Server>,
    /// How they share the load.
    pub balance: Balance,
    /// What they speak.
    pub protocol: UpstreamProtocol,
    /// How TLS is spoken to them; `None` for plain connections.
    pub tls: Option<UpstreamTls>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest silence while an answer is awaited or read. WebSockets are exempt.
    pub read_timeout: Duration,
    /// Longest time for a piece of the request to be accepted. WebSockets are exempt.
    pub write_timeout: Duration,
    /// Longest time for an exchange as a whole. WebSockets are exempt.
    pub total_timeout: Option<Duration>,
    /// How often a request that a server broke off may be sent to another one.
    pub retries: u8,
    /// Most requests in flight on each server.
    pub max_connections: Option<u32>,
    /// Idle connections kept for each server.
    pub max_idle: u32,
    /// How long one is kept.
    pub idle_timeout: Duration,
    /// What servers are asked regularly.
    pub health: Option<HealthCheck>,
    /// When failing requests take a server out; `None` for never.
    pub ejection: Option<Ejection>,
}

/// Which servers of an upstream were tried is kept in as many bits.
pub const MAX_SERVERS: usize = 64;

/// One server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// As in the file.
    pub written: String,
    /// Where it was when the file was read.
    pub address: ServerPlace,
    /// Name and port, where it has a name: it may move.
    pub name: Option<(String, u16)>,
}

/// Where a server takes connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerPlace {
    /// At an address.
    Network(SocketAddr),
    /// At a socket of this machine. Short enough for one.
    Unix(PathBuf),
}

/// What servers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by ALPN with TLS, by prior knowledge without.
    H2,
}

/// How TLS is spoken to the servers of an upstream. Certificates are always verified.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The authorities to trust; `None` for the system's. Each is a certificate that was parsed once.
    pub authorities: Option<Vec<CertificateDer<'static>>>,
    /// The name of each server's certificate, in the order of the servers. Never empty.
    pub names: Vec<String>,
    /// What the gateway shows.
    pub client: Option<Arc<ClientCertificate>>,
}

/// A certificate chain, leaf first, and its key. They fit each other.
#[derive(PartialEq, Eq)]
pub struct ClientCertificate {
    /// At least one.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first.
    pub key: PrivateKeyDer<'static>,
}

/// What servers are asked regularly.
#[derive(Clone, Debug)]
pub struct HealthCheck {
    /// What is asked.
    pub question: Question,
    /// Time between two checks of a server.
    pub interval: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Successes in a row that bring a server back.
    pub healthy_after: u8,
    /// Failures in a row that take it out.
    pub unhealthy_after: u8,
}

/// What a server is asked.
#[derive(Clone, Debug)]
pub enum Question {
    /// To take a connection.
    Connect,
    /// To answer a GET request.
    Get {
        /// Its target.
        path: PathAndQuery,
        /// Its host, one for each server.
        hosts: Vec<HeaderValue>,
        /// Good answers; at least one.
        statuses: Vec<u16>,
    },
}

/// When failing requests take a server out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// After so many in a row; above zero.
    pub failures: u32,
    /// For so long.
    pub period: Duration,
}

impl Server {
    /// Which of the addresses of a name to use: the `present` one for as long as it is among them, since many
    /// name servers change their order with every answer; else the first of IPv4, because an app that
    /// listens on IPv4 alone is often reached by a name with both.
    pub fn settle(found: &[SocketAddr], present: Option<SocketAddr>) -> Option<SocketAddr> {
        present
            .filter(|present| found.contains(present))
            .or_else(|| found.iter().copied().find(SocketAddr::is_ipv4))
            .or_else(|| found.first().copied())
    }
}

impl fmt::Display for ServerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Certificates are long, and the key is nobody's business.
impl fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTls")
            .field("authorities", &self.authorities.as_ref().map(Vec::len))
            .field("names", &self.names)
            .field("client", &self.client)
            .finish()
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("client certificate and key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address_while_it_has_it_and_prefers_ipv4() {
        let [four, other, six] =
            ["10.0.0.1:80", "10.0.0.2:80", "[::1]:80"].map(|text| text.parse().unwrap());
        for (found, present, settled) in [
            (vec![], None, None),
            (vec![six], None, Some(six)),
            (vec![six, four, other], None, Some(four)),
            (vec![four, other], Some(other), Some(other)),
            (vec![four, six], Some(six), Some(six)),
            (vec![six, four], Some(other), Some(four)),
        ] {
            assert_eq!(Server::settle(&found, present), settled, "{found:?}");
        }
    }
}
