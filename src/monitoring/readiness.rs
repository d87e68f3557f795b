//! `/readyz`: whether this node should get requests, and what is wrong with it although it should.
//!
//! A load balancer takes a node out that is not ready. That helps when the fault is the node's own, so two things make it
//! so: the store cannot be reached, or it is stopping. Everything else is *degraded*, told and answered with 200: an
//! upstream whose servers are all down is down for every node, and a certificate that ends or a new configuration that
//! cannot be used is the same file everywhere. Taking the nodes out for that would close what still works.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http::StatusCode;
use serde::Serialize;

use super::{exposition::waited, store_view::Seen};
use crate::{
    clock::Timestamp,
    condition,
    core::Core,
    gateway::{CertificateInForce, CertificatesInForce},
    pool::Pool,
};

/// How this node is.
#[derive(Debug, Serialize)]
pub struct Readiness {
    status: Status,
    version: &'static str,
    store: Part,
    upstreams: Upstreams,
    certificates: Certificates,
    configuration: Configuration,
    shadow: Part,
    mail: Mail,
}

/// The whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ready,
    Degraded,
    NotReady,
    Stopping,
}

/// One thing that can be well or not.
#[derive(Debug, Default, Serialize)]
struct Part {
    state: State,
    /// What is wrong, in words; absent when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Since when, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    #[default]
    Well,
    Degraded,
    Failed,
}

#[derive(Debug, Serialize)]
struct Upstreams {
    #[serde(flatten)]
    part: Part,
    servers: BTreeMap<String, Servers>,
}

#[derive(Debug, Serialize)]
struct Servers {
    up: usize,
    total: usize,
}

#[derive(Debug, Serialize)]
struct Certificates {
    #[serde(flatten)]
    part: Part,
    files: Vec<CertificateFile>,
}

#[derive(Debug, Serialize)]
struct CertificateFile {
    file: String,
    names: Vec<String>,
    not_after: String,
    /// Below zero once it has ended.
    days_left: i64,
}

#[derive(Debug, Serialize)]
struct Configuration {
    #[serde(flatten)]
    part: Part,
    in_force_since: String,
}

#[derive(Debug, Serialize)]
struct Mail {
    #[serde(flatten)]
    part: Part,
    /// Absent when the store cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_s: Option<u64>,
}

impl Readiness {
    /// How it is now.
    pub fn of(core: &Core, certificates: &CertificatesInForce, store: &Seen) -> Self {
        let now = core.clock.now();
        let mut readiness = Self {
            status: Status::Ready,
            version: env!("CARGO_PKG_VERSION"),
            store: store_part(store),
            upstreams: upstreams(core),
            certificates: certificates_part(core, certificates.list(), now),
            configuration: Configuration {
                part: Part::of(&core.condition.configuration),
                in_force_since: since(core.snapshot().since).to_string(),
            },
            shadow: Part::of(&core.condition.shadow),
            mail: mail(store, now),
        };
        readiness.status = readiness.sum(core.condition.is_stopping());
        readiness
    }

    /// 200 where requests should come, 503 where not.
    pub const fn http_status(&self) -> StatusCode {
        match self.status {
            Status::Ready | Status::Degraded => StatusCode::OK,
            Status::NotReady | Status::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// For people and programs.
    pub fn to_json(&self) -> String {
        // Strings and numbers serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    fn sum(&self, stopping: bool) -> Status {
        let states = [
            self.store.state,
            self.upstreams.part.state,
            self.certificates.part.state,
            self.configuration.part.state,
            self.shadow.state,
            self.mail.part.state,
        ];
        if stopping {
            Status::Stopping
        } else if states.contains(&State::Failed) {
            Status::NotReady
        } else if states.contains(&State::Degraded) {
            Status::Degraded
        } else {
            Status::Ready
        }
    }
}

impl Part {
    fn degraded(problem: String) -> Self {
        Self {
            state: State::Degraded,
            problem: Some(problem),
            since: None,
        }
    }

    fn of(part: &condition::Part) -> Self {
        part.trouble().map_or_else(Self::default, |trouble| Self {
            since: Some(trouble.since.to_string()),
            ..Self::degraded(trouble.problem.clone())
        })
    }
}

fn store_part(store: &Seen) -> Part {
    match &store.reached {
        Ok(()) => Part::default(),
        Err(problem) => Part {
            state: State::Failed,
            problem: Some(problem.clone()),
            since: None,
        },
    }
}

fn upstreams(core: &Core) -> Upstreams {
    let snapshot = core.snapshot();
    let now = Instant::now();
    let count = |pool: &Pool| Servers {
        up: pool.servers().iter().filter(|one| one.is_up(now)).count(),
        total: pool.servers().len(),
    };
    let servers: BTreeMap<_, _> = snapshot
        .pools
        .iter()
        .map(|pool| (pool.name().to_owned(), count(pool)))
        .collect();
    let troubles: Vec<_> = servers
        .iter()
        .filter(|(_, servers)| servers.up < servers.total)
        .map(|(name, servers)| format!("{name}: {} of {} up", servers.up, servers.total))
        .collect();
    let part = match troubles.as_slice() {
        [] => Part::default(),
        troubles => Part::degraded(troubles.join(", ")),
    };
    Upstreams { part, servers }
}

fn certificates_part(core: &Core, list: Vec<CertificateInForce>, now: Timestamp) -> Certificates {
    let files: Vec<_> = list.into_iter().map(|one| shown(one, now)).collect();
    let trouble = Part::of(&core.condition.certificates);
    let part = match (trouble.state, ends(&files)) {
        (State::Well, Some(problem)) => Part::degraded(problem),
        (State::Well | State::Degraded | State::Failed, _) => trouble,
    };
    Certificates { part, files }
}

fn shown(certificate: CertificateInForce, now: Timestamp) -> CertificateFile {
    let left = certificate.not_after.seconds() - now.seconds();
    CertificateFile {
        file: certificate.file.display().to_string(),
        names: certificate.names,
        not_after: certificate.not_after.to_string(),
        days_left: left.div_euclid(DAY),
    }
}

/// Says of those that end soon; the log warns of them at the same time.
fn ends(files: &[CertificateFile]) -> Option<String> {
    let soon = files.iter().filter(|file| file.days_left < ENDS_SOON_DAYS);
    let words: Vec<_> = soon
        .map(|file| match file.days_left {
            ..0 => format!("{} has ended", file.file),
            days => format!("{} ends in {days} days", file.file),
        })
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

const DAY: i64 = 24 * 60 * 60;
const ENDS_SOON_DAYS: i64 = 14;

fn mail(store: &Seen, now: Timestamp) -> Mail {
    let oldest = store.outbox.map(|outbox| waited(outbox.oldest_at, now));
    let part = match oldest {
        Some(oldest) if oldest >= LATE => Part::degraded(format!(
            "the oldest mail has waited for {} minutes: the log says what the mail server answers",
            oldest.as_secs() / 60
        )),
        Some(_) | None => Part::default(),
    };
    Mail {
        part,
        waiting: store.outbox.map(|outbox| outbox.waiting),
        oldest_s: oldest.map(|oldest| oldest.as_secs()),
    }
}

/// People who wait for a link give up about then.
const LATE: Duration = Duration::from_mins(5);

fn since(moment: SystemTime) -> Timestamp {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_seconds(0).plus(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(seconds_left: i64) -> CertificateFile {
        let now = Timestamp::from_seconds(1_800_000_000);
        let certificate = CertificateInForce {
            file: "tls/a.pem".into(),
            names: vec!["a.example".to_owned()],
            not_after: Timestamp::from_seconds(now.seconds() + seconds_left),
        };
        shown(certificate, now)
    }

    #[test]
    fn a_certificate_is_told_of_in_its_last_two_weeks_and_after() {
        for (left, days, words) in [
            (14 * DAY, 14, None),
            (14 * DAY - 1, 13, Some("tls/a.pem ends in 13 days")),
            (0, 0, Some("tls/a.pem ends in 0 days")),
            (-1, -1, Some("tls/a.pem has ended")),
        ] {
            let file = file(left);
            assert_eq!(file.days_left, days);
            assert_eq!(ends(&[file]).as_deref(), words);
        }
    }

    #[test]
    fn mail_that_waits_for_long_is_told_of() {
        let now = Timestamp::from_seconds(1_000);
        for (oldest_at, state, oldest_s) in [
            (None, State::Well, 0),
            (Some(701), State::Well, 299),
            (Some(700), State::Degraded, 300),
        ] {
            let seen = Seen {
                reached: Ok(()),
                outbox: Some(crate::store::OutboxState {
                    waiting: 1,
                    next_due_at: None,
                    oldest_at: oldest_at.map(Timestamp::from_seconds),
                }),
            };
            let mail = mail(&seen, now);
            assert_eq!((mail.part.state, mail.oldest_s), (state, Some(oldest_s)));
        }
    }
}
