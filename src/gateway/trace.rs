//! A request as part of a trace (OpenTelemetry, W3C Trace Context): the spans it is told as, and what its upstream is
//! told of them.
//!
//! Spans carry what the gateway decided and how it went: patterns of routes, never a path, a query, an address or an
//! account. A trace that a trusted proxy began is continued; a stranger's is not, so that nobody can have requests
//! recorded or slip into somebody else's trace.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::{Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{SdkTracer, Span},
};
use pingora::http::RequestHeader;

use super::{forwarding::Forwarding, passage::Passage};
use crate::{
    policy::{own_page::is_own_page, route::Route},
    telemetry::{access::AccessRecord, outcome::CutShort, traces::Traces},
};

/// The spans of one request.
pub struct Trace {
    tracer: SdkTracer,
    /// The request as a whole.
    server: Span,
    /// Whose children the other spans are.
    inside: Context,
    /// The exchange with the upstream that is tried now.
    client: Option<Span>,
    id: String,
}

impl Trace {
    /// The trace of a request whose header was just read.
    pub fn begin(traces: &Traces, headers: &HeaderMap, trusted: bool) -> Self {
        let parent = if trusted {
            continued(headers)
        } else {
            Context::new()
        };
        let tracer = traces.tracer().clone();
        let builder = SpanBuilder::from_name("HTTP").with_kind(SpanKind::Server);
        let server = tracer.build_with_context(builder, &parent);
        let inside = Context::new().with_remote_span_context(server.span_context().clone());
        Self {
            id: server.span_context().trace_id().to_string(),
            tracer,
            server,
            inside,
            client: None,
        }
    }

    /// Its id, as it is written.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A step of the gateway's own, until it is dropped; `None` where nothing is recorded.
    pub fn step(&self, name: &'static str) -> Option<Span> {
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Internal);
        let recorded = self.server.is_recording();
        recorded.then(|| self.tracer.build_with_context(builder, &self.inside))
    }

    /// A server of an upstream is about to be connected to. One that was tried before has failed.
    pub fn connect(&mut self, method: &Method, forwarding: &Forwarding) {
        if let Some(mut failed) = self.client.take() {
            failed.set_status(Status::error("trying again"));
        }
        let builder =
            SpanBuilder::from_name(known(method).unwrap_or("HTTP")).with_kind(SpanKind::Client);
        let mut client = self.tracer.build_with_context(builder, &self.inside);
        if client.is_recording() {
            client.set_attributes([
                method_attribute(method),
                KeyValue::new("gatehouse.upstream", forwarding.upstream().name.clone()),
                KeyValue::new("server.address", forwarding.server().to_owned()),
            ]);
        }
        self.client = Some(client);
    }

    /// The upstream is connected to: it is told which trace its request is part of, recorded or not, in place of
    /// what the client may have said.
    ///
    /// # Errors
    /// None in practice: what the propagator writes are headers.
    pub fn introduce(&mut self, request: &mut RequestHeader) -> pingora::Result<()> {
        request.remove_header(&TRACEPARENT);
        request.remove_header(&TRACESTATE);
        let Some(client) = &mut self.client else {
            return Ok(());
        };
        client.add_event("connected", Vec::new());
        let context = Context::new().with_remote_span_context(client.span_context().clone());
        let mut fields = Fields::default();
        TraceContextPropagator::new().inject_context(&context, &mut fields);
        for (name, value) in fields.0 {
            request.insert_header(name, value)?;
        }
        Ok(())
    }

    /// The request is over.
    pub fn end(&mut self, passage: &Passage, record: &AccessRecord<'_>) {
        let now = SystemTime::now();
        let status = record
            .status
            .map(|status| KeyValue::new(STATUS, i64::from(status)));
        let failed = record.status.is_some_and(|status| status >= 500);
        if let Some(mut client) = self.client.take() {
            client.set_attributes(status.clone());
            if failed {
                client.set_status(Status::error(""));
            }
            client.end_with_timestamp(now);
        }
        if self.server.is_recording() {
            self.describe(passage, record);
            self.server.set_attributes(status);
            if failed {
                self.server.set_status(Status::error(""));
            }
        }
        self.server.end_with_timestamp(now);
    }

    fn describe(&mut self, passage: &Passage, record: &AccessRecord<'_>) {
        let method = Method::from_bytes(record.method.as_bytes()).unwrap_or_default();
        let route = route(passage, record);
        let pattern = match route {
            Some(route) => Some(route.path.as_str()),
            None => record
                .path
                .filter(|path| is_own_page(path))
                .map(|_| OWN_PAGES),
        };
        let name = known(&method).unwrap_or("HTTP");
        self.server.update_name(match pattern {
            Some(pattern) => format!("{name} {pattern}"),
            None => name.to_owned(),
        });
        let scheme = if passage.tls { "https" } else { "http" };
        let version = match record.protocol.strip_prefix("HTTP/") {
            Some("2.0") => "2",
            Some(version) => version,
            None => "",
        };
        self.server.set_attributes([
            method_attribute(&method),
            KeyValue::new("url.scheme", scheme),
            KeyValue::new("network.protocol.version", version),
            KeyValue::new("gatehouse.decision", record.decision.name()),
            KeyValue::new("gatehouse.request_id", record.request_id.to_string()),
        ]);
        let optional = [
            pattern.map(|pattern| KeyValue::new("http.route", pattern.to_owned())),
            route.map(|route| {
                KeyValue::new(
                    "gatehouse.route",
                    i64::try_from(route.line).unwrap_or_default(),
                )
            }),
            route
                .and_then(|route| route.host.as_ref())
                .map(|host| KeyValue::new("server.address", host.as_str().to_owned())),
            record
                .missing
                .map(|missing| KeyValue::new("gatehouse.missing", missing)),
            record
                .cut
                .map(CutShort::name)
                .map(|cut| KeyValue::new("gatehouse.cut", cut)),
        ];
        self.server.set_attributes(optional.into_iter().flatten());
    }
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const STATUS: &str = "http.response.status_code";
const OWN_PAGES: &str = "/.gatehouse/*";

fn route<'p>(passage: &'p Passage, record: &AccessRecord<'_>) -> Option<&'p Route> {
    let line = record.rule?.line;
    let mut routes = passage.snapshot.config.routes.routes().iter();
    routes.find(|route| route.line == line)
}

/// What a trusted proxy says; a context of nothing where that is no trace, or two.
fn continued(headers: &HeaderMap) -> Context {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    if (parents.next().is_some(), parents.next().is_some()) != (true, false) {
        return Context::new();
    }
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Given(headers))
}

/// The names of methods that a span may bear; anybody can make up others.
fn known(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

fn method_attribute(method: &Method) -> KeyValue {
    KeyValue::new("http.request.method", known(method).unwrap_or("_OTHER"))
}

struct Given<'h>(&'h HeaderMap);

impl Extractor for Given<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

#[derive(Default)]
struct Fields(Vec<(HeaderName, HeaderValue)>);

impl Injector for Fields {
    fn set(&mut self, name: &str, value: String) {
        // An empty list of vendors says nothing.
        if value.is_empty() {
            return;
        }
        if let (Ok(name), Ok(value)) = (name.parse(), HeaderValue::try_from(value)) {
            self.0.push((name, value));
        }
    }
}
