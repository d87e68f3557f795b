//! `[[route]]`, as far as it says how long what is open may last.

use crate::config::{
    Live,
    file::{self, AccessLevel, LiveUntil},
    findings::{Finding, Findings},
};

/// How long what is open on a route may last.
pub(super) fn of_route(route: &file::Route, findings: &mut Findings<'_>) -> Option<Live> {
    match (&route.live, route.access.value) {
        (None, _) => Some(Live::Session),
        (Some(live), AccessLevel::StepUp) => Some(match live.value {
            LiveUntil::Session => Live::Session,
            LiveUntil::MaxAge => Live::MaxAge,
        }),
        (Some(live), AccessLevel::Public | AccessLevel::SignedIn | AccessLevel::Full) => {
            let finding = Finding::new("has no effect");
            findings.error(live, finding.expected("it with access = \"step_up\" alone"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Live;
    use crate::config::compile::fixture::{APP, PARTY, ROUTE, assert_found, config};

    #[test]
    fn what_a_route_says_about_forwarding_is_held() {
        for (text, expected) in [
            (
                "live = \"max_age\"",
                "route[1].live = \"max_age\": has no effect",
            ),
            (
                "access = \"public\"\nlive = \"session\"",
                "route[1].live = \"session\": has no effect",
            ),
            (
                "access = \"step_up\"\nmax_age = \"5m\"\nlive = \"for ever\"",
                "route[1].live = \"for ever\": wrong value",
            ),
            (
                "max_body = \"0B\"",
                "route[1].max_body = \"0B\": wrong value",
            ),
            (
                "body_timeout = \"0s\"",
                "route[1].body_timeout = \"0s\": wrong value",
            ),
        ] {
            let route = format!("[[route]]\nupstream = \"app\"\n{text}\n");
            assert_found(&format!("{PARTY}{APP}{ROUTE}{route}"), expected);
        }
    }

    #[test]
    fn exchanges_last_as_their_session_does_unless_the_route_says_less() {
        let deliveries = config(
            "[[route]]\nupstream = \"app\"\npath = \"/a\"\naccess = \"step_up\"\nmax_age = \"5m\"\nlive = \"max_age\"\n\
             body_timeout = \"10s\"\nmax_body = \"1KiB\"\n\
             [[route]]\nupstream = \"app\"\npath = \"/b\"\naccess = \"step_up\"\nmax_age = \"5m\"",
        )
        .deliveries;
        assert_eq!(
            (deliveries[0].live, deliveries[1].live),
            (Live::MaxAge, Live::Session)
        );
        assert_eq!(deliveries[0].body_timeout, Some(Duration::from_secs(10)));
        assert_eq!(deliveries[0].max_body, Some(1024));
    }
}
