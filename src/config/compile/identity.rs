//! `[identity]`: in which headers upstreams hear who asks.

use axum::http::HeaderName;

use super::header_edits::header_name;
use crate::{
    config::{
        Identity, IdentityPreset,
        file::{self, At, Preset},
        findings::{Finding, Findings},
    },
    reserved_header::{folded, is_framing, is_hop_by_hop, is_ours},
};

/// Which headers upstreams get.
pub(super) fn identity(section: &file::Identity, findings: &mut Findings<'_>) -> Option<Identity> {
    let presets = presets(section);
    // Two names that an upstream could fold together are one to it.
    let mut taken: Vec<String> = presets
        .iter()
        .flat_map(|preset| preset.headers())
        .map(|name| folded(name.as_str()).into_owned())
        .collect();
    let none = file::CustomIdentity::default();
    let custom = section
        .custom
        .as_ref()
        .map_or(&none, |custom| &*custom.value);
    let mut complete = true;
    let mut named = |name: Option<&At<String>>, findings: &mut Findings<'_>| {
        let read = name.map(|name| free_name(name, &mut taken, findings));
        complete &= read != Some(None);
        read.flatten()
    };
    let custom = [&custom.user, &custom.email, &custom.name, &custom.groups]
        .map(|name| named(name.as_ref(), findings));
    let assertion = named(section.assertion.as_ref(), findings);
    complete.then(|| Identity::new(presets, custom, assertion))
}

fn presets(section: &file::Identity) -> Vec<IdentityPreset> {
    let mut presets = Vec::new();
    for preset in &section.headers.value {
        let preset = match preset.value {
            Preset::Remote => IdentityPreset::Remote,
            Preset::XForwarded => IdentityPreset::XForwarded,
            Preset::XAuthRequest => IdentityPreset::XAuthRequest,
        };
        if !presets.contains(&preset) {
            presets.push(preset);
        }
    }
    presets
}

/// A name that nothing else is told in.
fn free_name(
    name: &At<String>,
    taken: &mut Vec<String>,
    findings: &mut Findings<'_>,
) -> Option<HeaderName> {
    let parsed = header_name(&name.value, name, findings)?;
    let folded = folded(&name.value).into_owned();
    let problem = if is_hop_by_hop(&folded) || is_framing(&folded) || folded == "set-cookie" {
        "has a meaning of its own in HTTP"
    } else if folded == SESSION || (is_ours(&folded) && !is_identity(&folded)) {
        "has a meaning of its own to the gateway"
    } else if taken.contains(&folded) {
        "is set already, in this spelling or another"
    } else {
        taken.push(folded);
        return Some(parsed);
    };
    findings.error(
        name,
        Finding::new(problem).expected("a name such as \"X-Remote-User\""),
    );
    None
}

/// Of names that begin as the gateway's own do: those of presets, which may be set one by one, and those that
/// are there for the taking.
fn is_identity(folded: &str) -> bool {
    let of_a_preset = IdentityPreset::ALL
        .into_iter()
        .flat_map(IdentityPreset::headers)
        .any(|name| name.as_str() == folded);
    of_a_preset || folded.starts_with("x-gatehouse-")
}

const SESSION: &str = "x-gatehouse-session";

#[cfg(test)]
mod tests {
    use crate::config::compile::fixture::{APP, PARTY, ROUTE, assert_found, config};

    #[test]
    fn each_rule_of_identity_headers_is_held() {
        for (text, expected) in [
            (
                "custom.user = \"X User\"",
                "identity.custom.user = \"X User\": not a header name",
            ),
            (
                "custom.user = \"Host\"",
                "identity.custom.user = \"Host\": has a meaning of its own in HTTP",
            ),
            ("custom.user = \"Content_Type\"", "of its own in HTTP"),
            ("custom.user = \"Authorization\"", "of its own in HTTP"),
            ("custom.user = \"Set-Cookie\"", "of its own in HTTP"),
            ("custom.user = \"X-Forwarded-For\"", "to the gateway"),
            ("custom.user = \"X-Gatehouse-Session\"", "to the gateway"),
            ("custom.user = \"X-Request-Id\"", "to the gateway"),
            (
                "custom.email = \"Remote_User\"",
                "identity.custom.email = \"Remote_User\": is set already",
            ),
            (
                "custom.user = \"X-U\"\ncustom.email = \"x_u\"",
                "identity.custom.email = \"x_u\": is set already",
            ),
            (
                "custom.user = \"X-U\"\nassertion = \"X-U\"",
                "identity.assertion = \"X-U\": is set already",
            ),
            (
                "assertion = \"\"",
                "identity.assertion = \"\": not a header name",
            ),
            ("assertion = \"Cookie\"", "identity.assertion = \"Cookie\":"),
            (
                "custom.login = \"X-U\"",
                "identity.custom.login: unknown key",
            ),
        ] {
            assert_found(
                &format!("{PARTY}{APP}{ROUTE}[identity]\n{text}\n"),
                expected,
            );
        }
    }

    #[test]
    fn names_of_ones_own_are_reserved_with_those_of_every_preset() {
        let identity = config(
            "[identity]\nheaders = []\nassertion = \"X-Gatehouse-Assertion\"\n\
             custom = { user = \"X_Remote_User\", groups = \"Remote-Groups\" }",
        )
        .identity;
        assert!(identity.presets.is_empty());
        assert_eq!(
            identity.custom,
            [
                Some("x_remote_user".parse().unwrap()),
                None,
                None,
                Some("remote-groups".parse().unwrap())
            ]
        );
        for name in [
            "x-remote-user",
            "remote-user",
            "x-auth-request-groups",
            "x-gatehouse-assertion",
        ] {
            assert!(identity.is_told_in(name), "{name}");
        }
        assert!(!identity.is_told_in("x-own"));
    }
}
