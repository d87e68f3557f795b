//! What a `[[route]]` says about passing requests on, in tables of its own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, List, SecretText};

/// Changes to the headers of requests.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RequestHeaders {
    /// Headers to set, in place of any that the request brings. `env:NAME` and `file:PATH` stand in for a value
    /// that is a secret.
    #[schemars(with = "BTreeMap<String, String>", title = "table of texts", example = example_header("X-Env", "prod"))]
    pub set: BTreeMap<String, At<SecretText>>,
    /// Headers to take away.
    #[schemars(example = ["Accept-Encoding"])]
    pub remove: List<String>,
}

/// Changes to the headers of answers.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseHeaders {
    /// Headers to set, in place of any that the answer brings.
    #[schemars(title = "table of texts", example = example_header("Cache-Control", "no-store"))]
    pub set: BTreeMap<String, At<String>>,
    /// Headers to take away.
    #[schemars(example = ["Server", "X-Powered-By"])]
    pub remove: List<String>,
}

/// What some people, or everybody, are signed in to the app with.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Authorization {
    /// For members of this group. Without it: for everybody, so that it only makes sense in the last entry.
    #[schemars(example = &"staff")]
    pub group: Option<At<String>>,
    /// `USER:PASSWORD` for HTTP Basic authentication, best as `env:NAME` or `file:PATH`.
    #[schemars(example = &"env:APP_STAFF")]
    pub basic: Option<At<SecretText>>,
    /// A bearer token, best as `env:NAME` or `file:PATH`.
    #[schemars(example = &"env:APP_TOKEN")]
    pub bearer: Option<At<SecretText>>,
}

fn example_header(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}
