//! Everything built from one configuration, taken once per request and swapped as one.

use std::{collections::BTreeSet, time::SystemTime};

use crate::{assets::Assets, config::Config, pool::Pools, relying_party::RelyingParty};

/// A configuration and what was built from it.
pub struct Snapshot {
    /// The configuration.
    pub config: Config,
    /// Begins and checks exchanges with passkeys.
    pub relying_party: RelyingParty,
    /// Stylesheet, scripts and logo under their fingerprinted names.
    pub assets: Assets,
    /// Where forms of own pages may lead, as a source list of the Content Security Policy: browsers hold the
    /// redirect after a form to it as well, and with one host for all sign-ins that goes to the others.
    pub form_targets: String,
    /// The servers of upstreams and what is known of them.
    pub pools: Pools,
    /// When it was built, by the system's clock.
    pub since: SystemTime,
}

impl Snapshot {
    /// Builds the rest around a configuration.
    pub fn new(config: Config, relying_party: RelyingParty) -> Self {
        let pools = Pools::new(&config.upstreams);
        Self::with(config, relying_party, pools)
    }

    /// The same, in the place of an older one: what is known of servers stays known.
    pub fn succeeding(old: &Self, config: Config, relying_party: RelyingParty) -> Self {
        let pools = Pools::succeeding(&old.pools, &config.upstreams);
        Self::with(config, relying_party, pools)
    }

    fn with(config: Config, relying_party: RelyingParty, pools: Pools) -> Self {
        Self {
            form_targets: form_targets(&config),
            assets: Assets::new(&config.branding),
            pools,
            since: SystemTime::now(),
            relying_party,
            config,
        }
    }
}

fn form_targets(config: &Config) -> String {
    let party = &config.relying_party;
    let Some(auth) = &party.auth else {
        return "'self'".to_owned();
    };
    let named = config.routes.routes().iter().filter_map(|route| {
        let pattern = route.host.as_ref()?.as_str();
        // CSP has the same wildcards (Level 3 §2.3.1), as far as they go.
        match pattern.strip_prefix("*.") {
            None => Some(party.address_of(pattern)?.as_str().to_owned()),
            Some(parent) => {
                let address = party.address_of(parent)?;
                let (scheme, rest) = address.as_str().split_once("://")?;
                Some(format!("{scheme}://*.{rest}"))
            }
        }
    });
    let targets: BTreeSet<_> = named.chain([auth.as_str().to_owned()]).collect();
    let targets: Vec<_> = targets.into_iter().collect();
    format!("'self' {}", targets.join(" "))
}
