//! Bytes on a connection, for requests that no decent client would send.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long a silent connection is listened to before the exchange counts as over.
const PATIENCE: Duration = Duration::from_secs(3);

/// All that came back on one connection.
pub struct Answers(pub String);

impl Answers {
    /// The status codes on the connection, in order.
    pub fn statuses(&self) -> Vec<u16> {
        self.0
            .match_indices("HTTP/1.1 ")
            .filter_map(|(at, start)| {
                self.0
                    .get(at + start.len()..at + start.len() + 3)?
                    .parse()
                    .ok()
            })
            .collect()
    }

    /// The first status code; 0 when the connection was closed without an answer.
    pub fn status(&self) -> u16 {
        self.statuses().first().copied().unwrap_or(0)
    }

    /// Whether the request was turned away: a client error, or no answer at all.
    pub fn refused(&self) -> bool {
        matches!(self.status(), 0 | 400..=499 | 501 | 505)
    }
}

/// Sends `bytes` on a new connection and reads until it is closed or stays silent.
pub async fn send(address: SocketAddr, bytes: &[u8]) -> Answers {
    let mut stream = TcpStream::connect(address)
        .await
        .expect("the gateway listens");
    stream
        .write_all(bytes)
        .await
        .expect("it takes what it is sent");
    let mut answer = Vec::new();
    let mut buffer = [0; 16 * 1024];
    // A reset after the answer is as good as a close.
    while let Ok(Ok(count @ 1..)) = timeout(PATIENCE, stream.read(&mut buffer)).await {
        answer.extend_from_slice(&buffer[..count]);
    }
    Answers(String::from_utf8_lossy(&answer).into_owned())
}

/// A GET of exactly this target, with these further header lines, on a connection of its own.
pub async fn get(address: SocketAddr, target: &str, lines: &[&str]) -> Answers {
    let mut request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for line in lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    send(address, request.as_bytes()).await
}
