//! `gatehouse demo`: a legacy app that knows nothing of authentication, a page that shows the mails
//! Gatehouse wrote, and the real gateway between them, configured by a real file in a temporary folder.
//!
//! App and mailbox are not part of the gateway; both are reached over HTTP like any app. Start with [`run`].

pub mod legacy_app;
pub mod mailbox;

use std::{io, net::SocketAddr, path::Path};

use tokio::{net::TcpListener, sync::watch};

use crate::{
    admin::{
        Acting, AdminError,
        accounts::{self, Invitee},
    },
    clock::Clock,
    config::{self, Problems},
    email_address::EmailAddress,
    server::{Gatehouse, StartError, signalled},
};

/// Why the demo does not run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No folder or listener of its own can be had.
    #[error("the demo cannot {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Its configuration is refused.
    #[error("the demo's configuration is refused: {0}")]
    Config(#[from] Problems),
    /// The gateway does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its account cannot be made.
    #[error(transparent)]
    Account(#[from] AdminError),
}

/// Runs the demo on loopback until the process is told to end; then nothing of it is left.
///
/// # Errors
/// When the port is taken or anything else it needs cannot be had.
pub async fn run(port: u16) -> Result<(), DemoError> {
    let folder = tempfile::tempdir().map_err(failed("make a temporary folder"))?;
    let (stop, stopped) = watch::channel(false);
    let (app, app_address) = listener().await?;
    let (mailbox, mailbox_address) = listener().await?;
    let mails = folder.path().join("mail");
    std::fs::create_dir(&mails).map_err(failed("make a mail folder"))?;
    let app = tokio::spawn(legacy_app::serve(app, stopped.clone()));
    let mailbox = tokio::spawn(mailbox::serve(mailbox, mails, stopped));
    let file = folder.path().join("gatehouse.toml");
    std::fs::write(&file, configuration(port, app_address))
        .map_err(failed("write its configuration"))?;
    let gatehouse = Gatehouse::start(config::load(&file)?.config, Clock::system()).await?;
    let invited = accounts::invite(&Acting::at_command_line(gatehouse.core(), None), ann()).await?;
    tell(port, &invited.link, mailbox_address, &file);
    signalled().await;
    gatehouse.stop().await;
    // An error says that both have ended already.
    let _ = stop.send(true);
    let _ = tokio::join!(app, mailbox);
    Ok(())
}

fn failed(action: &'static str) -> impl Fn(io::Error) -> DemoError {
    move |source| DemoError::Io { action, source }
}

async fn listener() -> Result<(TcpListener, SocketAddr), DemoError> {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .map_err(failed("listen on loopback"))?;
    let address = listener
        .local_addr()
        .map_err(failed("listen on loopback"))?;
    Ok((listener, address))
}

fn ann() -> Invitee {
    Invitee {
        email: EmailAddress::parse("ann@example.com"),
        login: Some("ann".to_owned()),
        name: Some("Ann Example".to_owned()),
        groups: vec!["admins".to_owned()],
        mail: false,
    }
}

fn configuration(port: u16, app: SocketAddr) -> String {
    include_str!("gatehouse.toml")
        .replace("{port}", &port.to_string())
        .replace("{app}", &app.to_string())
}

fn tell(port: u16, invitation: &str, mailbox: SocketAddr, file: &Path) {
    println!(
        "
Gatehouse stands in front of a sample app. Nothing was set up outside {folder}.

  1. Enrol as Ann with a passkey   {invitation}
  2. Open the app                  http://localhost:{port}/
  3. Sign out, then come back by passkey, or by email as ann@example.com (or anyone at example.com)
     The mailbox                   http://{mailbox}/
  4. Lose everything               http://localhost:{port}/.gatehouse/recover
     Ann rescues others at         http://localhost:{port}/.gatehouse/admin

Reading notes is low-stakes; moving money needs a passkey; /admin asks for it again after a minute.
The configuration is {file}. Ctrl-C ends the demo and removes all of it.
",
        folder = file.parent().unwrap_or(file).display(),
        file = file.display(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_configuration_is_one_that_check_accepts_without_a_warning() {
        let text = configuration(8080, "127.0.0.1:9000".parse().unwrap());
        let loaded = config::parse(&text, Path::new("demo.toml"), &|_| None).unwrap();
        assert_eq!(loaded.warnings, []);
    }
}
