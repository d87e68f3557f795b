//! Attempts to take something up without a restart, counted by what it is and how they went.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// The counters.
#[derive(Debug)]
pub struct Reloads(IntCounterVec);

/// What is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadOf {
    /// The configuration file and what it names.
    Configuration,
    /// Certificates, keys and authorities of `[server]`.
    Certificates,
    /// The program itself, by a successor.
    Program,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// It is in force.
    Taken,
    /// What was before stays in force.
    Refused,
}

impl Reloads {
    /// Counters at zero.
    ///
    /// # Errors
    /// When the registry has the name already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let name = "gatehouse_reloads_total";
        let help =
            "Attempts to take up a new configuration, certificates or program, by how they went.";
        let family = IntCounterVec::new(Opts::new(name, help), &["what", "result"])?;
        registry.register(Box::new(family.clone()))?;
        let reloads = Self(family);
        let everything = [
            ReloadOf::Configuration,
            ReloadOf::Certificates,
            ReloadOf::Program,
        ];
        for what in everything {
            for result in [ReloadResult::Taken, ReloadResult::Refused] {
                reloads.counter(what, result);
            }
        }
        Ok(reloads)
    }

    /// Counts one.
    pub fn count(&self, what: ReloadOf, result: ReloadResult) {
        self.counter(what, result).inc();
    }

    /// How many there were.
    pub fn of(&self, what: ReloadOf, result: ReloadResult) -> u64 {
        self.counter(what, result).get()
    }

    fn counter(&self, what: ReloadOf, result: ReloadResult) -> IntCounter {
        let what = match what {
            ReloadOf::Configuration => "configuration",
            ReloadOf::Certificates => "certificates",
            ReloadOf::Program => "program",
        };
        let result = match result {
            ReloadResult::Taken => "taken",
            ReloadResult::Refused => "refused",
        };
        self.0.with_label_values(&[what, result])
    }
}
