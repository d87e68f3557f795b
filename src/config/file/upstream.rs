//! The apps behind the gateway: `[[upstream]]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, List, Number, Period, Section, ServerAddress};

/// The apps behind the gateway, one table each.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "servers"]))]
pub struct Upstream {
    /// What routes call it.
    #[schemars(example = &"app")]
    pub name: Option<At<String>>,
    /// Its servers, at most 64: `host:port`, or `unix:PATH` for a socket. A name is looked up when the file is
    /// read and every 30 seconds from then on; it stands for one address, IPv4 before IPv6, and keeps it for
    /// as long as it is among the answers.
    #[schemars(example = ["127.0.0.1:9000"])]
    pub servers: Option<List<ServerAddress>>,
    /// The longest wait for a connection, TLS included, after which the next server is tried; 504 when none
    /// is left.
    #[schemars(example = &"2s")]
    pub connect_timeout: At<Period>,
    /// The longest silence while an answer is awaited or read, after which the visitor gets 504. WebSockets
    /// are exempt once they are open. gRPC streams are not: give their upstream a long one.
    #[schemars(example = &"5m")]
    pub read_timeout: At<Period>,
    /// The longest time that a piece of the request may take to be accepted. After it no more is sent, and the
    /// visitor gets 504 unless an answer comes within `read_timeout`. WebSockets are exempt.
    #[schemars(example = &"30s")]
    pub write_timeout: At<Period>,
    /// The longest time for an exchange as a whole, from the end of the request's header to the end of the
    /// answer. A visitor who has nothing yet gets 504; an answer or upload under way is cut. WebSockets are
    /// exempt. Without it there is no such limit, and long downloads and event streams may go on.
    #[schemars(example = &"10m")]
    pub total_timeout: Option<At<Period>>,
    /// How servers share the load. Every balance leaves out servers that are down, as long as one is up.
    #[schemars(example = &"least-connections")]
    pub balance: At<Balance>,
    /// What the servers speak. `h2` is HTTP/2: agreed by ALPN with `tls`, by prior knowledge (h2c) without. It
    /// is what gRPC needs. WebSockets are answered with 501 there, because HTTP/2 servers hardly take them.
    #[schemars(example = &"h2")]
    pub protocol: At<UpstreamProtocol>,
    /// Speaks TLS to the servers. An empty table is enough where they are named by host and have
    /// certificates of an authority that the system trusts. Certificates are always verified.
    pub tls: Option<Section<UpstreamTls>>,
    /// How many other servers are tried for a request that one broke off without an answer. Only methods that
    /// may be repeated (GET, HEAD, PUT, DELETE, OPTIONS) with at most 64 KiB of body are sent again, and never
    /// once a byte of the answer was passed on; so a POST is not delivered twice. Timeouts are not retried. A
    /// server that takes no connection is always replaced by the next, whatever the method; and a
    /// request that met a kept connection just as it was closed is sent again on a new one.
    #[schemars(example = 2)]
    pub retries: At<Number<0, 5>>,
    /// How many requests each server may have in flight, WebSockets included. Beyond it the next server is
    /// used; when all are full, the visitor gets 503 and is told to try again soon. Without it there is no limit.
    #[schemars(example = &100)]
    pub max_connections: Option<At<Number<1, 65_535>>>,
    /// How many idle connections are kept per server. All upstreams share one pool of the sum of these; when it
    /// is full, the connection that was idle longest is closed, whosever it is. Needs a restart to change.
    #[schemars(example = 32)]
    pub max_idle: At<Number<1, 65_535>>,
    /// How long an idle connection is kept. Shorter than the usual 60 s and more of servers, so that it is
    /// seldom the server who closes it under a request.
    #[schemars(example = &"20s")]
    pub idle_timeout: At<Period>,
    /// Asks each server regularly whether it is well. One that is not gets no requests until it is; when none
    /// is, all are tried, because the checks may be what is wrong. Without this table nothing is asked.
    pub health: Option<Section<Health>>,
    /// When a server is left out because requests to it fail.
    pub eject: Section<Eject>,
}

/// How servers share the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Balance {
    /// Each in turn.
    RoundRobin,
    /// The one with the fewest requests in flight. For requests that take very different times.
    LeastConnections,
    /// Always the same one for an account, and for the network of a visitor without a session. A server that
    /// comes or goes moves only its own share. For apps that keep state in memory.
    ConsistentHash,
}

/// What servers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[serde(rename = "http/1.1")]
    Http1,
    /// HTTP/2.
    #[serde(rename = "h2")]
    H2,
}

/// TLS to the servers of an upstream.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamTls {
    /// PEM file of the authorities that may have signed their certificates. Without it the system's are
    /// trusted.
    #[schemars(example = &"ca.pem")]
    pub ca: Option<At<PathBuf>>,
    /// The name their certificates are for; it is also sent as SNI. By default each server's host name; it
    /// must be given where a server is an IP address or a socket.
    #[schemars(example = &"app.internal")]
    pub server_name: Option<At<String>>,
    /// PEM file of the certificate chain that the gateway shows, leaf first. Needs `client_key`.
    #[schemars(example = &"client.pem")]
    pub client_cert: Option<At<PathBuf>>,
    /// PEM file of its private key.
    #[schemars(example = &"client-key.pem")]
    pub client_key: Option<At<PathBuf>>,
}

/// Regular questions to each server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// Path of a GET request. Without it, a connection (with TLS, where `tls` says so) is all that is asked.
    #[schemars(example = &"/healthz")]
    pub path: Option<At<String>>,
    /// Time between two checks of a server.
    #[schemars(example = &"10s")]
    pub interval: At<Period>,
    /// The longest wait for an answer.
    #[schemars(example = &"1s")]
    pub timeout: At<Period>,
    /// How many checks in a row must succeed for a server to be up again.
    #[schemars(example = 1)]
    pub healthy_after: At<Number<1, 100>>,
    /// How many checks in a row must fail for a server to be down. All are up at the start.
    #[schemars(example = 2)]
    pub unhealthy_after: At<Number<1, 100>>,
    /// Statuses of a server that is well. Only with `path`.
    #[schemars(example = [200, 204])]
    pub status: List<Number<200, 599>>,
    /// The `Host` of the request. By default the name or address of the server as it is in `servers`, and
    /// `localhost` for a socket. Only with `path`.
    #[schemars(example = &"app.example.com")]
    pub host: Option<At<String>>,
}

/// When a server is left out because requests to it fail.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Eject {
    /// After how many requests in a row that got no connection, no answer in time, or none at all. An answer
    /// of any status counts as success. 0 for never.
    #[schemars(example = 3)]
    pub failures: At<Number<0, 100>>,
    /// For how long; after it, one more failure is enough. When all are out, all are tried.
    #[schemars(example = &"1m")]
    #[serde(rename = "for")]
    pub period: At<Period>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            name: None,
            servers: None,
            connect_timeout: Period::seconds(5).into(),
            read_timeout: Period::seconds(60).into(),
            write_timeout: Period::seconds(60).into(),
            total_timeout: None,
            balance: Balance::RoundRobin.into(),
            protocol: UpstreamProtocol::Http1.into(),
            tls: None,
            retries: Number::of(1).into(),
            max_connections: None,
            max_idle: Number::of(128).into(),
            idle_timeout: Period::seconds(45).into(),
            health: None,
            eject: Section::default(),
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            path: None,
            interval: Period::seconds(5).into(),
            timeout: Period::seconds(2).into(),
            healthy_after: Number::of(2).into(),
            unhealthy_after: Number::of(3).into(),
            status: vec![Number::of(200).into()].into(),
            host: None,
        }
    }
}

impl Default for Eject {
    fn default() -> Self {
        Self {
            failures: Number::of(5).into(),
            period: Period::seconds(30).into(),
        }
    }
}
