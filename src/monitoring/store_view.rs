//! What the store says when it is asked for those who watch: at most once a second however often they ask, and never
//! waited for longer than a probe waits.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, task::JoinHandle, time::timeout};

use crate::{
    core::Core,
    store::{OutboxState, Store},
};

/// What was seen last, and the look that is under way.
#[derive(Default)]
pub struct StoreView(Mutex<State>);

#[derive(Default)]
struct State {
    seen: Option<(Instant, Seen)>,
    /// A look that took too long. It is not dropped: that would close the store's connection under it.
    pending: Option<JoinHandle<Seen>>,
}

/// What was seen of the store.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Whether it would take a write, or why not.
    pub reached: Result<(), String>,
    /// How full the outbox is; `None` when that cannot be known.
    pub outbox: Option<OutboxState>,
}

/// How long what was seen holds.
const FRESH: Duration = Duration::from_secs(1);

/// Probes commonly wait for a second.
const LIMIT: Duration = Duration::from_millis(900);

impl StoreView {
    /// Looks, unless it did a moment ago. Who comes while it looks waits for the same look.
    pub async fn look(&self, core: &Core) -> Seen {
        let mut state = self.0.lock().await;
        if let Some((at, seen)) = &state.seen
            && at.elapsed() < FRESH
        {
            return seen.clone();
        }
        let look = state
            .pending
            .get_or_insert_with(|| tokio::spawn(ask(Arc::clone(&core.store))));
        let seen = match timeout(LIMIT, look).await {
            Ok(seen) => {
                state.pending = None;
                seen.unwrap_or_else(|_| Seen::unreachable("asking it failed"))
            }
            Err(_) => Seen::unreachable("it does not answer in time"),
        };
        state.seen = Some((Instant::now(), seen.clone()));
        seen
    }
}

impl Seen {
    fn unreachable(why: &str) -> Self {
        Self {
            reached: Err(why.to_owned()),
            outbox: None,
        }
    }
}

async fn ask(store: Arc<dyn Store>) -> Seen {
    let (pinged, outbox) = tokio::join!(store.ping(), store.outbox_state());
    Seen {
        reached: pinged.map_err(|error| error.to_string()),
        outbox: outbox.ok(),
    }
}
