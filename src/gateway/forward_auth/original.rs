//! The request that a peer asks about: read from what the peer of this make says, refused when anything else that
//! stands there says otherwise. The visitor's headers come along, and a field that the peer forgot to set would be
//! the visitor's.

use http::{HeaderMap, Method, header};

use super::super::{
    authority::Authority,
    facts::{Fault, RequestFacts},
    forwarded::Believed,
};
use crate::config::ForwardAuthPeer;

/// A question, as it came.
pub struct Asked<'a> {
    /// The reading of the question itself.
    pub own: &'a RequestFacts,
    /// What follows the path of the question, as sent.
    pub target: &'a [u8],
    /// Its fields.
    pub headers: &'a HeaderMap,
    /// What the peer says of where the visitor's request comes from.
    pub believed: &'a Believed,
}

/// The request that is asked about.
#[derive(Debug, PartialEq, Eq)]
pub struct Original {
    /// Its one reading.
    pub facts: RequestFacts,
    /// Whether it came over TLS, if that was said.
    pub secure: Option<bool>,
}

/// Reads it.
///
/// # Errors
/// When something is missing, malformed, given twice or said in two ways; and what any request is refused for.
pub fn read(peer: ForwardAuthPeer, asked: &Asked<'_>) -> Result<Original, Fault> {
    let said = Said::read(asked.headers)?;
    let believed = asked.believed;
    let url = said.url.as_ref();
    let (method, target) = match peer {
        ForwardAuthPeer::Nginx | ForwardAuthPeer::Haproxy => (
            said.method.clone().ok_or(missing(&METHOD))?,
            url.map(|url| url.target)
                .or(said.uri)
                .ok_or(missing(&URL))?,
        ),
        ForwardAuthPeer::Caddy | ForwardAuthPeer::Traefik => {
            let host_and_scheme = believed.host.is_some() && believed.secure.is_some();
            if !host_and_scheme {
                return Err(fault("it lacks X-Forwarded-Host or X-Forwarded-Proto"));
            }
            (
                said.forwarded_method
                    .clone()
                    .ok_or(missing(&FORWARDED_METHOD))?,
                said.forwarded_uri.ok_or(missing(&FORWARDED_URI))?,
            )
        }
        ForwardAuthPeer::Envoy => (asked.own.method.clone(), asked.target),
    };
    said.agrees(&method, target)?;

    let own_host = match peer {
        // It passes the visitor's on; the others call the gateway by a name of its own.
        ForwardAuthPeer::Envoy => host_of(asked)?,
        ForwardAuthPeer::Nginx
        | ForwardAuthPeer::Caddy
        | ForwardAuthPeer::Traefik
        | ForwardAuthPeer::Haproxy => None,
    };
    let hosts = [
        url.map(|url| &url.authority),
        believed.host.as_ref(),
        own_host.as_ref(),
    ];
    let host = all_one(hosts.into_iter().flatten(), "it names two hosts")?;
    let authority = host.unwrap_or(&asked.own.authority).clone();
    let schemes = [url.map(|url| url.secure), believed.secure];
    let secure = all_one(schemes.into_iter().flatten(), "it names two schemes")?;
    Ok(Original {
        facts: RequestFacts::retold(&method, authority, target)?,
        secure,
    })
}

/// What stands in the fields of every kind of peer.
struct Said<'a> {
    method: Option<Method>,
    url: Option<Url<'a>>,
    uri: Option<&'a [u8]>,
    forwarded_method: Option<Method>,
    forwarded_uri: Option<&'a [u8]>,
}

/// Scheme, host and target, as sent.
struct Url<'a> {
    secure: bool,
    authority: Authority,
    target: &'a [u8],
}

impl<'a> Said<'a> {
    fn read(headers: &'a HeaderMap) -> Result<Self, Fault> {
        let method = |field: &Field| {
            let text = field.read(headers)?;
            text.map(|text| Method::from_bytes(text).map_err(|_| fault(field.malformed)))
                .transpose()
        };
        let url = URL.read(headers)?;
        Ok(Self {
            method: method(&METHOD)?,
            url: url
                .map(|text| Url::parse(text).ok_or(fault(URL.malformed)))
                .transpose()?,
            uri: URI.read(headers)?,
            forwarded_method: method(&FORWARDED_METHOD)?,
            forwarded_uri: FORWARDED_URI.read(headers)?,
        })
    }

    /// One of the fields may be the visitor's own, so all of them have to say the same.
    fn agrees(&self, method: &Method, target: &[u8]) -> Result<(), Fault> {
        let methods = [&self.method, &self.forwarded_method];
        if methods.into_iter().flatten().any(|other| other != method) {
            return Err(fault(
                "its X-Original-Method or X-Forwarded-Method is not the method asked about",
            ));
        }
        let url = self.url.as_ref().map(|url| url.target);
        let targets = [url, self.uri, self.forwarded_uri];
        if targets.into_iter().flatten().any(|other| other != target) {
            return Err(fault(
                "its X-Original-URL, X-Original-URI or X-Forwarded-Uri is not the target asked about",
            ));
        }
        Ok(())
    }
}

impl<'a> Url<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let (secure, rest) = match text.strip_prefix(b"https://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix(b"http://")?),
        };
        // Not by a parser of URLs, which would put the target right before it is looked at.
        let end = rest.iter().position(|byte| *byte == b'/')?;
        let (authority, target) = rest.split_at(end);
        Some(Self {
            secure,
            authority: Authority::parse(authority)?,
            target,
        })
    }
}

/// The host of the question itself.
fn host_of(asked: &Asked<'_>) -> Result<Option<Authority>, Fault> {
    let host = asked.headers.get(header::HOST);
    host.map(|host| Authority::parse(host.as_bytes()).ok_or(fault("its Host is no host")))
        .transpose()
}

/// The one value there is.
fn all_one<T: PartialEq>(
    mut values: impl Iterator<Item = T>,
    problem: &'static str,
) -> Result<Option<T>, Fault> {
    let first = values.next();
    if values.any(|value| Some(&value) != first.as_ref()) {
        return Err(fault(problem));
    }
    Ok(first)
}

/// A field, and what can be wrong with it.
struct Field {
    name: &'static str,
    missing: &'static str,
    twice: &'static str,
    malformed: &'static str,
}

macro_rules! field {
    ($name:literal) => {
        Field {
            name: $name,
            missing: concat!("it lacks ", $name),
            twice: concat!("its ", $name, " is there more than once"),
            malformed: concat!("its ", $name, " cannot be read"),
        }
    };
}

const METHOD: Field = field!("X-Original-Method");
const URL: Field = field!("X-Original-URL");
const URI: Field = field!("X-Original-URI");
const FORWARDED_METHOD: Field = field!("X-Forwarded-Method");
const FORWARDED_URI: Field = field!("X-Forwarded-Uri");

impl Field {
    fn read<'a>(&self, headers: &'a HeaderMap) -> Result<Option<&'a [u8]>, Fault> {
        let mut values = headers.get_all(self.name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) if value.is_empty() => Err(fault(self.malformed)),
            (Some(value), None) => Ok(Some(value.as_bytes())),
            (Some(_), Some(_)) => Err(fault(self.twice)),
        }
    }
}

const fn missing(field: &Field) -> Fault {
    fault(field.missing)
}

const fn fault(what: &'static str) -> Fault {
    Fault::Forwarded(what)
}

#[cfg(test)]
mod tests;
