//! A real gateway in this process: a temporary store, a listener on a free port, an upstream that writes
//! down what reaches it, a mailbox. The only file of the tests that calls the product's own functions.

use std::{
    collections::BTreeMap,
    fmt::Write,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Once,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse::{
    clock::Clock,
    condition::Condition,
    gateway::Listeners,
    server::Gatehouse,
    telemetry::{
        metrics::{HoldEvent, ReloadOf, ReloadResult},
        outcome,
    },
};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::{
    certificates::Certificates,
    command_line::{self, Outcome},
    cookies::SESSION,
    mailbox::Mailbox,
    person::{Person, Protocol},
    upstream::Upstream,
};

/// A running gateway and what is around it.
pub struct Gateway {
    /// As browsers write it: `http://localhost:PORT`.
    pub origin: String,
    pub address: SocketAddr,
    /// Turned by the tests, never waited for.
    pub clock: Clock,
    pub upstream: Upstream,
    pub mailbox: Mailbox,
    /// The configuration file.
    pub config: PathBuf,
    /// Its authority, when it speaks TLS.
    pub certificates: Option<Certificates>,
    /// Where it leads to HTTPS, when it does.
    pub redirect: Option<SocketAddr>,
    /// Where it answers those who watch over it, when it does.
    pub admin: Option<SocketAddr>,
    folder: TempDir,
    running: Option<Gatehouse>,
}

/// A gateway that is about to start; `.await` starts it.
pub struct Setup {
    routes: Vec<String>,
    sections: BTreeMap<&'static str, String>,
    servers: Vec<String>,
    upstream: String,
    tls: bool,
    hosts: Vec<&'static str>,
    server: String,
    pairs: Vec<String>,
    redirect: bool,
    admin: bool,
    folder: TempDir,
    front: Option<SocketAddr>,
}

/// The host where people sign in for all others, in gateways that have such a host.
pub const AUTH_HOST: &str = "auth.localhost";

/// What the app needs when a test names no routes of its own: something of every kind.
const ROUTES: [&str; 5] = [
    "path = '/public/*'\naccess = 'public'",
    "path = '/notes/*'\nmethods = ['GET']\naccess = 'signed_in'",
    "path = '/admin/*'\naccess = 'step_up'\nmax_age = '5m'",
    "path = '/staff/*'\nallow = { groups = ['staff'] }",
    "path = '/*'",
];

impl Gateway {
    /// A gateway before an app that has a public part (`/public`), a low-stakes one (reading `/notes`), one
    /// that asks for a step-up (`/admin`), one for a group (`/staff`), and wants a full session elsewhere.
    pub fn start() -> Setup {
        Setup {
            routes: Vec::new(),
            sections: BTreeMap::from([
                ("methods.passkey", "enabled = true".to_owned()),
                (
                    "methods.email",
                    "enabled = true\nlifespan = '15m'\ngrants = 'restricted'".to_owned(),
                ),
                ("session", "lifetime = '12h'\nidle = '1h'".to_owned()),
                ("enrolment", "mode = 'invite'".to_owned()),
            ]),
            servers: Vec::new(),
            upstream: String::new(),
            tls: false,
            hosts: Vec::new(),
            server: String::new(),
            pairs: Vec::new(),
            redirect: false,
            admin: false,
            folder: tempfile::tempdir().unwrap(),
            front: None,
        }
    }

    /// Somebody with a browser and a phone who has not been here before.
    pub fn person(&self) -> Person {
        self.person_over(Protocol::Http1)
    }

    /// The same, speaking this protocol.
    pub fn person_over(&self, protocol: Protocol) -> Person {
        Person::new(self, protocol)
    }

    /// Somebody whom the operator invited and who has saved a passkey; signed in, with a full session.
    pub async fn enrolled(&self, email: &str) -> Person {
        let mut person = self.person();
        let invitation = self.invite(email, &[]);
        let done = person.enrol(Some(&invitation), "/").await;
        assert_eq!(done.status, 200, "{}", done.text());
        person
    }

    /// A browser with a session such as the operator issues for monitoring: `full`, `restricted` or `step_up`.
    pub fn person_with_session(&self, email: &str, access: &str) -> Person {
        let person = self.person();
        let cookie = self.session(email, access);
        person.keep_cookie(SESSION, &cookie);
        person
    }

    /// Invites an address; gives the link's token.
    pub fn invite(&self, email: &str, more: &[&str]) -> String {
        let arguments = [&["account", "invite", "--email", email, "--json"], more].concat();
        let printed = self.command(&arguments).json();
        let link = printed["link"]
            .as_str()
            .expect("the link is printed")
            .to_owned();
        let (_, token) = link
            .split_once("invitation=")
            .expect("it carries the invitation");
        token.to_owned()
    }

    /// Has an administrator at the command line issue a recovery link; gives its path and query.
    pub fn recovery_link(&self, email: &str) -> String {
        let admin = ["--admin", "root", "--reason", "lost-device", "--json"];
        let issue = [&["recovery", "issue", "--account", email], &admin[..]].concat();
        let issued = self.command(&issue).json();
        let link = issued["link"].as_str().expect("the link is printed");
        link.strip_prefix(&self.origin)
            .expect("a link to this gateway")
            .to_owned()
    }

    /// Issues a session to an invited account at the command line; gives the cookie's value.
    pub fn session(&self, email: &str, access: &str) -> String {
        let issued = self.command(&[
            "session",
            "issue",
            "--account",
            email,
            "--access",
            access,
            "--ttl",
            "60m",
        ]);
        assert_eq!(issued.code, 0, "{issued:?}");
        let (_, cookie) = issued
            .stdout
            .trim()
            .split_once(&format!("Cookie: {SESSION}="))
            .expect("a Cookie header");
        cookie.to_owned()
    }

    /// Runs `gatehouse` beside this gateway, on its configuration.
    pub fn command(&self, arguments: &[&str]) -> Outcome {
        command_line::gatehouse(&self.config, arguments)
    }

    /// Has a saved passkey wait for so many minutes, as one of a recovery may.
    pub async fn hold_passkey(&self, id: &str, minutes: u64) {
        let until = self.clock.now().plus(Duration::from_secs(60 * minutes));
        let update = "UPDATE credential SET held_until = ?2 WHERE id = ?1";
        self.change_passkey(update, id, until.seconds()).await;
    }

    /// Marks a saved passkey for confirmation, as a recovery does.
    pub async fn doubt_passkey(&self, id: &str) {
        let update = "UPDATE credential SET to_confirm = ?2 WHERE id = ?1";
        self.change_passkey(update, id, 1).await;
    }

    async fn change_passkey(&self, update: &'static str, id: &str, value: i64) {
        let id = URL_SAFE_NO_PAD.decode(id).expect("a passkey's id");
        let options = SqliteConnectOptions::new().filename(self.folder().join("gatehouse.db"));
        let mut store = SqliteConnection::connect_with(&options).await.unwrap();
        let update = sqlx::query(update).bind(id).bind(value);
        let changed = update.execute(&mut store).await.unwrap();
        assert_eq!(changed.rows_affected(), 1);
    }

    /// The test's own folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The servers of the upstream that are up, as the configuration calls them.
    pub fn servers_up(&self) -> Vec<String> {
        let snapshot = self.running.as_ref().expect("it runs").core().snapshot();
        let pool = snapshot.pools.of(0).expect("there is an upstream");
        let up = pool
            .servers()
            .iter()
            .filter(|server| server.is_up(Instant::now()));
        up.map(|server| server.name().to_owned()).collect()
    }

    /// How many questions of other proxies were decided so.
    pub fn forward_auth_decisions(&self, outcome: outcome::Outcome) -> u64 {
        let core = self.running.as_ref().expect("it runs").core();
        core.metrics.forward_auth.of(outcome)
    }

    /// What is wrong with it although it serves.
    pub fn condition(&self) -> &Condition {
        &self.running.as_ref().expect("it runs").core().condition
    }

    /// Has the gateway look after the files of its configuration, as `gatehouse serve` does.
    pub fn looks_after_its_files(&self) {
        let (_, files) = gatehouse::config::read(&self.config);
        self.running().look_after(files);
    }

    /// Writes something else in the place of a part of the configuration file.
    pub fn rewrite(&self, part: &str, by: &str) {
        let before = std::fs::read_to_string(&self.config).unwrap();
        assert!(before.contains(part), "{part}: not in {before}");
        std::fs::write(&self.config, before.replace(part, by)).unwrap();
    }

    /// Asks for a reload, as SIGHUP does.
    pub fn ask_for_reload(&self) {
        self.running().core().reloads.ask();
    }

    /// How many configurations were taken up, and refused.
    pub fn reloads(&self, of: ReloadOf) -> (u64, u64) {
        let reloads = &self.running().core().metrics.reloads;
        let count = |result| reloads.of(of, result);
        (count(ReloadResult::Taken), count(ReloadResult::Refused))
    }

    /// What is wrong with the configuration file, if anything.
    pub fn trouble_with_configuration(&self) -> Option<String> {
        let condition = &self.running().core().condition;
        let trouble = condition.configuration.trouble()?;
        Some(trouble.problem.clone())
    }

    /// What is wrong with the certificates, if anything.
    pub fn trouble_with_certificates(&self) -> Option<String> {
        let trouble = self.running().core().condition.certificates.trouble()?;
        Some(trouble.problem.clone())
    }

    /// What it works with.
    pub fn core(&self) -> std::sync::Arc<gatehouse::core::Core> {
        self.running().core().clone()
    }

    fn running(&self) -> &Gatehouse {
        self.running.as_ref().expect("it runs")
    }

    /// Has the access log opened anew, as a rotation asks for.
    pub fn reopen_access_log(&self) {
        let core = self.running.as_ref().expect("it runs").core();
        let log = &core.snapshot().config.log;
        core.access_log.reopen(log).expect("the file can be opened");
    }

    /// How many lines of the access log were lost.
    pub fn access_lines_dropped(&self) -> u64 {
        let core = self.running.as_ref().expect("it runs").core();
        core.metrics.access_lines_dropped.get()
    }

    /// How many spans did not reach the collector.
    pub fn spans_dropped(&self) -> u64 {
        let core = self.running.as_ref().expect("it runs").core();
        core.metrics.spans_dropped.get()
    }

    /// How often something has happened to requests that are kept.
    pub fn held(&self, event: HoldEvent) -> u64 {
        let core = self.running.as_ref().expect("it runs").core();
        core.metrics.held_requests.of(event)
    }

    /// Puts the gateway's clock forward.
    pub fn after(&self, minutes: u64) {
        self.clock.advance(Duration::from_secs(60 * minutes));
    }

    /// Stops the gateway; its store and address stay.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// The same, as a signal does: after the configured delay.
    pub async fn is_told_to_end(&mut self) {
        let running = self.running.take().expect("it runs");
        running.end(std::future::pending()).await;
    }

    /// Stops the gateway and starts it again on the same store and address.
    pub async fn restart(&mut self) {
        self.running.take().expect("it runs").stop().await;
        let listener = TcpListener::bind(self.address).expect("its port is free again");
        self.running = Some(run(&self.config, &self.clock, vec![listener]).await);
    }
}

impl Setup {
    /// Adds a route: the lines of its table but `upstream`. The first one replaces the usual routes.
    pub fn with_route(mut self, lines: &str) -> Self {
        self.routes.push(lines.to_owned());
        self
    }

    /// Sets a section of the configuration.
    pub fn with(mut self, section: &'static str, lines: &str) -> Self {
        self.sections.insert(section, lines.to_owned());
        self
    }

    /// Puts the gateway before this app instead of the recording one.
    pub fn before(mut self, server: SocketAddr) -> Self {
        self.servers.push(server.to_string());
        self
    }

    /// The same, by the words of the configuration: a name and a port, or a socket.
    pub fn before_server(mut self, server: &str) -> Self {
        self.servers.push(server.to_owned());
        self
    }

    /// Adds lines to the table of the upstream.
    pub fn with_upstream(mut self, lines: &str) -> Self {
        self.upstream = format!("{lines}\n");
        self
    }

    /// Has the usual routes on each of these hosts, and people sign in at [`AUTH_HOST`] for all of them.
    pub fn with_hosts(mut self, hosts: &[&'static str]) -> Self {
        self.hosts = hosts.to_vec();
        self
    }

    /// Serves TLS with a certificate for `localhost`.
    pub fn with_tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Adds lines to the section of the server.
    pub fn with_server(mut self, lines: &str) -> Self {
        self.server = format!("{lines}\n");
        self
    }

    /// Serves TLS with these certificates and no other: `NAME.pem` and `NAME.key` in the folder.
    pub fn with_certificates(mut self, names: &[&str]) -> Self {
        self.tls = true;
        self.pairs = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Serves nothing by itself: a proxy of this kind asks by forward-auth, and people reach it at `front`.
    pub fn asked_by(mut self, peer: &str, front: SocketAddr) -> Self {
        self.front = Some(front);
        self.with_server(&format!(
            "trusted_proxies = ['127.0.0.1']\nforward_auth = '{peer}'"
        ))
    }

    /// Leads from plain HTTP to HTTPS on a second listener.
    pub fn with_redirect(mut self) -> Self {
        self.redirect = true;
        self
    }

    /// Answers those who watch over it, on a listener of their own.
    pub fn with_admin(mut self) -> Self {
        self.admin = true;
        self
    }

    /// The folder that the gateway will live in, for files its configuration names.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn run(self) -> Gateway {
        install_crypto_provider();
        let upstream = Upstream::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let redirecting: Vec<_> = self
            .redirect
            .then(|| TcpListener::bind("127.0.0.1:0").unwrap())
            .into_iter()
            .collect();
        let redirect = redirecting
            .first()
            .map(|listener| listener.local_addr().unwrap());
        let admin: Vec<_> = self
            .admin
            .then(|| TcpListener::bind("127.0.0.1:0").unwrap())
            .into_iter()
            .collect();
        let admin_address = admin.first().map(|one| one.local_addr().unwrap());
        let scheme = if self.tls { "https" } else { "http" };
        let host = if self.hosts.is_empty() {
            "localhost"
        } else {
            AUTH_HOST
        };
        let reached = self.front.unwrap_or(address);
        let origin = format!("{scheme}://{host}:{}", reached.port());
        let certificates = (self.tls && self.pairs.is_empty())
            .then(|| Certificates::in_folder(self.folder.path()));
        let config = self.folder.path().join("gatehouse.toml");
        std::fs::write(&config, self.file(&origin, address, upstream.address)).unwrap();
        let clock = Clock::shifted();
        let listeners = Listeners {
            serving: vec![listener],
            redirecting,
            admin,
        };
        let running = run(&config, &clock, listeners).await;
        Gateway {
            origin,
            address,
            clock,
            upstream,
            mailbox: Mailbox::new(&self.folder.path().join("mail")),
            config,
            certificates,
            redirect,
            admin: admin_address,
            folder: self.folder,
            running: Some(running),
        }
    }

    fn file(&self, origin: &str, address: SocketAddr, upstream: SocketAddr) -> String {
        let folder = self.folder.path().display();
        let mut file = format!("[server]\nlisten = ['{address}']\n");
        if !self.hosts.is_empty() {
            writeln!(file, "auth_host = '{AUTH_HOST}'").unwrap();
        }
        file.push_str(&self.server);
        if !self.server.contains("drain") {
            // People's browsers keep connections, and nobody waits for those here.
            file.push_str("drain = '5s'\n");
        }
        for pair in &self.pairs {
            write!(
                file,
                "[[server.tls]]\ncert = '{pair}.pem'\nkey = '{pair}.key'\n"
            )
            .unwrap();
        }
        if self.tls && self.pairs.is_empty() {
            file.push_str("[[server.tls]]\ncert = 'certificate.pem'\nkey = 'key.pem'\n");
        }
        let id = if self.hosts.is_empty() {
            "localhost"
        } else {
            AUTH_HOST
        };
        let relying_party = format!("id = '{id}'\nname = 'Example'\norigins = ['{origin}']");
        let mut sections = BTreeMap::from([
            ("relying_party", relying_party),
            ("store", format!("url = 'sqlite:{folder}/gatehouse.db'")),
            (
                "mail",
                format!("url = 'file:{folder}/mail'\nfrom = 'Example <no-reply@example.com>'"),
            ),
        ]);
        sections.extend(self.sections.clone());
        for (name, lines) in sections {
            write!(file, "[{name}]\n{lines}\n").unwrap();
        }
        let servers = if self.servers.is_empty() {
            vec![upstream.to_string()]
        } else {
            self.servers.clone()
        };
        let servers: Vec<_> = servers.iter().map(|server| format!("'{server}'")).collect();
        let upstream = match self.front {
            Some(_) => "",
            None => "upstream = 'app'\n",
        };
        if self.front.is_none() {
            write!(
                file,
                "[[upstream]]\nname = 'app'\nservers = [{}]\n{}",
                servers.join(", "),
                self.upstream
            )
            .unwrap();
        }
        let mut usual = ROUTES.map(str::to_owned).to_vec();
        if !self.hosts.is_empty() {
            let on_host = |host: &&str| ROUTES.map(|route| format!("host = '{host}'\n{route}"));
            usual = self.hosts.iter().flat_map(on_host).collect();
        }
        for route in if self.routes.is_empty() {
            &usual
        } else {
            &self.routes
        } {
            write!(file, "[[route]]\n{route}\n{upstream}").unwrap();
        }
        file
    }
}

impl IntoFuture for Setup {
    type Output = Gateway;
    type IntoFuture = Pin<Box<dyn Future<Output = Gateway> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

async fn run(config: &Path, clock: &Clock, listeners: impl Into<Listeners>) -> Gatehouse {
    let loaded = match gatehouse::config::load(config) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{problems}\n{}", std::fs::read_to_string(config).unwrap()),
    };
    Gatehouse::start_on(loaded.config, clock.clone(), listeners)
        .await
        .expect("the gateway starts")
}

/// The clients of this process need one, whether or not a gateway has started.
pub fn install_crypto_provider() {
    static ONCE: Once = Once::new();
    // Somebody else's installation is as good.
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}
