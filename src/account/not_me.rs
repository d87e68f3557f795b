//! *This was not me*: what a notice's link leads to, and what a person can say of a passkey on their account page.
//!
//! The link's GET changes nothing, since mail scanners follow links; its button works in any browser and without
//! a session, because whoever needs it may have lost both. It can only close: a passkey opens nothing any more,
//! sessions end, mails and codes sign nobody in. Somebody who reads a person's mail can press it too, and holds
//! them up until an administrator has looked; nobody gets in that way.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect},
    routing::get,
};
use serde::Deserialize;

use super::overview;
use crate::{
    clock::Timestamp,
    core::Core,
    id::CredentialId,
    limit::Attempt,
    mail::Happening,
    notice::{self, Alarm, NOT_ME_PATH},
    secret::Token,
    session::Visit,
    sign_in::{passkey, record, step_up},
    store::{
        Account, AccountKey, AccountState, Credential, OutboxMail, Report, ReportState, Standing,
        Stop, StopGround, Stopped,
    },
    telemetry::audit::{AuditEvent, Refusal as Reason},
    web::{
        ask::{Ask, Form, Query},
        error::{Outcome, Refusal},
        pages::{NotMe, Stopped as StoppedPage, WhatStopped},
        return_to::ReturnTo,
    },
};

/// How long the account page offers it of a new passkey; older ones can be removed.
const RECENT: Duration = Duration::from_hours(7 * 24);

/// The page of a notice's link and that of one passkey.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(NOT_ME_PATH, get(open_link).post(say))
        .route(
            "/.gatehouse/account/passkeys/{id}/not-me",
            get(ask_about_passkey).post(say_of_passkey),
        )
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

async fn open_link(ask: Ask, Query(link): Query<Link>) -> Outcome {
    let Some(report) = open_report(&ask, &link.token).await? else {
        return show_stopped(&ask, None);
    };
    let suspicion = suspicion(&ask, &report).await?;
    show(&ask, &suspicion, NOT_ME_PATH, Some(&link.token))
}

async fn say(ask: Ask, Form(link): Form<Link>) -> Outcome {
    let Some(report) = open_report(&ask, &link.token).await? else {
        return show_stopped(&ask, None);
    };
    let suspicion = suspicion(&ask, &report).await?;
    let key = AccountKey::Id(report.account);
    let account = ask.core.store.account(&key).await?;
    let account = account.ok_or(Refusal::REPORT_OVER)?;
    let stopped = stop(&ask, &account, StopGround::Report(report.digest), suspicion).await?;
    show_stopped(&ask, stopped)
}

/// The report of a link, paid for; `None` when it was said already.
async fn open_report(ask: &Ask, text: &str) -> Outcome<Option<Report>> {
    ask.core
        .limits
        .charge(Attempt::Invitation, ask.caller.network())
        .map_err(|_| Refusal::THROTTLED)?;
    let state = match Token::parse(text) {
        Some(token) => ask.core.store.report(&token.digest(), ask.now()).await?,
        None => ReportState::Over,
    };
    let event = AuditEvent::ReportRefused {
        reason: Reason::NotRedeemable,
    };
    match state {
        ReportState::Open(report) => Ok(Some(*report)),
        ReportState::Said(account) => {
            let account = ask.core.store.account(&AccountKey::Id(account)).await?;
            record(ask, account.as_ref(), event).await;
            Ok(None)
        }
        ReportState::Over => {
            record(ask, None, event).await;
            Err(Refusal::REPORT_OVER)
        }
    }
}

/// What somebody says they have not done.
struct Suspicion {
    about: String,
    passkey: Option<CredentialId>,
    label: Option<String>,
    happened_at: Timestamp,
}

async fn suspicion(ask: &Ask, report: &Report) -> Outcome<Suspicion> {
    let passkey = report.suspect.credential.clone();
    let saved = match &passkey {
        Some(id) => ask.core.store.credential(id).await?,
        None => None,
    };
    Ok(Suspicion {
        about: report.about.clone(),
        passkey,
        label: saved
            .filter(|saved| saved.account == report.account)
            .map(|saved| saved.label),
        happened_at: report.created_at,
    })
}

async fn ask_about_passkey(ask: Ask, Path(id): Path<String>) -> Outcome {
    let here = ReturnTo::parse(&format!("{}/passkeys/{id}/not-me", overview::PATH));
    let Some(visit) = &ask.caller.visit else {
        return Ok(Redirect::to(&here.on(passkey::PATH)).into_response());
    };
    let Some(own) = own_passkey(&ask, visit).await? else {
        return Ok(Redirect::to(&here.on(step_up::PATH)).into_response());
    };
    let suspicion = suspected(&ask, visit, &own, &id).await?;
    show(&ask, &suspicion, here.as_str(), None)
}

#[derive(Deserialize)]
struct Nothing {}

async fn say_of_passkey(
    ask: Ask,
    Path(id): Path<String>,
    Form(Nothing {}): Form<Nothing>,
) -> Outcome {
    let visit = ask.visit()?;
    let own = own_passkey(&ask, visit).await?;
    let own = own.ok_or(Refusal::STEP_UP_FIRST)?;
    let suspicion = suspected(&ask, visit, &own, &id).await?;
    let ground = StopGround::Session {
        session: visit.claims.sid,
        suspect: suspicion.passkey.clone().ok_or(Refusal::NOT_FOUND)?,
    };
    let stopped = stop(&ask, &visit.account, ground, suspicion).await?;
    show_stopped(&ask, Some(stopped.ok_or(Refusal::NOT_FOUND)?))
}

/// The good passkey that opened or raised this full session: whoever has it may speak for the account.
pub(super) async fn own_passkey(ask: &Ask, visit: &Visit) -> Outcome<Option<CredentialId>> {
    if visit.claims.restricted {
        return Ok(None);
    }
    let session = ask.core.store.session(visit.claims.sid, ask.now()).await?;
    let Some(id) = session.and_then(|session| session.credential) else {
        return Ok(None);
    };
    let own = ask.core.store.credential(&id).await?;
    Ok(own
        .filter(|own| own.account == visit.account.id && own.standing == Standing::Good)
        .map(|own| own.id))
}

/// Whether a person whose own passkey is `own` may say of this one that they have not saved it.
pub(super) fn may_be_reported(credential: &Credential, own: &CredentialId, now: Timestamp) -> bool {
    credential.id != *own
        && match credential.standing {
            Standing::Good => now.since(credential.created_at) <= RECENT,
            Standing::Held { .. } => true,
            Standing::Frozen { .. } => false,
        }
}

async fn suspected(ask: &Ask, visit: &Visit, own: &CredentialId, id: &str) -> Outcome<Suspicion> {
    let id = CredentialId::parse(id).ok_or(Refusal::NOT_FOUND)?;
    let credential = ask
        .core
        .store
        .credential(&id)
        .await?
        .filter(|credential| credential.account == visit.account.id)
        .filter(|credential| may_be_reported(credential, own, ask.now()))
        .ok_or(Refusal::NOT_FOUND)?;
    let what = match credential.standing {
        Standing::Held { until } => Happening::PasskeyHeld {
            label: credential.label.clone(),
            until,
        },
        Standing::Good | Standing::Frozen { .. } => Happening::PasskeyAdded {
            label: credential.label.clone(),
        },
    };
    Ok(Suspicion {
        about: what.lead(),
        passkey: Some(credential.id),
        label: Some(credential.label),
        happened_at: credential.created_at,
    })
}

/// Stops it, and tells the person and the administrators. `None` when it is stopped already.
async fn stop(
    ask: &Ask,
    account: &Account,
    ground: StopGround,
    suspicion: Suspicion,
) -> Outcome<Option<WhatStopped>> {
    let now = ask.now();
    let credential = suspicion.passkey.clone();
    let mut mails = alarms(ask, account, suspicion).await?;
    let administrators = !mails.is_empty();
    let told = ask.notice(account, Happening::Reported, None);
    mails.extend(told.into_iter().flat_map(|notice| notice.mails));
    let audit = ask
        .caller
        .audit(now, Some(account.id), AuditEvent::Reported { credential });
    let stop = Stop {
        account: account.id,
        ground,
        mails,
    };
    let Some(stopped) = ask.core.store.stop(&stop, &audit).await? else {
        return Ok(None);
    };
    let Stopped { passkeys, sessions } = stopped;
    audit.log();
    tracing::warn!(
        account = %account.id,
        request_id = %ask.caller.request_id,
        frozen_passkeys = passkeys.len(),
        ended_sessions = sessions,
        "somebody said \"this was not me\": recovery of the account is blocked, and an administrator should look"
    );
    ask.core.outbox.wake();
    ask.catch_up().await;
    Ok(Some(WhatStopped {
        passkeys: passkeys.into_iter().map(|passkey| passkey.label).collect(),
        sessions,
        administrators,
    }))
}

/// A mail to each administrator who has an address.
async fn alarms(ask: &Ask, account: &Account, suspicion: Suspicion) -> Outcome<Vec<OutboxMail>> {
    let config = ask.config();
    let accounts = match config.admin.group {
        Some(_) => ask.core.store.accounts().await?,
        None => Vec::new(),
    };
    let alarm = Alarm {
        about: suspicion.about,
        label: suspicion.label,
        happened_at: suspicion.happened_at,
    };
    let origin = config.relying_party.origin_for(&ask.caller.host);
    let addresses = accounts
        .iter()
        .filter(|somebody| somebody.state == AccountState::Active)
        .filter(|somebody| config.admin.admits(&somebody.groups))
        .filter_map(|administrator| administrator.email.as_ref());
    Ok(notice::alarm(
        &ask.core, config, origin, account, addresses, alarm,
    ))
}

fn show(ask: &Ask, suspicion: &Suspicion, action: &str, token: Option<&str>) -> Outcome {
    ask.page(&NotMe {
        frame: ask.frame(),
        about: &suspicion.about,
        label: suspicion.label.as_deref(),
        happened: &suspicion.happened_at.for_people(),
        action,
        token,
    })
}

/// Says what was stopped; `None` when it was stopped before.
fn show_stopped(ask: &Ask, stopped: Option<WhatStopped>) -> Outcome {
    let full = |visit: &Visit| !visit.claims.restricted;
    ask.page(&StoppedPage {
        frame: ask.frame(),
        stopped,
        // The session that asks may just have ended.
        signed_in: ask.caller.visit.as_ref().is_some_and(full),
        contact: ask.config().admin.contact.as_deref(),
    })
}
