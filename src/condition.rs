//! What is wrong with this node although it serves: told in the log when it begins, and for as long as it lasts by
//! `/readyz` and a metric.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwapOption;

use crate::clock::Timestamp;

/// The condition of this node; everything is well at first.
#[derive(Debug, Default)]
pub struct Condition {
    /// The configuration file that was read last. One that cannot be used leaves the one before in force.
    pub configuration: Part,
    /// The candidate of `serve --shadow` that was read last.
    pub shadow: Part,
    /// The certificates that were read last. Ones that cannot be used leave those before in force.
    pub certificates: Part,
    stopping: AtomicBool,
}

/// Something that can be well or not.
#[derive(Debug, Default)]
pub struct Part(ArcSwapOption<Trouble>);

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In one line, without secrets: what, where, and what would be accepted.
    pub problem: String,
    /// Since when.
    pub since: Timestamp,
}

impl Condition {
    /// The node takes no new connections and ends when those that are open have.
    pub fn note_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether it is about to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

impl Part {
    /// It cannot be used. The time of the first of several troubles in a row stays.
    pub fn note_trouble(&self, problem: String, now: Timestamp) {
        let since = self.trouble().map_or(now, |trouble| trouble.since);
        self.0.store(Some(Arc::new(Trouble { problem, since })));
    }

    /// The same, of an error with its causes.
    pub fn note_failure(&self, error: &dyn std::error::Error, now: Timestamp) {
        self.note_trouble(in_one_line(error), now);
    }

    /// It is in use. Says whether it was in trouble before.
    pub fn note_well(&self) -> bool {
        self.0.swap(None).is_some()
    }

    /// What is wrong with it, if anything.
    pub fn trouble(&self) -> Option<Arc<Trouble>> {
        self.0.load_full()
    }
}

/// An error and its causes, those left out that the one before names already.
pub fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string().replace('\n', "; ");
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_lasts_from_its_beginning_to_its_end() {
        let part = Part::default();
        assert!(!part.note_well());
        part.note_trouble("one".to_owned(), Timestamp::from_seconds(1));
        part.note_trouble("two".to_owned(), Timestamp::from_seconds(2));
        let trouble = part.trouble().unwrap();
        assert_eq!(trouble.problem, "two");
        assert_eq!(trouble.since, Timestamp::from_seconds(1));
        assert!(part.note_well());
        assert_eq!(part.trouble(), None);
    }
}
