//! What Prometheus itself says of a scrape, of the alerts and of the dashboard in `config/deploy`.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::json;

use crate::harness::{
    Gateway,
    door_authority::Authority,
    watcher::{Scrape, watched},
};

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_takes_a_scrape_without_complaint() {
    let setup = Gateway::start();
    let authority = Authority::new();
    authority
        .server(&["localhost"])
        .write(setup.folder(), "app");
    let (_gateway, admin) = watched(setup.with_certificates(&["app"])).await;
    let scrape = Scrape::of(admin).await;
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tests/run installs it");
    let mut stdin = check.stdin.take().unwrap();
    stdin.write_all(scrape.text.as_bytes()).unwrap();
    drop(stdin);
    let said = check.wait_with_output().unwrap();
    let complaints = [said.stdout, said.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(said.status.success(), "{complaints:?}");
    assert_eq!(complaints, ["", ""]);
}

/// Families that a scrape has only where something is configured or has happened.
const ELSEWHERE: [&str; 1] = ["gatehouse_certificate_expiry_timestamp_seconds"];

fn deployed(file: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/deploy");
    folder.join(file)
}

/// Has `promtool` look at a file; panics with what it says when it is not content.
fn promtool(arguments: &[&str], file: &Path) {
    let run = Command::new("promtool").args(arguments).arg(file).output();
    let said = run.expect("tests/run installs it");
    let words = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{words}");
}

#[test]
fn prometheus_takes_the_alerts_and_their_tests_pass() {
    let check = ["check", "rules", "--lint=all", "--lint-fatal"];
    promtool(&check, &deployed("alerts.yml"));
    promtool(&["test", "rules"], &deployed("alerts_test.yml"));
}

#[test]
fn prometheus_takes_every_query_of_the_dashboard() {
    let text = std::fs::read_to_string(deployed("dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array());
    let queries = targets.flatten().map(|target| target["expr"].as_str());
    // Rules are what it checks; JSON is YAML.
    let rules: Vec<_> = queries
        .enumerate()
        .map(|(at, query)| json!({"record": format!("query_{at}"), "expr": query.unwrap()}))
        .collect();
    assert!(rules.len() > 20);
    let file = tempfile::NamedTempFile::new().unwrap();
    let groups = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    std::fs::write(file.path(), groups.to_string()).unwrap();
    promtool(&["check", "rules"], file.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_number_that_alerts_and_dashboard_ask_for_is_there() {
    let (_gateway, admin) = watched(Gateway::start()).await;
    let scrape = Scrape::of(admin).await;
    let mut asked = BTreeSet::new();
    for file in ["alerts.yml", "dashboard.json"] {
        let text = std::fs::read_to_string(deployed(file)).unwrap();
        let text = text.replace("\\\"", "\"");
        for (at, _) in text.match_indices("gatehouse_") {
            asked.insert(look_for(&scrape, &text[at..]).to_owned());
        }
    }
    assert!(asked.len() > 25, "{asked:?}");
}

/// Panics unless a scrape has the family that a query begins with, and each value that it asks of a label. Gives
/// the family.
fn look_for<'q>(scrape: &Scrape, query: &'q str) -> &'q str {
    let is_name = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    let end = query.find(|sign| !is_name(sign)).unwrap();
    let (family, rest) = query.split_at(end);
    if ELSEWHERE.contains(&family) {
        return family;
    }
    let is_of_family = |series: &&str| {
        let name = series.split('{').next().unwrap();
        let mut parts = ["_bucket", "_sum", "_count"].iter();
        name == family || parts.any(|part| name.strip_suffix(part) == Some(family))
    };
    let series: Vec<_> = scrape.names().into_iter().filter(is_of_family).collect();
    assert!(!series.is_empty(), "{family} is not there");
    let labels = rest
        .strip_prefix('{')
        .and_then(|rest| rest.split('}').next());
    for label in labels.unwrap_or_default().split(',') {
        let is_exact = label.contains("=\"") && !label.contains("!=");
        let is_there = series.iter().any(|name| name.contains(label));
        assert!(!is_exact || is_there, "no {family} has {label}");
    }
    family
}
