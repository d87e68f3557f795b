//! An app that answers in its own bytes, right or wrong, piece by piece, and keeps its connections open as long as
//! it likes. What it was not told to spoil it answers with its target, so that nobody gets another's answer
//! unnoticed.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A running app. It ends with this value.
pub struct Hostile {
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// What it does to one request.
#[derive(Clone, Debug)]
pub struct Deed {
    pieces: Vec<Vec<u8>>,
    pause: Duration,
    then: Then,
}

/// What it does when it has said everything.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// Closes the connection.
    Close,
    /// Waits for the next request.
    KeepAlive,
    /// Says nothing more until the other side closes.
    Hold,
    /// Says the last piece again and again.
    Repeat,
}

#[derive(Default)]
struct State {
    deeds: Mutex<HashMap<String, Deed>>,
    heard: Mutex<Vec<String>>,
    connections: AtomicUsize,
    closed: AtomicUsize,
}

impl Deed {
    /// Says this at once.
    pub fn saying(bytes: impl Into<Vec<u8>>, then: Then) -> Self {
        Self {
            pieces: vec![bytes.into()],
            pause: Duration::ZERO,
            then,
        }
    }

    /// Says this byte by byte.
    pub fn dripping(bytes: impl Into<Vec<u8>>, pause: Duration) -> Self {
        Self {
            pieces: bytes.into().into_iter().map(|byte| vec![byte]).collect(),
            pause,
            then: Then::Hold,
        }
    }
}

impl Hostile {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        let serving = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = serving.clone();
                state.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    // However it ended.
                    drop(state.converse(stream).await);
                    state.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            address,
            state,
            task,
        }
    }

    /// From now on it does this to requests of this target.
    pub fn on(&self, target: &str, deed: Deed) {
        let mut deeds = self.state.deeds.lock().unwrap();
        deeds.insert(target.to_owned(), deed);
    }

    /// The heads of all requests, in order, with their bodies where they had a length.
    pub fn heard(&self) -> Vec<String> {
        self.state.heard.lock().unwrap().clone()
    }

    /// How many connections it was given.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many of them are closed.
    pub fn connections_closed(&self) -> usize {
        self.state.closed.load(Ordering::SeqCst)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    async fn converse(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                if stream.read_until(b'\n', &mut head).await? == 0 {
                    return Ok(());
                }
            }
            let mut request = String::from_utf8_lossy(&head).into_owned();
            let length = request
                .to_ascii_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
                .unwrap_or(0);
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await?;
            request.push_str(&String::from_utf8_lossy(&body));
            let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
            self.heard.lock().unwrap().push(request);
            let deed = self.deeds.lock().unwrap().get(&target).cloned();
            let deed = deed.unwrap_or_else(|| Deed::saying(own_answer(&target), Then::KeepAlive));
            for piece in &deed.pieces {
                tokio::time::sleep(deed.pause).await;
                stream.write_all(piece).await?;
            }
            match deed.then {
                Then::Close => return Ok(()),
                Then::KeepAlive => {}
                Then::Hold => return stream.read_to_end(&mut Vec::new()).await.map(drop),
                Then::Repeat => loop {
                    let last = deed.pieces.last().expect("something to repeat");
                    stream.write_all(last).await?;
                },
            }
        }
    }
}

fn own_answer(target: &str) -> String {
    let body = own_body(target);
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What a request that nothing is done to is answered with.
pub fn own_body(target: &str) -> String {
    format!("the answer to {target} and to nothing else")
}
