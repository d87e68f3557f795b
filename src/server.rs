//! Builds everything and keeps it running: start, background work, stop.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum::{Router, middleware};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval},
};

use crate::{
    account, admin,
    clock::Clock,
    config::Config,
    core::{Core, OpenError},
    gateway::{Gateway, GatewayError, Listeners},
    held,
    mail::{self, Worker},
    shadow::{Summary, TELL_EVERY},
    monitoring::Monitoring,
    sign_in,
    web::{asset_server, error::Refusal, jwks, respond},
};

/// A running Gatehouse.
pub struct Gatehouse {
    core: Arc<Core>,
    gateway: Gateway,
    addresses: Vec<SocketAddr>,
    redirect_addresses: Vec<SocketAddr>,
    stopping: watch::Sender<bool>,
    background: JoinSet<()>,
    admin_addresses: Vec<SocketAddr>,
    monitoring: Monitoring,
}

/// Why it did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store, the secret or the keys cannot be had.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The proxy did not start.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// Mail cannot leave as configured.
    #[error(transparent)]
    Mail(#[from] mail::OpenError),
}

/// How often other nodes' changes are looked for: a revocation takes effect within a second.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// How often what has served is forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(10 * 60);

/// How long ended sessions and spent proofs stay before they are forgotten.
const KEEP_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How long requests in flight may take to end when the server stops.
const PATIENCE: Duration = Duration::from_secs(30);

impl Gatehouse {
    /// Starts on the configured addresses.
    ///
    /// # Errors
    /// When anything it needs cannot be had.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let listeners = Listeners {
            serving: bind(&config.listen)?,
            redirecting: bind(&config.door.redirect_listen)?,
            admin: bind(config.door.admin_listen.as_slice())?,
        };
        Self::start_on(config, clock, listeners).await
    }

    /// Starts on listeners that are bound already.
    ///
    /// # Errors
    /// When anything it needs cannot be had.
    pub async fn start_on(
        config: Config,
        clock: Clock,
        listeners: impl Into<Listeners>,
    ) -> Result<Self, StartError> {
        let mut listeners = listeners.into();
        let admin = std::mem::take(&mut listeners.admin);
        let admin_addresses = bound(&admin);
        let addresses = bound(&listeners.serving);
        let redirect_addresses = bound(&listeners.redirecting);
        let transport = match &config.mail {
            Some(mail) => Some(mail::open(mail).await?),
            None => None,
        };
        let core = Arc::new(Core::open(config, clock).await?);
        let gateway = Gateway::start(Arc::clone(&core), pages(&core), listeners).await?;
        let monitoring = Monitoring::start(admin, &core, &gateway.certificates())
            .map_err(GatewayError::Listener)?;
        let (stopping, stopped) = watch::channel(false);
        let mut background = JoinSet::new();
        background.spawn(follow(Arc::clone(&core), stopped.clone()));
        background.spawn(tidy(Arc::clone(&core), stopped.clone()));
        if let Some(transport) = transport {
            let worker = Worker::new(
                core.outbox.clone(),
                Arc::clone(&core.store),
                transport,
                core.clock.clone(),
            )
            .counted_in(Arc::clone(&core.metrics));
            background.spawn(worker.run(stopped));
        }
        Ok(Self {
            core,
            gateway,
            addresses,
            redirect_addresses,
            stopping,
            background,
            admin_addresses,
            monitoring,
        })
    }

    /// Tries out the configuration in this file beside the one in force. One that cannot be used is told of and
    /// harms nothing.
    pub fn try_out(&mut self, candidate: PathBuf) {
        self.core.shadow.follow(candidate);
        self.core
            .shadow
            .reload(&self.core.condition, self.core.clock.now());
        let (core, stopped) = (Arc::clone(&self.core), self.stopping.subscribe());
        self.background.spawn(tell_of_differences(core, stopped));
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where it leads to HTTPS.
    pub fn redirect_addresses(&self) -> &[SocketAddr] {
        &self.redirect_addresses
    }

    /// Where it answers those who watch over it.
    pub fn admin_addresses(&self) -> &[SocketAddr] {
        &self.admin_addresses
    }

    /// What it works with.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Stops accepting, lets requests and background work in flight end, and returns when they have.
    pub async fn stop(mut self) {
        self.core.condition.note_stopping();
        self.gateway.stop(PATIENCE).await;
        // An error says that no background work is left to tell.
        let _ = self.stopping.send(true);
        while self.background.join_next().await.is_some() {}
        // Until here it has told those who watch that it is stopping.
        drop(self.monitoring);
    }

    /// Runs until the process is told to end, then stops.
    pub async fn run_until_signalled(self) {
        signalled().await;
        tracing::info!("stopping: no new connections, requests in flight may end");
        self.stop().await;
    }
}

fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, StartError> {
    let bind = |address: &SocketAddr| {
        TcpListener::bind(address).map_err(|source| StartError::Listen {
            address: *address,
            source,
        })
    };
    addresses.iter().map(bind).collect()
}

fn bound(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    let addresses = listeners.iter().map(TcpListener::local_addr);
    addresses.filter_map(Result::ok).collect()
}

/// Every page of Gatehouse itself.
pub fn pages(core: &Arc<Core>) -> Router {
    Router::new()
        .merge(sign_in::router())
        .merge(account::router())
        .merge(admin::router())
        .merge(asset_server::router())
        .merge(jwks::router())
        .merge(held::page::router())
        .fallback(|| async { Refusal::NOT_FOUND })
        .method_not_allowed_fallback(|| async {
            Refusal {
                status: axum::http::StatusCode::METHOD_NOT_ALLOWED,
                ..Refusal::NOT_FOUND
            }
        })
        .layer(middleware::from_fn_with_state(
            Arc::clone(core),
            sign_in::handoff::confine,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(core),
            respond::respond,
        ))
        .with_state(Arc::clone(core))
}

/// Waits for SIGINT or SIGTERM.
pub async fn signalled() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            tracing::warn!("SIGTERM cannot be caught; use SIGINT");
            let _ = interrupt.await;
            return;
        };
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = interrupt.await;
}

async fn follow(core: Arc<Core>, stopped: watch::Receiver<bool>) {
    let mut failing = false;
    let mut ticks = Ticks::every(FOLLOW_EVERY, stopped);
    while ticks.next().await {
        match core.sessions.catch_up().await {
            Ok(()) if failing => {
                failing = false;
                tracing::info!("the store answers again");
            }
            Ok(()) => {}
            Err(_) if failing => {}
            Err(error) => {
                failing = true;
                tracing::error!(%error, "the store cannot be followed; what ended elsewhere shows when tokens expire");
            }
        }
    }
}

async fn tidy(core: Arc<Core>, stopped: watch::Receiver<bool>) {
    let mut ticks = Ticks::every(TIDY_EVERY, stopped);
    while ticks.next().await {
        core.limits.forget_idle();
        if let Err(error) = core
            .store
            .forget_before(core.clock.now().minus(KEEP_FOR))
            .await
        {
            tracing::warn!(%error, "the store could not be tidied; it will be tried again");
        }
        if let Err(error) = core.sessions.forget_keys().await {
            tracing::warn!(%error, "old signing keys could not be forgotten; it will be tried again");
        }
    }
}

async fn tell_of_differences(core: Arc<Core>, stopped: watch::Receiver<bool>) {
    let mut summary = Summary::begin(&core.metrics);
    let mut ticks = Ticks::every(TELL_EVERY, stopped);
    while ticks.next().await {
        summary.tell(&core.metrics);
    }
}

/// The beat of background work, until the server stops.
struct Ticks {
    interval: Interval,
    stopped: watch::Receiver<bool>,
}

impl Ticks {
    fn every(period: Duration, stopped: watch::Receiver<bool>) -> Self {
        let mut interval = interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, stopped }
    }

    /// Waits for the next beat; `false` when there is none any more.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.interval.tick() => true,
            _ = self.stopped.changed() => false,
        }
    }
}
