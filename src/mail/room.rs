//! Sends mail for as long as the server runs, the way the configuration in force says.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinSet};

use super::{Transport, Way, Worker};
use crate::core::Core;

/// Where mail leaves. Nothing runs until a configuration has `[mail]`.
pub struct MailRoom {
    way: Option<Arc<Way>>,
    stopped: watch::Receiver<bool>,
    working: JoinSet<()>,
}

impl MailRoom {
    /// Works until `stopped`.
    pub fn new(stopped: watch::Receiver<bool>) -> Self {
        Self {
            way: None,
            stopped,
            working: JoinSet::new(),
        }
    }

    /// Mail leaves like this from now on. When there is no such way any more, what waits still leaves by the last.
    pub fn change(&mut self, core: &Core, transport: Option<Arc<dyn Transport>>) {
        let Some(transport) = transport else {
            return;
        };
        if let Some(way) = &self.way {
            way.change(transport);
            return;
        }
        let way = Arc::new(Way::by(transport));
        let worker = Worker::new(
            core.outbox.clone(),
            Arc::clone(&core.store),
            way.clone(),
            core.clock.clone(),
        )
        .counted_in(Arc::clone(&core.metrics));
        self.working.spawn(worker.run(self.stopped.clone()));
        self.way = Some(way);
    }

    /// Returns when what was being sent has been.
    pub async fn finish(mut self) {
        while self.working.join_next().await.is_some() {}
    }
}
