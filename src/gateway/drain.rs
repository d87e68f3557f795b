//! How the gateway comes to its end, stage by stage: nothing that a client has begun fails because of it.
//!
//! The proxy library closes idle connections the moment it stops, and a request that is on its way on one of them is
//! lost. Here a kept connection lingers, so that its next request is answered, with `Connection: close`.

use std::time::Duration;

use tokio::sync::watch;

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not at all.
    Serving,
    /// Nothing new is accepted, and connections are asked to go: on HTTP/1.1 with the next answer, on HTTP/2 by
    /// GOAWAY.
    Leaving,
    /// Connections that wait for a request are closed.
    Closing,
    /// Patience has run out: what is open is brought to its end.
    Cutting,
    /// So has that: whatever is left is dropped.
    Over,
}

/// Tells of the stages.
pub struct Ending(watch::Sender<Stage>);

/// Learns of the stages.
#[derive(Clone)]
pub struct Stages(watch::Receiver<Stage>);

impl Ending {
    /// Nothing ends yet.
    pub fn new() -> (Self, Stages) {
        let (sender, receiver) = watch::channel(Stage::Serving);
        (Self(sender), Stages(receiver))
    }

    /// The next stage begins.
    pub fn reach(&self, stage: Stage) {
        self.0.send_replace(stage);
    }
}

impl Stages {
    /// Waits for a stage, or a later one.
    pub async fn reached(&self, stage: Stage) {
        // An error says that the gateway was dropped; then nothing will stop it any more.
        if self.0.clone().wait_for(|now| *now >= stage).await.is_err() {
            std::future::pending().await
        }
    }
}

/// How long a connection that waits for its next request may go on waiting. A client that is at work sends the next
/// one sooner; for one that is not, closing is no loss.
pub fn linger(patience: Duration) -> Duration {
    (patience / 10).min(LONGEST_LINGER)
}

const LONGEST_LINGER: Duration = Duration::from_secs(3);
/// What is cut may say goodbye for so long.
pub const AFTER_THE_CUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stage_includes_those_before() {
        let (ending, stages) = Ending::new();
        ending.reach(Stage::Cutting);
        stages.reached(Stage::Leaving).await;
        stages.reached(Stage::Cutting).await;
        tokio::select! {
            biased;
            () = stages.reached(Stage::Over) => panic!("it is not over"),
            () = std::future::ready(()) => {}
        }
    }

    #[test]
    fn little_patience_leaves_little_for_idle_connections() {
        assert_eq!(linger(Duration::from_secs(1)), Duration::from_millis(100));
        assert_eq!(linger(Duration::from_secs(300)), LONGEST_LINGER);
        assert_eq!(linger(Duration::ZERO), Duration::ZERO);
    }
}
