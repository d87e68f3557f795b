//! The account page: who you are, your passkeys, your sessions.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::{address, not_me};
use crate::{
    clock::Timestamp,
    core::Core,
    id::SessionId,
    session::Visit,
    sign_in::{alert, passkey},
    store::{Account, Credential, Family, Standing},
    telemetry::audit::AuditEvent,
    ways_back::WaysBack,
    web::{
        ask::{Ask, Form, Query},
        error::{Outcome, Refusal},
        pages::{
            AccountPage, KnownToBrowsers, PasskeyRow, PasskeyStanding, SessionRow, Takeover,
            WaysBackCard,
        },
        provider,
        return_to::ReturnTo,
    },
};

/// The page.
pub const PATH: &str = "/.gatehouse/account";

/// The page and the end of one session.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(PATH, get(page))
        .route("/.gatehouse/account/sessions/{id}/end", post(end_session))
}

#[derive(Deserialize)]
struct PageQuery {
    done: Option<Done>,
}

/// What was just done, to be said once at the top.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Done {
    Renamed,
    Removed,
    SessionEnded,
    Kept,
    AddressChanged,
    RecoveryAllowed,
    WaysBack,
}

impl Done {
    const fn sentence(self) -> &'static str {
        match self {
            Self::Renamed => "The passkey has its new name.",
            Self::Removed => "The passkey was removed, and the sessions it had opened were ended.",
            Self::SessionEnded => "That session has ended.",
            Self::Kept => "Good: that passkey stays yours.",
            Self::AddressChanged => "Mails about your account go to the new address from now on.",
            Self::RecoveryAllowed => {
                "Mails and backup codes sign in again, as far as you have chosen."
            }
            Self::WaysBack => "Your choice was saved.",
        }
    }
}

async fn page(ask: Ask, Query(query): Query<PageQuery>) -> Outcome {
    let Some(visit) = &ask.caller.visit else {
        return Ok(Redirect::to(&ReturnTo::parse(PATH).on(passkey::PATH)).into_response());
    };
    let account = &visit.account;
    let credentials = ask.core.store.credentials(account.id).await?;
    let sessions = ask.core.store.sessions(Some(account.id), ask.now()).await?;
    let current = sessions
        .iter()
        .find(|session| session.id == visit.claims.sid)
        .cloned();
    let signed_in_with = current.and_then(|session| session.credential);
    let own = not_me::own_passkey(&ask, visit).await?;
    let restricted = visit.claims.restricted;
    let now = ask.now();
    ask.page(&AccountPage {
        frame: ask.frame(),
        login: &account.login,
        email: account.email.as_ref().map(|email| email.as_str()),
        name: account.name.as_deref(),
        may_change_email: !restricted && address::is_offered(&ask),
        takeover: if restricted {
            Takeover::default()
        } else {
            alert::takeover(account.recovery.blocked_at, &credentials)
        },
        restricted,
        known_to_browsers: (!restricted).then(|| known_to_browsers(&ask, &credentials, account)),
        passkeys: credentials
            .iter()
            .map(|credential| PasskeyRow {
                current: signed_in_with.as_ref() == Some(&credential.id),
                may_be_reported: own
                    .as_ref()
                    .is_some_and(|own| not_me::may_be_reported(credential, own, now)),
                ..passkey_row(credential)
            })
            .collect(),
        sessions: Family::gather(sessions)
            .iter()
            .map(|family| session_row(family, visit))
            .collect(),
        pairing: ask.config().methods.pairing && !visit.claims.restricted,
        ways_back: ways_back(&ask, account, &credentials).await?,
        notice: query.done.map(Done::sentence),
    })
}

async fn ways_back(
    ask: &Ask,
    account: &Account,
    credentials: &[Credential],
) -> Outcome<WaysBackCard> {
    let codes = ask.core.store.backup_codes(account.id).await?;
    Ok(WaysBackCard {
        ways: WaysBack::of(ask.config(), account, credentials, codes),
        codes_made: codes.map_or_else(String::new, |codes| codes.made_at.for_people()),
        codes_total: codes.map_or(0, |codes| codes.total),
    })
}

/// Of a full session alone: whoever got in by mail must not make browsers forget passkeys. One that waits is
/// accepted, if for little; a frozen one is not, and goes.
fn known_to_browsers(ask: &Ask, credentials: &[Credential], account: &Account) -> KnownToBrowsers {
    let ids: Vec<_> = credentials
        .iter()
        .filter(|credential| !credential.is_frozen())
        .map(|credential| credential.id.to_string())
        .collect();
    KnownToBrowsers {
        relying_party: ask.config().relying_party.id.clone(),
        user_id: URL_SAFE_NO_PAD.encode(account.user_handle.uuid()),
        display_name: account
            .name
            .clone()
            .unwrap_or_else(|| account.login.clone()),
        passkeys: ids.join(" "),
    }
}

fn passkey_row(credential: &Credential) -> PasskeyRow {
    PasskeyRow {
        id: credential.id.to_string(),
        label: credential.label.clone(),
        provider: credential
            .aaguid
            .and_then(provider::name)
            .unwrap_or_default()
            .to_owned(),
        created: credential.created_at.for_people(),
        last_used: credential
            .last_used_at
            .map(Timestamp::for_people)
            .unwrap_or_default(),
        synced: credential.backup_state,
        current: false,
        standing: match credential.standing {
            Standing::Good => PasskeyStanding::Good,
            Standing::Held { until } => PasskeyStanding::Waits(until.for_people()),
            Standing::Frozen { since } => PasskeyStanding::Stopped(since.for_people()),
        },
        to_confirm: credential.to_confirm,
        may_be_reported: false,
    }
}

fn session_row(family: &Family, visit: &Visit) -> SessionRow {
    let session = &family.session;
    SessionRow {
        id: session.id.to_string(),
        device: session.device.clone(),
        network: session
            .network
            .map_or_else(|| "command line".to_owned(), |network| network.to_string()),
        started: session.authenticated_at.for_people(),
        last_seen: family.seen_at.for_people(),
        kind: if session.restricted {
            "Limited"
        } else {
            "Full"
        },
        current: family.ids.contains(&visit.claims.sid),
        hosts: family.hosts.join(", "),
    }
}

#[derive(Deserialize)]
struct Nothing {}

async fn end_session(ask: Ask, Path(id): Path<String>, Form(Nothing {}): Form<Nothing>) -> Outcome {
    let visit = ask.visit()?;
    let id = SessionId::parse(&id).ok_or(Refusal::NOT_FOUND)?;
    let account = visit.account.id;
    let audit = ask.caller.audit(
        ask.now(),
        Some(account),
        AuditEvent::SignedOut { session: id },
    );
    if ask
        .core
        .store
        .end_session(id, Some(account), &audit, None)
        .await?
    {
        audit.log();
    }
    ask.catch_up().await;
    Ok(Redirect::to(&format!("{PATH}?done=session-ended")).into_response())
}
