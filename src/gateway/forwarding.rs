//! The way to one upstream, for one request: nothing but a [`Permit`] opens it.
//!
//! It holds the server that was chosen and decides, when that one fails, whether the request may go to
//! another: a request that might have been acted on is never sent twice.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use pingora::{Error, ErrorSource, ErrorType, upstreams::peer::HttpPeer};

use super::{
    failure,
    peers::{Peers, avoid_kept_connections},
};
use crate::{
    config::{Balance, Delivery, Upstream, UpstreamProtocol},
    network::Network,
    policy::decision::Permit,
    pool::{Lease, NoServer, Tried, balance::hash},
    session::Visit,
    snapshot::Snapshot,
};

/// Leave to connect to an upstream. A request without one reaches none.
pub struct Forwarding {
    snapshot: Arc<Snapshot>,
    upstream: usize,
    route: usize,
    began: Instant,
    websocket: bool,
    /// Who asks, for balances that look at that.
    visitor: u64,
    /// The server to use now.
    lease: Lease,
    /// The one that failed last.
    failed: Option<usize>,
    tried: Tried,
    /// How often the request was sent to another server although one may have it already.
    resent: u8,
    /// Whether a kept connection was closed under the request, so that the next is to be a new one.
    anew: bool,
    /// Whether anything of an answer has come.
    answered: bool,
    /// Whether no kept connection is to be used at all.
    always_anew: bool,
}

/// A request, as far as it matters to where it goes.
pub struct Asked<'a> {
    /// When it began.
    pub began: Instant,
    /// Whether it asks for a WebSocket.
    pub websocket: bool,
    /// Whose it is.
    pub visit: Option<&'a Visit>,
    /// Where it comes from.
    pub client: IpAddr,
}

/// Why a request with a permit goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoWay {
    /// Every server has as many requests as it may.
    Busy,
    /// HTTP/2 servers take no WebSocket of HTTP/1.1, and hardly any takes those of RFC 8441.
    WebSocketOverHttp2,
    /// The route has no upstream: it is for forward-auth alone, and was refused before.
    NoUpstream,
}

impl Forwarding {
    /// The way a permit opens.
    ///
    /// # Errors
    /// When there is none at this time or for such a request.
    pub fn new(
        permit: &Permit<'_>,
        snapshot: Arc<Snapshot>,
        asked: &Asked<'_>,
    ) -> Result<Self, NoWay> {
        let route = permit.route();
        let index = route.upstream.ok_or(NoWay::NoUpstream)?;
        let upstream = snapshot.config.upstreams.get(index);
        let upstream = upstream.ok_or(NoWay::NoUpstream)?;
        let pool = snapshot.pools.of(index).ok_or(NoWay::NoUpstream)?;
        if asked.websocket && upstream.protocol == UpstreamProtocol::H2 {
            return Err(NoWay::WebSocketOverHttp2);
        }
        let visitor = match upstream.balance {
            Balance::ConsistentHash => visitor(asked),
            Balance::RoundRobin | Balance::LeastConnections => 0,
        };
        let lease = pool
            .choose(visitor, Tried::default(), asked.began)
            .map_err(|refusal| match refusal {
                NoServer::Busy => {
                    pool.tell_full();
                    NoWay::Busy
                }
                NoServer::Exhausted => NoWay::NoUpstream,
            })?;
        Ok(Self {
            upstream: index,
            route: route.index,
            snapshot,
            began: asked.began,
            websocket: asked.websocket,
            visitor,
            lease,
            failed: None,
            tried: Tried::default(),
            resent: 0,
            anew: false,
            answered: false,
            always_anew: false,
        })
    }

    /// What its route says about forwarding.
    pub fn delivery(&self) -> Option<&Delivery> {
        self.snapshot.config.deliveries.get(self.route)
    }

    /// Where the request goes.
    pub fn upstream(&self) -> &Upstream {
        &self.snapshot.config.upstreams[self.upstream]
    }

    /// The server that has it, as the configuration calls it.
    pub fn server(&self) -> &str {
        self.lease.server().name()
    }

    /// The server that failed it last.
    pub fn failed_server(&self) -> Option<&str> {
        let server = self.lease.pool().servers().get(self.failed?)?;
        Some(server.name())
    }

    /// When the exchange is to be over; for a WebSocket, when it is to be open.
    pub fn deadline(&self) -> Option<Instant> {
        let upstream = self.upstream();
        let limit = match (self.websocket, self.answered) {
            (false, _) => upstream.total_timeout?,
            (true, false) => upstream
                .connect_timeout
                .saturating_add(upstream.read_timeout),
            (true, true) => return None,
        };
        self.began.checked_add(limit)
    }

    /// The server to use now; `None` when pingora cannot have it, which a compiled configuration excludes.
    pub fn peer(&self, peers: &Peers) -> Option<HttpPeer> {
        let mut peer = peers.to(self.upstream, self.lease.index(), self.lease.server())?;
        let options = &mut peer.options;
        if self.websocket {
            options.read_timeout = None;
            options.write_timeout = None;
        } else if let Some(deadline) = self.deadline() {
            // Zero would be no time to send anything at all.
            let left = deadline.saturating_duration_since(Instant::now());
            let left = left.max(Duration::from_millis(1));
            for limit in [
                &mut options.connection_timeout,
                &mut options.total_connection_timeout,
                &mut options.read_timeout,
                &mut options.write_timeout,
            ] {
                *limit = limit.map(|limit| limit.min(left));
            }
        }
        if self.anew || self.always_anew {
            avoid_kept_connections(&mut peer);
        }
        Some(peer)
    }

    /// Has every attempt use a connection of its own: one that was kept may be closed under a request, which then
    /// cannot be told from one that was acted on.
    pub const fn connect_anew(&mut self) {
        self.always_anew = true;
    }

    /// Notes that the server took no connection; whether there is another to try. Nothing was sent, so the
    /// method does not matter.
    pub fn not_connected(&mut self, error: &Error) -> bool {
        self.lease.pool().count_failure(failure::kind(error));
        self.lease.note_failure(Instant::now());
        self.move_on()
    }

    /// Notes that an answer, or the first of several heads of one, has come; whether it was awaited.
    pub fn answered(&mut self) -> bool {
        let awaited = !self.answered;
        if awaited {
            self.answered = true;
            self.lease.note_answer();
        }
        awaited
    }

    /// Notes that an exchange broke off; whether the request is to be sent again. `kept` says that its
    /// connection had served others before, `repeatable` that sending it twice does no harm and can be done:
    /// its method is idempotent and its body at hand (RFC 9110 §9.2.2), and nobody has seen an answer.
    pub fn broke_off(&mut self, error: &Error, kept: bool, repeatable: bool) -> bool {
        if *error.esource() != ErrorSource::Upstream {
            return false;
        }
        let closed = is_closed(error);
        // A server may close an idle connection at any time; that it crossed a request says nothing of it.
        let stale = kept && closed && !self.anew && !self.answered;
        if !stale {
            self.lease.pool().count_failure(failure::kind(error));
        }
        if self.answered {
            return false;
        }
        self.failed = Some(self.lease.index());
        if !stale {
            self.lease.note_failure(Instant::now());
        }
        if !(repeatable && closed) {
            return false;
        }
        if stale {
            self.anew = true;
            return true;
        }
        self.resent < self.upstream().retries && {
            self.resent += 1;
            self.move_on()
        }
    }

    /// Chooses another server.
    fn move_on(&mut self) -> bool {
        self.failed = Some(self.lease.index());
        self.tried.note(self.lease.index());
        match self
            .lease
            .pool()
            .choose(self.visitor, self.tried, Instant::now())
        {
            Ok(lease) => {
                self.lease = lease;
                self.anew = false;
                true
            }
            Err(NoServer::Busy | NoServer::Exhausted) => false,
        }
    }
}

/// An account, or the network of a visitor without one: its addresses change within a visit.
fn visitor(asked: &Asked<'_>) -> u64 {
    match asked.visit {
        Some(visit) => hash(visit.account.id.uuid().as_bytes()),
        None => hash(Network::of(asked.client).to_string().as_bytes()),
    }
}

/// Whether the connection or stream ended. A timeout is something else: the visitor has waited for long, and
/// what was slow on one server would be started on the next as well. So is an answer that makes no sense.
fn is_closed(error: &Error) -> bool {
    matches!(
        error.etype(),
        ErrorType::ConnectionClosed
            | ErrorType::ReadError
            | ErrorType::WriteError
            | ErrorType::H2Error
    )
}
