//! What is counted and measured, for `/metrics`.
//!
//! Names of labels and their values are closed sets: nothing in them comes from a request. What is counted while a
//! request waits is found by its place, without a lock. What is a state rather than a count (servers up, mails waiting)
//! is not kept here: [`monitoring`](crate::monitoring) looks at it when it is asked.
//!
//! | family | labels | what |
//! |---|---|---|
//! | `gatehouse_requests_total` | `decision` | requests, by what was decided |
//! | `gatehouse_responses_total` | `class` | answers, by class of status; `none` when the client left before |
//! | `gatehouse_requests_in_flight` | | requests from header to end of answer; no WebSockets |
//! | `gatehouse_connections` | | open connections |
//! | `gatehouse_connections_refused_total` | `reason` | connections closed without an answer |
//! | `gatehouse_unread_requests_total` | | on HTTP/1: malformed, CONNECT, or broken off within the header |
//! | `gatehouse_cut_requests_total` | | exchanges cut before their end; among the requests above too |
//! | `gatehouse_request_duration_seconds` | `phase` | histogram of where the time goes |
//! | `gatehouse_sign_ins_total` | `method`, `result` | sign-ins |
//! | `gatehouse_step_ups_total`, `gatehouse_enrolments_total` | `result` | step-ups, saved passkeys |
//! | `gatehouse_security_events_total` | `event` | other audited events that an operator should know of |
//! | `gatehouse_throttled_total` | `what` | attempts refused by limits |
//! | `gatehouse_mails_total` | `result` | tries to send mail |
//! | `gatehouse_revocation_lag_seconds` | | histogram: from a change in the store to its effect on this node |
//! | `gatehouse_store_errors_total` | `access` | calls that the store did not carry out |
//! | `gatehouse_store_duration_seconds` | `access` | histogram of calls to the store, waiting included |
//! | `gatehouse_report_only_total`, `gatehouse_shadow_differences_total` | `would` | requests that a trial would have decided otherwise |
//! | `gatehouse_forward_auth_total` | `decision` | questions of other proxies; among the requests too |
//! | `gatehouse_held_requests_total` | `event` | POSTs that met a challenge, by what became of them |
//! | `gatehouse_reloads_total` | `what`, `result` | configurations, certificates and programs taken up, or not |
//! | `gatehouse_access_lines_dropped_total`, `gatehouse_spans_dropped_total` | | what the disk or the collector did not take |

mod audited;
mod feed;
mod labels;
mod measures;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

pub use self::{
    audited::Tally,
    feed::Feed,
    labels::{
        EnrolmentResult, HoldEvent, MailResult, Phase, RefusedConnection, ReloadOf, ReloadResult,
        ResponseClass, SecurityEvent, SignInResult, StepUpResult, StoreAccess, Throttle,
        UpstreamFailure,
    },
    measures::{Durations, Grid},
};
use super::outcome::Outcome;
use crate::method::Method;

/// A closed set of values of one label.
pub trait Label: Copy + 'static {
    /// The name of the label.
    const NAME: &'static str;
    /// Every value, in the order of [`Self::place`].
    const ALL: &'static [Self];

    /// The value in words.
    fn word(self) -> &'static str;

    /// Its place among [`Self::ALL`].
    fn place(self) -> usize;
}

/// A counter for each value of a label.
#[derive(Debug)]
pub struct Counts<L> {
    counters: Vec<IntCounter>,
    of: std::marker::PhantomData<fn(L)>,
}

/// Everything that this node counts and measures.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests, by what was decided on them.
    pub requests: Counts<Outcome>,
    /// Requests that routes with `report_only` would have changed, by what would have been decided.
    pub report_only: Counts<WouldBe>,
    /// Requests that the candidate of `serve --shadow` would have changed, by what it would have decided.
    pub shadow_differences: Counts<WouldBe>,
    /// Answers.
    pub responses: Counts<ResponseClass>,
    /// Requests between their header and the end of their answer.
    pub requests_in_flight: IntGauge,
    /// Open connections.
    pub connections: IntGauge,
    /// Connections that were closed without an answer.
    pub refused_connections: Counts<RefusedConnection>,
    /// Requests that ended before their header was read.
    pub unread_requests: IntCounter,
    /// Exchanges that were cut; nothing else counts them.
    pub cut_requests: IntCounter,
    /// Where the time of requests goes.
    pub phases: Durations<Phase>,
    /// Sign-ins that ended on this node.
    pub sign_ins: Grid<Method, SignInResult>,
    /// Step-ups that ended on this node.
    pub step_ups: Counts<StepUpResult>,
    /// Enrolments that ended on this node.
    pub enrolments: Counts<EnrolmentResult>,
    /// Other audited events.
    pub events: Counts<SecurityEvent>,
    /// Attempts that limits refused.
    pub throttled: Counts<Throttle>,
    /// Tries to send mail.
    pub mails: Counts<MailResult>,
    /// From a change in the store to its effect here.
    pub revocation_lag: Histogram,
    /// When this node last knew all changes.
    pub feed: Feed,
    /// Calls that the store did not carry out.
    pub store_errors: Counts<StoreAccess>,
    /// Calls to the store.
    pub store_durations: Durations<StoreAccess>,
    /// What becomes of requests that are kept until their sender has signed in.
    pub held_requests: Counts<HoldEvent>,
    /// Questions of other proxies, by what was decided on the request that they have.
    pub forward_auth: Counts<Outcome>,
    /// Attempts to take something up without a restart.
    pub reloads: Grid<ReloadOf, ReloadResult>,
    /// Lines of the access log that were not written.
    pub access_lines_dropped: IntCounter,
    /// Spans that did not reach the collector.
    pub spans_dropped: IntCounter,
}

/// What would have been decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WouldBe(pub Outcome);

impl<L: Label> Counts<L> {
    /// Counters at zero; a value that never came up is shown as such.
    ///
    /// # Errors
    /// When the registry has the name already.
    pub fn register(registry: &Registry, name: &str, help: &str) -> prometheus::Result<Self> {
        let family = IntCounterVec::new(Opts::new(name, help), &[L::NAME])?;
        registry.register(Box::new(family.clone()))?;
        let counters = L::ALL
            .iter()
            .map(|value| family.with_label_values(&[value.word()]));
        Ok(Self {
            counters: counters.collect(),
            of: std::marker::PhantomData,
        })
    }

    /// Counts one.
    pub fn count(&self, value: L) {
        if let Some(counter) = self.counters.get(value.place()) {
            counter.inc();
        }
    }

    /// How many there were.
    pub fn of(&self, value: L) -> u64 {
        self.counters.get(value.place()).map_or(0, IntCounter::get)
    }
}

impl Metrics {
    /// Everything at zero.
    ///
    /// # Panics
    /// When two metrics have one name: every test would.
    pub fn new() -> Self {
        Self::register().expect("each metric has a name of its own")
    }

    fn register() -> prometheus::Result<Self> {
        let registry = Registry::new();
        Ok(Self {
            requests: Counts::register(
                &registry,
                "gatehouse_requests_total",
                "Requests, by what was decided on them.",
            )?,
            report_only: Counts::register(
                &registry,
                "gatehouse_report_only_total",
                "Requests on which routes with report_only would have changed the decision, by what it would have been.",
            )?,
            shadow_differences: Counts::register(
                &registry,
                "gatehouse_shadow_differences_total",
                "Requests on which the candidate of serve --shadow differs, by what it would have decided.",
            )?,
            responses: Counts::register(
                &registry,
                "gatehouse_responses_total",
                "Answers, by the class of their status.",
            )?,
            requests_in_flight: measures::gauge(
                &registry,
                "gatehouse_requests_in_flight",
                "Requests between their header and the end of their answer, without WebSockets.",
            )?,
            connections: measures::gauge(&registry, "gatehouse_connections", "Open connections.")?,
            refused_connections: Counts::register(
                &registry,
                "gatehouse_connections_refused_total",
                "Connections that were closed without an answer.",
            )?,
            unread_requests: measures::counter(
                &registry,
                "gatehouse_unread_requests_total",
                "HTTP/1 requests that are malformed, are CONNECT, or broke off within their header.",
            )?,
            cut_requests: measures::counter(
                &registry,
                "gatehouse_cut_requests_total",
                "Exchanges that were cut (session over, stalled, out of time, stopping), or whose client left.",
            )?,
            phases: Durations::register(
                &registry,
                "gatehouse_request_duration_seconds",
                "Where the time of requests goes.",
                &measures::REQUEST,
            )?,
            sign_ins: Grid::register(
                &registry,
                "gatehouse_sign_ins_total",
                "Sign-ins that ended on this node.",
            )?,
            step_ups: Counts::register(
                &registry,
                "gatehouse_step_ups_total",
                "Step-ups that ended on this node.",
            )?,
            enrolments: Counts::register(
                &registry,
                "gatehouse_enrolments_total",
                "Passkeys that were saved, or not, on this node.",
            )?,
            events: Counts::register(
                &registry,
                "gatehouse_security_events_total",
                "Other events of the audit log, as far as this node wrote them.",
            )?,
            throttled: Counts::register(
                &registry,
                "gatehouse_throttled_total",
                "Attempts that were refused because there were too many.",
            )?,
            mails: Counts::register(
                &registry,
                "gatehouse_mails_total",
                "Tries of this node to send a mail.",
            )?,
            revocation_lag: measures::histogram(
                &registry,
                "gatehouse_revocation_lag_seconds",
                "From a change in the store (a session or an account ended) to its effect on this node.",
                &measures::LAG,
            )?,
            feed: Feed::default(),
            store_errors: Counts::register(
                &registry,
                "gatehouse_store_errors_total",
                "Calls that the store did not carry out.",
            )?,
            store_durations: Durations::register(
                &registry,
                "gatehouse_store_duration_seconds",
                "Calls to the store, with the wait for their turn.",
                &measures::STORE,
            )?,
            held_requests: Counts::register(
                &registry,
                "gatehouse_held_requests_total",
                "POSTs that met a challenge, by what became of them.",
            )?,
            forward_auth: Counts::register(
                &registry,
                "gatehouse_forward_auth_total",
                "Questions of other proxies, by what was decided on the request that they have.",
            )?,
            reloads: Grid::register(
                &registry,
                "gatehouse_reloads_total",
                "Attempts to take up a new configuration, certificates or program, by how they went.",
            )?,
            access_lines_dropped: measures::counter(
                &registry,
                "gatehouse_access_lines_dropped_total",
                "Lines of the access log that were not written, because the disk was slow or full.",
            )?,
            spans_dropped: measures::counter(
                &registry,
                "gatehouse_spans_dropped_total",
                "Spans of traces that did not reach the collector.",
            )?,
            registry,
        })
    }

    /// What a scrape reads.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }
}

/// A counter of its own, at zero.
impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Label for Outcome {
    const NAME: &'static str = "decision";
    const ALL: &'static [Self] = &Self::ALL;

    fn word(self) -> &'static str {
        self.name()
    }

    fn place(self) -> usize {
        self as usize
    }
}

impl Label for WouldBe {
    const NAME: &'static str = "would";
    const ALL: &'static [Self] = &{
        let mut all = [Self(Outcome::Undecided); Outcome::ALL.len()];
        let mut place = 0;
        while place < all.len() {
            all[place] = Self(Outcome::ALL[place]);
            place += 1;
        }
        all
    };

    fn word(self) -> &'static str {
        self.0.name()
    }

    fn place(self) -> usize {
        self.0.place()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_a_counter_of_its_own() {
        let metrics = Metrics::new();
        for (place, value) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(value.place(), place);
            metrics.requests.count(value);
            assert_eq!(metrics.requests.of(value), 1, "{}", value.word());
        }
    }
}
