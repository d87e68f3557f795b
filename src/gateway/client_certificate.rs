//! Client certificates: who signs those that are believed, and what names a verified one bears.

use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use crate::{clock::Timestamp, policy::certificate::CertificateName};

/// A verifier for certificates of the authorities in `pem`: showing none is no fault, showing a bad one
/// fails the handshake.
///
/// # Errors
/// In words, when the authorities cannot be used.
pub fn verifier(pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        authorities
            .add(certificate)
            .map_err(|error| error.to_string())?;
    }
    if authorities.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| error.to_string())
}

/// Reads the file of authorities.
///
/// # Errors
/// In words.
pub fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| error.to_string())
}

/// The names on a certificate that the handshake has verified; none when it has run out, which a resumed
/// connection does not look at again.
pub fn names(der: &[u8], now: Timestamp) -> Vec<CertificateName> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return Vec::new();
    };
    if now.seconds() > certificate.validity().not_after.timestamp() {
        return Vec::new();
    }
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => CertificateName::dns(name),
            GeneralName::URI(uri) => CertificateName::uri(uri),
            // No other kind names a machine.
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn dns_names_and_uris_count_until_the_certificate_ends() {
        let mut params = CertificateParams::new(vec!["Backup.example".to_owned()]).unwrap();
        params.subject_alt_names.extend([
            SanType::URI("spiffe://example/backup".try_into().unwrap()),
            SanType::DnsName("*.example".try_into().unwrap()),
            SanType::Rfc822Name("root@example".try_into().unwrap()),
        ]);
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let at = |seconds| {
            names(certificate.der(), Timestamp::from_seconds(seconds))
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            at(1_800_000_000),
            ["backup.example", "spiffe://example/backup"]
        );
        assert_eq!(at(1_900_000_000), [""; 0]);
        assert!(names(b"nothing", Timestamp::from_seconds(0)).is_empty());
    }

    #[test]
    fn authorities_that_are_none_are_refused() {
        let made = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        assert!(verifier(made.cert.pem().as_bytes()).is_ok());
        assert!(verifier(b"").is_err());
        assert!(verifier(made.signing_key.serialize_pem().as_bytes()).is_err());
    }
}
