//! What the operator's commands print and how they end.

use std::path::PathBuf;

use serde_json::json;

use crate::harness::{Gateway, command_line::gatehouse};

const ANN: &str = "ann@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn check_lists_every_problem_at_once_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.toml");
    let text = "[server]\nlisten = ['nowhere']\n[relying_party]\nid = 'localhost'\norigins = ['http://localhost:8080']\n\
                [session]\nlifetime = 'long'\n[[upstream]]\nname = 'app'\nservers = ['127.0.0.1:9000']\n\
                [[route]]\npath = '/*'\nacess = 'public'\nupstream = 'app'\n\
                [[route]]\npath = '/x'\nupstream = 'ap'\n";
    std::fs::write(&file, text).unwrap();
    for command in ["check", "serve"] {
        let outcome = gatehouse(&file, &[command]);
        assert_eq!(outcome.code, 2, "{command}: {outcome:?}");
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        for part in [
            "broken.toml:2",
            "nowhere",
            "long",
            "acess",
            "\"access\"",
            "\"app\"",
        ] {
            assert!(
                said.contains(part),
                "{command} does not say {part:?}: {said}"
            );
        }
    }
    assert!(
        !folder.path().join("gatehouse.db").exists(),
        "a store was made"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_warns_of_a_route_that_can_never_match() {
    let gateway = Gateway::start()
        .with_route("path = '/*'")
        .with_route("path = '/admin/*'\naccess = 'public'")
        .await;
    let outcome = gateway.command(&["check"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains("warning") && said.contains("never"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_configuration_passes_check() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config");
    let examples: Vec<_> = std::fs::read_dir(folder)
        .expect("examples")
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    assert!(!examples.is_empty());
    for example in examples {
        let outcome = gatehouse(&example, &["check"]);
        assert_eq!(outcome.code, 0, "{}: {outcome:?}", example.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_decides_as_the_server_does() {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &[]);
    for (session, path, word) in [
        ("none", "/public/x", "forward"),
        ("none", "/report", "sign"),
        ("restricted", "/notes/x", "forward"),
        ("restricted", "/report", "enrol"),
        ("full", "/report", "forward"),
        ("full", "/admin/x", "step"),
        ("step_up:1m", "/admin/x", "forward"),
        ("step_up:10m", "/admin/x", "step"),
    ] {
        let url = format!("{}{path}", gateway.origin);
        let explained =
            gateway.command(&["explain", "GET", &url, "--session", session, "--email", ANN]);
        assert_eq!(explained.code, 0, "{explained:?}");
        let said = explained.stdout.to_ascii_lowercase();
        assert!(said.contains(word), "{session} {path}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_invited_listed_disabled_and_deleted() {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &["--login", "ann", "--group", "staff"]);
    let again = gateway.command(&[
        "account",
        "invite",
        "--email",
        "bob@example.com",
        "--login",
        "ann",
    ]);
    assert_eq!(again.code, 1, "a login name is taken once: {again:?}");
    assert!(!again.stderr.is_empty());

    let listed = gateway.command(&["account", "list", "--json"]).json();
    assert_eq!(listed[0]["email"], ANN);
    assert_eq!(listed[0]["groups"], json!(["staff"]));
    assert_eq!(gateway.command(&["account", "delete", ANN]).code, 0);
    assert_eq!(
        gateway.command(&["account", "list", "--json"]).json(),
        json!([])
    );
    assert_eq!(
        gateway.command(&["account", "disable", ANN]).code,
        1,
        "nobody is there any more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inviting_somebody_again_gives_a_new_link_that_supersedes_the_old_one() {
    let gateway = Gateway::start().await;
    let old = gateway.invite(ANN, &[]);
    let new = gateway.invite(ANN, &[]);
    assert_ne!(old, new);
    let refused = gateway
        .person()
        .open(&format!("/.gatehouse/enrol?invitation={old}"))
        .await;
    assert!(!refused.text().contains("Create a passkey"));
    assert_eq!(gateway.person().enrol(Some(&new), "/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_ends_with_2_and_says_what_is_accepted() {
    let gateway = Gateway::start().await;
    for arguments in [
        vec!["nonsense"],
        vec![
            "session",
            "issue",
            "--account",
            ANN,
            "--access",
            "everything",
            "--ttl",
            "10m",
        ],
        vec!["account", "invite", "--email", "not an address"],
        vec!["explain", "GET"],
    ] {
        let outcome = gateway.command(&arguments);
        assert_eq!(outcome.code, 2, "{arguments:?}: {outcome:?}");
        assert!(!outcome.stderr.is_empty());
    }
    let missing = gatehouse(&gateway.folder().join("missing.toml"), &["check"]);
    assert_eq!(missing.code, 2, "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_not_issued_to_somebody_unknown() {
    let gateway = Gateway::start().await;
    let outcome = gateway.command(&[
        "session",
        "issue",
        "--account",
        "nobody@example.com",
        "--access",
        "full",
        "--ttl",
        "10m",
    ]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(!outcome.stdout.contains("Cookie"));
}
