//! How long an exchange may last that was let pass: as long as the same request would be let pass anew, under the
//! configuration in force, by the session it was made in and by what has become of that session.

use std::sync::Arc;

use super::{arrival::Arrival, facts::RequestFacts, farewell::Reason};
use crate::{
    clock::Timestamp,
    config::Live,
    policy::{
        certificate::CertificateName,
        decision::{Challenge, Decision, Permit, Request, decide},
        route::Access,
    },
    session::Visit,
    snapshot::Snapshot,
};

/// By what an exchange goes on.
pub enum Standing {
    /// By itself.
    Free,
    /// Because anybody may have it.
    Open(Asked),
    /// By a session.
    Held(Tenure),
}

/// What an exchange goes on by, in a session.
pub struct Tenure {
    visit: Visit,
    what: What,
}

enum What {
    /// An own page, which looks for itself at what it shows.
    OwnPage,
    /// Something behind a route.
    Route {
        asked: Asked,
        /// Whether it took a fresh passkey check to open it.
        was_stepped_up: bool,
    },
}

/// A request, to be decided anew.
pub struct Asked {
    facts: Arc<RequestFacts>,
    certificate: Arc<[CertificateName]>,
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
    /// The gateway ends, and waits no longer.
    Stopping,
}

impl Cut {
    /// What a WebSocket is told.
    pub const fn reason(self) -> Reason {
        match self {
            Self::SessionOver
            | Self::SessionExpired
            | Self::NotGranted
            | Self::StepUpTooOld
            | Self::StoreSilent => Reason::NotAllowed,
            Self::UploadStalled | Self::NoAnswer | Self::Stopping => Reason::GoingAway,
        }
    }
}

impl Standing {
    /// Of a request that a permit lets pass.
    pub fn of_route(
        permit: &Permit<'_>,
        snapshot: &Snapshot,
        facts: &Arc<RequestFacts>,
        visit: Option<&Visit>,
        arrival: &Arrival,
    ) -> Self {
        let delivery = snapshot.config.deliveries.get(permit.route().index);
        // The answer of an app's sign-out ends the session itself, and has to arrive all the same.
        if delivery.is_some_and(|delivery| delivery.sign_out) {
            return Self::Free;
        }
        let asked = Asked {
            facts: Arc::clone(facts),
            certificate: arrival.certificate(),
        };
        let was_stepped_up = match permit.access() {
            Access::Public => return Self::Open(asked),
            Access::SignedIn | Access::Full => false,
            Access::StepUp { .. } => true,
        };
        match visit {
            None => Self::Open(asked),
            Some(visit) => Self::Held(Tenure {
                visit: visit.clone(),
                what: What::Route {
                    asked,
                    was_stepped_up,
                },
            }),
        }
    }

    /// Of an own page that somebody opened in a session.
    pub fn of_own_page(visit: Option<&Visit>) -> Self {
        visit.map_or(Self::Free, |visit| {
            Self::Held(Tenure {
                visit: visit.clone(),
                what: What::OwnPage,
            })
        })
    }
}

impl Asked {
    /// Whether anybody may have it under this configuration.
    pub fn is_open_to_all(&self, snapshot: &Snapshot, now: Timestamp) -> bool {
        matches!(self.decide_anew(snapshot, None, now), Decision::Forward(_))
    }

    fn decide_anew<'s>(
        &self,
        snapshot: &'s Snapshot,
        visit: Option<&Visit>,
        now: Timestamp,
    ) -> Decision<'s> {
        let request = Request {
            method: &self.facts.method,
            host: self.facts.authority.host(),
            target: &self.facts.target,
            session: visit.map(Visit::for_policy),
            now,
            certificate: &self.certificate,
        };
        decide(&snapshot.config.routes, &request)
    }

    /// What its route says of a passkey check that grows too old.
    fn live(&self, snapshot: &Snapshot) -> Live {
        let (facts, config) = (&self.facts, &snapshot.config);
        let host = facts.authority.host();
        let route = config.routes.find(&facts.method, host, &facts.target);
        route
            .and_then(|route| config.deliveries.get(route.index))
            .map_or(Live::default(), |delivery| delivery.live)
    }
}

impl Tenure {
    /// The session it began in.
    pub const fn visit(&self) -> &Visit {
        &self.visit
    }

    /// Why it ends `now` under this configuration if its session stands like this; `None` while it may go on.
    pub fn judge(&self, snapshot: &Snapshot, visit: &Visit, now: Timestamp) -> Option<Cut> {
        if visit.claims.session_expires_at <= now {
            return Some(Cut::SessionExpired);
        }
        let (asked, was_stepped_up) = match &self.what {
            What::OwnPage => return None,
            What::Route {
                asked,
                was_stepped_up,
            } => (asked, *was_stepped_up),
        };
        match asked.decide_anew(snapshot, Some(visit), now) {
            Decision::Forward(_) => None,
            Decision::Challenge(Challenge::StepUp { .. }) => match asked.live(snapshot) {
                Live::Session if was_stepped_up => None,
                Live::Session | Live::MaxAge => Some(Cut::StepUpTooOld),
            },
            Decision::Challenge(Challenge::SignIn | Challenge::ReEnrol)
            | Decision::Deny(_)
            | Decision::OwnPage => Some(Cut::NotGranted),
        }
    }

    /// When time alone ends it, if its session and the configuration stay like this.
    pub fn end(&self, snapshot: &Snapshot, visit: &Visit, now: Timestamp) -> Timestamp {
        let session_end = visit.claims.session_expires_at;
        let asked = match &self.what {
            What::OwnPage => return session_end,
            What::Route { asked, .. } => asked,
        };
        match asked.live(snapshot) {
            Live::Session => session_end,
            Live::MaxAge => match asked.decide_anew(snapshot, Some(visit), now) {
                Decision::Forward(permit) => {
                    step_up_end(&permit, visit).map_or(session_end, |end| end.min(session_end))
                }
                Decision::Challenge(_) | Decision::Deny(_) | Decision::OwnPage => now,
            },
        }
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
