//! The way from plain HTTP to HTTPS, for listeners that serve nothing else.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::facts::RequestFacts;
use crate::config::Config;

/// Leads to the same address over HTTPS, for hosts that the configuration names: leading to any other would
/// repeat whatever somebody put into a Host header.
///
/// `port` is that of the listeners for TLS, for hosts of which no origin says more.
/// `None` for every other host.
pub fn answer(facts: &RequestFacts, config: &Config, port: u16) -> Option<Response<Bytes>> {
    let host = facts.authority.host();
    if !is_named(config, host) {
        return None;
    }
    let port = secure_port(config, host).unwrap_or(port);
    let target = facts.target.path_and_query();
    let location = match port {
        443 => format!("https://{host}{target}"),
        port => format!("https://{host}:{port}{target}"),
    };
    let location = HeaderValue::try_from(location).ok()?;
    let mut response = Response::new(Bytes::new());
    // 308, unlike 301, keeps a POST a POST.
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(header::LOCATION, location);
    Some(response)
}

fn is_named(config: &Config, host: &str) -> bool {
    let mut origins = config.relying_party.origins.iter();
    let mut routes = config.routes.routes().iter();
    origins.any(|origin| origin.host() == host)
        || routes.any(|route| {
            route
                .host
                .as_ref()
                .is_some_and(|pattern| pattern.matches(host))
        })
}

/// The port at which people reach a host: its own origin's, else that of the first origin with https.
fn secure_port(config: &Config, host: &str) -> Option<u16> {
    let secure = || {
        let origins = config.relying_party.origins.iter();
        origins.filter(|origin| origin.url().scheme() == "https")
    };
    secure()
        .find(|origin| origin.host() == host)
        .or_else(|| secure().next())?
        .url()
        .port_or_known_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use http::{HeaderMap, Method};

    use super::*;
    use crate::gateway::facts::Wire;

    fn led(origins: &str, host: &str, target: &str) -> Option<String> {
        let text = format!(
            "server.redirect_listen = [\"127.0.0.1:0\"]\n\
             relying_party = {{ id = \"example.com\", origins = {origins} }}\n\
             [[upstream]]\nname = \"app\"\nservers = [\"127.0.0.1:1\"]\n\
             [[route]]\nhost = \"*.wild.example\"\nupstream = \"app\"\n\
             [[route]]\npath = \"/x\"\nupstream = \"app\"\n"
        );
        let config = crate::config::parse(&text, Path::new("/gatehouse.toml"), &|_| None)
            .unwrap()
            .config;
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        let facts = RequestFacts::read(&Wire {
            method: &Method::POST,
            target: target.as_bytes(),
            authority: None,
            headers: &headers,
            head: None,
            size: config.door.limits.header,
        })
        .unwrap();
        let response = answer(&facts, &config, 8443)?;
        assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
        Some(
            response.headers()[header::LOCATION]
                .to_str()
                .unwrap()
                .to_owned(),
        )
    }

    #[test]
    fn hosts_that_are_named_are_led_to_their_origin() {
        let origins = "[\"https://a.example.com\", \"https://b.example.com:8443\"]";
        for (host, target, expected) in [
            ("a.example.com", "/x?y=%20", "https://a.example.com/x?y=%20"),
            ("A.example.com:80", "/", "https://a.example.com/"),
            ("b.example.com", "/", "https://b.example.com:8443/"),
            ("x.wild.example", "//evil", "https://x.wild.example//evil"),
        ] {
            let led = led(origins, host, target);
            assert_eq!(led.as_deref(), Some(expected), "{host}");
        }
        for host in ["evil.example", "127.0.0.1", "example.com", "wild.example"] {
            assert_eq!(led(origins, host, "/"), None, "{host}");
        }
    }
}
