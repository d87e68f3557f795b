//! Changing or adding the address: a fresh passkey check, a mail to the new address with a link and a code, and a
//! notice to the old one and the new one when it is done.
//!
//! Link and code work as those of signing in do: a GET changes nothing, another browser is shown the code and
//! changes nothing, five wrong codes end the attempt. An address that another account has gets no mail: its person
//! has nothing to decide, and anybody with an account could send them such mails. The page says the same in
//! either case, so nobody learns here whose addresses have accounts. The login name stays: it is what the
//! apps behind know the person by.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use super::{address_flow::Flow, overview, passkeys};
use crate::{
    core::Core,
    email_address::EmailAddress,
    id::EmailAttemptId,
    limit::Attempt,
    mail::{Happening, Message},
    secret::Token,
    session::Visit,
    sign_in::{
        email::{ANSWER_AFTER, Proving, begin, code_digest, code_of, digits, pay, pay_for_code},
        passkey, record, step_up,
    },
    store::{
        Account, AccountKey, AddressChange, AddressChanged, CodeTry, EmailAttempt, EmailPurpose,
        Suspect,
    },
    telemetry::audit::{AuditEvent, Refusal as Reason},
    web::{
        ask::{Ask, Form, Query},
        error::{Outcome, Refusal},
        pages::{AddressLink, ChangeAddress, CheckAddress},
        return_to::ReturnTo,
    },
};

/// The page.
pub const PATH: &str = "/.gatehouse/account/email";
const CODE_PATH: &str = "/.gatehouse/account/email/code";
const LINK_PATH: &str = "/.gatehouse/account/email/link";

/// How long link and code are good for where nobody signs in by mail and so no other time is configured.
const LIFESPAN: Duration = Duration::from_mins(15);

/// The pages.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(PATH, get(form).post(request))
        .route(CODE_PATH, get(check_mail).post(redeem_code))
        .route(LINK_PATH, get(open_link).post(redeem_link))
}

/// Whether this deployment can send the mail that it takes.
pub(super) fn is_offered(ask: &Ask) -> bool {
    ask.config().mail.is_some()
}

async fn form(ask: Ask) -> Outcome {
    let lifespan = lifespan(&ask)?;
    let Some(visit) = checked(&ask) else {
        return Ok(to_check(&ask, PATH));
    };
    show_form(&ask, visit, lifespan, "", None)
}

fn show_form(
    ask: &Ask,
    visit: &Visit,
    lifespan: Duration,
    typed: &str,
    error: Option<&str>,
) -> Outcome {
    ask.page(&ChangeAddress {
        frame: ask.frame(),
        login: &visit.account.login,
        current: visit.account.email.as_ref().map(|email| email.as_str()),
        lifespan_minutes: minutes(lifespan),
        typed,
        error,
    })
}

#[derive(Deserialize)]
struct Request {
    email: String,
}

async fn request(ask: Ask, Form(form): Form<Request>) -> Outcome {
    let answer_at = Instant::now() + ANSWER_AFTER;
    let lifespan = lifespan(&ask)?;
    let Some(visit) = checked(&ask) else {
        return Ok(to_check(&ask, PATH));
    };
    pay(&ask, Attempt::EmailRequest)?;
    let account = &visit.account;
    let email = match new_address(account, &form.email) {
        Ok(email) => email,
        Err(error) => {
            let mut page = show_form(&ask, visit, lifespan, &form.email, Some(error))?;
            *page.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            return Ok(page);
        }
    };
    // Nobody writes to many strangers from one account either.
    let limits = &ask.core.limits;
    limits
        .charge_account(Attempt::EmailRequest, &account.id.to_string())
        .and_then(|()| limits.charge_mail(&email))
        .map_err(|_| Refusal::THROTTLED)?;
    let flow = Flow {
        attempt: EmailAttemptId::random(),
        account: account.id,
        expires_at: ask.now().plus(lifespan),
        email,
    };
    let outcome = send(&ask, account, &flow, lifespan).await;
    sleep_until(answer_at).await;
    outcome?;
    let mut answer = Redirect::to(CODE_PATH).into_response();
    let kept = flow.keep(&ask, lifespan)?;
    answer.headers_mut().append(header::SET_COOKIE, kept);
    Ok(answer)
}

fn new_address(account: &Account, typed: &str) -> Result<EmailAddress, &'static str> {
    let email = EmailAddress::parse(typed)
        .ok_or("This does not look like an email address, such as ann@example.com.")?;
    // One that only an operator's word stands for can be proved this way.
    if account.email.as_ref() == Some(&email) && account.email_verified_at.is_some() {
        return Err("This is the address that your account has.");
    }
    Ok(email)
}

/// Puts the mail into the outbox, unless another account has the address.
async fn send(ask: &Ask, account: &Account, flow: &Flow, lifespan: Duration) -> Outcome<()> {
    let key = AccountKey::Email(flow.email.clone());
    let owner = ask.core.store.account(&key).await?;
    if owner.is_some_and(|owner| owner.id != account.id) {
        refused(ask, account, Reason::AddressTaken).await;
        // A store that takes no writes fails for a taken address as it does for a free one.
        return Ok(ask.core.store.ping().await?);
    }
    let proving = Proving {
        attempt: flow.attempt,
        account: Some(account.id),
        email: &flow.email,
        purpose: EmailPurpose::Address,
        return_to: overview::PATH,
        expires_at: flow.expires_at,
        link_path: LINK_PATH,
    };
    let message = |link, code| Message::ChangeAddress {
        link,
        code,
        lifespan,
    };
    begin(ask, &proving, message, AuditEvent::AddressChangeRequested).await
}

async fn check_mail(ask: Ask, headers: HeaderMap) -> Outcome {
    let lifespan = lifespan(&ask)?;
    let Some(visit) = checked(&ask) else {
        return Ok(to_check(&ask, CODE_PATH));
    };
    match Flow::of(&ask, &headers, visit) {
        Some(flow) => show_check_mail(&ask, &flow, lifespan, None),
        None => Ok(Redirect::to(PATH).into_response()),
    }
}

fn show_check_mail(ask: &Ask, flow: &Flow, lifespan: Duration, error: Option<&str>) -> Outcome {
    ask.page(&CheckAddress {
        frame: ask.frame(),
        email: flow.email.as_str(),
        error,
        lifespan_minutes: minutes(lifespan),
    })
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

async fn redeem_code(ask: Ask, headers: HeaderMap, Form(form): Form<Code>) -> Outcome {
    let answer_at = Instant::now() + ANSWER_AFTER;
    let lifespan = lifespan(&ask)?;
    let Some(visit) = checked(&ask) else {
        return Ok(to_check(&ask, CODE_PATH));
    };
    pay(&ask, Attempt::Redemption)?;
    let Some(flow) = Flow::of(&ask, &headers, visit) else {
        refused(&ask, &visit.account, Reason::NotRedeemable).await;
        return Err(Refusal::ADDRESS_OVER);
    };
    pay_for_code(&ask, &flow.email)?;
    let code = code_digest(&ask, flow.attempt, &digits(&form.code));
    // Written with the hundredth wrong code of a sign-in alone: this one is for an address.
    let closing = ask
        .caller
        .audit(ask.now(), None, AuditEvent::EmailCodesClosed);
    let browser = ask.browser.digest();
    let tried = ask
        .core
        .store
        .try_email_code(flow.attempt, &browser, &code, &closing, ask.now())
        .await;
    let reason = match tried {
        Ok(CodeTry::Right(attempt)) => return change(&ask, visit, &attempt).await,
        Ok(CodeTry::Wrong { left: 0 } | CodeTry::Closing | CodeTry::Closed) => {
            Reason::TooManyWrongCodes
        }
        Ok(CodeTry::Wrong { .. }) => Reason::WrongCode,
        Ok(CodeTry::Over) => Reason::NotRedeemable,
        Err(error) => {
            sleep_until(answer_at).await;
            return Err(error.into());
        }
    };
    refused(&ask, &visit.account, reason).await;
    sleep_until(answer_at).await;
    // One sentence for a wrong code, a spent one and an address that got no mail.
    let error =
        "That code does not work. Check it against the newest mail, or ask for another one.";
    let mut page = show_check_mail(&ask, &flow, lifespan, Some(error))?;
    *page.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(page)
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

async fn open_link(ask: Ask, Query(link): Query<Link>) -> Outcome {
    lifespan(&ask)?;
    pay(&ask, Attempt::Redemption)?;
    let (token, attempt) = attempt_of(&ask, &link.token).await?;
    show_link(&ask, &token, &attempt)
}

fn show_link(ask: &Ask, token: &Token, attempt: &EmailAttempt) -> Outcome {
    ask.page(&AddressLink {
        frame: ask.frame(),
        email: attempt.email.as_str(),
        token: &token.reveal(),
        same_browser: attempt.browser == ask.browser.digest(),
        code: &code_of(ask, token),
    })
}

async fn redeem_link(ask: Ask, Form(link): Form<Link>) -> Outcome {
    lifespan(&ask)?;
    pay(&ask, Attempt::Redemption)?;
    let (token, attempt) = attempt_of(&ask, &link.token).await?;
    let Some(visit) = checked(&ask) else {
        let here = format!("{LINK_PATH}?token={}", token.reveal());
        return Ok(to_check(&ask, &here));
    };
    if attempt.browser != ask.browser.digest() {
        refused(&ask, &visit.account, Reason::OtherBrowser).await;
        return show_link(&ask, &token, &attempt);
    }
    change(&ask, visit, &attempt).await
}

async fn attempt_of(ask: &Ask, text: &str) -> Outcome<(Token, EmailAttempt)> {
    if let Some(token) = Token::parse(text) {
        let digest = token.digest();
        let attempt = ask.core.store.email_attempt_by_link(&digest, ask.now());
        if let Some(attempt) = attempt.await?
            && attempt.purpose == EmailPurpose::Address
        {
            return Ok((token, attempt));
        }
    }
    let account = ask.caller.visit.as_ref().map(|visit| &*visit.account);
    let event = AuditEvent::AddressChangeRefused {
        reason: Reason::NotRedeemable,
    };
    record(ask, account, event).await;
    Err(Refusal::ADDRESS_OVER)
}

/// The person has shown that they read mail at the attempt's address. That it is for the account of this session
/// is checked in the step that spends it.
async fn change(ask: &Ask, visit: &Visit, attempt: &EmailAttempt) -> Outcome<Response> {
    let account = &visit.account;
    let audit = ask
        .caller
        .audit(ask.now(), Some(account.id), AuditEvent::AddressChanged);
    let old = account.email.as_ref().filter(|old| **old != attempt.email);
    let suspect = Suspect {
        credential: None,
        session: Some(visit.claims.sid),
    };
    let change = AddressChange {
        attempt: attempt.id,
        account: account.id,
        email: attempt.email.clone(),
        notice: ask.notice_to(
            account,
            old.into_iter().chain([&attempt.email]),
            Happening::AddressChanged,
            Some(suspect),
        ),
    };
    let reason = match ask.core.store.change_address(&change, &audit).await? {
        AddressChanged::Changed => {
            audit.log();
            ask.core.outbox.wake();
            ask.catch_up().await;
            let done = format!("{}?done=address-changed", overview::PATH);
            let mut answer = Redirect::to(&done).into_response();
            answer
                .headers_mut()
                .append(header::SET_COOKIE, Flow::forget());
            return Ok(answer);
        }
        AddressChanged::AlreadySpent => Reason::NotRedeemable,
        AddressChanged::Taken => Reason::AddressTaken,
        AddressChanged::AccountClosed => Reason::AccountDisabled,
    };
    refused(ask, account, reason).await;
    Err(Refusal::ADDRESS_OVER)
}

async fn refused(ask: &Ask, account: &Account, reason: Reason) {
    let event = AuditEvent::AddressChangeRefused { reason };
    record(ask, Some(account), event).await;
}

/// The full session that asks, if its passkey check is fresh.
fn checked(ask: &Ask) -> Option<&Visit> {
    let visit = ask.caller.visit.as_ref();
    visit.filter(|visit| passkeys::has_stepped_up(ask, visit))
}

/// To the page that gives what is lacking, and back here. A restricted session is led on to saving a passkey.
fn to_check(ask: &Ask, here: &str) -> Response {
    let page = match ask.caller.visit {
        Some(_) => step_up::PATH,
        None => passkey::PATH,
    };
    Redirect::to(&ReturnTo::parse(here).on(page)).into_response()
}

fn lifespan(ask: &Ask) -> Outcome<Duration> {
    if !is_offered(ask) {
        return Err(Refusal::NOT_OFFERED);
    }
    let configured = ask.config().methods.email;
    Ok(configured.map_or(LIFESPAN, |method| method.lifespan))
}

const fn minutes(lifespan: Duration) -> u64 {
    lifespan.as_secs().div_ceil(60)
}
