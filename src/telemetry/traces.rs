//! Traces on their way to a collector: OTLP over HTTP, in batches, by a thread of the OpenTelemetry SDK.
//!
//! Nothing waits for the collector. Spans that find the queue full, and those that it does not take, are dropped and
//! counted; the log says so once, and once more when spans arrive again. What a request is told as is in the gateway.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use opentelemetry::{Context, trace::TracerProvider};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, Span,
        SpanData, SpanProcessor,
    },
};
use prometheus::IntCounter;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::runtime::Handle;

use crate::config;

/// Where spans go.
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent to the collector")]
pub struct OpenError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl OpenError {
    fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl Traces {
    /// Sends spans to this collector, on the present runtime. What is dropped is counted. That it answers is not
    /// asked for: a gateway starts without its collector as well.
    ///
    /// # Errors
    /// When the client cannot be set up.
    pub fn start(traces: &config::Traces, dropped: IntCounter) -> Result<Self, OpenError> {
        let client = Client::new(traces)?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(traces.endpoint.as_str())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(PATIENCE)
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(OpenError::new)?;
        Ok(Self::of(exporter, traces, dropped))
    }

    fn of(
        exporter: impl opentelemetry_sdk::trace::SpanExporter + 'static,
        traces: &config::Traces,
        dropped: IntCounter,
    ) -> Self {
        let waiting = Arc::<AtomicUsize>::default();
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(QUEUE / 4)
            .with_scheduled_delay(DELAY)
            .build();
        let exporter = Counted {
            exporter,
            waiting: waiting.clone(),
            dropped: dropped.clone(),
            failing: AtomicBool::default(),
        };
        let processor = Bounded {
            batches: BatchSpanProcessor::builder(exporter)
                .with_batch_config(batches)
                .build(),
            waiting,
            dropped,
        };
        let resource = Resource::builder()
            .with_service_name(traces.service_name.clone())
            .build();
        let share = Sampler::TraceIdRatioBased(traces.sample);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(share)))
            .with_resource(resource)
            .build();
        let tracer = provider.tracer("gatehouse");
        Self { provider, tracer }
    }

    /// What makes spans.
    pub const fn tracer(&self) -> &SdkTracer {
        &self.tracer
    }

    /// Sends what is left, as far as the collector takes it in time. Spans that end later are lost.
    pub async fn stop(&self) {
        let provider = self.provider.clone();
        // It waits for a thread.
        let stopped = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(PATIENCE));
        if let Ok(Err(error)) = stopped.await {
            tracing::warn!(%error, "the last traces did not reach the collector");
        }
    }
}

/// For the collector to take a batch, and for the last ones when the server stops.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a span waits for others.
const DELAY: Duration = Duration::from_secs(1);
/// Spans that wait at most; a few megabytes.
const QUEUE: usize = 4096;

/// Carries batches from the SDK's thread to the collector, on the runtime: nowhere else than to the address that was
/// given, whatever the environment or the collector say.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

impl Client {
    fn new(traces: &config::Traces) -> Result<Self, OpenError> {
        let mut client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .default_headers(traces.headers.iter().cloned().collect());
        if traces.endpoint.scheme() == "https" {
            // Somebody else's installation is as good.
            let _ = ring::default_provider().install_default();
        } else {
            client = client.tls_backend_preconfigured(trusting_nobody()?);
        }
        Ok(Self {
            client: client.build().map_err(OpenError::new)?,
            runtime: Handle::current(),
        })
    }
}

/// For plain HTTP: else the client looks for the system's authorities and fails where there are none, as in a small
/// container.
fn trusting_nobody() -> Result<ClientConfig, OpenError> {
    Ok(
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(OpenError::new)?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth(),
    )
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let response = client.execute(request.try_into()?).await?;
            let mut answer = Response::new(Bytes::new());
            *answer.status_mut() = response.status();
            // What a collector says at length is of no use here.
            if response
                .content_length()
                .is_some_and(|length| length <= MAX_ANSWER)
            {
                *answer.body_mut() = response.bytes().await?;
            }
            Ok::<_, reqwest::Error>(answer)
        });
        sent.await?.map_err(|error| error.without_url().into())
    }
}

const MAX_ANSWER: u64 = 64 * 1024;

/// Hands spans to the collector, and counts those that it did not take.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
    dropped: IntCounter,
    failing: AtomicBool,
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter
    for Counted<E>
{
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.waiting.fetch_sub(spans, Ordering::AcqRel);
        let sent = self.exporter.export(batch).await;
        match &sent {
            Ok(()) => {
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("the collector takes traces again");
                }
            }
            Err(error) => {
                self.dropped.inc_by(spans as u64);
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "the collector takes no traces; they are dropped until it does");
                }
            }
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Drops and counts spans before the SDK's queue is full: the SDK drops them without telling how many until it ends.
#[derive(Debug)]
struct Bounded {
    batches: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    dropped: IntCounter,
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        // Several threads may step over the mark at once, each by one; the queue has room for them.
        if self.waiting.load(Ordering::Acquire) >= QUEUE - ROOM {
            self.dropped.inc();
            return;
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.batches.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

const ROOM: usize = 256;

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use opentelemetry::trace::Tracer;
    use opentelemetry_sdk::{error::OTelSdkError, trace::SpanExporter};

    use super::*;

    /// A collector that takes a batch when it is let, and none when nobody will.
    #[derive(Debug)]
    struct Stuck {
        asked: mpsc::Sender<usize>,
        let_through: Mutex<mpsc::Receiver<()>>,
    }

    impl SpanExporter for Stuck {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            let failed = |_| OTelSdkError::InternalFailure("nobody takes it".to_owned());
            self.asked
                .send(batch.len())
                .map_err(|_| OTelSdkError::AlreadyShutdown)?;
            self.let_through.lock().unwrap().recv().map_err(failed)
        }
    }

    #[test]
    fn spans_never_wait_for_a_collector_that_is_stuck() {
        let (asked, asking) = mpsc::channel();
        let (letting, let_through) = mpsc::channel();
        let stuck = Stuck {
            asked,
            let_through: Mutex::new(let_through),
        };
        let config = config::Traces {
            endpoint: url::Url::parse("http://127.0.0.1/v1/traces").unwrap(),
            sample: 1.0,
            headers: Vec::new(),
            service_name: "gatehouse".to_owned(),
        };
        let dropped = IntCounter::new("dropped", "spans").unwrap();
        let traces = Traces::of(stuck, &config, dropped.clone());
        drop(traces.tracer().start("first"));
        assert_eq!(asking.recv(), Ok(1), "the collector has it and is stuck");
        let room = QUEUE - ROOM;
        for _ in 0..room + 3 {
            drop(traces.tracer().start("x"));
        }
        assert_eq!(dropped.get(), 3);
        letting.send(()).unwrap();
        drop(letting);
        traces.provider.shutdown().ok();
        assert_eq!(
            dropped.get(),
            3 + room as u64,
            "what it does not take is lost"
        );
    }
}
