//! Where the gateway listens, and what it takes from whom: `[server]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, Cidr, Lasting, List, Listen, Number, Period, SecretText, Section, Size, Table};

/// Where the gateway listens.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Addresses to listen on. Port 0 picks a free one, printed on start. The default is reachable from
    /// this machine alone.
    #[schemars(example = ["0.0.0.0:443", "[::]:443"])]
    pub listen: List<Listen>,
    /// The root of every key the gateway derives: 32 bytes or more, from `env:NAME` or `file:PATH`. Without
    /// it a random one is kept beside the store, in `<store>.secret`, readable by the owner alone; nodes
    /// that share a store need the same one.
    #[schemars(example = &"env:GATEHOUSE_SECRET")]
    pub secret: Option<At<SecretText>>,
    /// Certificates, chosen by the name a browser asks for, an exact one before a wildcard; the first serves
    /// everybody else. Of two for one name, with an RSA and an ECDSA key, each client gets the one that it
    /// can use. Renewed files are taken up within seconds; ones that cannot be used leave the old in force.
    /// Without any the gateway speaks plain HTTP, which is for loopback or for a place behind something that
    /// ends TLS.
    pub tls: Vec<Section<Tls>>,
    /// The host where people sign in, for all hosts: with it, the gateway's pages and passkeys live there alone,
    /// and every other host gets its session from there without a click, by a code that works once, for 30
    /// seconds, in one browser. A route must name such a host, exactly or by a wildcard; every name that a
    /// wildcard covers must lead to the gateway, since sessions are brought there. Signing out on any of
    /// them signs out on all; each host has its own cookie and idle limit, and using one host does not keep
    /// the session of another alive. It is reached at the origin of `relying_party.origins` that has this host,
    /// else at `https://HOST`; the other hosts by the same scheme and port, unless an origin has their host.
    /// The host is `relying_party.id` or below it, or that of one of the origins. Without it: people sign in at
    /// each host for itself.
    #[schemars(example = &"auth.example.com")]
    pub auth_host: Option<At<String>>,
    /// Addresses for plain HTTP that answer every request with 308 to `https://` of the same host and
    /// nothing else. Hosts that no route or origin names get 421. It takes `[[server.tls]]`, or an origin
    /// with https where something before the gateway ends TLS. Port 0 picks a free one. Without any,
    /// nothing listens for plain HTTP beside TLS.
    #[schemars(example = ["0.0.0.0:80", "[::]:80"])]
    pub redirect_listen: List<Listen>,
    /// How long browsers are to use HTTPS alone for a host once they reached it so: the max-age of
    /// `Strict-Transport-Security` (RFC 6797), set on every answer over TLS unless the app sets its own, and
    /// never for localhost or an IP address. `"0s"` sends none. The default keeps returning visitors from
    /// being led to plain HTTP, and is over in a month if TLS has to be given up; raise it to `"365d"` when
    /// it has held. It is said for each host alone, not for the hosts below it.
    #[schemars(example = &"365d")]
    pub hsts: At<Lasting>,
    /// PEM file of the authorities whose client certificates are believed. With it a client may show a
    /// certificate; one that is not theirs or has run out fails the handshake, and none at all is no fault.
    /// What a certificate opens is said by a route's `client_certificates`. Without it none is asked for.
    #[schemars(example = &"machines.pem")]
    pub client_ca: Option<At<PathBuf>>,
    /// Proxies in front whose word is taken for where a request comes from: networks or addresses. From
    /// them the client's address is read from `X-Forwarded-For` or `Forwarded` (from right to left, the first
    /// that is no such proxy), the scheme from `X-Forwarded-Proto` or `proto`, the host from
    /// `X-Forwarded-Host` or `host`; what is malformed, given twice or disagrees gets 400. From everybody else
    /// these headers are ignored, and nobody's are passed on. Each must set or remove all of them: one that
    /// is let through is the client's own word. By default no one is believed.
    #[schemars(example = ["10.0.0.0/8"])]
    pub trusted_proxies: List<Cidr>,
    /// Proxies in front that speak the PROXY protocol: networks or addresses. Each connection from them must
    /// begin with its header, version 1 or 2, before TLS if any, and comes from where that says; without
    /// one it is closed. From everybody else none is looked for, so that nobody can pretend. By default
    /// there are none.
    #[schemars(example = ["10.0.0.0/8"])]
    pub proxy_protocol: List<Cidr>,
    /// What clients are held to.
    pub limits: Table<Limits>,
    /// Address for those who watch over the gateway, in plain HTTP/1.1: `/healthz` (200 as long as the process
    /// answers), `/readyz` (JSON: what is well and what is not; 503 when the store cannot be reached or the
    /// gateway is stopping, which is when a load balancer should send nobody here) and `/metrics` (for
    /// Prometheus). Who reaches it reads the names of upstreams, certificates and files, but no secret and
    /// nothing of persons: keep it on loopback or a network of its own. It has no sign-in. Port 0 picks a free
    /// one, printed on start. Without it nothing listens.
    #[schemars(example = &"127.0.0.1:9901")]
    pub admin_listen: Option<At<Listen>>,
    /// Which kind of proxy, one of the `trusted_proxies`, may ask at `/.gatehouse/auth` whether a request that it
    /// has may pass, to serve it itself: `nginx` (`auth_request`), `caddy` (`forward_auth`), `traefik` (ForwardAuth),
    /// `envoy` (HTTP `ext_authz`) or `haproxy` (by `gatehouse.lua`). It says in which headers the original request is
    /// told, which the proxy must set itself, and how answers are worded; `config/deploy` has an example for each.
    /// What is missing, malformed, given twice or contradicted by another such header is refused. The proxy must
    /// keep visitors away from the path: what it is answered is for apps, and may be what they are signed in to
    /// with. It holds what is open (WebSockets, downloads), so that nothing of that is cut when a session ends, and
    /// certificates of clients are shown to it, so that routes with `client_certificates` let nobody pass by it. By
    /// default nobody may ask.
    #[schemars(example = &"nginx")]
    pub forward_auth: Option<At<ForwardAuthPeer>>,
    /// How long requests in flight, WebSockets and event streams may go on when the gateway is told to end
    /// (SIGTERM, SIGINT) or hands over to its successor (SIGUSR2). Meanwhile nothing new is accepted, kept
    /// connections are asked to go, and what is still open after this is closed: a WebSocket with status 1001, an
    /// event stream at its end. A second SIGTERM closes it at once. The default lets downloads end; what stops
    /// the process for good (systemd's TimeoutStopSec, Kubernetes' terminationGracePeriodSeconds) must wait for
    /// longer than this and `drain_delay` together.
    #[schemars(example = &"5m")]
    pub drain: At<Period>,
    /// How long the gateway goes on accepting after it is told to end, while `/readyz` says already that it is
    /// about to: for a load balancer in front that has to notice first. The default is for none, and for one
    /// that tries another server when a connection is refused. A successor (SIGUSR2) takes over at once.
    #[schemars(example = &"10s")]
    pub drain_delay: At<Lasting>,
}

/// A proxy that asks about requests and serves them itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ForwardAuthPeer {
    /// nginx with `auth_request`: `X-Original-Method` and `X-Original-URL`, or `X-Original-URI` with
    /// `X-Forwarded-Host` and `X-Forwarded-Proto`. It gets 200, 401 or 403.
    Nginx,
    /// Caddy with `forward_auth`: `X-Forwarded-Method`, `-Proto`, `-Host` and `-Uri`. It passes other answers than
    /// 200 on to the visitor.
    Caddy,
    /// Traefik with `ForwardAuth`: the same headers. Redirects name the visitor's host.
    Traefik,
    /// Envoy with `ext_authz` over HTTP and `path_prefix: /.gatehouse/auth`: method, host and the rest of the path
    /// are the visitor's.
    Envoy,
    /// HAProxy with `gatehouse.lua`: headers as nginx, answers as Caddy.
    Haproxy,
}

/// What clients are held to. The defaults leave browsers, apps and mirrors alone, and bound what strangers
/// can make the gateway keep.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// For the whole header of a request, from the start of the connection or its first byte, and for the
    /// header of the PROXY protocol. Phones on bad networks need seconds; the default bounds a client that
    /// sends a byte now and then.
    #[schemars(example = &"20s")]
    pub header_timeout: At<Period>,
    /// Between two requests on a connection. The default saves browsers a handshake between two clicks; a
    /// load balancer in front should wait for less.
    #[schemars(example = &"60s")]
    pub idle_timeout: At<Period>,
    /// For the whole TLS handshake. It takes two round trips; the default leaves room for lost packets.
    #[schemars(example = &"10s")]
    pub handshake_timeout: At<Period>,
    /// How long a client may send nothing of a body that it has begun, or take nothing of an answer. Then
    /// its request is ended. The default is what common servers allow.
    #[schemars(example = &"60s")]
    pub stall_timeout: At<Period>,
    /// The most bytes that names and values of a request's header may have together, up to `"512KiB"`; more
    /// gets 431. Servers behind commonly take 8 to 64 KiB.
    #[schemars(example = &"64KiB")]
    pub header_bytes: At<Size>,
    /// The most fields that a request's header may have; more gets 431. Browsers send about 20.
    #[schemars(example = 150)]
    pub header_fields: At<Number<16, 250>>,
    /// The most connections at once, also those that have not sent anything. One more is closed at once,
    /// before TLS. Each takes a file descriptor, and one more while a request is forwarded: the limit of the
    /// process (`ulimit -n`) should be twice this and some.
    #[schemars(example = 20_000)]
    pub connections: At<Number<1, 1_000_000>>,
    /// The most connections at once from one network: an IPv4 /24 or an IPv6 /56, about one household or
    /// office. It keeps one of them from taking all connections; `trusted_proxies` are not counted so.
    #[schemars(example = 500)]
    pub connections_per_network: At<Number<1, 1_000_000>>,
    /// The most requests at once, from header to end of answer; WebSockets count as connections alone. One
    /// more gets 503. Each may keep a few hundred KiB in flight, so that the default stays near 2 GiB when
    /// all of them are slow and large.
    #[schemars(example = 2000)]
    pub in_flight: At<Number<1, 1_000_000>>,
    /// The most requests on one connection before it is closed, politely. It frees what a connection has
    /// gathered in memory, and lets a load balancer in front spread anew.
    #[schemars(example = 10_000)]
    pub requests_per_connection: At<Number<1, 1_000_000>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Period::seconds(20).into(),
            idle_timeout: Period::seconds(60).into(),
            handshake_timeout: Period::seconds(10).into(),
            stall_timeout: Period::seconds(60).into(),
            header_bytes: Size::of(64 * 1024).into(),
            header_fields: Number::of(100).into(),
            connections: Number::of(10_000).into(),
            connections_per_network: Number::of(1000).into(),
            in_flight: Number::of(5000).into(),
            requests_per_connection: Number::of(1000).into(),
        }
    }
}

/// A certificate and its key.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["cert", "key"]))]
pub struct Tls {
    /// PEM file of the certificate chain, leaf first.
    #[schemars(example = &"tls/fullchain.pem")]
    pub cert: Option<At<PathBuf>>,
    /// PEM file of the private key. It must fit the certificate.
    #[schemars(example = &"tls/key.pem")]
    pub key: Option<At<PathBuf>>,
}

impl Default for Server {
    fn default() -> Self {
        let loopback = Listen(([127, 0, 0, 1], 8443).into());
        Self {
            listen: vec![loopback.into()].into(),
            secret: None,
            tls: Vec::new(),
            auth_host: None,
            redirect_listen: At::default(),
            hsts: Lasting::days(30).into(),
            client_ca: None,
            trusted_proxies: At::default(),
            proxy_protocol: At::default(),
            limits: Table::default(),
            admin_listen: None,
            forward_auth: None,
            drain: Period::seconds(30).into(),
            drain_delay: Lasting::NOT.into(),
        }
    }
}
