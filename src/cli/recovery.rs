//! `gatehouse recovery …`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Failure, Report};
use crate::{
    admin::{
        Acting, accounts, actor_name,
        recovery::{self, Asked, Grounds, Handover, Pending},
    },
    core::Core,
    id::RecoveryId,
};

/// What to do with recoveries.
#[derive(Debug, Subcommand)]
pub enum Recovery {
    /// Print a one-time link with which somebody who has lost everything gets back in; where two
    /// administrators are needed, ask for it.
    Issue(Issue),
    /// Approve the recovery that another administrator asked for.
    Approve(Step),
    /// Print the link of an approved recovery, for whoever asked for it.
    Link(Step),
    /// Let mails and backup codes sign in again after somebody said "this was not me".
    Allow(Allow),
    /// List the recoveries whose link is still to be had.
    List,
}

#[derive(Debug, Args)]
pub struct Issue {
    /// Whose: id, login name or address.
    #[arg(long)]
    account: String,
    /// Who issues it; recorded.
    #[arg(long, value_name = "NAME")]
    admin: String,
    /// Why; recorded. May begin with lost-device:, broken-device:, passkey-gone: or no-other-way:
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Args)]
pub struct Allow {
    /// Whose: id, login name or address.
    #[arg(long)]
    account: String,
    /// Who does it; recorded.
    #[arg(long, value_name = "NAME")]
    admin: String,
}

#[derive(Debug, Args)]
pub struct Step {
    /// Which; `recovery list` shows it.
    #[arg(long, value_name = "ID")]
    request: String,
    /// Who does it; recorded.
    #[arg(long, value_name = "NAME")]
    admin: String,
}

pub(super) async fn run(core: &Core, command: &Recovery) -> Result<Report, Failure> {
    match command {
        Recovery::Issue(issue) => self::issue(core, issue).await,
        Recovery::Approve(step) => {
            let (acting, id) = step.read(core)?;
            let pending = recovery::approve(&acting, id).await?;
            Ok(Report {
                text: format!(
                    "The recovery of {} is approved; whoever asked for it can get the link now.",
                    pending.account.login
                ),
                json: json!({ "approved": pending.request }),
            })
        }
        Recovery::Link(step) => {
            let (acting, id) = step.read(core)?;
            Ok(show(&recovery::collect(&acting, id).await?))
        }
        Recovery::Allow(allow) => {
            let acting = acting(core, &allow.admin)?;
            let account = accounts::allow_recovery(&acting, &allow.account).await?;
            Ok(Report {
                text: format!(
                    "Mails and backup codes sign {} in again, as far as the person has chosen.",
                    account.login
                ),
                json: json!({ "allowed": account.id }),
            })
        }
        Recovery::List => list(core).await,
    }
}

impl Step {
    fn read<'a>(&self, core: &'a Core) -> Result<(Acting<'a>, RecoveryId), Failure> {
        let id = RecoveryId::parse(&self.request).ok_or_else(|| {
            let given = &self.request;
            Failure::Usage(format!(
                "--request {given:?} is not the id of a recovery; `recovery list` shows them"
            ))
        })?;
        Ok((acting(core, &self.admin)?, id))
    }
}

fn acting<'a>(core: &'a Core, admin: &str) -> Result<Acting<'a>, Failure> {
    let name = admin.trim();
    if name.is_empty() {
        return Err(Failure::Usage(
            "--admin is empty; say who does this".to_owned(),
        ));
    }
    Ok(Acting::at_command_line(core, Some(name.to_owned())))
}

async fn issue(core: &Core, issue: &Issue) -> Result<Report, Failure> {
    let grounds = Grounds::parse(&issue.reason)
        .ok_or_else(|| Failure::Usage("--reason says why in 1 to 500 characters".to_owned()))?;
    let acting = acting(core, &issue.admin)?;
    match recovery::ask(&acting, &issue.account, grounds).await? {
        Asked::Link(handover) => Ok(show(&handover)),
        Asked::Waits(Pending { request, account }) => {
            let (id, login) = (request.id, &account.login);
            Ok(Report {
                text: format!(
                    "The recovery of {login} waits for a second administrator:\n  \
                     gatehouse recovery approve --request {id} --admin NAME\n\
                     Then get the link, by the same name as now:\n  \
                     gatehouse recovery link --request {id} --admin {}",
                    issue.admin.trim()
                ),
                json: json!({ "waits": request }),
            })
        }
    }
}

fn show(handover: &Handover) -> Report {
    Report {
        text: format!(
            "One-time recovery link for {}, until {}:\n{}\n\
             Hand it over by a way that you have verified: call back on a number that you had before.",
            handover.account.login,
            handover.expires_at.for_people(),
            handover.link
        ),
        json: json!({
            "recovery": handover.recovery,
            "account": handover.account.id,
            "link": handover.link,
            "expires_at": handover.expires_at,
        }),
    }
}

async fn list(core: &Core) -> Result<Report, Failure> {
    let open = recovery::open(core, None).await?;
    let mut lines = Vec::new();
    for Pending { request, account } in &open {
        let asked = actor_name(core, &request.requested_by).await?;
        let approved = match &request.approved_by {
            Some(actor) => format!("approved by {}", actor_name(core, actor).await?),
            None => "not approved".to_owned(),
        };
        lines.push(format!(
            "{}  {}  {}  asked for by {asked}, {approved}  until {}",
            request.id,
            account.login,
            request.reason.name(),
            request.expires_at
        ));
    }
    let rows: Vec<Value> = open.iter().map(|pending| json!(pending.request)).collect();
    Ok(Report {
        text: lines.join("\n"),
        json: json!(rows),
    })
}
