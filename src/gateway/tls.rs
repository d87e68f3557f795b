//! Certificates for the listeners: loaded whole before they serve, chosen by the name that the client asks
//! for, and replaced without a restart.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    client::verify_server_name,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::config::TlsFiles;

/// The certificates in force.
#[derive(Debug)]
pub struct Certificates {
    keys: ArcSwap<Vec<Arc<CertifiedKey>>>,
}

/// Why certificates could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The chain cannot be read.
    #[error("cannot read the certificate chain {}: {reason}", file.display())]
    Chain {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The private key cannot be read.
    #[error("cannot read the private key {}: {reason}", file.display())]
    Key {
        /// Which.
        file: PathBuf,
        /// Why; nothing of the key.
        reason: String,
    },
    /// The private key is of a kind that cannot sign, or not the certificate's.
    #[error("cannot use the certificate {} with the key {}", cert.display(), key.display())]
    Pair {
        /// The chain.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

impl Certificates {
    /// Loads every pair. The first is also shown to clients that name no host, or an unknown one.
    ///
    /// # Errors
    /// The first pair that cannot be used.
    pub fn load(files: &[TlsFiles]) -> Result<Self, TlsError> {
        Ok(Self {
            keys: ArcSwap::from_pointee(load_all(files)?),
        })
    }

    /// Loads every pair anew; the next handshake uses them.
    ///
    /// # Errors
    /// The first pair that cannot be used; then the old ones stay in force.
    pub fn reload(&self, files: &[TlsFiles]) -> Result<(), TlsError> {
        self.keys.store(Arc::new(load_all(files)?));
        Ok(())
    }
}

fn load_all(files: &[TlsFiles]) -> Result<Vec<Arc<CertifiedKey>>, TlsError> {
    let provider = rustls::crypto::ring::default_provider();
    files
        .iter()
        .map(|pair| load_pair(pair, &provider).map(Arc::new))
        .collect()
}

fn load_pair(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = read_chain(&files.cert).map_err(|reason| TlsError::Chain {
        file: files.cert.clone(),
        reason,
    })?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| TlsError::Key {
        file: files.key.clone(),
        reason: error.to_string(),
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Pair {
        cert: files.cert.clone(),
        key: files.key.clone(),
        source,
    })
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| error.to_string())?;
    if chain.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    Ok(chain)
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = self.keys.load();
        let named = hello
            .server_name()
            .and_then(|name| ServerName::try_from(name).ok());
        named
            .and_then(|name| keys.iter().find(|key| is_for(key, &name)))
            .or_else(|| keys.first())
            .cloned()
    }
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    key.end_entity_cert()
        .and_then(ParsedCertificate::try_from)
        .and_then(|certificate| verify_server_name(&certificate, name))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn pair(folder: &Path, name: &str) -> TlsFiles {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let files = TlsFiles {
            cert: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
        };
        fs::write(&files.cert, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    }

    #[test]
    fn a_certificate_is_known_by_the_names_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::load(&[
            pair(folder.path(), "a.example"),
            pair(folder.path(), "b.example"),
        ])
        .unwrap();
        let keys = certificates.keys.load();
        let b = ServerName::try_from("b.example").unwrap();
        assert!(!is_for(&keys[0], &b));
        assert!(is_for(&keys[1], &b));
    }

    #[test]
    fn a_pair_that_cannot_serve_is_refused_and_the_old_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (
            pair(folder.path(), "a.example"),
            pair(folder.path(), "b.example"),
        );
        let certificates = Certificates::load(std::slice::from_ref(&a)).unwrap();
        let crossed = TlsFiles {
            cert: a.cert.clone(),
            key: b.key.clone(),
        };
        assert!(matches!(
            certificates.reload(&[crossed]),
            Err(TlsError::Pair { .. })
        ));
        let missing = TlsFiles {
            cert: folder.path().join("none"),
            key: b.key.clone(),
        };
        assert!(matches!(
            certificates.reload(&[missing]),
            Err(TlsError::Chain { .. })
        ));
        let empty = TlsFiles {
            cert: a.key.clone(),
            key: a.key.clone(),
        };
        assert!(matches!(
            certificates.reload(&[empty]),
            Err(TlsError::Chain { .. })
        ));
        let keyless = TlsFiles {
            cert: a.cert.clone(),
            key: a.cert,
        };
        assert!(matches!(
            certificates.reload(&[keyless]),
            Err(TlsError::Key { .. })
        ));
        assert_eq!(certificates.keys.load().len(), 1);
    }
}
