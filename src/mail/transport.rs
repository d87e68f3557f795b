//! The way out: what every transport promises, and the choice of one by the configuration.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{FolderTransport, Letter, SmtpTransport, letter::ComposeError};
use crate::{
    config::{MailConfig, MailTransport},
    id::MailId,
};

/// Takes mails to their receiver. One that is delivered twice, after a crash in between, carries the same
/// `Message-ID` both times.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Hands one mail over; `Ok` means that the receiver has accepted it.
    async fn deliver(&self, id: MailId, letter: &Letter) -> Result<(), DeliveryError>;
}

/// A mail was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// It never will be: it cannot be put as a message.
    #[error("the mail cannot be written as a message")]
    Unwritable(#[from] ComposeError),
    /// It never will be: the server says that there is no such mailbox or that it takes no such mail. The
    /// text of its reply is left out here and below, because servers repeat the address in it.
    #[error("the mail server refused the mail for good (reply {reply})")]
    Refused {
        /// The SMTP reply code (RFC 5321 §4.2.3).
        reply: u16,
    },
    /// Another try may succeed: the server answered that it cannot.
    #[error("the mail server cannot take the mail now (reply {reply})")]
    Deferred {
        /// The SMTP reply code.
        reply: u16,
    },
    /// Another try may succeed: the server or the folder could not be reached.
    #[error("the mail could not be handed over")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A transport cannot be set up as configured.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file of authorities cannot be read.
    #[error("cannot read the mail server's authorities from {file}")]
    ReadAuthorities {
        /// `mail.ca`.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file of authorities holds none.
    #[error("{file} holds no certificate in PEM form")]
    NoAuthorities {
        /// `mail.ca`.
        file: PathBuf,
    },
    /// TLS cannot be set up with these authorities.
    #[error("cannot set up TLS for the mail server {host}")]
    Tls {
        /// The server.
        host: String,
        /// Why.
        #[source]
        source: lettre::transport::smtp::Error,
    },
    /// The folder cannot be made.
    #[error("cannot make the mail folder {folder}")]
    MakeFolder {
        /// Which.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The configured transport, ready for use. No connection is made yet.
///
/// # Errors
/// When a file or folder named in the configuration does not serve.
pub async fn open(config: &MailConfig) -> Result<Arc<dyn Transport>, OpenError> {
    let from = config.from.clone();
    match &config.transport {
        MailTransport::Smtp {
            host,
            port,
            security,
            credentials,
            ca,
        } => {
            let authorities = match ca {
                Some(file) => Some(read_authorities(file).await?),
                None => None,
            };
            let transport = SmtpTransport::open(
                from,
                host,
                *port,
                *security,
                credentials.as_ref(),
                authorities,
            )?;
            Ok(Arc::new(transport))
        }
        MailTransport::Folder(folder) => {
            Ok(Arc::new(FolderTransport::open(from, folder.clone()).await?))
        }
    }
}

async fn read_authorities(file: &Path) -> Result<Vec<u8>, OpenError> {
    let pem = tokio::fs::read(file)
        .await
        .map_err(|source| OpenError::ReadAuthorities {
            file: file.to_owned(),
            source,
        })?;
    // Without this check the wrong file would be found out by the first person who waits for a mail.
    match CertificateDer::pem_slice_iter(&pem).next() {
        Some(Ok(_)) => Ok(pem),
        Some(Err(_)) | None => Err(OpenError::NoAuthorities {
            file: file.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SmtpSecurity;

    fn smtp_trusting(ca: PathBuf) -> MailConfig {
        MailConfig {
            transport: MailTransport::Smtp {
                host: "mail.example.com".into(),
                port: 587,
                security: SmtpSecurity::StartTls,
                credentials: Some(("gate".into(), "hunter2".into())),
                ca: Some(ca),
            },
            from: "no-reply@example.com".parse().unwrap(),
        }
    }

    #[tokio::test]
    async fn authorities_that_are_missing_or_none_are_found_out_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let missing = open(&smtp_trusting(file.clone())).await;
        assert!(matches!(missing, Err(OpenError::ReadAuthorities { .. })));

        std::fs::write(&file, "not a certificate").unwrap();
        let none = open(&smtp_trusting(file.clone())).await;
        assert!(matches!(none, Err(OpenError::NoAuthorities { .. })));

        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["mail.example.com".into()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        std::fs::write(&file, certificate.pem()).unwrap();
        assert!(open(&smtp_trusting(file)).await.is_ok());
    }
}
