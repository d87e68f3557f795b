//! What is known of a connection before its first request, and every request of it can look up.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use super::tls::TlsFacts;
use crate::policy::certificate::CertificateName;

tokio::task_local! {
    static ARRIVAL: Arc<Arrival>;
}

/// How a connection came in.
#[derive(Debug)]
pub struct Arrival {
    /// What the listener is for.
    pub entrance: Entrance,
    /// The other end, or where a PROXY header says that the connection comes from.
    pub peer: IpAddr,
    /// Whether that is a proxy whose word is taken.
    pub trusted: bool,
    /// What the TLS handshake said, on a connection with TLS.
    pub tls: Option<TlsFacts>,
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// Requests.
    Serving,
    /// Leading from plain HTTP to HTTPS.
    Redirecting {
        /// Where TLS is spoken.
        port: u16,
    },
}

impl Arrival {
    /// Runs an exchange of this connection.
    pub async fn run<T>(self: Arc<Self>, exchange: impl Future<Output = T>) -> T {
        ARRIVAL.scope(self, exchange).await
    }

    /// How the connection came in whose request this task serves.
    pub fn of_this_task() -> Arc<Self> {
        ARRIVAL.try_with(Arc::clone).unwrap_or_else(|_| {
            // No connection is served outside of `run`; one that were would be believed nothing.
            Arc::new(Self {
                entrance: Entrance::Serving,
                peer: Ipv4Addr::UNSPECIFIED.into(),
                trusted: false,
                tls: None,
            })
        })
    }

    /// The names on the client's verified certificate.
    pub fn certificate(&self) -> Arc<[CertificateName]> {
        self.tls
            .as_ref()
            .map(|tls| tls.client.clone())
            .unwrap_or_default()
    }

    /// Whether the connection may carry requests for a host. A trusted proxy makes connections of its own
    /// and carries whatever it serves.
    pub fn is_for(&self, host: &str) -> bool {
        self.trusted || self.tls.as_ref().is_none_or(|tls| tls.are_for(host))
    }
}
