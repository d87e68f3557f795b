//! The configuration as the running program reads it: every value parsed, every reference resolved.

mod delivery;
mod hold;
mod identity;
mod operation;
mod relying_party;
mod server;
mod upstream;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

pub use self::{
    delivery::{AppCredential, AppHost, Delivery, HeaderEdits, Live, PathPrefix},
    hold::HoldLimits,
    identity::{Identity, IdentityPreset},
    operation::{AccessFormat, Log, Traces},
    relying_party::{Origin, RelyingParty},
    server::{Door, DoorLimits, Drain, ForwardAuthPeer, HeaderSize, SecretSource, TlsFiles},
    upstream::{
        Balance, ClientCertificate, Ejection, HealthCheck, MAX_SERVERS, Question, Server,
        ServerPlace, Upstream, UpstreamProtocol, UpstreamTls,
    },
};
use crate::{
    email_address::EmailAddress,
    policy::{report_only::ReportOnly, route::RouteTable},
};

/// One whole, consistent configuration.
#[derive(Debug)]
pub struct Config {
    /// The file it came from; relative paths in it were resolved against its folder.
    pub file: PathBuf,
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// Certificates; empty means plain HTTP (behind something that ends TLS, or on loopback).
    pub tls: Vec<TlsFiles>,
    /// Where the root secret is.
    pub secret: SecretSource,
    /// Name and logo for the pages.
    pub branding: Branding,
    /// The WebAuthn relying party.
    pub relying_party: RelyingParty,
    /// Where state is kept.
    pub store: StoreLocation,
    /// How mail leaves; `None` when no method needs it.
    pub mail: Option<MailConfig>,
    /// Limits of sessions.
    pub session: SessionLimits,
    /// How people may sign in.
    pub methods: Methods,
    /// How accounts come to be.
    pub enrolment: Enrolment,
    /// Who rescues people.
    pub admin: Admin,
    /// What upstreams are told about the person.
    pub identity: Identity,
    /// Where requests may go; routes hold indices into this.
    pub upstreams: Vec<Upstream>,
    /// What each request needs, and where it goes.
    pub routes: Arc<RouteTable>,
    /// How the requests of each route are passed on; a route's `index` is its place here.
    pub deliveries: Vec<Delivery>,
    /// How connections come in, and what they are held to.
    pub door: Door,
    /// What routes that are only tried out would decide; `None` where there are none.
    pub report_only: Option<Arc<ReportOnly>>,
    /// What is kept of people who have to sign in first; `None` for nothing.
    pub hold: Option<HoldLimits>,
    /// What is written of every request.
    pub log: Log,
    /// Where traces go, if anywhere.
    pub traces: Option<Traces>,
}

/// How the pages look like the operator's own.
#[derive(Clone, Debug)]
pub struct Branding {
    /// Shown in titles and mails; `relying_party.name`.
    pub name: String,
    /// The logo's bytes and media type.
    pub logo: Option<Logo>,
    /// Accent colour, `#rrggbb` in lower case.
    pub accent: Option<String>,
}

/// A logo, read when the configuration was.
#[derive(Clone, Debug)]
pub struct Logo {
    /// `image/svg+xml`, `image/png` or `image/webp`.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Arc<[u8]>,
}

/// Where state is kept.
#[derive(Clone, Debug)]
pub enum StoreLocation {
    /// One SQLite file.
    Sqlite(PathBuf),
}

/// How mail leaves.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// By what.
    pub transport: MailTransport,
    /// Sender, `Name <address>` or an address.
    pub from: lettre::message::Mailbox,
}

/// By what mail leaves.
#[derive(Clone)]
pub enum MailTransport {
    /// An SMTP server.
    Smtp {
        /// Name or address; certificates are verified against it.
        host: String,
        /// Port.
        port: u16,
        /// How the connection is protected.
        security: SmtpSecurity,
        /// User and password.
        credentials: Option<(String, String)>,
        /// A PEM file of authorities to trust besides the system's.
        ca: Option<PathBuf>,
    },
    /// One file per mail in this folder, for trying out and for tests.
    Folder(PathBuf),
}

/// How an SMTP connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// STARTTLS, required (RFC 3207).
    StartTls,
    /// TLS from the first byte (RFC 8314 §3).
    Implicit,
    /// None; accepted for loopback addresses alone.
    Plain,
}

/// Limits of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Absolute end, counted from the sign-in.
    pub lifetime: Duration,
    /// End when unused for so long.
    pub idle: Duration,
}

/// How people may sign in.
#[derive(Clone, Debug)]
pub struct Methods {
    /// By passkey.
    pub passkey: bool,
    /// By a link or code sent by mail.
    pub email: Option<EmailMethod>,
    /// By a code the person keeps.
    pub backup_codes: Option<BackupCodesMethod>,
    /// By another device that lets this one in.
    pub pairing: bool,
}

/// Backup codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupCodesMethod {
    /// How many there are in a set.
    pub count: u8,
}

/// Sign-in by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmailMethod {
    /// How long link and code are good for.
    pub lifespan: Duration,
    /// Whether the session is restricted until re-enrolment.
    pub grants: Grant,
}

/// What a fallback method gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A session held to low-stakes operations until a passkey is saved.
    Restricted,
    /// A full session.
    Full,
}

/// How accounts come to be.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// Who may.
    pub mode: EnrolmentMode,
    /// How long an invitation is good for.
    pub invitation_lifespan: Duration,
    /// What it takes to save a passkey on an account that had one, without one at hand.
    pub recovery_proofs: RecoveryProofs,
    /// How long such a passkey waits; zero for not at all.
    pub hold: Duration,
    /// Whether a recovery ends the account's other sessions.
    pub recovery_ends_sessions: bool,
}

/// How many distinct proofs a recovery takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryProofs {
    /// Any one.
    One,
    /// Two distinct ones.
    Two,
}

/// Who rescues people.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The group of administrators; `None` where the command line alone administers.
    pub group: Option<String>,
    /// How old an administrator's passkey check may be.
    pub max_age: Duration,
    /// What it takes to issue a recovery link.
    pub approvals: Approvals,
    /// How long one is good for.
    pub recovery_lifespan: Duration,
    /// How people reach an administrator, in words.
    pub contact: Option<String>,
}

impl Admin {
    /// Whether somebody in `groups` is an administrator.
    pub fn admits(&self, groups: &[String]) -> bool {
        self.group
            .as_ref()
            .is_some_and(|group| groups.contains(group))
    }
}

/// How many administrators it takes to issue a recovery link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approvals {
    /// Whoever asks.
    One,
    /// Whoever asks and another one.
    Two,
}

/// Who may have an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnrolmentMode {
    /// Those an operator invited.
    Invite,
    /// Anyone who proves an address.
    Open,
    /// Anyone who proves an address in one of these domains (lower case).
    Domains(Vec<String>),
}

/// The password stays out of logs.
impl std::fmt::Debug for MailTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Smtp { host, port, .. } => write!(f, "smtp {host}:{port}"),
            Self::Folder(folder) => write!(f, "folder {}", folder.display()),
        }
    }
}

impl EnrolmentMode {
    /// Whether someone who proves `address` may have an account without an invitation.
    pub fn admits(&self, address: &EmailAddress) -> bool {
        match self {
            Self::Invite => false,
            Self::Open => true,
            Self::Domains(domains) => domains.iter().any(|domain| domain == address.domain()),
        }
    }
}
