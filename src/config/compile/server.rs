//! `[server]`: addresses, certificates and the root secret.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use super::{Surroundings, secret};
use crate::{
    config::{
        SecretSource, TlsFiles,
        file::{At, Section, Server, Tls},
        findings::{Finding, Findings},
    },
    secret::ServerSecret,
};

/// Where to listen; at least one address.
pub(super) fn listen(server: &Server, findings: &mut Findings<'_>) -> Option<Vec<SocketAddr>> {
    if !findings.filled(&server.listen, "at least one address") {
        return None;
    }
    for address in &server.listen.value {
        if server.tls.is_empty() && !address.value.0.ip().is_loopback() {
            let problem = "plain HTTP where others may listen: browsers offer no passkeys and cookies travel in \
                           clear, unless something before the gateway ends TLS; [[server.tls]] adds it here";
            findings.warning(address, Finding::new(problem));
        }
    }
    Some(
        server
            .listen
            .value
            .iter()
            .map(|address| address.value.0)
            .collect(),
    )
}

/// Certificates whose keys fit.
pub(super) fn tls(
    server: &Server,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Vec<TlsFiles>> {
    let pairs: Vec<_> = server
        .tls
        .iter()
        .map(|tls| pair(tls, around, findings))
        .collect();
    pairs.into_iter().collect()
}

fn pair(
    tls: &Section<Tls>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<TlsFiles> {
    let cert = findings.required(
        tls.value.cert.as_ref(),
        tls,
        "cert",
        "the path of a PEM file",
    );
    let key = findings.required(tls.value.key.as_ref(), tls, "key", "the path of a PEM file");
    let (chain, chain_path) = read_pem(cert?, around, findings, |path| {
        let chain = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
        // An empty chain is reported in the words of a file without a key.
        if chain.is_empty() {
            Err(rustls::pki_types::pem::Error::NoItemsFound)
        } else {
            Ok(chain)
        }
    })
    .map_or((None, None), |(chain, path)| (Some(chain), Some(path)));
    let (private, key_path) = read_pem(key?, around, findings, |path| {
        PrivateKeyDer::from_pem_file(path)
    })?;
    if let Err(error) = CertifiedKey::from_der(chain?, private, &ring::default_provider()) {
        findings.error(
            key?,
            Finding::new(format!("cannot be used with this certificate: {error}")),
        );
        return None;
    }
    Some(TlsFiles {
        cert: chain_path?,
        key: key_path,
    })
}

pub(super) fn read_pem<T>(
    path: &At<PathBuf>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
    read: impl FnOnce(&Path) -> Result<T, rustls::pki_types::pem::Error>,
) -> Option<(T, PathBuf)> {
    let file = around.file(&path.value);
    match read(&file) {
        Ok(content) => Some((content, file)),
        Err(error) => {
            let problem = format!("{} cannot be read as PEM: {error}", file.display());
            findings.error(path, Finding::new(problem));
            None
        }
    }
}

/// The root secret, or the file that will hold it.
pub(super) fn secret(
    server: &Server,
    store: &Path,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<SecretSource> {
    let Some(given) = &server.secret else {
        let mut path = store.as_os_str().to_owned();
        path.push(".secret");
        return Some(SecretSource::Generated(path.into()));
    };
    let finding = match secret::read(&given.value, around) {
        Ok(text) => match ServerSecret::new(text.as_bytes()) {
            Some(secret) => return Some(SecretSource::Given(secret)),
            None => Finding::new("too short").expected(format!(
                "{} bytes or more, as `openssl rand -base64 48` prints",
                ServerSecret::MIN_BYTES
            )),
        },
        Err(problem) => Finding::new(problem),
    };
    findings.error(given, finding);
    None
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use crate::config::compile::fixture::{APP, PARTY, ROUTE, assert_found, found};

    #[test]
    fn addresses_and_the_secret_are_checked() {
        for (text, expected) in [
            (
                "server.listen = []",
                "server.listen: empty list; expected at least one address",
            ),
            (
                "server.listen = [\"0.0.0.0:80\"]",
                "warning: server.listen[0] = \"0.0.0.0:80\": plain HTTP",
            ),
            (
                "server.secret = \"env:NOT_SET\"",
                "server.secret: the environment variable NOT_SET is not set",
            ),
            ("server.secret = \"file:none\"", "none cannot be read"),
            (
                "server.secret = \"0123456789abcdef0123456789abcde\"",
                "server.secret: too short; expected 32 bytes",
            ),
        ] {
            assert_found(&format!("{text}\n{PARTY}{APP}{ROUTE}"), expected);
        }
    }

    #[test]
    fn a_key_must_fit_its_certificate() {
        let folder = TempDir::new().unwrap();
        let made = || rcgen::generate_simple_self_signed(["app.example.com".to_owned()]).unwrap();
        let (one, other) = (made(), made());
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("cert.pem", &one.cert.pem());
        write("key.pem", &one.signing_key.serialize_pem());
        write("other.pem", &other.signing_key.serialize_pem());
        write("empty.pem", "");
        let with = |cert: &str, key: &str| {
            let tls = format!("[[server.tls]]\ncert = \"{cert}\"\nkey = \"{key}\"\n");
            found(&folder, &format!("{tls}{PARTY}{APP}{ROUTE}"))
        };
        assert_eq!(with("cert.pem", "key.pem"), [""; 0]);
        assert!(
            with("cert.pem", "other.pem")[0]
                .contains("server.tls[0].key = \"other.pem\": cannot be used")
        );
        assert!(with("empty.pem", "key.pem")[0].contains("empty.pem cannot be read as PEM"));
        assert!(with("cert.pem", "none.pem")[0].contains("none.pem cannot be read as PEM"));
        assert_eq!(with("key.pem", "cert.pem").len(), 2);
        let found = found(&folder, &format!("[[server.tls]]\n{PARTY}{APP}{ROUTE}"));
        assert!(found[0].starts_with("f:1:1: server.tls[0].cert: missing"));
        assert!(found[1].starts_with("f:1:1: server.tls[0].key: missing"));
    }
}
