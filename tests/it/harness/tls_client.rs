//! A TLS client that looks at the handshake.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use super::door_authority::{Authority, Issued};

/// One client; it remembers its sessions.
pub struct TlsClient {
    config: Arc<ClientConfig>,
}

/// What a handshake showed, and the connection.
pub struct Connected {
    pub status: u16,
    pub kind: HandshakeKind,
    pub version: ProtocolVersion,
    pub certificate: CertificateDer<'static>,
    pub stream: StreamOwned<ClientConnection, TcpStream>,
}

impl TlsClient {
    pub fn new(authority: &Authority, version: &'static SupportedProtocolVersion) -> Self {
        Self::with(authority, version, None)
    }

    /// One that shows a certificate.
    pub fn showing(
        authority: &Authority,
        version: &'static SupportedProtocolVersion,
        issued: &Issued,
    ) -> Self {
        Self::with(authority, version, Some(issued))
    }

    fn with(
        authority: &Authority,
        version: &'static SupportedProtocolVersion,
        issued: Option<&Issued>,
    ) -> Self {
        let provider = rustls::crypto::ring::default_provider();
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
        roots.add(root).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let config = match issued {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let chain = CertificateDer::from_pem_slice(issued.certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes());
                builder
                    .with_client_auth_cert(vec![chain.unwrap()], key.unwrap())
                    .unwrap()
            }
        };
        Self {
            config: Arc::new(config),
        }
    }

    /// Makes a handshake and one request, which is served.
    pub fn connect(&self, address: SocketAddr, name: &'static str) -> Connected {
        let connected = self.try_connect(address, name, "/public/page").unwrap();
        assert_eq!(connected.status, 200);
        connected
    }

    /// Makes a handshake and one request.
    pub fn try_connect(
        &self,
        address: SocketAddr,
        name: &'static str,
        path: &str,
    ) -> std::io::Result<Connected> {
        let connection =
            ClientConnection::new(self.config.clone(), ServerName::try_from(name).unwrap())
                .unwrap();
        let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
        Ok(Connected {
            status: request(&mut stream, name, path)?,
            kind: stream.conn.handshake_kind().unwrap(),
            version: stream.conn.protocol_version().unwrap(),
            certificate: stream.conn.peer_certificates().unwrap()[0]
                .clone()
                .into_owned(),
            stream,
        })
    }
}

/// One request on a connection that stays open; gives the status.
pub fn request(stream: &mut (impl Read + Write), host: &str, path: &str) -> std::io::Result<u16> {
    write!(stream, "HEAD {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    Ok(head[9..12].parse().unwrap())
}
