//! An app for bodies that are too large to keep: sends as many bytes as the target names, counts what it is
//! sent, and tells how far it got.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

/// A running app. It ends with this value.
pub struct Bulk {
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    sent: AtomicU64,
    taken: AtomicU64,
    broken_off: AtomicU64,
    holds: AtomicBool,
    go_on: Notify,
}

impl Bulk {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        let serving = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = serving.clone();
                tokio::spawn(async move {
                    if converse(&state, stream).await.is_err() {
                        state.broken_off.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        Self {
            address,
            state,
            task,
        }
    }

    /// How many bytes it could send so far, of all downloads.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::SeqCst)
    }

    /// How many bytes it took so far, of all uploads.
    pub fn taken(&self) -> u64 {
        self.state.taken.load(Ordering::SeqCst)
    }

    /// How many exchanges did not come to their end, or did not begin as a request does.
    pub fn broken_off(&self) -> u64 {
        self.state.broken_off.load(Ordering::SeqCst)
    }

    /// From now on it takes no more of any body, until it is told to.
    pub fn hold(&self) {
        self.state.holds.store(true, Ordering::SeqCst);
    }

    pub fn go_on(&self) {
        self.state.holds.store(false, Ordering::SeqCst);
        self.state.go_on.notify_waiters();
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `GET …/N` is answered with N bytes, anything else with the number of bytes of its body.
async fn converse(state: &State, stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::with_capacity(64 * 1024, stream);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_until(b'\n', &mut head).await? == 0 {
                return if head.is_empty() {
                    Ok(())
                } else {
                    Err(std::io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        if !["get /", "post /", "put /"]
            .iter()
            .any(|method| head.starts_with(method))
        {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        if let Some(target) = head.strip_prefix("get ") {
            let target = target.split(' ').next().unwrap_or_default();
            let length = target
                .rsplit('/')
                .next()
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
            send(state, &mut stream, length).await?;
        } else {
            let field = |name: &str| {
                head.lines()
                    .find_map(|line| line.strip_prefix(name).map(str::trim))
            };
            if field("expect:") == Some("100-continue") {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            let taken = match field("content-length:") {
                Some(length) => take(state, &mut stream, length.parse().unwrap_or(0)).await?,
                None => take_chunks(state, &mut stream).await?,
            };
            let told = taken.to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{told}",
                told.len()
            );
            stream.write_all(answer.as_bytes()).await?;
        }
    }
}

async fn send(
    state: &State,
    stream: &mut BufReader<TcpStream>,
    mut length: u64,
) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    while length > 0 {
        let piece = &PIECE[..usize::try_from(length)
            .unwrap_or(PIECE.len())
            .min(PIECE.len())];
        stream.write_all(piece).await?;
        length -= piece.len() as u64;
        state.sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
    }
    Ok(())
}

async fn take(
    state: &State,
    stream: &mut BufReader<TcpStream>,
    length: u64,
) -> std::io::Result<u64> {
    let mut left = length;
    while left > 0 {
        loop {
            let go_on = state.go_on.notified();
            if !state.holds.load(Ordering::SeqCst) {
                break;
            }
            go_on.await;
        }
        let buffered = stream.fill_buf().await?.len();
        if buffered == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let taken = buffered.min(usize::try_from(left).unwrap_or(buffered));
        stream.consume(taken);
        left -= taken as u64;
        state.taken.fetch_add(taken as u64, Ordering::SeqCst);
    }
    Ok(length)
}

async fn take_chunks(state: &State, stream: &mut BufReader<TcpStream>) -> std::io::Result<u64> {
    let mut total = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let size =
            u64::from_str_radix(line.trim(), 16).map_err(|_| std::io::ErrorKind::InvalidData)?;
        total += take(state, stream, size).await?;
        let mut end = [0; 2];
        stream.read_exact(&mut end).await?;
        if size == 0 {
            return Ok(total);
        }
    }
}

/// Looks until a number stands still for half a second; gives it.
pub async fn standing(mut look: impl FnMut() -> u64) -> u64 {
    let mut last = (look(), 0);
    super::waiting::within(super::waiting::SOON, "it stands still", || {
        let now = look();
        last = if now == last.0 {
            (now, last.1 + 1)
        } else {
            (now, 0)
        };
        let standing = (last.1 >= STILL).then_some(now);
        async move { standing }
    })
    .await
}

/// Looks are 20 ms apart.
const STILL: usize = 25;

/// A piece of a body.
pub static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// Bodies of this kind are sent at once or not at all.
pub const PATIENCE: Duration = Duration::from_secs(120);
