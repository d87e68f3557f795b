//! What to do when a command was not carried out: one line below the one that says why.

use std::{borrow::Cow, io::ErrorKind, net::SocketAddr};

use super::{Failure, logged::LogError};
use crate::{
    admin::AdminError, core::OpenError, demo::DemoError, gateway::GatewayError, mail,
    server::StartError, session::SessionsError, store::StoreError,
};

/// The next step after this failure.
pub(super) fn after(failure: &Failure) -> Cow<'static, str> {
    match failure {
        Failure::Config => "Mend the lines above, then ask `gatehouse check` again.".into(),
        Failure::Usage(_) => "Add --help to the command to see what is accepted, with examples.".into(),
        Failure::Open(error) => open(error),
        Failure::Start(error) => start(error),
        Failure::Admin(error) => admin(error),
        Failure::Demo(error) => demo(error),
        Failure::Runtime(_) => {
            "The system lets this user start no more threads: end something, or raise its limits (`ulimit -u`).".into()
        }
        Failure::Log(error) => log(error),
        Failure::Handover(_) => {
            "Start it by itself, without the environment of another gatehouse.".into()
        }
        Failure::Manual { .. } => "Give another folder, or none to have the main page printed.".into(),
    }
}

fn open(error: &OpenError) -> Cow<'static, str> {
    match error {
        OpenError::Store { source, .. } => store(source),
        OpenError::Sessions(SessionsError::Store(error)) => store(error),
        OpenError::Sessions(SessionsError::WrongSecret) => {
            "Give the secret that the store was made with: server.secret, or the file *.secret beside the store, from a \
             backup if need be."
                .into()
        }
        OpenError::SecretFile { .. } => {
            "Let the gateway's user read and write the file and its folder, or set server.secret.".into()
        }
        OpenError::SecretContent { .. } => {
            "Restore it from a backup. For a store that is new as well, remove the file: another is made.".into()
        }
        OpenError::RelyingParty(_) => {
            "Mend relying_party.id and relying_party.origins, then ask `gatehouse check`.".into()
        }
    }
}

fn store(error: &StoreError) -> Cow<'static, str> {
    match error {
        StoreError::Unavailable { .. } => "Do what stands at the end of that line, then try again.".into(),
        StoreError::Corrupt { .. } => {
            "Restore a backup of the store, and please report it with the line above: this should not be.".into()
        }
        StoreError::Newer { .. } => {
            "Run the version of Gatehouse that wrote it or a later one, or restore a backup from before.".into()
        }
    }
}

fn start(error: &StartError) -> Cow<'static, str> {
    match error {
        StartError::Open(error) => open(error),
        StartError::Listen { address, source } => listen(*address, source.kind()),
        StartError::Gateway(error) => gateway(error),
        StartError::Mail(error) => mail(error),
        StartError::AccessLog(_) => {
            "Let the gateway's user write the file and its folder, or change log.access_file."
                .into()
        }
        StartError::Traces(_) => {
            "Mend traces.endpoint and what else stands in [traces], then ask `gatehouse check`."
                .into()
        }
    }
}

fn listen(address: SocketAddr, kind: ErrorKind) -> Cow<'static, str> {
    let port = address.port();
    match kind {
        ErrorKind::AddrInUse => format!(
            "Another program listens there (`ss -ltnp 'sport = :{port}'` says which): end it, or change the address in \
             server.listen or server.redirect_listen."
        )
        .into(),
        ErrorKind::PermissionDenied => format!(
            "Port {port} needs the capability CAP_NET_BIND_SERVICE: AmbientCapabilities= in a systemd unit, or `setcap \
             cap_net_bind_service=+ep` on the program; or take a port from 1024 on."
        )
        .into(),
        ErrorKind::AddrNotAvailable => {
            "No interface of this machine has that address (`ip address` lists those there are); 0.0.0.0 and [::] are \
             all of them."
                .into()
        }
        _ => "Change the address in server.listen or server.redirect_listen.".into(),
    }
}

fn gateway(error: &GatewayError) -> Cow<'static, str> {
    match error {
        GatewayError::Tls(_) => {
            "Mend the file: the gateway's user has to be able to read it, in PEM form, the key belonging to the \
             certificate. `gatehouse check` looks at all of them."
                .into()
        }
        GatewayError::Listener(_) => "Change the address in server.listen or server.redirect_listen.".into(),
        GatewayError::Proxy(_) => "Please report it with the line above: this should not be.".into(),
        GatewayError::Authorities { variable, .. } => {
            format!("Unset {variable}, or have it name authorities that are there.").into()
        }
    }
}

fn mail(error: &mail::OpenError) -> Cow<'static, str> {
    match error {
        mail::OpenError::ReadAuthorities { .. } | mail::OpenError::NoAuthorities { .. } => {
            "Have mail.ca name a file of certificates in PEM form that the gateway's user can read."
                .into()
        }
        mail::OpenError::Tls { .. } => {
            "Mend mail.url and mail.ca, then ask `gatehouse check`.".into()
        }
        mail::OpenError::MakeFolder { .. } => {
            "Let the gateway's user write there, or have mail.url name another folder.".into()
        }
    }
}

fn admin(error: &AdminError) -> Cow<'static, str> {
    match error {
        AdminError::Store(error) => store(error),
        AdminError::NoAccount(_) => {
            "`gatehouse account list` shows all accounts; `--find TEXT` looks for some.".into()
        }
        AdminError::NoSession(_) => "`gatehouse session list` shows those that are live.".into(),
        AdminError::NoPasskey(name) => format!("`gatehouse account show {name}` lists its passkeys.").into(),
        AdminError::RecoveryOver(_) => "Ask for another one with `gatehouse recovery issue`.".into(),
        AdminError::Nameless => "Give --email, --login, or both.".into(),
        AdminError::Taken(_) => {
            "`gatehouse account list --find TEXT` shows which; give another name, or use that account.".into()
        }
        AdminError::Disabled(name) => format!("`gatehouse account enable {name}` lets it sign in again.").into(),
        AdminError::HasHadPasskeys(name) => format!(
            "Make sure who asks, then `gatehouse recovery issue --account {name} --admin NAME --reason TEXT`."
        )
        .into(),
        AdminError::AdministratorsGroup => "Do it at the command line of the server.".into(),
        AdminError::OwnAccount => "Have another administrator do it.".into(),
        AdminError::OwnRequest => {
            "Have another administrator look at it, then give their name as --admin.".into()
        }
        AdminError::OthersRequest => {
            "`gatehouse recovery list` says who asked: they get the link by their own --admin NAME.".into()
        }
        AdminError::NotApproved => {
            "Have another administrator run `gatehouse recovery approve`, then try again.".into()
        }
        AdminError::NoMail(_) => {
            "Leave --mail out and hand over the link that is printed, or say in [mail] how mail leaves.".into()
        }
    }
}

fn log(error: &LogError) -> Cow<'static, str> {
    match error {
        LogError::Unreadable { .. } => {
            "Name the file with --log, or have a user who may read it ask; - is standard input.".into()
        }
        LogError::Store(error) => store(error),
        LogError::NotFound { .. } => {
            "Take the number whole from the page or the answer's X-Request-Id, and look in older files too.".into()
        }
        LogError::Changes(_) => {
            "Look at them with --json, and leave --fail-on-change out once they are what you want.".into()
        }
    }
}

fn demo(error: &DemoError) -> Cow<'static, str> {
    match error {
        DemoError::Io { .. } => {
            "Let this user write to the system's folder for temporary files (TMPDIR).".into()
        }
        DemoError::Config(_) => "Please report it with the line above: this should not be.".into(),
        DemoError::Start(StartError::Listen { .. }) => "Take another port with --port.".into(),
        DemoError::Start(error) => start(error),
        DemoError::Account(error) => admin(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{io, path::PathBuf};

    use super::*;

    fn io(kind: ErrorKind) -> io::Error {
        kind.into()
    }

    fn unavailable() -> StoreError {
        StoreError::Unavailable {
            action: "open its file",
            source: Box::new(io(ErrorKind::PermissionDenied)),
        }
    }

    fn listening(kind: ErrorKind) -> StartError {
        StartError::Listen {
            address: "127.0.0.1:443".parse().unwrap(),
            source: io(kind),
        }
    }

    fn file() -> PathBuf {
        "store.db".into()
    }

    /// One of each kind that can be made here; the compiler sees to it that none has no next step.
    fn failures() -> Vec<Failure> {
        let name = || "ann".to_owned();
        let admin = [
            AdminError::Store(unavailable()),
            AdminError::Store(StoreError::Corrupt { what: "session" }),
            AdminError::NoAccount(name()),
            AdminError::NoSession(name()),
            AdminError::NoPasskey(name()),
            AdminError::RecoveryOver(name()),
            AdminError::Nameless,
            AdminError::Taken("login name"),
            AdminError::Disabled(name()),
            AdminError::HasHadPasskeys(name()),
            AdminError::AdministratorsGroup,
            AdminError::OwnAccount,
            AdminError::OwnRequest,
            AdminError::OthersRequest,
            AdminError::NotApproved,
            AdminError::NoMail("the configuration has no [mail]"),
        ];
        let open = [
            OpenError::Store {
                path: file(),
                source: StoreError::Newer { found: 9, known: 5 },
            },
            OpenError::Sessions(SessionsError::WrongSecret),
            OpenError::SecretFile {
                path: name(),
                action: "read",
                source: io(ErrorKind::PermissionDenied),
            },
            OpenError::SecretContent { path: name() },
        ];
        let kinds = [
            ErrorKind::AddrInUse,
            ErrorKind::PermissionDenied,
            ErrorKind::AddrNotAvailable,
            ErrorKind::Other,
        ];
        let start = [
            StartError::Gateway(GatewayError::Authorities {
                variable: "SSL_CERT_FILE",
                path: name(),
            }),
            StartError::Gateway(GatewayError::Listener(io(ErrorKind::Other))),
            StartError::Mail(mail::OpenError::NoAuthorities { file: file() }),
            StartError::Mail(mail::OpenError::MakeFolder {
                folder: file(),
                source: io(ErrorKind::PermissionDenied),
            }),
        ];
        let others = [
            Failure::Config,
            Failure::Usage("--admin is empty; say who does this".to_owned()),
            Failure::Runtime(io(ErrorKind::WouldBlock)),
            Failure::Manual {
                path: file(),
                source: io(ErrorKind::PermissionDenied),
            },
            Failure::Demo(DemoError::Start(listening(ErrorKind::AddrInUse))),
            Failure::Demo(DemoError::Io {
                action: "make a temporary folder",
                source: io(ErrorKind::StorageFull),
            }),
        ];
        let admin = admin.into_iter().map(Failure::Admin);
        let open = open.into_iter().map(Failure::Open);
        let listen = kinds
            .map(listening)
            .into_iter()
            .chain(start)
            .map(Failure::Start);
        admin.chain(open).chain(listen).chain(others).collect()
    }

    #[test]
    fn every_failure_says_what_happened_and_what_to_do_in_whole_plain_sentences() {
        for failure in failures() {
            let (said, next) = (failure.to_string(), after(&failure));
            assert!(said.len() > 15, "{said}");
            assert!(next.len() > 20 && next.ends_with('.'), "{said}: {next}");
            assert!(
                next.starts_with(|first: char| first.is_uppercase() || first == '`'),
                "{next}"
            );
            for jargon in [
                "Err(", "Some(", "None", "unwrap", "sqlx", "panic", "errno", "  ",
            ] {
                assert!(
                    !said.contains(jargon) && !next.contains(jargon),
                    "{said}: {next}"
                );
            }
        }
    }
}
