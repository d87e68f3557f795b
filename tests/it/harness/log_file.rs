//! An access log of a test's gateway, as whoever reads the file sees it.

use std::path::PathBuf;

use serde_json::Value as Json;

use super::{
    Gateway,
    waiting::{SOON, within},
};

/// The file `access.log` in the gateway's folder.
pub struct LogFile(pub PathBuf);

/// The section of the configuration that has JSON lines written to such a file.
pub const TO_FILE: &str = "access_file = 'access.log'";

impl LogFile {
    pub fn of(gateway: &Gateway) -> Self {
        Self(gateway.folder().join("access.log"))
    }

    /// Everything in it.
    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.0).expect("it was opened when the gateway started")
    }

    /// Each line, as JSON.
    pub fn lines(&self) -> Vec<Json> {
        let text = self.text();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}")))
            .collect()
    }

    /// The line of the first request whose path is this, once it is written.
    pub async fn line_of(&self, path: &str) -> Json {
        within(SOON, &format!("a line of {path}"), || async {
            self.lines().into_iter().find(|line| line["path"] == path)
        })
        .await
    }
}
