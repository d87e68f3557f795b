//! A TLS server on rustls that writes down every byte it could decrypt.

use std::{
    io::{Read, Write},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{authority::Issued, gateway::install_crypto_provider};

/// A running server. It ends with this value.
pub struct TlsServer {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl TlsServer {
    /// Serves with this certificate; asks clients for one of `clients`, where that is given.
    pub async fn start(issued: &Issued, clients: Option<&Path>) -> Self {
        install_crypto_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = config(issued, clients);
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let (serving, hearing) = (config, heard.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream = stream.into_std().unwrap();
                stream.set_nonblocking(false).unwrap();
                let connection = ServerConnection::new(serving.clone()).unwrap();
                let heard = hearing.clone();
                // Ends with the connection, at the latest when the gateway does.
                std::thread::spawn(move || serve(StreamOwned::new(connection, stream), &heard));
            }
        });
        Self {
            address,
            heard,
            task,
        }
    }

    /// Everything that clients wanted it to know.
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn config(issued: &Issued, clients: Option<&Path>) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(&issued.certificate)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_file(&issued.key).unwrap();
    let builder = ServerConfig::builder();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_file(authority).unwrap())
                .unwrap();
            let verifier = WebPkiClientVerifier::builder(roots.into()).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    Arc::new(builder.with_single_cert(chain, key).unwrap())
}

fn serve(mut stream: StreamOwned<ServerConnection, std::net::TcpStream>, heard: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    // An error is a client that does not trust this server, or has gone.
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        let mut all = heard.lock().unwrap();
        all.extend_from_slice(&buffer[..count]);
        if all.ends_with(b"\r\n\r\n") {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ntrusted";
            drop(stream.write_all(answer));
        }
    }
}
