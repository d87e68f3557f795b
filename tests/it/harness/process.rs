//! The gateway as a process of its own, for what only a process can do: die without a warning, hear signals, hand over.

use std::{
    future::ready,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use super::waiting::within;

/// `gatehouse serve`, running.
pub struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// Where it listens.
    pub address: SocketAddr,
    /// The process that serves: another one after a restart.
    serving: Pid,
    /// Those that have served.
    before: Vec<Pid>,
    /// How many records of the log have been looked at.
    heard: usize,
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
            .stdin(Stdio::null())
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
                // How many files a process may open is the machine's doing, not the test's.
                if line.contains("\"target\":\"gatehouse::open_files\"") {
                    continue;
                }
                if let Ok(record) = serde_json::from_str(&line) {
                    // Most tests do not listen.
                    let _ = sender.send(record);
                }
                written.lock().unwrap().push(line);
            }
        });
        let mut line = String::new();
        tokio::task::block_in_place(|| BufReader::new(stdout).read_line(&mut line))
            .expect("it prints where it listens");
        let address = line.trim().strip_prefix("listening on ");
        let address = address.unwrap_or_else(|| panic!("{line:?}, and {:?}", log.lock().unwrap()));
        let process = Self {
            address: address.parse().expect("an address"),
            serving: Pid::from_child(&child),
            child,
            log,
            before: Vec::new(),
            heard: 0,
        };
        (process, lines)
    }

    /// Sends a signal to the process that serves.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.serving, signal).expect("it runs");
    }

    /// Waits until the log says this, after what it said before; gives the record.
    pub async fn says(&mut self, message: &str) -> serde_json::Value {
        let (log, heard) = (&self.log, &mut self.heard);
        within(A_WHILE, message, || {
            let log = log.lock().unwrap();
            let mut fresh = log.iter().enumerate().skip(*heard);
            let found = fresh.find_map(|(index, line)| {
                let record: serde_json::Value = serde_json::from_str(line).ok()?;
                let said = record["message"].as_str()?.contains(message);
                said.then_some((index, record))
            });
            let found = found.map(|(index, record)| {
                *heard = index + 1;
                record
            });
            ready(found)
        })
        .await
    }

    /// Has it hand over to a new process.
    pub async fn restart(&mut self) {
        self.signal(Signal::USR2);
        let record = self.says("a new process serves").await;
        let id = record["process"].as_i64().expect("its id");
        let successor = Pid::from_raw(id.try_into().unwrap()).expect("an id");
        self.before
            .push(std::mem::replace(&mut self.serving, successor));
    }

    /// Whether the process that serves, or one before it, is still there.
    pub fn runs(&mut self) -> bool {
        // The first one is ours to bury.
        drop(self.child.try_wait());
        is_there(self.serving)
    }

    /// Waits until those that have served before are gone.
    pub async fn alone(&mut self) {
        let (before, child) = (&self.before, &mut self.child);
        within(A_WHILE, "those before end", || {
            // The first one is ours to bury.
            drop(child.try_wait());
            ready(before.iter().all(|id| !is_there(*id)).then_some(()))
        })
        .await;
    }

    /// Waits until nothing of it runs any more.
    pub async fn ended(&mut self) {
        within(A_WHILE, "it ends", || ready((!self.runs()).then_some(()))).await;
    }

    /// Everything it has logged, and those that served before or after it.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
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
        let first = Pid::from_child(&self.child);
        let others = self.before.iter().chain([&self.serving]);
        for id in others.filter(|id| **id != first) {
            let _ = kill_process(*id, Signal::KILL);
        }
    }
}

/// A process that nobody has buried counts as gone.
fn is_there(id: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// A debug build on a busy machine takes its time to start.
const A_WHILE: Duration = Duration::from_secs(60);
