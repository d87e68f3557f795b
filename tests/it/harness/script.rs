//! A server that breaks off at a precise moment: each request that arrives is written down and met with the
//! next act of a script.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Barrier, watch},
    task::JoinHandle,
};

/// A running server. It ends with this value.
pub struct Scripted {
    pub address: SocketAddr,
    script: Arc<Script>,
    task: JoinHandle<()>,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// 200, and the connection is kept.
    Answer,
    /// The connection is closed once the head has arrived; what follows it is not read.
    CloseAfterHead,
    /// The connection is closed once all of it has arrived.
    Close,
    /// Half a head of an answer, then the connection is closed.
    HalfHead,
    /// 103, then the connection is closed.
    Hint,
    /// The head and half the body of an answer, then the connection is closed.
    HalfBody,
    /// As [`Act::Answer`], once two requests have come so far: the one at once, the other a moment later.
    Meet,
    /// The body is not read, and nothing is said.
    Deaf,
    /// Nothing, for as long as the connection stays open.
    Silence,
}

struct Script {
    acts: Mutex<VecDeque<Act>>,
    /// What follows the last act.
    afterwards: Mutex<Option<Act>>,
    heard: Mutex<Vec<Heard>>,
    connections: Mutex<usize>,
    open: watch::Sender<usize>,
    meeting: Barrier,
}

/// One request that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub method: String,
    pub body_bytes: usize,
}

impl Scripted {
    /// Plays these acts, one for each request, and answers what comes after the last.
    pub async fn start(acts: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Script::new(acts));
        let playing = script.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *playing.connections.lock().unwrap() += 1;
                let script = playing.clone();
                script.open.send_modify(|open| *open += 1);
                tokio::spawn(async move {
                    // The gateway closes connections, too.
                    drop(script.play(stream).await);
                    script.open.send_modify(|open| *open -= 1);
                });
            }
        });
        Self {
            address,
            script,
            task,
        }
    }

    /// From now on every request is met so.
    pub fn always(&self, act: Act) {
        self.script.acts.lock().unwrap().clear();
        *self.script.afterwards.lock().unwrap() = Some(act);
    }

    /// The methods of all requests that arrived.
    pub fn methods(&self) -> Vec<String> {
        self.heard().into_iter().map(|heard| heard.method).collect()
    }

    /// All requests that arrived.
    pub fn heard(&self) -> Vec<Heard> {
        self.script.heard.lock().unwrap().clone()
    }

    /// How many connections are open now.
    pub fn open(&self) -> usize {
        *self.script.open.borrow()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        *self.script.connections.lock().unwrap()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Script {
    fn new(acts: &[Act]) -> Self {
        Self {
            acts: Mutex::new(acts.iter().copied().collect()),
            afterwards: Mutex::default(),
            heard: Mutex::default(),
            connections: Mutex::default(),
            open: watch::Sender::new(0),
            meeting: Barrier::new(2),
        }
    }

    fn next(&self) -> Act {
        let next = self.acts.lock().unwrap().pop_front();
        let afterwards = *self.afterwards.lock().unwrap();
        next.or(afterwards).unwrap_or(Act::Answer)
    }

    async fn play(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let Some((method, length)) = read_head(&mut stream).await? else {
                return Ok(());
            };
            let act = self.next();
            let body_bytes = match act {
                Act::CloseAfterHead | Act::Deaf => 0,
                _ => stream.read_exact(&mut vec![0; length]).await?,
            };
            self.heard
                .lock()
                .unwrap()
                .push(Heard { method, body_bytes });
            match act {
                Act::Answer | Act::Meet => {
                    // One of the two answers later, as slower apps do: the proxy library does not close a
                    // connection that it is to give up in the very moment in which it takes it back.
                    if act == Act::Meet && !self.meeting.wait().await.is_leader() {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                        .await?;
                }
                Act::CloseAfterHead | Act::Close => return Ok(()),
                Act::Deaf => std::future::pending().await,
                Act::HalfHead => return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le").await,
                Act::Hint => {
                    return stream
                        .write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
                        .await;
                }
                Act::HalfBody => {
                    return stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
                        .await;
                }
                Act::Silence => return stream.read_to_end(&mut Vec::new()).await.map(drop),
            }
        }
    }
}

/// Method and length of the body; `None` at the end of the connection.
async fn read_head(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<(String, usize)>> {
    let (mut method, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        if method.is_empty() {
            method = line.split(' ').next().unwrap_or_default().to_owned();
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            return Ok(Some((method, length)));
        }
    }
}
