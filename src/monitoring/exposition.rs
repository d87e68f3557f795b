//! Everything that a scrape of `/metrics` reads: what was counted ([`crate::telemetry::metrics`]), and how things stand,
//! which is looked up when it is asked for. So what a reload takes away is gone from here, too.
//!
//! | family | labels | what |
//! |---|---|---|
//! | `gatehouse_build_info` | `version` | 1 |
//! | `gatehouse_stopping` | | 1 while the node drains |
//! | `gatehouse_condition` | `part` | 0 while the newest configuration, certificates or shadow cannot be used |
//! | `gatehouse_config_in_force_since_timestamp_seconds` | | when the configuration in force was taken up |
//! | `gatehouse_store_up` | | whether the store would take a write |
//! | `gatehouse_feed_behind_seconds` | | how long ago this node last knew of all revocations |
//! | `gatehouse_upstream_servers` | `upstream`, `state` | servers that are up, down by the checks, or left out |
//! | `gatehouse_upstream_requests_in_flight` | `upstream` | requests that its servers have |
//! | `gatehouse_upstream_requests_total` | `upstream` | requests sent, further tries included |
//! | `gatehouse_upstream_failures_total` | `upstream`, `kind` | tries that failed |
//! | `gatehouse_mail_outbox`, `gatehouse_mail_oldest_seconds` | | mails that wait, and for how long the oldest has |
//! | `gatehouse_certificate_expiry_timestamp_seconds` | `file` | when a certificate in force ends |
//! | `gatehouse_signing_key_age_seconds` | `kind` | how old the key is that signs |
//! | `gatehouse_sessions_cached` | | sessions known without asking the store |
//! | `process_*` | | processor, memory, file descriptors, start |

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus::{CounterVec, GaugeVec, Opts, Registry, TextEncoder};

use super::{
    process::{self, number},
    store_view::Seen,
};
use crate::{
    clock::Timestamp,
    core::Core,
    gateway::CertificatesInForce,
    pool::{Pool, ServerState},
    telemetry::metrics::{Label as _, UpstreamFailure},
};

/// The content type of the text format.
pub const FORMAT: &str = prometheus::TEXT_FORMAT;

/// Families of this one scrape.
pub struct Families(Registry);

/// Everything in the text format.
///
/// # Errors
/// None in practice: names and labels are fixed and valid.
pub fn text(
    core: &Core,
    certificates: &CertificatesInForce,
    store: &Seen,
) -> prometheus::Result<String> {
    let families = Families(Registry::new());
    describe_node(&families, core)?;
    describe_upstreams(&families, core)?;
    describe_store(&families, core, store)?;
    describe_certificates(&families, certificates)?;
    process::describe(&families)?;
    let encoder = TextEncoder::new();
    let mut text = encoder.encode_to_string(&core.metrics.registry().gather())?;
    text.push_str(&encoder.encode_to_string(&families.0.gather())?);
    Ok(text)
}

fn describe_node(families: &Families, core: &Core) -> prometheus::Result<()> {
    let version = [(vec![env!("CARGO_PKG_VERSION")], 1.0)];
    families.gauges(
        "gatehouse_build_info",
        "The version.",
        &["version"],
        version,
    )?;
    families.gauge(
        "gatehouse_stopping",
        "1 while requests in flight end and no new connections are taken.",
        truth(core.condition.is_stopping()),
    )?;
    let parts = [
        ("configuration", &core.condition.configuration),
        ("certificates", &core.condition.certificates),
        ("shadow", &core.condition.shadow),
    ];
    families.gauges(
        "gatehouse_condition",
        "0 while what was read last cannot be used and what was before stays in force.",
        &["part"],
        parts.map(|(name, part)| (vec![name], truth(part.trouble().is_none()))),
    )?;
    families.gauge(
        "gatehouse_config_in_force_since_timestamp_seconds",
        "When the configuration in force was taken up, in seconds since 1970.",
        seconds_since_1970(core.snapshot().since),
    )?;
    let ages = core.sessions.key_ages().into_iter();
    families.gauges(
        "gatehouse_signing_key_age_seconds",
        "How old the key is that signs.",
        &["kind"],
        ages.filter_map(|(kind, age)| Some((vec![kind.name()], age?.as_secs_f64()))),
    )?;
    families.gauge(
        "gatehouse_sessions_cached",
        "Sessions that are known without asking the store, about.",
        count(core.sessions.cached()),
    )
}

fn describe_upstreams(families: &Families, core: &Core) -> prometheus::Result<()> {
    const STATES: [(ServerState, &str); 3] = [
        (ServerState::Up, "up"),
        (ServerState::Down, "down"),
        (ServerState::Ejected, "ejected"),
    ];
    let snapshot = core.snapshot();
    let now = Instant::now();
    let pools = || snapshot.pools.iter().map(|pool| &**pool);
    let servers = |pool: &Pool, state: ServerState| {
        let servers = pool.servers().iter();
        number(servers.filter(|server| server.state(now) == state).count())
    };
    families.gauges(
        "gatehouse_upstream_servers",
        "Servers that get requests, that the checks call down, and that failed requests and are left out for a while.",
        &["upstream", "state"],
        pools().flat_map(|pool| {
            STATES.map(|(state, word)| (vec![pool.name(), word], servers(pool, state)))
        }),
    )?;
    families.gauges(
        "gatehouse_upstream_requests_in_flight",
        "Requests that the servers of an upstream have.",
        &["upstream"],
        pools().map(|pool| {
            let servers = pool.servers().iter();
            let in_flight: u64 = servers.map(|server| u64::from(server.in_flight())).sum();
            (vec![pool.name()], count(in_flight))
        }),
    )?;
    families.counts(
        "gatehouse_upstream_requests_total",
        "Requests sent to an upstream under this configuration, further tries included.",
        &["upstream"],
        pools().map(|pool| (vec![pool.name()], count(pool.sent()))),
    )?;
    families.counts(
        "gatehouse_upstream_failures_total",
        "Tries that an upstream failed under this configuration, those made good by another included.",
        &["upstream", UpstreamFailure::NAME],
        pools().flat_map(|pool| {
            let kinds = UpstreamFailure::ALL.iter();
            kinds.map(|kind| (vec![pool.name(), kind.word()], count(pool.failures(*kind))))
        }),
    )
}

fn describe_store(families: &Families, core: &Core, store: &Seen) -> prometheus::Result<()> {
    families.gauge(
        "gatehouse_store_up",
        "Whether the store would take a write.",
        truth(store.reached.is_ok()),
    )?;
    families.gauge(
        "gatehouse_feed_behind_seconds",
        "How long ago this node last knew of all that was revoked.",
        core.metrics.feed.behind().as_secs_f64(),
    )?;
    let Some(outbox) = store.outbox else {
        return Ok(());
    };
    families.gauge(
        "gatehouse_mail_outbox",
        "Mails that wait to be sent, of all nodes.",
        count(outbox.waiting),
    )?;
    families.gauge(
        "gatehouse_mail_oldest_seconds",
        "How long the oldest of them has waited.",
        waited(outbox.oldest_at, core.clock.now()).as_secs_f64(),
    )
}

fn describe_certificates(
    families: &Families,
    certificates: &CertificatesInForce,
) -> prometheus::Result<()> {
    let listed = certificates.list();
    let files: Vec<_> = listed
        .iter()
        .map(|one| (one.file.display().to_string(), one.not_after.seconds()))
        .collect();
    families.gauges(
        "gatehouse_certificate_expiry_timestamp_seconds",
        "When a certificate in force ends, in seconds since 1970.",
        &["file"],
        files
            .iter()
            .map(|(file, ends)| (vec![file.as_str()], signed(*ends))),
    )
}

/// How long the oldest mail has waited; nothing when none waits.
pub fn waited(oldest: Option<Timestamp>, now: Timestamp) -> Duration {
    oldest.map_or(Duration::ZERO, |oldest| now.since(oldest))
}

impl Families {
    /// One number that goes up and down.
    pub fn gauge(&self, name: &str, help: &str, value: f64) -> prometheus::Result<()> {
        self.gauges(name, help, &[], [(vec![], value)])
    }

    /// One number that only grows.
    pub fn count(&self, name: &str, help: &str, value: f64) -> prometheus::Result<()> {
        self.counts(name, help, &[], [(vec![], value)])
    }

    fn gauges<'a>(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        rows: impl IntoIterator<Item = (Vec<&'a str>, f64)>,
    ) -> prometheus::Result<()> {
        let family = GaugeVec::new(Opts::new(name, help), labels)?;
        for (values, value) in rows {
            family.get_metric_with_label_values(&values)?.set(value);
        }
        self.0.register(Box::new(family))
    }

    fn counts<'a>(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        rows: impl IntoIterator<Item = (Vec<&'a str>, f64)>,
    ) -> prometheus::Result<()> {
        let family = CounterVec::new(Opts::new(name, help), labels)?;
        for (values, value) in rows {
            family.get_metric_with_label_values(&values)?.inc_by(value);
        }
        self.0.register(Box::new(family))
    }
}

const fn truth(well: bool) -> f64 {
    if well { 1.0 } else { 0.0 }
}

fn seconds_since_1970(moment: SystemTime) -> f64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64()
}

/// Exact up to 2^53, which nothing here reaches.
#[allow(clippy::cast_precision_loss)]
fn count(number: u64) -> f64 {
    number as f64
}

/// The same.
#[allow(clippy::cast_precision_loss)]
fn signed(number: i64) -> f64 {
    number as f64
}
