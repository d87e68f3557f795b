//! The configuration as the running program reads it: every value parsed, every reference resolved.

mod delivery;
mod identity;
mod server;
mod upstream;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

pub use self::{
    delivery::{AppCredential, AppHost, Delivery, HeaderEdits, Live, PathPrefix},
    identity::{Identity, IdentityPreset},
    server::{Door, DoorLimits, HeaderSize, SecretSource, TlsFiles},
    upstream::{
        Balance, ClientCertificate, Ejection, HealthCheck, MAX_SERVERS, Question, Server,
        ServerPlace, Upstream, UpstreamProtocol, UpstreamTls,
    },
};
use crate::{email_address::EmailAddress, policy::route::RouteTable};

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

/// The WebAuthn relying party.
#[derive(Clone, Debug)]
pub struct RelyingParty {
    /// Domain that passkeys belong to.
    pub id: String,
    /// Shown by authenticators.
    pub name: String,
    /// Origins at which people reach the gateway, at least one. The first is the default for links.
    pub origins: Vec<Origin>,
    /// The one where people sign in for all hosts; `None` where each host has pages of its own.
    pub auth: Option<Origin>,
}

/// Scheme, host and port, as a browser writes them in `Origin`: `https://app.example.com:8443`.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    url: url::Url,
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

impl Origin {
    /// `None` unless `text` is `http` or `https`, a host name, and at most a port. Plain `http` is for
    /// loopback names, where browsers offer passkeys too.
    pub fn parse(text: &str) -> Option<Self> {
        let url = url::Url::parse(text).ok()?;
        let host = url.domain()?;
        let loopback = host == "localhost" || host.ends_with(".localhost");
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let scheme = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        (bare && scheme).then_some(Self { url })
    }

    /// The same scheme and port at another host; `None` if that is none.
    pub fn with_host(&self, host: &str) -> Option<Self> {
        let mut url = self.url.clone();
        url.set_host(Some(host)).ok()?;
        Some(Self { url }).filter(|origin| origin.url.host_str() == Some(host))
    }

    /// As in an `Origin` header.
    pub fn as_str(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// As the WebAuthn library wants it.
    pub fn url(&self) -> &url::Url {
        &self.url
    }

    /// The host name, lower case.
    pub fn host(&self) -> &str {
        self.url.domain().unwrap_or_default()
    }

    /// The address of a path on this origin. `path` begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.as_str())
    }
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
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

impl RelyingParty {
    /// Where the pages are that people of a host use: at the one where everybody signs in, else at the configured
    /// origin of the host, else at the first. Links never come from request headers.
    pub fn origin_for(&self, host: &str) -> &Origin {
        let own = || self.origins.iter().find(|origin| origin.host() == host);
        self.auth.as_ref().or_else(own).unwrap_or(self.main())
    }

    /// Where the pages are that belong to no host in particular.
    pub fn main(&self) -> &Origin {
        self.auth.as_ref().unwrap_or(&self.origins[0])
    }

    /// Where passkeys work, at least one.
    pub fn passkey_origins(&self) -> &[Origin] {
        match &self.auth {
            // Pages of an app must not get at passkeys, and those of the gateway are elsewhere.
            Some(auth) => std::slice::from_ref(auth),
            None => &self.origins,
        }
    }

    /// How browsers reach a host: as configured, else as they reach the one where people sign in.
    pub fn address_of(&self, host: &str) -> Option<Origin> {
        match self.origins.iter().find(|origin| origin.host() == host) {
            Some(origin) => Some(origin.clone()),
            None => self.auth.as_ref()?.with_host(host),
        }
    }

    /// Whether browsers reach a host over TLS, as far as the configuration says how they reach it.
    pub fn is_reached_securely(&self, host: &str) -> bool {
        let of_host = self.origins.iter().find(|origin| origin.host() == host);
        of_host
            .or(self.auth.as_ref())
            .is_some_and(|origin| origin.url().scheme() == "https")
    }

    /// Whether a host belongs to the relying party, so that browsers offer passkeys there unasked.
    pub fn is_at_home(&self, host: &str) -> bool {
        host.strip_suffix(self.id.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
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
