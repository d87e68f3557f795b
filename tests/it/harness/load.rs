//! Clients that never rest: requests one after the other, and sockets that are opened again whenever they are closed.
//! Whatever a client would call a failure is written down.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::Client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
};

use super::waiting::within;

/// The clients.
pub struct Load {
    tally: Arc<Tally>,
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

/// What has happened to them.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that were answered.
    pub answered: AtomicUsize,
    /// Sockets that are open.
    pub open: AtomicUsize,
    /// Sockets that the gateway closed as it should.
    pub closed: AtomicUsize,
    /// Whatever went wrong.
    pub failures: Mutex<Vec<String>>,
}

impl Load {
    /// No clients yet.
    pub fn none() -> Self {
        Self {
            tally: Arc::default(),
            stop: watch::channel(false).0,
            clients: JoinSet::new(),
        }
    }

    /// What has happened so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Adds a client that keeps its HTTP/1.1 connection for as long as it may, byte by byte: nothing is tried again.
    pub fn add_plain(&mut self, address: SocketAddr) {
        self.add(async move |tally, stop| {
            let mut kept = None;
            while !*stop.borrow() {
                match plain_request(&mut kept, address).await {
                    Ok(()) => tally.note_answer(),
                    Err(error) => {
                        kept = None;
                        tally.note_failure("a request on a kept connection", &error);
                    }
                }
            }
        });
    }

    /// Adds a client of the usual kind.
    pub fn add_client(&mut self, client: Client, url: &str) {
        let url = url.to_owned();
        self.add(async move |tally, stop| {
            while !*stop.borrow() {
                let request = async {
                    let answer = client.get(&url).send().await?.error_for_status()?;
                    answer.bytes().await
                };
                match request.await {
                    Ok(_) => tally.note_answer(),
                    Err(error) => tally.note_failure("a request", &error),
                }
            }
        });
    }

    /// Adds a WebSocket whose other end sends back what it is sent.
    pub fn add_websocket(&mut self, client: Client, url: &str) {
        let url = url.to_owned();
        self.add(async move |tally, mut stop| {
            while !*stop.borrow() {
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => return,
                    ended = websocket(&client, &url, &tally) => tally.note_end("a WebSocket", ended),
                }
            }
        });
    }

    /// Adds an event stream that never ends by itself.
    pub fn add_events(&mut self, client: Client, url: &str) {
        let url = url.to_owned();
        self.add(async move |tally, mut stop| {
            while !*stop.borrow() {
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => return,
                    ended = events(&client, &url, &tally) => tally.note_end("an event stream", ended),
                }
            }
        });
    }

    fn add<F>(&mut self, client: impl FnOnce(Arc<Tally>, watch::Receiver<bool>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let client = client(self.tally.clone(), self.stop.subscribe());
        self.clients.spawn(client);
    }

    /// Waits until so many more requests have been answered.
    pub async fn goes_on(&self, requests: usize) {
        let goal = self.tally.answered.load(Ordering::Relaxed) + requests;
        within(LONG, "requests are answered", async || {
            (self.tally.answered.load(Ordering::Relaxed) >= goal).then_some(())
        })
        .await;
    }

    /// Waits until so many sockets are open.
    pub async fn has_open(&self, sockets: usize) {
        within(LONG, "sockets are open", async || {
            (self.tally.open.load(Ordering::Relaxed) == sockets).then_some(())
        })
        .await;
    }

    /// Stops all of them.
    pub async fn end(mut self) -> Arc<Tally> {
        self.stop.send_replace(true);
        while let Some(ended) = self.clients.join_next().await {
            ended.expect("a client does not panic");
        }
        self.tally
    }
}

impl Tally {
    fn note_answer(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn note_failure(&self, what: &str, error: &dyn std::error::Error) {
        let failure = format!("{what}: {error:?}");
        self.failures.lock().unwrap().push(failure);
    }

    fn note_end(&self, what: &str, ended: Result<(), Broken>) {
        match ended {
            Ok(()) => drop(self.closed.fetch_add(1, Ordering::Relaxed)),
            Err(broken) => {
                let failure = format!("{what}: {broken:?}");
                self.failures.lock().unwrap().push(failure);
            }
        }
    }
}

async fn plain_request(kept: &mut Option<TcpStream>, address: SocketAddr) -> std::io::Result<()> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => TcpStream::connect(address).await?,
    };
    stream
        .write_all(b"GET /public/page HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    let (head, length) = loop {
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.expect("a length").parse().unwrap();
            break (head, end + 4 + length);
        }
        read_some(&mut stream, &mut answer).await?;
    };
    while answer.len() < length {
        read_some(&mut stream, &mut answer).await?;
    }
    if !head.starts_with("http/1.1 200 ") {
        return Err(std::io::Error::other(head));
    }
    if !head.contains("\r\nconnection: close") {
        *kept = Some(stream);
    }
    Ok(())
}

async fn read_some(stream: &mut TcpStream, answer: &mut Vec<u8>) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer).await? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        count => {
            answer.extend_from_slice(&buffer[..count]);
            Ok(())
        }
    }
}

/// How a socket ended that was not closed as it should be.
#[derive(Debug)]
enum Broken {
    NotOpened(#[allow(dead_code)] String),
    Cut(#[allow(dead_code)] String),
}

/// Counts a socket that is open.
struct Open<'a>(&'a AtomicUsize);

impl<'a> Open<'a> {
    fn count(tally: &'a Tally) -> Self {
        tally.open.fetch_add(1, Ordering::Relaxed);
        Self(&tally.open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Until it is closed with status 1001.
async fn websocket(client: &Client, url: &str, tally: &Tally) -> Result<(), Broken> {
    let mut socket = open_websocket(client, url).await?;
    let _open = Open::count(tally);
    let cut = |error: std::io::Error| Broken::Cut(format!("{error:?}"));
    loop {
        // The other end sends back what it gets; that it has no mask is nothing to it.
        let sent = socket.write_all(FRAME).await;
        let mut heard = [0; 4];
        // A frame that could not be sent any more may have crossed the goodbye.
        match socket.read_exact(&mut heard).await {
            Ok(_) => {}
            Err(error) => return Err(sent.err().map_or_else(|| cut(error), cut)),
        }
        if heard == GOING_AWAY {
            let mut rest = Vec::new();
            return match socket.read_to_end(&mut rest).await {
                Ok(_) if rest.is_empty() => Ok(()),
                Ok(_) => Err(Broken::Cut(format!("{rest:?} after the goodbye"))),
                Err(error) => Err(cut(error)),
            };
        }
        assert_eq!(&heard, FRAME);
        tokio::time::sleep(BETWEEN_WORDS).await;
    }
}

/// A busy app may answer before the request has ended, which the proxy library does not survive; see
/// [`Answer::Echo`](super::upstream::Answer::Echo).
async fn open_websocket(client: &Client, url: &str) -> Result<reqwest::Upgraded, Broken> {
    let mut last = String::new();
    for _ in 0..5 {
        let request = client
            .get(url)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let opened = async {
            let mut socket = request.send().await?.error_for_status()?.upgrade().await?;
            let mut heard = [0; 4];
            let echo = async {
                socket.write_all(FRAME).await?;
                socket.read_exact(&mut heard).await
            };
            Ok::<_, reqwest::Error>(echo.await.map(|_| socket))
        };
        match opened.await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => last = format!("{error:?}"),
            Err(error) => last = format!("{error:?}"),
        }
    }
    Err(Broken::NotOpened(last))
}

/// Until it ends with its last chunk.
async fn events(client: &Client, url: &str, tally: &Tally) -> Result<(), Broken> {
    let answer = client.get(url).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status);
    let mut answer = answer.map_err(|error| Broken::NotOpened(format!("{error:?}")))?;
    let mut open = None;
    loop {
        match answer.chunk().await {
            Ok(Some(_)) => open = Some(Open::count(tally)),
            Ok(None) => {
                drop(open);
                return Ok(());
            }
            Err(error) => return Err(Broken::Cut(format!("{error:?}"))),
        }
    }
}

/// A frame with two bytes.
const FRAME: &[u8; 4] = b"\x82\x02hi";
const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];
const BETWEEN_WORDS: Duration = Duration::from_millis(50);
/// For thousands of requests to a debug build.
const LONG: Duration = Duration::from_secs(300);
