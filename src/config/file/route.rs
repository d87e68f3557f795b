//! What requests need and how they are passed on: `[[route]]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, List, Period, Section, Size};

/// What each request needs and where it goes, one table each.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["upstream"]))]
pub struct Route {
    /// Which host: a name, or `*.` and a name for exactly one label before it. Without it: every host.
    #[schemars(example = &"app.example.com")]
    pub host: Option<At<String>>,
    /// Which paths: `/x` is exact, `/x/*` is the segment and all below it, `/*` is everything.
    #[schemars(example = &"/money/*")]
    pub path: At<String>,
    /// Which methods; `GET` covers `HEAD`. Without it: every method.
    #[schemars(example = ["POST", "PUT"])]
    pub methods: Option<List<HttpMethod>>,
    /// What it takes to pass. The default keeps everybody out who has no passkey.
    #[schemars(example = &"signed_in")]
    pub access: At<AccessLevel>,
    /// With `access = "step_up"`: how old the last passkey check may be. Each request is checked.
    #[schemars(example = &"5m")]
    pub max_age: Option<At<Period>>,
    /// Narrows the route to whoever is in at least one of the lists; others get 403. Not for public routes.
    pub allow: Option<Section<Allow>>,
    /// Which `[[upstream]]` gets the request.
    #[schemars(example = &"app")]
    pub upstream: Option<At<String>>,
    /// Targets that could be read in two ways and are refused with 400 unless named here, because this
    /// upstream is known to read them as the gateway does. The default tolerates none.
    #[schemars(example = ["encoded-slash"])]
    pub tolerate: List<Tolerated>,
    /// The most bytes that a request's body may have; a longer one gets 413 and the upstream a broken
    /// connection. Without it: any number, since bodies are passed on as they come and are not kept.
    #[schemars(example = &"100MiB")]
    pub max_body: Option<At<Size>>,
}

/// What it takes to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessLevel {
    /// Nothing.
    Public,
    /// Any session, also one that is restricted until re-enrolment.
    SignedIn,
    /// A session that is not restricted.
    Full,
    /// Such a session with a passkey check at most `max_age` old.
    StepUp,
}

/// A request method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are RFC 9110's and RFC 5789's")]
pub enum HttpMethod {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

/// A target that could be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tolerated {
    /// `%2F` in a path, which some upstreams read as a slash.
    EncodedSlash,
    /// `%25` before two hexadecimal digits, which some upstreams decode twice.
    DoubleEncoding,
}

/// Narrows the route to whoever is in at least one of the lists.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Allow {
    /// Members of any of these groups.
    #[schemars(example = ["staff"])]
    pub groups: Option<List<String>>,
    /// The people with these addresses.
    #[schemars(example = ["ann@example.com"])]
    pub emails: Option<List<String>>,
    /// The people with an address in one of these domains, not below them.
    #[schemars(example = ["example.com"])]
    pub email_domains: Option<List<String>>,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            host: None,
            path: "/*".to_owned().into(),
            methods: None,
            access: AccessLevel::Full.into(),
            max_age: None,
            allow: None,
            upstream: None,
            tolerate: At::default(),
            max_body: None,
        }
    }
}
