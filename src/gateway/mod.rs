//! The only place that knows pingora: from bytes on a connection to an answer.
//!
//! Begin with [`proxy`], which tells the story of a request. [`facts`] reads it, the policy decides,
//! [`forwarding`] and [`introduction`] take it to an upstream, [`challenge`], [`refusal`] and [`own_pages`]
//! answer it here, [`rewriting`] and [`response`] see every answer out. [`connection`] and [`tls`] are about
//! connections; [`lifeline`] ends what outlives its session or stands still, [`tenure`] says how long that is,
//! [`deadline`] ends what takes too long, [`upload`] measures what comes in; [`peers`] and [`health`] are about
//! the servers of upstreams.

mod app_path;
mod app_sign_out;
mod asker;
mod authority;
mod challenge;
mod connection;
mod cookies;
mod deadline;
mod event_stream;
mod facts;
mod failure;
mod forwarding;
mod health;
mod introduction;
mod lifeline;
mod own_pages;
mod passage;
mod peers;
mod proxy;
mod refusal;
mod response;
mod rewriting;
mod tenure;
mod tls;
mod upload;

use std::{net::TcpListener, os::fd::IntoRawFd, path::Path, sync::Arc, time::Duration};

use axum::Router;
use pingora::{
    listeners::tls::TlsSettings,
    proxy::http_proxy,
    server::{Fds, ListenFds, configuration::ServerConf},
    services::{Service as _, listening::Service},
};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};

use self::{
    connection::Door,
    proxy::Proxy,
    tls::{Certificates, TlsError},
};
use crate::{
    config::{Config, TlsFiles},
    core::Core,
};

/// Listeners that serve.
pub struct Gateway {
    service: JoinHandle<()>,
    shutdown: watch::Sender<bool>,
    cut: watch::Sender<bool>,
    /// Ends when the last connection has.
    connections: mpsc::Receiver<std::convert::Infallible>,
    certificates: Option<Arc<Certificates>>,
    /// Asks servers whether they are well, until this is dropped.
    _health: JoinSet<()>,
}

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A listener cannot be used.
    #[error("cannot serve on a listener")]
    Listener(#[from] std::io::Error),
    /// The proxy library cannot be set up.
    #[error("cannot set up the proxy")]
    Proxy(#[from] Box<pingora::Error>),
    /// The environment names authorities that are not there.
    #[error("{variable} names {path}, which does not exist")]
    Authorities {
        /// Which variable.
        variable: &'static str,
        /// What it says.
        path: String,
    },
}

impl Gateway {
    /// Serves on listeners that are bound already, on the present runtime: TLS with HTTP/2 and HTTP/1.1
    /// when the configuration names certificates, else plain HTTP.
    ///
    /// # Errors
    /// When a certificate or a listener cannot be used. Then nothing is served.
    pub async fn start(
        core: Arc<Core>,
        pages: Router,
        listeners: Vec<TcpListener>,
    ) -> Result<Self, GatewayError> {
        check_authorities()?;
        let snapshot = core.snapshot();
        let certificates = match snapshot.config.tls.as_slice() {
            [] => None,
            files => Some(Arc::new(Certificates::load(files)?)),
        };

        let mut proxy = http_proxy(
            &Arc::new(upstream_limits(&snapshot.config)),
            Proxy::new(Arc::clone(&core), pages),
        );
        proxy.server_options = Some(Door::options());
        let mut health = JoinSet::new();
        health.spawn(health::watch(Arc::clone(&core)));
        let (shutdown, stopping) = watch::channel(false);
        let (cut, cutting) = watch::channel(false);
        let (open, connections) = mpsc::channel(1);
        let mut service = Service::new(
            "gateway".to_owned(),
            Door::new(core, Arc::new(proxy), cutting, open),
        );
        let bound = offer(&mut service, listeners, certificates.as_ref())?;
        let service =
            tokio::spawn(async move { service.start_service(Some(bound), stopping, 1).await });
        Ok(Self {
            service,
            shutdown,
            cut,
            connections,
            certificates,
            _health: health,
        })
    }

    /// Replaces the certificates; connections that are open keep theirs. Without effect on a gateway that
    /// was started without any.
    ///
    /// # Errors
    /// When one cannot be used; then the old ones stay.
    pub fn reload_certificates(&self, files: &[TlsFiles]) -> Result<(), TlsError> {
        self.certificates
            .as_ref()
            .map_or(Ok(()), |certificates| certificates.reload(files))
    }

    /// Stops accepting and lets requests in flight end; what is still open after `patience` is cut. Returns
    /// when nothing is open.
    pub async fn stop(mut self, patience: Duration) {
        self.shutdown.send_replace(true);
        if tokio::time::timeout(patience, self.connections.recv())
            .await
            .is_err()
        {
            tracing::warn!("requests are still in flight and are cut");
            self.cut.send_replace(true);
            // A handshake under way is no request; it is not waited for longer than this.
            let _ = tokio::time::timeout(AFTER_THE_CUT, self.connections.recv()).await;
        }
        self.service.abort();
    }
}

const AFTER_THE_CUT: Duration = Duration::from_secs(1);

/// Gives the listeners to the service under their own addresses, so that it takes them instead of binding.
fn offer(
    service: &mut Service<Door>,
    listeners: Vec<TcpListener>,
    certificates: Option<&Arc<Certificates>>,
) -> Result<ListenFds, GatewayError> {
    let mut bound = Fds::new();
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?.to_string();
        match certificates {
            Some(certificates) => {
                let mut settings = TlsSettings::intermediate("", "")?;
                settings.set_cert_resolver(certificates.clone());
                settings.enable_h2();
                service.add_tls_with_settings(&address, None, settings);
            }
            None => service.add_tcp(&address),
        }
        bound.add(address, listener.into_raw_fd());
    }
    Ok(Arc::new(bound.into()))
}

/// What pingora is told about connections to upstreams. Its pool of idle ones is one for all.
fn upstream_limits(config: &Config) -> ServerConf {
    let idle = config
        .upstreams
        .iter()
        .map(|upstream| upstream.max_idle as usize * upstream.servers.len())
        .sum();
    ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: idle,
        // How often a request is tried is for `Forwarding` to say; it never comes near this.
        max_retries: 1024,
        ..ServerConf::default()
    }
}

/// The proxy library panics on these; it reads the system's authorities at the start.
fn check_authorities() -> Result<(), GatewayError> {
    for variable in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        if let Ok(path) = std::env::var(variable)
            && !Path::new(&path).exists()
        {
            return Err(GatewayError::Authorities { variable, path });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
