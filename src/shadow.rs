//! A candidate configuration (`serve --shadow FILE`): asked about every request beside the one in force, it decides
//! nothing, and what it would have decided otherwise is told in the access log, by a metric and once a minute.
//!
//! Only its routes and the names of their upstreams are looked at. What they are compared with is in
//! `gateway::would`.

use std::{path::Path, sync::Arc, time::Duration};

use arc_swap::{ArcSwapOption, Guard};

use crate::{
    clock::Timestamp,
    condition::Condition,
    config::{self, Config, Files, Problems, Severity},
    telemetry::{
        metrics::{Counts, Label, Metrics, WouldBe},
        outcome::Outcome,
    },
};

/// The candidate, if there is one.
#[derive(Debug, Default)]
pub struct Shadow {
    candidate: ArcSwapOption<Config>,
}

impl Shadow {
    /// What is asked besides; `None` when there is no candidate, or none that can be used.
    pub fn candidate(&self) -> Guard<Option<Arc<Config>>> {
        self.candidate.load()
    }

    /// Reads the candidate again. One that cannot be used leaves none: what an earlier one would have decided
    /// would be taken for this one's. What is in force is not touched.
    pub fn reload(&self, file: &Path, condition: &Condition, now: Timestamp) -> Files {
        let (read, files) = config::read(file);
        match read {
            Ok(loaded) => {
                self.candidate.store(Some(Arc::new(loaded.config)));
                condition.shadow.note_well();
                let warnings = loaded.warnings.len();
                tracing::info!(file = %file.display(), warnings, "a shadow configuration is asked about every request");
            }
            Err(problems) => {
                self.candidate.store(None);
                let problem = in_one_line(&problems);
                tracing::error!(
                    file = %file.display(), problem,
                    "the shadow configuration cannot be used, so nothing is compared; the one in force is not touched; \
                     mend it (`gatehouse check --config` lists every problem) and reload"
                );
                condition.shadow.note_trouble(problem, now);
            }
        }
        files
    }
}

/// The first error, and how many there are besides.
fn in_one_line(problems: &Problems) -> String {
    let errors = problems
        .0
        .iter()
        .filter(|one| one.severity == Severity::Error);
    let mut errors = errors.map(ToString::to_string);
    let first = errors.next().unwrap_or_default();
    match errors.count() {
        0 => first,
        more => format!("{first} (and {more} more)"),
    }
}

/// Tells of differences at every beat, while there are any.
#[derive(Debug)]
pub struct Summary {
    requests: Vec<u64>,
    differences: Vec<u64>,
}

/// How often differences are told of.
pub const TELL_EVERY: Duration = Duration::from_secs(60);

impl Summary {
    /// From now on.
    pub fn begin(metrics: &Metrics) -> Self {
        Self {
            requests: counted(&metrics.requests),
            differences: counted(&metrics.shadow_differences),
        }
    }

    /// Writes the line about the time since the last one.
    pub fn tell(&mut self, metrics: &Metrics) {
        let now = Self::begin(metrics);
        if let Some((differences, would)) = since(&self.differences, &now.differences) {
            let requests = since(&self.requests, &now.requests).map_or(0, |(requests, _)| requests);
            tracing::info!(
                differences,
                requests,
                would,
                "the shadow configuration would have decided otherwise; the access log's `shadow` says on which requests"
            );
        }
        *self = now;
    }
}

fn counted<L: Label>(counts: &Counts<L>) -> Vec<u64> {
    L::ALL.iter().map(|value| counts.of(*value)).collect()
}

/// How many came up between two counts, and how many of each: `sign_in 3, no_route 1`.
fn since(before: &[u64], now: &[u64]) -> Option<(u64, String)> {
    let grown = before
        .iter()
        .zip(now)
        .map(|(before, now)| now.saturating_sub(*before));
    let grown: Vec<u64> = grown.collect();
    let all: u64 = grown.iter().sum();
    let of_each = WouldBe::ALL
        .iter()
        .zip(&grown)
        .filter(|(_, count)| **count > 0);
    let words: Vec<_> = of_each
        .map(|(would, count)| format!("{} {count}", would.word()))
        .collect();
    (all > 0).then(|| (all, words.join(", ")))
}

impl From<Outcome> for WouldBe {
    fn from(outcome: Outcome) -> Self {
        Self(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USABLE: &str = "[relying_party]\nid = \"example.com\"\n[[upstream]]\nname = \"app\"\n\
                          servers = [\"127.0.0.1:9000\"]\n[[route]]\nhost = \"app.example.com\"\nupstream = \"app\"\n";

    #[test]
    fn a_candidate_that_breaks_is_gone_and_named_until_it_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("candidate.toml");
        let (shadow, condition) = (Shadow::default(), Condition::default());
        let reload = |text: &str| {
            std::fs::write(&file, text).unwrap();
            shadow.reload(&file, &condition, Timestamp::from_seconds(1));
        };
        reload(USABLE);
        assert!(shadow.candidate().is_some() && condition.shadow.trouble().is_none());
        reload(&format!("{USABLE}acess = 1\n[[route]]\n"));
        assert!(shadow.candidate().is_none());
        let problem = condition.shadow.trouble().unwrap().problem.clone();
        assert!(
            problem.contains("candidate.toml:9:1: route[0].acess: unknown key")
                && problem.ends_with("(and 1 more)"),
            "{problem}"
        );
        reload(USABLE);
        assert!(shadow.candidate().is_some() && condition.shadow.trouble().is_none());
    }

    #[test]
    fn differences_are_told_by_what_would_have_been_decided() {
        let metrics = Metrics::new();
        metrics.shadow_differences.count(Outcome::NoRoute.into());
        let before = counted(&metrics.shadow_differences);
        assert_eq!(since(&before, &before), None);
        for outcome in [Outcome::SignIn, Outcome::NoRoute, Outcome::SignIn] {
            metrics.shadow_differences.count(outcome.into());
        }
        let now = counted(&metrics.shadow_differences);
        assert_eq!(
            since(&before, &now),
            Some((3, "sign_in 2, no_route 1".to_owned()))
        );
    }
}
