//! What is counted and measured, for `/metrics`.
//!
//! Names of labels and their values are closed sets: nothing in them comes from a request. What is counted while a
//! request waits is found by its place, without a lock.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use super::access::Outcome;

/// A closed set of values of one label.
pub trait Label: Copy + 'static {
    /// The name of the label.
    const NAME: &'static str;
    /// Every value, in the order of [`Self::place`].
    const ALL: &'static [Self];

    /// The value in words.
    fn word(self) -> &'static str;

    /// Its place among [`Self::ALL`].
    fn place(self) -> usize;
}

/// A counter for each value of a label.
#[derive(Debug)]
pub struct Counts<L> {
    counters: Vec<IntCounter>,
    of: std::marker::PhantomData<fn(L)>,
}

/// Everything that this node counts and measures.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests, by what was decided on them.
    pub requests: Counts<Outcome>,
    /// Requests that routes with `report_only` would have changed, by what would have been decided.
    pub report_only: Counts<WouldBe>,
    /// Requests that the candidate of `serve --shadow` would have changed, by what it would have decided.
    pub shadow_differences: Counts<WouldBe>,
}

/// What would have been decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WouldBe(pub Outcome);

impl<L: Label> Counts<L> {
    /// Counters at zero; a value that never came up is shown as such.
    ///
    /// # Errors
    /// When the registry has the name already.
    pub fn register(registry: &Registry, name: &str, help: &str) -> prometheus::Result<Self> {
        let family = IntCounterVec::new(Opts::new(name, help), &[L::NAME])?;
        registry.register(Box::new(family.clone()))?;
        let counters = L::ALL
            .iter()
            .map(|value| family.with_label_values(&[value.word()]));
        Ok(Self {
            counters: counters.collect(),
            of: std::marker::PhantomData,
        })
    }

    /// Counts one.
    pub fn count(&self, value: L) {
        if let Some(counter) = self.counters.get(value.place()) {
            counter.inc();
        }
    }

    /// How many there were.
    pub fn of(&self, value: L) -> u64 {
        self.counters.get(value.place()).map_or(0, IntCounter::get)
    }
}

impl Metrics {
    /// Everything at zero.
    ///
    /// # Panics
    /// When two metrics have one name: every test would.
    pub fn new() -> Self {
        Self::register().expect("each metric has a name of its own")
    }

    fn register() -> prometheus::Result<Self> {
        let registry = Registry::new();
        Ok(Self {
            requests: Counts::register(
                &registry,
                "gatehouse_requests_total",
                "Requests, by what was decided on them.",
            )?,
            report_only: Counts::register(
                &registry,
                "gatehouse_report_only_total",
                "Requests on which routes with report_only would have changed the decision, by what it would have been.",
            )?,
            shadow_differences: Counts::register(
                &registry,
                "gatehouse_shadow_differences_total",
                "Requests on which the candidate of serve --shadow differs, by what it would have decided.",
            )?,
            registry,
        })
    }

    /// What a scrape reads.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Label for Outcome {
    const NAME: &'static str = "decision";
    const ALL: &'static [Self] = &Self::ALL;

    fn word(self) -> &'static str {
        self.name()
    }

    fn place(self) -> usize {
        self as usize
    }
}

impl Label for WouldBe {
    const NAME: &'static str = "would";
    const ALL: &'static [Self] = &{
        let mut all = [Self(Outcome::Undecided); Outcome::ALL.len()];
        let mut place = 0;
        while place < all.len() {
            all[place] = Self(Outcome::ALL[place]);
            place += 1;
        }
        all
    };

    fn word(self) -> &'static str {
        self.0.name()
    }

    fn place(self) -> usize {
        self.0.place()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_a_counter_of_its_own() {
        let metrics = Metrics::new();
        for (place, value) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(value.place(), place);
            metrics.requests.count(value);
            assert_eq!(metrics.requests.of(value), 1, "{}", value.word());
        }
    }
}
