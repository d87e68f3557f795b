//! Certificates for the listeners: loaded whole before they serve, and chosen by the name that a client asks
//! for and by what it can verify.

use std::{
    collections::{HashMap, HashSet},
    net::{Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    CipherSuite, SignatureAlgorithm,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use crate::config::TlsFiles;

/// Certificates that serve together, in the order of the configuration; at least one.
#[derive(Debug)]
pub struct Certificates {
    all: Vec<Certificate>,
    /// Which ones are for a host, the one to show first at the front.
    exact: HashMap<String, Vec<usize>>,
    /// The same for the names below a host.
    wildcard: HashMap<String, Vec<usize>>,
}

/// One certificate and its key.
#[derive(Debug)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    names: Arc<ServerNames>,
    /// When it ends, in seconds of the epoch.
    pub not_after: i64,
    /// The file of its chain.
    pub file: PathBuf,
}

/// The hosts that a certificate is for.
#[derive(Debug, Default)]
pub struct ServerNames {
    /// Names in lower case and addresses, as a Host field has them.
    exact: HashSet<String>,
    /// `example.com` for `*.example.com`.
    wildcard: HashSet<String>,
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
    /// The authorities of client certificates cannot be used.
    #[error("cannot read the authorities of client certificates {}: {reason}", file.display())]
    Authorities {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The TLS library cannot be set up.
    #[error("cannot set up TLS")]
    Setup(#[source] rustls::Error),
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
        let provider = rustls::crypto::ring::default_provider();
        let all: Vec<_> = files
            .iter()
            .map(|pair| load_pair(pair, &provider))
            .collect::<Result<_, _>>()?;
        let (mut exact, mut wildcard) = (HashMap::new(), HashMap::new());
        for (names, index) in [(Kind::Exact, &mut exact), (Kind::Wildcard, &mut wildcard)] {
            for (place, certificate) in all.iter().enumerate() {
                for name in certificate.names.of(names) {
                    let same: &mut Vec<usize> = index.entry(name.clone()).or_default();
                    same.push(place);
                }
            }
            // A signature by RSA costs ten times as much; it is for clients that know nothing else. The sort
            // keeps the order of the file otherwise.
            for same in index.values_mut() {
                same.sort_by_key(|place| all.get(*place).is_some_and(Certificate::is_rsa));
            }
        }
        Ok(Self {
            all,
            exact,
            wildcard,
        })
    }

    /// All of them.
    pub fn all(&self) -> &[Certificate] {
        &self.all
    }

    /// The hosts that the certificate for this name is good for; `None` when the name is unknown and the
    /// first certificate was shown.
    pub fn hosts_beside(&self, name: &str) -> Option<Arc<ServerNames>> {
        let first = *self.places_for(name)?.first()?;
        self.all.get(first).map(|found| found.names.clone())
    }

    fn places_for(&self, name: &str) -> Option<&Vec<usize>> {
        self.exact.get(name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.wildcard.get(parent)
        })
    }

    /// The certificate for a client that asks for `name`, if it names one.
    fn choose(
        &self,
        name: Option<&str>,
        usable: impl Fn(&Certificate) -> bool,
    ) -> Option<&Certificate> {
        let Some(places) = name.and_then(|name| self.places_for(name)) else {
            return self.all.first();
        };
        let candidates = || places.iter().filter_map(|place| self.all.get(*place));
        // Without a usable one the handshake fails by itself, and says why.
        candidates()
            .find(|certificate| usable(certificate))
            .or_else(|| candidates().next())
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Exact,
    Wildcard,
}

impl Certificate {
    /// The hosts it is for.
    pub fn names(&self) -> &ServerNames {
        &self.names
    }

    fn is_rsa(&self) -> bool {
        self.key.key.algorithm() == SignatureAlgorithm::RSA
    }

    /// Whether the client can verify a signature with this key. One that speaks TLS 1.2 alone has to offer
    /// a fitting cipher suite as well.
    fn is_usable(&self, hello: &ClientHello<'_>) -> bool {
        let signs = self
            .key
            .key
            .choose_scheme(hello.signature_schemes())
            .is_some();
        let suites = hello.cipher_suites();
        let suite = self.is_rsa()
            || suites.iter().any(|suite| TLS13_SUITES.contains(suite))
            || suites.iter().any(|suite| ECDSA_SUITES.contains(suite));
        signs && suite
    }
}

const TLS13_SUITES: [CipherSuite; 3] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
];
const ECDSA_SUITES: [CipherSuite; 3] = [
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
];

impl ServerNames {
    /// As certificates write them, in order.
    pub fn listed(&self) -> Vec<String> {
        let wildcards = self.wildcard.iter().map(|parent| format!("*.{parent}"));
        let mut names: Vec<_> = self.exact.iter().cloned().chain(wildcards).collect();
        names.sort_unstable();
        names
    }

    fn of_leaf(leaf: &X509Certificate<'_>) -> Self {
        let mut names = Self::default();
        let Ok(Some(extension)) = leaf.subject_alternative_name() else {
            return names;
        };
        for name in &extension.value.general_names {
            match name {
                GeneralName::DNSName(name) => {
                    let name = name.to_ascii_lowercase();
                    match name.strip_prefix("*.") {
                        Some(parent) => names.wildcard.insert(parent.to_owned()),
                        None => names.exact.insert(name),
                    };
                }
                GeneralName::IPAddress(bytes) => {
                    if let Ok(bytes) = <[u8; 4]>::try_from(*bytes) {
                        names.exact.insert(Ipv4Addr::from(bytes).to_string());
                    } else if let Ok(bytes) = <[u8; 16]>::try_from(*bytes) {
                        names.exact.insert(format!("[{}]", Ipv6Addr::from(bytes)));
                    }
                }
                // Names of people and directories; no browser reads them for a host.
                _ => {}
            }
        }
        names
    }

    fn of(&self, kind: Kind) -> &HashSet<String> {
        match kind {
            Kind::Exact => &self.exact,
            Kind::Wildcard => &self.wildcard,
        }
    }

    /// Whether the certificate is good for a host (RFC 9525 §6.3: a wildcard stands for one label).
    pub fn cover(&self, host: &str) -> bool {
        self.exact.contains(host)
            || host
                .split_once('.')
                .is_some_and(|(_, parent)| self.wildcard.contains(parent))
    }
}

fn load_pair(files: &TlsFiles, provider: &CryptoProvider) -> Result<Certificate, TlsError> {
    let chain = read_chain(&files.cert).map_err(|reason| TlsError::Chain {
        file: files.cert.clone(),
        reason,
    })?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| TlsError::Key {
        file: files.key.clone(),
        reason: error.to_string(),
    })?;
    let unreadable = || TlsError::Chain {
        file: files.cert.clone(),
        reason: "its first certificate cannot be read".to_owned(),
    };
    let leaf = chain.first().ok_or_else(unreadable)?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| unreadable())?;
    let names = Arc::new(ServerNames::of_leaf(&leaf));
    let not_after = leaf.validity().not_after.timestamp();
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Pair {
        cert: files.cert.clone(),
        key: files.key.clone(),
        source,
    })?;
    Ok(Certificate {
        key: Arc::new(key),
        names,
        not_after,
        file: files.cert.clone(),
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
        let name = hello.server_name().map(str::to_ascii_lowercase);
        self.choose(name.as_deref(), |certificate| certificate.is_usable(&hello))
            .map(|certificate| certificate.key.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn pair(folder: &Path, file: &str, names: &[&str]) -> TlsFiles {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let files = TlsFiles {
            cert: folder.join(format!("{file}.crt")),
            key: folder.join(format!("{file}.key")),
        };
        fs::write(&files.cert, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    }

    #[test]
    fn a_certificate_is_chosen_by_name_the_exact_one_before_a_wildcard() {
        let folder = tempfile::tempdir().unwrap();
        let pair = |file: &str, names: &[&str]| pair(folder.path(), file, names);
        let certificates = Certificates::load(&[
            pair("first", &["first.example"]),
            pair("wild", &["*.b.example"]),
            pair("exact", &["a.b.example", "127.0.0.1"]),
        ])
        .unwrap();
        for (name, file) in [
            (Some("first.example"), "first.crt"),
            (Some("a.b.example"), "exact.crt"),
            (Some("c.b.example"), "wild.crt"),
            (Some("x.c.b.example"), "first.crt"),
            (Some("b.example"), "first.crt"),
            (Some("unknown"), "first.crt"),
            (None, "first.crt"),
        ] {
            let chosen = certificates.choose(name, |_| true).unwrap();
            assert!(chosen.file.ends_with(file), "{name:?}: {chosen:?}");
        }
    }

    #[test]
    fn a_host_is_covered_by_its_name_its_address_or_one_label_of_a_wildcard() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["A.example", "*.b.example", "127.0.0.1", "::1"];
        let certificates = Certificates::load(&[pair(folder.path(), "it", &names)]).unwrap();
        let names = certificates.hosts_beside("a.example").unwrap();
        for (host, covered) in [
            ("a.example", true),
            ("x.b.example", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("b.example", false),
            ("x.y.b.example", false),
            ("c.example", false),
            ("127.0.0.2", false),
        ] {
            assert_eq!(names.cover(host), covered, "{host}");
        }
        assert!(certificates.hosts_beside("unknown").is_none());
    }

    #[test]
    fn the_second_of_a_name_serves_who_cannot_use_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let pair = |file: &str| pair(folder.path(), file, &["a.example"]);
        let certificates = Certificates::load(&[pair("one"), pair("two")]).unwrap();
        let chosen = |usable: &str| {
            let is_it = |certificate: &Certificate| certificate.file.ends_with(usable);
            certificates
                .choose(Some("a.example"), is_it)
                .unwrap()
                .file
                .clone()
        };
        assert!(chosen("one.crt").ends_with("one.crt"));
        assert!(chosen("two.crt").ends_with("two.crt"));
        assert!(chosen("none").ends_with("one.crt"));
    }

    #[test]
    fn a_pair_that_cannot_serve_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (
            pair(folder.path(), "a", &["a.example"]),
            pair(folder.path(), "b", &["b.example"]),
        );
        let with = |cert: &Path, key: &Path| {
            Certificates::load(&[TlsFiles {
                cert: cert.to_owned(),
                key: key.to_owned(),
            }])
        };
        assert!(with(&a.cert, &a.key).is_ok());
        assert!(matches!(with(&a.cert, &b.key), Err(TlsError::Pair { .. })));
        let none = folder.path().join("none");
        assert!(matches!(with(&none, &b.key), Err(TlsError::Chain { .. })));
        assert!(matches!(with(&a.key, &a.key), Err(TlsError::Chain { .. })));
        assert!(matches!(with(&a.cert, &a.cert), Err(TlsError::Key { .. })));
    }
}
