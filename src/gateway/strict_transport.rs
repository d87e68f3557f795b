//! `Strict-Transport-Security` (RFC 6797): browsers that reached a host over TLS come back over TLS alone.

use std::net::Ipv4Addr;

use http::header;
use pingora::http::ResponseHeader;

use super::passage::Passage;

/// Says so on an answer that goes out over TLS, unless the app said something itself.
///
/// # Errors
/// None in practice: the value is a header already.
pub fn say(head: &mut ResponseHeader, passage: &Passage) -> pingora::Result<()> {
    let Some(value) = &passage.config().door.hsts else {
        return Ok(());
    };
    let host = passage.facts.as_ref().map(|facts| facts.authority.host());
    if passage.tls
        && host.is_some_and(can_be_remembered)
        && !head.headers.contains_key(header::STRICT_TRANSPORT_SECURITY)
    {
        head.insert_header("Strict-Transport-Security", value.clone())?;
    }
    Ok(())
}

/// Browsers ignore it for addresses (RFC 6797 §8.1.1), and whoever develops on localhost would be locked out
/// of every other app there.
fn can_be_remembered(host: &str) -> bool {
    let local = host == "localhost" || host.ends_with(".localhost");
    let address = host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok();
    !local && !address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_remembered_and_addresses_and_localhost_are_not() {
        for (host, remembered) in [
            ("app.example.com", true),
            ("intranet", true),
            ("localhost", false),
            ("app.localhost", false),
            ("127.0.0.1", false),
            ("[::1]", false),
        ] {
            assert_eq!(can_be_remembered(host), remembered, "{host}");
        }
    }
}
