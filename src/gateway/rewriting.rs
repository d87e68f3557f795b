//! What an app's answer says of its own addresses, put back into the public ones: redirects, and the paths and
//! domains of cookies. Bodies are never touched.
//!
//! References are resolved as browsers resolve them (WHATWG URL), against what the app was asked, so that what
//! is taken for the app's own here is what a browser would take for it. Anything that leads elsewhere is left
//! as it is.

use std::ops::Range;

use http::{HeaderName, HeaderValue, header};
use pingora::http::ResponseHeader;
use url::{Position, Url};

use super::{app_path, authority::Authority, facts::RequestFacts};
use crate::config::Delivery;

/// The app's view of its addresses, and the public one.
pub struct Rewriting<'a> {
    delivery: &'a Delivery,
    /// The host and port that the visitor asked for.
    authority: &'a Authority,
    /// The canonical path that the visitor asked for.
    path: &'a str,
    /// Whether people reach this host over TLS.
    secure: bool,
}

impl<'a> Rewriting<'a> {
    /// For the answer to one request.
    pub fn new(delivery: &'a Delivery, facts: &'a RequestFacts, secure: bool) -> Self {
        Self {
            delivery,
            authority: &facts.authority,
            path: facts.target.path(),
            secure,
        }
    }

    /// Puts an answer's addresses back.
    ///
    /// # Errors
    /// None in practice: all that is written is ASCII, or was in the header before.
    pub fn rewrite(&self, response: &mut ResponseHeader) -> pingora::Result<()> {
        for name in [header::LOCATION, header::CONTENT_LOCATION] {
            change(response, &name, |value| self.public_reference(text(value)?))?;
        }
        change(response, &header::REFRESH, |value| {
            self.refresh(text(value)?)
        })?;
        change(response, &header::SET_COOKIE, |value| self.cookie(value))
    }

    /// A reference as the public must read it; `None` when it can stay.
    fn public_reference(&self, reference: &str) -> Option<String> {
        let prefix = &self.delivery.prefix;
        let reference = reference.trim_matches(|c: char| c <= ' ');
        if prefix.is_none() && names_no_host(reference) {
            return None;
        }
        // The query and the fragment of the same page.
        if reference.is_empty() || reference.starts_with(['?', '#']) {
            return None;
        }
        let asked = app_path::of_app(self.path, prefix)?;
        let base = Url::parse(&format!("http://{NO_HOST}{asked}")).ok()?;
        let url = base.join(reference).ok()?;
        let relative = url.host_str() == Some(NO_HOST);
        if !relative && !self.is_own(&url) {
            return None;
        }
        let (path, rest) = (url.path(), &url[Position::AfterPath..]);
        let mapped = app_path::public(path, prefix);
        if relative {
            let outside = mapped.is_none() && reference.starts_with('/');
            if outside || prefix.is_none() {
                return None;
            }
            let path = mapped.unwrap_or_else(|| app_path::rooted(path));
            return Some(format!("{path}{rest}"));
        }
        if mapped.is_none() && self.is_public(&url) {
            return None;
        }
        let path = mapped.unwrap_or_else(|| app_path::rooted(path));
        Some(format!("{}{path}{rest}", self.origin()))
    }

    /// Whether an absolute URL is the app's own: one of the upstream's servers, the host that the app was told,
    /// or the public one. Servers often put their own port behind the host they were told.
    fn is_own(&self, url: &Url) -> bool {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return false;
        };
        if !matches!(url.scheme(), "http" | "https") {
            return false;
        }
        let servers = &self.delivery.servers;
        let is_server = |host: &str| {
            servers
                .iter()
                .any(|server| server.host == host && server.port == Some(port))
        };
        let on_a_servers_port = servers.iter().any(|server| server.port == Some(port));
        let is_named = |named: &str, named_port: Option<u16>| {
            named == host
                && (named_port == Some(port)
                    || (named_port.is_none() && url.port().is_none())
                    || on_a_servers_port)
        };
        let told = self.delivery.host.as_ref();
        is_server(host)
            || is_named(self.authority.host(), self.authority.port())
            || told.is_some_and(|told| is_named(&told.host, told.port))
    }

    /// Whether an own URL has the public origin already.
    fn is_public(&self, url: &Url) -> bool {
        url.scheme() == self.scheme() && self.authority.is_of(url)
    }

    fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority)
    }

    /// `5; url=/x`, `5;/x` and their like.
    fn refresh(&self, value: &str) -> Option<String> {
        let place = url_in_refresh(value)?;
        let public = self.public_reference(&value[place.clone()])?;
        Some(format!(
            "{}{public}{}",
            &value[..place.start],
            &value[place.end..]
        ))
    }

    /// A `Set-Cookie` whose path is public and whose domain is not the app's own name; `None` when it is so
    /// already.
    fn cookie(&self, value: &HeaderValue) -> Option<Vec<u8>> {
        let mut parts = value.as_bytes().split(|byte| *byte == b';');
        let pair = parts.next()?;
        // RFC 6265bis §4.1.3.2: such a cookie has the path `/` or is none.
        let pinned = starts_with_ignoring_case(pair.trim_ascii_start(), b"__Host-");
        let public = |part| match self.public_attribute(part) {
            Attribute::Path(_) if pinned => Attribute::Same,
            attribute => attribute,
        };
        if parts
            .clone()
            .all(|part| matches!(public(part), Attribute::Same))
        {
            return None;
        }
        let mut rewritten = pair.to_vec();
        for part in parts {
            match public(part) {
                Attribute::Same => {
                    rewritten.push(b';');
                    rewritten.extend_from_slice(part);
                }
                Attribute::Path(path) => {
                    rewritten.extend_from_slice(b"; Path=");
                    rewritten.extend_from_slice(path.as_bytes());
                }
                Attribute::Gone => {}
            }
        }
        Some(rewritten)
    }

    fn public_attribute(&self, part: &[u8]) -> Attribute {
        let (name, value) = attribute(part);
        if name.eq_ignore_ascii_case("domain") && self.is_own_domain(value) {
            return Attribute::Gone;
        }
        let path = name
            .eq_ignore_ascii_case("path")
            .then(|| app_path::of_cookie(value, &self.delivery.prefix));
        path.flatten().map_or(Attribute::Same, Attribute::Path)
    }

    /// Whether this is a name of the app that the visitor knows nothing of: a browser would refuse the cookie.
    fn is_own_domain(&self, domain: &str) -> bool {
        let domain = domain.trim_start_matches('.').to_ascii_lowercase();
        let told = self.delivery.host.iter();
        domain != self.authority.host()
            && told
                .chain(&self.delivery.servers)
                .any(|known| known.host == domain)
    }
}

/// What becomes of a cookie's attribute.
enum Attribute {
    Same,
    Path(String),
    Gone,
}

/// Stands for the app in references that name no host (RFC 2606 §2).
const NO_HOST: &str = "app.invalid";

/// Whether a reference is surely a path: nothing that a browser could read a host from.
fn names_no_host(reference: &str) -> bool {
    reference.starts_with('/') && !reference.starts_with("//") && !reference.contains(['\\', '\t'])
}

/// Where the URL of a `Refresh` is (HTML, "shared declarative refresh steps").
fn url_in_refresh(value: &str) -> Option<Range<usize>> {
    let after = |text: &'_ str, skipped: &dyn Fn(char) -> bool| {
        value.len() - text.trim_start_matches(skipped).len()
    };
    let space = |c: char| c.is_ascii_whitespace();
    let mut at = after(value, &|c| space(c) || c.is_ascii_digit() || c == '.');
    if at == 0 || !value[at..].starts_with([';', ',']) {
        return None;
    }
    at = after(&value[at + 1..], &space);
    let named = value
        .get(at..at + 3)
        .is_some_and(|word| word.eq_ignore_ascii_case("url"));
    if named {
        let equals = after(&value[at + 3..], &space);
        if value[equals..].starts_with('=') {
            at = after(&value[equals + 1..], &space);
        }
    }
    let end = match value[at..].chars().next()? {
        quote @ ('"' | '\'') => {
            at += 1;
            value[at..].find(quote).map_or(value.len(), |end| at + end)
        }
        _ => value.trim_end().len(),
    };
    (at < end).then_some(at..end)
}

/// Name and value of a cookie's attribute; empty where they are not text.
fn attribute(part: &[u8]) -> (&str, &str) {
    let text = std::str::from_utf8(part).unwrap_or_default();
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.trim(), value.trim())
}

fn starts_with_ignoring_case(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len())
        .is_some_and(|found| found.eq_ignore_ascii_case(start))
}

fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}

/// Replaces the values of a field for which there is another.
fn change<T: Into<Vec<u8>>>(
    response: &mut ResponseHeader,
    name: &HeaderName,
    rewritten: impl Fn(&HeaderValue) -> Option<T>,
) -> pingora::Result<()> {
    let values = response.headers.get_all(name);
    let changed: Vec<(HeaderValue, bool)> = values
        .iter()
        .map(|value| {
            let new = rewritten(value).and_then(|bytes| {
                HeaderValue::from_maybe_shared(bytes::Bytes::from(bytes.into())).ok()
            });
            match new {
                Some(new) => (new, true),
                None => (value.clone(), false),
            }
        })
        .collect();
    if changed.iter().all(|(_, changed)| !changed) {
        return Ok(());
    }
    response.remove_header(name);
    for (value, _) in changed {
        response.append_header(name.clone(), value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
