//! What an upstream is told: the canonical target, who asks, and nothing that the client could have put in
//! their place.
//!
//! Everything is set here, in the last filter before the upstream: a header set earlier could be removed
//! by the client with `Connection: <that header>`.

use std::{net::IpAddr, sync::LazyLock};

use http::{HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode_byte, utf8_percent_encode};
use pingora::{Error, ErrorType, http::RequestHeader};

use super::{cookies, facts::RequestFacts};
use crate::{
    config::{Identity, IdentityPreset},
    id::RequestId,
    session::Visit,
    store::Account,
};

/// Everything an upstream is told about a request besides its own fields and body.
#[derive(Clone, Copy)]
pub struct Introduction<'a> {
    /// Method, host and target.
    pub facts: &'a RequestFacts,
    /// Who asks.
    pub visit: Option<&'a Visit>,
    /// In which headers to say so.
    pub identity: &'a Identity,
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
        request.set_raw_path(self.facts.target.path_and_query().as_bytes())?;
        strip(request);
        settle_upgrade(request)?;
        settle_cookies(request)?;
        self.set_forwarded(request)?;
        if let Some(visit) = self.visit {
            self.set_identity(request, visit)?;
        }
        Ok(())
    }

    fn set_forwarded(&self, request: &mut RequestHeader) -> pingora::Result<()> {
        let authority = self.facts.authority.to_string();
        request.insert_header("Host", &authority)?;
        request.insert_header("X-Forwarded-Host", authority)?;
        request.insert_header("X-Forwarded-For", self.client.to_string())?;
        request.insert_header(
            "X-Forwarded-Proto",
            if self.secure { "https" } else { "http" },
        )?;
        request.insert_header("X-Request-Id", self.request_id.to_string())
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
fn strip(request: &mut RequestHeader) {
    let names: Vec<HeaderName> = request
        .headers
        .keys()
        .filter(|name| is_reserved(name.as_str()))
        .cloned()
        .collect();
    for name in names {
        request.remove_header(&name);
    }
}

/// CGI and its heirs read `Remote-User`, `Remote_User` and `remote.user` as one variable, `REMOTE_USER`, so
/// names are compared with every other character taken for a hyphen. The fields that frame a message and
/// name its host are removed in every spelling but the right one.
fn is_reserved(name: &str) -> bool {
    if name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        return is_ours(name);
    }
    let folded = name.replace(|character: char| !character.is_ascii_alphanumeric(), "-");
    is_ours(&folded) || FRAMING.contains(&folded.as_str())
}

fn is_ours(name: &str) -> bool {
    OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || OURS.contains(&name)
        || PRESETS.iter().any(|preset| preset.as_str() == name)
}

const OUR_PREFIXES: [&str; 2] = ["x-gatehouse", "x-forwarded"];

/// Who asks and from where; and what would make the upstream serve another target or method than the one
/// decided on. `Proxy` becomes `HTTP_PROXY` in CGI (CVE-2016-5385).
const OURS: [&str; 13] = [
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-request-id",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-rewrite-url",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "proxy",
];

const FRAMING: [&str; 14] = [
    "host",
    "cookie",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "expect",
    "authorization",
];

/// Of every preset, in use or not: an upstream may believe one that is not.
static PRESETS: LazyLock<Vec<HeaderName>> = LazyLock::new(|| {
    [
        IdentityPreset::Remote,
        IdentityPreset::XForwarded,
        IdentityPreset::XAuthRequest,
    ]
    .into_iter()
    .flat_map(IdentityPreset::headers)
    .collect()
});

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
