//! The site itself: `[server]`, `[relying_party]`, `[store]` and `[mail]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Colour, List, Listen, SecretText, Section, StoreUrl};

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

/// The site as passkeys and people know it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id"]))]
pub struct RelyingParty {
    /// The domain that passkeys belong to: the hosts of all origins are this domain or below it. Changing
    /// it makes every saved passkey useless.
    #[schemars(example = &"example.com")]
    pub id: Option<At<String>>,
    /// The name that authenticators, pages and mails show. Without it: the `id`.
    #[schemars(example = &"Example")]
    pub name: Option<At<String>>,
    /// Where people reach the gateway, as a browser writes it: scheme, host and any port. Passkeys work at
    /// these alone, and links in mails begin with one of them, never with what a request claimed. Plain
    /// `http` is accepted for `localhost`. Without it: `https://HOST` for each host of a route that has no
    /// wildcard and is at or below `id`.
    #[schemars(example = ["https://app.example.com", "https://wiki.example.com:8443"])]
    pub origins: Option<List<String>>,
    /// A logo for the pages: an SVG, PNG or WebP file of at most 256 KiB. Without it the name is shown.
    #[schemars(example = &"logo.svg")]
    pub logo: Option<At<PathBuf>>,
    /// The colour of buttons and links. Without it a blue whose contrast suits light and dark.
    #[schemars(example = &"#0a6cff")]
    pub accent: Option<At<Colour>>,
}

/// Where state is kept.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `sqlite:PATH`: one file, made on first start. Secrets in it are digests or sealed.
    #[schemars(example = &"sqlite:/var/lib/gatehouse/gatehouse.db")]
    pub url: At<StoreUrl>,
}

/// How mail leaves.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["url", "from"]))]
pub struct Mail {
    /// `smtp://USER:PASSWORD@HOST:PORT` with STARTTLS required (port 587), or `smtps://…` with TLS from the
    /// first byte (port 465). Certificates are verified against the host; `?ca=PATH` trusts one more
    /// authority. `?tls=none` is accepted for loopback addresses. User and password are percent-encoded.
    /// `file:FOLDER` writes one file per mail instead, for trying out. `env:NAME`, or `file:PATH` of an
    /// existing file, holds the URL.
    #[schemars(example = &"env:GATEHOUSE_MAIL_URL")]
    pub url: Option<At<SecretText>>,
    /// The sender: an address, or a name and an address.
    #[schemars(example = &"Example <no-reply@example.com>")]
    pub from: Option<At<String>>,
}

impl Default for Server {
    fn default() -> Self {
        let loopback = Listen(([127, 0, 0, 1], 8443).into());
        Self {
            listen: vec![loopback.into()].into(),
            secret: None,
            tls: Vec::new(),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self {
            url: StoreUrl::Sqlite("gatehouse.db".into()).into(),
        }
    }
}
