//! The site itself: `[relying_party]`, `[store]` and `[mail]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Colour, List, SecretText, StoreUrl};

/// The site as passkeys and people know it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id"]))]
pub struct RelyingParty {
    /// The domain that passkeys belong to. They work at this host and those below it, and at the hosts of
    /// related `origins`. Changing it makes every saved passkey useless.
    #[schemars(example = &"example.com")]
    pub id: Option<At<String>>,
    /// The name that authenticators, pages and mails show. Without it: the `id`.
    #[schemars(example = &"Example")]
    pub name: Option<At<String>>,
    /// Where people reach the gateway, as a browser writes it: scheme, host and any port. Passkeys work at
    /// these alone, and links in mails begin with one of them, never with what a request claimed. Plain
    /// `http` is accepted for `localhost`. An origin whose host is neither `id` nor below it is a related one:
    /// browsers look for it at `https://ID/.well-known/webauthn`, which the gateway answers, so that address
    /// must reach it; they take origins of five different names at most. With `server.auth_host`, passkeys work
    /// at that host alone, and the others are listed only to say by which scheme and port they are reached.
    /// Without it: that of `server.auth_host`, or `https://HOST` for each host of a route that has no wildcard
    /// and is at or below `id`.
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

impl Default for Store {
    fn default() -> Self {
        Self {
            url: StoreUrl::Sqlite("gatehouse.db".into()).into(),
        }
    }
}
