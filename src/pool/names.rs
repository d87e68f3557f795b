//! Where servers with a name have moved to: looked up again and again in the background.

use std::{net::SocketAddr, time::Duration};

use super::{Pools, Server};
use crate::config;

/// How often names are looked up.
pub const EVERY: Duration = Duration::from_secs(30);

/// Looks up every name once and moves the servers whose address is another now. Servers whose name cannot be
/// looked up stay where they are. Connections to an old address are left to end by themselves.
///
/// `look_up` is the system's resolver, but for tests.
pub async fn look_up_all<F>(pools: &Pools, look_up: impl Fn(String, u16) -> F)
where
    F: Future<Output = std::io::Result<Vec<SocketAddr>>>,
{
    for pool in pools.iter() {
        for server in pool.servers() {
            let Some((name, port, present)) = server.looked_up_by() else {
                continue;
            };
            let found = look_up(name.to_owned(), port).await;
            follow(pool.name(), server, present, found);
        }
    }
}

fn follow(
    upstream: &str,
    server: &Server,
    present: SocketAddr,
    found: std::io::Result<Vec<SocketAddr>>,
) {
    let name = server.name();
    let found = match found {
        Ok(found) if found.is_empty() => Err(std::io::Error::other("it has no address")),
        other => other,
    };
    let news = server.note_lookup(found.is_ok());
    let settled = match found {
        Ok(found) => config::Server::settle(&found, Some(present)),
        Err(error) => {
            if news {
                tracing::warn!(upstream, server = name, %error, "a server's name cannot be looked up; its address stays");
            }
            return;
        }
    };
    if news {
        tracing::info!(
            upstream,
            server = name,
            "a server's name can be looked up again"
        );
    }
    if let Some(address) = settled.filter(|address| *address != present) {
        server.move_to(address);
        tracing::info!(upstream, server = name, %address, "a server has moved");
    }
}

/// The system's resolver.
///
/// # Errors
/// When it knows no answer.
pub async fn system(name: String, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((name, port)).await?.collect())
}
