//! The apps behind the gateway: `[[upstream]]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, List, Period, ServerAddress};

/// The apps behind the gateway, one table each.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "servers"]))]
pub struct Upstream {
    /// What routes call it.
    #[schemars(example = &"app")]
    pub name: Option<At<String>>,
    /// Its servers, used in turn, spoken to in plain HTTP/1.1. Names are looked up when the file is read,
    /// IPv4 before IPv6.
    #[schemars(example = ["127.0.0.1:9000"])]
    pub servers: Option<List<ServerAddress>>,
    /// The longest wait for a connection, after which the visitor gets 502.
    #[schemars(example = &"2s")]
    pub connect_timeout: At<Period>,
    /// The longest silence while an answer is awaited or read, after which the visitor gets 504. WebSockets
    /// are exempt.
    #[schemars(example = &"5m")]
    pub read_timeout: At<Period>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            name: None,
            servers: None,
            connect_timeout: Period::seconds(5).into(),
            read_timeout: Period::seconds(60).into(),
        }
    }
}
