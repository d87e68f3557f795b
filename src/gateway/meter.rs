//! Between a connection and the proxy library: counts what comes in where the library does not.
//!
//! On HTTP/1 the bytes of a header, of which the library would keep 1 MiB before anybody could refuse them.
//! On HTTP/2 the frames that carry nothing of a request (CVE-2019-9512 and its kin): answering each costs the
//! gateway more than it costs the sender. Whoever sends too much of either loses the connection: nothing more
//! is read from it, and its [`Enough`] ends. A read that failed would be an error in the library's log, and
//! strangers could fill that.
//!
//! What goes out is followed only where something may have to be said [at the end](super::farewell).

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
    raw_connect::ProxyDigest,
    tls::{SslDigest, TlsRef},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};

use super::{
    connection::HeaderDeadline,
    farewell::{Left, Outgoing, Remains, Wire},
};

/// A connection that is counted.
pub struct Metered {
    inner: Stream,
    deadline: Arc<HeaderDeadline>,
    /// The most bytes of a header on HTTP/1.
    header_bytes: usize,
    spoken: Spoken,
    enough: Arc<Notify>,
    wire: Arc<Wire>,
    outgoing: Outgoing,
    left: Left,
}

/// Ends when a connection has sent too much.
pub struct Enough(Arc<Notify>);

impl Enough {
    /// Waits for that.
    pub async fn reached(&self) {
        self.0.notified().await;
    }
}

enum Spoken {
    /// Nothing was said yet.
    Nothing,
    Http1(Header),
    Http2(Frames),
}

/// The header that is coming in.
#[derive(Default)]
struct Header {
    /// Which one of the connection.
    which: u32,
    /// So much of it is there.
    bytes: usize,
}

impl Metered {
    /// Counts what comes over a connection.
    pub fn new(
        inner: Stream,
        deadline: Arc<HeaderDeadline>,
        header_bytes: usize,
        wire: Arc<Wire>,
    ) -> (Self, Enough, Left) {
        let enough = Arc::new(Notify::new());
        let metered = Self {
            inner,
            deadline,
            // Up to here a request still gets its 431, which is the better answer.
            header_bytes: header_bytes + ROOM_FOR_AN_ANSWER,
            spoken: Spoken::Nothing,
            enough: enough.clone(),
            wire,
            outgoing: Outgoing::default(),
            left: Left::default(),
        };
        let left = metered.left.clone();
        (metered, Enough(enough), left)
    }

    /// Takes what came; `false` when it was too much.
    fn count(&mut self, bytes: &[u8]) -> bool {
        if let Spoken::Nothing = self.spoken {
            self.spoken = if bytes.starts_with(b"PRI") {
                Spoken::Http2(Frames::new(Instant::now()))
            } else {
                Spoken::Http1(Header::default())
            };
        }
        match &mut self.spoken {
            Spoken::Nothing => true,
            Spoken::Http1(header) => {
                // Bodies are not counted, but for what comes along with the end of a header.
                if let Some(which) = self.deadline.header_waited_for() {
                    self.deadline.note_begun();
                    if header.which != which {
                        *header = Header { which, bytes: 0 };
                    }
                    header.bytes = header.bytes.saturating_add(bytes.len());
                }
                header.bytes <= self.header_bytes
            }
            Spoken::Http2(frames) => frames.pass(bytes, Instant::now()),
        }
    }
}

/// The library reads a header anew whenever more of it comes, so this is as much as is worth it.
const ROOM_FOR_AN_ANSWER: usize = 16 * 1024;

/// Reads the heads of frames (RFC 9113 §4.1) and charges for those that carry nothing.
struct Frames {
    head: [u8; 9],
    /// How much of `head` is there.
    read: usize,
    /// How much of the present frame, or of the preface, is still to come.
    skip: usize,
    credit: u32,
    filled: Instant,
}

impl Frames {
    fn new(now: Instant) -> Self {
        Self {
            head: [0; 9],
            read: 0,
            skip: PREFACE,
            credit: CREDIT,
            filled: now,
        }
    }

    /// Takes what came; `false` when it was too much.
    fn pass(&mut self, mut bytes: &[u8], now: Instant) -> bool {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((first, rest)) = bytes.split_first() else {
                return true;
            };
            if let Some(place) = self.head.get_mut(self.read) {
                *place = *first;
            }
            self.read += 1;
            bytes = rest;
            if self.read == self.head.len() {
                self.read = 0;
                let [a, b, c, kind, flags, ..] = self.head;
                let length = u32::from_be_bytes([0, a, b, c]);
                self.skip = usize::try_from(length).unwrap_or(usize::MAX);
                if !self.charge(cost(kind, flags, length), now) {
                    return false;
                }
            }
        }
    }

    fn charge(&mut self, cost: u32, now: Instant) -> bool {
        if cost == 0 {
            return true;
        }
        let ticks = now.saturating_duration_since(self.filled).as_millis() / REFILL.as_millis();
        if ticks > 0 {
            let more = u32::try_from(ticks).unwrap_or(u32::MAX);
            self.credit = self.credit.saturating_add(more).min(CREDIT);
            self.filled = now;
        }
        match self.credit.checked_sub(cost) {
            Some(left) => {
                self.credit = left;
                true
            }
            None => false,
        }
    }
}

/// The client's connection preface, RFC 9113 §3.4.
const PREFACE: usize = 24;

/// What a frame costs. Window updates are free: a fast download takes thousands a second, and they cause no
/// answer. A reset ends work that had begun and costs more. Answers to our own frames are few.
fn cost(kind: u8, flags: u8, length: u32) -> u32 {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const WINDOW_UPDATE: u8 = 8;
    const END_STREAM: u8 = 1;
    match kind {
        DATA if length == 0 && flags & END_STREAM == 0 => 1,
        DATA | HEADERS | WINDOW_UPDATE => 0,
        RST_STREAM => 5,
        // PRIORITY, SETTINGS, PUSH_PROMISE, PING, GOAWAY, CONTINUATION and what nobody knows yet.
        _ => 1,
    }
}

/// A thousand at once, two hundred of them resets: a page that is left while it loads resets a hundred.
const CREDIT: u32 = 1000;
/// And a hundred a second: gRPC measures its connections by a ping or two per round trip.
const REFILL: Duration = Duration::from_millis(10);

impl fmt::Debug for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metered").field(&self.inner).finish()
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        if new.is_empty() || self.count(new) {
            return Poll::Ready(Ok(()));
        }
        self.enough.notify_one();
        // Nobody wakes this up: the connection is dropped.
        Poll::Pending
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, bytes))?;
        let this = &mut *self;
        let out = bytes.get(..written).unwrap_or_default();
        this.outgoing.pass(&this.wire, out);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(context, slices))?;
        let this = &mut *self;
        let mut rest = written;
        for slice in slices {
            let out = slice.get(..rest.min(slice.len())).unwrap_or_default();
            this.outgoing.pass(&this.wire, out);
            rest -= out.len();
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// Dropping is how an exchange is cut. If there is something to say, the connection is left to whoever says it.
impl Drop for Metered {
    fn drop(&mut self) {
        if let Some(words) = self.outgoing.last_words(&self.wire) {
            let nothing = Box::new(io::Cursor::new(Vec::new()));
            let stream = std::mem::replace(&mut self.inner, nothing);
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            *left = Some(Remains { stream, words });
        }
    }
}

#[async_trait]
impl Shutdown for Metered {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

impl UniqueID for Metered {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for Metered {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.inner.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for Metered {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.inner.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.inner.get_write_pending_time()
    }
}

impl GetProxyDigest for Metered {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }

    fn set_proxy_digest(&mut self, digest: ProxyDigest) {
        self.inner.set_proxy_digest(digest);
    }
}

impl GetSocketDigest for Metered {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.inner.set_socket_digest(digest);
    }
}

#[async_trait]
impl Peek for Metered {
    /// What is looked at is put back below, and counted when it is read.
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.inner.try_peek(buffer).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PING: u8 = 6;
    const SETTINGS: u8 = 4;
    const WINDOW_UPDATE: u8 = 8;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let size = u32::try_from(length).unwrap().to_be_bytes();
        let head = [size[1], size[2], size[3], kind, flags, 0, 0, 0, 1];
        [&head[..], &vec![0; length]].concat()
    }

    /// How many such frames pass at one moment.
    fn passes(kind: u8, flags: u8, length: usize, at_most: usize) -> usize {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        assert!(frames.pass(&[0; PREFACE], now));
        let frame = frame(kind, flags, length);
        (0..at_most)
            .take_while(|_| frames.pass(&frame, now))
            .count()
    }

    #[test]
    fn frames_that_carry_nothing_are_counted_and_others_are_not() {
        for (kind, flags, length, expected) in [
            (PING, 0, 8, 1000),
            (SETTINGS, 0, 6, 1000),
            (2, 0, 5, 1000),
            (9, 0, 100, 1000),
            (0, 0, 0, 1000),
            (3, 0, 4, 200),
            (99, 0, 3, 1000),
            (0, 1, 0, 5000),
            (0, 0, 10, 5000),
            (1, 4, 20, 5000),
            (WINDOW_UPDATE, 0, 4, 5000),
        ] {
            assert_eq!(
                passes(kind, flags, length, 5000),
                expected,
                "{kind} {flags} {length}"
            );
        }
    }

    #[test]
    fn credit_comes_back_with_time() {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        assert!(frames.charge(CREDIT, now));
        assert!(!frames.charge(1, now + Duration::from_millis(9)));
        assert!(frames.charge(100, now + Duration::from_secs(1)));
        assert!(!frames.charge(1, now + Duration::from_secs(1)));
        assert!(!frames.charge(CREDIT + 1, now + Duration::from_secs(1000)));
    }

    proptest! {
        #[test]
        fn frames_are_read_alike_however_they_are_cut(
            kinds in prop::collection::vec((0..12u8, 0..40usize), 0..30),
            cuts in prop::collection::vec(1..50usize, 1..20),
        ) {
            let now = Instant::now();
            let bytes = kinds.iter().flat_map(|(kind, length)| frame(*kind, 0, *length));
            let bytes: Vec<u8> = std::iter::repeat_n(0, PREFACE).chain(bytes).collect();
            let mut whole = Frames::new(now);
            prop_assert!(whole.pass(&bytes, now));
            let mut cut = Frames::new(now);
            let (mut rest, mut sizes) = (&bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (now_read, later) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                prop_assert!(cut.pass(now_read, now));
                rest = later;
            }
            prop_assert_eq!((whole.credit, whole.skip, whole.read), (cut.credit, cut.skip, cut.read));
        }
    }
}
