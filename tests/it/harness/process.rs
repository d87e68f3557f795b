//! The gateway as a process of its own, for what only a process can do: die without a warning.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    thread,
};

/// `gatehouse serve`, running.
pub struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts it and waits until it listens.
    pub fn serve(config: &Path) -> Self {
        Self::serve_and_log(config, &[]).0
    }

    /// Starts it in this environment and waits until it listens; its log comes line by line, each a JSON object.
    pub fn serve_and_log(
        config: &Path,
        environment: &[(&str, &Path)],
    ) -> (Self, Receiver<serde_json::Value>) {
        Self::start(config, &[], environment)
    }

    /// The same with more arguments.
    pub fn serve_with(config: &Path, arguments: &[&str]) -> (Self, Receiver<serde_json::Value>) {
        Self::start(config, arguments, &[])
    }

    fn start(
        config: &Path,
        arguments: &[&str],
        environment: &[(&str, &Path)],
    ) -> (Self, Receiver<serde_json::Value>) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gatehouse"))
            .args(["serve", "--log", "json", "--config"])
            .arg(config)
            .args(arguments)
            .env_remove("GATEHOUSE_CONFIG")
            .env_remove("GATEHOUSE_LOG")
            .env_remove("RUST_LOG")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cargo built the binary");
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let log = Arc::<Mutex<Vec<String>>>::default();
        let written = log.clone();
        let (sender, lines) = channel();
        // Ends with the child, whose log it reads.
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Ok(record) = serde_json::from_str(&line) {
                    // Most tests do not listen.
                    let _ = sender.send(record);
                }
                written.lock().unwrap().push(line);
            }
        });
        let process = Self { child, log };
        let mut line = String::new();
        tokio::task::block_in_place(|| BufReader::new(stdout).read_line(&mut line))
            .expect("it prints where it listens");
        assert!(line.starts_with("listening on "), "{line:?}");
        (process, lines)
    }

    /// What it has logged so far as a warning or worse.
    pub fn warnings(&self) -> Vec<String> {
        let log = self.log.lock().unwrap();
        let is_warning = |line: &&String| line.contains("\"WARN\"") || line.contains("\"ERROR\"");
        log.iter().filter(is_warning).cloned().collect()
    }

    /// The most memory it has had so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        kibibytes.expect("a size").parse::<u64>().unwrap() * 1024
    }

    /// How many files and connections it has open.
    pub fn open_files(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
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
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
