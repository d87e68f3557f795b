//! Looks after the configuration file and every file that it names: takes up what has changed, or says why not.
//!
//! Files are taken up when nothing has changed between two looks, so that one that is half written is not read.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::{ReloadError, looked::Looked};
use crate::{
    condition::in_one_line,
    config::{self, Files, Loaded, Problems},
    core::Core,
    gateway::Terms,
    mail::{self, MailRoom},
    systemd,
    telemetry::metrics::{ReloadOf, ReloadResult},
};

/// Takes up configurations.
pub struct Watch {
    core: Arc<Core>,
    terms: Terms,
    mail: MailRoom,
    files: Option<Looked>,
}

impl Watch {
    /// Reloads nothing before it is told [which files](Self::files).
    pub const fn new(core: Arc<Core>, terms: Terms, mail: MailRoom) -> Self {
        Self {
            core,
            terms,
            mail,
            files: None,
        }
    }

    /// Runs until `stopped`; `files` are those of the configuration in force, once they are known.
    pub async fn run(
        mut self,
        mut files: watch::Receiver<Option<Files>>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut asked = self.core.reloads.asked();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stopped.changed() => break,
                Ok(()) = files.changed() => {
                    let known = files.borrow_and_update().clone();
                    self.files = known.map(|read| self.looked(read));
                }
                Ok(()) = asked.changed() => {
                    asked.mark_unchanged();
                    self.reload(Occasion::Asked).await;
                }
                _ = looks.tick() => {
                    if let Some(looked) = &mut self.files
                        && looked.have_settled().await
                    {
                        self.reload(Occasion::Changed).await;
                    }
                }
            }
        }
        self.mail.finish().await;
    }

    /// Certificates have a watch of their own, unless the configuration as a whole is in trouble: then any file may
    /// mend it.
    fn looked(&self, read: Files) -> Looked {
        let snapshot = self.core.snapshot();
        let config = &snapshot.config;
        let of_tls = config.tls.iter().flat_map(|pair| [&pair.cert, &pair.key]);
        let read = match self.core.condition.configuration.trouble() {
            None => read.without(of_tls.chain(&config.door.client_ca)),
            Some(_) => read,
        };
        Looked::at(read)
    }

    async fn reload(&mut self, occasion: Occasion) {
        let Some(looked) = &self.files else {
            tracing::warn!("a reload was asked for, and the configuration came from no file");
            return;
        };
        systemd::reloading();
        let main = looked.read.main().to_owned();
        let read = tokio::task::spawn_blocking(move || config::read(&main)).await;
        let result = match read {
            Ok((loaded, files)) => {
                let result = self.take_up(loaded).await;
                self.note(&result, occasion);
                if result.is_err() {
                    self.reopen_log(occasion);
                }
                self.files = Some(self.looked(files));
                result
            }
            Err(broken) => {
                let result = Err(ReloadError::Reading(broken));
                self.note(&result, occasion);
                result
            }
        };
        systemd::reloaded(result.is_ok());
    }

    /// Makes everything ready, and only then changes anything.
    async fn take_up(&mut self, loaded: Result<Loaded, Problems>) -> Result<(), ReloadError> {
        let Loaded { config, warnings } = loaded?;
        for warning in warnings {
            tracing::warn!(%warning, "the configuration has something to look at");
        }
        let transport = match &config.mail {
            Some(mail) => Some(mail::open(mail).await?),
            None => None,
        };
        let snapshot = self.core.prepare(config).await?;
        let terms = self.terms.prepare(&snapshot.config)?;
        self.core.access_log.reopen(&snapshot.config.log)?;
        terms.take_up();
        self.core.take_up(snapshot);
        self.mail.change(&self.core, transport);
        Ok(())
    }

    /// Whoever has moved the access log away waits for a new one, whatever the configuration is like.
    fn reopen_log(&self, occasion: Occasion) {
        match occasion {
            Occasion::Asked => {}
            Occasion::Changed => return,
        }
        if let Err(error) = self
            .core
            .access_log
            .reopen(&self.core.snapshot().config.log)
        {
            let problem = in_one_line(&error);
            tracing::error!(
                problem,
                "the access log goes on where it was; make room for it and send SIGHUP again"
            );
        }
    }

    fn note(&self, result: &Result<(), ReloadError>, occasion: Occasion) {
        let (condition, reloads) = (
            &self.core.condition.configuration,
            &self.core.metrics.reloads,
        );
        match result {
            Ok(()) => {
                reloads.count(ReloadOf::Configuration, ReloadResult::Taken);
                let mended = condition.note_well();
                let snapshot = self.core.snapshot();
                let config = &snapshot.config;
                tracing::info!(
                    routes = config.routes.routes().len(),
                    upstreams = config.upstreams.len(),
                    mended,
                    "the new configuration is in force"
                );
            }
            Err(error) => {
                reloads.count(ReloadOf::Configuration, ReloadResult::Refused);
                let problems = in_one_line(error);
                let is_news = condition
                    .trouble()
                    .is_none_or(|trouble| trouble.problem != problems);
                match occasion {
                    Occasion::Changed if !is_news => {
                        tracing::debug!(problems, "the configuration still cannot be used");
                    }
                    Occasion::Changed | Occasion::Asked => tracing::error!(
                        problems,
                        "the new configuration cannot be used; the old one stays in force"
                    ),
                }
                condition.note_trouble(problems, self.core.clock.now());
            }
        }
    }
}

/// Why it reloads.
#[derive(Clone, Copy, Debug)]
enum Occasion {
    /// Somebody waits for an answer.
    Asked,
    Changed,
}

/// How often files are looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
