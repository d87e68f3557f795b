//! What those ask who watch over this node: `/healthz`, `/readyz` and `/metrics`, on a listener of their own.
//!
//! It is no part of the gateway: it has no sign-in, takes nothing but GET and HEAD, and answers while the gateway
//! drains. Begin with [`Monitoring::start`]; [`readiness`] says what is well and what is not, [`exposition`] has the
//! numbers, [`store_view`] asks the store for both, [`process`] the system.

mod exposition;
mod process;
mod readiness;
mod store_view;

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

use self::{readiness::Readiness, store_view::StoreView};
use crate::{core::Core, gateway::CertificatesInForce};

/// The listeners of those who watch. They are closed when this is dropped.
pub struct Monitoring {
    _listening: JoinSet<()>,
}

/// What is watched.
struct Watched {
    core: Arc<Core>,
    certificates: CertificatesInForce,
    store: StoreView,
}

/// What can be asked for.
#[derive(Clone, Copy)]
enum Page {
    /// Whether the process answers.
    Health,
    /// What is well and what is not.
    Readiness,
    /// The numbers.
    Metrics,
}

impl Monitoring {
    /// Answers on listeners that are bound already, on the present runtime.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn start(
        listeners: Vec<std::net::TcpListener>,
        core: &Arc<Core>,
        certificates: &CertificatesInForce,
    ) -> std::io::Result<Self> {
        let watched = Arc::new(Watched {
            core: Arc::clone(core),
            certificates: certificates.clone(),
            store: StoreView::default(),
        });
        let mut listening = JoinSet::new();
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener)?;
            listening.spawn(listen(listener, Arc::clone(&watched)));
        }
        Ok(Self {
            _listening: listening,
        })
    }
}

async fn listen(listener: TcpListener, watched: Arc<Watched>) {
    let mut open = Connections::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => open.admit(stream, &watched),
            Err(error) => {
                tracing::warn!(%error, "server.admin_listen takes no connection; it is tried again");
                tokio::time::sleep(AFTER_A_FAILURE).await;
            }
        }
    }
}

/// Out of file descriptors, mostly; trying at once would take the processor as well.
const AFTER_A_FAILURE: Duration = Duration::from_secs(1);

/// A newcomer always gets in, the oldest goes for it: whoever leaves a thousand connections open does not keep the next
/// scrape out.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    oldest_first: VecDeque<AbortHandle>,
}

const MOST_CONNECTIONS: usize = 64;

impl Connections {
    fn admit(&mut self, stream: TcpStream, watched: &Arc<Watched>) {
        while self.tasks.try_join_next().is_some() {}
        self.oldest_first.retain(|task| !task.is_finished());
        if self.oldest_first.len() >= MOST_CONNECTIONS
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            oldest.abort();
        }
        let task = self.tasks.spawn(converse(stream, Arc::clone(watched)));
        self.oldest_first.push_back(task);
    }
}

async fn converse(stream: TcpStream, watched: Arc<Watched>) {
    let service = service_fn(|request| {
        let watched = Arc::clone(&watched);
        async move { Ok::<_, Infallible>(answer(&watched, &request).await) }
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MOST_HEADER_BYTES)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = conversation.await {
        tracing::debug!(%error, "a connection to server.admin_listen broke off");
    }
}

/// Also between two requests; a scraper that comes less often connects anew.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
const MOST_HEADER_BYTES: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;

async fn answer(watched: &Arc<Watched>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(page) = Page::at(request.uri().path()) else {
        return plain(StatusCode::NOT_FOUND, TEXT, "not found\n");
    };
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET or HEAD\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(header::ALLOW, allowed);
        return refused;
    }
    match page {
        Page::Health => plain(StatusCode::OK, TEXT, "ok\n"),
        Page::Readiness => {
            let store = watched.store.look(&watched.core).await;
            let readiness = Readiness::of(&watched.core, &watched.certificates, &store);
            plain(readiness.http_status(), JSON, readiness.to_json())
        }
        Page::Metrics => {
            let store = watched.store.look(&watched.core).await;
            let watched = Arc::clone(watched);
            // What the system knows of the process is read from files.
            let text = tokio::task::spawn_blocking(move || {
                exposition::text(&watched.core, &watched.certificates, &store)
            });
            match text
                .await
                .map_err(|_| ())
                .and_then(|text| text.map_err(|_| ()))
            {
                Ok(text) => plain(StatusCode::OK, exposition::FORMAT, text),
                Err(()) => plain(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "no metrics\n"),
            }
        }
    }
}

impl Page {
    fn at(path: &str) -> Option<Self> {
        match path {
            "/healthz" => Some(Self::Health),
            "/readyz" => Some(Self::Readiness),
            "/metrics" => Some(Self::Metrics),
            _ => None,
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

fn plain(
    status: StatusCode,
    format: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, format),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
