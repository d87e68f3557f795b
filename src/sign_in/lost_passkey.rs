//! *Lost your passkey?*: the ways back that this deployment offers, each leading to its own page. It says the
//! same to everyone; only a session that gave some proofs already is told which, and what remains.

use std::sync::Arc;

use axum::{Router, routing::get};

use super::{
    enrolment, passkey,
    right::{self, Lack},
    saver::Saver,
};
use crate::{
    core::Core,
    method::{Method, Proofs},
    session::Visit,
    web::{
        ask::{Ask, Query},
        error::{Outcome, Refusal},
        pages::{EmailForm, LostPasskey, OneMoreProof, RecoverByEmail, WaysOffered},
        return_to::ReturnTo,
    },
};

/// The page.
pub const PATH: &str = "/.gatehouse/recover";

/// The page, and the one of the way by mail.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(PATH, get(page))
        .route("/.gatehouse/recover/email", get(by_email))
}

async fn page(ask: Ask, Query(destination): Query<passkey::Destination>) -> Outcome {
    let return_to = destination.return_to();
    let mut enrol = None;
    if let Some(visit) = &ask.caller.visit
        && let Some(saver) = Saver::of(&ask).await?
    {
        match saver.right(&ask) {
            Err(Lack::OneMoreProof { given }) => {
                return show_one_more_proof(&ask, visit, &given, &return_to);
            }
            Ok(_) if saver.session.restricted && saver.waiting().is_none() => {
                enrol = Some(return_to.on(enrolment::PATH));
            }
            Ok(_) | Err(Lack::StepUp) => {}
        }
    }
    ask.page(&LostPasskey {
        frame: ask.frame(),
        ways: offered(&ask, &return_to),
        enrol,
    })
}

/// What a session is shown in which one more proof is needed. Whoever gives the last one comes back to save a
/// passkey.
pub(super) fn show_one_more_proof(
    ask: &Ask,
    visit: &Visit,
    given: &Proofs,
    return_to: &ReturnTo,
) -> Outcome {
    let back = if return_to.path() == enrolment::PATH {
        return_to.clone()
    } else {
        ReturnTo::parse(&return_to.on(enrolment::PATH))
    };
    let offered = offered(ask, &back);
    let account = &visit.account;
    let recovery = account.recovery;
    let needed = right::needed(ask.config().enrolment.recovery_proofs);
    ask.page(&OneMoreProof {
        frame: ask.frame(),
        missing: needed.saturating_sub(given.count()),
        given: given.iter().filter_map(in_words).collect(),
        ways: WaysOffered {
            email: offered.email
                && !given.contains(Method::Email)
                && account.email.is_some()
                && recovery.admits_email(),
            backup_codes: offered.backup_codes
                && !given.contains(Method::BackupCode)
                && recovery.admits_backup_codes(),
            ..offered
        },
        sign_in: &return_to.on(passkey::PATH),
        restricted: visit.claims.restricted,
        onward: enrolment::onward(ask, visit, return_to),
    })
}

/// What this deployment offers, to everyone.
fn offered<'a>(ask: &'a Ask, return_to: &'a ReturnTo) -> WaysOffered<'a> {
    let config = ask.config();
    WaysOffered {
        return_to: return_to.as_str(),
        email: config.methods.email.is_some(),
        backup_codes: config.methods.backup_codes.is_some(),
        another_device: config.methods.pairing,
        contact: config.admin.contact.as_deref(),
    }
}

/// A proof that was given, as its person knows it.
const fn in_words(method: Method) -> Option<&'static str> {
    match method {
        Method::Email => Some("You read mail at the address of the account."),
        Method::BackupCode => Some("You had one of its backup codes."),
        Method::Recovery => Some("You had a recovery link from an administrator."),
        Method::Passkey | Method::Pairing | Method::Operator => None,
    }
}

async fn by_email(ask: Ask, Query(destination): Query<passkey::Destination>) -> Outcome {
    let own = ask
        .caller
        .visit
        .as_ref()
        .and_then(|visit| visit.account.email.as_ref());
    let email = own.map_or("", |email| email.as_str());
    show_email(&ask, &destination.return_to(), email, None)
}

/// The page of the way by mail, with what was typed into its field.
pub(super) fn show_email(
    ask: &Ask,
    return_to: &ReturnTo,
    email: &str,
    error: Option<&str>,
) -> Outcome {
    if ask.config().methods.email.is_none() {
        return Err(Refusal::NOT_OFFERED);
    }
    ask.page(&RecoverByEmail {
        frame: ask.frame(),
        return_to: return_to.as_str(),
        form: EmailForm {
            value: email,
            error,
        },
    })
}
