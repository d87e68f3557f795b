//! `upstream.health`: what servers are asked.

use http::{HeaderValue, uri::Authority};

use crate::config::{
    HealthCheck, Question,
    file::{At, Health, List, Section, ServerAddress},
    findings::{Finding, Findings},
};

/// What these servers are asked.
pub(super) fn check(
    section: &Section<Health>,
    servers: &List<ServerAddress>,
    findings: &mut Findings<'_>,
) -> Option<HealthCheck> {
    let health = &section.value;
    let question = match &health.path {
        Some(path) => get(path, health, servers, findings),
        None => connect(health, findings),
    };
    Some(HealthCheck {
        question: question?,
        interval: health.interval.value.duration(),
        timeout: health.timeout.value.duration(),
        healthy_after: health.healthy_after.value.small(),
        unhealthy_after: health.unhealthy_after.value.small(),
    })
}

fn connect(health: &Health, findings: &mut Findings<'_>) -> Option<Question> {
    let finding = || Finding::new("nothing is asked for").expected("`path` beside it, or neither");
    if health.status.span.is_some() {
        findings.error(&health.status, finding());
        return None;
    }
    if let Some(host) = &health.host {
        findings.error(host, finding());
        return None;
    }
    Some(Question::Connect)
}

fn get(
    path: &At<String>,
    health: &Health,
    servers: &List<ServerAddress>,
    findings: &mut Findings<'_>,
) -> Option<Question> {
    let target = path
        .value
        .starts_with('/')
        .then(|| path.value.parse().ok())
        .flatten();
    if target.is_none() {
        findings.error(path, Finding::value("a path such as \"/healthz\""));
    }
    let hosts = match &health.host {
        Some(host) => given_host(host, findings).map(|host| vec![host; servers.value.len()]),
        None => Some(
            servers
                .value
                .iter()
                .map(|server| own_host(&server.value))
                .collect(),
        ),
    };
    findings
        .filled(&health.status, "at least one status such as 200")
        .then_some(())?;
    Some(Question::Get {
        path: target?,
        hosts: hosts?,
        statuses: health
            .status
            .value
            .iter()
            .filter_map(|status| u16::try_from(status.value.number()).ok())
            .collect(),
    })
}

fn given_host(host: &At<String>, findings: &mut Findings<'_>) -> Option<HeaderValue> {
    let authority = host.value.parse::<Authority>();
    let plain = authority.is_ok_and(|authority| !authority.as_str().contains('@'));
    let value = HeaderValue::from_str(&host.value).ok().filter(|_| plain);
    if value.is_none() {
        let accepted = "a host, with a port where it has one, such as \"app.example.com\"";
        findings.error(host, Finding::value(accepted));
    }
    value
}

fn own_host(server: &ServerAddress) -> HeaderValue {
    let localhost = HeaderValue::from_static("localhost");
    match server {
        ServerAddress::Network { .. } => {
            HeaderValue::from_str(&server.written()).unwrap_or(localhost)
        }
        ServerAddress::Unix(_) => localhost,
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::config::compile::fixture::{APP, PARTY, ROUTE, assert_found, read};

    fn with(health: &str) -> String {
        format!("{PARTY}{APP}health = {health}\n{ROUTE}")
    }

    #[test]
    fn each_rule_of_health_checks_is_held() {
        for (health, expected) in [
            (
                "{ path = \"healthz\" }",
                "upstream[0].health.path = \"healthz\": wrong value; expected a path",
            ),
            (
                "{ path = \"/a b\" }",
                "upstream[0].health.path = \"/a b\": wrong value",
            ),
            (
                "{ path = \"/\", host = \"a b\" }",
                "upstream[0].health.host = \"a b\": wrong value",
            ),
            (
                "{ path = \"/\", host = \"u@h\" }",
                "upstream[0].health.host = \"u@h\": wrong value",
            ),
            (
                "{ path = \"/\", status = [] }",
                "upstream[0].health.status: empty list",
            ),
            (
                "{ path = \"/\", status = [100] }",
                "upstream[0].health.status[0] = 100",
            ),
            (
                "{ status = [200] }",
                "upstream[0].health.status: nothing is asked for",
            ),
            (
                "{ host = \"a\" }",
                "upstream[0].health.host = \"a\": nothing is asked for",
            ),
            (
                "{ unhealthy_after = 0 }",
                "upstream[0].health.unhealthy_after = 0",
            ),
            (
                "{ interval = \"0s\" }",
                "upstream[0].health.interval = \"0s\"",
            ),
        ] {
            assert_found(&with(health), expected);
        }
    }

    #[test]
    fn a_check_is_a_connection_or_a_request() {
        let folder = TempDir::new().unwrap();
        let question = |health: &str| {
            let config = read(&folder, &with(health)).unwrap().config;
            config.upstreams[0].health.clone().unwrap().question
        };
        assert!(matches!(question("{}"), Question::Connect));
        let Question::Get {
            path,
            hosts,
            statuses,
        } = question("{ path = \"/up?q=1\", status = [204] }")
        else {
            panic!("a path is asked for");
        };
        assert_eq!((path.as_str(), statuses), ("/up?q=1", vec![204]));
        assert_eq!(hosts, ["127.0.0.1:9000"]);
    }
}
