//! The story of a request, told to pingora: read it, see who asks, decide, and forward it or answer it.

use std::{any::Any, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use http::{Response, StatusCode, header};
use pingora::{
    Error, ErrorType,
    http::{RequestHeader, ResponseHeader},
    modules::http::HttpModules,
    proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session},
    upstreams::peer::HttpPeer,
};

use super::{
    admission::Admission,
    answer, app_sign_out,
    arrival::Entrance,
    asker::Asker,
    challenge,
    connection::HeaderDeadline,
    cookies, deadline,
    facts::{Fault, RequestFacts, Wire},
    failure, farewell, forward_auth, forwarded,
    forwarding::{Asked, Forwarding},
    framing, holding,
    introduction::{Introduction, is_websocket},
    judgement::{self, Purpose},
    own_pages,
    passage::Passage,
    peers::PeerCache,
    record::Unwritten,
    redirect,
    refusal::Refusal,
    response, resuming,
    sparingly::Sparingly,
    strict_transport,
    tenure::Standing,
    trace::Trace,
    upload, would,
};
use crate::{
    core::Core,
    policy::decision::{self, Challenge, Decision, Denial},
    session::Visit,
    telemetry::{access::Outcome, metrics::Phase},
};

/// The gateway, as pingora drives it.
pub struct Proxy {
    core: Arc<Core>,
    pages: Router,
    peers: PeerCache,
    admission: Arc<Admission>,
    /// Says of proxies that cannot be understood.
    unreadable: Sparingly,
}

/// What to do with a request.
enum Verdict {
    Forward,
    OwnPage(Arc<RequestFacts>),
    Answer(Response<Bytes>),
    Challenge(Challenge, Arc<RequestFacts>),
}

impl Proxy {
    /// A gateway with these own pages.
    pub fn new(core: Arc<Core>, pages: Router, admission: Arc<Admission>) -> Self {
        Self {
            core,
            pages,
            peers: PeerCache::default(),
            admission,
            unreadable: Sparingly::default(),
        }
    }

    /// Reads the request, finds its session and decides.
    async fn judge(
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
    async fn turn_away(
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
    async fn resume(&self, session: &Session, passage: &mut Passage) -> Option<Response<Bytes>> {
        let host = passage.facts.clone()?;
        let taken = resuming::take(&self.core, session, passage, host.authority.host()).await;
        taken.err().map(|refusal| refusal_answer(&refusal, passage))
    }

    async fn own_page(
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

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Passage;

    fn new_ctx(&self) -> Passage {
        Passage::new(self.core.snapshot())
    }

    /// None: compressing a page that holds both a secret and what a stranger wrote gives the secret away
    /// (BREACH).
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    /// The header of a request on HTTP/1 is read. Every one is announced here: the connection leaves its
    /// deadline before each.
    fn on_connection_reuse(
        &self,
        _session: &mut Session,
        _passage: &mut Passage,
        left: Box<dyn Any + Send + Sync>,
    ) {
        if let Ok(deadline) = left.downcast::<Arc<HeaderDeadline>>() {
            deadline.meet();
        }
    }

    async fn early_request_filter(
        &self,
        session: &mut Session,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        let limits = &passage.config().door.limits;
        session.set_read_timeout(Some(limits.stall_timeout));
        session.set_write_timeout(Some(limits.stall_timeout));
        session.set_total_drain_timeout(Some(DRAIN));
        // Without these the library keeps an idle connection for ever, and answers a request whose
        // successor is already on the wire with an error.
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(limits.idle_timeout.as_secs()));
        }
        session.set_pipelining_enabled(true);
        Ok(())
    }

    async fn request_filter(
        &self,
        session: &mut Session,
        passage: &mut Passage,
    ) -> pingora::Result<bool> {
        if passage.lifeline.is_leaving() {
            session.set_keepalive(None);
        }
        let verdict = self.judge(session, passage).await?;
        let phases = &self.core.metrics.phases;
        phases.observe(Phase::Decide, passage.lap());
        let response = match verdict {
            Verdict::Forward => match self.resume(session, passage).await {
                None => {
                    session.set_read_timeout(passage.upload_silence());
                    return Ok(false);
                }
                Some(refused) => refused,
            },
            Verdict::Challenge(challenge, facts) => {
                self.turn_away(session, passage, challenge, &facts).await
            }
            Verdict::OwnPage(facts) => match self.own_page(session, passage, &facts).await {
                own_pages::Answer::Whole(response) => response,
                own_pages::Answer::Events(response) => {
                    answer::events(session, passage, response).await?;
                    return Ok(true);
                }
            },
            Verdict::Answer(response) => forward_auth::settle(response, passage),
        };
        answer::whole(session, passage, response).await?;
        Ok(true)
    }

    /// Without leave there is no upstream, whatever went wrong before.
    async fn upstream_peer(
        &self,
        session: &mut Session,
        passage: &mut Passage,
    ) -> pingora::Result<Box<HttpPeer>> {
        passage.lifeline.note_connecting();
        if let (Some(trace), Some(forwarding)) = (&mut passage.trace, &passage.forwarding) {
            trace.connect(&session.req_header().method, forwarding);
        }
        let peers = self.peers.of(&passage.snapshot);
        let forwarding = passage.forwarding.as_ref();
        match forwarding.and_then(|forwarding| forwarding.peer(&peers)) {
            Some(peer) => Ok(Box::new(peer)),
            None => Err(
                Error::explain(ErrorType::InternalError, "no permit to reach an upstream")
                    .into_in(),
            ),
        }
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        passage.uploaded.restart();
        passage.resuming.note_sending();
        passage.lifeline.note_sending();
        let phases = &self.core.metrics.phases;
        phases.observe(Phase::UpstreamConnect, passage.lap());
        let (Some(facts), Some(delivery)) = (&passage.facts, passage.delivery()) else {
            return Err(
                Error::explain(ErrorType::InternalError, "no reading of the request").into_in(),
            );
        };
        Introduction {
            facts,
            visit: passage.visit.as_ref(),
            identity: &passage.config().identity,
            delivery,
            assertion: passage.assertion(&self.core, facts, delivery),
            client: passage.client,
            secure: passage.is_secure(facts.authority.host()),
            request_id: passage.request_id,
        }
        .write(request)
        .and_then(|()| passage.introduce(request))
        .and_then(|()| match &mut passage.trace {
            Some(trace) => trace.introduce(request),
            None => Ok(()),
        })
        .map_err(Error::into_in)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        piece: &mut Option<Bytes>,
        is_last: bool,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        passage.lifeline.note_body(is_last);
        if session.was_upgraded() {
            return Ok(());
        }
        passage.resuming.put_body(piece, is_last);
        upload::drop_empty_end(piece, is_last);
        let limit = passage.delivery().and_then(|delivery| delivery.max_body);
        passage.uploaded.add(piece.as_ref(), limit)
    }

    /// Nothing was sent yet, so the next server may be tried whatever the method.
    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        passage: &mut Passage,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let another = passage
            .forwarding
            .as_mut()
            .is_some_and(|forwarding| forwarding.not_connected(&error));
        error.set_retry(another);
        error
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        passage: &mut Passage,
        kept: bool,
    ) -> Box<Error> {
        // Whose fault it was decides whether the server is blamed.
        let mut error = upload::stall_behind(&error, &passage.lifeline).unwrap_or(error);
        let repeatable = session.req_header().method.is_idempotent()
            && !session.as_ref().retry_buffer_truncated()
            && session.response_written().is_none();
        let again = passage
            .forwarding
            .as_mut()
            .is_some_and(|forwarding| forwarding.broke_off(&error, kept, repeatable));
        error.set_retry(again);
        error
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        framing::check(head, session.is_upgrade_req())?;
        if let Some(forwarding) = &mut passage.forwarding
            && forwarding.answered()
        {
            deadline::set(forwarding.deadline(), passage.request_id);
        }
        let switching = head.status == StatusCode::SWITCHING_PROTOCOLS;
        if head.status.is_informational() && !switching {
            return passage.count_provisional();
        }
        passage.lifeline.note_answer();
        let phases = &self.core.metrics.phases;
        phases.observe(Phase::UpstreamHeader, passage.lap());
        farewell::foresee(session, head, &passage.lifeline);
        passage.unwritten.note_status(head.status);
        if switching {
            passage.place = None;
            // A WebSocket may be silent for as long as its two ends like.
            session.set_read_timeout(None);
            session.set_write_timeout(None);
        }
        response::drop_planted_cookies(head)?;
        response::settle(head, passage)?;
        app_sign_out::follow(&self.core, passage, &session.req_header().headers, head).await?;
        response::sign(head, passage.request_id, passage.renewed_cookie())?;
        strict_transport::say(head, passage)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        passage: &mut Passage,
    ) -> FailToProxy {
        let begun = session.response_written().is_some_and(|head| {
            !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS
        });
        session.set_keepalive(None);
        let clients_fault = upload::stall_behind(error, &passage.lifeline);
        let error = clients_fault.as_deref().unwrap_or(error);
        let refusal = failure::refusal_for(error).filter(|_| !begun);
        failure::report(error, refusal.as_ref(), passage);
        let Some(refusal) = refusal else {
            // How a WebSocket ends is for its two ends to say; there is no other end than this.
            if !session.was_upgraded() {
                passage.lifeline.note_cut(failure::cut(error, passage));
            }
            // The client is gone, or has half an answer that only a cut connection can mark as such.
            return FailToProxy {
                error_code: 0,
                can_reuse_downstream: false,
            };
        };
        resuming::failed(&self.core, passage).await;
        let response = refusal_answer(&refusal, passage);
        if let Err(error) = answer::whole(session, passage, response).await {
            tracing::debug!(request_id = %passage.request_id, %error, "the client left before the error page");
        }
        FailToProxy {
            error_code: refusal.status.as_u16(),
            can_reuse_downstream: false,
        }
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, passage: &mut Passage) {
        resuming::settle(&self.core, passage).await;
        passage.write_record(session);
    }

    /// The library's own lines would hold the query; ours is written in [`Self::fail_to_proxy`].
    fn suppress_error_log(&self, _session: &Session, _passage: &Passage, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        passage: &Passage,
        error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        failure::report_retry(error, passage);
        true
    }

    fn request_summary(&self, _session: &Session, passage: &Passage) -> String {
        format!("request {}", passage.request_id)
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

fn refusal_answer(refusal: &Refusal, passage: &Passage) -> Response<Bytes> {
    let refusal = passage.resuming.explain(refusal);
    refusal.answer(passage.asker, passage.request_id, Some(&passage.snapshot))
}

/// For what is left of a request's body when its answer is out.
const DRAIN: Duration = Duration::from_secs(10);
