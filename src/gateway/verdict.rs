//! What is made of a request before anything is sent: read it, see who asks, decide, and turn it away or let it pass.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, header};
use pingora::proxy::Session;

use super::{
    arrival::Entrance,
    asker::Asker,
    challenge, cookies, deadline,
    facts::{Fault, RequestFacts, Wire},
    failure, forward_auth, forwarded,
    forwarding::{Asked, Forwarding},
    holding,
    introduction::is_websocket,
    judgement::{self, Purpose},
    own_pages,
    passage::Passage,
    proxy::Proxy,
    record::Unwritten,
    redirect,
    refusal::Refusal,
    resuming,
    tenure::Standing,
    trace::Trace,
    upload, would,
};
use crate::{
    policy::decision::{self, Challenge, Decision, Denial},
    session::Visit,
    telemetry::{metrics::Phase, outcome::Outcome},
};
/// What to do with a request.
pub(super) enum Verdict {
    Forward,
    OwnPage(Arc<RequestFacts>),
    Answer(Response<Bytes>),
    Challenge(Challenge, Arc<RequestFacts>),
}

impl Proxy {
    /// Reads the request, finds its session and decides.
    pub(super) async fn judge(
        &self,
        session: &mut Session,
        passage: &mut Passage,
    ) -> pingora::Result<Verdict> {
        observe(session, passage);
        passage.unwritten = Unwritten::of(Arc::clone(&self.core), session);
        passage.trace = self.core.traces.as_ref().map(|traces| {
            let headers = &session.req_header().headers;
            Box::new(Trace::begin(traces, headers, passage.arrival.trusted))
        });
        let _step = passage
            .trace
            .as_ref()
            .and_then(|trace| trace.step("decide"));
        passage.place = self.admission.request();
        if passage.place.is_none() {
            passage.outcome = Outcome::Overloaded;
            return Ok(refuse(&Refusal::overloaded(), passage));
        }
        forward_auth::note(session, passage, &self.unreadable);
        let facts = match read_facts(session, passage)
            .and_then(|facts| self.believe(session, passage, facts))
            .and_then(|facts| self.asked_about(session, passage, facts))
            .and_then(|facts| facts.with_destination(&session.req_header().headers))
        {
            Ok(facts) => Arc::new(facts),
            Err(fault) => {
                // Where this request ends may be in doubt, so nothing after it is read.
                session.set_keepalive(None);
                passage.outcome = Outcome::Malformed;
                return Ok(refuse(&Refusal::malformed(&fault), passage));
            }
        };
        passage.facts = Some(facts.clone());
        if let Some(verdict) = elsewhere(passage, &facts) {
            return Ok(verdict);
        }
        if let Some(joined) = cookies::join_crumbs(&session.req_header().headers) {
            session.req_header_mut().insert_header("Cookie", joined)?;
        }
        passage.visit = self
            .core
            .sessions
            .visit(
                &session.req_header().headers,
                facts.authority.host(),
                &passage.snapshot.config.session,
            )
            .await;
        if let Err(refusal) = resuming::recognise(&self.core, session, passage, &facts).await {
            passage.outcome = Outcome::OwnPage;
            return Ok(refuse(&refusal, passage));
        }
        Ok(self.decide(session, passage, facts))
    }

    /// Takes a trusted proxy's word for where the request comes from.
    fn believe(
        &self,
        session: &Session,
        passage: &mut Passage,
        mut facts: RequestFacts,
    ) -> Result<RequestFacts, Fault> {
        if !passage.arrival.trusted {
            return Ok(facts);
        }
        let headers = &session.req_header().headers;
        let trusted = &passage.snapshot.config.door.trusted_proxies;
        let believed = forwarded::read(headers, passage.client, trusted).inspect_err(|fault| {
            if let Some(silenced) = self.unreadable.due() {
                let (proxy, problem) = (passage.client, fault.to_string());
                tracing::warn!(%proxy, problem, silenced, "what a trusted proxy says cannot be believed");
            }
        })?;
        passage.client = believed.client;
        passage.tls = believed.secure.unwrap_or(passage.tls);
        if let Some(host) = &believed.host {
            facts.authority = host.clone();
        }
        passage.believed = Some(believed);
        Ok(facts)
    }

    /// The request that another proxy asks about, if this is such a question.
    fn asked_about(
        &self,
        session: &Session,
        passage: &mut Passage,
        facts: RequestFacts,
    ) -> Result<RequestFacts, Fault> {
        forward_auth::original(session, passage, facts).inspect_err(|fault| {
            if let Some(silenced) = self.unreadable.due() {
                let (request_id, proxy) = (passage.request_id, passage.arrival.peer);
                let problem = fault.to_string();
                tracing::warn!(%request_id, %proxy, problem, silenced, "a request that forward-auth was asked about cannot be read");
            }
        })
    }

    fn decide(
        &self,
        session: &Session,
        passage: &mut Passage,
        facts: Arc<RequestFacts>,
    ) -> Verdict {
        let snapshot = passage.snapshot.clone();
        let request = decision::Request {
            method: &facts.method,
            host: facts.authority.host(),
            target: &facts.target,
            session: passage.visit.as_ref().map(Visit::for_policy),
            now: self.core.clock.now(),
            certificate: match (&passage.forward_auth, &passage.arrival.tls) {
                (None, Some(tls)) => &tls.client,
                // The visitor's is unknown; this connection's is the other proxy's.
                (Some(_), _) | (None, None) => &[],
            },
        };
        let purpose = match passage.forward_auth {
            None => Purpose::Serve,
            Some(_) => Purpose::Tell,
        };
        let destination = facts.destination.as_ref();
        let decision = judgement::decide_all(&snapshot.config, &request, destination, purpose);
        passage.outcome = judgement::outcome(&decision);
        passage.would = would::ask(
            &self.core,
            &snapshot.config,
            &request,
            (destination, purpose),
            &decision,
        );
        passage.decided_at = Some(request.now);
        passage.rule = judgement::rule(&snapshot.config.routes, &request, &decision);
        match decision {
            Decision::Forward(permit) if passage.forward_auth.is_some() => Verdict::Answer(
                forward_auth::pass(&self.core, session.req_header(), passage, &facts, &permit),
            ),
            Decision::Forward(permit) => {
                passage.certified = permit
                    .route()
                    .certificates
                    .passed_by(request.certificate)
                    .cloned();
                if let Some(refusal) = upload::refusal_for(session, &permit, &snapshot) {
                    return refuse(&refusal, passage);
                }
                let asked = Asked {
                    began: passage.began,
                    websocket: is_websocket(session.req_header()),
                    visit: passage.visit.as_ref(),
                    client: passage.client,
                };
                match Forwarding::new(&permit, snapshot.clone(), &asked) {
                    Ok(forwarding) => {
                        deadline::set(forwarding.deadline(), passage.request_id);
                        passage.forwarding = Some(forwarding);
                    }
                    Err(no_way) => return refuse(&failure::no_way(no_way), passage),
                }
                let standing = Standing::of_route(
                    &permit,
                    &snapshot,
                    &facts,
                    passage.visit.as_ref(),
                    &passage.arrival,
                );
                passage.watch(standing, upload::patience(session, &permit, &snapshot));
                Verdict::Forward
            }
            // The other proxy has it, and would serve something else in its place.
            Decision::OwnPage if passage.forward_auth.is_some() => {
                refuse(&Refusal::denied(Denial::NoRoute), passage)
            }
            Decision::OwnPage => Verdict::OwnPage(facts),
            Decision::Challenge(challenge) => Verdict::Challenge(challenge, facts),
            Decision::Deny(denial) => match challenge::front_page(denial, &facts, &snapshot.config)
            {
                Some(answer) => Verdict::Answer(answer),
                None => refuse(&Refusal::denied(denial), passage),
            },
        }
    }

    /// The answer to a request that meets a challenge, which is kept if it may be.
    pub(super) async fn turn_away(
        &self,
        session: &mut Session,
        passage: &Passage,
        challenge: Challenge,
        facts: &RequestFacts,
    ) -> Response<Bytes> {
        let (fate, cookie) = match passage.resuming.fate(passage) {
            Some(fate) => (fate, None),
            None => holding::keep(&self.core, session, passage, facts).await,
        };
        let asked = (passage.request_id, Some(&*passage.snapshot));
        let headers = &session.req_header().headers;
        let mut answer = challenge::answer(challenge, passage.asker, facts, headers, &fate, asked);
        if let Some(cookie) = cookie {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
        answer
    }

    /// Takes out what is to be sent in the place of a request that may pass.
    pub(super) async fn resume(
        &self,
        session: &Session,
        passage: &mut Passage,
    ) -> Option<Response<Bytes>> {
        let host = passage.facts.clone()?;
        let taken = resuming::take(&self.core, session, passage, host.authority.host()).await;
        taken.err().map(|refusal| refusal_answer(&refusal, passage))
    }

    pub(super) async fn own_page(
        &self,
        session: &mut Session,
        passage: &Passage,
        facts: &RequestFacts,
    ) -> own_pages::Answer {
        let _step = passage
            .trace
            .as_ref()
            .and_then(|trace| trace.step("own page"));
        let caller = passage.caller(facts);
        let patience = passage.config().door.limits.stall_timeout;
        let answer = own_pages::call(self.pages.clone(), session, facts, caller, patience).await;
        let phases = &self.core.metrics.phases;
        phases.observe(Phase::OwnPage, passage.lap.elapsed());
        match answer {
            Ok(answer) => answer,
            Err(refusal) => own_pages::Answer::Whole(refusal_answer(&refusal, passage)),
        }
    }
}

/// Who is at the other end, and what kind of asker it is.
fn observe(session: &Session, passage: &mut Passage) {
    passage.client = passage.arrival.peer;
    passage.tls = passage.arrival.tls.is_some();
    let request = session.req_header();
    passage.asker = Asker::of(&request.method, &request.headers);
}

/// The answer to a request that came in at the wrong door.
fn elsewhere(passage: &mut Passage, facts: &RequestFacts) -> Option<Verdict> {
    if let Entrance::Redirecting { port } = passage.arrival.entrance {
        passage.outcome = Outcome::Redirected;
        return Some(match redirect::answer(facts, passage.config(), port) {
            Some(response) => Verdict::Answer(response),
            None => refuse(&Refusal::misdirected(), passage),
        });
    }
    if passage.arrival.is_for(facts.authority.host()) {
        return None;
    }
    passage.outcome = Outcome::Misdirected;
    Some(refuse(&Refusal::misdirected(), passage))
}

fn read_facts(session: &Session, passage: &Passage) -> Result<RequestFacts, Fault> {
    let request = session.req_header();
    let head = session
        .as_http1()
        .map(|session| session.get_headers_raw_bytes());
    RequestFacts::read(&Wire {
        method: &request.method,
        target: request.raw_path(),
        authority: request.uri.authority().map(http::uri::Authority::as_str),
        headers: &request.headers,
        head: head.as_deref(),
        size: passage.config().door.limits.header,
    })
}

fn refuse(refusal: &Refusal, passage: &Passage) -> Verdict {
    Verdict::Answer(refusal_answer(refusal, passage))
}

pub(super) fn refusal_answer(refusal: &Refusal, passage: &Passage) -> Response<Bytes> {
    let refusal = passage.resuming.explain(refusal);
    refusal.answer(passage.asker, passage.request_id, Some(&passage.snapshot))
}
