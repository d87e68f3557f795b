//! Sends what waits in the outbox, in the background.
//!
//! A mail is taken under a lease, handed to the transport, and struck off or put back for later. Whoever
//! dies in between loses nothing: the lease ends and the mail is due again. Start with [`Worker::run`].

use std::{error::Error, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{
    debug, error,
    field::{DisplayValue, display},
    warn,
};

use super::{DeliveryError, Outbox, Transport};
use crate::{
    clock::Clock,
    id::AccountId,
    secret::random_bytes,
    store::{OutboxMail, Store, StoreError},
    telemetry::metrics::{MailResult, Metrics},
};

/// Takes due mail out of the store and delivers it.
#[derive(Clone)]
pub struct Worker {
    outbox: Outbox,
    store: Arc<dyn Store>,
    transport: Arc<dyn Transport>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Worker {
    /// A worker for one outbox. Several may work on the same store, in one process or many.
    pub fn new(
        outbox: Outbox,
        store: Arc<dyn Store>,
        transport: Arc<dyn Transport>,
        clock: Clock,
    ) -> Self {
        Self {
            outbox,
            store,
            transport,
            clock,
            metrics: Arc::default(),
        }
    }

    /// Has what becomes of mails counted there.
    #[must_use]
    pub fn counted_in(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Sends mail as it falls due, until `stop` holds `true` or its sender is gone. What is being sent then
    /// is finished first, which takes at most 45 s.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut deliveries = JoinSet::new();
        loop {
            self.take_up(&mut deliveries).await;
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = deliveries.join_next() => {}
                () = self.outbox.woken() => {}
                () = sleep(POLL_INTERVAL) => {}
            }
        }
        while deliveries.join_next().await.is_some() {}
    }

    /// Starts delivering what is due, as far as [`AT_ONCE`] allows: one mail that hangs holds up no other.
    async fn take_up(&self, deliveries: &mut JoinSet<()>) {
        while deliveries.len() < AT_ONCE {
            match self.take().await {
                Ok(Some(mail)) => {
                    deliveries.spawn(self.clone().send(mail));
                }
                Ok(None) => return,
                Err(failure) => {
                    warn!(error = cause(&failure), "cannot look into the outbox");
                    return;
                }
            }
        }
    }

    /// Looks before it takes: reading leaves the store's writers alone while the outbox is idle.
    async fn take(&self) -> Result<Option<OutboxMail>, StoreError> {
        let now = self.clock.now();
        match self.store.outbox_state().await?.next_due_at {
            Some(due_at) if due_at <= now => self.store.take_due_mail(now, now.plus(LEASE)).await,
            Some(_) | None => Ok(None),
        }
    }

    async fn send(self, mail: OutboxMail) {
        let Some(letter) = self.outbox.open(&mail) else {
            error!(mail = %mail.id, "cannot open a mail in the outbox: was server.secret changed? Give the one that it was written under");
            return self.put_back(&mail).await;
        };
        let delivery = self.transport.deliver(mail.id, &letter);
        let outcome = match timeout(DELIVERY_LIMIT, delivery).await {
            Ok(outcome) => outcome,
            Err(elapsed) => Err(DeliveryError::Unreachable(elapsed.into())),
        };
        match outcome {
            Ok(()) => {
                debug!(mail = %mail.id, tries = mail.tries, "mail sent");
                self.metrics.mails.count(MailResult::Sent);
                self.strike_off(&mail).await;
            }
            Err(never @ (DeliveryError::Refused { .. } | DeliveryError::Unwritable(_))) => {
                warn!(mail = %mail.id, account = whose(&mail), error = cause(&never), "mail given up: another try would end alike; see the address of the account");
                self.metrics.mails.count(MailResult::GivenUp);
                self.strike_off(&mail).await;
            }
            Err(not_yet @ (DeliveryError::Deferred { .. } | DeliveryError::Unreachable(_))) => {
                warn!(mail = %mail.id, tries = mail.tries, error = cause(&not_yet), "mail not sent yet; it is tried again. If it stays so, see mail.url and the mail server");
                self.put_back(&mail).await;
            }
        }
    }

    /// For another try, unless it would come too late to be of use.
    async fn put_back(&self, mail: &OutboxMail) {
        let due_at = self.clock.now().plus(backoff(mail.tries, random_bytes()));
        if due_at >= mail.expires_at {
            warn!(mail = %mail.id, account = whose(mail), tries = mail.tries, "mail given up: too late to be of use");
            self.metrics.mails.count(MailResult::GivenUp);
            return self.strike_off(mail).await;
        }
        self.metrics.mails.count(MailResult::Retried);
        // Failing this, it is due again when its lease ends.
        if let Err(failure) = self.store.postpone_mail(mail.id, due_at).await {
            warn!(mail = %mail.id, error = cause(&failure), "cannot put a mail back into the outbox");
        }
    }

    /// Failing this, the mail is sent again when its lease ends.
    async fn strike_off(&self, mail: &OutboxMail) {
        if let Err(failure) = self.store.finish_mail(mail.id).await {
            error!(mail = %mail.id, error = cause(&failure), "cannot strike a mail off the outbox");
        }
    }
}

/// For the log, where the address may not appear.
fn whose(mail: &OutboxMail) -> Option<DisplayValue<AccountId>> {
    mail.account.map(display)
}

/// As tracing records an error: with its sources.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error
}

/// How often the store is looked into without being told: the command line beside the server and other
/// nodes put mails there too.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Deliveries that run at the same time.
const AT_ONCE: usize = 8;

/// Longest time for handing over one mail, whatever the transport does.
const DELIVERY_LIMIT: Duration = Duration::from_secs(45);

/// How long a taken mail is hidden from other workers. Longer than [`DELIVERY_LIMIT`], so that nobody else
/// takes it while it is being sent.
const LEASE: Duration = Duration::from_secs(60);

/// 2 s doubled for each failed try up to 5 min, less up to a half by chance, so that the mails of an outage
/// do not all come back in the same second.
fn backoff(tries: u32, chance: [u8; 2]) -> Duration {
    let longest = FIRST_WAIT
        .saturating_mul(2_u32.saturating_pow(tries))
        .min(LONGEST_WAIT);
    let share = f64::from(u16::from_be_bytes(chance)) / f64::from(u16::MAX);
    // Timestamps are whole seconds: rounded, or the first tries would follow each other without a pause.
    Duration::from_secs(longest.mul_f64(1.0 - share / 2.0).as_secs_f64().round() as u64)
}

const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use async_trait::async_trait;
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        clock::Timestamp,
        config::Branding,
        email_address::EmailAddress,
        id::MailId,
        mail::{Letter, Message},
        secret::ServerSecret,
        store::sqlite::SqliteStore,
    };

    /// A transport that fails as planned and then delivers into a channel.
    struct Planned {
        failures: Mutex<Vec<DeliveryError>>,
        attempts: AtomicUsize,
        delivered: mpsc::UnboundedSender<Letter>,
    }

    #[async_trait]
    impl Transport for Planned {
        async fn deliver(&self, _: MailId, letter: &Letter) -> Result<(), DeliveryError> {
            self.attempts.fetch_add(1, Ordering::Relaxed);
            if let Some(failure) = self.failures.lock().unwrap().pop() {
                return Err(failure);
            }
            self.delivered.send(letter.clone()).unwrap();
            Ok(())
        }
    }

    struct Bench {
        worker: Worker,
        transport: Arc<Planned>,
        delivered: mpsc::UnboundedReceiver<Letter>,
        _folder: tempfile::TempDir,
    }

    impl Bench {
        async fn new(failures: Vec<DeliveryError>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = SqliteStore::open(&folder.path().join("store.db"))
                .await
                .unwrap();
            let (sender, delivered) = mpsc::unbounded_channel();
            let transport = Arc::new(Planned {
                failures: Mutex::new(failures),
                attempts: AtomicUsize::new(0),
                delivered: sender,
            });
            let outbox = Outbox::new(&ServerSecret::random());
            let clock = Clock::fixed(Timestamp::from_seconds(1_000));
            let worker = Worker::new(outbox, Arc::new(store), transport.clone(), clock);
            Self {
                worker,
                transport,
                delivered,
                _folder: folder,
            }
        }

        /// A mail that is worth sending for 15 minutes.
        async fn enqueue(&self) {
            let lifespan = Duration::from_secs(900);
            let message = Message::Invitation {
                link: "https://example.com/".into(),
                lifespan,
            };
            let branding = Branding {
                name: "Example".into(),
                logo: None,
                accent: None,
            };
            let to = EmailAddress::parse("ann@example.com").unwrap();
            let now = self.worker.clock.now();
            let mail =
                self.worker
                    .outbox
                    .prepare(&to, &message, &branding, None, now, now.plus(lifespan));
            self.worker.store.enqueue_mail(&mail).await.unwrap();
        }

        /// Takes up what is due now and waits until it has been dealt with.
        async fn work(&self) {
            let mut deliveries = JoinSet::new();
            self.worker.take_up(&mut deliveries).await;
            while let Some(outcome) = deliveries.join_next().await {
                outcome.unwrap();
            }
        }

        async fn waiting(&self) -> u64 {
            self.worker.store.outbox_state().await.unwrap().waiting
        }

        fn attempts(&self) -> usize {
            self.transport.attempts.load(Ordering::Relaxed)
        }
    }

    fn busy() -> DeliveryError {
        DeliveryError::Deferred { reply: 451 }
    }

    #[tokio::test]
    async fn a_mail_that_failed_is_tried_again_later_and_then_delivered_once() {
        let mut bench = Bench::new(vec![busy(), busy()]).await;
        bench.enqueue().await;
        bench.work().await;
        bench.work().await;
        assert_eq!(bench.attempts(), 1, "not before its time");
        for _ in 0..3 {
            bench.worker.clock.advance(Duration::from_secs(4));
            bench.work().await;
        }
        assert_eq!(bench.attempts(), 3);
        assert_eq!(
            bench.delivered.recv().await.unwrap().to.as_str(),
            "ann@example.com"
        );
        assert_eq!(bench.waiting().await, 0);
    }

    #[tokio::test]
    async fn a_mail_whose_taker_died_comes_back_when_its_lease_ends() {
        let mut bench = Bench::new(Vec::new()).await;
        bench.enqueue().await;
        assert!(bench.worker.take().await.unwrap().is_some());
        bench.work().await;
        assert_eq!(bench.attempts(), 0);
        bench.worker.clock.advance(LEASE);
        bench.work().await;
        assert!(bench.delivered.try_recv().is_ok());
    }

    #[tokio::test]
    async fn a_mail_that_is_refused_for_good_is_not_tried_again() {
        let bench = Bench::new(vec![DeliveryError::Refused { reply: 550 }]).await;
        bench.enqueue().await;
        bench.work().await;
        assert_eq!((bench.attempts(), bench.waiting().await), (1, 0));
    }

    #[tokio::test]
    async fn a_mail_is_given_up_once_it_is_not_worth_sending() {
        let bench = Bench::new((0..100).map(|_| busy()).collect()).await;
        bench.enqueue().await;
        while bench.waiting().await > 0 {
            bench.work().await;
            bench.worker.clock.advance(Duration::from_secs(1));
        }
        let spent = bench
            .worker
            .clock
            .now()
            .since(Timestamp::from_seconds(1_000));
        assert!(spent <= Duration::from_secs(900), "{spent:?}");
        assert!((8..=14).contains(&bench.attempts()), "{}", bench.attempts());
    }

    #[tokio::test]
    async fn a_mail_sealed_with_another_secret_is_kept_in_case_the_secret_comes_back() {
        let bench = Bench::new(Vec::new()).await;
        bench.enqueue().await;
        let stranger = Worker {
            outbox: Outbox::new(&ServerSecret::random()),
            ..bench.worker.clone()
        };
        let mail = stranger.take().await.unwrap().unwrap();
        stranger.send(mail).await;
        assert_eq!((bench.attempts(), bench.waiting().await), (0, 1));
    }

    #[tokio::test]
    async fn the_worker_sends_when_woken_and_ends_when_told() {
        let mut bench = Bench::new(Vec::new()).await;
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(bench.worker.clone().run(stopped));
        bench.enqueue().await;
        bench.worker.outbox.wake();
        assert!(bench.delivered.recv().await.is_some());
        stop.send(true).unwrap();
        running.await.unwrap();
        assert_eq!(bench.waiting().await, 0);
    }

    #[test]
    fn waits_double_up_to_five_minutes_and_chance_shortens_them_by_half_at_most() {
        let bounds = |tries| {
            let (longest, shortest) = (backoff(tries, [0, 0]), backoff(tries, [255, 255]));
            (shortest.as_secs(), longest.as_secs())
        };
        assert_eq!(bounds(0), (1, 2));
        assert_eq!(bounds(1), (2, 4));
        assert_eq!(bounds(5), (32, 64));
        assert_eq!(bounds(8), (150, 300));
        assert_eq!(bounds(u32::MAX), (150, 300));
    }
}
