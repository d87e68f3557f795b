//! Everything built from one configuration, taken once per request and swapped as one.

use crate::{assets::Assets, config::Config, relying_party::RelyingParty};

/// A configuration and what was built from it.
pub struct Snapshot {
    /// The configuration.
    pub config: Config,
    /// Begins and checks exchanges with passkeys.
    pub relying_party: RelyingParty,
    /// Stylesheet, scripts and logo under their fingerprinted names.
    pub assets: Assets,
}

impl Snapshot {
    /// Builds the rest around a configuration.
    pub fn new(config: Config, relying_party: RelyingParty) -> Self {
        Self {
            assets: Assets::new(&config.branding),
            relying_party,
            config,
        }
    }
}
