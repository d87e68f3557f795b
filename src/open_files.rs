//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Raises the limit as far as the process may, and says when that is not enough: connections would be refused long before
/// `server.limits.connections` is reached.
pub fn allow(config: &Config) {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: before.maximum,
        ..before
    };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => before.maximum,
        Err(_) => before.current,
    };
    let needed = needed(config.door.limits.connections);
    if let Some(limit) = limit
        && limit < needed
    {
        tracing::warn!(
            limit,
            needed,
            "the process may open fewer files than server.limits.connections needs; raise `ulimit -n` (LimitNOFILE in systemd)"
        );
    }
}

/// A connection and one to an upstream for each, and some for everything else.
fn needed(connections: usize) -> u64 {
    u64::try_from(connections).map_or(u64::MAX, |connections| {
        connections.saturating_mul(2).saturating_add(200)
    })
}
