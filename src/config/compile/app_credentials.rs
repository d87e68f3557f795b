//! `[[route.authorization]]`: what people are signed in to an app with.

use axum::http::HeaderValue;
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{Surroundings, secret};
use crate::{
    config::{
        AppCredential,
        file::{self, AccessLevel, At, Authorization, SecretText, Section},
        findings::{Finding, Findings},
    },
    store::is_group,
};

/// `Some(None)` when the route says nothing of it.
pub(super) fn of_route(
    route: &file::Route,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Option<Vec<AppCredential>>> {
    let Some(list) = &route.authorization else {
        return Some(None);
    };
    if route.access.value == AccessLevel::Public {
        let finding = Finding::new("a public route asks nobody who they are")
            .expected("it with any other access");
        findings.error(list, finding);
        return None;
    }
    if !findings.filled(list, "at least one entry") {
        return None;
    }
    let mut rest = list.value.iter();
    if rest.by_ref().any(|entry| entry.value.group.is_none()) {
        for unreachable in rest {
            let finding = Finding::new("is never used: an entry before it is for everybody");
            findings.error(unreachable, finding);
        }
    }
    let credentials: Vec<_> = list
        .value
        .iter()
        .map(|entry| credential(entry, around, findings))
        .collect();
    credentials.into_iter().collect::<Option<_>>().map(Some)
}

fn credential(
    entry: &Section<Authorization>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<AppCredential> {
    let Authorization {
        group,
        basic,
        bearer,
    } = &*entry.value;
    if let Some(group) = group.as_ref().filter(|group| !is_group(&group.value)) {
        findings.error(group, Finding::value("the name of a group"));
        return None;
    }
    let value = match (basic, bearer) {
        (Some(basic), None) => read(basic, basic_value, around, findings),
        (None, Some(bearer)) => read(bearer, bearer_value, around, findings),
        (Some(_), Some(_)) => {
            findings.error(entry, Finding::new("has both `basic` and `bearer`"));
            None
        }
        (None, None) => {
            let finding = Finding::new("missing").expected("`basic` or `bearer`");
            findings.missing(entry, "basic", finding);
            None
        }
    };
    Some(AppCredential {
        group: group.as_ref().map(|group| group.value.clone()),
        value: value?,
    })
}

fn read(
    text: &At<SecretText>,
    to_value: fn(&str) -> Result<HeaderValue, &'static str>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<HeaderValue> {
    let finding = match secret::read(&text.value, around) {
        Ok(secret) => match to_value(&secret) {
            Ok(mut value) => {
                value.set_sensitive(true);
                return Some(value);
            }
            Err(accepted) => Finding::value(accepted),
        },
        Err(problem) => Finding::new(problem),
    };
    findings.error(text, finding);
    None
}

/// RFC 7617 §2: the user has no colon, neither part a control character.
fn basic_value(secret: &str) -> Result<HeaderValue, &'static str> {
    const ACCEPTED: &str = "\"USER:PASSWORD\" without control characters";
    let named = secret
        .split_once(':')
        .is_some_and(|(user, _)| !user.is_empty());
    if !named || secret.contains(char::is_control) {
        return Err(ACCEPTED);
    }
    let encoded = Zeroizing::new(format!("Basic {}", STANDARD.encode(secret)));
    HeaderValue::from_str(&encoded).map_err(|_| ACCEPTED)
}

/// RFC 6750 §2.1.
fn bearer_value(secret: &str) -> Result<HeaderValue, &'static str> {
    const ACCEPTED: &str = "a token of letters, digits and `-._~+/`, with `=` at its end alone";
    let token = secret.trim_end_matches('=');
    let accepted = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if token.is_empty() || !token.bytes().all(accepted) {
        return Err(ACCEPTED);
    }
    let value = Zeroizing::new(format!("Bearer {secret}"));
    HeaderValue::from_str(&value).map_err(|_| ACCEPTED)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use crate::config::compile::fixture::{APP, PARTY, ROUTE, assert_found, found, read as load};

    #[test]
    fn each_rule_of_authorization_is_held() {
        for (text, expected) in [
            ("authorization = []", "route[0].authorization: empty list"),
            (
                "access = \"public\"\nauthorization = [{ basic = \"a:b\" }]",
                "route[0].authorization: a public route asks nobody",
            ),
            (
                "authorization = [{ basic = \"a:b\" }, { group = \"x\", basic = \"a:b\" }]",
                "route[0].authorization[1]: is never used",
            ),
            (
                "authorization = [{ group = \"x\" }]",
                "route[0].authorization[0].basic: missing; expected `basic` or `bearer`",
            ),
            (
                "authorization = [{ basic = \"a:b\", bearer = \"c\" }]",
                "route[0].authorization[0]: has both",
            ),
            (
                "authorization = [{ group = \"a,b\", basic = \"a:b\" }]",
                "authorization[0].group = \"a,b\": wrong value",
            ),
            (
                "authorization = [{ basic = \"hunter2\" }]",
                "authorization[0].basic: wrong value; expected \"USER:PASSWORD\"",
            ),
            (
                "authorization = [{ basic = \":hunter2\" }]",
                "authorization[0].basic: wrong value",
            ),
            (
                "authorization = [{ bearer = \"hunter2 x\" }]",
                "authorization[0].bearer: wrong value; expected a token",
            ),
            (
                "authorization = [{ basic = \"env:NOT_SET\" }]",
                "authorization[0].basic: the environment variable NOT_SET is not set",
            ),
            (
                "authorization = [{ basic = [\"hunter2\"] }]",
                "authorization[0].basic: wrong type",
            ),
        ] {
            let text = format!("{PARTY}{APP}{ROUTE}{text}\n");
            assert_found(&text, expected);
            let said = found(&TempDir::new().unwrap(), &text).concat();
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn what_an_app_is_given_is_built_once_and_not_shown() {
        let text = "authorization = [{ group = \"staff\", basic = \"ann:päss:1\" }, { bearer = \"env:LONG\" }]\n";
        let folder = TempDir::new().unwrap();
        let loaded = load(&folder, &format!("{PARTY}{APP}{ROUTE}{text}")).unwrap();
        let credentials = loaded.config.deliveries[0].authorization.as_ref().unwrap();
        assert_eq!(credentials[0].group.as_deref(), Some("staff"));
        assert_eq!(credentials[0].value, "Basic YW5uOnDDpHNzOjE=");
        assert_eq!(
            credentials[1].value,
            "Bearer 0123456789abcdef0123456789abcdef"
        );
        assert!(credentials.iter().all(|one| one.value.is_sensitive()));
        let shown = format!("{:?}", loaded.config);
        assert!(!shown.contains("YW5u") && !shown.contains("0123456789abcdef"));
    }
}
