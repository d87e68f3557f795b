//! Where traces go: `[traces]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, SecretText, Share};

/// Where traces go.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["endpoint"]))]
pub struct Traces {
    /// The collector, with the path it takes traces at.
    #[schemars(example = &"http://127.0.0.1:4318/v1/traces")]
    pub endpoint: Option<At<String>>,
    /// The share of traces that are recorded and sent, of those that begin here. One that a proxy of
    /// `server.trusted_proxies` has begun is recorded if the proxy says so; what others say is ignored, so that
    /// nobody can have their requests recorded. The default costs hardly anything; `"100%"` is for small sites and for
    /// looking into something.
    #[schemars(example = &"10%")]
    pub sample: At<Share>,
    /// Headers for the collector, such as a token. `env:NAME` and `file:PATH` stand in for a value that is a secret.
    #[schemars(with = "BTreeMap<String, String>", title = "table of texts", example = example_header())]
    pub headers: BTreeMap<String, At<SecretText>>,
    /// What this gateway is called among the services that are traced.
    #[schemars(example = &"gatehouse-eu")]
    pub service_name: At<String>,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            endpoint: None,
            sample: Share::thousandths_of_percent(1000).into(),
            headers: BTreeMap::new(),
            service_name: "gatehouse".to_owned().into(),
        }
    }
}

fn example_header() -> BTreeMap<String, String> {
    BTreeMap::from([("Authorization".to_owned(), "env:COLLECTOR_TOKEN".to_owned())])
}
