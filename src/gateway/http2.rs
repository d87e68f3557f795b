//! What HTTP/2 clients are held to, beyond the requests that they send.

use pingora::protocols::http::v2::server::{H2Options, default_h2_options};

use crate::config::HeaderSize;

/// Settings and bounds of a connection. Options made from scratch would lack the library's own bounds.
pub fn options(header: HeaderSize) -> H2Options {
    let mut options = default_h2_options();
    options
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(header.bytes).unwrap_or(u32::MAX))
        .max_concurrent_reset_streams(STREAMS_RESET)
        .max_pending_accept_reset_streams(STREAMS_RESET)
        .max_local_error_reset_streams(Some(ERRORS))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER);
    options
}

/// RFC 9113 §6.5.2 recommends no fewer; a browser rarely has more to ask at once.
const STREAMS: u32 = 100;
/// Streams that were reset and are remembered, or wait to be taken up: CVE-2023-44487 makes work by resets.
const STREAMS_RESET: usize = 20;
/// Faults of the client's that cost it a stream each, before they cost it the connection (CVE-2025-8671).
const ERRORS: usize = 50;
/// What may be on its way in one upload: 1 MB/s over a round trip of 250 ms, 13 MB/s over one of 20 ms.
const STREAM_WINDOW: u32 = 256 * 1024;
/// And in all uploads of a connection, all of which the gateway may have to keep at once.
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// What is kept of one answer for a client that does not read; the rest waits at the upstream.
const SEND_BUFFER: usize = 64 * 1024;
