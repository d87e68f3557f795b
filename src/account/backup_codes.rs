//! Making backup codes. They are shown once, in the answer to the button that makes them; nobody can show
//! them again. How one signs in is in `sign_in::backup_code`.

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use serde::Deserialize;

use super::ways_back::detour;
use crate::{
    backup_code::BackupCode,
    clock::Timestamp,
    config::BackupCodesMethod,
    core::Core,
    mail::Happening,
    secret::Digest,
    session::Visit,
    sign_in::reminder,
    store::{BackupCodes, Suspect},
    telemetry::audit::AuditEvent,
    web::{
        ask::{Ask, Form, Query},
        error::{Outcome, Refusal},
        pages::{BackupCodesMade, MakeBackupCodes},
        return_to::ReturnTo,
    },
};

/// The page.
pub const PATH: &str = "/.gatehouse/account/backup-codes";

/// The page and its button.
pub fn router() -> Router<Arc<Core>> {
    Router::new().route(PATH, get(page).post(make))
}

#[derive(Deserialize)]
struct PageQuery {
    #[serde(default)]
    return_to: String,
}

/// The page itself, to come back to.
fn here(return_to: &str) -> ReturnTo {
    ReturnTo::parse(&ReturnTo::parse(return_to).on(PATH))
}

async fn page(ask: Ask, Query(query): Query<PageQuery>) -> Outcome {
    let method = offered(&ask)?;
    if let Some(detour) = detour(&ask, &here(&query.return_to)) {
        return Ok(detour.into_response());
    }
    let account = &ask.visit()?.account;
    let older = ask.core.store.backup_codes(account.id).await?;
    ask.page(&MakeBackupCodes {
        frame: ask.frame(),
        return_to: ReturnTo::parse(&query.return_to).as_str(),
        count: method.count,
        state: reminder::read(&ask, account).await?.codes,
        older_made: older.map(|codes| codes.made_at.for_people()),
        older_left: older.map_or(0, |codes| codes.left),
        older: &mark(older),
    })
}

/// Names the set that new codes will take the place of.
fn mark(older: Option<BackupCodes>) -> String {
    older.map_or_else(String::new, |codes| codes.made_at.seconds().to_string())
}

#[derive(Deserialize)]
struct Make {
    /// The set that the page spoke of. With another one by now, this is a reload or an old page: new codes
    /// would silently make worthless those that were just saved.
    #[serde(default)]
    older: String,
    #[serde(default)]
    return_to: String,
}

async fn make(ask: Ask, Form(form): Form<Make>) -> Outcome {
    let method = offered(&ask)?;
    let here = here(&form.return_to);
    if let Some(detour) = detour(&ask, &here) {
        return Ok(detour.into_response());
    }
    let visit = ask.visit()?;
    let older = ask.core.store.backup_codes(visit.account.id).await?;
    if mark(older) != form.older {
        return Ok(Redirect::to(here.as_str()).into_response());
    }
    let codes: Vec<_> = (0..method.count).map(|_| BackupCode::random()).collect();
    let made_at = ask.now();
    if !keep(&ask, visit, older, &codes, made_at).await? {
        return Ok(Redirect::to(here.as_str()).into_response());
    }
    show(&ask, visit, &codes, made_at, &form.return_to)
}

fn offered(ask: &Ask) -> Outcome<BackupCodesMethod> {
    let offered = ask.config().methods.backup_codes;
    offered.ok_or(Refusal::NOT_OFFERED)
}

/// `false` when others have taken the place of the older ones meanwhile.
async fn keep(
    ask: &Ask,
    visit: &Visit,
    older: Option<BackupCodes>,
    codes: &[BackupCode],
    made_at: Timestamp,
) -> Outcome<bool> {
    let account = &visit.account;
    let digests: Vec<Digest> = codes
        .iter()
        .map(|code| code.digest(&ask.core.secret, account.id))
        .collect();
    let count = u32::try_from(digests.len()).map_err(|_| Refusal::INTERNAL)?;
    let event = AuditEvent::BackupCodesMade { count };
    let audit = ask.caller.audit(made_at, Some(account.id), event);
    let suspect = Suspect {
        credential: None,
        session: Some(visit.claims.sid),
    };
    let notice = ask.notice(account, Happening::BackupCodesMade, Some(suspect));
    let (store, older) = (&ask.core.store, older.map(|codes| codes.made_at));
    let kept = store
        .replace_backup_codes(account.id, older, &digests, &audit, notice.as_ref())
        .await?;
    if kept {
        audit.log();
        ask.core.outbox.wake();
    }
    Ok(kept)
}

fn show(
    ask: &Ask,
    visit: &Visit,
    codes: &[BackupCode],
    made_at: Timestamp,
    return_to: &str,
) -> Outcome<Response> {
    ask.page(&BackupCodesMade {
        frame: ask.frame(),
        return_to: ReturnTo::parse(return_to).as_str(),
        login: &visit.account.login,
        made: &made_at.for_people(),
        codes: codes.iter().map(BackupCode::reveal).collect(),
    })
}
