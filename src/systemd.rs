//! What systemd is told, where it started the gateway and wants to know (`Type=notify`): nothing otherwise.

use std::time::Duration;

use sd_notify::NotifyState;

/// It serves.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It takes up a new configuration.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "the time of a reload cannot be told"),
    }
}

/// It is done with that; what `systemctl status` says.
pub fn reloaded(taken: bool) {
    let status = if taken {
        "serving"
    } else {
        "serving the old configuration: the new one cannot be used, see the log"
    };
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Another process goes on in its place.
pub fn succeeded_by(process: u32) {
    tell(&[NotifyState::MainPid(process)]);
}

/// Says again and again that it is alive, as often as systemd asks for; at once over where it does not.
pub async fn say_alive() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut beats = tokio::time::interval((limit / 3).max(SHORTEST));
    loop {
        beats.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

const SHORTEST: Duration = Duration::from_millis(100);

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told how the gateway is");
    }
}
