//! Builds everything and keeps it running: start, background work, and the end.

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
    config::{Config, Files},
    core::{Core, OpenError},
    gateway::{Gateway, GatewayError, Listeners},
    held,
    mail::{self, MailRoom},
    monitoring::Monitoring,
    reload::{candidate::Candidate, watch::Watch},
    shadow::{Summary, TELL_EVERY},
    sign_in,
    sockets::Sockets,
    telemetry::{
        access_log::{self, AccessLog},
        traces::{self, Traces},
    },
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
    /// Those that are looked after, once they are known.
    files: watch::Sender<Option<Files>>,
    sockets: Sockets,
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
    /// The access log cannot be written.
    #[error(transparent)]
    AccessLog(#[from] access_log::OpenError),
    /// Traces cannot be sent.
    #[error(transparent)]
    Traces(#[from] traces::OpenError),
}

/// How often other nodes' changes are looked for: a revocation takes effect within a second.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// How often what has served is forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(10 * 60);

/// How long ended sessions and spent proofs stay before they are forgotten.
const KEEP_FOR: Duration = Duration::from_secs(24 * 60 * 60);

impl Gatehouse {
    /// Starts on the configured addresses.
    ///
    /// # Errors
    /// When anything it needs cannot be had.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        Self::start_with(config, clock, Sockets::default()).await
    }

    /// The same, on sockets that are there already where there are any.
    ///
    /// # Errors
    /// When anything it needs cannot be had.
    pub async fn start_with(
        config: Config,
        clock: Clock,
        mut sockets: Sockets,
    ) -> Result<Self, StartError> {
        let mut listen = |key, addresses: &[SocketAddr]| {
            let listen = |address: &SocketAddr| {
                sockets
                    .listen(key, *address)
                    .map_err(|source| StartError::Listen {
                        address: *address,
                        source,
                    })
            };
            addresses.iter().map(listen).collect::<Result<Vec<_>, _>>()
        };
        let listeners = Listeners {
            serving: listen("server.listen", &config.listen)?,
            redirecting: listen("server.redirect_listen", &config.door.redirect_listen)?,
            admin: listen("server.admin_listen", config.door.admin_listen.as_slice())?,
        };
        sockets.close_others();
        let mut running = Self::start_on(config, clock, listeners).await?;
        running.sockets = sockets;
        Ok(running)
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
        let mut core = Core::open(config, clock).await?;
        core.start_telling()?;
        let core = Arc::new(core);
        let gateway = Gateway::start(Arc::clone(&core), pages(&core), listeners).await?;
        let monitoring = Monitoring::start(admin, &core, &gateway.certificates())
            .map_err(GatewayError::Listener)?;
        let (stopping, stopped) = watch::channel(false);
        let mut background = JoinSet::new();
        background.spawn(follow(Arc::clone(&core), stopped.clone()));
        background.spawn(tidy(Arc::clone(&core), stopped.clone()));
        let mut mail = MailRoom::new(stopped.clone());
        mail.change(&core, transport);
        let (files, of_config) = watch::channel(None);
        let reloading = Watch::new(Arc::clone(&core), gateway.terms(), mail);
        background.spawn(reloading.run(of_config, stopped));
        Ok(Self {
            core,
            gateway,
            addresses,
            redirect_addresses,
            stopping,
            background,
            admin_addresses,
            monitoring,
            files,
            sockets: Sockets::default(),
        })
    }

    /// Tries out the configuration in this file beside the one in force. One that cannot be used is told of and
    /// harms nothing.
    pub async fn try_out(&mut self, candidate: PathBuf) {
        let (core, stopped) = (Arc::clone(&self.core), self.stopping.subscribe());
        let candidate = Candidate::of(core.clone(), candidate).await;
        self.background.spawn(candidate.look_after(stopped.clone()));
        self.background.spawn(tell_of_differences(core, stopped));
    }

    /// Looks after the files of its configuration from now on: what changes is taken up.
    pub fn look_after(&self, files: Files) {
        self.files.send_replace(Some(files));
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

    /// Its listening sockets, for a successor.
    pub const fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Stops accepting, lets what is open and background work end, and returns when they have.
    pub async fn stop(self) {
        self.end_succeeded(std::future::pending()).await;
    }

    /// The same, after the delay of the configuration; at once when `hurried` is over.
    pub async fn end(self, hurried: impl Future<Output = ()>) {
        self.core.condition.note_stopping();
        let delay = self.core.snapshot().config.door.drain.delay;
        let mut hurried = std::pin::pin!(hurried);
        tracing::info!(
            delay_s = delay.as_secs(),
            "stopping: no new connections after the delay, what is open may end"
        );
        let is_hurried = tokio::select! {
            biased;
            () = &mut hurried => true,
            () = tokio::time::sleep(delay) => false,
        };
        self.drain(async {
            if !is_hurried {
                hurried.await;
            }
        })
        .await;
    }

    /// The same without a delay: somebody else accepts already.
    pub async fn end_succeeded(self, hurried: impl Future<Output = ()>) {
        self.core.condition.note_stopping();
        self.drain(hurried).await;
    }

    async fn drain(mut self, hurried: impl Future<Output = ()>) {
        let mut hurried = std::pin::pin!(hurried);
        // What changes from here on is for whoever comes after.
        self.files.send_replace(None);
        // With these left, the system would go on taking connections that nobody accepts.
        drop(self.sockets);
        let patience = self.core.snapshot().config.door.drain.patience;
        let mut is_hurried = false;
        let noted = async {
            hurried.as_mut().await;
            is_hurried = true;
        };
        self.gateway.stop(patience, noted).await;
        // An error says that no background work is left to tell.
        let _ = self.stopping.send(true);
        let finished = async { while self.background.join_next().await.is_some() {} };
        tokio::select! {
            () = finished => {}
            () = hurried, if !is_hurried => {}
        }
        // Until here it has told those who watch that it is stopping.
        drop(self.monitoring);
        self.core.stop_telling().await;
    }

    /// Runs until the process is told to end, then stops.
    pub async fn run_until_signalled(self) {
        signalled().await;
        self.end(std::future::pending()).await;
    }
}

impl Core {
    /// Opens where lines and spans of requests go.
    fn start_telling(&mut self) -> Result<(), StartError> {
        let config = &self.snapshot().config;
        let metrics = &self.metrics;
        self.access_log = AccessLog::start(&config.log, metrics.access_lines_dropped.clone())?;
        if let Some(traces) = &config.traces {
            self.traces = Some(Traces::start(traces, metrics.spans_dropped.clone())?);
        }
        Ok(())
    }

    /// Sees the last of them off.
    async fn stop_telling(&self) {
        self.access_log.flush().await;
        if let Some(traces) = &self.traces {
            traces.stop().await;
        }
    }
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
        .method_not_allowed_fallback(|| async { Refusal::NOT_A_PAGE })
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
        if let Err(error) = core.store.forget_held(core.clock.now()).await {
            tracing::warn!(%error, "what is kept could not be tidied; it will be tried again");
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
