//! Sign-in with a backup code: one of a set that the person saved, good once, for a restricted session.
//!
//! To a stranger every refusal looks the same: unknown account, wrong code, used code, way switched off, too
//! many wrong ones before. How codes are made is in `account::backup_codes`.

use std::sync::Arc;

use axum::{
    Router,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use super::{Proof, Verified, after_sign_in, email::ANSWER_AFTER, refused, start_session};
use crate::{
    backup_code::BackupCode,
    config::Grant,
    core::Core,
    email_address::EmailAddress,
    limit::Attempt,
    mail::Happening,
    method::Method,
    secret::Digest,
    store::{Account, AccountKey, AccountState, BackupCodeTry, Spend},
    telemetry::audit::{AuditEvent, Refusal as Reason},
    web::{
        ask::{Ask, Form, Query},
        error::{Outcome, Refusal},
        pages::RecoverByCode,
        return_to::ReturnTo,
    },
};

/// The page.
pub const PATH: &str = "/.gatehouse/recover/code";

/// The page and its form.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(PATH, get(page))
        .route(PATH, post(redeem))
}

#[derive(Deserialize)]
struct PageQuery {
    #[serde(default)]
    return_to: String,
}

async fn page(ask: Ask, Query(query): Query<PageQuery>) -> Outcome {
    require_offered(&ask)?;
    let name = ask.caller.visit.as_ref().map(|visit| &visit.account.login);
    let name = name.cloned().unwrap_or_default();
    show(&ask, &ReturnTo::parse(&query.return_to), &name, None)
}

fn show(ask: &Ask, return_to: &ReturnTo, name: &str, error: Option<&str>) -> Outcome {
    ask.page(&RecoverByCode {
        frame: ask.frame(),
        return_to: return_to.as_str(),
        name,
        error,
    })
}

#[derive(Deserialize)]
struct Attempted {
    name: String,
    code: String,
    #[serde(default)]
    return_to: String,
}

async fn redeem(ask: Ask, Form(form): Form<Attempted>) -> Outcome {
    let answer_at = Instant::now() + ANSWER_AFTER;
    require_offered(&ask)?;
    pay(&ask, &form.name)?;
    let return_to = ReturnTo::parse(&form.return_to);
    let outcome = sign_in(&ask, &form, &return_to).await;
    if let Ok(Some(answer)) = outcome {
        return Ok(answer);
    }
    sleep_until(answer_at).await;
    outcome?;
    let error = "That did not work. Check the name and each character of the code. A code works once: if you \
                 have used this one, take the next.";
    let mut page = show(&ask, &return_to, &form.name, Some(error))?;
    *page.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(page)
}

fn require_offered(ask: &Ask) -> Outcome<()> {
    let offered = ask.config().methods.backup_codes;
    offered.map(drop).ok_or(Refusal::NOT_OFFERED)
}

/// By the name that was typed, whether or not there is such an account.
fn pay(ask: &Ask, name: &str) -> Outcome<()> {
    let limits = &ask.core.limits;
    limits
        .charge(Attempt::BackupCode, ask.caller.network())
        .and_then(|()| limits.charge_account(Attempt::BackupCode, name))
        .map_err(|_| Refusal::THROTTLED)
}

/// `None` when the answer is no.
async fn sign_in(ask: &Ask, form: &Attempted, return_to: &ReturnTo) -> Outcome<Option<Response>> {
    let account = named(ask, &form.name).await?;
    let (account, left, digest) = match check(ask, account.as_ref(), &form.code).await? {
        Ok(right) => right,
        Err(reason) => {
            refused(ask, account.as_ref(), Method::BackupCode, reason).await;
            return Ok(None);
        }
    };
    let verified = Verified {
        account: account.clone(),
        spend: Spend::BackupCode { digest },
        proof: Proof::Fallback {
            method: Method::BackupCode,
            grants: Grant::Restricted,
            new_account: false,
        },
        tell: Some(Happening::BackupCodeUsed { left }),
    };
    match start_session(ask, verified).await {
        Ok(begun) => {
            let location = after_sign_in(ask, &begun, return_to).await;
            Ok(Some(begun.redirect(&location)))
        }
        // Somebody else was faster with this code, or the account was closed meanwhile: recorded, and to be
        // answered as any other refusal.
        Err(refusal) if refusal.status.is_client_error() => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

async fn named(ask: &Ask, name: &str) -> Outcome<Option<Account>> {
    let name = name.trim();
    let store = &ask.core.store;
    if let Some(email) = EmailAddress::parse(name)
        && let Some(account) = store.account(&AccountKey::Email(email)).await?
    {
        return Ok(Some(account));
    }
    Ok(store.account(&AccountKey::Login(name.to_owned())).await?)
}

/// The account, the codes that will be left and the digest of the code, if that is right; else why not.
async fn check<'a>(
    ask: &Ask,
    account: Option<&'a Account>,
    code: &str,
) -> Outcome<Result<(&'a Account, u32, Digest), Reason>> {
    let code = BackupCode::parse(code);
    let (account, code) = match (account, code) {
        (Some(account), _) if account.state == AccountState::Disabled => {
            return no(ask, Reason::AccountDisabled).await;
        }
        (Some(account), _) if !account.recovery.admits_backup_codes() => {
            return no(ask, Reason::RecoveryClosed).await;
        }
        (Some(account), Some(code)) => (account, code),
        (Some(_), None) => return no(ask, Reason::WrongCode).await,
        (None, _) => return no(ask, Reason::NotRedeemable).await,
    };
    let digest = code.digest(&ask.core.secret, account.id);
    let closing = AuditEvent::BackupCodesClosed;
    let closing = ask.caller.audit(ask.now(), Some(account.id), closing);
    let notice = ask.notice(account, Happening::BackupCodesClosed, None);
    let store = &ask.core.store;
    let tried = store
        .try_backup_code(account.id, &digest, &closing, notice.as_ref())
        .await?;
    Ok(match tried {
        BackupCodeTry::Right { left } => Ok((account, left, digest)),
        BackupCodeTry::Wrong { left: 0 } => {
            closing.log();
            ask.core.outbox.wake();
            Err(Reason::TooManyWrongCodes)
        }
        BackupCodeTry::Wrong { .. } => Err(Reason::WrongCode),
        BackupCodeTry::Over => Err(Reason::NotRedeemable),
    })
}

/// A refusal that costs the store nothing. A store that takes no writes fails for an unknown account as it
/// does for a known one.
async fn no<T>(ask: &Ask, reason: Reason) -> Outcome<Result<T, Reason>> {
    ask.core.store.ping().await?;
    Ok(Err(reason))
}
