//! Names of header fields that are the gateway's to say: what tells an upstream who asks and from where,
//! what would make it serve another request than the one decided on, and what frames a message.
//!
//! Names are compared folded: CGI and its heirs read `Remote-User`, `Remote_User` and `remote.user` as one
//! variable, `REMOTE_USER`.

use std::borrow::Cow;

/// A name as all of its spellings fold together: lower case, and every other character taken for a hyphen.
pub fn folded(name: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.bytes().all(plain) {
        return Cow::Borrowed(name);
    }
    name.to_ascii_lowercase()
        .replace(|character: char| !character.is_ascii_alphanumeric(), "-")
        .into()
}

/// Whether a request must not bring this, in any spelling: only the gateway may say it. `folded` is a
/// [`folded`] name.
pub fn is_ours(folded: &str) -> bool {
    OUR_PREFIXES.iter().any(|prefix| folded.starts_with(prefix)) || OURS.contains(&folded)
}

/// Whether this frames a message, names its host or carries credentials: only its right spelling may be
/// there.
pub fn is_framing(folded: &str) -> bool {
    FRAMING.contains(&folded)
}

/// Whether this is about one connection (RFC 9110 §7.6.1) or the length of a body, and so the proxy's alone.
pub fn is_hop_by_hop(folded: &str) -> bool {
    HOP_BY_HOP.contains(&folded)
}

const OUR_PREFIXES: [&str; 2] = ["x-gatehouse", "x-forwarded"];

/// Who asks and from where; and what would make the upstream serve another target or method than the one
/// decided on. `Proxy` becomes `HTTP_PROXY` in CGI (CVE-2016-5385).
const OURS: [&str; 14] = [
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-request-id",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-original-method",
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

const HOP_BY_HOP: [&str; 12] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "expect",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_fold_together() {
        for name in [
            "remote-user",
            "Remote-User",
            "REMOTE_USER",
            "remote.user",
            "remote!User",
        ] {
            assert_eq!(folded(name), "remote-user");
        }
        assert!(is_ours("x-forwarded-for") && is_ours("x-gatehouse-anything") && is_ours("proxy"));
        assert!(!is_ours("x-own") && !is_ours("remote-user"));
        assert!(is_framing("host") && !is_framing("accept"));
        assert!(is_hop_by_hop("te") && !is_hop_by_hop("host"));
    }
}
