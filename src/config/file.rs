//! The configuration file: one TOML document. These doc comments are the reference; `config/reference.md`
//! and `config/schema.json` are made from them.
//!
//! A key that must be given is an `Option` here and is asked for when the file is compiled, so that it is
//! reported together with everything else.

mod administration;
mod delivery;
mod hold;
mod log;
mod people;
mod route;
mod server;
mod site;
mod traces;
mod upstream;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::{
    administration::Admin,
    delivery::{Authorization, RequestHeaders, ResponseHeaders},
    hold::HoldTable,
    log::{AccessFormat, Log},
    people::{
        BackupCodes, CustomIdentity, EmailMethod, Enrolment, Grants, Identity, Methods, Mode,
        Pairing, PasskeyMethod, Preset, Session,
    },
    route::{AccessLevel, Allow, HttpMethod, LiveUntil, Route, Tolerated},
    server::{ForwardAuthPeer, Limits, Server, Tls},
    site::{Mail, RelyingParty, Store},
    traces::Traces,
    upstream::{Balance, Eject, Health, Upstream, UpstreamProtocol, UpstreamTls},
};
pub use super::{
    at::At,
    table::Table,
    value::{
        Cidr, Colour, Hold, Lasting, Listen, Number, Period, SecretText, ServerAddress, Share,
        Size, StoreUrl,
    },
};

/// A list whose elements know their places.
pub type List<T> = At<Vec<At<T>>>;

/// A table with its place, so that a missing key can be reported there.
pub type Section<T> = At<Table<T>>;

/// Durations are written `"90s"`, `"15m"`, `"12h"` or `"7d"`. Relative paths start at the folder of the
/// file. Unknown keys are errors. `gatehouse check` lists every problem at once.
///
/// A running gateway takes up this file, and every file that it names, when they have changed and stayed so for a
/// second, or at once on SIGHUP: all of it, or, if anything is wrong, nothing, and the log says what. What is open and
/// would not be let pass any more is closed. `server.listen`, `server.redirect_listen`, `server.secret`, `store.url`,
/// `relying_party.id` and whether there is `[[server.tls]]` are read once; for a change of those, and for a new
/// program, SIGUSR2 starts a new process that takes over every socket, without a lost request. What is counted in
/// memory, such as attempts to sign in, begins anew there.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Gatehouse configuration", extend("required" = ["relying_party", "route"]))]
pub struct File {
    /// Where the gateway listens.
    pub server: Table<Server>,
    /// The site as passkeys and people know it.
    pub relying_party: Section<RelyingParty>,
    /// Where state is kept.
    pub store: Table<Store>,
    /// How mail leaves. Without this table nothing is sent and nobody signs in by email.
    pub mail: Option<Section<Mail>>,
    /// Limits of sessions.
    pub session: Table<Session>,
    /// The ways to sign in.
    pub methods: Table<Methods>,
    /// How accounts come to be.
    pub enrolment: Table<Enrolment>,
    /// Who rescues people who cannot sign in.
    pub admin: Table<Admin>,
    /// What upstreams are told about the person.
    pub identity: Table<Identity>,
    /// What is written of every request. No line holds a cookie, a query, a token, an email address or a client's whole
    /// address: a client is its network (an IPv4 /24, an IPv6 /56), a person the id of their account.
    pub log: Table<Log>,
    /// Traces by OpenTelemetry: spans of requests, sent to a collector by OTLP over HTTP (protobuf). Without this table
    /// there are none, nothing is measured for them, and `traceparent` and `tracestate` (W3C Trace Context) pass between
    /// client and app as they are. With it every request is part of a trace, and its upstream is told which. A change
    /// takes effect when the server starts.
    pub traces: Option<Section<Traces>>,
    /// The apps behind the gateway, one table each; none is needed where every route is for forward-auth.
    pub upstream: Vec<Section<Upstream>>,
    /// What each request needs and where it goes, one table each. They are read from top to bottom and the
    /// first that matches host, path and method wins. A request that none matches gets 404.
    pub route: Vec<Section<Route>>,
    /// Forms and uploads of people who have to sign in first are kept meanwhile.
    pub hold: Table<HoldTable>,
}
