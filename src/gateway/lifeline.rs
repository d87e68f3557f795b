//! What watches over an exchange that lasts: a WebSocket, an event stream, a long download or upload is cut
//! when the session that it was granted to would not be granted it any more, and when it stands still.
//!
//! Whatever is over within a second waits for nothing that others share. Cutting is dropping: HTTP/1 closes
//! its connection, with [last words](super::farewell) on a WebSocket, HTTP/2 resets the one stream.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use super::{
    drain::{Stage, Stages},
    farewell::{Carried, Wire},
    tenure::{Asked, Cut, Standing, Tenure},
};
use crate::{
    core::Core, id::RequestId, session::following::use_period, store::StoreError,
    telemetry::outcome::CutShort,
};

tokio::task_local! {
    static LIFELINE: Arc<Lifeline>;
}

/// The watch over one exchange; of no effect until it is told what [to watch](Self::watch).
#[derive(Default)]
pub struct Lifeline {
    bond: Option<Arc<Bond>>,
    watched: OnceLock<Watched>,
    /// Whether an upstream is connected to and is being sent the request; connecting has limits of its own.
    is_sending: AtomicBool,
    /// Milliseconds from the beginning to the last piece of the request's body.
    moved_at: AtomicU64,
    body_is_in: AtomicBool,
    is_answered: AtomicBool,
    /// Why it was cut.
    cut: OnceLock<CutShort>,
}

/// What ties the exchanges of a connection to it and to the gateway.
pub struct Bond {
    /// The connection.
    pub wire: Arc<Wire>,
    /// How far the end of the gateway has come.
    pub stages: Stages,
}

/// An exchange.
pub struct Watched {
    /// Its request.
    pub request_id: RequestId,
    /// When its request had been read.
    pub began: Instant,
    /// What it goes on by.
    pub standing: Standing,
    /// How long things may stand still.
    pub patience: Patience,
}

/// How long an exchange may stand still.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// Between two pieces of the request's body; `None` where the proxy library sees to it.
    pub with_body: Option<Duration>,
    /// From the end of the request to that of the answer's header. The library limits each silence, not a
    /// header that comes byte by byte.
    pub with_header: Option<Duration>,
}

impl Lifeline {
    /// Runs an exchange to its end, or until it is cut; `None` then.
    pub async fn run<T>(
        core: &Core,
        bond: Arc<Bond>,
        exchange: impl Future<Output = T>,
    ) -> Option<T> {
        let lifeline = Arc::new(Self {
            bond: Some(bond),
            ..Self::default()
        });
        let exchange = LIFELINE.scope(lifeline.clone(), exchange);
        tokio::select! {
            biased;
            done = exchange => Some(done),
            () = lifeline.cut(core) => None,
        }
    }

    /// That of the exchange which this task runs.
    pub fn present() -> Arc<Self> {
        // An error says that nothing watches: the exchange runs outside of `run`, in a unit test.
        LIFELINE.try_with(Arc::clone).unwrap_or_default()
    }

    /// Tells what to watch; once.
    pub fn watch(&self, watched: Watched) {
        let _ = self.watched.set(watched);
    }

    /// The header of an answer that brings this is about to be written.
    pub fn note_carried(&self, what: Carried) {
        if let Some(bond) = &self.bond {
            bond.wire.carry(what);
        }
    }

    /// Whether no further request is wanted on the connection.
    pub fn is_leaving(&self) -> bool {
        let bond = self.bond.as_ref();
        bond.is_some_and(|bond| bond.wire.is_leaving())
    }

    /// An upstream is connected to, for the first time or once more.
    pub fn note_connecting(&self) {
        self.is_sending.store(false, Ordering::Relaxed);
    }

    /// The request is sent from its beginning.
    pub fn note_sending(&self) {
        self.body_is_in.store(false, Ordering::Relaxed);
        self.note_moved();
        self.is_sending.store(true, Ordering::Relaxed);
    }

    /// A piece of the request's body has come in.
    pub fn note_body(&self, is_last: bool) {
        self.note_moved();
        if is_last {
            self.body_is_in.store(true, Ordering::Relaxed);
        }
    }

    fn note_moved(&self) {
        if let Some(watched) = self.watched.get() {
            let moved_at = milliseconds(watched.began.elapsed());
            self.moved_at.store(moved_at, Ordering::Relaxed);
        }
    }

    /// Whether the request has come in whole.
    pub fn is_body_in(&self) -> bool {
        self.body_is_in.load(Ordering::Relaxed)
    }

    /// The answer's header is here.
    pub fn note_answer(&self) {
        self.is_answered.store(true, Ordering::Relaxed);
    }

    /// Notes why the exchange is about to be cut; the first reason stays.
    pub fn note_cut(&self, cut: CutShort) {
        let _ = self.cut.set(cut);
    }

    /// Why the exchange was cut, if it was.
    pub fn cut_by(&self) -> Option<CutShort> {
        self.cut.get().copied()
    }

    async fn cut(&self, core: &Core) {
        let watched = self.until_it_lasts().await;
        let cut = tokio::select! {
            cut = watched.until_denied(core) => cut,
            cut = self.until_it_stalls(watched) => cut,
            cut = self.until_the_end() => cut,
        };
        if let Some(bond) = &self.bond {
            bond.wire.note_cut(cut.reason());
        }
        let session = match &watched.standing {
            Standing::Held(tenure) => Some(tenure.visit().claims.sid),
            Standing::Free | Standing::Open(_) => None,
        };
        self.note_cut(cut.into());
        let request_id = watched.request_id;
        match cut {
            Cut::SessionOver | Cut::SessionExpired | Cut::NotGranted | Cut::StepUpTooOld => {
                tracing::info!(%request_id, session = session.map(tracing::field::display), reason = ?cut, "an open exchange was cut");
            }
            Cut::Stopping => {
                tracing::info!(%request_id, reason = ?cut, "an open exchange was cut");
            }
            Cut::StoreSilent | Cut::UploadStalled | Cut::NoAnswer => {
                tracing::warn!(%request_id, reason = ?cut, "an open exchange was cut");
            }
        }
    }

    async fn until_the_end(&self) -> Cut {
        match &self.bond {
            Some(bond) => bond.stages.reached(Stage::Cutting).await,
            None => std::future::pending().await,
        }
        Cut::Stopping
    }

    /// Nobody is woken for this: it is looked at after each step of the exchange, which is the same task.
    async fn until_it_lasts(&self) -> &Watched {
        let watched = std::future::poll_fn(|_| match self.watched.get() {
            Some(watched) => Poll::Ready(watched),
            None => Poll::Pending,
        })
        .await;
        // The library's timer: a fifth of the cost of the runtime's for one that seldom goes off.
        pingora::time::sleep(LASTING).await;
        watched
    }

    async fn until_it_stalls(&self, watched: &Watched) -> Cut {
        loop {
            let Some((due, cut)) = self.next_stall(watched.patience) else {
                if self.is_answered.load(Ordering::Relaxed) {
                    return std::future::pending().await;
                }
                tokio::time::sleep(LASTING).await;
                continue;
            };
            let left = due.saturating_sub(watched.began.elapsed());
            if left.is_zero() {
                return cut;
            }
            tokio::time::sleep(left).await;
        }
    }

    /// By when, after the beginning, something has to move, and what it means if nothing does.
    fn next_stall(&self, patience: Patience) -> Option<(Duration, Cut)> {
        if !self.is_sending.load(Ordering::Relaxed) {
            return None;
        }
        let moved_at = Duration::from_millis(self.moved_at.load(Ordering::Relaxed));
        if !self.is_body_in() {
            return Some((moved_at + patience.with_body?, Cut::UploadStalled));
        }
        if self.is_answered.load(Ordering::Relaxed) {
            return None;
        }
        Some((moved_at + patience.with_header?, Cut::NoAnswer))
    }
}

impl Watched {
    /// Ends when the exchange may not go on.
    async fn until_denied(&self, core: &Core) -> Cut {
        let tenure = match &self.standing {
            Standing::Free => return std::future::pending().await,
            Standing::Open(asked) => return until_closed(asked, core).await,
            Standing::Held(tenure) => tenure,
        };
        match hold(tenure, core).await {
            Ok(cut) => cut,
            Err(error) => {
                tracing::warn!(request_id = %self.request_id, %error, "whether an exchange may go on cannot be told");
                Cut::StoreSilent
            }
        }
    }
}

/// Asks anew whether anybody may have it, whenever the configuration has changed.
async fn until_closed(asked: &Asked, core: &Core) -> Cut {
    let mut reloads = core.reloads.taken();
    loop {
        if !asked.is_open_to_all(&core.snapshot(), core.clock.now()) {
            return Cut::NotGranted;
        }
        // The sender lives as long as the core.
        let _ = reloads.changed().await;
    }
}

/// Follows the session, asks anew whenever it or the configuration has changed, and notes that it is in use.
async fn hold(tenure: &Tenure, core: &Core) -> Result<Cut, StoreError> {
    let clock = &core.clock;
    let Some(mut following) = core.sessions.follow(tenure.visit()).await? else {
        return Ok(Cut::SessionOver);
    };
    let mut reloads = core.reloads.taken();
    let mut snapshot = core.snapshot();
    let mut use_due = clock.now().plus(use_period(&snapshot.config.session));
    loop {
        let now = clock.now();
        if let Some(cut) = tenure.judge(&snapshot, following.visit(), now) {
            return Ok(cut);
        }
        let end = tenure.end(&snapshot, following.visit(), now);
        tokio::select! {
            alive = following.changed() => {
                if !alive? {
                    return Ok(Cut::SessionOver);
                }
            }
            Ok(()) = reloads.changed() => snapshot = core.snapshot(),
            () = clock.until(end) => {}
            () = clock.until(use_due) => {
                let limits = &snapshot.config.session;
                if let Err(error) = following.note_use(limits).await {
                    tracing::warn!(%error, "the use of a session could not be noted");
                }
                use_due = clock.now().plus(use_period(limits));
            }
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What takes longer than this is watched.
const LASTING: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        with_body: Some(Duration::from_secs(60)),
        with_header: Some(Duration::from_secs(120)),
    };

    #[test]
    fn a_body_must_move_and_after_it_a_header_must_come() {
        let lifeline = Lifeline::default();
        let stall = |lifeline: &Lifeline| lifeline.next_stall(PATIENCE);
        assert_eq!(stall(&lifeline), None, "it is being connected");
        lifeline.note_sending();
        assert_eq!(
            stall(&lifeline),
            Some((Duration::from_secs(60), Cut::UploadStalled))
        );
        lifeline.moved_at.store(5000, Ordering::Relaxed);
        assert_eq!(
            stall(&lifeline),
            Some((Duration::from_secs(65), Cut::UploadStalled))
        );
        lifeline.note_body(true);
        assert_eq!(
            stall(&lifeline),
            Some((Duration::from_secs(125), Cut::NoAnswer))
        );
        lifeline.note_answer();
        assert_eq!(stall(&lifeline), None);
    }

    #[test]
    fn another_attempt_begins_anew() {
        let lifeline = Lifeline::default();
        lifeline.note_sending();
        lifeline.note_body(true);
        lifeline.note_connecting();
        assert_eq!(lifeline.next_stall(PATIENCE), None);
        lifeline.note_sending();
        let (_, cut) = lifeline.next_stall(PATIENCE).unwrap();
        assert_eq!(cut, Cut::UploadStalled);
    }

    #[test]
    fn an_early_answer_does_not_excuse_a_body_that_stalls() {
        let lifeline = Lifeline::default();
        lifeline.note_sending();
        lifeline.note_answer();
        let (due, cut) = lifeline.next_stall(PATIENCE).unwrap();
        assert_eq!((due, cut), (Duration::from_secs(60), Cut::UploadStalled));
        assert!(lifeline.next_stall(Patience::default()).is_none());
    }
}
