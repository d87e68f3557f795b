//! The story of a request, told to pingora: a [verdict](super::verdict) on it, then to an upstream, or an answer from here.

use std::{any::Any, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use http::StatusCode;
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
    connection::HeaderDeadline,
    deadline, failure, farewell, forward_auth, framing,
    introduction::Introduction,
    own_pages,
    passage::Passage,
    peers::PeerCache,
    response, resuming,
    sparingly::Sparingly,
    strict_transport, upload,
    verdict::{Verdict, refusal_answer},
};
use crate::{core::Core, telemetry::metrics::Phase};

/// The gateway, as pingora drives it.
pub struct Proxy {
    pub(super) core: Arc<Core>,
    pub(super) pages: Router,
    peers: PeerCache,
    pub(super) admission: Arc<Admission>,
    /// Says of proxies that cannot be understood.
    pub(super) unreadable: Sparingly,
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
            Verdict::Answer(response) => response,
        };
        let response = forward_auth::settle(response, passage);
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

/// For what is left of a request's body when its answer is out.
const DRAIN: Duration = Duration::from_secs(10);
