//! What is told of requests, and where.

use std::{fmt, path::PathBuf};

use axum::http::{HeaderName, HeaderValue};
use url::Url;

pub use crate::config::file::AccessFormat;

/// What is written of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How.
    pub access: AccessFormat,
    /// To which file; `None` is standard error.
    pub access_file: Option<PathBuf>,
}

/// Where traces go.
#[derive(Clone, PartialEq)]
pub struct Traces {
    /// The collector.
    pub endpoint: Url,
    /// The share of those that begin here, from 0 to 1.
    pub sample: f64,
    /// For the collector.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What this gateway is called.
    pub service_name: String,
}

/// The headers stay out of logs.
impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.endpoint, self.service_name)
    }
}
