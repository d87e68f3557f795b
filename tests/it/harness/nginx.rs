//! A real nginx in a folder of its own: for apps, and for what servers of apps do (TLS, client certificates,
//! HTTP/2, sockets). It is given a socket that listens already, so that no port has to be guessed, and is
//! ended by its id.

use std::{
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// A running nginx. It ends with this value.
pub struct Nginx {
    pub address: SocketAddr,
    child: Child,
    /// Its folder, for as long as it runs.
    _folder: TempDir,
}

impl Nginx {
    /// Starts it with these lines in its one `server`, on these files: name and content.
    pub fn start(server: &str, files: &[(&str, &str)]) -> Self {
        Self::run(free(), "", server, files)
    }

    /// Starts one server with these directives; its listener gets `flags` such as `ssl`. It answers every
    /// request with its protocol, the name it was asked for by SNI, its host and its connection.
    pub fn answering(flags: &str, directives: &str) -> Self {
        Self::answering_on(free(), flags, directives)
    }

    /// The same on this listener.
    pub fn answering_on(listener: TcpListener, flags: &str, directives: &str) -> Self {
        let server = format!(
            "{directives}\nlocation / {{ default_type text/plain;\n\
             return 200 \"$server_protocol sni=$ssl_server_name host=$host client=$ssl_client_verify connection=$connection\"; }}"
        );
        Self::run(listener, flags, &server, &[])
    }

    /// The same with `flags` on its listener, before another app.
    pub fn before(app: SocketAddr, flags: &str) -> Self {
        let server = format!(
            "client_max_body_size 0; location / {{ proxy_pass http://{app}; proxy_set_header Host $host; }}"
        );
        Self::run(free(), flags, &server, &[])
    }

    fn run(listener: TcpListener, flags: &str, server: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, content) in files {
            let file = at(name);
            std::fs::create_dir_all(file.parent().expect("it is in the folder")).unwrap();
            std::fs::write(file, content).unwrap();
        }
        let address = listener.local_addr().unwrap();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {what};"))
            .concat();
        // Its worker stays who we are: another user could not read the folder. Where we are nobody special,
        // nginx ignores the line.
        let configuration = format!(
            "daemon off; user root; pid nginx.pid; events {{ worker_connections 64; }}\n\
             http {{ access_log off; {temporary} server {{ listen {address} {flags}; {server} }} }}\n"
        );
        std::fs::write(at("nginx.conf"), configuration).unwrap();
        let child = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf", "-e", "stderr"])
            // Its standard input is the socket, and this says so.
            .env("NGINX", "0;")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx runs");
        Self {
            address,
            child,
            _folder: folder,
        }
    }
}

/// What a configuration says to serve TLS with these files.
pub fn tls(certificate: &Path, key: &Path) -> String {
    format!(
        "ssl_certificate {}; ssl_certificate_key {};",
        certificate.display(),
        key.display()
    )
}

fn free() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM, so that it ends its worker too; it may have ended by itself.
        let id = self.child.id().to_string();
        Command::new("kill").arg(id).status().ok();
        self.child.wait().ok();
    }
}
