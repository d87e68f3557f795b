//! The servers of upstreams as pingora wants them: made once for each configuration, copied for each request.

use std::{
    net::Ipv4Addr, os::unix::net::SocketAddr as SocketPath, path::Path, sync::Arc, time::Duration,
};

use arc_swap::ArcSwapOption;
use pingora::{
    protocols::{TcpKeepalive, l4::socket::SocketAddr},
    upstreams::peer::{ALPN, HttpPeer},
    utils::tls::{CertKey, WrappedX509, parse_x509},
};
use rustls::pki_types::CertificateDer;

use crate::{
    config::{ClientCertificate, Upstream, UpstreamProtocol},
    pool::{Address, Pools, Server},
    snapshot::Snapshot,
};

/// The peers of the configuration that was used last.
#[derive(Default)]
pub struct PeerCache(ArcSwapOption<Peers>);

/// The peers of one configuration.
pub struct Peers {
    generation: u64,
    /// By upstream and server. They lack an address, which may change.
    upstreams: Vec<Vec<HttpPeer>>,
}

impl PeerCache {
    /// The peers of a snapshot. A request that began before a reload does not put the old ones back.
    pub fn of(&self, snapshot: &Snapshot) -> Arc<Peers> {
        let generation = snapshot.pools.generation();
        let present = self.0.load();
        if let Some(peers) = present
            .as_ref()
            .filter(|peers| peers.generation == generation)
        {
            return Arc::clone(peers);
        }
        let made = Arc::new(Peers::new(&snapshot.config.upstreams, &snapshot.pools));
        if present
            .as_ref()
            .is_none_or(|present| present.generation < generation)
        {
            self.0.store(Some(Arc::clone(&made)));
        }
        made
    }
}

impl Peers {
    /// The peers of these upstreams.
    pub fn new(upstreams: &[Upstream], pools: &Pools) -> Self {
        Self {
            generation: pools.generation(),
            upstreams: upstreams
                .iter()
                .enumerate()
                .map(|(index, upstream)| peers(upstream, group(pools.generation(), index)))
                .collect(),
        }
    }

    /// A server at its present address, over plain or verified TLS, with the upstream's timeouts.
    ///
    /// `None` when there is no such server or its socket cannot be one, which a compiled configuration
    /// excludes.
    pub fn to(&self, upstream: usize, index: usize, server: &Server) -> Option<HttpPeer> {
        let mut peer = self.upstreams.get(upstream)?.get(index)?.clone();
        peer._address = address(server.address())?;
        Some(peer)
    }
}

/// Has `peer` connected to anew, and that connection not kept: what is kept may be as stale as the one that has
/// just failed.
pub const fn avoid_kept_connections(peer: &mut HttpPeer) {
    peer.group_key ^= ANEW;
    peer.options.idle_timeout = Some(Duration::ZERO);
}

const ANEW: u64 = 1 << 63;

/// Connections are shared within a group alone. The library tells them apart by address and name, but not by
/// authority, client key or protocol.
const fn group(generation: u64, upstream: usize) -> u64 {
    (generation << 24 | upstream as u64) & !ANEW
}

fn address(address: Address<'_>) -> Option<SocketAddr> {
    match address {
        Address::Network(address) => Some(SocketAddr::Inet(address)),
        Address::Unix(path) => socket(path),
    }
}

fn socket(path: &Path) -> Option<SocketAddr> {
    SocketPath::from_pathname(path).ok().map(SocketAddr::Unix)
}

fn peers(upstream: &Upstream, group: u64) -> Vec<HttpPeer> {
    let tls = upstream.tls.as_ref();
    let authorities: Option<Arc<[WrappedX509]>> = tls
        .and_then(|tls| tls.authorities.as_deref())
        .map(|authorities| authorities.iter().map(certificate).collect());
    let client = tls.and_then(|tls| tls.client.as_deref()).map(client);
    (0..upstream.servers.len())
        .map(|index| {
            let name = tls.and_then(|tls| tls.names.get(index));
            let mut peer = HttpPeer::new(
                (Ipv4Addr::UNSPECIFIED, 0),
                tls.is_some(),
                name.cloned().unwrap_or_default(),
            );
            peer.group_key = group;
            peer.client_cert_key = client.clone();
            let options = &mut peer.options;
            options.ca = authorities.clone();
            options.alpn = match upstream.protocol {
                UpstreamProtocol::Http1 => ALPN::H1,
                UpstreamProtocol::H2 => ALPN::H2,
            };
            options.max_h2_streams = STREAMS_PER_CONNECTION;
            options.connection_timeout = Some(upstream.connect_timeout);
            options.total_connection_timeout = Some(upstream.connect_timeout);
            options.read_timeout = Some(upstream.read_timeout);
            options.write_timeout = Some(upstream.write_timeout);
            options.idle_timeout = Some(upstream.idle_timeout);
            options.tcp_keepalive = Some(KEEPALIVE);
            peer
        })
        .collect()
}

/// Parsing panics on what is no certificate; the configuration has parsed each one before.
fn certificate(der: &CertificateDer<'static>) -> WrappedX509 {
    WrappedX509::new(der.to_vec(), parse_x509)
}

fn client(client: &ClientCertificate) -> Arc<CertKey> {
    let chain = client.chain.iter().map(|der| der.to_vec()).collect();
    Arc::new(CertKey::new(chain, client.key.secret_der().to_vec()))
}

/// Finds out that a machine is gone without a word: an HTTP/2 connection to it would swallow one request after
/// the other, and a silent WebSocket stay open for ever.
const KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(30),
    interval: Duration::from_secs(10),
    count: 3,
    #[cfg(target_os = "linux")]
    user_timeout: Duration::from_secs(90),
};

/// What servers allow at least, as RFC 9113 §6.5.2 recommends. The library's default is one.
const STREAMS_PER_CONNECTION: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, relying_party::RelyingParty};

    fn snapshot(servers: &str) -> Snapshot {
        let text = format!(
            "relying_party = {{ id = \"localhost\", origins = [\"http://localhost:8080\"] }}\n\
             [[upstream]]\nname = \"app\"\nservers = {servers}\n[[route]]\nupstream = \"app\"\n"
        );
        let config = config::parse(&text, Path::new("/gateway.toml"), &|_| None)
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config;
        let relying_party = RelyingParty::new(&config.relying_party).unwrap();
        Snapshot::new(config, relying_party)
    }

    fn group_of(peers: &Peers, snapshot: &Snapshot) -> u64 {
        let pool = snapshot.pools.of(0).unwrap();
        peers.to(0, 0, &pool.servers()[0]).unwrap().group_key
    }

    #[test]
    fn a_request_of_an_older_configuration_does_not_bring_its_peers_back() {
        let (old, new) = (snapshot("[\"127.0.0.1:1\"]"), snapshot("[\"127.0.0.1:1\"]"));
        let cache = PeerCache::default();
        let first = group_of(&cache.of(&old), &old);
        let second = group_of(&cache.of(&new), &new);
        assert_ne!(first, second, "their connections do not mix");
        let kept = cache.of(&new);
        assert_eq!(group_of(&cache.of(&old), &old), first);
        assert!(Arc::ptr_eq(&kept, &cache.of(&new)));
    }

    #[test]
    fn a_peer_is_where_its_server_is_at_the_moment() {
        let snapshot = snapshot("[\"localhost:1\", \"unix:/run/app.sock\"]");
        let peers = PeerCache::default().of(&snapshot);
        let servers = snapshot.pools.of(0).unwrap().servers();
        servers[0].move_to("127.0.0.9:9".parse().unwrap());
        for (index, address) in [(0, "127.0.0.9:9"), (1, "/run/app.sock")] {
            let peer = peers.to(0, index, &servers[index]).unwrap();
            assert!(peer._address.to_string().contains(address), "{peer}");
        }
        assert!(peers.to(0, 2, &servers[0]).is_none());
    }

    #[test]
    fn a_new_connection_is_asked_for_and_not_kept() {
        let snapshot = snapshot("[\"127.0.0.1:1\"]");
        let peers = PeerCache::default().of(&snapshot);
        let server = &snapshot.pools.of(0).unwrap().servers()[0];
        let mut peer = peers.to(0, 0, server).unwrap();
        let kept = peer.group_key;
        avoid_kept_connections(&mut peer);
        assert_ne!(peer.group_key, kept);
        assert_eq!(peer.options.idle_timeout, Some(Duration::ZERO));
    }
}
