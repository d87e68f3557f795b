//! Asks servers whether they are well, as their upstreams say, and looks up where named ones are.
//!
//! The library's own checks come with a connector each, which reads the system's authorities anew, show no
//! client certificate and put no limit on an answer as a whole; what is here is what they do, on one connector.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use http::{HeaderValue, Uri, header, uri::PathAndQuery};
use pingora::{
    Error, ErrorType, OrErr,
    connectors::{TransportConnector, http::Connector},
    http::RequestHeader,
    upstreams::peer::HttpPeer,
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, interval_at, timeout},
};

use super::peers::Peers;
use crate::{
    config::{HealthCheck, Question},
    core::Core,
    pool::{Pool, Server, Streak, names},
    snapshot::Snapshot,
};

/// Watches the servers of the configuration in force, for ever; ends what it has begun when it is dropped.
pub async fn watch(core: Arc<Core>) {
    let connectors = Arc::new(Connectors::new());
    let mut looks = interval(FOLLOW_EVERY);
    loop {
        let snapshot = core.snapshot();
        let generation = snapshot.pools.generation();
        let watching = watch_one(snapshot, &connectors);
        while core.snapshot().pools.generation() == generation {
            looks.tick().await;
        }
        drop(watching);
    }
}

/// How soon the servers of a new configuration are asked.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// Made when they are needed first: each reads the system's authorities.
struct Connectors {
    transport: LazyLock<TransportConnector>,
    http: LazyLock<Connector>,
}

impl Connectors {
    const fn new() -> Self {
        Self {
            transport: LazyLock::new(|| TransportConnector::new(None)),
            http: LazyLock::new(|| Connector::new(None)),
        }
    }
}

fn watch_one(snapshot: Arc<Snapshot>, connectors: &Arc<Connectors>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let peers = Arc::new(Peers::new(&snapshot.config.upstreams, &snapshot.pools));
    for (upstream, (config, pool)) in snapshot
        .config
        .upstreams
        .iter()
        .zip(snapshot.pools.iter())
        .enumerate()
    {
        let Some(health) = &config.health else {
            continue;
        };
        for index in 0..pool.servers().len() {
            let check = Check {
                connectors: Arc::clone(connectors),
                peers: Arc::clone(&peers),
                pool: Arc::clone(pool),
                upstream,
                index,
                health: health.clone(),
            };
            tasks.spawn(check.run());
        }
    }
    let named = snapshot.pools.iter().any(|pool| {
        pool.servers()
            .iter()
            .any(|server| server.looked_up_by().is_some())
    });
    if named {
        tasks.spawn(follow_names(snapshot));
    }
    tasks
}

async fn follow_names(snapshot: Arc<Snapshot>) {
    let mut ticks = interval_at(Instant::now() + names::EVERY, names::EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        names::look_up_all(&snapshot.pools, names::system).await;
    }
}

/// The regular check of one server.
struct Check {
    connectors: Arc<Connectors>,
    peers: Arc<Peers>,
    pool: Arc<Pool>,
    upstream: usize,
    index: usize,
    health: HealthCheck,
}

impl Check {
    async fn run(self) {
        let server = self.pool.servers().get(self.index);
        let mut streak = Streak::new(
            self.health.healthy_after,
            self.health.unhealthy_after,
            server.is_none_or(Server::is_well),
        );
        let mut ticks = interval(self.health.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let answer = match timeout(self.health.timeout, self.ask()).await {
                Ok(answer) => answer,
                Err(_) => Err(Error::new(ErrorType::ReadTimedout)),
            };
            if let Some(well) = streak.note(answer.is_ok()) {
                self.change(well, answer.err().as_deref());
            }
        }
    }

    fn change(&self, well: bool, error: Option<&Error>) {
        let upstream = self.pool.name();
        let Some(server) = self.pool.servers().get(self.index) else {
            return;
        };
        server.set_well(well);
        let server = server.name();
        let cause = error.map(|error| error.etype().as_str());
        let status = error.and_then(|error| match error.etype() {
            ErrorType::HTTPStatus(status) => Some(*status),
            _ => None,
        });
        if well {
            tracing::info!(upstream, server, "a server is up again");
        } else {
            tracing::warn!(upstream, server, cause, status, "a server is down");
        }
    }

    async fn ask(&self) -> pingora::Result<()> {
        let peer = self.pool.servers().get(self.index);
        let peer = peer.and_then(|server| self.peers.to(self.upstream, self.index, server));
        let Some(mut peer) = peer else {
            return Err(Error::explain(ErrorType::InternalError, "no such server"));
        };
        peer.options.connection_timeout = Some(self.health.timeout);
        peer.options.total_connection_timeout = Some(self.health.timeout);
        match &self.health.question {
            Question::Connect => self.connectors.transport.new_stream(&peer).await.map(drop),
            Question::Get {
                path,
                hosts,
                statuses,
            } => {
                let host = hosts.get(self.index);
                let status = get(&self.connectors.http, &peer, path, host).await?;
                if statuses.contains(&status) {
                    Ok(())
                } else {
                    Err(Error::new(ErrorType::HTTPStatus(status)))
                }
            }
        }
    }
}

/// The status of an answer that arrived whole, on a connection of its own: one that is kept would hide that no
/// new one can be had.
async fn get(
    connector: &Connector,
    peer: &HttpPeer,
    path: &PathAndQuery,
    host: Option<&HeaderValue>,
) -> pingora::Result<u16> {
    let (mut session, _) = connector.get_http_session(peer).await?;
    let over_http2 = session.as_http1().is_none();
    let request = question(peer, path, host, over_http2)?;
    session.write_request_header(Box::new(request)).await?;
    session.finish_request_body().await?;
    session.read_response_header().await?;
    let status = session.response_header().map(|head| head.status.as_u16());
    while session.read_response_body().await?.is_some() {}
    session.shutdown().await;
    status.ok_or_else(|| Error::new(ErrorType::ReadError))
}

/// HTTP/2 has the host in its target; nginx refuses to find it in a field as well.
fn question(
    peer: &HttpPeer,
    path: &PathAndQuery,
    host: Option<&HeaderValue>,
    over_http2: bool,
) -> pingora::Result<RequestHeader> {
    let mut request = RequestHeader::build("GET", path.as_str().as_bytes(), None)?;
    request.insert_header(header::USER_AGENT, "gatehouse")?;
    let Some(host) = host else {
        return Ok(request);
    };
    if !over_http2 {
        request.insert_header(header::HOST, host)?;
        return Ok(request);
    }
    let target = Uri::builder()
        .scheme(if peer.is_tls() { "https" } else { "http" })
        .authority(host.as_bytes())
        .path_and_query(path.clone())
        .build();
    request.set_uri(target.or_err(ErrorType::InternalError, "a check cannot be asked")?);
    Ok(request)
}
