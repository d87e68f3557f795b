//! Counters by two labels, and histograms of durations.

use std::{marker::PhantomData, time::Duration};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use super::Label;

/// A counter for each pair of values of two labels.
#[derive(Debug)]
pub struct Grid<A, B> {
    /// By the place of the first, then of the second.
    rows: Vec<Vec<IntCounter>>,
    of: PhantomData<fn(A, B)>,
}

/// A histogram of durations for each value of a label. Observing one is a look through a few bounds and three
/// atomic additions; a scrape turns to the other of two sets of buckets and holds nobody up.
#[derive(Debug)]
pub struct Durations<L> {
    histograms: Vec<Histogram>,
    of: PhantomData<fn(L)>,
}

impl<A: Label, B: Label> Grid<A, B> {
    /// Counters at zero.
    ///
    /// # Errors
    /// When the registry has the name already.
    pub fn register(registry: &Registry, name: &str, help: &str) -> prometheus::Result<Self> {
        let family = IntCounterVec::new(Opts::new(name, help), &[A::NAME, B::NAME])?;
        registry.register(Box::new(family.clone()))?;
        let row = |one: &A| {
            let counters = B::ALL
                .iter()
                .map(|other| family.with_label_values(&[one.word(), other.word()]));
            counters.collect()
        };
        Ok(Self {
            rows: A::ALL.iter().map(row).collect(),
            of: PhantomData,
        })
    }

    /// Counts one.
    pub fn count(&self, one: A, other: B) {
        if let Some(counter) = self.counter(one, other) {
            counter.inc();
        }
    }

    /// How many there were.
    pub fn of(&self, one: A, other: B) -> u64 {
        self.counter(one, other).map_or(0, IntCounter::get)
    }

    fn counter(&self, one: A, other: B) -> Option<&IntCounter> {
        self.rows.get(one.place())?.get(other.place())
    }
}

impl<L: Label> Durations<L> {
    /// Without any observation.
    ///
    /// # Errors
    /// When the registry has the name already.
    pub fn register(
        registry: &Registry,
        name: &str,
        help: &str,
        bounds: &[f64],
    ) -> prometheus::Result<Self> {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        let family = HistogramVec::new(options, &[L::NAME])?;
        registry.register(Box::new(family.clone()))?;
        let histograms = L::ALL
            .iter()
            .map(|value| family.with_label_values(&[value.word()]));
        Ok(Self {
            histograms: histograms.collect(),
            of: PhantomData,
        })
    }

    /// Notes that one took so long.
    pub fn observe(&self, value: L, duration: Duration) {
        if let Some(histogram) = self.histograms.get(value.place()) {
            histogram.observe(duration.as_secs_f64());
        }
    }
}

pub(super) fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    let gauge = IntGauge::new(name, help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

pub(super) fn counter(
    registry: &Registry,
    name: &str,
    help: &str,
) -> prometheus::Result<IntCounter> {
    let counter = IntCounter::new(name, help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

pub(super) fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    bounds: &[f64],
) -> prometheus::Result<Histogram> {
    let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
    let histogram = Histogram::with_opts(options)?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}

/// From a decision out of memory to a slow upstream, in seconds.
pub(super) const REQUEST: [f64; 13] = [
    0.000_25, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0,
];

/// Around the promise of one second.
pub(super) const LAG: [f64; 9] = [0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 10.0, 60.0];

/// From a read out of memory to a call that waited for as long as it may.
pub(super) const STORE: [f64; 9] = [0.000_25, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 2.5, 5.0];
