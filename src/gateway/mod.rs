//! The only place that knows pingora: from bytes on a connection to an answer.
//!
//! Begin with [`proxy`], which tells the story of a request, and [`verdict`]. [`facts`] reads it, [`judgement`] decides and
//! [`would`] asks policies that are only tried out. [`forwarding`] and [`introduction`] take it to an upstream;
//! [`challenge`], [`refusal`] and [`own_pages`] [`answer`] it here, [`forward_auth`] answers other proxies that ask about
//! one they have; [`framing`], [`rewriting`] and [`response`] see every answer out. [`holding`] keeps a POST that meets a
//! challenge and [`resuming`] sends it on after all; [`body`] reads what is not forwarded.
//!
//! [`connection`] lets connections in, with [`admission`], [`proxy_header`] and [`tls`]; [`arrival`] is what requests learn
//! of theirs, [`meter`] and [`http2`] what it is held to. [`lifeline`] ends what outlives its session or stands still,
//! [`tenure`] says how long that is, [`deadline`] ends what takes too long, [`upload`] measures what comes in.
//! [`record`] is what is written of each request, [`trace`] its spans. [`peers`] and [`health`] are about the servers of
//! upstreams; [`terms`] changes what connections are held to, [`drain`] is how it all ends, and [`farewell`] what is said
//! then.

mod admission;
mod answer;
mod app_path;
mod app_sign_out;
mod arrival;
mod asker;
mod authority;
mod body;
mod certificates;
mod certificates_in_force;
mod challenge;
mod client_certificate;
mod connection;
mod cookies;
mod deadline;
mod drain;
mod event_stream;
mod facts;
mod failure;
mod farewell;
mod forward_auth;
mod forwarded;
mod forwarding;
mod framing;
mod health;
mod holding;
mod http2;
mod introduction;
pub(crate) mod judgement;
mod lifeline;
mod meter;
mod own_pages;
mod passage;
mod peers;
mod proxy;
mod proxy_header;
mod record;
mod redirect;
mod refusal;
mod response;
mod resuming;
mod rewriting;
mod strict_transport;
mod tenure;
mod terms;
mod tls;
mod tls_watch;
mod trace;
mod upload;
mod verdict;
mod would;

use std::{
    convert::Infallible, net::TcpListener, os::fd::IntoRawFd, path::Path, sync::Arc, time::Duration,
};

use axum::Router;
use pingora::{
    apps::HttpServerApp as _,
    proxy::{HttpProxy, http_proxy},
    server::{Fds, ListenFds, configuration::ServerConf},
    services::{Service as _, listening::Service},
};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};

pub use self::certificates_in_force::{CertificateInForce, CertificatesInForce};
use self::{
    admission::Admission,
    arrival::Entrance,
    connection::{Door, House},
    drain::{AFTER_THE_CUT, Ending, Stage, linger},
    proxy::Proxy,
    tls::Tls,
};
pub use self::{
    certificates::TlsError,
    terms::{NewTerms, Terms},
};
use crate::{config::Config, core::Core, sparingly};

/// Listeners that serve.
pub struct Gateway {
    services: Vec<JoinHandle<()>>,
    shutdown: watch::Sender<bool>,
    ending: Ending,
    proxy: Arc<HttpProxy<Proxy>>,
    /// Ends when the last connection has.
    connections: mpsc::Receiver<Infallible>,
    terms: Terms,
    /// Asks servers whether they are well, until this is dropped.
    _health: JoinSet<()>,
}

/// Listeners that are bound already.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For requests.
    pub serving: Vec<TcpListener>,
    /// For leading to HTTPS.
    pub redirecting: Vec<TcpListener>,
    /// For those who watch over the gateway; not the gateway's own.
    pub admin: Vec<TcpListener>,
}

impl From<Vec<TcpListener>> for Listeners {
    fn from(serving: Vec<TcpListener>) -> Self {
        Self {
            serving,
            redirecting: Vec::new(),
            admin: Vec::new(),
        }
    }
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
        listeners: impl Into<Listeners>,
    ) -> Result<Self, GatewayError> {
        check_authorities()?;
        let listeners = listeners.into();
        let snapshot = core.snapshot();
        let config = &snapshot.config;
        let authorities = &config.door.client_ca;
        let tls = match config.tls.as_slice() {
            [] => None,
            files => Some(Arc::new(Tls::load(files, authorities.clone())?)),
        };

        let admission = Arc::new(Admission::new(
            &config.door.limits,
            Arc::clone(&core.metrics),
        ));
        let mut proxy = http_proxy(
            &Arc::new(upstream_limits(config)),
            Proxy::new(Arc::clone(&core), pages, Arc::clone(&admission)),
        );
        proxy.server_options = Some(connection::options(&config.door.limits));
        let mut health = JoinSet::new();
        health.spawn(health::watch(Arc::clone(&core)));
        let (shutdown, stopping) = watch::channel(false);
        let (ending, stages) = Ending::new();
        let (open, connections) = mpsc::channel(1);
        let proxy = Arc::new(proxy);
        let terms = Terms {
            tls: tls.clone(),
            admission: admission.clone(),
        };
        let house = House {
            core: Arc::clone(&core),
            proxy: proxy.clone(),
            admission,
            stages,
            _open: open,
            headerless: Arc::default(),
        };
        let port = port(&listeners.serving);
        let mut services = Vec::new();
        for (listeners, entrance, tls) in [
            (listeners.serving, Entrance::Serving, tls.clone()),
            (listeners.redirecting, Entrance::Redirecting { port }, None),
        ] {
            // A service without listeners would end at once, and with it the waiting connections of all.
            if listeners.is_empty() {
                continue;
            }
            let mut service = Service::new(
                "gateway".to_owned(),
                Door {
                    entrance,
                    tls,
                    house: house.clone(),
                },
            );
            let bound = offer(&mut service, listeners)?;
            let stopping = stopping.clone();
            services.push(tokio::spawn(async move {
                service.start_service(Some(bound), stopping, 1).await;
            }));
        }
        if let Some(tls) = &terms.tls {
            let watch = tls_watch::run(tls.clone(), Arc::clone(&core));
            services.push(tokio::spawn(until_stopped(stopping, watch)));
        }
        Ok(Self {
            services,
            shutdown,
            ending,
            proxy,
            connections,
            terms,
            _health: health,
        })
    }

    /// The certificates in force, now and later.
    pub fn certificates(&self) -> CertificatesInForce {
        CertificatesInForce::new(self.terms.tls.clone())
    }

    /// What connections are held to, to be changed while it serves.
    pub fn terms(&self) -> Terms {
        self.terms.clone()
    }

    /// Stops accepting and lets what is open end by itself; what is still open after `patience`, or when
    /// `hurried` is over, is cut. Returns when nothing is open.
    pub async fn stop(mut self, patience: Duration, hurried: impl Future<Output = ()>) {
        self.ending.reach(Stage::Leaving);
        self.shutdown.send_replace(true);
        let in_time = tokio::select! {
            biased;
            _ = self.connections.recv() => true,
            () = close_idle(&self.ending, &self.proxy, patience) => false,
            () = tokio::time::sleep(patience) => false,
            () = hurried => false,
        };
        if !in_time {
            tracing::warn!("what is still open is cut");
            self.proxy.http_cleanup().await;
            for stage in [Stage::Cutting, Stage::Over] {
                self.ending.reach(stage);
                if tokio::time::timeout(AFTER_THE_CUT, self.connections.recv())
                    .await
                    .is_ok()
                {
                    break;
                }
            }
        }
        for service in self.services {
            service.abort();
        }
    }
}

/// Closes connections that wait for a request, once they have lingered; never returns.
async fn close_idle(ending: &Ending, proxy: &Arc<HttpProxy<Proxy>>, patience: Duration) {
    tokio::time::sleep(linger(patience)).await;
    ending.reach(Stage::Closing);
    proxy.http_cleanup().await;
    std::future::pending().await
}

/// Gives the listeners to the service under their own addresses, so that it takes them instead of binding.
/// All are plain ones to it; TLS begins behind the [`Door`].
fn offer(
    service: &mut Service<Door>,
    listeners: Vec<TcpListener>,
) -> Result<ListenFds, GatewayError> {
    let mut bound = Fds::new();
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?.to_string();
        service.add_tcp(&address);
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
        // None at all where every route is for forward-auth.
        upstream_keepalive_pool_size: usize::max(idle, 1),
        // How often a request is tried is for `Forwarding` to say; it never comes near this.
        max_retries: 1024,
        ..ServerConf::default()
    }
}

/// The port of the first listener.
fn port(listeners: &[TcpListener]) -> u16 {
    let first = listeners.first();
    first
        .and_then(|listener| listener.local_addr().ok())
        .map_or(HTTPS, |address| address.port())
}

const HTTPS: u16 = 443;

async fn until_stopped(mut stopping: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        // An error says that the gateway is gone.
        _ = stopping.wait_for(|stopping| *stopping) => {}
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
