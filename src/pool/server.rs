//! What is known of one server: where it is, how many requests it has, whether it is well.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;

use super::balance;
use crate::config::{self, Ejection, ServerPlace};

/// One server of an upstream.
pub struct Server {
    name: String,
    place: Place,
    seed: u64,
    /// Of all configurations that name it: what an older one has sent it is still there.
    in_flight: Arc<AtomicU32>,
    /// What the checks say.
    well: AtomicBool,
    failures: AtomicU32,
    /// Whether its name could not be looked up the last time.
    lost: AtomicBool,
    since: Instant,
    /// Milliseconds after `since` until which it is left out; zero when it is not.
    out_until: AtomicU64,
}

enum Place {
    Network {
        address: ArcSwap<SocketAddr>,
        name: Option<(String, u16)>,
    },
    Unix(std::path::PathBuf),
}

/// Whether a server gets requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// It does.
    Up,
    /// The checks say that it is not well.
    Down,
    /// It failed requests and is left out for a while.
    Ejected,
}

/// Where a server takes connections at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// At an address.
    Network(SocketAddr),
    /// At a socket.
    Unix(&'a Path),
}

impl Server {
    pub(super) fn new(server: &config::Server) -> Self {
        Self {
            name: server.written.clone(),
            place: match &server.address {
                ServerPlace::Network(address) => Place::Network {
                    address: ArcSwap::from_pointee(*address),
                    name: server.name.clone(),
                },
                ServerPlace::Unix(path) => Place::Unix(path.clone()),
            },
            seed: balance::hash(server.written.as_bytes()),
            in_flight: Arc::default(),
            well: AtomicBool::new(true),
            failures: AtomicU32::new(0),
            lost: AtomicBool::new(false),
            since: Instant::now(),
            out_until: AtomicU64::new(0),
        }
    }

    /// The same server under a new configuration: what is known of it stays known. What checks said stays only
    /// if there are checks that can say otherwise.
    pub(super) fn succeed(&mut self, old: &Self, is_checked: bool) {
        self.in_flight = Arc::clone(&old.in_flight);
        self.well = AtomicBool::new(!is_checked || old.is_well());
        self.failures = old.failures.load(Ordering::Relaxed).into();
        self.lost = old.lost.load(Ordering::Relaxed).into();
        self.since = old.since;
        self.out_until = old.out_until.load(Ordering::Relaxed).into();
    }

    /// What the checks say.
    pub fn is_well(&self) -> bool {
        self.well.load(Ordering::Relaxed)
    }

    /// As in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub fn address(&self) -> Address<'_> {
        match &self.place {
            Place::Network { address, .. } => Address::Network(**address.load()),
            Place::Unix(path) => Address::Unix(path),
        }
    }

    /// The name and port it is looked up by, if it can move, and where it is now.
    pub fn looked_up_by(&self) -> Option<(&str, u16, SocketAddr)> {
        match &self.place {
            Place::Network {
                address,
                name: Some((name, port)),
            } => Some((name, *port, **address.load())),
            Place::Network { name: None, .. } | Place::Unix(_) => None,
        }
    }

    /// Notes whether its name could be looked up; whether that is news.
    pub(super) fn note_lookup(&self, found: bool) -> bool {
        self.lost.swap(!found, Ordering::Relaxed) == found
    }

    /// It has moved.
    pub fn move_to(&self, to: SocketAddr) {
        match &self.place {
            Place::Network { address, .. } => address.store(to.into()),
            Place::Unix(_) => {}
        }
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Its share of a visitor's hash.
    pub(super) const fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether it is neither unwell nor left out.
    pub fn is_up(&self, now: Instant) -> bool {
        match self.state(now) {
            ServerState::Up => true,
            ServerState::Down | ServerState::Ejected => false,
        }
    }

    /// Whether it is neither, or which of them.
    pub fn state(&self, now: Instant) -> ServerState {
        if !self.well.load(Ordering::Relaxed) {
            ServerState::Down
        } else if self.out_until.load(Ordering::Relaxed) > self.clock(now) {
            ServerState::Ejected
        } else {
            ServerState::Up
        }
    }

    /// What the checks say from now on.
    pub fn set_well(&self, well: bool) {
        self.well.store(well, Ordering::Relaxed);
    }

    /// Takes a place among its requests, unless there are `most` already.
    pub(super) fn enter(&self, most: Option<u32>) -> bool {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let room = most.is_none_or(|most| before < most);
        if !room {
            self.leave();
        }
        room
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// It answered; whether it was out. The warm path reads and writes nothing.
    pub(super) fn note_answer(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.failures.store(0, Ordering::Relaxed);
        self.out_until.swap(0, Ordering::Relaxed) != 0
    }

    /// It failed a request; whether it is left out from now on. The count stays, so that after the period one
    /// more failure is enough.
    pub(super) fn note_failure(&self, ejection: Ejection, now: Instant) -> bool {
        let failures = self.failures.load(Ordering::Relaxed).saturating_add(1);
        self.failures.store(failures, Ordering::Relaxed);
        let now = self.clock(now);
        if failures < ejection.failures || self.out_until.load(Ordering::Relaxed) > now {
            return false;
        }
        let until = now.saturating_add(milliseconds(ejection.period)).max(1);
        self.out_until.store(until, Ordering::Relaxed);
        true
    }

    fn clock(&self, now: Instant) -> u64 {
        milliseconds(now.saturating_duration_since(self.since))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
