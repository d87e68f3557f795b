//! The command line: what operators type, and what they get back. Exit codes: 0 done, 1 not done, 2 the
//! command or the configuration is wrong.

mod account;
mod check;
mod help;
mod key;
mod logged;
mod manual;
mod next_step;
mod recovery;
mod serve;
mod session;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::Value;

use crate::{
    admin::AdminError,
    clock::Clock,
    config,
    core::{Core, OpenError},
    demo,
    server::StartError,
    telemetry::{LogFormat, SERVE_FILTER, start_logging},
};

/// A reverse proxy that puts passkey sign-in in front of web apps that know nothing of it.
#[derive(Debug, Parser)]
#[command(name = "gatehouse", version, about)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        env = "GATEHOUSE_CONFIG",
        default_value = "gatehouse.toml",
        value_name = "FILE"
    )]
    config: PathBuf,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it: a sample legacy app, the gateway and a local mailbox, with nothing to set up.
    Demo {
        /// The port of the gateway, on loopback.
        #[arg(long, default_value_t = 8080)]
        port: u16,
    },
    /// Run the gateway.
    Serve {
        /// How log lines are written.
        #[arg(long, value_enum, default_value = "json")]
        log: Log,
        /// A candidate configuration to try out: it is asked about every request and decides nothing.
        ///
        /// Where it would have decided otherwise, or forwarded to another upstream, the access
        /// log says so in `shadow`, `shadow_route` (a line of FILE) and `shadow_upstream`,
        /// `gatehouse_shadow_differences_total` counts it, and a line a minute sums up. FILE is
        /// read with the configuration in force, at the start and at every reload; one that
        /// cannot be used is told of in the log and by /readyz, and changes nothing. Only its
        /// routes and the names of its upstreams are compared. It is not learnt whether another
        /// upstream would answer, what headers it would get, or what FILE says of sessions,
        /// sign-in methods, certificates and listeners.
        #[arg(long, value_name = "FILE", verbatim_doc_comment)]
        shadow: Option<PathBuf>,
    },
    /// List every problem of the configuration: file, line, key, value and what is accepted.
    Check,
    /// Say which route a request falls under and what each kind of session would get; what was decided of one that
    /// is in the access log; or what a configuration would change for all that are.
    Explain(check::Explain),
    /// Accounts.
    #[command(subcommand)]
    Account(account::Account),
    /// Let somebody back in who has lost everything.
    #[command(subcommand)]
    Recovery(recovery::Recovery),
    /// Sessions.
    #[command(subcommand)]
    Session(session::Session),
    /// Signing keys: of sessions, and of what apps are told.
    #[command(subcommand)]
    Key(key::Key),
    /// Print what a shell needs to complete this command line.
    Completions(manual::Completions),
    /// Write the manual: one page for each command.
    Man(manual::Manual),
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Log {
    Text,
    Json,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The configuration is wrong; its problems were printed.
    #[error("the configuration has problems")]
    Config,
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Demo(#[from] demo::DemoError),
    #[error(transparent)]
    Log(#[from] logged::LogError),
    #[error("the runtime does not start")]
    Runtime(#[source] std::io::Error),
    #[error("cannot write {}; give a folder that you may write to", path.display())]
    Manual {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the sockets of the process before this one cannot be taken over")]
    Handover(#[source] std::io::Error),
}

/// What a command prints: for people, and for programs.
struct Report {
    text: String,
    json: Value,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let matches = help::described(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(&cli) {
        Ok(Some(report)) => {
            print(&cli.common, &report);
            ExitCode::SUCCESS
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure);
            match failure {
                Failure::Config | Failure::Usage(_) => ExitCode::from(2),
                Failure::Open(_)
                | Failure::Start(_)
                | Failure::Admin(_)
                | Failure::Demo(_)
                | Failure::Log(_)
                | Failure::Runtime(_)
                | Failure::Manual { .. }
                | Failure::Handover(_) => ExitCode::FAILURE,
            }
        }
    }
}

fn run(cli: &Cli) -> Result<Option<Report>, Failure> {
    match &cli.command {
        Command::Demo { port } => {
            start_logging(LogFormat::Text, "warn,gatehouse=info,access=off,audit=info");
            runtime()?.block_on(demo::run(*port))?;
            Ok(None)
        }
        Command::Serve { log, shadow } => {
            let format = match log {
                Log::Text => LogFormat::Text,
                Log::Json => LogFormat::Json,
            };
            start_logging(format, SERVE_FILTER);
            let (loaded, files) = config::read(&cli.common.config);
            let config = usable(loaded)?;
            let origin = serve::Origin::of_this_process().map_err(Failure::Handover)?;
            runtime()?.block_on(serve::run(config, files, shadow.as_ref(), origin))?;
            Ok(None)
        }
        Command::Check => check::check(&cli.common).map(Some),
        Command::Explain(explain) => check::explain(&cli.common, explain).map(Some),
        Command::Account(command) => {
            beside(&cli.common, async |core| account::run(&core, command).await)
        }
        Command::Recovery(command) => beside(&cli.common, async |core| {
            recovery::run(&core, command).await
        }),
        Command::Session(command) => {
            beside(&cli.common, async |core| session::run(&core, command).await)
        }
        Command::Key(command) => beside(&cli.common, async |core| key::run(&core, command).await),
        Command::Completions(asked) => Ok(Some(manual::completions(Cli::command(), asked))),
        Command::Man(asked) => manual::manual(Cli::command(), asked).map(Some),
    }
}

/// Runs a command on the store, beside a server that may be running.
fn beside(
    common: &Common,
    command: impl AsyncFnOnce(Core) -> Result<Report, Failure>,
) -> Result<Option<Report>, Failure> {
    start_logging(LogFormat::Text, "error");
    let config = load(common)?;
    runtime()?
        .block_on(async {
            let core = Core::open(config, Clock::system()).await?;
            command(core).await
        })
        .map(Some)
}

fn load(common: &Common) -> Result<config::Config, Failure> {
    usable(config::load(&common.config))
}

fn usable(loaded: Result<config::Loaded, config::Problems>) -> Result<config::Config, Failure> {
    match loaded {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("warning: {warning}");
            }
            Ok(loaded.config)
        }
        Err(problems) => {
            eprintln!("{problems}");
            Err(Failure::Config)
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)
}

fn print(common: &Common, report: &Report) {
    let text = if common.json {
        format!("{:#}\n", report.json)
    } else {
        format!("{}\n", report.text)
    };
    // Whoever reads it may have enough and close the pipe, as `head` does: that is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The failure and its causes in one line, and what to do in the next.
fn tell(failure: &Failure) {
    let mut line = format!("gatehouse: {failure}");
    let mut cause = std::error::Error::source(failure);
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    eprintln!("{line}\n{}", next_step::after(failure));
}
