//! Files as they are known: as they were read last, and as they were at the last look.

use crate::config::Files;

/// Files that are looked at again and again.
pub struct Looked {
    /// As they were when they were read last.
    pub read: Files,
    /// As they were at the last look.
    seen: Files,
}

impl Looked {
    /// Files that were read.
    pub fn at(read: Files) -> Self {
        Self {
            seen: read.clone(),
            read,
        }
    }

    /// Whether they have changed and stayed so for one look: one that is half written is not to be read.
    pub async fn have_settled(&mut self) -> bool {
        let seen = self.seen.clone();
        // Looking may wait for a disk.
        let Ok(now) = tokio::task::spawn_blocking(move || seen.look_again()).await else {
            return false;
        };
        let are_still = now == self.seen;
        self.seen = now;
        are_still && self.seen != self.read
    }
}
