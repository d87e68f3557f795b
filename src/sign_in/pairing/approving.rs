//! The device that lets another one in: a full session, the number of the other screen, and a passkey check
//! that was made for this one pairing.

use std::sync::Arc;

use axum::{
    Json as Answer, Router,
    http::StatusCode,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;

use super::{Pairing, code_digest, full_session, offered, parse_code, pay};
use crate::{
    core::Core,
    id::PairingId,
    limit::Attempt,
    mail::Happening,
    relying_party::{AssertionAnswer, Confirmation},
    secret::{Purpose, Token},
    session::Visit,
    sign_in::{
        ceremony::{Ceremony, Kind},
        confirmation::{self, Checked},
        passkey, record,
    },
    store::{
        Approved, Claimed, CredentialUse, PairingApproval, PairingClaim, PairingKey,
        PairingStanding, Suspect,
    },
    telemetry::audit::{AuditEvent, Refusal as Reason},
    web::{
        ask::{Ask, Form, Json, Query},
        error::{Outcome, Refusal},
        pages::{PairApprove, PairCode, PairDone},
        return_to::ReturnTo,
    },
};

/// Where the code is typed.
pub const CODE_PATH: &str = "/.gatehouse/account/pair";

/// Where the link leads.
pub const PATH: &str = "/.gatehouse/pair/approve";

const DONE_PATH: &str = "/.gatehouse/pair/done";

/// On this device it is another link or code that helps.
const OVER: Refusal = Refusal {
    way_on: Some((CODE_PATH, "Type another code")),
    ..Refusal::PAIRING_OVER
};

/// The pages and the two halves of the exchange.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(CODE_PATH, get(code_page).post(find))
        .route(PATH, get(page))
        .route("/.gatehouse/pair/approve/start", post(start))
        .route("/.gatehouse/pair/approve/finish", post(finish))
        .route("/.gatehouse/pair/approve/refuse", post(refuse))
        .route(DONE_PATH, get(done))
}

async fn code_page(ask: Ask) -> Outcome {
    offered(&ask)?;
    if ask.caller.visit.is_none() {
        return Ok(Redirect::to(&ReturnTo::parse(CODE_PATH).on(passkey::PATH)).into_response());
    }
    full_session(&ask)?;
    ask.page(&PairCode {
        frame: ask.frame(),
        wrong: None,
    })
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

async fn find(ask: Ask, Form(form): Form<Code>) -> Outcome {
    offered(&ask)?;
    pay(&ask, Attempt::Pairing)?;
    let visit = approver(&ask).await?;
    ask.core
        .limits
        .charge_account(Attempt::Pairing, &visit.account.login)
        .map_err(|_| Refusal::THROTTLED)?;
    let key = ask.core.secret.mac_key(Purpose::Pairing);
    let found = match parse_code(&form.code) {
        Some(code) => {
            let key = PairingKey::Code(code_digest(&key, &code));
            ask.core.store.pairing(&key).await?
        }
        None => None,
    };
    let open = |pairing: &Pairing| match pairing.standing(ask.now()) {
        PairingStanding::Waiting | PairingStanding::Seen => true,
        PairingStanding::Approved | PairingStanding::Refused | PairingStanding::Over => false,
    };
    let Some(pairing) = found.filter(open) else {
        refused(&ask, visit, Reason::NotRedeemable).await;
        let mut page = ask.page(&PairCode {
            frame: ask.frame(),
            wrong: Some(&form.code),
        })?;
        *page.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(page);
    };
    let pairing = look(&ask, visit, pairing).await?;
    Ok(Redirect::to(&page_of(pairing.id)).into_response())
}

/// The page of one pairing, for whom it is to approve.
pub(super) fn page_of(pairing: PairingId) -> String {
    format!("{PATH}?pairing={pairing}")
}

#[derive(Deserialize)]
struct Which {
    /// The link's secret.
    token: Option<String>,
    /// No secret: good for the account that it belongs to already.
    pairing: Option<String>,
}

/// Looking is a change (the first account to look is the only one), but not one that anybody could be tricked
/// into to their harm: it lets nobody in.
async fn page(ask: Ask, Query(which): Query<Which>) -> Outcome {
    offered(&ask)?;
    pay(&ask, Attempt::Pairing)?;
    if ask.caller.visit.is_none() {
        let here = match (&which.token, &which.pairing) {
            (Some(token), _) => format!("{PATH}?token={token}"),
            (None, Some(pairing)) => format!("{PATH}?pairing={pairing}"),
            (None, None) => CODE_PATH.to_owned(),
        };
        return Ok(Redirect::to(&ReturnTo::parse(&here).on(passkey::PATH)).into_response());
    }
    let visit = approver(&ask).await?;
    let found = match (&which.token, &which.pairing) {
        (Some(token), _) => match Token::parse(token) {
            Some(token) => {
                let key = PairingKey::Link(token.digest());
                ask.core.store.pairing(&key).await?
            }
            None => None,
        },
        (None, Some(id)) => own(&ask, visit, id).await?,
        (None, None) => None,
    };
    let Some(pairing) = found else {
        refused(&ask, visit, Reason::NotRedeemable).await;
        return Err(OVER);
    };
    let pairing = look(&ask, visit, pairing).await?;
    if pairing.standing(ask.now()) == PairingStanding::Approved {
        return Ok(Redirect::to(DONE_PATH).into_response());
    }
    ask.page(&PairApprove {
        frame: ask.frame(),
        pairing: &pairing.id.to_string(),
        device: &pairing.device,
        network: &pairing.network.to_string(),
        same_network: pairing.network == ask.caller.network(),
        asked: &pairing.created_at.for_people(),
        seconds_ago: ask.now().since(pairing.created_at).as_secs(),
    })
}

/// A pairing that is this account's to approve.
async fn own(ask: &Ask, visit: &Visit, id: &str) -> Outcome<Option<Pairing>> {
    let Some(id) = PairingId::parse(id) else {
        return Ok(None);
    };
    let found = ask.core.store.pairing(&PairingKey::Id(id)).await?;
    Ok(found.filter(|pairing| pairing.account == Some(visit.account.id)))
}

/// Makes a pairing this account's, or says why it cannot be.
async fn look(ask: &Ask, visit: &Visit, pairing: Pairing) -> Outcome<Pairing> {
    let account = &visit.account;
    let suspect = Suspect {
        credential: None,
        session: Some(visit.claims.sid),
    };
    let claim = PairingClaim {
        pairing: pairing.id,
        account: account.id,
        notice: ask.notice(account, Happening::PairingBlocked, Some(suspect)),
    };
    let event = AuditEvent::PairingSeen {
        pairing: pairing.id,
    };
    let audit = ask.caller.audit(ask.now(), Some(account.id), event);
    match ask.core.store.claim_pairing(&claim, &audit).await? {
        Claimed::Yours(claimed) => {
            if pairing.seen_at.is_none() {
                audit.log();
            }
            Ok(*claimed)
        }
        Claimed::Over => {
            refused(ask, visit, Reason::NotRedeemable).await;
            Err(OVER)
        }
        Claimed::NowBlocked => {
            ask.caller
                .audit(ask.now(), Some(account.id), AuditEvent::PairingBlocked)
                .log();
            ask.core.outbox.wake();
            Err(Refusal::PAIRING_BLOCKED)
        }
        Claimed::Blocked => {
            refused(ask, visit, Reason::Blocked).await;
            Err(Refusal::PAIRING_BLOCKED)
        }
    }
}

#[derive(Deserialize)]
struct Start {
    pairing: String,
    number: String,
}

async fn start(ask: Ask, Json(form): Json<Start>) -> Outcome {
    offered(&ask)?;
    passkey::pay(&ask)?;
    let visit = approver(&ask).await?;
    parse_number(&form.number)?;
    let pairing = own(&ask, visit, &form.pairing).await?;
    let seen = |pairing: &Pairing| pairing.standing(ask.now()) == PairingStanding::Seen;
    let pairing = pairing.filter(seen).ok_or(OVER)?;
    let passkeys = confirmation::usable(&ask, visit).await?;
    if passkeys.is_empty() {
        return Err(Refusal::PAIRING_NEEDS_FULL);
    }
    confirmation::begin(&ask, Kind::Pairing(pairing.id), &passkeys)
}

#[derive(Deserialize)]
struct Finish {
    pairing: String,
    number: String,
    state: String,
    credential: AssertionAnswer,
}

async fn finish(ask: Ask, Json(form): Json<Finish>) -> Outcome {
    offered(&ask)?;
    passkey::pay(&ask)?;
    let visit = approver(&ask).await?;
    let number = parse_number(&form.number)?;
    let pairing = PairingId::parse(&form.pairing).ok_or(OVER)?;
    let ceremony = Ceremony::<Confirmation>::open(
        &form.state,
        Kind::Pairing(pairing),
        &ask.browser,
        &ask.core.secret,
        ask.now(),
    )
    .ok_or(Refusal::CEREMONY_OVER)?;
    let approval = PairingApproval {
        pairing,
        account: visit.account.id,
        approver: visit.claims.sid,
        number,
        ceremony: ceremony.id,
        ceremony_expires_at: ceremony.expires_at,
        used: checked(&ask, visit, &form.credential, &ceremony.state).await?,
    };
    let event = AuditEvent::PairingApproved { pairing };
    let audit = ask.caller.audit(ask.now(), Some(visit.account.id), event);
    let (refusal, reason) = match ask.core.store.approve_pairing(&approval, &audit).await? {
        Approved::Approved => {
            audit.log();
            return Ok(Answer(json!({ "location": DONE_PATH })).into_response());
        }
        // The store has recorded these itself.
        Approved::WrongNumber { left: 0 } => return Err(OVER),
        Approved::WrongNumber { left: _ } => return Err(Refusal::WRONG_NUMBER),
        Approved::Over => (OVER, Reason::NotRedeemable),
        Approved::AlreadySpent => (Refusal::CEREMONY_OVER, Reason::NotRedeemable),
        Approved::NoApprover => (Refusal::SIGN_IN_FIRST, Reason::SessionOver),
        Approved::CredentialGone => (Refusal::PASSKEY_NOT_VERIFIED, Reason::UnknownCredential),
    };
    refused(&ask, visit, reason).await;
    Err(refusal)
}

/// A full session; that a restricted one tried is recorded.
async fn approver(ask: &Ask) -> Outcome<&Visit> {
    let visit = ask.visit()?;
    if visit.claims.restricted {
        refused(ask, visit, Reason::Restricted).await;
    }
    full_session(ask)
}

fn parse_number(typed: &str) -> Outcome<u8> {
    let digits: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
    two.then(|| digits.parse().ok())
        .flatten()
        .ok_or(Refusal::NUMBER_MISSING)
}

/// The use of the passkey that answered, if it is a good one of this account.
async fn checked(
    ask: &Ask,
    visit: &Visit,
    answer: &AssertionAnswer,
    confirmation: &Confirmation,
) -> Outcome<CredentialUse> {
    match confirmation::check(ask, visit, answer, confirmation).await? {
        Checked::By(used) => Ok(used),
        Checked::Refused(reason) => {
            refused(ask, visit, reason).await;
            Err(Refusal::PASSKEY_NOT_VERIFIED)
        }
    }
}

#[derive(Deserialize)]
struct Refuse {
    pairing: String,
}

async fn refuse(ask: Ask, Form(form): Form<Refuse>) -> Outcome {
    offered(&ask)?;
    let visit = approver(&ask).await?;
    let id = PairingId::parse(&form.pairing).ok_or(OVER)?;
    let event = AuditEvent::PairingRefused {
        reason: Reason::Declined,
    };
    let account = visit.account.id;
    let audit = ask.caller.audit(ask.now(), Some(account), event);
    // One that is over already is as good as refused.
    if ask.core.store.refuse_pairing(id, account, &audit).await? {
        audit.log();
    }
    Ok(Redirect::to(&format!("{DONE_PATH}?refused=1")).into_response())
}

#[derive(Deserialize)]
struct Done {
    refused: Option<String>,
}

async fn done(ask: Ask, Query(done): Query<Done>) -> Outcome {
    ask.page(&PairDone {
        frame: ask.frame(),
        approved: done.refused.is_none(),
    })
}

async fn refused(ask: &Ask, visit: &Visit, reason: Reason) {
    let event = AuditEvent::PairingRefused { reason };
    record(ask, Some(&visit.account), event).await;
}
