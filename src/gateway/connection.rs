//! Around each connection: a deadline for the next request's header, and an end when the gateway stops.
//!
//! The proxy library limits the time between two reads, not the time for a whole header, and waits for ever
//! for the first bytes of a connection that may be HTTP/2; a byte now and then would hold one open.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use pingora::{
    apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp},
    protocols::{Stream, http::ServerSession, http::v2::server::H2Options},
    proxy::HttpProxy,
    server::ShutdownWatch,
};
use tokio::sync::{mpsc, watch};

use super::{deadline, lifeline::Lifeline, proxy::Proxy};
use crate::core::Core;

/// Where connections come in.
pub struct Door {
    core: Arc<Core>,
    proxy: Arc<HttpProxy<Proxy>>,
    /// Turns true when patience with what is still open has run out.
    cut: watch::Receiver<bool>,
    /// Dropped with the last connection.
    open: mpsc::Sender<Infallible>,
}

impl Door {
    /// A door to `proxy`.
    pub const fn new(
        core: Arc<Core>,
        proxy: Arc<HttpProxy<Proxy>>,
        cut: watch::Receiver<bool>,
        open: mpsc::Sender<Infallible>,
    ) -> Self {
        Self {
            core,
            proxy,
            cut,
            open,
        }
    }

    /// What pingora is told about connections.
    pub fn options() -> HttpServerOptions {
        let mut options = HttpServerOptions::default();
        // HTTP/2 with prior knowledge on plain listeners, for something in front that ends TLS.
        options.h2c = true;
        options.keepalive_request_limit = Some(REQUESTS_PER_CONNECTION);
        options.h2_idle_timeout = Some(IDLE);
        options
    }
}

#[async_trait]
impl ServerApp for Door {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let connection = Arc::new(Connection {
            core: self.core.clone(),
            proxy: self.proxy.clone(),
            deadline: Arc::new(HeaderDeadline::new(FIRST_HEADER)),
            _open: self.open.clone(),
        });
        let mut cut = self.cut.clone();
        tokio::select! {
            biased;
            _ = connection.process_new(stream, shutdown) => {}
            () = connection.deadline.missed() => tracing::debug!("a connection brought no request in time"),
            () = stopped_while_silent(shutdown.clone(), &connection.deadline) => {}
            _ = cut.wait_for(|cut| *cut) => {}
        }
        None
    }

    /// The listeners are closed: connections that wait for a next request end.
    async fn cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

/// Ends when the gateway stops and the connection has not brought a single request yet.
async fn stopped_while_silent(mut shutdown: ShutdownWatch, deadline: &HeaderDeadline) {
    let stopping = shutdown.wait_for(|stopping| *stopping).await.is_ok();
    if !(stopping && deadline.is_silent()) {
        std::future::pending().await
    }
}

/// One connection. HTTP/2 hands its streams to tasks of their own, which hold it too.
struct Connection {
    core: Arc<Core>,
    proxy: Arc<HttpProxy<Proxy>>,
    deadline: Arc<HeaderDeadline>,
    _open: mpsc::Sender<Infallible>,
}

#[async_trait]
impl HttpServerApp for Connection {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if session.is_http2() {
            // Its header is here already; from now on the library's idle timeout holds.
            self.deadline.meet();
        } else {
            // The proxy hands this back as soon as the header is read.
            session.set_connection_user_context(Some(Box::new(self.deadline.clone())));
        }
        let exchange = deadline::run(self.proxy.process_new_http(session, shutdown));
        let reused = Lifeline::run(&self.core, exchange).await;
        let reused = reused.flatten().flatten();
        if reused.is_some() {
            self.deadline.restart(IDLE + FIRST_HEADER);
        }
        reused
    }

    /// None of ours: the library's defaults are bounded, and options made from scratch would not be.
    fn h2_options(&self) -> Option<H2Options> {
        None
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.proxy.server_options.as_ref()
    }
}

/// By when the next header has to be read whole. Set twice per request, without a lock; looked at by a timer
/// that mostly sleeps.
pub struct HeaderDeadline {
    opened: Instant,
    /// Milliseconds after `opened`, or [`MET`].
    due: AtomicU64,
    silent: std::sync::atomic::AtomicBool,
}

const MET: u64 = u64::MAX;

impl HeaderDeadline {
    fn new(patience: Duration) -> Self {
        Self {
            opened: Instant::now(),
            due: AtomicU64::new(milliseconds(patience)),
            silent: true.into(),
        }
    }

    /// The header is read.
    pub fn meet(&self) {
        self.due.store(MET, Ordering::Release);
        self.silent.store(false, Ordering::Release);
    }

    fn restart(&self, patience: Duration) {
        self.due.store(
            milliseconds(self.opened.elapsed() + patience),
            Ordering::Release,
        );
    }

    fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Acquire)
    }

    /// Ends when a header is overdue.
    async fn missed(&self) {
        while let Some(wait) = self.wait(milliseconds(self.opened.elapsed())) {
            tokio::time::sleep(wait).await;
        }
    }

    /// How long to wait before looking again; `None` when the header is overdue.
    fn wait(&self, now: u64) -> Option<Duration> {
        match self.due.load(Ordering::Acquire) {
            MET => Some(FIRST_HEADER),
            due if due <= now => None,
            due => Some(Duration::from_millis(due - now)),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    // Below `MET`, also after 584 million years.
    u64::try_from(duration.as_millis()).map_or(MET - 1, |milliseconds| milliseconds.min(MET - 1))
}

/// From the start of a connection to the end of its first header.
const FIRST_HEADER: Duration = Duration::from_secs(20);
/// Between two requests.
pub const IDLE: Duration = Duration::from_secs(60);
/// Frees what a connection has gathered in memory, and lets a load balancer in front spread anew.
const REQUESTS_PER_CONNECTION: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_overdue_at_its_deadline_and_not_once_it_is_read() {
        let deadline = HeaderDeadline::new(Duration::from_secs(20));
        assert_eq!(deadline.wait(0), Some(Duration::from_secs(20)));
        assert_eq!(deadline.wait(19_000), Some(Duration::from_secs(1)));
        assert_eq!(deadline.wait(20_000), None);
        assert!(deadline.is_silent());
        deadline.meet();
        assert!(deadline.wait(u64::MAX).is_some());
        assert!(!deadline.is_silent());
        deadline.restart(Duration::ZERO);
        assert_eq!(deadline.wait(60_000), None);
    }
}
