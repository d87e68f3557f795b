//! What those who watch over the gateway may know of its certificates: whose they are and when they end.

use std::{path::PathBuf, sync::Arc};

use super::tls::Tls;
use crate::clock::Timestamp;

/// The certificates that new connections get, whenever it is asked.
#[derive(Clone)]
pub struct CertificatesInForce(Option<Arc<Tls>>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInForce {
    /// The file of its chain.
    pub file: PathBuf,
    /// The hosts it is for, in order.
    pub names: Vec<String>,
    /// When it ends.
    pub not_after: Timestamp,
}

impl CertificatesInForce {
    pub(super) const fn new(tls: Option<Arc<Tls>>) -> Self {
        Self(tls)
    }

    /// All of them, in the order of the configuration; none on a gateway without TLS.
    pub fn list(&self) -> Vec<CertificateInForce> {
        let Some(tls) = &self.0 else {
            return Vec::new();
        };
        let certificates = tls.certificates();
        let all = certificates.all().iter();
        all.map(|certificate| CertificateInForce {
            file: certificate.file.clone(),
            names: certificate.names().listed(),
            not_after: Timestamp::from_seconds(certificate.not_after),
        })
        .collect()
    }
}
