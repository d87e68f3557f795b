//! nginx as people run it: files from a folder, and a cache before them. It runs in a folder of its own and is ended
//! by its id.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::waiting::{SOON, within};

/// A running nginx.
pub struct FileServer {
    pub address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl FileServer {
    /// Starts it and waits until it listens.
    pub async fn start() -> Self {
        // It cannot say which port it took, so it is given one that was free a moment ago, and another if not.
        for _ in 0..5 {
            if let Some(server) = Self::try_start().await {
                return server;
            }
        }
        panic!("nginx does not start");
    }

    /// Puts a file where it finds it, under `/files/` and, with a cache before, `/cached/`.
    pub fn put(&self, name: &str, content: &[u8]) {
        std::fs::write(self.folder.path().join("files").join(name), content).unwrap();
    }

    async fn try_start() -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        std::fs::write(
            folder.path().join("nginx.conf"),
            configuration(folder.path(), address),
        )
        .unwrap();
        let child = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed");
        let mut server = Self {
            address,
            child,
            folder,
        };
        let listens = within(SOON, "nginx listens or ends", || {
            let ended = server.child.try_wait().unwrap().is_some();
            let listens = TcpStream::connect(address).is_ok();
            async move { (listens || ended).then_some(listens && !ended) }
        })
        .await;
        listens.then_some(server)
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// It closes connections after a few requests, as servers do at some time.
fn configuration(folder: &Path, address: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log off; default_type text/plain; keepalive_requests 7;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=files:1m;
    server {{
        listen {address};
        location /files/ {{ alias {folder}/files/; gzip on; gzip_types text/plain; }}
        location /cached/ {{
            proxy_pass http://{address}/files/; proxy_cache files; proxy_cache_valid 200 10m;
            add_header X-Cache $upstream_cache_status;
        }}
    }}
}}
"
    )
}
