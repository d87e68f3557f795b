//! An operator asks the access log: what was decided of one request and why, and what a candidate configuration would
//! change for all of them.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::Value as Json;

use crate::harness::{
    Gateway,
    command_line::gatehouse,
    log_file::{LogFile, TO_FILE},
};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";

/// A candidate beside the configuration of a gateway, with these words changed.
fn candidate(gateway: &Gateway, from: &str, to: &str) -> PathBuf {
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    assert!(text.contains(from), "{text}");
    let file = gateway.folder().join("candidate.toml");
    std::fs::write(&file, text.replace(from, to)).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_leads_to_the_rule_and_to_what_was_missing() {
    let gateway = Gateway::start().with("log", TO_FILE).await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "step_up");
    gateway.after(12);
    let refused = ann.fetch(Method::GET, "/admin/users").await;
    assert_eq!(refused.status, 401);
    let id = refused.header("x-request-id");
    let log = LogFile::of(&gateway);
    let line = log.line_of("/admin/users").await;

    let explained = gateway.command(&["explain", "--request-id", id]);
    assert_eq!(explained.code, 0, "{explained:?}");
    for part in [
        format!("request {id}: GET localhost/admin/users, over at 20"),
        "answered with 401".to_owned(),
        format!("it came with a full session of {ANN} ("),
        format!(
            "decided then: step_up, by the route on line {}, which needed a full session with a step-up at most 5m old",
            line["route"]
        ),
        "missing: a step-up at most 5m old; that of the session was 12m".to_owned(),
        "by the configuration as it is now: the same".to_owned(),
        "→ step-up page (good for 5m)".to_owned(),
    ] {
        assert!(
            explained.stdout.contains(&part),
            "{part}: {}",
            explained.stdout
        );
    }
    let json = gateway
        .command(&["explain", "--request-id", id, "--json"])
        .json();
    assert_eq!((&json["logged"], &json["same"]), (&line, &true.into()));
    assert_eq!(json["explanation"]["route"]["line"], line["route"]);

    let candidate = candidate(&gateway, "max_age = '5m'", "max_age = '1h'");
    let log = log.0.display().to_string();
    let by = ["explain", "--request-id", id, "--log", &log];
    let explained = gatehouse(&candidate, &by);
    assert!(
        explained
            .stdout
            .contains("by the configuration as it is now: forward"),
        "{explained:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_in_the_log_is_said_to_be_so_and_what_to_do() {
    let gateway = Gateway::start().with("log", TO_FILE).await;
    gateway.person().open("/public/x").await;
    let log = LogFile::of(&gateway);
    let line = log.line_of("/public/x").await;
    let unknown = "00000000000000000000000000000001";
    let outcome = gateway.command(&["explain", "--request-id", unknown]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    for part in [unknown, "access.log", "--log FILE"] {
        assert!(outcome.stderr.contains(part), "{outcome:?}");
    }
    // The file before a rotation is looked at too.
    let id = line["request_id"].as_str().unwrap();
    std::fs::rename(&log.0, gateway.folder().join("access.log.1")).unwrap();
    gateway.reopen_access_log();
    gateway.person().open("/public/y").await;
    log.line_of("/public/y").await;
    let outcome = gateway.command(&["explain", "--request-id", id]);
    assert!(
        outcome.stdout.contains("decided then: forward"),
        "{outcome:?}"
    );

    let quiet = Gateway::start().await;
    let outcome = quiet.command(&["explain", "--request-id", unknown]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(
        outcome.stderr.contains("log.access_file is not set"),
        "{outcome:?}"
    );
    let outcome = quiet.command(&[
        "explain",
        "--request-id",
        unknown,
        "--log",
        "/nowhere/a.log",
    ]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(
        outcome.stderr.contains("/nowhere/a.log cannot be read"),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_judged_by_what_people_did() {
    let mut gateway = Gateway::start().with("log", TO_FILE).await;
    gateway.invite(ANN, &["--group", "staff"]);
    gateway.invite(BOB, &[]);
    let ann = gateway.person_with_session(ANN, "full");
    let bob = gateway.person_with_session(BOB, "full");
    for _ in 0..2 {
        assert_eq!(ann.open("/report/1").await.status, 200);
    }
    assert_eq!(bob.open("/report/2").await.status, 200);
    assert_eq!(ann.open("/staff/x").await.status, 200);
    assert_eq!(bob.fetch(Method::GET, "/staff/x").await.status, 403);
    assert_eq!(
        gateway
            .person()
            .fetch(Method::GET, "/report/3")
            .await
            .status,
        401
    );
    assert_eq!(gateway.person().open("/public/x").await.status, 200);
    gateway.person().open("/.gatehouse/sign-in").await;
    gateway.stop().await;
    let log = LogFile::of(&gateway);
    let mut text = log.text();
    text.push_str("{\"timestamp\":\"T\",\"level\":\"WARN\",\"target\":\"gatehouse\",\"message\":\"another line\"}\n");
    std::fs::write(&log.0, text).unwrap();
    let file = log.0.display().to_string();
    let replay = |config: &Path, more: &[&str]| {
        let by = ["explain", "--log", &file];
        gatehouse(config, &[&by[..], more].concat())
    };

    let same = replay(&gateway.config, &["--json", "--fail-on-change"]);
    assert_eq!(same.code, 0, "{same:?}");
    let same = same.json();
    assert_eq!(
        (&same["lines"], &same["unchanged"], &same["changed"]),
        (&9.into(), &7.into(), &0.into())
    );
    assert_eq!(
        (
            &same["not_judged"]["own_page"],
            &same["not_judged"]["other_line"]
        ),
        (&1.into(), &1.into())
    );

    let stricter = candidate(
        &gateway,
        "path = '/*'",
        "path = '/*'\nallow = { groups = ['staff'] }",
    );
    let found = replay(&stricter, &["--json"]).json();
    assert_eq!(
        (&found["changed"], &found["newly_turned_away"]),
        (&1.into(), &1.into())
    );
    let [change] = &found["by_route"].as_array().unwrap()[..] else {
        panic!("{found:#}");
    };
    assert_eq!(
        (
            &change["from"],
            &change["to"],
            &change["requests"],
            &change["accounts"]
        ),
        (
            &"forward".into(),
            &"not_allowed".into(),
            &1.into(),
            &1.into()
        )
    );
    assert_eq!(change["route"]["path"], "/*");
    assert_eq!(found["by_account"][0]["email"], BOB);

    let stepped = candidate(
        &gateway,
        "path = '/*'",
        "path = '/*'\naccess = 'step_up'\nmax_age = '5m'",
    );
    let said = replay(&stepped, &[]);
    for part in [
        "9 lines, 7 requests judged by",
        "4 unchanged, 3 changed: 3 would be turned away that passed, 0 would pass",
        "/*): forward → step_up: 3 requests of 2 accounts and 0 without a session",
        "ann@example.com (",
        "2 requests: forward → step_up 2",
        "1 own pages of the gateway",
        "Addresses and groups of accounts are those that the store has now.",
        "a line.",
    ] {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
    let failing = replay(&stepped, &["--fail-on-change"]);
    assert_eq!(failing.code, 1, "{failing:?}");
    assert!(
        failing
            .stderr
            .contains("3 requests would be decided otherwise"),
        "{failing:?}"
    );

    let looser = candidate(&gateway, "path = '/*'", "path = '/*'\naccess = 'public'");
    let found = replay(&looser, &["--json"]).json();
    assert_eq!(
        (&found["newly_passing"], &found["newly_turned_away"]),
        (&1.into(), &0.into())
    );
    assert_eq!(found["by_route"][0]["without_session"], 1);

    let stricter = candidate(
        &gateway,
        "path = '/*'",
        "path = '/*'\nallow = { groups = ['staff'] }",
    );
    // Without the store nobody knows who is in which group; what depends on that is not guessed.
    let found = replay(&stricter, &["--json", "--no-store"]).json();
    assert_eq!(found["changed"], 0);
    assert_eq!(found["not_judged"]["person_unknown"], 5);
    assert_eq!(found["accounts_looked_up"], false);
    assert!(!found.to_string().contains("@example.com"));
}

#[tokio::test(flavor = "multi_thread")]
async fn explaining_makes_no_store_and_wants_one_thing_at_a_time() {
    let gateway = Gateway::start().with("log", TO_FILE).await;
    gateway.person().open("/public/x").await;
    let log = LogFile::of(&gateway);
    log.line_of("/public/x").await;
    let file = log.0.display().to_string();
    let elsewhere = candidate(&gateway, "gatehouse.db", "other.db");
    let outcome = gatehouse(&elsewhere, &["explain", "--log", &file, "--json"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(outcome.json()["accounts_looked_up"], Json::from(false));
    assert!(!gateway.folder().join("other.db").exists());

    for arguments in [
        &["explain"][..],
        &["explain", "GET"],
        &["explain", "GET", "http://localhost/", "--log", &file],
        &["explain", "--log", &file, "--session", "full"],
        &["explain", "--request-id", "no id", "--log", &file],
        &["explain", "GET", "http://localhost/", "--fail-on-change"],
        &["explain", "GET", "http://localhost/", "--no-store"],
    ] {
        let outcome = gateway.command(arguments);
        assert_eq!(outcome.code, 2, "{arguments:?}: {outcome:?}");
    }
}
