//! The servers of each upstream: which one gets a request, and what is known of their health.
//!
//! Begin with [`Pool::choose`]. [`balance`] says how servers share the load, [`server`] holds what is known of
//! one, [`streak`] turns checks into up and down, [`names`] looks up where servers have moved to. Nothing
//! here opens a connection or takes a lock: what changes is atomics, and callers bring the time.

pub mod balance;
pub mod names;
mod server;
mod streak;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

pub use self::{
    server::{Address, Server, ServerState},
    streak::Streak,
};
use crate::{
    config::{Balance, Ejection, Upstream},
    sparingly::Sparingly,
    telemetry::metrics::{Label as _, UpstreamFailure},
};

/// The servers of all upstreams of one configuration.
pub struct Pools {
    generation: u64,
    pools: Vec<Arc<Pool>>,
}

/// The servers of one upstream.
pub struct Pool {
    name: String,
    servers: Vec<Server>,
    balance: Balance,
    max_connections: Option<u32>,
    ejection: Option<Ejection>,
    turn: AtomicUsize,
    sent: AtomicU64,
    /// By the place of their kind.
    failures: Vec<AtomicU64>,
    /// Says that it is full.
    full: Sparingly,
}

/// Which servers a request was sent to already: one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried(u64);

/// A place among a server's requests in flight, given back when it is dropped: also when the client leaves.
pub struct Lease {
    pool: Arc<Pool>,
    index: usize,
}

/// Why a request gets no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoServer {
    /// Each one that is left has as many requests as it may.
    Busy,
    /// Each one was tried.
    Exhausted,
}

impl Pools {
    /// The servers of these upstreams, all of them up.
    pub fn new(upstreams: &[Upstream]) -> Self {
        static GENERATION: AtomicU64 = AtomicU64::new(0);
        Self {
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            pools: upstreams
                .iter()
                .map(|upstream| Arc::new(Pool::new(upstream)))
                .collect(),
        }
    }

    /// The servers of these upstreams. Those that were there before, by the names of upstream and server, are as
    /// well as they were.
    pub fn succeeding(old: &Self, upstreams: &[Upstream]) -> Self {
        let mut new = Self::new(upstreams);
        for (pool, upstream) in new.pools.iter_mut().zip(upstreams) {
            let before = old.pools.iter().find(|old| old.name == pool.name);
            let (Some(before), Some(pool)) = (before, Arc::get_mut(pool)) else {
                continue;
            };
            for server in &mut pool.servers {
                let same = before
                    .servers
                    .iter()
                    .find(|old| old.name() == server.name());
                if let Some(same) = same {
                    server.succeed(same, upstream.health.is_some());
                }
            }
        }
        new
    }

    /// A number of their own, counted upward, so that connections of one configuration never serve another.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The servers of an upstream, by its index.
    pub fn of(&self, upstream: usize) -> Option<&Arc<Pool>> {
        self.pools.get(upstream)
    }

    /// All, in the order of the upstreams.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.pools.iter()
    }
}

impl Pool {
    fn new(upstream: &Upstream) -> Self {
        Self {
            name: upstream.name.clone(),
            servers: upstream.servers.iter().map(Server::new).collect(),
            balance: upstream.balance,
            max_connections: upstream.max_connections,
            // With one server there is nothing to choose, and a line in the log would promise otherwise.
            ejection: upstream.ejection.filter(|_| upstream.servers.len() > 1),
            turn: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            failures: UpstreamFailure::ALL
                .iter()
                .map(|_| AtomicU64::new(0))
                .collect(),
            full: Sparingly::default(),
        }
    }

    /// The upstream's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its servers.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Says, but not of every request, that one was refused because no server could take it.
    pub fn tell_full(&self) {
        if let Some(silenced) = self.full.due() {
            tracing::warn!(
                upstream = self.name,
                silenced,
                "a request was refused with 503: every server has as many as max_connections of its upstream allows; \
                 add servers or raise it"
            );
        }
    }

    /// A server for a request that was sent to none of `tried` yet. `visitor` is who asks, for balances that
    /// look at that.
    ///
    /// Servers that are out count only when no other is left. Then all are tried: the checks themselves may be
    /// what is broken, and the visitor would get an error page anyway.
    ///
    /// # Errors
    /// When every server was tried, or those that are left are full.
    pub fn choose(
        self: &Arc<Self>,
        visitor: u64,
        mut tried: Tried,
        now: Instant,
    ) -> Result<Lease, NoServer> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let some_up = (0..self.servers.len())
            .any(|index| !tried.has(index) && self.servers[index].is_up(now));
        let mut refusal = NoServer::Exhausted;
        while let Some(index) = balance::pick(self.balance, &self.servers, turn, visitor, |index| {
            !tried.has(index) && (!some_up || self.servers[index].is_up(now))
        }) {
            if self.servers[index].enter(self.max_connections) {
                self.sent.fetch_add(1, Ordering::Relaxed);
                return Ok(Lease {
                    pool: Arc::clone(self),
                    index,
                });
            }
            refusal = NoServer::Busy;
            tried.note(index);
        }
        match refusal {
            NoServer::Busy => self.count_failure(UpstreamFailure::Busy),
            NoServer::Exhausted => {}
        }
        Err(refusal)
    }

    /// How often a server was chosen for a request, further tries included.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Counts that a request was failed.
    pub fn count_failure(&self, kind: UpstreamFailure) {
        if let Some(count) = self.failures.get(kind.place()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often requests were failed so, those included that another try made good.
    pub fn failures(&self, kind: UpstreamFailure) -> u64 {
        let count = self.failures.get(kind.place());
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl Tried {
    /// Notes one.
    pub const fn note(&mut self, index: usize) {
        self.0 |= Self::bit(index);
    }

    /// Whether one was tried.
    pub const fn has(self, index: usize) -> bool {
        self.0 & Self::bit(index) != 0
    }

    /// An upstream has at most [`crate::config::MAX_SERVERS`].
    const fn bit(index: usize) -> u64 {
        1_u64.wrapping_shl(index as u32)
    }
}

impl Lease {
    /// The pool it is of.
    pub const fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The server's place in its pool.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.pool.servers[self.index]
    }

    /// Notes that the server answered.
    pub fn note_answer(&self) {
        if self.server().note_answer() {
            let (upstream, server) = (self.pool.name(), self.server().name());
            tracing::info!(upstream, server, "a server that failed answers again");
        }
    }

    /// Notes that a request to the server got no answer, which may take it out for a while.
    pub fn note_failure(&self, now: Instant) {
        let Some(ejection) = self.pool.ejection else {
            return;
        };
        if self.server().note_failure(ejection, now) {
            let (upstream, server) = (self.pool.name(), self.server().name());
            let for_s = ejection.period.as_secs();
            tracing::warn!(upstream, server, for_s, "a server fails and is left out");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.server().leave();
    }
}

#[cfg(test)]
mod tests;
