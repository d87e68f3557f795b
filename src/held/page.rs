//! The page on which a person sees what waits to be sent, and says whether it is to be.
//!
//! The button goes to where the request goes, so that the policy decides on that very address once more and the
//! answer stands at its own address; the gateway puts what is kept in the place of the button's form.

use std::sync::Arc;

use axum::{
    Router,
    http::Method,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;

use super::{Claimant, PATH, Waiting, address, find, over::Over};
use crate::{
    core::Core,
    id::HeldId,
    limit::Attempt,
    policy::{
        decision::{self, Challenge, Decision},
        target::Target,
    },
    session::Visit,
    sign_in::{enrolment, passkey, step_up},
    telemetry::metrics::HoldEvent,
    web::{
        ask::{Ask, Form, Query},
        error::Outcome,
        pages::{Resume, ResumeDiscarded},
        respond::FormsLeadAnywhere,
        return_to::ReturnTo,
    },
};

/// The page, and its other button.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(PATH, get(page))
        .route("/.gatehouse/resume/discard", post(discard))
}

#[derive(Deserialize)]
struct Which {
    #[serde(default)]
    held: String,
}

async fn page(ask: Ask, Query(which): Query<Which>) -> Outcome {
    let waiting = found(&ask, &which).await?;
    if let Some(challenge) = challenge(&ask, &waiting)? {
        let page = match challenge {
            Challenge::SignIn => passkey::PATH,
            Challenge::ReEnrol => enrolment::PATH,
            Challenge::StepUp { .. } => step_up::PATH,
        };
        let here = ReturnTo::parse(&address(waiting.id));
        return Ok(Redirect::to(&here.on(page)).into_response());
    }
    let summary = &waiting.summary;
    let mut answer = ask.page(&Resume {
        frame: ask.frame(),
        id: &waiting.id.to_string(),
        action: &action(&summary.target),
        host: &ask.caller.host,
        path: summary.path(),
        kind: summary.kind(),
        size: &in_words(summary.body_bytes),
        entered: &waiting.held_at.for_people(),
        by_script: summary.by_script,
        back: summary.came_from.as_deref().unwrap_or("/"),
    })?;
    answer.extensions_mut().insert(FormsLeadAnywhere);
    Ok(answer)
}

async fn discard(ask: Ask, Form(which): Form<Which>) -> Outcome {
    let waiting = found(&ask, &which).await?;
    let browser = ask.browser.digest();
    let discarded = ask
        .core
        .store
        .discard_held(waiting.id, &browser, ask.now())
        .await
        .map_err(Over::unavailable)?;
    if discarded {
        ask.core.metrics.held_requests.count(HoldEvent::Discarded);
    }
    ask.page(&ResumeDiscarded {
        frame: ask.frame(),
        back: waiting.summary.came_from.as_deref().unwrap_or("/"),
    })
}

async fn found(ask: &Ask, which: &Which) -> Result<Waiting, Over> {
    ask.core
        .limits
        .charge(Attempt::Resume, ask.caller.network())
        .map_err(|_| Over::Throttled)?;
    let id = HeldId::parse(&which.held).ok_or(Over::NotFound)?;
    let claimant = Claimant {
        browser: &ask.browser,
        host: &ask.caller.host,
        visit: ask.caller.visit.as_ref(),
    };
    find(&ask.core, id, claimant).await
}

/// What the person has to do first: the policy is asked as if it were sent now.
fn challenge(ask: &Ask, waiting: &Waiting) -> Result<Option<Challenge>, Over> {
    let visit = ask.caller.visit.as_ref();
    if waiting.of_account && visit.is_none() {
        return Ok(Some(Challenge::SignIn));
    }
    let target = Target::parse(waiting.summary.target.as_bytes()).map_err(|_| Over::NotFound)?;
    let request = decision::Request {
        method: &Method::POST,
        host: &ask.caller.host,
        target: &target,
        session: visit.map(Visit::for_policy),
        now: ask.now(),
        certificate: &ask.caller.certificate,
    };
    match decision::decide(&ask.config().routes, &request) {
        Decision::Forward(_) => Ok(None),
        Decision::Challenge(challenge) => Ok(Some(challenge)),
        Decision::Deny(_) | Decision::OwnPage => Err(Over::NotAllowed),
    }
}

/// The address of the form. One that began with two slashes would name a host; a dot before it keeps it a path
/// and is gone when the browser has read it (WHATWG URL, "path state").
fn action(target: &str) -> String {
    if target.starts_with("//") {
        format!("/.{target}")
    } else {
        target.to_owned()
    }
}

/// As people count.
fn in_words(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..MIB => tenths(bytes, KIB, "KiB"),
        MIB.. => tenths(bytes, MIB, "MiB"),
    }
}

fn tenths(bytes: u64, unit: u64, name: &str) -> String {
    let tenths = bytes.saturating_mul(10) / unit;
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_people_count() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (1_572_864, "1.5 MiB"),
        ] {
            assert_eq!(in_words(bytes), words);
        }
    }

    #[test]
    fn the_button_goes_to_this_host_and_to_the_very_target() {
        let base = url::Url::parse("https://app.example/.gatehouse/resume?held=x").unwrap();
        for target in ["/a?b=c", "//evil.example/x", "///x", "/.//x", "/a//b?c=//d"] {
            let Ok(canonical) = Target::parse(target.as_bytes()) else {
                continue;
            };
            let target = canonical.path_and_query();
            let sent = base.join(&action(&target)).unwrap();
            assert_eq!(sent.host_str(), Some("app.example"), "{target}");
            assert_eq!(&sent[url::Position::BeforePath..], target);
        }
    }
}
