//! `gatehouse account …`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Failure, Report};
use crate::{
    admin::{
        Acting,
        accounts::{self, Invitee, Shown},
        passkeys,
    },
    core::Core,
    email_address::EmailAddress,
    id::CredentialId,
    store::{Account as Stored, AccountState, Standing, is_group},
};

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum Account {
    /// Make an account, or take the one with this address or login name, and print its one-time enrolment link.
    Invite(Invite),
    /// List all accounts, or those that a search finds.
    List(List),
    /// Show one account: passkeys, sessions, recent audit records.
    Show(Name),
    /// Forbid an account to sign in, and end its sessions.
    Disable(Act),
    /// Let an account sign in again.
    Enable(Act),
    /// Delete an account with its passkeys and sessions.
    Delete(Act),
    /// Passkeys of an account.
    #[command(subcommand)]
    Passkey(Passkey),
}

#[derive(Debug, Args)]
pub struct List {
    /// At most 50 accounts whose login name, address or name contains this.
    #[arg(long, value_name = "TEXT")]
    find: Option<String>,
}

/// What to do with passkeys.
#[derive(Debug, Subcommand)]
pub enum Passkey {
    /// Remove a passkey and end the sessions that it opened.
    Remove(RemovePasskey),
}

#[derive(Debug, Args)]
pub struct RemovePasskey {
    /// Whose: id, login name or address.
    #[arg(long)]
    account: String,
    /// Which; `account show` lists them.
    #[arg(long, value_name = "ID")]
    credential: String,
    #[command(flatten)]
    actor: Actor,
}

/// Who acts.
#[derive(Debug, Args)]
pub struct Actor {
    /// Who does this; recorded.
    #[arg(long, value_name = "NAME")]
    admin: Option<String>,
}

impl Actor {
    /// Whoever it is, at work.
    pub fn acting<'a>(&self, core: &'a Core) -> Acting<'a> {
        Acting::at_command_line(core, self.admin.clone())
    }
}

#[derive(Debug, Args)]
pub struct Act {
    #[command(flatten)]
    name: Name,
    #[command(flatten)]
    actor: Actor,
}

#[derive(Debug, Args)]
pub struct Invite {
    /// The person's address. Without one, they come back by backup codes, another device or an administrator.
    #[arg(long, required_unless_present = "login")]
    email: Option<String>,
    /// The login name told to upstreams; the address unless given.
    #[arg(long)]
    login: Option<String>,
    /// The person's name.
    #[arg(long)]
    name: Option<String>,
    /// A group; may be given several times.
    #[arg(long = "group")]
    groups: Vec<String>,
    /// Mail the link as well.
    #[arg(long, requires = "email")]
    mail: bool,
    #[command(flatten)]
    actor: Actor,
}

#[derive(Debug, Args)]
pub struct Name {
    /// Id, login name or address.
    account: String,
}

pub(super) async fn run(core: &Core, command: &Account) -> Result<Report, Failure> {
    match command {
        Account::Invite(invite) => self::invite(core, invite).await,
        Account::List(list) => {
            let all = match &list.find {
                Some(text) => accounts::find(core, text).await?,
                None => accounts::list(core).await?,
            };
            Ok(Report {
                text: all.iter().map(line).collect::<Vec<_>>().join("\n"),
                json: json!(all),
            })
        }
        Account::Show(name) => Ok(show(&accounts::show(core, &name.account).await?)),
        Account::Disable(act) => set_state(core, act, AccountState::Disabled).await,
        Account::Enable(act) => set_state(core, act, AccountState::Active).await,
        Account::Passkey(Passkey::Remove(remove)) => remove_passkey(core, remove).await,
        Account::Delete(act) => {
            let gone = accounts::delete(&act.actor.acting(core), &act.name.account).await?;
            Ok(Report {
                text: format!("{} is deleted.", gone.login),
                json: json!({ "deleted": gone.id }),
            })
        }
    }
}

async fn invite(core: &Core, invite: &Invite) -> Result<Report, Failure> {
    let email = invite.email.as_deref().map(address).transpose()?;
    if let Some(group) = invite.groups.iter().find(|group| !is_group(group)) {
        return Err(Failure::Usage(format!(
            "--group {group:?}: a group is 1 to 64 letters, digits, or any of - _ . : @"
        )));
    }
    let invitee = Invitee {
        email,
        login: invite.login.clone(),
        name: invite.name.clone(),
        groups: invite.groups.clone(),
        mail: invite.mail,
    };
    let invited = accounts::invite(&invite.actor.acting(core), invitee).await?;
    let login = &invited.account.login;
    let mailed = if invite.mail {
        "It was mailed as well."
    } else {
        "Hand it over by a way you trust."
    };
    Ok(Report {
        text: format!("One-time link for {login}:\n{}\n{mailed}", invited.link),
        json: json!({ "account": invited.account, "link": invited.link }),
    })
}

fn address(text: &str) -> Result<EmailAddress, Failure> {
    EmailAddress::parse(text).ok_or_else(|| {
        Failure::Usage(format!(
            "--email {text:?} is not an address such as ann@example.com"
        ))
    })
}

async fn remove_passkey(core: &Core, remove: &RemovePasskey) -> Result<Report, Failure> {
    let id = CredentialId::parse(&remove.credential).ok_or_else(|| {
        let given = &remove.credential;
        Failure::Usage(format!(
            "--credential {given:?} is not the id of a passkey; `account show --json` lists them"
        ))
    })?;
    let removed = passkeys::remove(&remove.actor.acting(core), &remove.account, &id).await?;
    Ok(Report {
        text: format!(
            "The passkey {:?} is removed; the sessions that it opened have ended.",
            removed.label
        ),
        json: json!({ "removed": removed.id }),
    })
}

async fn set_state(core: &Core, act: &Act, state: AccountState) -> Result<Report, Failure> {
    let account = accounts::set_state(&act.actor.acting(core), &act.name.account, state).await?;
    let login = &account.login;
    let text = match state {
        AccountState::Active => format!("{login} can sign in."),
        AccountState::Disabled => {
            format!("{login} can no longer sign in; all sessions have ended.")
        }
    };
    Ok(Report {
        text,
        json: json!(account),
    })
}

fn line(account: &Stored) -> String {
    let state = match account.state {
        AccountState::Active => "active",
        AccountState::Disabled => "disabled",
    };
    format!(
        "{}  {state:8}  {}  {}",
        account.id,
        account.login,
        account.groups.join(",")
    )
}

fn show(shown: &Shown) -> Report {
    let mut text = vec![line(&shown.account)];
    for credential in &shown.credentials {
        let kind = if credential.backup_state {
            "synced"
        } else {
            "device-bound"
        };
        let standing = match credential.standing {
            Standing::Good => String::new(),
            Standing::Held { until } => format!("  waits until {until}"),
            Standing::Frozen { since } => format!("  stopped {since}"),
        };
        text.push(format!(
            "passkey  {}  {}  {kind}  saved {}{standing}",
            credential.id, credential.label, credential.created_at
        ));
    }
    if let Some(codes) = shown.backup_codes {
        let closed = if codes.closed {
            "  closed by too many wrong ones"
        } else {
            ""
        };
        text.push(format!(
            "codes    {} of {} left  made {}{closed}",
            codes.left, codes.total, codes.made_at
        ));
    }
    for family in &shown.sessions {
        let session = &family.session;
        let kind = if session.restricted {
            "restricted"
        } else {
            "full"
        };
        text.push(format!(
            "session  {}  {kind}  {}  until {}",
            session.id, session.device, session.expires_at
        ));
    }
    for open in &shown.recoveries {
        let request = &open.request;
        text.push(format!(
            "recovery {}  {}  until {}",
            request.id,
            request.reason.name(),
            request.expires_at
        ));
    }
    for record in &shown.audit {
        text.push(format!("audit    {}  {}", record.at, json!(record.event)));
    }
    Report {
        text: text.join("\n"),
        json: shown.json(),
    }
}
