//! Letting somebody back in: why, the second administrator's look, and the link, shown once.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Redirect},
    routing::get,
};
use serde::Deserialize;

use crate::{
    admin::{
        AdminError, Administrator, actor_name, find_account,
        recovery::{self, Asked, Grounds, Handover, Pending},
    },
    config::Approvals,
    core::Core,
    id::{AccountId, RecoveryId},
    store::{Account, AccountState},
    telemetry::audit::RecoveryReason,
    web::{
        ask::{Form, Query},
        error::{Outcome, Refusal},
        pages::{AdminAct, AdminHandover, AdminRecover, AdminRecoveries, AdminRecovery},
    },
};

const LIST: &str = "/.gatehouse/admin/recoveries";

pub(super) fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(
            "/.gatehouse/admin/accounts/{id}/recover",
            get(ask_why).post(recover),
        )
        .route(LIST, get(list))
        .route(
            "/.gatehouse/admin/recoveries/{id}/approve",
            get(look).post(approve),
        )
        .route(
            "/.gatehouse/admin/recoveries/{id}/link",
            get(ask_to_collect).post(collect),
        )
}

async fn ask_why(admin: Administrator, Path(id): Path<String>) -> Outcome {
    let account = recoverable(&admin, &id).await?;
    show_form(&admin, &account, &Why::default(), None)
}

#[derive(Default, Deserialize)]
struct Why {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    note: String,
}

async fn recover(admin: Administrator, Path(id): Path<String>, Form(why): Form<Why>) -> Outcome {
    let id = AccountId::parse(&id).ok_or(Refusal::NOT_FOUND)?;
    let reason = RecoveryReason::parse(&why.reason);
    let Some(grounds) = reason.and_then(|reason| Grounds::new(reason, &why.note)) else {
        let account = recoverable(&admin, &id.to_string()).await?;
        let error = match reason {
            None => "Choose why this account is to be recovered.",
            Some(_) => "Write a note of at most 500 characters that says why.",
        };
        return show_form(&admin, &account, &why, Some(error));
    };
    match recovery::ask(&admin.acting(), &id.to_string(), grounds).await? {
        Asked::Link(handover) => show_link(&admin, &handover),
        Asked::Waits(_) => Ok(Redirect::to(&format!("{LIST}?done=asked")).into_response()),
    }
}

/// The account, if this administrator may recover it.
async fn recoverable(admin: &Administrator, id: &str) -> Outcome<Account> {
    let id = AccountId::parse(id).ok_or(Refusal::NOT_FOUND)?;
    if admin.is(id) {
        return Err(Refusal::OWN_ACCOUNT);
    }
    let account = find_account(&admin.ask.core, &id.to_string()).await?;
    match account.state {
        AccountState::Active => Ok(account),
        AccountState::Disabled => Err(Refusal::ACCOUNT_DISABLED),
    }
}

fn show_form(admin: &Administrator, account: &Account, why: &Why, error: Option<&str>) -> Outcome {
    let config = admin.ask.config();
    let chosen = RecoveryReason::parse(&why.reason);
    let page = admin.ask.page(&AdminRecover {
        frame: admin.ask.frame(),
        id: &account.id.to_string(),
        login: &account.login,
        reasons: RecoveryReason::ALL
            .map(|reason| (reason.name(), reason.words()))
            .to_vec(),
        reason: chosen.map_or("", RecoveryReason::name),
        note: &why.note,
        needs_approval: needs_approval(admin),
        told: account.email.is_some() && config.mail.is_some(),
        error,
    })?;
    Ok(match error {
        Some(_) => (StatusCode::UNPROCESSABLE_ENTITY, page).into_response(),
        None => page,
    })
}

fn show_link(admin: &Administrator, handover: &Handover) -> Outcome {
    admin.ask.page(&AdminHandover {
        frame: admin.ask.frame(),
        recovers: true,
        id: &handover.account.id.to_string(),
        login: &handover.account.login,
        link: &handover.link,
        expires: &handover.expires_at.for_people(),
        mailed: false,
    })
}

#[derive(Deserialize)]
struct ListQuery {
    done: Option<Done>,
}

/// What was just done, to be said once at the top.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Done {
    Asked,
    Approved,
}

impl Done {
    const fn sentence(self) -> &'static str {
        match self {
            Self::Asked => {
                "Your request waits here. Ask another administrator to approve it, then come back for the link."
            }
            Self::Approved => "Approved. Whoever asked can get the link now.",
        }
    }
}

async fn list(admin: Administrator, Query(query): Query<ListQuery>) -> Outcome {
    let open = recovery::open(&admin.ask.core, None).await?;
    admin.ask.page(&AdminRecoveries {
        frame: admin.ask.frame(),
        recoveries: rows(&admin, &open).await?,
        notice: query.done.map(Done::sentence),
    })
}

async fn look(admin: Administrator, Path(id): Path<String>) -> Outcome {
    let Pending { request, account } = waiting(&admin, &id).await?;
    if admin.is(account.id) {
        return Err(Refusal::OWN_ACCOUNT);
    }
    if request.requested_by == admin.actor() {
        return Err(Refusal::OWN_REQUEST);
    }
    let core = &*admin.ask.core;
    let mut facts = vec![
        ("Asked by", actor_name(core, &request.requested_by).await?),
        ("When", request.created_at.for_people()),
        ("Why", request.reason.words().to_owned()),
    ];
    if !request.note.is_empty() {
        facts.push(("Note", request.note.clone()));
    }
    admin.ask.page(&AdminAct {
        frame: admin.ask.frame(),
        heading: "Approve this recovery?",
        subject: &account.login,
        consequence: "Whoever gets the link gets into this account. Talk to whoever asked for it: how do they know \
                      that it is really this person who asks? Do not approve what you would not have done yourself.",
        facts,
        button: "Approve recovery",
        hurts: false,
        action: &format!("{LIST}/{}/approve", request.id),
        back: LIST,
    })
}

#[derive(Deserialize)]
struct Nothing {}

async fn approve(
    admin: Administrator,
    Path(id): Path<String>,
    Form(Nothing {}): Form<Nothing>,
) -> Outcome {
    let id = RecoveryId::parse(&id).ok_or(Refusal::NOT_FOUND)?;
    recovery::approve(&admin.acting(), id).await?;
    Ok(Redirect::to(&format!("{LIST}?done=approved")).into_response())
}

async fn ask_to_collect(admin: Administrator, Path(id): Path<String>) -> Outcome {
    let Pending { request, account } = waiting(&admin, &id).await?;
    if request.requested_by != admin.actor() {
        return Err(Refusal::OTHERS_REQUEST);
    }
    if request.approved_by.is_none() && needs_approval(&admin) {
        return Err(Refusal::NOT_APPROVED);
    }
    admin.ask.page(&AdminAct {
        frame: admin.ask.frame(),
        heading: "Show the recovery link?",
        subject: &account.login,
        consequence: "It is shown this once. Have the person on the line, called back on a number that you had \
                      before they asked, or before you.",
        facts: Vec::new(),
        button: "Show the recovery link",
        hurts: false,
        action: &format!("{LIST}/{}/link", request.id),
        back: LIST,
    })
}

async fn collect(
    admin: Administrator,
    Path(id): Path<String>,
    Form(Nothing {}): Form<Nothing>,
) -> Outcome {
    let id = RecoveryId::parse(&id).ok_or(Refusal::NOT_FOUND)?;
    let handover = recovery::collect(&admin.acting(), id).await?;
    show_link(&admin, &handover)
}

/// One that can still be approved or collected.
async fn waiting(admin: &Administrator, id: &str) -> Outcome<Pending> {
    let id = RecoveryId::parse(id).ok_or(Refusal::NOT_FOUND)?;
    let open = recovery::open(&admin.ask.core, None).await?;
    open.into_iter()
        .find(|pending| pending.request.id == id)
        .ok_or(Refusal::RECOVERY_OVER)
}

/// Requests as the list shows them to this administrator.
pub(super) async fn rows(
    admin: &Administrator,
    open: &[Pending],
) -> Result<Vec<AdminRecovery>, AdminError> {
    let core = &*admin.ask.core;
    let mut rows = Vec::new();
    for Pending { request, account } in open {
        let approved_by = match &request.approved_by {
            Some(actor) => Some(actor_name(core, actor).await?),
            None => None,
        };
        rows.push(AdminRecovery {
            id: request.id.to_string(),
            account: account.id.to_string(),
            login: account.login.clone(),
            requested_by: actor_name(core, &request.requested_by).await?,
            created: request.created_at.for_people(),
            expires: request.expires_at.for_people(),
            reason: request.reason.words(),
            note: request.note.clone(),
            ready: approved_by.is_some() || !needs_approval(admin),
            approved_by,
            own_request: request.requested_by == admin.actor(),
            own_account: admin.is(account.id),
        });
    }
    Ok(rows)
}

fn needs_approval(admin: &Administrator) -> bool {
    match admin.ask.config().admin.approvals {
        Approvals::One => false,
        Approvals::Two => true,
    }
}
