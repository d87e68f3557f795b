//! The pages of administrators: finding an account, seeing all of it, inviting. What is done to an account is
//! in [`acts`], letting somebody back in in [`recoveries`].

mod acts;
mod recoveries;
mod words;

use std::sync::Arc;

use axum::{Router, extract::Path, response::Response, routing::get};
use serde::Deserialize;

use super::{
    AdminError, Administrator, accounts,
    accounts::{Invitee, MAX_FOUND},
    recovery,
};
use crate::{
    core::Core,
    email_address::EmailAddress,
    id::AccountId,
    store::is_group,
    web::{
        ask::{Form, Query},
        error::{Outcome, Refusal},
        pages::{AdminAccount, AdminHandover, AdminHome, AdminInvite, InviteForm},
    },
};

const HOME: &str = "/.gatehouse/admin";
const INVITE: &str = "/.gatehouse/admin/invite";

/// All of them.
pub(super) fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(HOME, get(home))
        .route("/.gatehouse/admin/accounts/{id}", get(account))
        .route(INVITE, get(ask_whom).post(invite))
        .merge(acts::router())
        .merge(recoveries::router())
}

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    query: String,
}

async fn home(admin: Administrator, Query(search): Query<Search>) -> Outcome {
    let core = &*admin.ask.core;
    let query = search.query.trim();
    let found = accounts::find(core, query).await?;
    admin.ask.page(&AdminHome {
        frame: admin.ask.frame(),
        query,
        more: u32::try_from(found.len()).is_ok_and(|found| found == MAX_FOUND),
        found: found.iter().map(words::found).collect(),
        open: recovery::open(core, None).await?.len(),
    })
}

#[derive(Deserialize)]
struct AccountQuery {
    done: Option<Done>,
}

/// What was just done, to be said once at the top.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Done {
    Disabled,
    Enabled,
    SessionsEnded,
    SessionEnded,
    PasskeyRemoved,
    RecoveryAllowed,
}

impl Done {
    const fn sentence(self) -> &'static str {
        match self {
            Self::Disabled => "The account is disabled, and all of its sessions have ended.",
            Self::Enabled => "The account can sign in again.",
            Self::SessionsEnded => "All sessions of the account have ended.",
            Self::SessionEnded => "That session has ended.",
            Self::PasskeyRemoved => {
                "The passkey was removed, and the sessions it had opened were ended."
            }
            Self::RecoveryAllowed => {
                "Mails and backup codes sign in again, as far as the person has chosen."
            }
        }
    }
}

async fn account(
    admin: Administrator,
    Path(id): Path<String>,
    Query(query): Query<AccountQuery>,
) -> Outcome {
    let ask = &admin.ask;
    let id = AccountId::parse(&id).ok_or(Refusal::NOT_FOUND)?;
    let shown = accounts::show(&ask.core, &id.to_string()).await?;
    let account = &shown.account;
    let blocked_at = account.recovery.blocked_at;
    ask.page(&AdminAccount {
        frame: ask.frame(),
        account: words::found(account),
        name: account.name.as_deref(),
        email: account
            .email
            .as_ref()
            .map(|email| (email.as_str(), account.email_verified_at.is_some())),
        created: account.created_at.for_people(),
        own: admin.is(account.id),
        passkeys: shown.credentials.iter().map(words::passkey).collect(),
        by_email: words::by_email(ask.config(), account),
        by_backup_codes: words::by_backup_codes(ask.config(), account, shown.backup_codes),
        blocked_since: blocked_at.map(|at| at.for_people()),
        recoveries: recoveries::rows(&admin, &shown.recoveries).await?,
        sessions: shown.sessions.iter().map(words::session).collect(),
        records: words::records(&ask.core, &shown.audit).await?,
        notice: query.done.map(Done::sentence),
    })
}

#[derive(Deserialize)]
struct Invitation {
    #[serde(default)]
    email: String,
    #[serde(default)]
    login: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    groups: String,
    mail: Option<String>,
}

/// The address may be known: somebody who is invited again.
async fn ask_whom(admin: Administrator, Query(form): Query<Invitation>) -> Outcome {
    show_invite(&admin, &form, None)
}

async fn invite(admin: Administrator, Form(form): Form<Invitation>) -> Outcome {
    let invitee = match invitee(&form) {
        Ok(invitee) => invitee,
        Err(error) => return show_invite(&admin, &form, Some(error)),
    };
    let mailed = invitee.mail;
    let invited = match accounts::invite(&admin.acting(), invitee).await {
        Ok(invited) => invited,
        Err(AdminError::Taken(_)) => {
            let error = "Another account has this login name or address.";
            return show_invite(&admin, &form, Some(error));
        }
        Err(error) => return Err(error.into()),
    };
    let snapshot = &admin.ask.snapshot.config;
    let expires = admin.ask.now().plus(snapshot.enrolment.invitation_lifespan);
    admin.ask.page(&AdminHandover {
        frame: admin.ask.frame(),
        recovers: false,
        id: &invited.account.id.to_string(),
        login: &invited.account.login,
        link: &invited.link,
        expires: &expires.for_people(),
        mailed,
    })
}

fn invitee(form: &Invitation) -> Result<Invitee, &'static str> {
    let given = |text: &str| {
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let address = |text: String| {
        EmailAddress::parse(&text)
            .ok_or("This does not look like an email address, such as ann@example.com.")
    };
    let email = given(&form.email).map(address).transpose()?;
    let login = given(&form.login);
    if email.is_none() && login.is_none() {
        return Err("A new account needs an email address, a login name, or both.");
    }
    if email.is_none() && form.mail.is_some() {
        return Err("There is no address to mail the link to.");
    }
    let groups: Vec<_> = form.groups.split_whitespace().map(str::to_owned).collect();
    if !groups.iter().all(|group| is_group(group)) {
        return Err("A group is 1 to 64 letters, digits, or any of - _ . : @");
    }
    Ok(Invitee {
        email,
        login,
        name: given(&form.name),
        groups,
        mail: form.mail.is_some(),
    })
}

fn show_invite(admin: &Administrator, form: &Invitation, error: Option<&str>) -> Outcome<Response> {
    admin.ask.page(&AdminInvite {
        frame: admin.ask.frame(),
        form: InviteForm {
            email: &form.email,
            login: &form.login,
            name: &form.name,
            groups: &form.groups,
        },
        mail: admin.ask.config().mail.is_some(),
        error,
    })
}
