//! What is written of a request when it is over, however it ends: a request that is cut is dropped in the middle,
//! and what was learned of it by then is written from there.

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

use http::{Method, StatusCode, Version};
use pingora::proxy::Session;

use super::{forwarding::Forwarding, passage::Passage, tenure::Cut};
use crate::{
    core::Core,
    network::Network,
    telemetry::{
        access::{AccessRecord, Kind, shown_path},
        metrics::{Metrics, Phase, ResponseClass},
        outcome::{CutShort, SessionKind},
    },
};

/// What is known of a request for its line alone; without a core the line is written already, or never.
#[derive(Default)]
pub struct Unwritten {
    core: Option<Arc<Core>>,
    method: Method,
    version: Version,
    /// 0 before there is one.
    status: AtomicU16,
}

/// How a request ended.
enum Ended {
    /// By itself.
    Done {
        /// The length of the answer's body.
        bytes_out: usize,
    },
    /// In the middle.
    Cut(CutShort),
}

impl Unwritten {
    /// The request whose line this will be.
    pub fn of(core: Arc<Core>, session: &Session) -> Self {
        let request = session.req_header();
        Self {
            core: Some(core),
            method: request.method.clone(),
            version: request.version,
            status: AtomicU16::default(),
        }
    }

    /// An answer's header is on its way.
    pub fn note_status(&self, status: StatusCode) {
        self.status.store(status.as_u16(), Ordering::Relaxed);
    }
}

impl Passage {
    /// Writes the line of a request that ended by itself.
    pub fn write_record(&mut self, session: &Session) {
        if let Some(head) = session.response_written() {
            self.unwritten.note_status(head.status);
        }
        let bytes_out = session.body_bytes_sent();
        self.write(Ended::Done { bytes_out });
    }

    fn write(&mut self, ended: Ended) {
        if let Some(core) = self.unwritten.core.take() {
            self.count(&core.metrics, &ended);
            let mut trace = self.trace.take();
            let trace_id = trace.as_ref().map(|trace| trace.id().to_owned());
            let record = self.record(&ended, trace_id.as_deref());
            core.access_log.write(self.config().log.access, &record);
            if let Some(trace) = &mut trace {
                trace.end(self, &record);
            }
        }
    }

    fn count(&self, metrics: &Metrics, ended: &Ended) {
        metrics.requests.count(self.outcome);
        metrics.responses.count(ResponseClass::of(self.status()));
        metrics.phases.observe(Phase::Total, self.began.elapsed());
        // nginx asks twice about what does not pass.
        if self.forward_auth.is_some_and(|call| !call.for_visitor) {
            metrics.forward_auth.count(self.outcome);
        }
        match ended {
            Ended::Done { .. } => {}
            Ended::Cut(_) => metrics.cut_requests.inc(),
        }
    }

    fn status(&self) -> Option<u16> {
        let status = self.unwritten.status.load(Ordering::Relaxed);
        (status != 0).then_some(status)
    }

    fn record<'a>(&'a self, ended: &Ended, trace_id: Option<&'a str>) -> AccessRecord<'a> {
        let facts = self.facts.as_ref();
        let forwarding = self.forwarding.as_ref();
        let step_up = self
            .visit
            .as_ref()
            .and_then(|visit| visit.claims.stepped_up_at);
        AccessRecord {
            over_at: time::OffsetDateTime::now_utc(),
            kind: Kind::default(),
            request_id: self.request_id,
            method: match (&self.forward_auth, facts) {
                (Some(_), Some(facts)) => facts.method.as_str(),
                (None, _) | (_, None) => self.unwritten.method.as_str(),
            },
            host: facts.map(|facts| facts.authority.host()),
            path: facts.map(|facts| shown_path(facts.target.path())),
            destination: facts
                .and_then(|facts| facts.destination.as_ref())
                .map(|destination| shown_path(destination.path())),
            protocol: protocol(self.unwritten.version),
            status: self.status(),
            bytes_out: match ended {
                Ended::Done { bytes_out } => Some(*bytes_out),
                Ended::Cut(_) => None,
            },
            decision: self.outcome,
            missing: self.outcome.missing(),
            rule: self.rule,
            upstream: forwarding.map(|forwarding| forwarding.upstream().name.as_str()),
            server: forwarding.map(Forwarding::server),
            duration: self.began.elapsed(),
            network: Network::of(self.client),
            account: self.visit.as_ref().map(|visit| visit.account.id),
            session: match &self.visit {
                None => SessionKind::None,
                Some(visit) if visit.claims.restricted => SessionKind::Restricted,
                Some(_) => SessionKind::Full,
            },
            // As old as it was when it was looked at: what lasts would make it older.
            step_up_age: self.decided_at.zip(step_up).map(|(now, at)| now.since(at)),
            certificate: self.arrival.tls.as_ref().map_or(&[], |tls| &tls.client),
            cut: match ended {
                Ended::Done { .. } => self.lifeline.cut_by(),
                Ended::Cut(cut) => Some(*cut),
            },
            trace_id,
            report_only: self.would.report_only.as_ref().map(|would| would.outcome),
            report_only_route: self
                .would
                .report_only
                .as_ref()
                .and_then(|would| would.route),
            shadow: self.would.shadow.as_ref().map(|would| would.outcome),
            shadow_route: self.would.shadow.as_ref().and_then(|would| would.route),
            shadow_upstream: self
                .would
                .shadow
                .as_ref()
                .and_then(|would| would.upstream.as_deref()),
            forward_auth: self.forward_auth.is_some(),
        }
    }
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

impl From<Cut> for CutShort {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::SessionOver => Self::SessionOver,
            Cut::SessionExpired => Self::SessionExpired,
            Cut::NotGranted => Self::NotGranted,
            Cut::StepUpTooOld => Self::StepUpTooOld,
            Cut::StoreSilent => Self::StoreSilent,
            Cut::UploadStalled => Self::UploadStalled,
            Cut::NoAnswer => Self::NoAnswer,
            Cut::Stopping => Self::Stopping,
        }
    }
}

/// One that was not written is of a request that was cut.
impl Drop for Passage {
    fn drop(&mut self) {
        let cut = self.lifeline.cut_by().unwrap_or(CutShort::ConnectionEnded);
        self.write(Ended::Cut(cut));
    }
}
