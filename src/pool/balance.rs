//! How servers share the load.

use super::Server;
use crate::config::Balance;

/// Whose turn it is among the servers that `may`; `None` when none may.
///
/// `turn` counts requests, `visitor` is the [`hash`] of who asks.
pub fn pick(
    balance: Balance,
    servers: &[Server],
    turn: usize,
    visitor: u64,
    may: impl Fn(usize) -> bool,
) -> Option<usize> {
    let candidates = || (0..servers.len()).filter(|index| may(*index));
    match balance {
        // By rank among those that may: counting on past those that may not would give the load of a server
        // that is down to its neighbour alone.
        Balance::RoundRobin => {
            let rank = turn.checked_rem(candidates().count())?;
            candidates().nth(rank)
        }
        // Beginning elsewhere each time, so that an idle pool is not served by its first server alone.
        Balance::LeastConnections => {
            let start = turn.checked_rem(servers.len())?;
            candidates().min_by_key(|index| {
                let after_start = (index + servers.len() - start) % servers.len();
                (servers[*index].in_flight(), after_start)
            })
        }
        // Rendezvous hashing: each server draws a number for the visitor, the highest wins. What a server
        // that goes has won is spread over the others, and nothing else moves. With a ring the same
        // takes memory and only comes out about even; and the ring at hand knows no sockets.
        Balance::ConsistentHash => {
            candidates().max_by_key(|index| mix(servers[*index].seed() ^ visitor))
        }
    }
}

/// FNV-1a, finished by [`mix`]: the same on every node and in every version, which the standard library's
/// hasher does not promise. It is no defence; nobody chooses their account id or the names of servers.
pub fn hash(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(hash)
}

/// The finisher of SplitMix64: every bit of the input changes about half of the output's.
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
