//! The header of the PROXY protocol: where a connection comes from, in the words of a proxy that passed it
//! on without looking inside.
//!
//! Read only from peers that are known to write it, and then required: a peer that may or may not write one
//! would let its clients write it.

use std::net::IpAddr;

use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// The connection ended or broke.
    #[error("it ended before its PROXY header did")]
    Ended(#[from] std::io::Error),
    /// Something else came.
    #[error("it does not begin with a PROXY header")]
    Malformed,
}

/// Reads exactly the header. `None` when it names nobody: the proxy speaks for itself (`LOCAL`), or does not
/// know (`UNKNOWN`).
///
/// # Errors
/// When there is none; the connection is of no use then.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, HeaderError> {
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE {
        read_binary(stream, header).await
    } else if header.starts_with(b"PROXY ") {
        read_text(stream, header).await
    } else {
        Err(HeaderError::Malformed)
    }
}

async fn read_text(
    stream: &mut (impl AsyncRead + Unpin),
    mut header: Vec<u8>,
) -> Result<Option<IpAddr>, HeaderError> {
    while !header.ends_with(b"\r\n") {
        if header.len() >= LONGEST_TEXT {
            return Err(HeaderError::Malformed);
        }
        header.push(stream.read_u8().await?);
    }
    let header = v1::Header::try_from(header.as_slice()).map_err(|_| HeaderError::Malformed)?;
    Ok(match header.addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(addresses) => Some(addresses.source_address.into()),
        v1::Addresses::Tcp6(addresses) => Some(addresses.source_address.into()),
    })
}

async fn read_binary(
    stream: &mut (impl AsyncRead + Unpin),
    mut header: Vec<u8>,
) -> Result<Option<IpAddr>, HeaderError> {
    let mut rest = [0; 4];
    stream.read_exact(&mut rest).await?;
    let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
    if length > LONGEST_BINARY {
        return Err(HeaderError::Malformed);
    }
    header.extend_from_slice(&rest);
    let begun = header.len();
    header.resize(begun + length, 0);
    stream.read_exact(&mut header[begun..]).await?;
    let header = v2::Header::try_from(header.as_slice()).map_err(|_| HeaderError::Malformed)?;
    match (header.command, header.protocol) {
        (v2::Command::Local, _) => return Ok(None),
        (v2::Command::Proxy, v2::Protocol::Datagram) => return Err(HeaderError::Malformed),
        (v2::Command::Proxy, v2::Protocol::Stream | v2::Protocol::Unspecified) => {}
    }
    Ok(match header.addresses {
        v2::Addresses::IPv4(addresses) => Some(addresses.source_address.into()),
        v2::Addresses::IPv6(addresses) => Some(addresses.source_address.into()),
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
    })
}

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// §2.1 of the specification, with CR LF.
const LONGEST_TEXT: usize = 107;
/// Proxies add a few hundred bytes about TLS; nobody needs more than this.
const LONGEST_BINARY: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is read, and how many bytes are left.
    fn read_all(bytes: &[u8]) -> (Result<Option<IpAddr>, String>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut rest = bytes;
        let read = runtime.block_on(read(&mut rest));
        (read.map_err(|error| error.to_string()), rest.len())
    }

    fn binary(version_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[version_command, family], &length, body].concat()
    }

    const V4: [u8; 12] = [203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x34, 1, 0xbb];

    #[test]
    fn both_versions_say_where_a_connection_comes_from() {
        let v6 = [&[0x20; 16][..], &[0x21; 16], &[1, 2, 3, 4]].concat();
        let with_tlv = [&V4[..], &[0x04, 0, 1, 7]].concat();
        for (header, expected) in [
            (
                b"PROXY TCP4 203.0.113.9 10.0.0.1 4660 443\r\n".to_vec(),
                Some("203.0.113.9"),
            ),
            (
                b"PROXY TCP6 2001:db8::1 ::1 4660 443\r\n".to_vec(),
                Some("2001:db8::1"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ::1 ::1 1 2\r\n".to_vec(), None),
            (binary(0x21, 0x11, &V4), Some("203.0.113.9")),
            (binary(0x21, 0x11, &with_tlv), Some("203.0.113.9")),
            (
                binary(0x21, 0x21, &v6),
                Some("2020:2020:2020:2020:2020:2020:2020:2020"),
            ),
            (binary(0x20, 0x00, &[]), None),
            (binary(0x20, 0x11, &V4), None),
            (binary(0x21, 0x00, &[]), None),
        ] {
            let (found, left) = read_all(&[&header[..], b"GET / "].concat());
            let expected = expected.map(|text| text.parse::<IpAddr>().unwrap());
            assert_eq!(found, Ok(expected), "{}", header.escape_ascii());
            assert_eq!(left, 6, "{}", header.escape_ascii());
        }
    }

    #[test]
    fn anything_else_is_no_header() {
        for bytes in [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00".to_vec(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 99999 443\r\n".to_vec(),
            b"PROXY TCP4 203.0.113 10.0.0.1 1 443\r\n".to_vec(),
            b"PROXY TCP5 a b 1 2\r\n".to_vec(),
            [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200], b"\r\n".to_vec()].concat(),
            b"PROXY TCP4 203.0.113.9".to_vec(),
            b"".to_vec(),
            binary(0x11, 0x11, &V4),
            binary(0x22, 0x11, &V4),
            binary(0x21, 0x12, &V4),
            binary(0x21, 0x11, &V4[..8]),
            binary(0x21, 0x11, &[0; 5000]),
            binary(0x21, 0x11, &V4)[..20].to_vec(),
        ] {
            let (found, _) = read_all(&bytes);
            assert!(found.is_err(), "{}: {found:?}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn nothing_on_the_wire_makes_it_panic(
            start in prop::sample::select(vec![&b""[..], b"PROXY TCP4 ", &SIGNATURE]),
            bytes: Vec<u8>,
        ) {
            let _ = read_all(&[start, &bytes].concat());
        }

        #[test]
        fn what_follows_a_header_is_left_alone(address: [u8; 4], port: u16, body: Vec<u8>) {
            let address = std::net::Ipv4Addr::from(address);
            let header = format!("PROXY TCP4 {address} 10.0.0.1 {port} 443\r\n");
            let (found, left) = read_all(&[header.as_bytes(), &body].concat());
            prop_assert_eq!(found, Ok(Some(address.into())));
            prop_assert_eq!(left, body.len());
        }
    }
}
