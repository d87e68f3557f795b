//! Real proxies in front of an app that ask the gateway by forward-auth, each with the configuration that is shipped
//! for it in `config/deploy`: only its addresses and its host are others here, and TLS is left out. They are given a
//! socket that listens already, or pick a port themselves, and are ended by their ids.

use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
};

use tempfile::TempDir;
use tokio::{net::TcpStream, task::JoinHandle};

use super::{Gateway, Person, gateway::Setup, waiting::SOON};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    Haproxy,
}

/// A running proxy. It ends with this value.
pub struct OuterProxy {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    lines: Receiver<String>,
    /// To the port that it picked.
    relay: Option<JoinHandle<()>>,
    _folder: TempDir,
}

/// An app behind a proxy, and the gateway beside it.
pub struct Site {
    pub gateway: Gateway,
    /// Where people reach it.
    pub front: SocketAddr,
    pub proxy: OuterProxy,
}

impl Site {
    /// Before the recording app, with the usual routes.
    pub async fn start(kind: Kind) -> Self {
        Self::with(kind, |setup| setup).await
    }

    /// The same with more in the gateway's configuration.
    pub async fn with(kind: Kind, more: impl FnOnce(Setup) -> Setup) -> Self {
        Self::on(&["localhost"], kind, more).await
    }

    /// The same on these hosts.
    pub async fn on(hosts: &[&str], kind: Kind, more: impl FnOnce(Setup) -> Setup) -> Self {
        let front = TcpListener::bind("127.0.0.1:0").unwrap();
        let gateway = Self::gateway(kind, &front, more).await;
        let app = gateway.upstream.address;
        Self::run(kind, front, hosts, gateway, app)
    }

    /// The same before this app.
    pub async fn before(
        app: SocketAddr,
        hosts: &[&str],
        kind: Kind,
        more: impl FnOnce(Setup) -> Setup,
    ) -> Self {
        let front = TcpListener::bind("127.0.0.1:0").unwrap();
        let gateway = Self::gateway(kind, &front, more).await;
        Self::run(kind, front, hosts, gateway, app)
    }

    async fn gateway(
        kind: Kind,
        front: &TcpListener,
        more: impl FnOnce(Setup) -> Setup,
    ) -> Gateway {
        let front = front.local_addr().unwrap();
        more(Gateway::start().asked_by(kind.name(), front)).await
    }

    fn run(
        kind: Kind,
        listener: TcpListener,
        hosts: &[&str],
        gateway: Gateway,
        app: SocketAddr,
    ) -> Self {
        let front = listener.local_addr().unwrap();
        let proxy = OuterProxy::start(kind, listener, hosts, gateway.address, app);
        Self {
            gateway,
            front,
            proxy,
        }
    }

    /// A browser with a session such as the operator issues.
    pub fn person(&self, email: &str, access: &str) -> Person {
        self.gateway.person_with_session(email, access)
    }

    /// Nothing reached the app.
    pub fn app_heard_nothing(&self) {
        let heard = self.gateway.upstream.targets();
        assert_eq!(heard, [""; 0], "{}", self.proxy.log());
    }
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Nginx, Self::Caddy, Self::Haproxy];

    /// As `server.forward_auth` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Haproxy => "haproxy",
        }
    }
}

impl OuterProxy {
    /// Starts one that people reach at `front`, before an app, with `hosts` for the host of the shipped file.
    pub fn start(
        kind: Kind,
        front: TcpListener,
        hosts: &[&str],
        gateway: SocketAddr,
        app: SocketAddr,
    ) -> Self {
        let at = |text: String| {
            let text = text.replace("127.0.0.1:8080", &gateway.to_string());
            text.replace("127.0.0.1:9000", &app.to_string())
        };
        match kind {
            Kind::Nginx => Self::nginx(front, &at(shipped("nginx.conf")), hosts),
            Kind::Caddy => Self::caddy(front, &at(shipped("Caddyfile")), hosts),
            Kind::Haproxy => Self::haproxy(front, &at(shipped("haproxy.cfg"))),
        }
    }

    fn nginx(front: TcpListener, file: &str, hosts: &[&str]) -> Self {
        let address = front.local_addr().unwrap();
        let file = without_lines(file, &["    ssl_certificate"]);
        let file = replaced(&file, "listen 443 ssl;", &format!("listen {address};"));
        let file = replaced(
            &file,
            "server_name app.example.com;",
            &format!("server_name {};", hosts.join(" ")),
        );
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {what};"))
            .concat();
        let whole = format!(
            "daemon off; user root; pid nginx.pid; events {{ worker_connections 64; }}\n\
             http {{ access_log off; {temporary}\n{file}}}\n"
        );
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("nginx.conf"), whole).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path());
        command.args(["-c", "nginx.conf", "-e", "stderr"]);
        // Its standard input is the socket, and this says so.
        command.env("NGINX", "0;").stdin(OwnedFd::from(front));
        Self::run(command, folder)
    }

    fn haproxy(front: TcpListener, file: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lua = folder.path().join("gatehouse.lua");
        std::fs::write(&lua, shipped("gatehouse.lua")).unwrap();
        let file = replaced(file, "/etc/haproxy/gatehouse.lua", lua.to_str().unwrap());
        let bind = "bind :443 ssl crt /etc/haproxy/tls/ alpn h2,http/1.1";
        let file = replaced(&file, bind, "bind fd@0");
        let path = folder.path().join("haproxy.cfg");
        std::fs::write(&path, file).unwrap();
        let mut command = Command::new("haproxy");
        command.args(["-db", "-f"]).arg(path);
        command.stdin(OwnedFd::from(front));
        Self::run(command, folder)
    }

    fn caddy(front: TcpListener, file: &str, hosts: &[&str]) -> Self {
        let sites: Vec<_> = hosts
            .iter()
            .map(|host| format!("http://{host}:0"))
            .collect();
        let options = "{\n\tadmin off\n\tauto_https off\n}\n";
        let sites = format!("\n{options}{} {{\n\tbind 127.0.0.1", sites.join(", "));
        let file = replaced(file, "\napp.example.com {", &sites);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Caddyfile");
        std::fs::write(&path, file).unwrap();
        let mut command = Command::new("caddy");
        command
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(path);
        // Where it would keep certificates.
        command
            .env("HOME", folder.path())
            .env("XDG_DATA_HOME", folder.path());
        command.env("XDG_CONFIG_HOME", folder.path());
        let mut caddy = Self::run(command, folder);
        let port = caddy.said("\"actual_address\":\"127.0.0.1:");
        let port: u16 = port.split('"').next().unwrap().parse().unwrap();
        caddy.relay = Some(relay(front, SocketAddr::from(([127, 0, 0, 1], port))));
        caddy
    }

    fn run(mut command: Command, folder: TempDir) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tests/run installs it");
        let stderr = child.stderr.take().expect("it is piped");
        let log = Arc::<Mutex<Vec<String>>>::default();
        let written = log.clone();
        let (sender, lines) = channel();
        // Ends with the child, whose log it reads.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                written.lock().unwrap().push(line.clone());
                // Only Caddy is listened to, and only at its start.
                let _ = sender.send(line);
            }
        });
        Self {
            child,
            log,
            lines,
            relay: None,
            _folder: folder,
        }
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Waits for a line with this mark; gives what follows it.
    fn said(&self, mark: &str) -> String {
        loop {
            let line = tokio::task::block_in_place(|| self.lines.recv_timeout(SOON));
            let line = line.unwrap_or_else(|_| panic!("{}", self.log()));
            if let Some((_, rest)) = line.split_once(mark) {
                return rest.to_owned();
            }
        }
    }
}

impl Drop for OuterProxy {
    fn drop(&mut self) {
        if let Some(relay) = &self.relay {
            relay.abort();
        }
        // SIGTERM, so that it ends its workers too; it may have ended by itself.
        let id = self.child.id().to_string();
        Command::new("kill").arg(id).status().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn shipped(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/deploy");
    std::fs::read_to_string(folder.join(name)).expect("it is shipped")
}

/// Panics when there is nothing to replace: then another file than the shipped one would be tried.
fn replaced(file: &str, from: &str, to: &str) -> String {
    assert!(file.contains(from), "no {from:?} in {file}");
    file.replacen(from, to, 1)
}

fn without_lines(file: &str, starts: &[&str]) -> String {
    let kept = file
        .lines()
        .filter(|line| !starts.iter().any(|start| line.starts_with(start)));
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// Passes connections on.
fn relay(listener: TcpListener, to: SocketAddr) -> JoinHandle<()> {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut far) = TcpStream::connect(to).await else {
                    return;
                };
                drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
            });
        }
    })
}
