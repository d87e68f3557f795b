//! Where the gateway listens, and what it takes from whom: `[server]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, List, Listen, SecretText, Section};

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
    /// Certificates, chosen by the name a browser asks for; the first serves everybody else. Without any
    /// the gateway speaks plain HTTP, which is for loopback or for a place behind something that ends TLS.
    pub tls: Vec<Section<Tls>>,
    /// The host where people sign in, for all hosts: with it, the gateway's pages and passkeys live there alone,
    /// and every other host gets its session from there without a click, by a code that works once, for 30
    /// seconds, in one browser. A route must name such a host, exactly or by a wildcard. Signing out on any of
    /// them signs out on all; each host has its own cookie and idle limit, and using one host does not keep
    /// the session of another alive. It is reached at the origin of `relying_party.origins` that has this host,
    /// else at `https://HOST`; the other hosts by the same scheme and port, unless an origin has their host.
    /// The host is `relying_party.id` or below it, or that of one of the origins. Without it: people sign in at
    /// each host for itself.
    #[schemars(example = &"auth.example.com")]
    pub auth_host: Option<At<String>>,
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
        }
    }
}
