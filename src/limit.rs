//! Attempt limits: every check of a secret, and every mail, is paid for before it is made.
//!
//! Counted per network and per address in memory by the generic cell rate algorithm; a restart forgets.
//! What must outlive one (five wrong codes end an attempt) is counted in the store.

mod room;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::room::{ReadingRoom, Seat};
use crate::{
    email_address::EmailAddress,
    network::Network,
    secret::Digest,
    telemetry::metrics::{Metrics, Throttle},
};

/// What is being attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// Starting or finishing an exchange with a passkey.
    Passkey,
    /// Asking for a sign-in mail.
    EmailRequest,
    /// Redeeming a link or a code.
    Redemption,
    /// Opening an invitation, a recovery link or a *this was not me*.
    Invitation,
    /// Trying a backup code.
    BackupCode,
    /// Asking to be let in from another device, looking such a request up, or opening a stream of its events.
    Pairing,
    /// Having a session handed on to another host, or bringing it there.
    Handoff,
    /// Asking how one's own pairing goes on, where there is no stream of its events.
    PairingState,
    /// Sending something that is kept until its sender has signed in.
    Hold,
    /// Looking at what is kept, or having it sent.
    Resume,
}

/// Event streams at once on one node; each asks the store twice a second.
const MAX_STREAMS: usize = 1000;

/// Too many attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled;

/// The limits of this node.
pub struct Limits {
    streams: Arc<Semaphore>,
    passkey: Limit,
    email_request: Limit,
    redemption: Limit,
    invitation: Limit,
    backup_code: Limit,
    pairing: Limit,
    pairing_state: Limit,
    handoff: Limit,
    per_address: DefaultKeyedRateLimiter<EmailAddress>,
    per_account: DefaultKeyedRateLimiter<(Attempt, [u8; 32])>,
    metrics: Arc<Metrics>,
    hold: Limit,
    resume: Limit,
    /// For bodies that are read to be kept.
    pub reading: ReadingRoom,
}

struct Limit {
    per_network: DefaultKeyedRateLimiter<Network>,
    total: DefaultDirectRateLimiter,
}

impl Limits {
    /// Nothing was tried yet; what is refused is counted there.
    ///
    /// An office behind one address signs in at nine without meeting a limit; a guesser of 27-bit codes
    /// with a whole network gets one guess in two seconds, and five per mail.
    pub fn counted_in(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            passkey: Limit::new(quota(300, Duration::from_millis(200)), 2000),
            email_request: Limit::new(quota(40, Duration::from_secs(6)), 200),
            redemption: Limit::new(quota(100, Duration::from_secs(2)), 500),
            invitation: Limit::new(quota(100, Duration::from_secs(2)), 500),
            backup_code: Limit::new(quota(40, Duration::from_secs(6)), 200),
            pairing: Limit::new(quota(40, Duration::from_secs(6)), 200),
            // Sixty looks in a pairing's two minutes.
            pairing_state: Limit::new(quota(300, Duration::from_millis(200)), 1000),
            // Two for each host that somebody opens; the codes have 256 bits.
            handoff: Limit::new(quota(300, Duration::from_millis(200)), 2000),
            // Three mails at once, then one in five minutes: a nuisance to nobody's mailbox.
            per_address: DefaultKeyedRateLimiter::keyed(quota(3, Duration::from_secs(300))),
            // Ten mistyped codes at once, then one in ten minutes: a guesser needs 15 hours for the hundred
            // that close this way, and the person has been told long before.
            per_account: DefaultKeyedRateLimiter::keyed(quota(10, Duration::from_secs(600))),
            // An office whose sessions end at one time; each is a write of up to `hold.max_body`.
            hold: Limit::new(quota(60, Duration::from_secs(2)), 50),
            resume: Limit::new(quota(300, Duration::from_millis(200)), 1000),
            reading: ReadingRoom::default(),
        }
    }

    /// Pays for one attempt from a network.
    ///
    /// # Errors
    /// When the network, or everybody together, has made too many.
    pub fn charge(&self, attempt: Attempt, network: Network) -> Result<(), Throttled> {
        let limit = match attempt {
            Attempt::Passkey => &self.passkey,
            Attempt::EmailRequest => &self.email_request,
            Attempt::Redemption => &self.redemption,
            Attempt::Invitation => &self.invitation,
            Attempt::BackupCode => &self.backup_code,
            Attempt::Pairing => &self.pairing,
            Attempt::PairingState => &self.pairing_state,
            Attempt::Handoff => &self.handoff,
            Attempt::Hold => &self.hold,
            Attempt::Resume => &self.resume,
        };
        let what = throttle(attempt);
        limit
            .per_network
            .check_key(&network)
            .map_err(|_| self.refused(what))?;
        limit.total.check().map_err(|_| self.refused(what))
    }

    /// Pays for one mail to an address.
    ///
    /// # Errors
    /// When it was sent too many.
    pub fn charge_mail(&self, address: &EmailAddress) -> Result<(), Throttled> {
        self.per_address
            .check_key(address)
            .map_err(|_| self.refused(Throttle::Address))
    }

    /// Pays for one check of a secret of the account that somebody names, whether or not there is one.
    ///
    /// # Errors
    /// When it was tried too often.
    pub fn charge_account(&self, attempt: Attempt, name: &str) -> Result<(), Throttled> {
        let name = name.trim().to_lowercase();
        let key = (attempt, *Digest::of(name.as_bytes()).bytes());
        self.per_account
            .check_key(&key)
            .map_err(|_| self.refused(Throttle::Account))
    }

    /// A place among the event streams that this node keeps open; given back when it is dropped. A network
    /// cannot take them all: opening one is paid for, and none lasts longer than a pairing.
    ///
    /// # Errors
    /// When there is none left.
    pub fn open_stream(&self) -> Result<OwnedSemaphorePermit, Throttled> {
        Arc::clone(&self.streams)
            .try_acquire_owned()
            .map_err(|_| self.refused(Throttle::Streams))
    }

    /// Forgets networks and addresses whose attempts no longer count. Called from time to time.
    pub fn forget_idle(&self) {
        for limit in [
            &self.passkey,
            &self.email_request,
            &self.redemption,
            &self.invitation,
            &self.backup_code,
            &self.pairing,
            &self.pairing_state,
            &self.handoff,
            &self.hold,
            &self.resume,
        ] {
            limit.per_network.retain_recent();
        }
        self.per_address.retain_recent();
        self.per_account.retain_recent();
    }

    fn refused(&self, what: Throttle) -> Throttled {
        self.metrics.throttled.count(what);
        Throttled
    }
}

const fn throttle(attempt: Attempt) -> Throttle {
    match attempt {
        Attempt::Passkey => Throttle::Passkey,
        Attempt::EmailRequest => Throttle::EmailRequest,
        Attempt::Redemption => Throttle::Redemption,
        Attempt::Invitation => Throttle::Invitation,
        Attempt::BackupCode => Throttle::BackupCode,
        Attempt::Pairing => Throttle::Pairing,
        Attempt::PairingState => Throttle::PairingState,
        Attempt::Handoff => Throttle::Handoff,
        Attempt::Hold => Throttle::Hold,
        Attempt::Resume => Throttle::Resume,
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::counted_in(Arc::default())
    }
}

impl Limit {
    fn new(per_network: Quota, total_per_second: u32) -> Self {
        let total = NonZeroU32::new(total_per_second).expect("a limit is not zero");
        Self {
            per_network: DefaultKeyedRateLimiter::keyed(per_network),
            total: DefaultDirectRateLimiter::direct(Quota::per_second(total)),
        }
    }
}

/// `burst` at once, then one per `period`.
fn quota(burst: u32, period: Duration) -> Quota {
    let burst = NonZeroU32::new(burst).expect("a burst is not zero");
    Quota::with_period(period)
        .expect("a period is not zero")
        .allow_burst(burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(third: u8) -> Network {
        Network::of(std::net::Ipv4Addr::new(203, 0, third, 1).into())
    }

    #[test]
    fn a_network_that_used_up_its_attempts_is_refused_and_its_neighbour_is_not() {
        let limits = Limits::default();
        let allowed = (0..200)
            .take_while(|_| limits.charge(Attempt::Redemption, network(1)).is_ok())
            .count();
        assert!((100..110).contains(&allowed), "{allowed}");
        assert_eq!(
            limits.charge(Attempt::Redemption, network(1)),
            Err(Throttled)
        );
        assert_eq!(limits.charge(Attempt::Redemption, network(2)), Ok(()));
        assert_eq!(limits.charge(Attempt::Passkey, network(1)), Ok(()));
        let refused = |what| limits.metrics.throttled.of(what);
        assert_eq!(
            [Throttle::Redemption, Throttle::Passkey].map(refused),
            [2, 0]
        );
    }

    #[test]
    fn an_account_is_guessed_at_ten_times_however_its_name_is_written() {
        let limits = Limits::default();
        let names = ["ann@example.com", " Ann@Example.com"];
        let tried = (0..20)
            .filter(|number| {
                let name = names[number % 2];
                limits.charge_account(Attempt::BackupCode, name).is_ok()
            })
            .count();
        assert_eq!(tried, 10);
        assert_eq!(limits.charge_account(Attempt::BackupCode, "bob"), Ok(()));
    }

    #[test]
    fn an_address_gets_three_mails_at_once() {
        let limits = Limits::default();
        let address = EmailAddress::parse("ann@example.com").unwrap();
        let sent = (0..10)
            .filter(|_| limits.charge_mail(&address).is_ok())
            .count();
        assert_eq!(sent, 3);
        assert_eq!(limits.metrics.throttled.of(Throttle::Address), 7);
    }
}
