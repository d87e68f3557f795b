//! The person chooses what may recover their account: mails, backup codes. Changing that needs a fresh
//! passkey check, is told by mail, and takes effect at once.

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse, Redirect},
    routing::get,
};
use serde::Deserialize;

use super::overview;
use crate::{
    core::Core,
    mail::Happening,
    sign_in::{enrolment, passkey, reminder, step_up},
    store::{Account, RecoveryChoice, Suspect},
    telemetry::audit::AuditEvent,
    web::{
        ask::{Ask, Form, Query},
        error::{Outcome, Refusal},
        pages::ChooseWayBack,
        return_to::ReturnTo,
    },
};

const PATH: &str = "/.gatehouse/account/ways-back";

/// The choice, and the page that asks once more after a passkey check.
pub fn router() -> Router<Arc<Core>> {
    Router::new().route(PATH, get(ask_again).post(choose))
}

/// A way that a person switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    Email,
    BackupCodes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Switch {
    On,
    Off,
}

#[derive(Deserialize)]
struct Wish {
    way: Way,
    switch: Switch,
    #[serde(default)]
    return_to: String,
}

impl Wish {
    /// What would be chosen, beside what is chosen now.
    fn choice(&self, account: &Account) -> (RecoveryChoice, RecoveryChoice) {
        let now = RecoveryChoice {
            by_email: account.recovery.by_email,
            by_backup_codes: account.recovery.by_backup_codes,
        };
        let on = self.switch == Switch::On;
        let then = match self.way {
            Way::Email => RecoveryChoice {
                by_email: on,
                ..now
            },
            Way::BackupCodes => RecoveryChoice {
                by_backup_codes: on,
                ..now
            },
        };
        (now, then)
    }

    /// Where to go afterwards: the account page, where the choice is made, unless another page sent it.
    fn return_to(&self) -> ReturnTo {
        match self.return_to.as_str() {
            "" => ReturnTo::parse(overview::PATH),
            elsewhere => ReturnTo::parse(elsewhere),
        }
    }

    /// The page that asks once more.
    fn again(&self) -> ReturnTo {
        let (way, switch) = (self.way.name(), self.switch.name());
        let page = self.return_to().on(PATH);
        ReturnTo::parse(&format!("{page}&way={way}&switch={switch}"))
    }
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::BackupCodes => "backup-codes",
        }
    }
}

impl Switch {
    const fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

async fn ask_again(ask: Ask, Query(wish): Query<Wish>) -> Outcome {
    if let Some(detour) = detour(&ask, &wish.again()) {
        return Ok(detour.into_response());
    }
    let visit = ask.visit()?;
    let (_, choice) = wish.choice(&visit.account);
    let mut then = (*visit.account).clone();
    then.recovery.by_email = choice.by_email;
    then.recovery.by_backup_codes = choice.by_backup_codes;
    ask.page(&ChooseWayBack {
        frame: ask.frame(),
        return_to: wish.return_to().as_str(),
        way: wish.way.name(),
        switch: wish.switch.name(),
        by_email: wish.way == Way::Email,
        on: wish.switch == Switch::On,
        lack: reminder::read(&ask, &then).await?.lack(),
    })
}

async fn choose(ask: Ask, Form(wish): Form<Wish>) -> Outcome {
    if let Some(detour) = detour(&ask, &wish.again()) {
        return Ok(detour.into_response());
    }
    let visit = ask.visit()?;
    let account = &visit.account;
    let (now, choice) = wish.choice(account);
    if choice != now {
        let event = AuditEvent::WaysBackChosen {
            by_email: choice.by_email,
            by_backup_codes: choice.by_backup_codes,
        };
        let audit = ask.caller.audit(ask.now(), Some(account.id), event);
        let suspect = Suspect {
            credential: None,
            session: Some(visit.claims.sid),
        };
        let notice = ask.notice(account, Happening::WaysBackChanged, Some(suspect));
        let store = &ask.core.store;
        if !store
            .set_recovery_choice(account.id, choice, &audit, notice.as_ref())
            .await?
        {
            return Err(Refusal::NOT_FOUND);
        }
        audit.log();
        ask.core.outbox.wake();
        ask.catch_up().await;
    }
    let return_to = wish.return_to();
    if return_to.as_str() == overview::PATH {
        let done = format!("{}?done=ways-back", overview::PATH);
        return Ok(Redirect::to(&done).into_response());
    }
    Ok(Redirect::to(return_to.as_str()).into_response())
}

/// Where somebody must go first who wants to make or choose ways back, and come back from to `here`: to
/// sign-in, to saving a passkey, to a passkey check. `None` if nowhere.
pub(super) fn detour(ask: &Ask, here: &ReturnTo) -> Option<Redirect> {
    let page = match &ask.caller.visit {
        None => passkey::PATH,
        Some(visit) if visit.claims.restricted => enrolment::PATH,
        Some(visit) if !visit.claims.has_fresh_passkey_check(ask.now()) => step_up::PATH,
        Some(_) => return None,
    };
    Some(Redirect::to(&here.on(page)))
}
