//! The gateway as a process of its own, for what only a process can do: die without a warning.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

/// `gatehouse serve`, running.
pub struct Process(Child);

impl Process {
    /// Starts it and waits until it listens.
    pub fn serve(config: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gatehouse"))
            .arg("serve")
            .arg("--config")
            .arg(config)
            .env_remove("GATEHOUSE_CONFIG")
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("cargo built the binary");
        let stdout = child.stdout.take().expect("it is piped");
        let process = Self(child);
        let mut line = String::new();
        tokio::task::block_in_place(|| BufReader::new(stdout).read_line(&mut line))
            .expect("it prints where it listens");
        assert!(line.starts_with("listening on "), "{line:?}");
        process
    }

    /// Starts it in this environment and waits until it listens; its log comes line by line, each a JSON object.
    pub fn serve_and_log(
        config: &Path,
        environment: &[(&str, &Path)],
    ) -> (Self, Receiver<serde_json::Value>) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gatehouse"))
            .args(["serve", "--log", "json", "--config"])
            .arg(config)
            .env_remove("GATEHOUSE_CONFIG")
            .env_remove("GATEHOUSE_LOG")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cargo built the binary");
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let process = Self(child);
        let (sender, log) = channel();
        // Ends with the child, whose log it reads.
        thread::spawn(move || {
            BufReader::new(stderr)
                .lines()
                .map_while(Result::ok)
                .filter_map(|line| serde_json::from_str(&line).ok())
                .try_for_each(|line| sender.send(line))
        });
        let mut line = String::new();
        tokio::task::block_in_place(|| BufReader::new(stdout).read_line(&mut line))
            .expect("it prints where it listens");
        assert!(line.starts_with("listening on "), "{line:?}");
        (process, log)
    }

    /// The most memory it has had so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()));
        let status = status.expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        kibibytes.expect("a size").parse::<u64>().unwrap() * 1024
    }

    /// How many files and connections it has open.
    pub fn open_files(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.0.id());
        std::fs::read_dir(folder).expect("it runs").count()
    }

    /// Ends it as a power cut would: SIGKILL, nothing flushed, nobody told.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone when this returns.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
