//! Memory for what strangers send before it is known who they are: so much in all and for one network. Not on
//! the way of requests that pass.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::network::Network;

/// Room that is shared out and given back.
#[derive(Debug, Default)]
pub struct ReadingRoom(Arc<Mutex<Taken>>);

/// Bytes by network.
type Taken = HashMap<Network, u64>;

/// A part of the room; it is given back when this is dropped.
#[derive(Debug)]
pub struct Seat {
    taken: Arc<Mutex<Taken>>,
    network: Network,
    bytes: u64,
}

impl ReadingRoom {
    /// Takes room for so many bytes of a network; `None` when that would be more than `per_network` of it, or
    /// `total` of all.
    pub fn take(&self, network: Network, bytes: u64, per_network: u64, total: u64) -> Option<Seat> {
        let mut taken = lock(&self.0);
        let of_network = taken.get(&network).copied().unwrap_or_default() + bytes;
        let of_all = taken.values().sum::<u64>() + bytes;
        if of_network > per_network || of_all > total {
            return None;
        }
        taken.insert(network, of_network);
        Some(Seat {
            taken: Arc::clone(&self.0),
            network,
            bytes,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(bytes) = taken.get_mut(&self.network) {
            *bytes = bytes.saturating_sub(self.bytes);
            if *bytes == 0 {
                taken.remove(&self.network);
            }
        }
    }
}

/// No panic leaves a number half-changed.
fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_takes_its_share_and_leaves_the_rest() {
        let room = ReadingRoom::default();
        let network = |third| Network::of(std::net::Ipv4Addr::new(203, 0, third, 1).into());
        let take = |third, bytes| room.take(network(third), bytes, 10, 15);
        let first = take(1, 8).unwrap();
        assert!(take(1, 3).is_none());
        let second = take(2, 7).unwrap();
        assert!(take(3, 1).is_none());
        drop(first);
        assert!(take(1, 8).is_some());
        drop(second);
        assert!(lock(&room.0).is_empty());
    }
}
