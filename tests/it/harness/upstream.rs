//! An app that writes down every request exactly as it arrived, and answers as it is told to.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// A running app. It ends with this value.
pub struct Upstream {
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// One request as it reached the app.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    /// Byte for byte.
    pub target: String,
    /// Names as sent, in order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What the app says.
#[derive(Clone)]
pub enum Answer {
    /// An HTML page.
    Page(String),
    /// These bytes, then the connection is closed.
    Raw(Vec<u8>),
    /// The connection is closed without a word.
    HangUp,
    /// Nothing, for as long as the connection stays open.
    Silence,
    /// The head and one event of a stream that goes on until the app is told to end it or loses its reader.
    Endless,
    /// Another protocol from here on: whatever comes is sent back, until the other side closes.
    Echo,
}

#[derive(Default)]
struct State {
    received: Mutex<Vec<Received>>,
    answers: Mutex<HashMap<String, Answer>>,
    open_streams: watch::Sender<usize>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        let serving = state.clone();
        let task = tokio::spawn(async move {
            // They end with the app.
            let mut conversations = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = serving.clone();
                // A gateway that closes in the middle is part of some tests.
                conversations.spawn(async move { drop(state.converse(stream).await) });
            }
        });
        Self {
            address,
            state,
            task,
        }
    }

    /// Is gone, and so are its connections; gives what keeps its port from everybody else.
    pub async fn end(mut self) -> TcpSocket {
        self.task.abort();
        // An error says that it was aborted.
        let _ = (&mut self.task).await;
        let port = TcpSocket::new_v4().unwrap();
        port.set_reuseaddr(true).unwrap();
        port.bind(self.address).unwrap();
        port
    }

    /// From now on this target is answered so.
    pub fn answer(&self, target: &str, answer: Answer) {
        self.state
            .answers
            .lock()
            .unwrap()
            .insert(target.to_owned(), answer);
    }

    /// All that arrived.
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    /// The request that arrived last.
    pub fn last(&self) -> Received {
        self.received().pop().expect("a request reached the app")
    }

    /// The latest request of this target: browsers also ask for a favicon on their own.
    pub fn last_of(&self, target: &str) -> Received {
        let of_target = self
            .received()
            .into_iter()
            .rfind(|request| request.target == target);
        of_target.unwrap_or_else(|| panic!("no request of {target} reached the app"))
    }

    /// The targets that arrived, in order.
    pub fn targets(&self) -> Vec<String> {
        self.received()
            .into_iter()
            .map(|request| request.target)
            .collect()
    }

    /// How many [`Answer::Endless`] streams have a reader, and [`Answer::Echo`] another end.
    pub fn open_streams(&self) -> watch::Receiver<usize> {
        self.state.open_streams.subscribe()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Received {
    /// All values of a field, whatever the case of its name.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The field's only value; empty when absent.
    pub fn header(&self, name: &str) -> &str {
        let values = self.values(name);
        assert!(values.len() < 2, "{name} came {} times", values.len());
        values.first().copied().unwrap_or_default()
    }

    /// Names that an app which folds case, `_` and `.` takes for `name`.
    pub fn names_folding_to(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .map(|(other, _)| other.as_str())
            .filter(|other| other.to_ascii_lowercase().replace(['_', '.'], "-") == name)
            .collect()
    }
}

impl State {
    async fn converse(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read_request(&mut stream).await? {
            let head_only = request.method == "HEAD";
            let target = request.target.clone();
            let greeting = format!(
                "<!doctype html><title>The app</title><h1>{} {target}</h1>",
                request.method
            );
            self.received.lock().unwrap().push(request);
            let answer = self.answers.lock().unwrap().get(&target).cloned();
            match answer.unwrap_or(Answer::Page(greeting)) {
                Answer::Page(page) => stream.write_all(&html(&page, head_only)).await?,
                Answer::Raw(bytes) => return stream.write_all(&bytes).await,
                Answer::HangUp => return Ok(()),
                Answer::Silence => return stream.read_to_end(&mut Vec::new()).await.map(drop),
                Answer::Endless => return self.stream_until_nobody_reads(stream).await,
                Answer::Echo => return self.echo(stream).await,
            }
        }
        Ok(())
    }

    async fn echo(&self, mut stream: BufReader<TcpStream>) -> std::io::Result<()> {
        // The proxy library closes the socket at once if this overtakes the end of the empty request
        // (cloudflare/pingora#946). No app in a process of its own is as quick as that.
        tokio::time::sleep(THINKING).await;
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .await?;
        self.open_streams.send_modify(|count| *count += 1);
        let mut buffer = [0; 1024];
        let end = loop {
            match stream.read(&mut buffer).await {
                Ok(0) => break Ok(()),
                Ok(count) => stream.write_all(&buffer[..count]).await?,
                Err(error) => break Err(error),
            }
        };
        self.open_streams.send_modify(|count| *count -= 1);
        end
    }

    async fn stream_until_nobody_reads(
        &self,
        mut stream: BufReader<TcpStream>,
    ) -> std::io::Result<()> {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await?;
        stream.write_all(b"d\r\ndata: hello\n\n\r\n").await?;
        self.open_streams.send_modify(|count| *count += 1);
        let end = stream.read_u8().await;
        self.open_streams.send_modify(|count| *count -= 1);
        end.map(|_| ())
    }
}

/// What an app takes to open a socket.
const THINKING: Duration = Duration::from_millis(5);

fn html(page: &str, head_only: bool) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
        page.len()
    );
    if !head_only {
        answer.push_str(page);
    }
    answer.into_bytes()
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Received>> {
    let start = read_line(stream).await?;
    if start.is_empty() {
        return Ok(None);
    }
    let mut words = start.split(' ');
    let mut request = Received {
        method: words.next().unwrap_or_default().to_owned(),
        target: words.next().unwrap_or_default().to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let line = read_line(stream).await?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        request
            .headers
            .push((name.to_owned(), value.trim().to_owned()));
    }
    if request
        .header("expect")
        .eq_ignore_ascii_case("100-continue")
    {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    request.body = read_body(stream, &request).await?;
    Ok(Some(request))
}

async fn read_body(
    stream: &mut BufReader<TcpStream>,
    request: &Received,
) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if request
        .header("transfer-encoding")
        .eq_ignore_ascii_case("chunked")
    {
        loop {
            let size = usize::from_str_radix(&read_line(stream).await?, 16).unwrap_or(0);
            if size > 0 {
                body.extend(read_exactly(stream, size).await?);
            }
            read_line(stream).await?;
            if size == 0 {
                break;
            }
        }
    } else if let Ok(length) = request.header("content-length").parse() {
        body = read_exactly(stream, length).await?;
    }
    Ok(body)
}

async fn read_exactly(
    stream: &mut BufReader<TcpStream>,
    length: usize,
) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// A line without its end; empty at the end of the stream.
async fn read_line(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await?;
    Ok(String::from_utf8_lossy(&line)
        .trim_end_matches(['\r', '\n'])
        .to_owned())
}
