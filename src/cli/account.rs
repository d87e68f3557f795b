//! `gatehouse account …`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Failure, Report};
use crate::{
    admin::accounts::{self, Invitee, Shown},
    core::Core,
    email_address::EmailAddress,
    store::{Account as Stored, AccountState, is_group},
};

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum Account {
    /// Make an account, or take the one with this address, and print its one-time enrolment link.
    Invite(Invite),
    /// List all accounts.
    List,
    /// Show one account: passkeys, sessions, recent audit records.
    Show(Name),
    /// Forbid an account to sign in, and end its sessions.
    Disable(Name),
    /// Let an account sign in again.
    Enable(Name),
    /// Delete an account with its passkeys and sessions.
    Delete(Name),
}

#[derive(Debug, Args)]
pub struct Invite {
    /// The person's address.
    #[arg(long)]
    email: String,
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
    #[arg(long)]
    mail: bool,
}

#[derive(Debug, Args)]
pub struct Name {
    /// Id, login name or address.
    account: String,
}

pub(super) async fn run(core: &Core, command: &Account) -> Result<Report, Failure> {
    match command {
        Account::Invite(invite) => self::invite(core, invite).await,
        Account::List => {
            let all = accounts::list(core).await?;
            Ok(Report {
                text: all.iter().map(line).collect::<Vec<_>>().join("\n"),
                json: json!(all),
            })
        }
        Account::Show(name) => Ok(show(&accounts::show(core, &name.account).await?)),
        Account::Disable(name) => set_state(core, name, AccountState::Disabled).await,
        Account::Enable(name) => set_state(core, name, AccountState::Active).await,
        Account::Delete(name) => {
            let gone = accounts::delete(core, &name.account).await?;
            Ok(Report {
                text: format!("{} is deleted.", gone.login),
                json: json!({ "deleted": gone.id }),
            })
        }
    }
}

async fn invite(core: &Core, invite: &Invite) -> Result<Report, Failure> {
    let email = EmailAddress::parse(&invite.email).ok_or_else(|| {
        Failure::Usage(format!(
            "--email {:?} is not an address such as ann@example.com",
            invite.email
        ))
    })?;
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
    let invited = accounts::invite(core, invitee).await?;
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

async fn set_state(core: &Core, name: &Name, state: AccountState) -> Result<Report, Failure> {
    let account = accounts::set_state(core, &name.account, state).await?;
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
        text.push(format!(
            "passkey  {}  {kind}  saved {}",
            credential.label, credential.created_at
        ));
    }
    for session in &shown.sessions {
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
    for record in &shown.audit {
        text.push(format!("audit    {}  {}", record.at, json!(record.event)));
    }
    let credentials: Vec<_> = shown
        .credentials
        .iter()
        .map(|credential| {
            json!({
                "id": credential.id,
                "label": credential.label,
                "backup_state": credential.backup_state,
                "created_at": credential.created_at,
                "last_used_at": credential.last_used_at,
            })
        })
        .collect();
    Report {
        text: text.join("\n"),
        json: json!({
            "account": shown.account,
            "passkeys": credentials,
            "sessions": shown.sessions,
            "audit": shown.audit,
        }),
    }
}
