//! An authority that issues whatever certificate a test of the door asks for: its listeners and their clients.

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, KeyPair, SanType};

use super::authority::issuer;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        Self(issuer("authority"))
    }

    /// For a server of these names, with an ECDSA key.
    pub fn server(&self, names: &[&str]) -> Issued {
        self.issue(names, &[], KeyPair::generate().unwrap())
    }

    /// The same with the RSA key that the `openssl` command makes: the library here makes none.
    pub fn server_with_rsa(&self, names: &[&str]) -> Issued {
        let made = std::process::Command::new("openssl")
            .args([
                "genpkey",
                "-quiet",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
            ])
            .output()
            .expect("openssl is installed");
        let pem = String::from_utf8(made.stdout).unwrap();
        self.issue(names, &[], KeyPair::from_pem(&pem).unwrap())
    }

    /// For a client of these DNS names and URIs.
    pub fn client(&self, names: &[&str], uris: &[&str]) -> Issued {
        self.issue(names, uris, KeyPair::generate().unwrap())
    }

    fn issue(&self, names: &[&str], uris: &[&str], key: KeyPair) -> Issued {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let uris = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().unwrap()));
        params.subject_alt_names.extend(uris);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes its own certificate into a folder.
    pub fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, self.pem()).unwrap();
        path
    }

    /// For a client that trusts this authority and no other.
    pub fn root(&self) -> reqwest::Certificate {
        reqwest::Certificate::from_pem(self.pem().as_bytes()).unwrap()
    }
}

impl Issued {
    /// Writes `NAME.pem` and `NAME.key`.
    pub fn write(&self, folder: &Path, name: &str) {
        std::fs::write(folder.join(format!("{name}.pem")), &self.certificate).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), &self.key).unwrap();
    }

    /// For a client that shows it.
    pub fn identity(&self) -> reqwest::Identity {
        let pem = format!("{}{}", self.key, self.certificate);
        reqwest::Identity::from_pem(pem.as_bytes()).unwrap()
    }
}
