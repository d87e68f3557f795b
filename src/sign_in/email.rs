//! Sign-in by mail: one message with a link and a code.
//!
//! The link's GET changes nothing, since mail scanners follow links. In the browser that asked, its page
//! has one button; in another it shows the code to type where the person began, and signs nobody in: a
//! link that was asked for by an attacker and opened by the victim opens nothing for either. To a stranger
//! a known and an unknown address look the same in status, body and time.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use super::{Proof, Verified, after_sign_in, lost_passkey, passkey, refused, start_session};
use crate::{
    clock::Timestamp,
    config::EmailMethod,
    core::Core,
    email_address::EmailAddress,
    id::{AccountId, EmailAttemptId, UserHandle},
    limit::Attempt,
    mail::Message,
    method::Method,
    secret::{Digest, Purpose, Token},
    session::cookie,
    store::{
        Account, AccountKey, AccountState, CodeTry, EmailAttempt, EmailPurpose, Recovery, Spend,
    },
    telemetry::audit::{AuditEvent, AuditRecord, Refusal as Reason},
    web::{
        ask::{Ask, Form, Query},
        error::{Outcome, Refusal},
        pages::{CheckMail, MailLink},
        return_to::ReturnTo,
    },
};

const CODE_PATH: &str = "/.gatehouse/sign-in/code";
const LINK_PATH: &str = "/.gatehouse/sign-in/link";

/// The flow's cookie: sealed, and the same for every address.
const FLOW_COOKIE: &str = "__Host-gatehouse-mail";
const FLOW: &str = "email";

/// No answer that could tell a known address from an unknown one leaves earlier than this: longer than
/// the store's work for a known address takes.
pub(crate) const ANSWER_AFTER: Duration = Duration::from_millis(250);

/// The pages.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route("/.gatehouse/sign-in/email", post(request))
        .route(CODE_PATH, get(check_mail).post(redeem_code))
        .route(LINK_PATH, get(open_link).post(redeem_link))
}

#[derive(Deserialize)]
struct Request {
    email: String,
    #[serde(default)]
    return_to: String,
    /// The page whose form it is.
    #[serde(default)]
    asked_on: AskedOn,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AskedOn {
    #[default]
    SignIn,
    Recover,
}

/// What the browser that asked keeps, whoever's address it was.
#[derive(Serialize, Deserialize)]
struct Flow {
    attempt: EmailAttemptId,
    email: EmailAddress,
    return_to: String,
    expires_at: Timestamp,
}

async fn request(ask: Ask, headers: HeaderMap, Form(form): Form<Request>) -> Outcome {
    let answer_at = Instant::now() + ANSWER_AFTER;
    let method = offered(&ask)?;
    pay(&ask, Attempt::EmailRequest)?;
    // A resend comes from the code page, whose flow knows where the person was going.
    let earlier = Flow::of(&ask, &headers).map(|flow| flow.return_to);
    let wanted = if form.return_to.is_empty() {
        earlier.unwrap_or_default()
    } else {
        form.return_to
    };
    let return_to = ReturnTo::parse(&wanted);
    let Some(email) = EmailAddress::parse(&form.email) else {
        let error = "This does not look like an email address, such as ann@example.com.";
        return match form.asked_on {
            AskedOn::SignIn => passkey::show(&ask, &return_to, &form.email, Some(error), true),
            AskedOn::Recover => {
                lost_passkey::show_email(&ask, &return_to, &form.email, Some(error))
            }
        };
    };
    ask.core
        .limits
        .charge_mail(&email)
        .map_err(|_| Refusal::THROTTLED)?;
    let flow = Flow {
        attempt: EmailAttemptId::random(),
        expires_at: ask.now().plus(method.lifespan),
        return_to: return_to.as_str().to_owned(),
        email,
    };
    let outcome = send(&ask, &flow, method).await;
    sleep_until(answer_at).await;
    outcome?;
    let mut answer = Redirect::to(CODE_PATH).into_response();
    answer.headers_mut().append(
        header::SET_COOKIE,
        cookie::set(FLOW_COOKIE, &ask.seal(FLOW, &flow)?, method.lifespan),
    );
    Ok(answer)
}

/// Puts the mail into the outbox, if this address may sign in or enrol itself.
async fn send(ask: &Ask, flow: &Flow, method: EmailMethod) -> Outcome<()> {
    let account = ask
        .core
        .store
        .account(&AccountKey::Email(flow.email.clone()))
        .await?;
    let welcome = match &account {
        Some(account) => account.state == AccountState::Active && account.recovery.admits_email(),
        None => ask.config().enrolment.mode.admits(&flow.email),
    };
    if !welcome {
        let reason =
            account
                .as_ref()
                .map_or(Reason::NotRedeemable, |account| match account.state {
                    AccountState::Active => Reason::RecoveryClosed,
                    AccountState::Disabled => Reason::AccountDisabled,
                });
        refused(ask, account.as_ref(), Method::Email, reason).await;
        // A store that takes no writes fails for an unknown address as it does for a known one.
        return Ok(ask.core.store.ping().await?);
    }
    let proving = Proving {
        attempt: flow.attempt,
        account: account.map(|account| account.id),
        email: &flow.email,
        purpose: EmailPurpose::SignIn,
        return_to: &flow.return_to,
        expires_at: flow.expires_at,
        link_path: LINK_PATH,
    };
    let lifespan = method.lifespan;
    let message = |link, code| Message::SignIn {
        link,
        code,
        lifespan,
    };
    begin(ask, &proving, message, AuditEvent::SignInMailRequested).await
}

/// An address to be proved by a link and a code that are mailed there.
pub(crate) struct Proving<'a> {
    /// Names the mail in the browser's cookie.
    pub attempt: EmailAttemptId,
    /// Whose, if there is an account yet.
    pub account: Option<AccountId>,
    /// The address.
    pub email: &'a EmailAddress,
    /// What for.
    pub purpose: EmailPurpose,
    /// Where the person was going.
    pub return_to: &'a str,
    /// From then on link and code are worth nothing.
    pub expires_at: Timestamp,
    /// Where the link leads.
    pub link_path: &'a str,
}

/// Puts the mail into the outbox; `message` gets its link and code.
pub(crate) async fn begin(
    ask: &Ask,
    proving: &Proving<'_>,
    message: impl FnOnce(String, String) -> Message,
    event: AuditEvent,
) -> Outcome<()> {
    let now = ask.now();
    let token = Token::random();
    let code = code_of(ask, &token);
    let attempt = EmailAttempt {
        id: proving.attempt,
        account: proving.account,
        email: proving.email.clone(),
        link: token.digest(),
        code: code_digest(ask, proving.attempt, &code),
        browser: ask.browser.digest(),
        purpose: proving.purpose,
        return_to: proving.return_to.to_owned(),
        created_at: now,
        expires_at: proving.expires_at,
    };
    let config = ask.config();
    let origin = config.relying_party.origin_for(&ask.caller.host);
    let link = origin.join(&format!("{}?token={}", proving.link_path, token.reveal()));
    let mail = ask.core.outbox.prepare(
        proving.email,
        &message(link, code),
        &config.branding,
        proving.account,
        now,
        proving.expires_at,
    );
    let audit = ask.caller.audit(now, proving.account, event);
    ask.core
        .store
        .begin_email_attempt(&attempt, &mail, &audit)
        .await?;
    audit.log();
    ask.core.outbox.wake();
    Ok(())
}

async fn check_mail(ask: Ask, headers: HeaderMap) -> Outcome {
    let method = offered(&ask)?;
    match Flow::of(&ask, &headers) {
        Some(flow) => show_check_mail(&ask, &flow, method, None),
        None => Ok(Redirect::to(passkey::PATH).into_response()),
    }
}

fn show_check_mail(ask: &Ask, flow: &Flow, method: EmailMethod, error: Option<&str>) -> Outcome {
    ask.page(&CheckMail {
        frame: ask.frame(),
        email: flow.email.as_str(),
        error,
        lifespan_minutes: method.lifespan.as_secs().div_ceil(60),
        return_to: &flow.return_to,
    })
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

async fn redeem_code(ask: Ask, headers: HeaderMap, Form(form): Form<Code>) -> Outcome {
    let answer_at = Instant::now() + ANSWER_AFTER;
    let method = offered(&ask)?;
    pay(&ask, Attempt::Redemption)?;
    let flow = Flow::of(&ask, &headers).ok_or(Refusal::LINK_OVER)?;
    pay_for_code(&ask, &flow.email)?;
    let code = code_digest(&ask, flow.attempt, &digits(&form.code));
    let closing = ask
        .caller
        .audit(ask.now(), None, AuditEvent::EmailCodesClosed);
    let browser = ask.browser.digest();
    let tried = ask
        .core
        .store
        .try_email_code(flow.attempt, &browser, &code, &closing, ask.now())
        .await;
    match tried {
        Ok(CodeTry::Right(attempt)) => sign_in(&ask, *attempt, method).await,
        Ok(outcome) => {
            let closes = outcome == CodeTry::Closing;
            let reason = match outcome {
                CodeTry::Wrong { left: 0 } | CodeTry::Closing | CodeTry::Closed => {
                    Reason::TooManyWrongCodes
                }
                CodeTry::Wrong { .. } => Reason::WrongCode,
                CodeTry::Over | CodeTry::Right(_) => Reason::NotRedeemable,
            };
            let account = ask
                .core
                .store
                .account(&AccountKey::Email(flow.email.clone()))
                .await?;
            if closes {
                let account = account.as_ref().map(|account| account.id);
                AuditRecord { account, ..closing }.log();
            }
            refused(&ask, account.as_ref(), Method::Email, reason).await;
            sleep_until(answer_at).await;
            // One sentence for a wrong code, a spent one, an account that is closed to codes and an address
            // nobody has: whether any mail was sent is not to be learnt here.
            let error = "That code does not work. Check it against the newest mail, open the link in that mail \
                         in this browser, or ask for another one.";
            let mut page = show_check_mail(&ask, &flow, method, Some(error))?;
            *page.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(page)
        }
        Err(error) => {
            sleep_until(answer_at).await;
            Err(error.into())
        }
    }
}

#[derive(Deserialize)]
struct Link {
    token: String,
}

async fn open_link(ask: Ask, Query(link): Query<Link>) -> Outcome {
    offered(&ask)?;
    pay(&ask, Attempt::Redemption)?;
    let (token, attempt) = attempt_of(&ask, &link.token).await?;
    show_link(&ask, &token, &attempt)
}

fn show_link(ask: &Ask, token: &Token, attempt: &EmailAttempt) -> Outcome {
    ask.page(&MailLink {
        frame: ask.frame(),
        token: &token.reveal(),
        same_browser: attempt.browser == ask.browser.digest(),
        code: &code_of(ask, token),
    })
}

async fn redeem_link(ask: Ask, Form(link): Form<Link>) -> Outcome {
    let method = offered(&ask)?;
    pay(&ask, Attempt::Redemption)?;
    let (token, attempt) = attempt_of(&ask, &link.token).await?;
    if attempt.browser != ask.browser.digest() {
        let account = account_of(&ask, &attempt).await?;
        refused(&ask, account.as_ref(), Method::Email, Reason::OtherBrowser).await;
        return show_link(&ask, &token, &attempt);
    }
    sign_in(&ask, attempt, method).await
}

async fn attempt_of(ask: &Ask, token: &str) -> Outcome<(Token, EmailAttempt)> {
    let token = Token::parse(token).ok_or(Refusal::LINK_OVER)?;
    let attempt = ask
        .core
        .store
        .email_attempt_by_link(&token.digest(), ask.now())
        .await?;
    match attempt {
        Some(attempt) if attempt.purpose == EmailPurpose::SignIn => Ok((token, attempt)),
        Some(_) | None => {
            refused(ask, None, Method::Email, Reason::NotRedeemable).await;
            Err(Refusal::LINK_OVER)
        }
    }
}

async fn account_of(ask: &Ask, attempt: &EmailAttempt) -> Outcome<Option<Account>> {
    let key = match attempt.account {
        Some(id) => AccountKey::Id(id),
        // Somebody may have made the account since the mail was sent.
        None => AccountKey::Email(attempt.email.clone()),
    };
    Ok(ask.core.store.account(&key).await?)
}

/// The person has shown that they read mail at the attempt's address.
async fn sign_in(ask: &Ask, attempt: EmailAttempt, method: EmailMethod) -> Outcome<Response> {
    let known = account_of(ask, &attempt).await?;
    let new_account = known.is_none();
    if new_account && !ask.config().enrolment.mode.admits(&attempt.email) {
        return Err(Refusal::LINK_OVER);
    }
    let account = known.unwrap_or_else(|| Account {
        id: AccountId::random(),
        user_handle: UserHandle::random(),
        login: attempt.email.as_str().to_owned(),
        email: Some(attempt.email.clone()),
        email_verified_at: Some(ask.now()),
        name: None,
        groups: Vec::new(),
        state: AccountState::Active,
        created_at: ask.now(),
        enrolled_at: None,
        recovery: Recovery::default(),
        remind_at: None,
    });
    let verified = Verified {
        account,
        spend: Spend::Email {
            attempt: attempt.id,
        },
        proof: Proof::Fallback {
            method: Method::Email,
            grants: method.grants,
            new_account,
        },
        tell: None,
    };
    let begun = start_session(ask, verified).await?;
    let location = after_sign_in(ask, &begun, &ReturnTo::parse(&attempt.return_to)).await;
    let mut answer = begun.redirect(&location);
    answer
        .headers_mut()
        .append(header::SET_COOKIE, cookie::clear(FLOW_COOKIE));
    Ok(answer)
}

impl Flow {
    fn of(ask: &Ask, headers: &HeaderMap) -> Option<Self> {
        let flow: Self = ask.unseal(FLOW, cookie::single(headers, FLOW_COOKIE)?)?;
        (ask.now() < flow.expires_at).then_some(flow)
    }
}

pub(crate) fn offered(ask: &Ask) -> Outcome<EmailMethod> {
    ask.config().methods.email.ok_or(Refusal::NOT_OFFERED)
}

/// Pays for one guess at a code that went to an address. Whoever guesses from many networks gets no further; the
/// link in the mail is not held up by it.
pub(crate) fn pay_for_code(ask: &Ask, email: &EmailAddress) -> Outcome<()> {
    ask.core
        .limits
        .charge_account(Attempt::Redemption, email.as_str())
        .map_err(|_| Refusal::THROTTLED)
}

pub(crate) fn pay(ask: &Ask, attempt: Attempt) -> Outcome<()> {
    ask.core
        .limits
        .charge(attempt, ask.caller.network())
        .map_err(|_| Refusal::THROTTLED)
}

/// Digits of a code: 10^8 codes, five guesses per mail.
const MAX_DIGITS: usize = 8;

/// A code as it was typed, with its spaces, as its digits.
pub(crate) fn digits(typed: &str) -> String {
    typed
        .chars()
        .filter(char::is_ascii_digit)
        .take(MAX_DIGITS)
        .collect()
}

/// The code that belongs to a link: derived, so that the link's page can show it although the store holds
/// only digests. Modulo bias over 64 bits is below 10^-11.
pub(crate) fn code_of(ask: &Ask, token: &Token) -> String {
    let digest = ask
        .core
        .secret
        .mac_key(Purpose::EmailCode)
        .digest(&[b"code", token.reveal_bytes()]);
    let (head, _) = digest
        .bytes()
        .split_first_chunk::<8>()
        .expect("a digest is 32 bytes");
    format!("{:08}", u64::from_be_bytes(*head) % 100_000_000)
}

/// What the store compares a code by: keyed, since a code has too little entropy for a bare hash.
pub(crate) fn code_digest(ask: &Ask, attempt: EmailAttemptId, code: &str) -> Digest {
    ask.core.secret.mac_key(Purpose::EmailCode).digest(&[
        b"digest",
        attempt.uuid().as_bytes(),
        code.as_bytes(),
    ])
}
