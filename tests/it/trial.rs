//! Policies that are tried out: they say what they would decide, and change nothing.

use std::{path::Path, sync::mpsc::Receiver};

use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::harness::{Gateway, Person, process::Process, waiting::SOON};

const ANN: &str = "ann@example.com";

/// What the access log says of the next request.
fn access(log: &Receiver<Json>) -> Json {
    line(log, |line| line["target"] == "access")
}

fn line(log: &Receiver<Json>, is_it: impl Fn(&Json) -> bool) -> Json {
    loop {
        let line = tokio::task::block_in_place(|| log.recv_timeout(SOON)).expect("a line");
        if is_it(&line) {
            return line;
        }
    }
}

/// The fields about what is tried out.
fn tried(line: &Json) -> Json {
    let fields = [
        "report_only",
        "report_only_route",
        "shadow",
        "shadow_route",
        "shadow_upstream",
    ];
    fields
        .iter()
        .filter(|field| !line[**field].is_null())
        .map(|field| ((*field).to_owned(), line[*field].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The line of the first route with this path, in a file.
fn line_of(file: &Path, path: &str) -> usize {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines().enumerate();
    let is_it = |line: &str| line == format!("path = '{path}'");
    let (above, _) = lines.find(|(_, line)| is_it(line)).expect("a route");
    // Its table begins one line before.
    above
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_only_route_is_told_of_and_decides_nothing() {
    let mut gateway = Gateway::start()
        .with_route("path = '/money/*'\nreport_only = true\naccess = 'step_up'\nmax_age = '5m'")
        .with_route("path = '/open/*'\nreport_only = true\naccess = 'public'")
        .with_route("path = '/staff/*'\nreport_only = true\nallow = { groups = ['staff'] }")
        .with_route("host = 'other.example'\npath = '/new/*'\nreport_only = true")
        .with_route("host = 'localhost'\npath = '/*'")
        .await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "full");
    let stepped_up = gateway.person_with_session(ANN, "step_up");
    let visitor = gateway.person();
    gateway.stop().await;
    let (_process, log) = Process::serve_and_log(&gateway.config, &[]);
    let at = |path: &str| line_of(&gateway.config, path);

    for (person, path, status, expected) in [
        (
            &ann,
            "/money/x",
            200,
            json!({ "report_only": "step_up", "report_only_route": at("/money/*") }),
        ),
        (&stepped_up, "/money/x", 200, json!({})),
        (&visitor, "/money/x", 303, json!({})),
        (&ann, "/open/x", 200, json!({})),
        (
            &visitor,
            "/open/x",
            303,
            json!({ "report_only": "forward", "report_only_route": at("/open/*") }),
        ),
        (
            &ann,
            "/staff/x",
            200,
            json!({ "report_only": "not_allowed", "report_only_route": at("/staff/*") }),
        ),
        (&ann, "/notes", 200, json!({})),
    ] {
        assert_eq!(open(person, path).await, status, "{path}");
        let line = access(&log);
        assert_eq!(line["path"], path);
        assert_eq!(tried(&line), expected, "{path} {line}");
    }
}

/// The status of a page load, before any redirect is followed.
async fn open(person: &Person, path: &str) -> u16 {
    person.open(path).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_only_route_alone_leaves_its_requests_without_a_route() {
    let gateway = Gateway::start()
        .with_route("path = '/new/*'\nreport_only = true\naccess = 'public'")
        .with_route("path = '/old/*'\naccess = 'public'")
        .await;
    let visitor = gateway.person();
    assert_eq!(visitor.open("/old/x").await.status, 200);
    assert_eq!(visitor.open("/new/x").await.status, 404);
    assert_eq!(gateway.upstream.targets(), ["/old/x"]);
    let checked = gateway.command(&["check"]);
    assert_eq!(checked.code, 0);
    assert!(
        checked
            .stdout
            .contains("route[0].report_only = true: only tried out, and no other route takes any"),
        "{checked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_what_is_decided_and_what_would_be() {
    let gateway = Gateway::start()
        .with_route("path = '/money/*'\nreport_only = true\naccess = 'step_up'\nmax_age = '5m'")
        .with_route("path = '/*'")
        .await;
    let explain = |path: &str, more: &[&str]| {
        let url = format!("{}{path}", gateway.origin);
        let explained =
            gateway.command(&[&["explain", "GET", &url, "--session", "full"], more].concat());
        assert_eq!(explained.code, 0, "{explained:?}");
        explained
    };
    let text = explain("/money/x", &[]).stdout;
    let (now, then) = text
        .split_once("With its report_only routes enforced:\n")
        .expect("both");
    assert!(
        now.contains("route 2") && now.contains("full → forwarded"),
        "{now}"
    );
    assert!(
        then.contains("route 1") && then.contains("full → step-up page"),
        "{then}"
    );
    let json = explain("/money/x", &["--json"]).json();
    assert_eq!(json["sessions"][0]["decision"], "forward");
    assert_eq!(json["report_only"]["sessions"][0]["decision"], "step_up");
    let text = explain("/notes", &[]).stdout;
    assert!(
        text.ends_with("Routes with report_only would change nothing here.\n"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_refuses_everything_is_told_of_and_changes_nothing() {
    let mut gateway = Gateway::start()
        .with_route("path = '/public/*'\naccess = 'public'")
        .with_route("path = '/*'")
        .await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "full");
    let visitor = gateway.person();
    gateway.stop().await;
    let candidate = gateway.folder().join("candidate.toml");
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    let (before, _) = text.split_once("[[route]]").unwrap();
    let nobody = "[[route]]\npath = '/*'\nallow = { groups = ['nobody'] }\nupstream = 'app'\n";
    std::fs::write(&candidate, format!("{before}{nobody}")).unwrap();
    let (_process, log) =
        Process::serve_with(&gateway.config, &["--shadow", candidate.to_str().unwrap()]);
    let told = line(&log, |line| {
        line["message"]
            .as_str()
            .is_some_and(|text| text.contains("shadow"))
    });
    assert_eq!(
        (&told["level"], &told["warnings"]),
        (&json!("INFO"), &json!(0))
    );

    let at = line_of(&candidate, "/*");
    for (person, path, status, expected) in [
        (
            &ann,
            "/report",
            200,
            json!({ "shadow": "not_allowed", "shadow_route": at }),
        ),
        (&visitor, "/report", 303, json!({})),
        (
            &visitor,
            "/public/x",
            200,
            json!({ "shadow": "sign_in", "shadow_route": at }),
        ),
        (&visitor, "/.gatehouse/sign-in", 200, json!({})),
    ] {
        assert_eq!(open(person, path).await, status, "{path}");
        let line = access(&log);
        assert_eq!(tried(&line), expected, "{path} {line}");
    }
    let posted = ann.request(Method::POST, "/form").body("a=1");
    assert_eq!(ann.send(posted).await.status, 200);
    assert_eq!(access(&log)["shadow"], "not_allowed");
    assert_eq!(
        gateway.upstream.targets(),
        ["/report", "/public/x", "/form"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_would_forward_elsewhere_says_where() {
    let mut gateway = Gateway::start()
        .with_route("path = '/*'\naccess = 'public'")
        .await;
    gateway.stop().await;
    let candidate = gateway.folder().join("candidate.toml");
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    std::fs::write(&candidate, text.replace("'app'", "'other'")).unwrap();
    let (_process, log) =
        Process::serve_with(&gateway.config, &["--shadow", candidate.to_str().unwrap()]);
    assert_eq!(gateway.person().open("/x").await.status, 200);
    let line = access(&log);
    let expected = json!({
        "shadow": "forward", "shadow_route": line_of(&candidate, "/*"), "shadow_upstream": "other",
    });
    assert_eq!((&line["upstream"], tried(&line)), (&json!("app"), expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_candidate_is_named_and_harms_nothing() {
    let mut gateway = Gateway::start()
        .with_route("path = '/*'\naccess = 'public'")
        .await;
    gateway.stop().await;
    let candidate = gateway.folder().join("candidate.toml");
    for (text, problem) in [
        (
            Some("[[route]]\nacess = 'public'\n"),
            "candidate.toml: relying_party.id: missing",
        ),
        (Some("[[["), "candidate.toml:1:"),
        (None, "candidate.toml: cannot be read"),
    ] {
        match text {
            Some(text) => std::fs::write(&candidate, text).unwrap(),
            None => std::fs::remove_file(&candidate).unwrap(),
        }
        let (_process, log) =
            Process::serve_with(&gateway.config, &["--shadow", candidate.to_str().unwrap()]);
        let told = line(&log, |line| line["level"] == "ERROR");
        let said = told["problem"].as_str().unwrap();
        assert!(said.contains(problem), "{said}");
        assert!(
            told["message"]
                .as_str()
                .unwrap()
                .contains("gatehouse check"),
            "{told}"
        );
        assert_eq!(gateway.person().open("/x").await.status, 200);
        assert_eq!(tried(&access(&log)), json!({}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_is_changed_is_asked_from_then_on() {
    let mut gateway = Gateway::start()
        .with_route("path = '/*'\naccess = 'public'")
        .await;
    gateway.stop().await;
    let candidate = gateway.folder().join("candidate.toml");
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    std::fs::write(&candidate, "[[[").unwrap();
    let (_process, log) =
        Process::serve_with(&gateway.config, &["--shadow", candidate.to_str().unwrap()]);
    line(&log, |line| line["level"] == "ERROR");
    assert_eq!(gateway.person().open("/1").await.status, 200);
    assert_eq!(tried(&access(&log)), json!({}));
    std::fs::write(&candidate, text.replace("'public'", "'full'")).unwrap();
    line(&log, |line| !line["warnings"].is_null());
    assert_eq!(gateway.person().open("/2").await.status, 200);
    assert_eq!(access(&log)["shadow"], "sign_in");
}
