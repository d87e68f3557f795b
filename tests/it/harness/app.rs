//! Programs that nobody here wrote, run as child processes from `tests/it/apps`. Each prints its port (or
//! what it saw) and is ended by its id.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
};

use super::waiting::{SOON, tool};

/// A running Python program.
pub struct App {
    child: Child,
    lines: Receiver<String>,
}

impl App {
    /// Starts `tests/it/apps/<script>`.
    pub fn start(script: &str, arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/it/apps")
            .join(script);
        let mut child = Command::new(tool("venv/bin/python"))
            .arg("-u")
            .arg(script)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let (sender, lines) = channel();
        // Ends with the child, whose output it reads.
        thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    /// The next line it prints; `None` when it has ended.
    pub fn line(&mut self) -> Option<String> {
        match tokio::task::block_in_place(|| self.lines.recv_timeout(SOON)) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it printed nothing for {SOON:?}"),
        }
    }

    /// The address of a server that prints its port first.
    pub fn address(&mut self) -> SocketAddr {
        let port = self
            .line()
            .expect("the app starts")
            .parse()
            .expect("it prints its port");
        SocketAddr::from(([127, 0, 0, 1], port))
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
