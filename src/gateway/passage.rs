//! One request's way through the gateway: what is known of it so far.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderValue;
use pingora::{Error, ErrorType, http::RequestHeader};

use super::{
    admission::Place,
    arrival::Arrival,
    asker::Asker,
    facts::RequestFacts,
    forward_auth::Call,
    forwarded::Believed,
    forwarding::Forwarding,
    lifeline::{Lifeline, Patience, Watched},
    record::Unwritten,
    resuming::Resuming,
    tenure::Standing,
    trace::Trace,
    upload,
    would::Differences,
};
use crate::{
    clock::Timestamp,
    config::{Config, Delivery},
    core::Core,
    id::RequestId,
    policy::certificate::CertificateName,
    session::Visit,
    snapshot::Snapshot,
    telemetry::{access::Rule, outcome::Outcome},
    web::caller::Caller,
};

/// What is known of a request. It begins knowing nothing; only [`Self::forwarding`] opens an upstream.
pub struct Passage {
    /// Its id.
    pub request_id: RequestId,
    /// When its header had been read.
    pub began: Instant,
    /// The configuration it began under, used to its end.
    pub snapshot: Arc<Snapshot>,
    /// The other end of the connection, or whom a trusted proxy names.
    pub client: IpAddr,
    /// Whether it came over TLS: on this connection, or to a trusted proxy that says so.
    pub tls: bool,
    /// What is asking.
    pub asker: Asker,
    /// Its one reading; `None` when there is none.
    pub facts: Option<Arc<RequestFacts>>,
    /// Its live session.
    pub visit: Option<Visit>,
    /// What was decided.
    pub outcome: Outcome,
    /// Leave to reach an upstream.
    pub forwarding: Option<Forwarding>,
    /// What watches over it if it lasts.
    pub lifeline: Arc<Lifeline>,
    /// How much of its body has gone upstream.
    pub uploaded: upload::Count,
    /// How many provisional answers came before the final one.
    pub provisional: u32,
    /// How its connection came in.
    pub arrival: Arc<Arrival>,
    /// What a trusted proxy said of it, if it came from one.
    pub believed: Option<Believed>,
    /// The name on the client's certificate by which it passes.
    pub certified: Option<CertificateName>,
    /// Its place among the requests in flight.
    pub place: Option<Place>,
    /// What policies that are only tried out would have decided otherwise.
    pub would: Differences,
    /// When the present phase began, for the metrics.
    pub lap: Instant,
    /// Whether another proxy asks about a request that it has; then that is what [`Self::facts`] are about.
    pub forward_auth: Option<Call>,
    /// The route that it falls under.
    pub rule: Option<Rule>,
    /// When it was decided on.
    pub decided_at: Option<Timestamp>,
    /// For its line in the access log.
    pub unwritten: Unwritten,
    /// Its spans, where traces go anywhere.
    pub trace: Option<Box<Trace>>,
    /// What is kept and to be sent in its place.
    pub resuming: Resuming,
}

impl Passage {
    /// A request under this configuration.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let began = Instant::now();
        Self {
            request_id: RequestId::random(),
            began,
            lap: began,
            snapshot,
            client: Ipv4Addr::UNSPECIFIED.into(),
            tls: false,
            asker: Asker::Program,
            facts: None,
            visit: None,
            outcome: Outcome::Undecided,
            forwarding: None,
            lifeline: Lifeline::present(),
            uploaded: upload::Count::default(),
            provisional: 0,
            arrival: Arrival::of_this_task(),
            believed: None,
            certified: None,
            place: None,
            would: Differences::default(),
            forward_auth: None,
            rule: None,
            decided_at: None,
            unwritten: Unwritten::default(),
            trace: None,
            resuming: Resuming::default(),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.snapshot.config
    }

    /// Ends a phase and begins the next; how long it took.
    pub fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.lap, now)
    }

    /// What its route says about forwarding.
    pub fn delivery(&self) -> Option<&Delivery> {
        self.forwarding.as_ref()?.delivery()
    }

    /// The longest silence within its body.
    pub fn upload_silence(&self) -> Option<Duration> {
        Some(upload::silence(self.delivery(), self.config()))
    }

    /// Has it watched over if it lasts: as long as `standing` says, and no longer still than `patience`.
    pub fn watch(&self, standing: Standing, patience: Patience) {
        self.lifeline.watch(Watched {
            request_id: self.request_id,
            began: self.began,
            standing,
            patience,
        });
    }

    /// Counts a provisional answer.
    ///
    /// # Errors
    /// When an upstream sends so many that a final one is not to be expected.
    pub fn count_provisional(&mut self) -> pingora::Result<()> {
        self.provisional += 1;
        if self.provisional > MAX_PROVISIONAL {
            let problem = "too many provisional answers";
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, problem).into_up());
        }
        Ok(())
    }

    /// The renewed session cookie to set on the answer.
    pub fn renewed_cookie(&self) -> Option<&HeaderValue> {
        self.visit.as_ref()?.set_cookie.as_ref()
    }

    /// Who asks, in a form that the app can verify; `None` where it is not asked for or the app need not know.
    pub fn assertion(
        &self,
        core: &Core,
        facts: &RequestFacts,
        delivery: &Delivery,
    ) -> Option<HeaderValue> {
        self.config().identity.assertion.as_ref()?;
        let visit = self.visit.as_ref().filter(|_| !delivery.anonymous)?;
        let issuer = self.config().relying_party.main();
        core.sessions
            .assertion(visit, issuer.as_str(), facts.authority.host())
    }

    /// Whether people reach this host over TLS: as a trusted proxy says, or else on this connection, or before
    /// something in front that ends it, as the configured origin says.
    pub fn is_secure(&self, host: &str) -> bool {
        if let Some(secure) = self.believed.as_ref().and_then(|believed| believed.secure) {
            return secure;
        }
        self.tls || self.config().relying_party.is_reached_securely(host)
    }

    /// Tells an upstream of the machine that asks, and of the proxies that the request came by.
    ///
    /// # Errors
    /// None in practice: a certificate's name and a list of addresses are headers.
    pub fn introduce(&self, request: &mut RequestHeader) -> pingora::Result<()> {
        if let Some(name) = &self.certified {
            request.insert_header("X-Gatehouse-Certificate", name.as_str())?;
        }
        match &self.believed {
            Some(believed) => request.insert_header("X-Forwarded-For", &believed.chain),
            None => Ok(()),
        }
    }

    /// What an own page learns.
    pub fn caller(&self, facts: &RequestFacts) -> Caller {
        Caller {
            visit: self.visit.clone(),
            request_id: self.request_id,
            client: self.client,
            host: facts.authority.host().to_owned(),
            certificate: self.arrival.certificate(),
        }
    }
}

/// A server may say a few times that it is still at work, or give hints; no more than this.
const MAX_PROVISIONAL: u32 = 32;
