//! TLS as the gateway ends it: one set of terms in force, swapped whole when its files change, and what a
//! finished handshake says of a connection.
//!
//! The terms are of our own making instead of the proxy library's: its listeners know neither session
//! tickets nor a swap of client authorities, and give a handshake a minute.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use pingora::{
    listeners::tls::Acceptor,
    protocols::{Ssl as _, l4, tls::TlsStream},
};
use rustls::{
    ServerConfig,
    crypto::ring::Ticketer,
    server::{NoServerSessionStorage, ProducesTickets},
    version::{TLS12, TLS13},
};

use super::{
    certificates::{Certificates, ServerNames, TlsError},
    client_certificate,
    tls_watch::Files,
};
use crate::{clock::Timestamp, config::TlsFiles, policy::certificate::CertificateName};

/// Ends TLS.
pub struct Tls {
    terms: ArcSwap<Terms>,
}

/// What a handshake is held to.
pub struct Terms {
    acceptor: Acceptor,
    certificates: Arc<Certificates>,
    /// The authorities' file as it was read.
    authorities: Option<Vec<u8>>,
    tickets: Arc<dyn ProducesTickets>,
    files: Arc<Files>,
}

/// What a finished handshake says of a connection.
#[derive(Debug)]
pub struct TlsFacts {
    /// The name that the client asked for, lower case, and the hosts of the certificate chosen for it.
    asked: Option<(String, Option<Arc<ServerNames>>)>,
    /// The names on the client's verified certificate.
    pub client: Arc<[CertificateName]>,
}

impl Tls {
    /// Reads certificates and authorities.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn load(files: &[TlsFiles], authorities: Option<PathBuf>) -> Result<Self, TlsError> {
        let tickets = Ticketer::new().map_err(TlsError::Setup)?;
        // Looked at before they are read, so that no change in between is missed.
        let files = Files::look(files, authorities.as_ref());
        let read = read_authorities(authorities.as_ref())?;
        Ok(Self {
            terms: ArcSwap::from_pointee(Terms::new(files, read, tickets)?),
        })
    }

    /// Reads all of them anew; the next handshake is held to them.
    ///
    /// # Errors
    /// The first file that cannot be used; then everything stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        let old = self.terms.load_full();
        let terms = self.prepare(&old.files.pairs, old.files.authorities.as_ref())?;
        // Unless a new configuration has come with its own meanwhile.
        self.terms.compare_and_swap(&old, Arc::new(terms));
        Ok(())
    }

    /// Reads certificates and authorities, and changes nothing yet.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn prepare(
        &self,
        files: &[TlsFiles],
        authorities: Option<&PathBuf>,
    ) -> Result<Terms, TlsError> {
        let files = Files::look(files, authorities);
        let authorities = read_authorities(authorities)?;
        let old = self.terms.load();
        // A ticket brings back a client certificate that was verified once: with other authorities it would
        // outlive the trust in it, so the old tickets open nothing any more.
        let tickets = if old.authorities == authorities {
            old.tickets.clone()
        } else {
            Ticketer::new().map_err(TlsError::Setup)?
        };
        Terms::new(files, authorities, tickets)
    }

    /// The next handshake is held to these.
    pub fn take_up(&self, terms: Terms) {
        self.terms.store(Arc::new(terms));
    }

    /// The files in force, as they were before they were read.
    pub fn files(&self) -> Arc<Files> {
        self.terms.load().files.clone()
    }

    /// The certificates in force.
    pub fn certificates(&self) -> Arc<Certificates> {
        self.terms.load().certificates.clone()
    }

    /// Makes a handshake.
    ///
    /// # Errors
    /// When it fails.
    pub async fn handshake(
        &self,
        stream: l4::stream::Stream,
        now: Timestamp,
    ) -> pingora::Result<(TlsStream<l4::stream::Stream>, TlsFacts)> {
        let terms = self.terms.load_full();
        let stream = terms.acceptor.tls_handshake(stream).await?;
        let seen = stream.get_ssl();
        let asked = seen
            .and_then(|seen| seen.server_name())
            .map(str::to_ascii_lowercase);
        let client = seen
            .and_then(|seen| seen.peer_certificate_der())
            .map(|der| client_certificate::names(der, now))
            .unwrap_or_default();
        let facts = TlsFacts {
            asked: asked.map(|name| {
                let hosts = terms.certificates.hosts_beside(&name);
                (name, hosts)
            }),
            client: client.into(),
        };
        Ok((stream, facts))
    }
}

fn read_authorities(file: Option<&PathBuf>) -> Result<Option<Vec<u8>>, TlsError> {
    file.map(|file| {
        client_certificate::read(file).map_err(|reason| TlsError::Authorities {
            file: file.clone(),
            reason,
        })
    })
    .transpose()
}

impl Terms {
    fn new(
        files: Files,
        authorities: Option<Vec<u8>>,
        tickets: Arc<dyn ProducesTickets>,
    ) -> Result<Self, TlsError> {
        let certificates = Arc::new(Certificates::load(&files.pairs)?);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS12, &TLS13])
            .map_err(TlsError::Setup)?;
        let builder = match &authorities {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let verifier =
                    client_certificate::verifier(pem).map_err(|reason| TlsError::Authorities {
                        file: files.authorities.clone().unwrap_or_default(),
                        reason,
                    })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(certificates.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Tickets instead of a cache: nothing to keep, nothing that a stranger could fill, and their key
        // changes every six hours.
        config.ticketer = tickets.clone();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self {
            acceptor: Acceptor::from_server_config(Arc::new(config)),
            certificates,
            authorities,
            tickets,
            files: Arc::new(files),
        })
    }
}

impl TlsFacts {
    /// Whether the connection may carry requests for a host (RFC 9110 §15.5.20): for the name that was
    /// asked for, and, so that HTTP/2 may share a connection (RFC 9113 §9.1.1), for the others on the
    /// certificate chosen by it. A client that asked for no name says nothing to disagree with.
    pub fn are_for(&self, host: &str) -> bool {
        match &self.asked {
            None => true,
            Some((name, hosts)) => {
                name == host || hosts.as_ref().is_some_and(|hosts| hosts.cover(host))
            }
        }
    }
}
