//! How many there may be at once: connections, connections from one network, requests.
//!
//! Whoever is admitted holds a value that gives the place back when it is dropped.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use prometheus::IntGauge;

use super::sparingly::Sparingly;
use crate::{
    config::DoorLimits,
    network::Network,
    telemetry::metrics::{Metrics, RefusedConnection},
};

/// Counts what is open.
pub struct Admission {
    connections: Arc<Counter>,
    requests: Arc<Counter>,
    per_network: AtomicUsize,
    /// Locked once per connection, never per request.
    networks: Arc<Mutex<HashMap<Network, usize>>>,
    refused: Sparingly,
    metrics: Arc<Metrics>,
}

/// A number with an upper bound.
struct Counter {
    now: AtomicUsize,
    most: AtomicUsize,
    shown: IntGauge,
}

/// One of the places that a [`Counter`] has.
pub struct Place(Arc<Counter>);

/// One of the places of a network.
pub struct NetworkPlace {
    networks: Arc<Mutex<HashMap<Network, usize>>>,
    network: Network,
}

impl Admission {
    /// Nobody is in yet.
    pub fn new(limits: &DoorLimits, metrics: Arc<Metrics>) -> Self {
        let counter = |most, shown: &IntGauge| {
            let now = AtomicUsize::new(0);
            let most = AtomicUsize::new(most);
            let shown = shown.clone();
            Arc::new(Counter { now, most, shown })
        };
        Self {
            connections: counter(limits.connections, &metrics.connections),
            requests: counter(limits.in_flight, &metrics.requests_in_flight),
            metrics,
            per_network: limits.connections_per_network.into(),
            networks: Arc::default(),
            refused: Sparingly::default(),
        }
    }

    /// Other limits hold from now on. Who is in stays in.
    pub fn change(&self, limits: &DoorLimits) {
        for (limit, most) in [
            (&self.connections.most, limits.connections),
            (&self.requests.most, limits.in_flight),
            (&self.per_network, limits.connections_per_network),
        ] {
            limit.store(most, Ordering::Relaxed);
        }
    }

    /// A place for a connection, if there is one.
    pub fn connection(&self) -> Option<Place> {
        let place = Counter::take(&self.connections);
        if place.is_none() {
            self.metrics
                .refused_connections
                .count(RefusedConnection::Connections);
            self.refuse("there are as many as server.limits.connections says");
        }
        place
    }

    /// A place among the connections of its network, if there is one.
    pub fn connection_from(&self, address: IpAddr) -> Option<NetworkPlace> {
        let network = Network::of(address);
        // A count is whole whatever happened to the thread that held it.
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        let count = networks.entry(network).or_insert(0);
        if *count >= self.per_network.load(Ordering::Relaxed) {
            drop(networks);
            self.metrics
                .refused_connections
                .count(RefusedConnection::PerNetwork);
            self.refuse("its network has as many as server.limits.connections_per_network says");
            return None;
        }
        *count += 1;
        Some(NetworkPlace {
            networks: self.networks.clone(),
            network,
        })
    }

    /// A place for a request, if there is one.
    pub fn request(&self) -> Option<Place> {
        let place = Counter::take(&self.requests);
        if place.is_none()
            && let Some(silenced) = self.refused.due()
        {
            tracing::warn!(
                silenced,
                "a request was refused: as many are in flight as server.limits.in_flight says"
            );
        }
        place
    }

    fn refuse(&self, reason: &'static str) {
        if let Some(silenced) = self.refused.due() {
            tracing::warn!(reason, silenced, "a connection was refused");
        }
    }
}

impl Counter {
    fn take(counter: &Arc<Self>) -> Option<Place> {
        let before = counter.now.fetch_add(1, Ordering::Relaxed);
        counter.shown.inc();
        let place = Place(counter.clone());
        (before < counter.most.load(Ordering::Relaxed)).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
        self.0.shown.dec();
    }
}

impl Drop for NetworkPlace {
    fn drop(&mut self) {
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = networks.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                networks.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::HeaderSize;

    fn admission(connections: usize, per_network: usize, in_flight: usize) -> Admission {
        let limits = DoorLimits {
            header_timeout: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            handshake_timeout: Duration::ZERO,
            stall_timeout: Duration::ZERO,
            header: HeaderSize {
                bytes: 0,
                fields: 0,
            },
            connections,
            connections_per_network: per_network,
            in_flight,
            requests_per_connection: 1,
        };
        Admission::new(&limits, Arc::default())
    }

    #[test]
    fn there_is_a_place_again_when_somebody_leaves() {
        let admission = admission(2, 10, 1);
        let (one, two) = (admission.connection(), admission.connection());
        assert!(one.is_some() && two.is_some() && admission.connection().is_none());
        drop(one);
        assert!(admission.connection().is_some());
        let request = admission.request();
        assert!(request.is_some() && admission.request().is_none());
        drop(request);
        assert!(admission.request().is_some());
        let metrics = &admission.metrics;
        assert_eq!(metrics.connections.get(), 1, "two is still in");
        assert_eq!(metrics.requests_in_flight.get(), 0);
        let refused = &metrics.refused_connections;
        assert_eq!(refused.of(RefusedConnection::Connections), 1);
    }

    #[test]
    fn a_network_has_its_own_places_and_is_forgotten_when_it_left() {
        let admission = admission(10, 1, 10);
        let from = |text: &str| admission.connection_from(text.parse().unwrap());
        let here = from("203.0.113.1");
        assert!(here.is_some());
        assert!(from("203.0.113.2").is_none());
        assert!(from("203.0.114.1").is_some());
        drop(here);
        assert!(from("203.0.113.2").is_some());
        assert!(admission.networks.lock().unwrap().is_empty());
        let refused = &admission.metrics.refused_connections;
        assert_eq!(refused.of(RefusedConnection::PerNetwork), 1);
    }
}
