//! What requests need and how they are passed on: `[[route]]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, Authorization, List, Period, RequestHeaders, ResponseHeaders, Section, Size};

/// What each request needs and where it goes, one table each.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
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
    /// Which `[[upstream]]` gets the request. Without it the route is for `server.forward_auth` alone: another proxy
    /// serves its requests, and to the gateway's own visitors there is nothing (404).
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
    /// The host that the app hears: `keep` is the one the visitor asked for, `upstream` the upstream's first server
    /// as it is named there, anything else is a name of your own. The default lets apps make links that work;
    /// `X-Forwarded-Host` has the visitor's in any case. In answers, redirects to any of these become ones to
    /// the visitor's, and cookies for them cookies for it.
    #[schemars(example = &"wiki.internal")]
    pub host_header: At<String>,
    /// Taken off the path before it is passed on, and told in `X-Forwarded-Prefix`: with `/wiki`, the visitor's
    /// `/wiki/page` is the app's `/page`. `path` must be this or below it: what is matched and decided on is what
    /// the visitor asked for. In answers, `Location`, `Content-Location`, `Refresh` and the paths of cookies are
    /// put back, unless they begin with the prefix already; bodies are never touched, so that links in pages work
    /// where they are relative or the app makes use of `X-Forwarded-Prefix`.
    #[schemars(example = &"/wiki")]
    pub strip_prefix: Option<At<String>>,
    /// Put before the path, after `strip_prefix` was taken off: with `/app`, the visitor's `/page` is the app's
    /// `/app/page`. Answers are put back likewise.
    #[schemars(example = &"/app")]
    pub add_prefix: Option<At<String>>,
    /// Changes to the headers of requests, made after everything that only the gateway may say was taken out and
    /// before it says so itself: nothing here can assert an identity, name another host or frame another body.
    pub request_headers: Option<Section<RequestHeaders>>,
    /// Changes to the headers of answers, made before the gateway adds its own.
    pub response_headers: Option<Section<ResponseHeaders>>,
    /// Whether the app hears who asks. With `false` it gets none of the headers of `[identity]` nor
    /// `X-Gatehouse-Session`: for apps of others that need not know.
    #[schemars(example = false)]
    pub identity: At<bool>,
    /// What the app gets in `Authorization`, in place of anything the request brings: for apps that know nothing
    /// but passwords or tokens of their own. The first entry whose group the person is in is used; without one
    /// that fits, the header is taken away. Without any entry the client's own is passed on. Not for public
    /// routes.
    pub authorization: Option<At<Vec<Section<Authorization>>>>,
    /// Whether this is where the app signs people out: when it has answered below 500, the session here ends too,
    /// unless the request came from another site, so that nobody is signed out by an image elsewhere. Also for
    /// public routes. The default ends nothing.
    #[schemars(example = true)]
    pub sign_out: At<bool>,
    /// Whether answers get `X-Content-Type-Options: nosniff`, `Referrer-Policy: strict-origin-when-cross-origin`
    /// and `X-Frame-Options: SAMEORIGIN` (unless a `Content-Security-Policy` says who may frame them), where the
    /// app does not set them. Off, because apps exist that name the wrong types or live in frames of others.
    #[schemars(example = true)]
    pub security_headers: At<bool>,
    /// With `access = "step_up"`: how long what is open may last (WebSockets, event streams, long downloads and
    /// uploads). The default lets them last as their session does, so that a long answer is not cut short. All
    /// of them, on every route but public ones, are cut within two seconds when the session ends or expires,
    /// when it becomes restricted, or when the account is closed or is not among those allowed any more.
    #[schemars(example = &"max_age")]
    pub live: Option<At<LiveUntil>>,
    /// The longest silence within the body of a request, after which it is given up. Without it:
    /// `server.limits.stall_timeout`. gRPC calls to upstreams with `protocol = "h2"` are exempt.
    #[schemars(example = &"20s")]
    pub body_timeout: Option<At<Period>>,
    /// Machines that may pass, by a name on the client certificate of their connection: a DNS name or a URI
    /// among its alternative names, verified against `server.client_ca`. Everybody else gets 403. It is
    /// asked for in addition to `access`; with `access = "public"` the route is open to these machines and to
    /// nobody else. The upstream is told the name in `X-Gatehouse-Certificate`. Without it: no certificate
    /// is asked for.
    #[schemars(example = ["backup.example.com"])]
    pub client_certificates: Option<List<String>>,
    /// Whether the route is only tried out: every request is decided as if it were not there, and where it would
    /// have changed the decision, the access log says so in `report_only` (what would have been decided) and
    /// `report_only_route` (its line), and `gatehouse_report_only_total` counts it. Put it before the route that it
    /// is to replace, and take the key out to enforce it. The default enforces.
    #[schemars(example = true)]
    pub report_only: At<bool>,
}

/// How long what is open may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LiveUntil {
    /// As long as the session.
    Session,
    /// Until the passkey check is older than `max_age`; a new one in time lets it go on.
    MaxAge,
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
            host_header: "keep".to_owned().into(),
            strip_prefix: None,
            add_prefix: None,
            request_headers: None,
            response_headers: None,
            identity: true.into(),
            authorization: None,
            sign_out: false.into(),
            security_headers: false.into(),
            live: None,
            body_timeout: None,
            client_certificates: None,
            report_only: false.into(),
        }
    }
}
