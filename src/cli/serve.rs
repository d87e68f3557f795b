//! `gatehouse serve`: the life of the process, from the first socket to the last signal.
//!
//! SIGHUP takes up the configuration anew, SIGUSR2 hands over to a new process, SIGTERM and SIGINT end this one; a second
//! one ends it at once.

use std::{io::Write as _, path::PathBuf, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;
use crate::{
    clock::Clock,
    condition::in_one_line,
    config::{Config, Files},
    handover::{HandoverError, Predecessor, Program},
    open_files,
    server::Gatehouse,
    sockets::Sockets,
    systemd,
    telemetry::metrics::{ReloadOf, ReloadResult},
};

/// What the process came with.
pub struct Origin {
    program: Program,
    predecessor: Option<Predecessor>,
    sockets: Sockets,
}

impl Origin {
    /// Of this process. To be asked for before there are other threads.
    ///
    /// # Errors
    /// When a predecessor hands over nothing that can be used.
    pub fn of_this_process() -> std::io::Result<Self> {
        let program = Program::present()?;
        Ok(match Predecessor::of_this_process()? {
            Some((predecessor, sockets)) => Self {
                program,
                predecessor: Some(predecessor),
                sockets,
            },
            None => Self {
                program,
                predecessor: None,
                sockets: Sockets::of_systemd(),
            },
        })
    }
}

/// Serves until the process is told to end or has a successor.
pub async fn run(
    config: Config,
    files: Files,
    shadow: Option<&PathBuf>,
    origin: Origin,
) -> Result<(), Failure> {
    let mut signals = Signals::caught().map_err(Failure::Runtime)?;
    open_files::allow(&config);
    let mut gatehouse = Gatehouse::start_with(config, Clock::system(), origin.sockets).await?;
    if let Some(candidate) = shadow {
        gatehouse.try_out(candidate.clone()).await;
    }
    gatehouse.look_after(files);
    tell_addresses(&gatehouse);
    if let Some(predecessor) = origin.predecessor
        && let Err(error) = predecessor.tell_ready()
    {
        tracing::warn!(%error, "the process that this one succeeds is gone already");
    }
    systemd::ready();
    let alive = tokio::spawn(systemd::say_alive());
    let end = until_the_end(&gatehouse, &origin.program, &mut signals).await;
    alive.abort();
    let hurried = async {
        while signals.next().await != Told::End {}
        tracing::warn!("told to end twice: what is open is cut");
    };
    match end {
        End::Told => {
            systemd::stopping();
            gatehouse.end(hurried).await;
        }
        End::Succeeded => gatehouse.end_succeeded(hurried).await,
    }
    Ok(())
}

/// On standard output, so that a script can read the port that `:0` picked. It may have stopped listening: a successor
/// says it once more.
fn tell_addresses(gatehouse: &Gatehouse) {
    let mut out = std::io::stdout().lock();
    for address in gatehouse.addresses() {
        let _ = writeln!(out, "listening on {address}");
    }
    for address in gatehouse.redirect_addresses() {
        let _ = writeln!(out, "leading to HTTPS on {address}");
    }
    for address in gatehouse.admin_addresses() {
        let _ = writeln!(out, "admin on {address}");
    }
}

/// Why a process ends.
enum End {
    Told,
    Succeeded,
}

async fn until_the_end(gatehouse: &Gatehouse, program: &Program, signals: &mut Signals) -> End {
    loop {
        match signals.next().await {
            Told::Reload => gatehouse.core().reloads.ask(),
            Told::End => return End::Told,
            Told::Restart => {
                tracing::info!("a new process is started to go on in this one's place");
                let successor = program.succeed(gatehouse.sockets(), PATIENCE);
                tokio::select! {
                    succeeded = successor => {
                        if note(gatehouse, succeeded) {
                            return End::Succeeded;
                        }
                    }
                    () = signals.told_to_end(gatehouse) => return End::Told,
                }
            }
        }
    }
}

/// Says how a restart went; whether there is a successor.
fn note(gatehouse: &Gatehouse, succeeded: Result<u32, HandoverError>) -> bool {
    let core = gatehouse.core();
    let reloads = &core.metrics.reloads;
    match succeeded {
        Ok(process) => {
            reloads.count(ReloadOf::Program, ReloadResult::Taken);
            tracing::info!(
                process,
                "a new process serves; this one ends when its connections have"
            );
            systemd::succeeded_by(process);
            true
        }
        Err(error) => {
            reloads.count(ReloadOf::Program, ReloadResult::Refused);
            let problem = format!("a restart failed: {}", in_one_line(&error));
            tracing::error!(problem, "this process goes on serving");
            let condition = &core.condition.configuration;
            condition.note_trouble(problem, core.clock.now());
            false
        }
    }
}

/// For a successor to open its store and serve.
const PATIENCE: Duration = Duration::from_secs(60);

/// The signals that mean something.
struct Signals {
    hangup: Signal,
    user: Signal,
    terminate: Signal,
    interrupt: Signal,
}

/// What a signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Reload,
    Restart,
    End,
}

impl Signals {
    fn caught() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined2())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Told::End,
            _ = self.interrupt.recv() => Told::End,
            _ = self.user.recv() => Told::Restart,
            _ = self.hangup.recv() => Told::Reload,
        }
    }

    /// While a restart is under way; another one is not begun.
    async fn told_to_end(&mut self, gatehouse: &Gatehouse) {
        loop {
            match self.next().await {
                Told::Reload => gatehouse.core().reloads.ask(),
                Told::Restart => {}
                Told::End => return,
            }
        }
    }
}
