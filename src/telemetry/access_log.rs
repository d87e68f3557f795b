//! Where the lines of the access log go: through a bounded queue to a thread that writes them in batches.
//!
//! Whoever serves a request never waits for a disk. A line that finds the queue full, or that the disk does not
//! take, is dropped and counted; the log says so once, and once more when lines are written again.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use prometheus::IntCounter;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::{LogFormat, STARTED, access::AccessRecord};
use crate::config::{AccessFormat, Log};

/// The access log; the default is none.
#[derive(Default)]
pub struct AccessLog(Option<Queue>);

/// The file of the access log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the access log {path} cannot be opened")]
pub struct OpenError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

struct Queue {
    lines: SyncSender<Message>,
    shared: Arc<Shared>,
}

struct Shared {
    /// Whether lines go anywhere.
    on: AtomicBool,
    /// Lines that found the queue full, since somebody was told.
    lost: AtomicU64,
    dropped: IntCounter,
}

enum Message {
    Line(Vec<u8>),
    /// What comes after it goes there, or nowhere.
    WriteTo(Option<Sink>),
    /// Everything before it is written or dropped.
    Tell(oneshot::Sender<()>),
}

/// Where lines are written.
struct Sink {
    to: Box<dyn Write + Send>,
    /// For people who watch.
    as_text: bool,
}

impl AccessLog {
    /// Opens the log that a configuration asks for. What is dropped is counted.
    ///
    /// # Errors
    /// When its file cannot be opened.
    pub fn start(log: &Log, dropped: IntCounter) -> Result<Self, OpenError> {
        Ok(Self::writing_to(Sink::of(log)?, dropped))
    }

    fn writing_to(sink: Option<Sink>, dropped: IntCounter) -> Self {
        let (lines, queue) = sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            on: sink.is_some().into(),
            lost: AtomicU64::default(),
            dropped,
        });
        let writer = Writer {
            sink,
            shared: shared.clone(),
            failing: false,
            torn: false,
            warned: None,
        };
        thread::spawn(move || writer.run(&queue));
        Self(Some(Queue { lines, shared }))
    }

    /// Puts a line on its way.
    pub fn write(&self, format: AccessFormat, record: &AccessRecord<'_>) {
        let Some(queue) = &self.0 else { return };
        if !queue.shared.on.load(Ordering::Relaxed) {
            return;
        }
        let Some(line) = record.line(format) else {
            return;
        };
        if queue.lines.try_send(Message::Line(line)).is_err() {
            queue.shared.dropped.inc();
            queue.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens the log anew, as a configuration asks for: for a file that was moved away, and for another one. Lines
    /// of requests that are over already go where they went before.
    ///
    /// # Errors
    /// When its file cannot be opened; then lines go on going where they go.
    pub fn reopen(&self, log: &Log) -> Result<(), OpenError> {
        if let Some(queue) = &self.0 {
            let sink = Sink::of(log)?;
            queue.shared.on.store(sink.is_some(), Ordering::Relaxed);
            queue.ask(Message::WriteTo(sink));
        }
        Ok(())
    }

    /// Returns when every line so far is written or dropped, or has not been for too long.
    pub async fn flush(&self) {
        if let Some(queue) = &self.0 {
            let (tell, told) = oneshot::channel();
            queue.ask(Message::Tell(tell));
            if tokio::time::timeout(FLUSH, told).await.is_err() {
                tracing::warn!("the access log takes no lines; the last ones are lost");
            }
        }
    }
}

/// At a thousand requests a second, eight seconds of a disk that does nothing; some megabytes.
const QUEUE: usize = 8192;
/// For a disk that does nothing when the server stops.
const FLUSH: Duration = Duration::from_secs(5);
/// Between two batches: a writer that is not waiting need not be woken for every line.
const PAUSE: Duration = Duration::from_millis(10);
/// Lines written at once, in bytes.
const BATCH: usize = 64 * 1024;
/// Between two warnings of lines that were lost.
const WARN_EVERY: Duration = Duration::from_secs(60);

impl Queue {
    /// Who asks does not wait for a place in the queue either.
    fn ask(&self, message: Message) {
        if let Err(TrySendError::Full(message)) = self.lines.try_send(message) {
            let lines = self.lines.clone();
            thread::spawn(move || lines.send(message));
        }
    }
}

impl Sink {
    fn of(log: &Log) -> Result<Option<Self>, OpenError> {
        match (log.access, &log.access_file) {
            (AccessFormat::Off, _) => Ok(None),
            (AccessFormat::Json | AccessFormat::Combined, Some(path)) => {
                let file = open(path).map_err(|source| OpenError {
                    path: path.clone(),
                    source,
                })?;
                Ok(Some(Self {
                    to: Box::new(file),
                    as_text: false,
                }))
            }
            (AccessFormat::Json | AccessFormat::Combined, None) => Ok(Self::standard_error(log)),
        }
    }

    /// Where other lines go there, and the filter lets these pass.
    fn standard_error(log: &Log) -> Option<Self> {
        let format = STARTED.get()?;
        let asked_for = tracing::enabled!(target: super::access::TARGET, tracing::Level::INFO);
        asked_for.then(|| Self {
            to: Box::new(io::stderr()),
            as_text: log.access == AccessFormat::Json && *format == LogFormat::Text,
        })
    }

    /// Writes whole lines; gives how many were lost, and why, if any were.
    fn write(&mut self, lines: &[u8], torn: &mut bool) -> Result<(), (u64, io::Error)> {
        let mut rest = lines;
        if *torn {
            // The line that was cut off by the last failure stays by itself.
            self.to
                .write_all(b"\n")
                .map_err(|error| (count(rest), error))?;
            *torn = false;
        }
        while !rest.is_empty() {
            match self.to.write(rest) {
                Ok(0) => return Err((count(rest), io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    *torn = !rest[..written].ends_with(b"\n");
                    rest = &rest[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((count(rest), error)),
            }
        }
        self.to.flush().map_err(|error| (0, error))
    }
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

/// Readable by its owner and group: who watches a service is seldom who runs it.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}

/// The other end of the queue.
struct Writer {
    sink: Option<Sink>,
    shared: Arc<Shared>,
    /// Whether the last batch could not be written.
    failing: bool,
    /// Whether what was written last does not end with its line.
    torn: bool,
    warned: Option<Instant>,
}

impl Writer {
    /// Ends when nobody can send a line any more.
    fn run(mut self, queue: &Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH);
        while let Ok(message) = queue.recv() {
            let mut next = Some(message);
            while let Some(message) = next {
                self.take(message, &mut batch);
                next = queue.try_recv().ok();
            }
            self.write(&mut batch);
            self.warn_of_lost_lines();
            thread::sleep(PAUSE);
        }
    }

    fn take(&mut self, message: Message, batch: &mut Vec<u8>) {
        match message {
            Message::Line(line) => {
                self.add(batch, &line);
                if batch.len() >= BATCH {
                    self.write(batch);
                }
            }
            Message::WriteTo(sink) => {
                self.write(batch);
                self.sink = sink;
                self.torn = false;
            }
            Message::Tell(tell) => {
                self.write(batch);
                // Who asked may have given up.
                let _ = tell.send(());
            }
        }
    }

    fn add(&self, batch: &mut Vec<u8>, line: &[u8]) {
        match &self.sink {
            None => {}
            Some(sink) if sink.as_text => batch.extend_from_slice(as_text(line).as_bytes()),
            Some(_) => batch.extend_from_slice(line),
        }
    }

    fn write(&mut self, batch: &mut Vec<u8>) {
        let Some(sink) = self.sink.as_mut().filter(|_| !batch.is_empty()) else {
            return;
        };
        match sink.write(batch, &mut self.torn) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the access log is written again");
                }
            }
            Err((lost, error)) => {
                self.shared.dropped.inc_by(lost);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "the access log cannot be written; its lines are dropped until it can");
                }
            }
        }
        batch.clear();
    }

    fn warn_of_lost_lines(&mut self) {
        let due = self
            .warned
            .is_none_or(|warned| warned.elapsed() >= WARN_EVERY);
        if due && self.shared.lost.load(Ordering::Relaxed) > 0 {
            self.warned = Some(Instant::now());
            let lost = self.shared.lost.swap(0, Ordering::Relaxed);
            tracing::warn!(
                lost,
                "lines of the access log were dropped: they came faster than they could be written"
            );
        }
    }
}

/// A JSON line as people read it; any other as it is.
fn as_text(line: &[u8]) -> String {
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(line) else {
        return String::from_utf8_lossy(line).into_owned();
    };
    let [timestamp, level, target] =
        HEAD.map(|name| fields.get(name).and_then(Value::as_str).unwrap_or_default());
    let mut text = format!("{timestamp}  {level} {target}:");
    for (name, value) in fields
        .iter()
        .filter(|(name, _)| !HEAD.contains(&name.as_str()))
    {
        text.push_str(&format!(" {name}={value}"));
    }
    text.push('\n');
    text
}

const HEAD: [&str; 3] = ["timestamp", "level", "target"];

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::telemetry::access::tests::record;

    fn dropped() -> IntCounter {
        IntCounter::new("dropped", "lines").unwrap()
    }

    fn to_file(path: &Path) -> Log {
        Log {
            access: AccessFormat::Json,
            access_file: Some(path.to_owned()),
        }
    }

    fn paths_in(file: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(file).unwrap();
        let path = |line: &str| serde_json::from_str::<Value>(line).unwrap()["path"].clone();
        text.lines()
            .map(|line| path(line).as_str().unwrap().to_owned())
            .collect()
    }

    #[tokio::test]
    async fn a_file_that_was_moved_away_keeps_its_lines_and_a_new_one_gets_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let [file, moved] = ["access.log", "access.log.1"].map(|name| folder.path().join(name));
        let log = AccessLog::start(&to_file(&file), dropped()).unwrap();
        log.write(AccessFormat::Json, &record("GET", "/1"));
        log.flush().await;
        std::fs::rename(&file, &moved).unwrap();
        log.write(AccessFormat::Json, &record("GET", "/2"));
        log.reopen(&to_file(&file)).unwrap();
        log.write(AccessFormat::Json, &record("GET", "/3"));
        log.flush().await;
        assert_eq!(paths_in(&moved), ["/1", "/2"]);
        assert_eq!(paths_in(&file), ["/3"]);

        let nowhere = to_file(&folder.path().join("nowhere/access.log"));
        let error = log.reopen(&nowhere).unwrap_err().to_string();
        assert!(error.contains("nowhere"), "{error}");
        log.write(AccessFormat::Json, &record("GET", "/4"));
        log.flush().await;
        assert_eq!(paths_in(&file), ["/3", "/4"], "what was open stays open");
        let off = Log {
            access: AccessFormat::Off,
            access_file: None,
        };
        log.reopen(&off).unwrap();
        log.write(AccessFormat::Json, &record("GET", "/5"));
        log.flush().await;
        assert_eq!(paths_in(&file), ["/3", "/4"]);
    }

    #[tokio::test]
    async fn a_full_disk_costs_lines_and_nothing_else_and_is_recovered_from() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.log");
        let dropped = dropped();
        let log = AccessLog::start(&to_file(Path::new("/dev/full")), dropped.clone()).unwrap();
        log.write(AccessFormat::Json, &record("GET", "/1"));
        log.write(AccessFormat::Json, &record("GET", "/2"));
        log.flush().await;
        assert_eq!(dropped.get(), 2);
        log.reopen(&to_file(&file)).unwrap();
        log.write(AccessFormat::Json, &record("GET", "/3"));
        log.flush().await;
        assert_eq!((dropped.get(), paths_in(&file)), (2, vec!["/3".to_owned()]));
    }

    /// A disk that takes a write when it is let.
    struct Slow {
        asked: mpsc::Sender<usize>,
        let_through: mpsc::Receiver<usize>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.asked.send(bytes.len()).map_err(io::Error::other)?;
            match self.let_through.recv().map_err(io::Error::other)? {
                0 => Err(io::ErrorKind::StorageFull.into()),
                most => Ok(most.min(bytes.len())),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Sink, mpsc::Receiver<usize>, mpsc::Sender<usize>) {
        let (asked, asking) = mpsc::channel();
        let (letting, let_through) = mpsc::channel();
        let to = Box::new(Slow { asked, let_through });
        (Sink { to, as_text: false }, asking, letting)
    }

    #[tokio::test]
    async fn who_writes_a_line_never_waits_and_what_does_not_fit_is_counted() {
        let (sink, asking, letting) = slow();
        let dropped = dropped();
        let log = AccessLog::writing_to(Some(sink), dropped.clone());
        log.write(AccessFormat::Json, &record("GET", "/first"));
        let first = asking.recv().unwrap();
        // The writer is stuck; nothing is taken from the queue any more.
        for _ in 0..QUEUE + 3 {
            log.write(AccessFormat::Json, &record("GET", "/x"));
        }
        assert_eq!(dropped.get(), 3);
        letting.send(first).unwrap();
        assert!(asking.recv().unwrap() > first, "the others come in batches");
        drop(letting);
        log.flush().await;
        assert_eq!(
            dropped.get(),
            3 + QUEUE as u64,
            "a disk that fails keeps none"
        );
    }

    #[test]
    fn a_line_that_was_cut_off_stays_by_itself() {
        let (mut sink, _asking, letting) = slow();
        let mut torn = false;
        for bytes in [2, 0] {
            letting.send(bytes).unwrap();
        }
        let (lost, error) = sink.write(b"abc\ndef\n", &mut torn).unwrap_err();
        assert_eq!(
            (lost, error.kind(), torn),
            (2, io::ErrorKind::StorageFull, true)
        );
        for bytes in [1, 100] {
            letting.send(bytes).unwrap();
        }
        sink.write(b"ghi\n", &mut torn).unwrap();
        assert!(!torn);
    }

    #[test]
    fn people_read_lines_of_fields() {
        let line = b"{\"timestamp\":\"T\",\"level\":\"INFO\",\"target\":\"access\",\"path\":\"/a\\nb\",\"status\":200}\n";
        assert_eq!(
            as_text(line),
            "T  INFO access: path=\"/a\\nb\" status=200\n"
        );
        assert_eq!(as_text(b"203.0.113.0 - -\n"), "203.0.113.0 - -\n");
    }
}
