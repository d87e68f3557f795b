//! How long an exchange may last that was let pass: as long as the same request would be let pass anew by the
//! session it was made in, and by what has become of that session.

use std::sync::Arc;

use super::{arrival::Arrival, facts::RequestFacts};
use crate::{
    clock::Timestamp,
    config::{Live, SessionLimits},
    policy::{
        certificate::CertificateName,
        decision::{Challenge, Decision, Permit, Request, decide},
        route::Access,
    },
    session::Visit,
    snapshot::Snapshot,
};

/// What an exchange goes on by.
pub struct Tenure {
    visit: Visit,
    snapshot: Arc<Snapshot>,
    asked: Asked,
}

enum Asked {
    /// For an own page, which looks for itself at what it shows.
    OwnPage,
    /// For something behind a route.
    Route {
        facts: Arc<RequestFacts>,
        certificate: Arc<[CertificateName]>,
        live: Live,
    },
}

/// Why an exchange ends before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Its session has ended, or its account is closed.
    SessionOver,
    /// The session's time is up.
    SessionExpired,
    /// The session, or its person, would not be let pass any more.
    NotGranted,
    /// The passkey check is too old, and the route wants one for as long as it lasts.
    StepUpTooOld,
    /// Whether it may go on cannot be found out.
    StoreSilent,
    /// The client sends no more of its request's body.
    UploadStalled,
    /// The upstream's answer never begins.
    NoAnswer,
}

impl Tenure {
    /// Of a request that a permit lets pass. `None` where no session is asked for: nobody's session holds it.
    pub fn of_route(
        permit: &Permit<'_>,
        snapshot: &Arc<Snapshot>,
        facts: &Arc<RequestFacts>,
        visit: Option<&Visit>,
        arrival: &Arrival,
    ) -> Option<Self> {
        let delivery = snapshot.config.deliveries.get(permit.route().index);
        // The answer of an app's sign-out ends the session itself, and has to arrive all the same.
        if delivery.is_some_and(|delivery| delivery.sign_out) {
            return None;
        }
        match permit.access() {
            Access::Public => None,
            Access::SignedIn | Access::Full | Access::StepUp { .. } => Some(Self {
                visit: visit?.clone(),
                asked: Asked::Route {
                    facts: Arc::clone(facts),
                    certificate: arrival.certificate(),
                    live: delivery.map_or(Live::default(), |delivery| delivery.live),
                },
                snapshot: Arc::clone(snapshot),
            }),
        }
    }

    /// Of an own page that somebody opened in a session.
    pub fn of_own_page(snapshot: &Arc<Snapshot>, visit: &Visit) -> Self {
        Self {
            visit: visit.clone(),
            snapshot: Arc::clone(snapshot),
            asked: Asked::OwnPage,
        }
    }

    /// The session it began in.
    pub const fn visit(&self) -> &Visit {
        &self.visit
    }

    /// The limits of sessions it began under.
    pub fn limits(&self) -> SessionLimits {
        self.snapshot.config.session
    }

    /// Why it ends `now` if its session stands like this; `None` while it may go on.
    pub fn judge(&self, visit: &Visit, now: Timestamp) -> Option<Cut> {
        if visit.claims.session_expires_at <= now {
            return Some(Cut::SessionExpired);
        }
        let (facts, certificate, live) = match &self.asked {
            Asked::OwnPage => return None,
            Asked::Route {
                facts,
                certificate,
                live,
            } => (facts, certificate, *live),
        };
        match self.decide_anew(facts, certificate, visit, now) {
            Decision::Forward(_) => None,
            Decision::Challenge(Challenge::StepUp { .. }) => match live {
                Live::Session => None,
                Live::MaxAge => Some(Cut::StepUpTooOld),
            },
            Decision::Challenge(Challenge::SignIn | Challenge::ReEnrol)
            | Decision::Deny(_)
            | Decision::OwnPage => Some(Cut::NotGranted),
        }
    }

    /// When time alone ends it, if its session stays like this.
    pub fn end(&self, visit: &Visit, now: Timestamp) -> Timestamp {
        let session_end = visit.claims.session_expires_at;
        match &self.asked {
            Asked::OwnPage
            | Asked::Route {
                live: Live::Session,
                ..
            } => session_end,
            Asked::Route {
                facts,
                certificate,
                live: Live::MaxAge,
            } => match self.decide_anew(facts, certificate, visit, now) {
                Decision::Forward(permit) => {
                    step_up_end(&permit, visit).map_or(session_end, |end| end.min(session_end))
                }
                Decision::Challenge(_) | Decision::Deny(_) | Decision::OwnPage => now,
            },
        }
    }

    fn decide_anew(
        &self,
        facts: &RequestFacts,
        certificate: &[CertificateName],
        visit: &Visit,
        now: Timestamp,
    ) -> Decision<'_> {
        let request = Request {
            method: &facts.method,
            host: facts.authority.host(),
            target: &facts.target,
            session: Some(visit.for_policy()),
            now,
            certificate,
        };
        decide(&self.snapshot.config.routes, &request)
    }
}

/// The first second in which a step-up is too old.
fn step_up_end(permit: &Permit<'_>, visit: &Visit) -> Option<Timestamp> {
    match permit.access() {
        Access::Public | Access::SignedIn | Access::Full => None,
        Access::StepUp { max_age } => Some(
            visit
                .claims
                .stepped_up_at?
                .plus(max_age)
                .plus(std::time::Duration::from_secs(1)),
        ),
    }
}
