//! The last words on an HTTP/1.1 connection that is cut while something long is on its way: a WebSocket gets a close
//! frame, an event stream its last chunk.
//!
//! Both can only be said between two frames or chunks, so what goes to the client is followed byte by byte. Only
//! that: a download which is cut has no last words, since its client would take a part for the whole.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU16, Ordering},
    },
    time::Duration,
};

use http::{Method, StatusCode, header};
use pingora::{http::ResponseHeader, protocols::Stream, proxy::Session};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{event_stream, introduction::is_websocket, lifeline::Lifeline};

/// What the ends of a connection's way through the gateway tell each other.
#[derive(Debug, Default)]
pub struct Wire {
    is_leaving: AtomicBool,
    carries: AtomicU8,
    /// A WebSocket's close status (RFC 6455 §7.4.1); zero while nothing is cut.
    status: AtomicU16,
}

/// What an answer brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Frames of a WebSocket.
    WebSocket,
    /// Events.
    Events,
}

/// Why it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The gateway ends.
    GoingAway,
    /// Whoever opened it may not have it open any more.
    NotAllowed,
}

impl Wire {
    /// No further request is wanted on it.
    pub fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    /// Whether no further request is wanted.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    /// The header of an answer that brings this is about to be written.
    pub fn carry(&self, what: Carried) {
        let code = match what {
            Carried::WebSocket => WEBSOCKET,
            Carried::Events => EVENTS,
        };
        self.carries.store(code, Ordering::Release);
    }

    /// It is about to be cut. The first reason counts.
    pub fn note_cut(&self, reason: Reason) {
        let status = match reason {
            Reason::GoingAway => 1001,
            Reason::NotAllowed => 1008,
        };
        // An error says that there was one already.
        let _ = self
            .status
            .compare_exchange(0, status, Ordering::Release, Ordering::Relaxed);
    }

    fn carried(&self) -> Option<Carried> {
        match self.carries.load(Ordering::Acquire) {
            WEBSOCKET => Some(Carried::WebSocket),
            EVENTS => Some(Carried::Events),
            _ => None,
        }
    }
}

const WEBSOCKET: u8 = 1;
const EVENTS: u8 = 2;

/// Looks at an answer's header on its way to the client: whether something of it may have to be said at the end, and
/// whether the connection goes on.
pub fn foresee(session: &mut Session, head: &ResponseHeader, lifeline: &Lifeline) {
    if session.as_http1().is_none() {
        return;
    }
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        if is_websocket(session.req_header()) {
            lifeline.note_carried(Carried::WebSocket);
        }
        return;
    }
    let kind = head.headers.get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(event_stream::MEDIA_TYPE)) {
        foresee_events(session, lifeline);
    }
    if lifeline.is_leaving() {
        session.set_keepalive(None);
    }
}

/// An event stream is about to begin. That its connection ends with it is said now: once its last chunk is out, its
/// client might send the next request where nobody reads any more. Only browsers' event sources, which ask by GET, take
/// an end for nothing but an end: to others that stream an answer so, it would be the whole of it.
pub fn foresee_events(session: &mut Session, lifeline: &Lifeline) {
    if session.req_header().method == Method::GET {
        lifeline.note_carried(Carried::Events);
        session.set_keepalive(None);
    }
}

/// Where in the traffic to the client its last byte was.
#[derive(Debug, Default)]
pub enum Outgoing {
    /// In nothing that is followed.
    #[default]
    Elsewhere,
    /// In the header of an answer.
    Header(Vec<u8>),
    /// In a WebSocket.
    Frames(Frames),
    /// In an answer in chunks.
    Chunks(Chunks),
    /// In a header too large to be followed.
    Unknown,
}

impl Outgoing {
    /// Takes what was written.
    pub fn pass(&mut self, wire: &Wire, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self {
                Self::Elsewhere => match wire.carried() {
                    None => return,
                    Some(_) => *self = Self::Header(Vec::new()),
                },
                Self::Header(seen) => match end_of_header(seen, bytes) {
                    Some(rest) => {
                        let next = after_header(seen, wire);
                        bytes = rest;
                        *self = next;
                    }
                    None if seen.len() > LARGEST_HEADER => *self = Self::Unknown,
                    None => return,
                },
                Self::Frames(frames) => return frames.pass(bytes),
                Self::Chunks(chunks) => match chunks.pass(bytes) {
                    None => return,
                    // The next answer on this connection begins.
                    Some(rest) => {
                        wire.carries.store(0, Ordering::Release);
                        bytes = rest;
                        *self = Self::Elsewhere;
                    }
                },
                Self::Unknown => return,
            }
        }
    }

    /// What to say if the connection ends here and now; `None` when nothing is cut, or nothing can be said.
    pub fn last_words(&self, wire: &Wire) -> Option<Vec<u8>> {
        let status = wire.status.load(Ordering::Acquire);
        if status == 0 {
            return None;
        }
        match self {
            Self::Frames(frames) if frames.is_between() => {
                let [high, low] = status.to_be_bytes();
                Some(vec![0x88, 2, high, low])
            }
            Self::Chunks(chunks) if chunks.is_between() => Some(b"0\r\n\r\n".to_vec()),
            Self::Frames(_) | Self::Chunks(_) => None,
            Self::Elsewhere | Self::Header(_) | Self::Unknown => None,
        }
    }
}

/// Servers behind commonly send a few KiB.
const LARGEST_HEADER: usize = 256 * 1024;

/// Gathers a header; what comes behind it, when it is whole.
fn end_of_header<'a>(seen: &mut Vec<u8>, bytes: &'a [u8]) -> Option<&'a [u8]> {
    for (index, byte) in bytes.iter().enumerate() {
        seen.push(*byte);
        if seen.ends_with(b"\r\n\r\n") {
            return bytes.get(index + 1..);
        }
    }
    None
}

fn after_header(header: &[u8], wire: &Wire) -> Outgoing {
    let status = header.get(9..12).unwrap_or_default();
    if status.starts_with(b"1") && status != b"101" {
        // A provisional answer; the one that counts is still to come.
        return Outgoing::Header(Vec::new());
    }
    let chunked = || {
        let header = header.to_ascii_lowercase();
        memchr::memmem::find(&header, b"\r\ntransfer-encoding: chunked\r\n").is_some()
    };
    match wire.carried() {
        Some(Carried::WebSocket) if status == b"101" => Outgoing::Frames(Frames::default()),
        Some(Carried::Events) if chunked() => Outgoing::Chunks(Chunks::default()),
        Some(Carried::WebSocket | Carried::Events) | None => {
            wire.carries.store(0, Ordering::Release);
            Outgoing::Elsewhere
        }
    }
}

/// Follows the frames of a WebSocket (RFC 6455 §5.2).
#[derive(Debug, Default)]
pub struct Frames {
    head: Vec<u8>,
    /// Of the payload.
    left: u64,
    is_closed: bool,
}

impl Frames {
    fn pass(&mut self, mut bytes: &[u8]) {
        loop {
            let skipped =
                usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
            self.left -= skipped as u64;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((first, rest)) = bytes.split_first() else {
                return;
            };
            self.head.push(*first);
            bytes = rest;
            if let Some(left) = payload_behind(&self.head) {
                self.is_closed |= self.head.first().is_some_and(|first| first & 0x0f == CLOSE);
                self.left = left;
                self.head.clear();
            }
        }
    }

    const fn is_between(&self) -> bool {
        self.left == 0 && self.head.is_empty() && !self.is_closed
    }
}

const CLOSE: u8 = 8;

/// How long the payload is, when the head is whole.
fn payload_behind(head: &[u8]) -> Option<u64> {
    let second = *head.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (length, extended) = match second & 0x7f {
        126 => (head.get(2..4)?, 2),
        127 => (head.get(2..10)?, 8),
        short => return (head.len() == 2 + mask).then_some(u64::from(short)),
    };
    let length = length
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    (head.len() == 2 + extended + mask).then_some(length)
}

/// Follows the chunks of an answer (RFC 9112 §7.1).
#[derive(Debug, Default)]
pub struct Chunks {
    place: Place,
    size: u64,
    is_last: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before the first digit of a size.
    #[default]
    Between,
    Size,
    /// In an extension, to the end of the line.
    Extension,
    Data,
    /// Behind the data, to the end of the line.
    AfterData,
    /// Behind the last chunk: at the beginning of a line, or within one.
    Trailer {
        is_at_line: bool,
    },
}

impl Chunks {
    /// What comes behind the last one, when that is whole.
    fn pass<'a>(&mut self, mut bytes: &'a [u8]) -> Option<&'a [u8]> {
        while let Some((first, rest)) = bytes.split_first() {
            self.place = match self.place {
                Place::Between | Place::Size => match first {
                    b'\n' => self.after_size(),
                    b';' => Place::Extension,
                    digit => {
                        let digit = char::from(*digit).to_digit(16);
                        let value = digit.map_or(self.size, |digit| {
                            self.size.saturating_mul(16).saturating_add(digit.into())
                        });
                        self.size = value;
                        Place::Size
                    }
                },
                Place::Extension if *first == b'\n' => self.after_size(),
                Place::Extension => Place::Extension,
                Place::Data => {
                    let taken = usize::try_from(self.size)
                        .map_or(bytes.len(), |size| size.min(bytes.len()));
                    self.size -= taken as u64;
                    bytes = bytes.get(taken..).unwrap_or_default();
                    if self.size == 0 {
                        self.place = Place::AfterData;
                    }
                    continue;
                }
                Place::AfterData if *first == b'\n' => Place::Between,
                Place::AfterData => Place::AfterData,
                Place::Trailer { is_at_line: true } if *first == b'\n' => return Some(rest),
                Place::Trailer { is_at_line } => Place::Trailer {
                    is_at_line: *first == b'\n' || (is_at_line && *first == b'\r'),
                },
            };
            bytes = rest;
        }
        None
    }

    const fn after_size(&mut self) -> Place {
        self.is_last = self.size == 0;
        if self.is_last {
            return Place::Trailer { is_at_line: true };
        }
        Place::Data
    }

    fn is_between(&self) -> bool {
        self.place == Place::Between
    }
}

/// A connection that was cut, and what to say on it.
pub struct Remains {
    /// The connection.
    pub stream: Stream,
    /// What to say.
    pub words: Vec<u8>,
}

/// Where a connection that was cut is left.
pub type Left = Arc<Mutex<Option<Remains>>>;

/// Takes leave of a client, if its connection was left for that.
pub async fn say(left: &Left) {
    let remains = left.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(Remains { mut stream, words }) = remains else {
        return;
    };
    let said = async {
        stream.write_all(&words).await?;
        stream.flush().await?;
        stream.shutdown().await?;
        // What the client still sends has to be taken, or the system resets the connection and with it what was
        // said. A WebSocket's client answers and closes.
        let mut unheard = [0; 1024];
        while stream.read(&mut unheard).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // Whoever does not listen misses it.
    let _ = timeout(PATIENCE, said).await;
}

/// Less than [`AFTER_THE_CUT`](super::drain::AFTER_THE_CUT).
const PATIENCE: Duration = Duration::from_millis(800);

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(what: Carried, bytes: &[u8], piece: usize) -> (Wire, Outgoing) {
        let (wire, mut outgoing) = (Wire::default(), Outgoing::default());
        wire.carry(what);
        for piece in bytes.chunks(piece) {
            outgoing.pass(&wire, piece);
        }
        (wire, outgoing)
    }

    fn last_words(what: Carried, bytes: &[u8]) -> Option<Vec<u8>> {
        let said = [1, 2, 3, 7, usize::MAX].map(|piece| {
            let (wire, outgoing) = followed(what, bytes, piece);
            assert_eq!(outgoing.last_words(&wire), None, "nothing was cut");
            wire.note_cut(Reason::NotAllowed);
            wire.note_cut(Reason::GoingAway);
            outgoing.last_words(&wire)
        });
        assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
        said[0].clone()
    }

    const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

    #[test]
    fn a_websocket_is_closed_between_its_frames_alone() {
        let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
        let longer = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &[7; 65536]].concat();
        let masked = [0x81, 0x81, 1, 2, 3, 4, 5];
        for (frames, closes) in [
            (&b""[..], true),
            (b"\x81\x02hi", true),
            (b"\x81\x02h", false),
            (b"\x81", false),
            (b"\x89\x00", true),
            (b"\x01\x02hi", true),
            (&long, true),
            (&long[..100], false),
            (&longer, true),
            (&longer[..9], false),
            (&masked, true),
            (&masked[..6], false),
            (b"\x88\x02\x03\xe8", false),
        ] {
            let said = last_words(Carried::WebSocket, &[SWITCHED, frames].concat());
            let close = closes.then(|| vec![0x88, 2, 0x03, 0xf0]);
            assert_eq!(said, close, "{:?}", &frames[..frames.len().min(20)]);
        }
    }

    #[test]
    fn a_refused_websocket_has_no_close_frame() {
        let refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
        assert_eq!(last_words(Carried::WebSocket, refused), None);
        assert_eq!(last_words(Carried::WebSocket, &SWITCHED[..30]), None);
    }

    #[test]
    fn an_event_stream_ends_between_its_chunks_alone() {
        let head =
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (chunks, ends) in [
            ("", true),
            ("5\r\n", false),
            ("5\r\nhello", false),
            ("5\r\nhello\r\n", true),
            ("5;a=b\r\nhello\r\n", true),
            ("A\r\n0123456789\r\n", true),
            ("1", false),
            ("0\r\n", false),
            ("0\r\n\r\n", false),
            ("0\r\nX: y\r\n\r\n", false),
        ] {
            let said = last_words(Carried::Events, format!("{head}{chunks}").as_bytes());
            let end = ends.then(|| b"0\r\n\r\n".to_vec());
            assert_eq!(said, end, "{chunks:?}");
        }
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
        assert_eq!(last_words(Carried::Events, whole), None);
    }

    #[test]
    fn what_follows_an_event_stream_on_its_connection_is_another_answer() {
        let first = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
        let second = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
        assert_eq!(
            last_words(Carried::Events, format!("{first}{second}").as_bytes()),
            None
        );
    }
}
