//! Logs, metrics and the audit log.

pub mod access;
pub mod access_log;
pub mod audit;
pub mod metrics;
pub mod outcome;
pub mod traces;

use std::{io::IsTerminal, sync::OnceLock};

use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How the lines on standard error are written, once there are any.
static STARTED: OnceLock<LogFormat> = OnceLock::new();

/// What `serve` shows unless told otherwise. The proxy and passkey libraries quote addresses, requests and
/// answers in lines of their own; ours tell what matters.
pub const SERVE_FILTER: &str =
    "info,pingora=error,pingora_core=off,pingora_proxy=off,webauthn_rs_core=off";

/// Starts logging to standard error. `GATEHOUSE_LOG` sets what is shown, in the syntax of
/// `tracing-subscriber`'s `EnvFilter`; the default tells the story and leaves out the proxy's own chatter.
pub fn start_logging(format: LogFormat, default_filter: &str) {
    let filter =
        EnvFilter::try_from_env("GATEHOUSE_LOG").unwrap_or_else(|_| EnvFilter::new(default_filter));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // It is started once.
    let _ = STARTED.set(format);
    // An error says that a test has set up logging already.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .try_init(),
    };
}
