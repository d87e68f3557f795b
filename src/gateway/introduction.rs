//! What an upstream is told: the canonical target, who asks, and nothing that the client could have put in
//! their place.
//!
//! Everything is set here, in the last filter before the upstream: a header set earlier could be removed
//! by the client with `Connection: <that header>`. What the operator changes comes after what clients must not
//! say was taken out, and before what the gateway says itself, which wins.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode_byte, utf8_percent_encode};
use pingora::{Error, ErrorType, http::RequestHeader};

use super::{app_path, cookies, facts::RequestFacts};
use crate::{
    config::{Delivery, HeaderEdits, Identity},
    id::RequestId,
    policy::target::Target,
    reserved_header::{folded, is_framing, is_ours},
    session::Visit,
    store::Account,
};

/// Everything an upstream is told about a request besides its own fields and body.
pub struct Introduction<'a> {
    /// Method, host and target.
    pub facts: &'a RequestFacts,
    /// Who asks.
    pub visit: Option<&'a Visit>,
    /// In which headers to say so.
    pub identity: &'a Identity,
    /// What the route says about passing requests on.
    pub delivery: &'a Delivery,
    /// The same, signed for this app, where the configuration asks for it.
    pub assertion: Option<HeaderValue>,
    /// From where.
    pub client: IpAddr,
    /// Whether people reach this host over TLS.
    pub secure: bool,
    /// The request.
    pub request_id: RequestId,
}

impl Introduction<'_> {
    /// Makes the client's request the gateway's own.
    ///
    /// # Errors
    /// When a value cannot be written as a header; then nothing may be sent.
    pub fn write(&self, request: &mut RequestHeader) -> pingora::Result<()> {
        self.set_target(request)?;
        strip(request, self.identity);
        edit(request, &self.delivery.request_headers)?;
        settle_upgrade(request)?;
        self.set_forwarded(request)?;
        self.say_who(request)
    }

    /// Puts what the app learns of the person in place of what the client brought, its cookies and credentials.
    ///
    /// # Errors
    /// When a value cannot be written as a header; then nothing may be sent.
    pub fn say_who(&self, request: &mut RequestHeader) -> pingora::Result<()> {
        settle_cookies(request)?;
        self.set_authorization(request)?;
        match self.visit {
            Some(visit) if !self.delivery.anonymous => self.set_identity(request, visit),
            Some(_) | None => Ok(()),
        }
    }

    fn set_target(&self, request: &mut RequestHeader) -> pingora::Result<()> {
        if let Some(destination) = &self.facts.destination {
            let host = match &self.delivery.host {
                Some(host) => host.authority(),
                None => self.facts.authority.to_string(),
            };
            let destination = format!(
                "{}://{host}{}",
                self.scheme(),
                self.app_target(destination)?
            );
            request.insert_header("Destination", destination)?;
        }
        let target = self.app_target(&self.facts.target)?;
        request.set_raw_path(target.as_bytes())
    }

    /// As the app knows it.
    fn app_target(&self, target: &Target) -> pingora::Result<String> {
        if self.delivery.prefix.is_none() {
            return Ok(target.path_and_query());
        }
        let Some(mut path) = app_path::of_app(target.path(), &self.delivery.prefix) else {
            return Err(Error::explain(
                ErrorType::InternalError,
                "a path without the prefix that its route takes off",
            ));
        };
        if let Some(query) = target.query() {
            path.push('?');
            path.push_str(query);
        }
        Ok(path)
    }

    const fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    fn set_forwarded(&self, request: &mut RequestHeader) -> pingora::Result<()> {
        let authority = self.facts.authority.to_string();
        match &self.delivery.host {
            Some(host) => request.insert_header("Host", host.authority())?,
            None => request.insert_header("Host", &authority)?,
        }
        request.insert_header("X-Forwarded-Host", authority)?;
        if !self.delivery.prefix.strip.is_empty() {
            request.insert_header("X-Forwarded-Prefix", &self.delivery.prefix.strip)?;
        }
        request.insert_header("X-Forwarded-For", self.client.to_string())?;
        request.insert_header("X-Forwarded-Proto", self.scheme())?;
        request.insert_header("X-Request-Id", self.request_id.to_string())
    }

    /// What the person is signed in to the app with, in place of whatever the client sent.
    fn set_authorization(&self, request: &mut RequestHeader) -> pingora::Result<()> {
        let Some(credentials) = &self.delivery.authorization else {
            return Ok(());
        };
        let groups = self.visit.map(|visit| &visit.account.groups);
        let fitting = groups.and_then(|groups| {
            credentials.iter().find(|credential| {
                let group = credential.group.as_ref();
                group.is_none_or(|group| groups.contains(group))
            })
        });
        match fitting {
            Some(credential) => request.insert_header("Authorization", credential.value.clone()),
            None => {
                request.remove_header(&header::AUTHORIZATION);
                Ok(())
            }
        }
    }

    fn set_identity(&self, request: &mut RequestHeader, visit: &Visit) -> pingora::Result<()> {
        let session = if visit.claims.restricted {
            "restricted"
        } else {
            "full"
        };
        request.insert_header("X-Gatehouse-Session", session)?;
        let values = identity_values(&visit.account);
        for preset in &self.identity.presets {
            for (name, value) in preset.headers().into_iter().zip(&values) {
                if let Some(value) = value {
                    request.insert_header(name, header_value(value)?)?;
                }
            }
        }
        if let (Some(name), Some(assertion)) = (&self.identity.assertion, &self.assertion) {
            request.insert_header(name.clone(), assertion.clone())?;
        }
        for (name, value) in self.identity.custom.iter().zip(&values) {
            if let (Some(name), Some(value)) = (name, value) {
                request.insert_header(name.clone(), header_value(value)?)?;
            }
        }
        Ok(())
    }
}

/// Login name, address, display name and groups, as [`IdentityPreset::headers`] orders them.
fn identity_values(account: &Account) -> [Option<String>; 4] {
    // Proved by its owner, or given by the operator in an invitation and so as good as the login name.
    let email = account.email.as_ref();
    let groups: Vec<String> = account.groups.iter().map(|group| encode(group)).collect();
    [
        Some(encode(&account.login)),
        email.map(|email| encode(email.as_str())),
        account.name.as_deref().map(encode),
        (!groups.is_empty()).then(|| groups.join(",")),
    ]
}

/// Text as it stands in an identity header: visible ASCII and inner spaces as they are; everything else,
/// the percent sign, the comma and spaces at either end as percent-encoded UTF-8 (the `value-chars` of
/// RFC 8187 §3.2.1, without its charset prefix). Decoding gives the text back, and neither a line break nor
/// a group called `a,admin` says more than it should.
fn encode(text: &str) -> String {
    let inner = text.trim_matches(' ');
    let (start, end) = match text.find(inner) {
        Some(start) if !inner.is_empty() => (start, text.len() - start - inner.len()),
        _ => (text.len(), 0),
    };
    let space = percent_encode_byte(b' ');
    format!(
        "{}{}{}",
        space.repeat(start),
        utf8_percent_encode(inner, UNSAFE),
        space.repeat(end)
    )
}

const UNSAFE: &AsciiSet = &CONTROLS.add(b'%').add(b',');

fn header_value(text: &str) -> pingora::Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|error| {
        Error::because(
            ErrorType::InternalError,
            "an identity value cannot be a header",
            error,
        )
    })
}

/// Removes what only the gateway may say, and what would say it to some upstream.
fn strip(request: &mut RequestHeader, identity: &Identity) {
    let names: Vec<HeaderName> = request
        .headers
        .keys()
        .filter(|name| is_reserved(name.as_str(), identity))
        .cloned()
        .collect();
    for name in names {
        request.remove_header(&name);
    }
}

/// Whether a name is the gateway's to say. The fields that frame a message and name its host are removed in
/// every spelling but the right one.
pub fn is_reserved(name: &str, identity: &Identity) -> bool {
    let plain = folded(name);
    let ours = is_ours(&plain) || identity.is_told_in(&plain);
    ours || (plain != name && is_framing(&plain))
}

/// Makes the operator's changes. None of them is to a name of ours: the configuration was refused else.
fn edit(request: &mut RequestHeader, edits: &HeaderEdits) -> pingora::Result<()> {
    for name in &edits.remove {
        request.remove_header(name);
    }
    for (name, value) in &edits.set {
        request.insert_header(name.clone(), value.clone())?;
    }
    Ok(())
}

/// Leaves `Connection` nothing to name but a WebSocket upgrade: another proxy on the way would remove the
/// headers it names, ours among them.
fn settle_upgrade(request: &mut RequestHeader) -> pingora::Result<()> {
    if is_websocket(request) {
        request.insert_header("Connection", "Upgrade")
    } else {
        request.remove_header(&header::CONNECTION);
        request.remove_header(&header::UPGRADE);
        Ok(())
    }
}

/// Whether a request asks for a WebSocket (RFC 6455 §4.1).
pub fn is_websocket(request: &RequestHeader) -> bool {
    request.version == http::Version::HTTP_11
        && request
            .headers
            .get(header::UPGRADE)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn settle_cookies(request: &mut RequestHeader) -> pingora::Result<()> {
    match cookies::foreign_cookies(&request.headers) {
        Some(cookies) => request.insert_header("Cookie", cookies),
        None => {
            request.remove_header(&header::COOKIE);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
