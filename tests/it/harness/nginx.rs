//! A real nginx, for what servers of apps do: TLS, client certificates, HTTP/2, sockets.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::waiting::{SOON, within};

/// A running nginx. It ends with this value.
pub struct Nginx {
    pub address: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Nginx {
    /// Starts one server with these directives; `listen ADDRESS` gets `flags` such as `ssl`. It answers
    /// every request with its protocol, the name it was asked for by SNI, its host and its body's length.
    pub async fn start(flags: &str, directives: &str) -> Self {
        Self::start_at(free_address(), flags, directives).await
    }

    /// The same at this address.
    pub async fn start_at(address: SocketAddr, flags: &str, directives: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let config = format!(
            "daemon off; master_process off; worker_processes 1; pid {path}/pid; error_log {path}/error.log;\n\
             events {{ worker_connections 64; }}\n\
             http {{ access_log off; client_body_temp_path {path}; proxy_temp_path {path}; fastcgi_temp_path {path};\n\
             uwsgi_temp_path {path}; scgi_temp_path {path};\n\
             server {{ listen {address} {flags}; {directives}\n\
             location / {{ default_type text/plain;\n\
             return 200 \"$server_protocol sni=$ssl_server_name host=$host client=$ssl_client_verify connection=$connection\"; }} }} }}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let child = Command::new("nginx")
            .args(["-c".as_ref(), file.as_os_str()])
            .args(["-p".as_ref(), folder.path().as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed");
        let nginx = Self {
            address,
            child,
            _folder: folder,
        };
        within(SOON, "nginx listens", || async {
            tokio::net::TcpStream::connect(address).await.ok()
        })
        .await;
        nginx
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

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// nginx cannot be handed a listener; nobody else takes the port within the moment.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
