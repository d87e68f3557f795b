//! The two ends of a handoff, on a host that is not the one where people sign in: own pages lead away from it,
//! those of signing in with the wish for a session, and that session arrives.

use std::time::Duration;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    END_PATH,
    flow::{self, Flow},
    need::Need,
    refuse,
    ticket::Ticket,
};
use crate::{
    config::Origin,
    id::SessionId,
    limit::Attempt,
    policy::{
        decision::{self, Decision},
        target::Target,
    },
    secret::Token,
    session::Visit,
    store::{HandoffRedemption, Redeemed},
    telemetry::audit::{AuditEvent, AuditRecord, Refusal as Reason},
    web::{
        ask::{Ask, Query},
        error::{Outcome, Refusal},
        return_to::ReturnTo,
    },
};

/// How fresh a step-up is that no route asks for.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// A layer around all own pages: on a host that is not the one where people sign in, hardly any is served.
pub async fn confine(ask: Ask, request: Request, next: Next) -> Outcome {
    let auth = ask.config().relying_party.auth.as_ref();
    let Some(auth) = auth.filter(|auth| auth.host() != ask.caller.host) else {
        return Ok(next.run(request).await);
    };
    if stays(request.uri().path(), request.method(), &ask) {
        return Ok(next.run(request).await);
    }
    match *request.method() {
        Method::GET | Method::HEAD => lead_away(&ask, auth, &request),
        _ => Err(Refusal::ELSEWHERE),
    }
}

/// What every host answers for itself: programs ask for it where they are, and a session is ended where it is.
fn stays(path: &str, method: &Method, ask: &Ask) -> bool {
    match path {
        "/.gatehouse/session" | "/.gatehouse/auth" | "/.gatehouse/jwks.json" | END_PATH => true,
        // Without a session here the one on the other host is meant.
        "/.gatehouse/sign-out" => ask.caller.visit.is_some() || method == Method::POST,
        "/.gatehouse/sign-out/everywhere" => true,
        // What waits to be sent waits where it was sent to.
        "/.gatehouse/resume" | "/.gatehouse/resume/discard" => true,
        _ => path.starts_with("/.gatehouse/assets/") || path.starts_with("/.well-known/"),
    }
}

#[derive(Deserialize)]
struct Destination {
    #[serde(default)]
    return_to: String,
    invitation: Option<String>,
    by: Option<String>,
}

fn lead_away(ask: &Ask, auth: &Origin, request: &Request) -> Outcome {
    let floor = match request.uri().path() {
        super::passkey::PATH => Some(Need::SignIn),
        super::enrolment::PATH => Some(Need::Full),
        super::step_up::PATH => Some(Need::StepUp {
            max_age_s: strictest(ask).as_secs(),
        }),
        _ => None,
    };
    let query = request.uri().query().unwrap_or_default();
    let destination = serde_urlencoded::from_str::<Destination>(query).ok();
    // An invitation and a wish for another way are of the other host, whatever becomes of this one's session.
    let plain =
        |destination: &Destination| destination.invitation.is_none() && destination.by.is_none();
    match (floor, destination.filter(plain)) {
        (Some(floor), Some(destination)) => {
            begin(ask, auth, request.headers(), floor, &destination)
        }
        (_, _) => {
            let uri = request.uri();
            let address = uri.path_and_query().map_or("/", |address| address.as_str());
            let mut location = auth.join(address);
            // That page leads back to where the person was.
            if uri.path() == "/.gatehouse/signed-out" {
                location.push(if uri.query().is_some() { '&' } else { '?' });
                location.push_str("host=");
                location.push_str(&ask.caller.host);
            }
            Ok(Redirect::to(&location).into_response())
        }
    }
}

/// How fresh a step-up must be when a form of this host was turned away: where it goes to is no page, so it cannot be
/// told by which route.
fn strictest(ask: &Ask) -> Duration {
    let routes = &ask.config().routes;
    routes.strictest_step_up(&ask.caller.host).unwrap_or(FRESH)
}

/// Takes the person to the auth host and has the browser keep what it needs when it comes back.
fn begin(
    ask: &Ask,
    auth: &Origin,
    headers: &HeaderMap,
    floor: Need,
    destination: &Destination,
) -> Outcome {
    if !ask.config().routes.names_host(&ask.caller.host) {
        return Err(Refusal::NOT_HANDED_ON);
    }
    let return_to = ReturnTo::parse(&destination.return_to);
    let need = match asked(ask, &return_to, floor) {
        Some(need) => need,
        None => return Ok(Redirect::to(return_to.as_str()).into_response()),
    };
    let flow = Flow::begin(&return_to, need);
    let ticket = Ticket {
        host: ask.caller.host.clone(),
        browser: flow.browser(),
        need,
    };
    let mut answer = Redirect::to(&auth.join(&ticket.address())).into_response();
    for cookie in flow::forget_many(headers) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    let cookie = flow.cookie(&ask.caller.host, &ask.core.secret);
    answer
        .headers_mut()
        .append(header::SET_COOKIE, cookie.ok_or(Refusal::INTERNAL)?);
    Ok(answer)
}

/// What the session has to be for where the person is going: the policy knows. `None` when the one at hand
/// opens it already: another tab has fetched it, or somebody went back.
fn asked(ask: &Ask, return_to: &ReturnTo, floor: Need) -> Option<Need> {
    let Ok(target) = Target::parse(return_to.as_str().as_bytes()) else {
        return Some(floor);
    };
    let request = decision::Request {
        method: &Method::GET,
        host: &ask.caller.host,
        target: &target,
        session: ask.caller.visit.as_ref().map(Visit::for_policy),
        now: ask.now(),
        certificate: &ask.caller.certificate,
    };
    match decision::decide(&ask.config().routes, &request) {
        Decision::Challenge(challenge) => Some(match (Need::of(challenge), floor) {
            // The route knows how fresh a step-up has to be; the page does not.
            (asked @ Need::StepUp { .. }, Need::StepUp { .. }) => asked,
            (asked, floor) => asked.stricter(floor),
        }),
        Decision::Forward(_) => {
            let visit = ask.caller.visit.as_ref();
            let met = visit.is_some_and(|visit| floor.is_met(&visit.claims, ask.now()));
            (!met).then_some(floor)
        }
        Decision::OwnPage | Decision::Deny(_) => Some(floor),
    }
}

#[derive(Deserialize)]
pub(super) struct Arrival {
    #[serde(default)]
    flow: String,
    #[serde(default)]
    code: String,
}

/// A session arrives.
pub(super) async fn end(ask: Ask, Query(arrival): Query<Arrival>, headers: HeaderMap) -> Outcome {
    let auth = ask.config().relying_party.auth.as_ref();
    if auth.is_none_or(|auth| auth.host() == ask.caller.host) {
        return Err(Refusal::NOT_FOUND);
    }
    ask.core
        .limits
        .charge(Attempt::Handoff, ask.caller.network())
        .map_err(|_| Refusal::THROTTLED)?;
    let flow = Flow::of(&headers, &arrival.flow, &ask.caller.host, &ask.core.secret);
    // Another tab was faster: a second session would only end the first, in the middle of its requests.
    if let (Some(flow), Some(visit)) = (&flow, &ask.caller.visit)
        && flow.need().is_met(&visit.claims, ask.now())
    {
        return Ok(arrive(flow, None));
    }
    let Some(code) = Token::parse(&arrival.code) else {
        return Err(refuse(&ask, None, Reason::NotRedeemable).await);
    };
    let redemption = HandoffRedemption {
        code: code.digest(),
        // Without the cookie it is nobody's secret: the code is spent all the same, since it has been seen.
        browser: flow
            .as_ref()
            .map_or_else(|| Token::random().digest(), Flow::browser),
        host: ask.caller.host.clone(),
        session: SessionId::random(),
        device: ask.device.clone(),
        network: ask.caller.network(),
        left_behind: ask.caller.visit.as_ref().map(|visit| visit.claims.sid),
    };
    let audit = ask.caller.audit(
        ask.now(),
        None,
        AuditEvent::SessionHandedOn {
            session: redemption.session,
            host: redemption.host.clone(),
        },
    );
    let redeemed = ask.core.store.redeem_handoff(&redemption, &audit).await?;
    let session = match redeemed {
        Redeemed::Planted(session) => session,
        Redeemed::Over => return Err(refuse(&ask, None, Reason::NotRedeemable).await),
        Redeemed::OtherBrowser(account) => {
            return Err(refuse(&ask, Some(account), Reason::OtherBrowser).await);
        }
        Redeemed::OtherHost(account) => {
            return Err(refuse(&ask, Some(account), Reason::OtherHost).await);
        }
        Redeemed::SourceOver(account) => {
            return Err(refuse(&ask, Some(account), Reason::SessionOver).await);
        }
    };
    AuditRecord {
        account: Some(session.account),
        ..audit
    }
    .log();
    ask.catch_up().await;
    let cookie = ask.core.sessions.cookie(&session);
    // Nothing is planted without the flow's secret.
    let flow = flow.ok_or(Refusal::INTERNAL)?;
    Ok(arrive(&flow, Some(cookie)))
}

/// To where the person was going.
fn arrive(flow: &Flow, session: Option<HeaderValue>) -> Response {
    let mut answer = Redirect::to(flow.return_to().as_str()).into_response();
    for cookie in session.into_iter().chain([flow.forget()]) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}
