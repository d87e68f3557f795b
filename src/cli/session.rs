//! `gatehouse session …`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{Failure, Report, account::Actor};
use crate::{
    admin::sessions::{self, Kind, Which},
    config::Period,
    core::Core,
    id::SessionId,
};

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub enum Session {
    /// Print one Cookie header of a new session, for load tests and monitoring. Audited.
    Issue(Issue),
    /// List live sessions, one line for each sign-in.
    List(List),
    /// End sessions, within a second on every node.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub struct Issue {
    /// Whose: id, login name or address.
    #[arg(long)]
    account: String,
    /// What the session may do.
    #[arg(long, value_enum)]
    access: Access,
    /// How long it lasts, such as 10m.
    #[arg(long, value_parser = duration)]
    ttl: Duration,
    #[command(flatten)]
    actor: Actor,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Access {
    Full,
    Restricted,
    #[value(name = "step_up")]
    StepUp,
}

#[derive(Debug, Args)]
pub struct List {
    /// Of this account alone.
    #[arg(long)]
    account: Option<String>,
}

#[derive(Debug, Args)]
pub struct Revoke {
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    actor: Actor,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Chosen {
    /// All of this account.
    #[arg(long)]
    account: Option<String>,
    /// This one.
    #[arg(long)]
    id: Option<String>,
    /// All there are.
    #[arg(long)]
    all: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<Period>().map(Period::duration)
}

pub(super) async fn run(core: &Core, command: &Session) -> Result<Report, Failure> {
    match command {
        Session::Issue(issue) => {
            let kind = match issue.access {
                Access::Full => Kind::Full,
                Access::Restricted => Kind::Restricted,
                Access::StepUp => Kind::StepUp,
            };
            let pair =
                sessions::issue(&issue.actor.acting(core), &issue.account, kind, issue.ttl).await?;
            Ok(Report {
                text: format!("Cookie: {pair}"),
                json: json!({ "cookie": pair }),
            })
        }
        Session::List(list) => {
            let live = sessions::list(core, list.account.as_deref()).await?;
            let lines = live.iter().map(|family| {
                let session = &family.session;
                let kind = if session.restricted {
                    "restricted"
                } else {
                    "full"
                };
                let (id, account, device) = (session.id, session.account, &session.device);
                format!(
                    "{id}  {account}  {kind:10}  {}  until {}  {device}  {}",
                    session.method,
                    session.expires_at,
                    family.hosts.join(" ")
                )
            });
            Ok(Report {
                text: lines.collect::<Vec<_>>().join("\n"),
                json: json!(live),
            })
        }
        Session::Revoke(revoke) => {
            let ended =
                sessions::revoke(&revoke.actor.acting(core), &which(&revoke.chosen)?).await?;
            Ok(Report {
                text: format!("{ended} session(s) ended."),
                json: json!({ "ended": ended }),
            })
        }
    }
}

fn which(chosen: &Chosen) -> Result<Which, Failure> {
    match (&chosen.id, &chosen.account) {
        (Some(id), _) => SessionId::parse(id)
            .map(|id| Which::One { id, of: None })
            .ok_or_else(|| {
                Failure::Usage(format!(
                    "--id {id:?} is not a session id; `session list` shows them"
                ))
            }),
        (None, Some(account)) => Ok(Which::Account(account.clone())),
        (None, None) => Ok(Which::All),
    }
}
