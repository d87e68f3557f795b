//! A private authority that signs certificates for servers of apps and for their clients.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// An authority with its certificate in a file.
pub struct Authority {
    pub file: PathBuf,
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, PEM files.
pub struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// A new one; `name` names its files.
    pub fn new(folder: &Path, name: &str) -> Self {
        let issuer = issuer(name);
        let file = folder.join(format!("{name}.pem"));
        std::fs::write(&file, issuer.pem()).unwrap();
        Self {
            file,
            folder: folder.to_owned(),
            issuer,
        }
    }

    /// A certificate for this host.
    pub fn issue(&self, host: &str) -> Issued {
        self.sign(host, CertificateParams::new(vec![host.to_owned()]).unwrap())
    }

    /// A certificate for this host that was good for the year 2020.
    pub fn issue_expired(&self, host: &str) -> Issued {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(host, params)
    }

    /// A certificate that a client may show.
    pub fn issue_to_client(&self, name: &str) -> Issued {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(name, params)
    }

    fn sign(&self, name: &str, params: CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let stem = self.file.file_stem().unwrap().to_string_lossy();
        let issued = Issued {
            certificate: self.folder.join(format!("{stem}-{name}.pem")),
            key: self.folder.join(format!("{stem}-{name}-key.pem")),
        };
        std::fs::write(&issued.certificate, leaf.pem()).unwrap();
        std::fs::write(&issued.key, key.serialize_pem()).unwrap();
        issued
    }
}

/// What an authority signs with.
pub fn issuer(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    // OpenSSL takes a certificate for self-signed when both are called the same.
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}
