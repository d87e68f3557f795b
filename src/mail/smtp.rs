//! Mail by SMTP submission (RFC 6409), over a pool of connections.
//!
//! TLS is never optional: with STARTTLS configured, a server that does not offer it gets no mail, so that
//! nobody on the way can strip it (RFC 3207 §6).

use std::time::Duration;

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::Mailbox,
    transport::smtp::{
        self, PoolConfig,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::{
    Letter,
    transport::{DeliveryError, OpenError, Transport},
};
use crate::{config::SmtpSecurity, id::MailId};

/// An SMTP server that takes our mail.
pub struct SmtpTransport {
    from: Mailbox,
    server: AsyncSmtpTransport<Tokio1Executor>,
}

impl SmtpTransport {
    /// Prepares connections to `host`. `authorities` (PEM) are trusted besides the system's. Must be called
    /// inside a Tokio runtime, which tends the pool.
    ///
    /// # Errors
    /// When TLS cannot be set up with these authorities.
    pub fn open(
        from: Mailbox,
        host: &str,
        port: u16,
        security: SmtpSecurity,
        credentials: Option<&(String, String)>,
        authorities: Option<Vec<u8>>,
    ) -> Result<Self, OpenError> {
        let tls = tls(host, security, authorities).map_err(|source| OpenError::Tls {
            host: host.to_owned(),
            source,
        })?;
        // "Dangerous" only in that the security has to be chosen, which is done here.
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(REPLY_TIMEOUT))
            .pool_config(
                PoolConfig::new()
                    .max_size(MAX_CONNECTIONS)
                    .idle_timeout(IDLE_TIMEOUT),
            );
        if let Some((user, password)) = credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Self {
            from,
            server: builder.build(),
        })
    }
}

/// Longest wait for a connection or a reply. RFC 5321 §4.5.3.2 allows minutes, but somebody is looking at
/// the sign-in page; the outbox tries again.
const REPLY_TIMEOUT: Duration = Duration::from_secs(15);

/// Providers commonly refuse more than ten connections from one client.
const MAX_CONNECTIONS: u32 = 4;

/// Shorter than the five minutes after which servers may hang up (RFC 5321 §4.5.3.2.7).
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

#[async_trait]
impl Transport for SmtpTransport {
    async fn deliver(&self, id: MailId, letter: &Letter) -> Result<(), DeliveryError> {
        let message = letter.compose(id, &self.from)?;
        match self.server.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(delivery_error(error)),
        }
    }
}

fn tls(
    host: &str,
    security: SmtpSecurity,
    authorities: Option<Vec<u8>>,
) -> Result<Tls, smtp::Error> {
    let parameters = || {
        let mut parameters = TlsParameters::builder(host.to_owned());
        if let Some(pem) = &authorities {
            parameters = parameters.add_root_certificate(Certificate::from_pem(pem)?);
        }
        parameters.build_rustls()
    };
    Ok(match security {
        SmtpSecurity::StartTls => Tls::Required(parameters()?),
        SmtpSecurity::Implicit => Tls::Wrapper(parameters()?),
        SmtpSecurity::Plain => Tls::None,
    })
}

fn delivery_error(error: smtp::Error) -> DeliveryError {
    match error.status().map(u16::from) {
        Some(reply) if refuses_recipient(reply) => DeliveryError::Refused { reply },
        Some(reply) => DeliveryError::Deferred { reply },
        // An answer that is not SMTP is left out like every other text of the server's.
        None if error.is_response() => {
            DeliveryError::Unreachable("the server does not answer in SMTP".into())
        }
        None => DeliveryError::Unreachable(error.into()),
    }
}

/// The replies about the mailbox or the mail (RFC 5321 §4.2.3, RFC 7504 §3). Other 5xx replies, such as 535
/// for a wrong password, are about us: an operator can mend those while the mail is still worth sending.
fn refuses_recipient(reply: u16) -> bool {
    matches!(reply, 550..=553 | 556)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Read, Write},
        net::TcpListener,
        sync::Arc,
        thread::JoinHandle,
    };

    use mail_parser::MessageParser;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::*;
    use crate::{clock::Timestamp, email_address::EmailAddress};

    /// One SMTP conversation: its replies to chosen commands, and what it heard.
    struct Server {
        port: u16,
        heard: JoinHandle<Vec<u8>>,
    }

    impl Server {
        fn start(replies: &'static [(&str, &str)], tls: Option<Arc<rustls::ServerConfig>>) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let heard = std::thread::spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(REPLY_TIMEOUT)).unwrap();
                match tls {
                    None => converse(stream, replies),
                    Some(config) => {
                        let connection = rustls::ServerConnection::new(config).unwrap();
                        converse(rustls::StreamOwned::new(connection, stream), replies)
                    }
                }
            });
            Self { port, heard }
        }

        fn transport(&self, security: SmtpSecurity, authorities: Option<Vec<u8>>) -> SmtpTransport {
            let from = "Example <no-reply@example.com>".parse().unwrap();
            let user = ("gate".to_owned(), "hunter2".to_owned());
            SmtpTransport::open(
                from,
                "localhost",
                self.port,
                security,
                Some(&user),
                authorities,
            )
            .unwrap()
        }

        /// What it heard, once the transport has hung up.
        async fn heard_from(self, transport: SmtpTransport) -> Vec<u8> {
            transport.server.shutdown().await;
            drop(transport);
            tokio::task::spawn_blocking(|| self.heard.join().unwrap())
                .await
                .unwrap()
        }
    }

    fn converse(stream: impl Read + Write, replies: &[(&str, &str)]) -> Vec<u8> {
        let mut stream = BufReader::new(stream);
        let mut heard = Vec::new();
        if stream.get_mut().write_all(b"220 here\r\n").is_err() {
            return heard;
        }
        let mut line = Vec::new();
        while stream
            .read_until(b'\n', &mut line)
            .is_ok_and(|bytes| bytes > 0)
        {
            let command = String::from_utf8_lossy(&line).to_ascii_uppercase();
            let reply = replies
                .iter()
                .find(|(start, _)| command.starts_with(start))
                .map_or("250 ok", |(_, reply)| reply);
            heard.append(&mut line);
            if stream
                .get_mut()
                .write_all(format!("{reply}\r\n").as_bytes())
                .is_err()
            {
                break;
            }
            if reply.starts_with("354") {
                while !heard.ends_with(b"\r\n.\r\n") {
                    if stream.read_until(b'\n', &mut heard).unwrap() == 0 {
                        return heard;
                    }
                }
                stream.get_mut().write_all(b"250 taken\r\n").unwrap();
            }
        }
        heard
    }

    fn letter() -> Letter {
        Letter {
            to: EmailAddress::parse("ann@example.com").unwrap(),
            subject: "Hello".into(),
            text: "Text".into(),
            html: "<p>Html</p>".into(),
            written_at: Timestamp::from_seconds(1_800_000_000),
        }
    }

    fn certificate_for_localhost() -> (Arc<rustls::ServerConfig>, Vec<u8>) {
        let issued = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let chain = vec![CertificateDer::from(issued.cert.der().to_vec())];
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        (Arc::new(config), issued.cert.pem().into_bytes())
    }

    const TAKES_MAIL: &[(&str, &str)] = &[
        ("EHLO", "250-here\r\n250 AUTH PLAIN"),
        ("AUTH", "235 welcome"),
        ("DATA", "354 go on"),
    ];

    async fn delivery_with(
        replies: &'static [(&str, &str)],
        security: SmtpSecurity,
    ) -> Result<(), DeliveryError> {
        let server = Server::start(replies, None);
        let transport = server.transport(security, None);
        transport.deliver(MailId::random(), &letter()).await
    }

    #[tokio::test]
    async fn over_implicit_tls_a_trusted_server_gets_the_mail() {
        let (config, authority) = certificate_for_localhost();
        let server = Server::start(TAKES_MAIL, Some(config));
        let transport = server.transport(SmtpSecurity::Implicit, Some(authority));
        transport
            .deliver(MailId::random(), &letter())
            .await
            .unwrap();
        let heard = server.heard_from(transport).await;
        let text = String::from_utf8_lossy(&heard);
        assert!(text.contains("RCPT TO:<ann@example.com>"));
        let data = heard
            .split(|byte| *byte == b'\n')
            .skip_while(|line| !line.starts_with(b"DATA"))
            .skip(1);
        let mail = data.collect::<Vec<_>>().join(&b'\n');
        let mail = MessageParser::default().parse(&mail).unwrap();
        assert_eq!(mail.subject(), Some("Hello"));
    }

    #[tokio::test]
    async fn a_server_whose_certificate_is_not_trusted_gets_nothing() {
        let (config, _) = certificate_for_localhost();
        let server = Server::start(TAKES_MAIL, Some(config));
        let transport = server.transport(SmtpSecurity::Implicit, None);
        let outcome = transport.deliver(MailId::random(), &letter()).await;
        assert!(
            matches!(outcome, Err(DeliveryError::Unreachable(_))),
            "{outcome:?}"
        );
        assert!(server.heard_from(transport).await.is_empty());
    }

    #[tokio::test]
    async fn a_server_without_starttls_gets_neither_password_nor_mail() {
        let server = Server::start(TAKES_MAIL, None);
        let transport = server.transport(SmtpSecurity::StartTls, None);
        let outcome = transport.deliver(MailId::random(), &letter()).await;
        assert!(
            matches!(outcome, Err(DeliveryError::Unreachable(_))),
            "{outcome:?}"
        );
        let heard = String::from_utf8(server.heard_from(transport).await).unwrap();
        assert!(
            !heard.contains("AUTH") && !heard.contains("MAIL"),
            "{heard}"
        );
    }

    #[tokio::test]
    async fn what_a_reply_means_for_the_mail() {
        let unknown: &[_] = &[
            ("EHLO", "250-here\r\n250 AUTH PLAIN"),
            ("AUTH", "235 ok"),
            ("RCPT", "550 no ann@example.com here"),
        ];
        let outcome = delivery_with(unknown, SmtpSecurity::Plain).await;
        assert!(
            matches!(outcome, Err(DeliveryError::Refused { reply: 550 })),
            "{outcome:?}"
        );
        assert!(!format!("{outcome:?} {}", outcome.as_ref().unwrap_err()).contains("ann@"));

        let busy: &[_] = &[
            ("EHLO", "250-here\r\n250 AUTH PLAIN"),
            ("AUTH", "235 ok"),
            ("RCPT", "451 later"),
        ];
        let outcome = delivery_with(busy, SmtpSecurity::Plain).await;
        assert!(
            matches!(outcome, Err(DeliveryError::Deferred { reply: 451 })),
            "{outcome:?}"
        );

        let locked: &[_] = &[
            ("EHLO", "250-here\r\n250 AUTH PLAIN"),
            ("AUTH", "535 wrong password"),
        ];
        let outcome = delivery_with(locked, SmtpSecurity::Plain).await;
        assert!(
            matches!(outcome, Err(DeliveryError::Deferred { reply: 535 })),
            "{outcome:?}"
        );
    }
}
