//! The `gatehouse` binary, run beside the gateway as an operator runs it.

use std::{path::Path, process::Command};

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Its output as JSON; it must have succeeded.
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// Runs `gatehouse --config FILE …` to its end.
pub fn gatehouse(config: &Path, arguments: &[&str]) -> Outcome {
    let run = || {
        Command::new(env!("CARGO_BIN_EXE_gatehouse"))
            .arg("--config")
            .arg(config)
            .args(arguments)
            .env_remove("GATEHOUSE_CONFIG")
            .env_remove("RUST_LOG")
            .output()
            .expect("cargo built the binary")
    };
    let output = tokio::task::block_in_place(run);
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
