//! Looks after the candidate of `serve --shadow`, as [`super::watch`] does after the configuration in force: it is read
//! again when it changes, and when a reload is asked for.

use std::{path::PathBuf, sync::Arc};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::{looked::Looked, watch::LOOK_EVERY};
use crate::core::Core;

/// The candidate, read once already.
pub struct Candidate {
    core: Arc<Core>,
    file: PathBuf,
    /// `None` only when reading it broke off; then it waits to be asked.
    looked: Option<Looked>,
}

impl Candidate {
    /// Takes up the candidate in this file. One that cannot be used is told of and harms nothing.
    pub async fn of(core: Arc<Core>, file: PathBuf) -> Self {
        let mut candidate = Self {
            core,
            file,
            looked: None,
        };
        candidate.read().await;
        candidate
    }

    /// Looks after it until `stopped`.
    pub async fn look_after(mut self, mut stopped: watch::Receiver<bool>) {
        let mut asked = self.core.reloads.asked();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_due = tokio::select! {
                biased;
                _ = stopped.changed() => return,
                Ok(()) = asked.changed() => true,
                _ = looks.tick() => match &mut self.looked {
                    Some(looked) => looked.have_settled().await,
                    None => false,
                },
            };
            if is_due {
                self.read().await;
            }
        }
    }

    async fn read(&mut self) {
        let (core, file) = (Arc::clone(&self.core), self.file.clone());
        let read = tokio::task::spawn_blocking(move || {
            core.shadow.reload(&file, &core.condition, core.clock.now())
        });
        self.looked = match read.await {
            Ok(files) => Some(Looked::at(files)),
            Err(error) => {
                tracing::error!(%error, "the shadow configuration could not be read; SIGHUP tries again");
                None
            }
        };
    }
}
