//! Mail over a real SMTP conversation: STARTTLS with a private authority, a password, and an outage.

use std::path::Path;

use crate::harness::{
    Gateway, app::App, certificates::Certificates, gateway::Setup, mailbox::Mailbox,
};

const ANN: &str = "ann@example.com";

/// A mail server that may be stopped and started again on its port.
struct MailServer {
    app: App,
    port: u16,
    mailbox: Mailbox,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_travels_by_smtp_with_starttls_and_signs_in() {
    let setup = Gateway::start();
    let certificates = Certificates::in_folder(setup.folder());
    let server = MailServer::start(setup.folder(), &certificates, 0);
    let gateway = by_smtp(setup, &server, &certificates.authority).await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person();
    ann.ask_for_mail(ANN, "/notes/1").await;
    let mail = server.mailbox.next(ANN).await;
    assert!(mail.raw.contains("From: ") && mail.raw.contains("no-reply@example.com"));
    ann.enter_code(&mail.code()).await;
    assert_eq!(ann.session_kind().await, "restricted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_certificate_of_an_unknown_authority_gets_no_mail() {
    let setup = Gateway::start();
    let certificates = Certificates::in_folder(setup.folder());
    let server = MailServer::start(setup.folder(), &certificates, 0);
    let unrelated = tempfile::tempdir().unwrap();
    let unrelated = Certificates::in_folder(unrelated.path());
    let gateway = by_smtp(setup, &server, &unrelated.authority).await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person();
    ann.ask_for_mail(ANN, "/").await;
    says_mail_may_be_late(&ann).await;
    assert_eq!(server.mailbox.count(ANN), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_accepted_during_an_outage_arrives_after_it() {
    let setup = Gateway::start();
    let certificates = Certificates::in_folder(setup.folder());
    let server = MailServer::start(setup.folder(), &certificates, 0);
    let folder = setup.folder().to_owned();
    let gateway = by_smtp(setup, &server, &certificates.authority).await;
    gateway.invite(ANN, &[]);
    let port = server.stop();

    let ann = gateway.person();
    assert!(
        ann.ask_for_mail(ANN, "/notes/1")
            .await
            .status
            .is_redirection()
    );
    says_mail_may_be_late(&ann).await;

    let server = MailServer::start(&folder, &certificates, port);
    gateway.after(5);
    let mail = server.mailbox.next(ANN).await;
    ann.enter_code(&mail.code()).await;
    assert_eq!(ann.session_kind().await, "restricted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_accepted_before_a_restart_arrives_after_it() {
    let setup = Gateway::start();
    let certificates = Certificates::in_folder(setup.folder());
    let server = MailServer::start(setup.folder(), &certificates, 0);
    let folder = setup.folder().to_owned();
    let mut gateway = by_smtp(setup, &server, &certificates.authority).await;
    gateway.invite(ANN, &[]);
    let port = server.stop();
    let ann = gateway.person();
    ann.ask_for_mail(ANN, "/").await;

    gateway.restart().await;
    let server = MailServer::start(&folder, &certificates, port);
    gateway.after(5);
    let mail = server.mailbox.next(ANN).await;
    ann.enter_code(&mail.code()).await;
    assert_eq!(ann.session_kind().await, "restricted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_no_longer_worth_sending_is_not_sent() {
    let setup = Gateway::start();
    let certificates = Certificates::in_folder(setup.folder());
    let server = MailServer::start(setup.folder(), &certificates, 0);
    let folder = setup.folder().to_owned();
    let gateway = by_smtp(setup, &server, &certificates.authority).await;
    gateway.invite(ANN, &[]);
    gateway.invite("bob@example.com", &[]);
    let port = server.stop();
    gateway.person().ask_for_mail(ANN, "/").await;
    gateway.after(20);
    let server = MailServer::start(&folder, &certificates, port);
    gateway.person().ask_for_mail("bob@example.com", "/").await;
    server.mailbox.next("bob@example.com").await;
    assert_eq!(server.mailbox.count(ANN), 0);
}

impl MailServer {
    fn start(folder: &Path, certificates: &Certificates, port: u16) -> Self {
        let mails = folder.join("smtp");
        std::fs::create_dir_all(&mails).unwrap();
        let port = port.to_string();
        let [mails_text, certificate, key] = [&mails, &certificates.certificate, &certificates.key]
            .map(|path| path.to_str().unwrap());
        let mut app = App::start("smtp_server.py", &[mails_text, certificate, key, &port]);
        let port = app.address().port();
        Self {
            app,
            port,
            mailbox: Mailbox::new(&mails),
        }
    }

    /// Gives the port, to start again there.
    fn stop(self) -> u16 {
        drop(self.app);
        self.port
    }
}

async fn by_smtp(setup: Setup, server: &MailServer, authority: &Path) -> Gateway {
    let url = format!(
        "url = 'smtp://gatehouse:open-sesame@localhost:{}?ca={}'\nfrom = 'Example <no-reply@example.com>'",
        server.port,
        authority.display()
    );
    setup.with("mail", &url).await
}

async fn says_mail_may_be_late(person: &crate::harness::Person) {
    let page = person.open("/.gatehouse/sign-in/code").await;
    assert!(page.text().contains("may be late"), "{}", page.text());
}
