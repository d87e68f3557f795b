//! What upstreams are told about the person, and in which headers.

use axum::http::HeaderName;

use crate::reserved_header::folded;

/// What upstreams are told about the person.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Which families of headers.
    pub presets: Vec<IdentityPreset>,
    /// Names of the operator's own for login, address, display name and groups, in this order.
    pub custom: [Option<HeaderName>; 4],
    /// The header of the signed assertion.
    pub assertion: Option<HeaderName>,
    /// Every name that may assert an identity here, folded: no request brings one in, whatever it asks for.
    reserved: Vec<String>,
}

/// A family of identity headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityPreset {
    /// `Remote-User`, `Remote-Email`, `Remote-Name`, `Remote-Groups`.
    Remote,
    /// `X-Forwarded-User`, `X-Forwarded-Email`, `X-Forwarded-Preferred-Username`, `X-Forwarded-Groups`.
    XForwarded,
    /// `X-Auth-Request-User`, `X-Auth-Request-Email`, `X-Auth-Request-Preferred-Username`, `X-Auth-Request-Groups`.
    XAuthRequest,
}

impl Identity {
    /// What is told in these headers.
    pub fn new(
        presets: Vec<IdentityPreset>,
        custom: [Option<HeaderName>; 4],
        assertion: Option<HeaderName>,
    ) -> Self {
        // Of every preset, in use or not: an upstream may believe one that is not.
        let of_presets = IdentityPreset::ALL
            .into_iter()
            .flat_map(IdentityPreset::headers);
        let named = custom.iter().flatten().chain(&assertion).cloned();
        let mut reserved: Vec<String> = of_presets
            .chain(named)
            .map(|name| folded(name.as_str()).into_owned())
            .collect();
        reserved.sort_unstable();
        reserved.dedup();
        Self {
            presets,
            custom,
            assertion,
            reserved,
        }
    }

    /// Whether a [folded] name asserts an identity.
    pub fn is_told_in(&self, folded: &str) -> bool {
        self.reserved.iter().any(|name| name == folded)
    }
}

impl IdentityPreset {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Remote, Self::XForwarded, Self::XAuthRequest];

    /// Header names for login, address, display name and groups, in this order.
    pub fn headers(self) -> [HeaderName; 4] {
        match self {
            Self::Remote => [
                "remote-user",
                "remote-email",
                "remote-name",
                "remote-groups",
            ],
            Self::XForwarded => [
                "x-forwarded-user",
                "x-forwarded-email",
                "x-forwarded-preferred-username",
                "x-forwarded-groups",
            ],
            Self::XAuthRequest => [
                "x-auth-request-user",
                "x-auth-request-email",
                "x-auth-request-preferred-username",
                "x-auth-request-groups",
            ],
        }
        .map(HeaderName::from_static)
    }
}
