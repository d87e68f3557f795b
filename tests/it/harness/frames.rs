//! HTTP/2 frame by frame, for conversations that no decent client would begin.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::waiting::SOON;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A connection by prior knowledge, after its preface.
pub struct Frames {
    stream: TcpStream,
}

/// A frame that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// How a connection or stream came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// GOAWAY with this error.
    Goaway(u32),
    /// The stream was reset with this error.
    Reset(u32),
    /// The connection was closed without a word.
    Closed,
}

impl Frames {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &[]).await
    }

    /// With these settings, as they stand in the frame.
    pub async fn connect_with(address: SocketAddr, settings: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let settings = frame(SETTINGS, 0, 0, settings);
        stream
            .write_all(&[&preface[..], &settings].concat())
            .await
            .unwrap();
        Self { stream }
    }

    /// Sends a frame; `false` when the other end has had enough.
    pub async fn send(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) -> bool {
        self.send_bytes(&frame(kind, flags, id, payload)).await
    }

    /// Sends frames as they stand.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        timeout(SOON, self.stream.write_all(bytes))
            .await
            .is_ok_and(|written| written.is_ok())
    }

    /// The next frame; `None` when the connection is closed.
    pub async fn next(&mut self) -> Option<Frame> {
        timeout(SOON, self.read())
            .await
            .expect("something comes, or the end")
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// Reads until the connection or a stream ends.
    pub async fn end(&mut self) -> End {
        while let Some(frame) = self.next().await {
            let error =
                |at: usize| u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap());
            match frame.kind {
                GOAWAY => return End::Goaway(error(4)),
                RST_STREAM => return End::Reset(error(0)),
                _ => {}
            }
        }
        End::Closed
    }

    /// Reads until the connection is closed.
    pub async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Reads to the answer's header on a stream; `false` when it ends without one.
    pub async fn is_answered(&mut self, id: u32) -> bool {
        while let Some(frame) = self.next().await {
            match frame.kind {
                HEADERS if frame.stream == id => return true,
                RST_STREAM if frame.stream == id => return false,
                _ => {}
            }
        }
        false
    }
}

/// A frame as it stands on the wire.
pub fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head[..], &id.to_be_bytes(), payload].concat()
}

/// The header block of a request, without Huffman coding or dynamic table.
pub fn request(method: &str, path: &str) -> Vec<u8> {
    let literal = |index: u8, value: &str| {
        let length = u8::try_from(value.len()).unwrap();
        [&[index, length][..], value.as_bytes()].concat()
    };
    let method = match method {
        "GET" => vec![0x82],
        "POST" => vec![0x83],
        other => literal(0x02, other),
    };
    [
        method,
        vec![0x86],
        literal(0x04, path),
        literal(0x01, "localhost"),
    ]
    .concat()
}

/// The field `Content-Type`, to be put behind a request's header (RFC 7541 §6.2.2: not to be remembered, by the
/// name's index).
pub fn content_type(kind: &str) -> Vec<u8> {
    let length = u8::try_from(kind.len()).unwrap();
    [&[0x0f, 0x10, length][..], kind.as_bytes()].concat()
}
