//! The way to one upstream, for one request: nothing but a [`Permit`] opens it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use pingora::upstreams::peer::HttpPeer;

use crate::{config::Upstream, policy::decision::Permit, snapshot::Snapshot};

/// Leave to connect to an upstream. A request without one reaches none.
pub struct Forwarding {
    snapshot: Arc<Snapshot>,
    upstream: usize,
    route_line: usize,
    /// The server tried first.
    first: usize,
    /// How many failed to take a connection.
    failed: usize,
    websocket: bool,
}

impl Forwarding {
    /// The way a permit opens. `turn` says which server is next.
    ///
    /// `None` when the configuration names no such upstream or gives it no server, which a compiled one
    /// never does.
    pub fn new(
        permit: &Permit<'_>,
        snapshot: Arc<Snapshot>,
        turn: usize,
        websocket: bool,
    ) -> Option<Self> {
        let route = permit.route();
        let servers = snapshot.config.upstreams.get(route.upstream)?.servers.len();
        let first = turn.checked_rem(servers)?;
        Some(Self {
            upstream: route.upstream,
            route_line: route.line,
            snapshot,
            first,
            failed: 0,
            websocket,
        })
    }

    /// Line of the route in the configuration file.
    pub const fn route_line(&self) -> usize {
        self.route_line
    }

    /// Where the request goes.
    pub fn upstream(&self) -> &Upstream {
        &self.snapshot.config.upstreams[self.upstream]
    }

    /// The server to try now, with the upstream's timeouts. It speaks HTTP/1.1, so that WebSockets pass.
    pub fn peer(&self) -> HttpPeer {
        let upstream = self.upstream();
        let mut peer = HttpPeer::new(self.server(), false, String::new());
        peer.options.connection_timeout = Some(upstream.connect_timeout);
        peer.options.total_connection_timeout = Some(upstream.connect_timeout);
        peer.options.idle_timeout = Some(IDLE_CONNECTION);
        if !self.websocket {
            peer.options.read_timeout = Some(upstream.read_timeout);
            peer.options.write_timeout = Some(upstream.read_timeout);
        }
        peer
    }

    /// Notes that the present server took no connection; whether there is another to try.
    pub fn try_next_server(&mut self) -> bool {
        self.failed += 1;
        self.failed < self.upstream().servers.len()
    }

    fn server(&self) -> SocketAddr {
        let servers = &self.upstream().servers;
        servers[(self.first + self.failed) % servers.len()]
    }
}

/// How long an upstream connection is kept for the next request. Shorter than the usual 60 s and more of
/// servers, so that it is seldom the server who closes it under a request.
const IDLE_CONNECTION: Duration = Duration::from_secs(45);
