//! Looks after the candidate of `serve --shadow`, as [`super::watch`] does after the configuration in force: it is read
//! again when it changes, and when a reload is asked for.

use std::{path::PathBuf, sync::Arc};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::{looked::Looked, watch::LOOK_EVERY};
use crate::core::Core;

/// Runs until `stopped`.
pub async fn look_after(core: Arc<Core>, file: PathBuf, mut stopped: watch::Receiver<bool>) {
    let mut asked = core.reloads.asked();
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked = read(&core, &file).await;
    loop {
        let read_again = tokio::select! {
            biased;
            _ = stopped.changed() => return,
            Ok(()) = asked.changed() => true,
            _ = looks.tick() => match &mut looked {
                Some(looked) => looked.have_settled().await,
                None => false,
            },
        };
        if read_again {
            looked = read(&core, &file).await;
        }
    }
}

/// `None` only when reading it broke off; then it waits to be asked.
async fn read(core: &Arc<Core>, file: &std::path::Path) -> Option<Looked> {
    let (core, file) = (Arc::clone(core), file.to_owned());
    let read = tokio::task::spawn_blocking(move || {
        core.shadow.reload(&file, &core.condition, core.clock.now())
    });
    match read.await {
        Ok(files) => Some(Looked::at(files)),
        Err(error) => {
            tracing::error!(%error, "the shadow configuration could not be read; SIGHUP tries again");
            None
        }
    }
}
