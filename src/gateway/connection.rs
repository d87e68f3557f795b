//! Around each connection: whether it may come in and from where it comes, TLS, a deadline for the next
//! request's header, and an end when the gateway stops.
//!
//! The listeners are plain ones to the proxy library: it knows no PROXY protocol on those, no session tickets
//! and no handshake deadline of less than a minute. It limits the time between two reads, not the time for a
//! whole header, and waits for ever for the first bytes of a connection that may be HTTP/2.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use pingora::{
    apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp},
    protocols::{
        GetSocketDigest as _, Stream, http::ServerSession, http::v2::server::H2Options, l4,
    },
    proxy::HttpProxy,
    server::ShutdownWatch,
};
use tokio::sync::{mpsc, watch};

use super::{
    admission::{Admission, NetworkPlace},
    arrival::{Arrival, Entrance},
    deadline,
    drain::{Stage, Stages},
    farewell::{self, Reason, Wire},
    http2,
    lifeline::{Bond, Lifeline},
    meter::Metered,
    proxy::Proxy,
    proxy_header,
    sparingly::Sparingly,
    tls::Tls,
};
use crate::{
    config::{Door as DoorConfig, DoorLimits},
    core::Core,
    telemetry::metrics::RefusedConnection,
};

/// Where connections come in.
pub struct Door {
    /// What its listeners are for.
    pub entrance: Entrance,
    /// Ends TLS, on listeners that speak it.
    pub tls: Option<Arc<Tls>>,
    /// What all doors share.
    pub house: House,
}

/// What is behind every door.
#[derive(Clone)]
pub struct House {
    /// The rest of the gateway.
    pub core: Arc<Core>,
    /// The proxy.
    pub proxy: Arc<HttpProxy<Proxy>>,
    /// How many are in.
    pub admission: Arc<Admission>,
    /// How far the end has come.
    pub stages: Stages,
    /// Dropped with the last connection.
    pub _open: mpsc::Sender<Infallible>,
    /// Says of connections without their PROXY header.
    pub headerless: Arc<Sparingly>,
}

impl House {
    fn count_refused(&self, reason: RefusedConnection) {
        self.core.metrics.refused_connections.count(reason);
    }
}

/// What pingora is told about connections.
pub fn options(limits: &DoorLimits) -> HttpServerOptions {
    let mut options = HttpServerOptions::default();
    // HTTP/2 with prior knowledge on plain listeners, for something in front that ends TLS.
    options.h2c = true;
    // The library counts how often a connection is used again.
    options.keepalive_request_limit = Some(limits.requests_per_connection.saturating_sub(1));
    options.h2_idle_timeout = Some(limits.idle_timeout);
    options
}

/// A connection that was let in.
struct Entered {
    stream: Stream,
    arrival: Arrival,
    /// Its place among those of its network; a trusted proxy needs none.
    _place: Option<NetworkPlace>,
}

#[async_trait]
impl ServerApp for Door {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        _shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let _place = self.house.admission.connection()?;
        let config = self.house.core.snapshot();
        let door = &config.config.door;
        let stages = &self.house.stages;
        let entered = tokio::select! {
            biased;
            entered = self.enter(stream, door) => entered?,
            () = stages.reached(Stage::Closing) => return None,
        };
        let (end, ending) = watch::channel(false);
        let wire = Arc::<Wire>::default();
        let connection = Arc::new(Connection {
            house: self.house.clone(),
            arrival: Arc::new(entered.arrival),
            limits: door.limits,
            options: options(&door.limits),
            bond: Arc::new(Bond {
                wire: wire.clone(),
                stages: stages.clone(),
            }),
            deadline: Arc::new(HeaderDeadline::new(door.limits.header_timeout)),
            requests: AtomicU32::new(0),
            end,
        });
        let deadline = connection.deadline.clone();
        let (stream, enough, left) = Metered::new(
            entered.stream,
            deadline,
            door.limits.header.bytes,
            wire.clone(),
        );
        // A connection may live long; it should not keep a configuration that was replaced.
        drop(config);
        tokio::select! {
            biased;
            _ = connection.process_new(Box::new(stream), &ending) => {}
            () = connection.deadline.missed() => {
                self.house.count_refused(RefusedConnection::HeaderTimeout);
                tracing::debug!("a connection brought no request in time");
            }
            () = enough.reached() => {
                self.house.count_refused(RefusedConnection::Flood);
                tracing::debug!("a connection sent more than a client has to");
            }
            () = connection.ended_while_silent() => {}
            () = stages.reached(Stage::Over) => wire.note_cut(Reason::GoingAway),
        }
        farewell::say(&left).await;
        None
    }
}

impl Door {
    /// Learns where a connection comes from, counts it, and makes the TLS handshake; `None` when it may not
    /// come in.
    async fn enter(&self, stream: Stream, door: &DoorConfig) -> Option<Entered> {
        // The library boxes its own kind of stream; the concrete one is cheaper to put TLS on.
        let mut stream: l4::stream::Stream = *stream.into_any().downcast().ok()?;
        let other_end = other_end(&stream)?;
        let mut peer = other_end;
        if door.proxy_protocol.contain(other_end) {
            peer = self
                .proxied_from(&mut stream, door)
                .await?
                .unwrap_or(other_end);
        }
        let trusted = door.trusted_proxies.contain(peer);
        // A proxy that did not say for whom it connects has all the connections of its clients.
        let counted = !trusted && (peer != other_end || !door.proxy_protocol.contain(other_end));
        let place = match counted {
            true => Some(self.house.admission.connection_from(peer)?),
            false => None,
        };
        let (stream, tls): (Stream, _) = match &self.tls {
            None => (Box::new(stream), None),
            Some(tls) => {
                let handshake = tls.handshake(stream, self.house.core.clock.now());
                match tokio::time::timeout(door.limits.handshake_timeout, handshake).await {
                    Ok(Ok((stream, facts))) => (Box::new(stream), Some(facts)),
                    Ok(Err(error)) => {
                        self.house.count_refused(RefusedConnection::Handshake);
                        tracing::debug!(cause = error.etype().as_str(), "a TLS handshake failed");
                        return None;
                    }
                    Err(_) => {
                        self.house
                            .count_refused(RefusedConnection::HandshakeTimeout);
                        tracing::debug!("a TLS handshake took too long");
                        return None;
                    }
                }
            }
        };
        Some(Entered {
            stream,
            arrival: Arrival {
                entrance: self.entrance,
                peer,
                trusted,
                tls,
            },
            _place: place,
        })
    }

    /// Where a proxy says that a connection comes from; `None` outside when it does not say so in time.
    async fn proxied_from(
        &self,
        stream: &mut l4::stream::Stream,
        door: &DoorConfig,
    ) -> Option<Option<IpAddr>> {
        let header = proxy_header::read(stream);
        let problem = match tokio::time::timeout(door.limits.header_timeout, header).await {
            Ok(Ok(source)) => return Some(source.map(|source| source.to_canonical())),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it brought no PROXY header in time".to_owned(),
        };
        self.house.count_refused(RefusedConnection::ProxyHeader);
        if let Some(silenced) = self.house.headerless.due() {
            tracing::warn!(
                problem,
                silenced,
                "a connection from server.proxy_protocol was closed"
            );
        }
        None
    }
}

fn other_end(stream: &l4::stream::Stream) -> Option<IpAddr> {
    let digest = stream.get_socket_digest()?;
    let address = digest.peer_addr()?.as_inet()?;
    Some(address.ip().to_canonical())
}

/// One connection. HTTP/2 hands its streams to tasks of their own, which hold it too.
struct Connection {
    house: House,
    arrival: Arc<Arrival>,
    limits: DoorLimits,
    /// By the limits it came in under.
    options: HttpServerOptions,
    bond: Arc<Bond>,
    deadline: Arc<HeaderDeadline>,
    /// Begun on HTTP/2, where the library counts none.
    requests: AtomicU32,
    /// Asks the client politely to go: on HTTP/2 by GOAWAY.
    end: watch::Sender<bool>,
}

impl Connection {
    /// Passes on that the gateway stops, and ends when the connection has not brought a single request for a
    /// while after.
    async fn ended_while_silent(&self) {
        let stages = &self.house.stages;
        stages.reached(Stage::Leaving).await;
        self.bond.wire.leave();
        self.end.send_replace(true);
        stages.reached(Stage::Closing).await;
        if !self.deadline.is_silent() {
            std::future::pending().await
        }
    }

    fn count_request(&self) {
        let begun = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if begun == self.limits.requests_per_connection {
            self.end.send_replace(true);
        }
    }
}

#[async_trait]
impl HttpServerApp for Connection {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let http2 = session.is_http2();
        if http2 {
            // Its header is here already; from now on the library's idle timeout holds.
            self.deadline.meet();
            self.count_request();
        } else {
            // The proxy hands this back as soon as the header is read.
            session.set_connection_user_context(Some(Box::new(self.deadline.clone())));
        }
        let exchange = deadline::run(self.house.proxy.process_new_http(session, shutdown));
        let exchange = self.arrival.clone().run(exchange);
        let reused = Lifeline::run(&self.house.core, self.bond.clone(), exchange).await;
        let reused = reused.flatten().flatten();
        if self.deadline.was_left_unread() {
            self.house.core.metrics.unread_requests.inc();
        }
        if reused.is_some() {
            self.deadline
                .restart(self.limits.idle_timeout + self.limits.header_timeout);
        }
        reused
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(http2::options(self.limits.header))
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

/// By when the next header has to be read whole. Set twice per request, without a lock; looked at by a timer
/// that mostly sleeps.
pub struct HeaderDeadline {
    opened: Instant,
    /// Milliseconds after `opened`, or [`MET`].
    due: AtomicU64,
    silent: std::sync::atomic::AtomicBool,
    /// Whether anything of the header that is waited for has come.
    begun: std::sync::atomic::AtomicBool,
    restarts: AtomicU32,
    /// For a first header; how long to sleep while none is due.
    patience: Duration,
}

const MET: u64 = u64::MAX;

impl HeaderDeadline {
    fn new(patience: Duration) -> Self {
        Self {
            opened: Instant::now(),
            due: AtomicU64::new(milliseconds(patience)),
            silent: true.into(),
            begun: false.into(),
            restarts: AtomicU32::new(0),
            patience,
        }
    }

    /// The header is read.
    pub fn meet(&self) {
        self.due.store(MET, Ordering::Release);
        self.silent.store(false, Ordering::Release);
    }

    fn restart(&self, patience: Duration) {
        self.begun.store(false, Ordering::Release);
        self.restarts.fetch_add(1, Ordering::AcqRel);
        self.due.store(
            milliseconds(self.opened.elapsed() + patience),
            Ordering::Release,
        );
    }

    /// Something of the header has come.
    pub fn note_begun(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Whether a header had begun and nobody here saw its end: the library answers malformed requests and CONNECT by
    /// itself.
    fn was_left_unread(&self) -> bool {
        self.header_waited_for().is_some() && self.begun.load(Ordering::Acquire)
    }

    /// Which header of the connection is waited for, if one is.
    pub fn header_waited_for(&self) -> Option<u32> {
        let waiting = self.due.load(Ordering::Acquire) != MET;
        waiting.then(|| self.restarts.load(Ordering::Acquire))
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
            MET => Some(self.patience),
            due if due <= now => None,
            due => Some(Duration::from_millis(due - now)),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    // Below `MET`, also after 584 million years.
    u64::try_from(duration.as_millis()).map_or(MET - 1, |milliseconds| milliseconds.min(MET - 1))
}

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
        assert_eq!(deadline.header_waited_for(), None);
        deadline.restart(Duration::ZERO);
        assert_eq!(deadline.header_waited_for(), Some(1));
        assert_eq!(deadline.wait(60_000), None);
    }

    #[test]
    fn a_header_is_left_unread_when_it_had_begun_and_was_not_met() {
        let deadline = HeaderDeadline::new(Duration::from_secs(20));
        assert!(!deadline.was_left_unread(), "a client that says nothing");
        deadline.note_begun();
        assert!(deadline.was_left_unread());
        deadline.meet();
        assert!(!deadline.was_left_unread());
        deadline.restart(Duration::ZERO);
        assert!(!deadline.was_left_unread(), "idle between two requests");
    }
}
