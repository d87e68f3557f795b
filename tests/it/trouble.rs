//! What somebody meets in trouble, at the command line and in the log: what happened, with which file, key or request,
//! and what to do next.

use std::{net::TcpListener, path::Path};

use reqwest::{Method, header::ACCEPT};
use serde_json::Value as Json;
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::harness::{
    Gateway,
    command_line::{Outcome, gatehouse},
    process::Process,
    script::{Act, Scripted},
    waiting::{SOON, within},
};

const ANN: &str = "ann@example.com";

/// That a command failed, named all of this, and ended with a whole sentence about what to do.
fn assert_told(outcome: &Outcome, code: i32, parts: &[&str]) {
    assert_eq!(outcome.code, code, "{outcome:?}");
    let said = &outcome.stderr;
    for part in parts {
        assert!(said.contains(part), "{part:?} is not said:\n{said}");
    }
    assert!(
        said.contains("gatehouse: ") && said.trim_end().ends_with('.'),
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");
}

/// A configuration that can be used, with a store in `folder`, listening on `address`.
fn configuration(folder: &Path, address: &str, more: &str) -> std::path::PathBuf {
    let file = folder.join("gatehouse.toml");
    let text = format!(
        "[server]\nlisten = ['{address}']\n{more}\n[relying_party]\nid = 'localhost'\norigins = ['http://localhost']\n\
         [[upstream]]\nname = 'app'\nservers = ['127.0.0.1:9']\n[[route]]\nupstream = 'app'\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

async fn connect(store: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(store);
    options.connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_listened_on_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = configuration(folder.path(), &address.to_string(), "");
    let port = format!("sport = :{}", address.port());
    let refused = gatehouse(&config, &["serve"]);
    assert_told(
        &refused,
        1,
        &[&address.to_string(), "in use", &port, "server.listen"],
    );

    // 192.0.2.0/24 is for documentation (RFC 5737): no interface has it.
    let config = configuration(folder.path(), "192.0.2.1:0", "");
    let refused = gatehouse(&config, &["serve"]);
    assert_told(&refused, 1, &["192.0.2.1:0", "ip address", "0.0.0.0"]);

    let refused = gatehouse(&config, &["demo", "--port", &address.port().to_string()]);
    assert_told(&refused, 1, &[&address.to_string(), "--port"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_open_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), "127.0.0.1:0", "");
    let store = folder.path().join("gatehouse.db");
    let name = store.display().to_string();
    let list = || gatehouse(&config, &["account", "list"]);
    assert_eq!(list().code, 0);

    let mut other = connect(&store).await;
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let refused = gatehouse(&config, &["account", "invite", "--login", "ann"]);
    assert_told(
        &refused,
        1,
        &["locked", "another program holds its lock", "try again"],
    );
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();

    let secret = folder.path().join("gatehouse.db.secret");
    let kept = std::fs::read_to_string(&secret).unwrap();
    std::fs::write(&secret, "short").unwrap();
    assert_told(
        &list(),
        1,
        &["gatehouse.db.secret", "Restore it from a backup"],
    );
    std::fs::write(&secret, "A".repeat(kept.trim().len())).unwrap();
    assert_told(&list(), 1, &["server.secret", "backup"]);
    std::fs::write(&secret, kept).unwrap();

    sqlx::query("PRAGMA user_version = 999")
        .execute(&mut other)
        .await
        .unwrap();
    drop(other);
    assert_told(
        &list(),
        1,
        &[&name, "newer Gatehouse", "999", "Run the version"],
    );

    std::fs::remove_file(&store).unwrap();
    std::fs::create_dir(&store).unwrap();
    assert_told(&list(), 1, &[&name, "store.url"]);
    std::fs::remove_dir(&store).unwrap();
    std::fs::write(
        &store,
        "not a store, but long enough to look like one ".repeat(40),
    )
    .unwrap();
    assert_told(&list(), 1, &[&name, "not a database", "restore a backup"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_be_carried_out_says_which_one_helps() {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &["--login", "ann"]);
    gateway.enrolled("bob@example.com").await;
    assert_eq!(
        gateway
            .command(&["account", "disable", "bob@example.com"])
            .code,
        0
    );
    let id = "018f2f6c-9f3b-4a4e-8a57-0c3b7f0e6a11";
    for (arguments, code, parts) in [
        (
            &["account", "show", "eve"][..],
            1,
            &["\"eve\"", "account list"][..],
        ),
        (
            &["account", "delete", "eve"],
            1,
            &["\"eve\"", "account list"],
        ),
        (
            &[
                "account",
                "invite",
                "--email",
                "x@example.com",
                "--login",
                "ann",
            ],
            1,
            &["login name", "account list --find"],
        ),
        (
            &["account", "invite", "--email", "bob@example.com"],
            1,
            &["bob@example.com"],
        ),
        (
            &["account", "invite", "--email", "nonsense"],
            2,
            &["--email", "nonsense", "ann@example.com", "--help"],
        ),
        (
            &["account", "invite", "--login", "x", "--group", "a,b"],
            2,
            &["--group", "a,b", "--help"],
        ),
        (
            &[
                "account",
                "passkey",
                "remove",
                "--account",
                ANN,
                "--credential",
                "AAAA",
            ],
            1,
            &["account show"],
        ),
        (
            &["session", "revoke", "--id", "nonsense"],
            2,
            &["--id", "nonsense", "session list"],
        ),
        (
            &[
                "session",
                "revoke",
                "--id",
                "00000000000000000000000000000000",
            ],
            1,
            &["session list"],
        ),
        (
            &[
                "session",
                "issue",
                "--account",
                "bob@example.com",
                "--access",
                "full",
                "--ttl",
                "1m",
            ],
            1,
            &["disabled", "account enable"],
        ),
        (
            &[
                "recovery",
                "issue",
                "--account",
                "eve",
                "--admin",
                "root",
                "--reason",
                "lost",
            ],
            1,
            &["\"eve\"", "account list"],
        ),
        (
            &[
                "recovery",
                "issue",
                "--account",
                ANN,
                "--admin",
                " ",
                "--reason",
                "lost",
            ],
            2,
            &["--admin", "--help"],
        ),
        (
            &[
                "recovery",
                "link",
                "--request",
                "nonsense",
                "--admin",
                "root",
            ],
            2,
            &["--request", "recovery list"],
        ),
        (
            &["recovery", "link", "--request", id, "--admin", "root"],
            1,
            &["is over", "recovery issue"],
        ),
        (
            &["explain", "GET", "app.example.com"],
            2,
            &["app.example.com", "https://", "--help"],
        ),
        (
            &["explain", "GET", "https://app.example.com/a/../b"],
            2,
            &["400", "--help"],
        ),
    ] {
        let outcome = gateway.command(arguments);
        assert_told(&outcome, code, parts);
    }
    let mistyped = gateway.command(&["acount", "list"]);
    assert_eq!(mistyped.code, 2);
    assert!(mistyped.stderr.contains("account"), "{mistyped:?}");
    let missing = gatehouse(&gateway.folder().join("missing.toml"), &["serve"]);
    assert_told(
        &missing,
        2,
        &["missing.toml", "cannot be read", "gatehouse check"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_or_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let more = "secret = 'env:GATEHOUSE_TEST_NOWHERE'";
    let config = configuration(folder.path(), "127.0.0.1:0", more);
    assert_told(
        &gatehouse(&config, &["serve"]),
        2,
        &["server.secret", "GATEHOUSE_TEST_NOWHERE", "gatehouse check"],
    );
    let more = "secret = 'file:nowhere'";
    let config = configuration(folder.path(), "127.0.0.1:0", more);
    assert_told(
        &gatehouse(&config, &["serve"]),
        2,
        &["server.secret", "nowhere", "gatehouse check"],
    );
}

/// The next line of the log that is one of these.
fn line(log: &std::sync::mpsc::Receiver<Json>, is_it: impl Fn(&Json) -> bool) -> Json {
    loop {
        let line = tokio::task::block_in_place(|| log.recv_timeout(SOON)).expect("a line");
        if is_it(&line) {
            return line;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_logs_bears_the_request_id_that_its_reader_quotes() {
    let mut gateway = Gateway::start().await;
    gateway.stop().await;
    let (_process, log) = Process::serve_and_log(&gateway.config, &[]);
    let mut other = connect(&gateway.folder().join("gatehouse.db")).await;
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let ann = gateway.person();
    let refused = ann.ask_for_mail(ANN, "/").await;
    assert_eq!(refused.status, 503);
    let told = line(&log, |line| line["level"] == "ERROR");
    let id = told["span"]["request_id"].as_str().expect("an id");
    assert!(refused.text().contains(id), "{told} {}", refused.text());
    let error = told["error"].as_str().unwrap();
    assert!(
        error.contains("locked") && error.contains("holds its lock"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_upstream_is_told_of_sparingly_with_the_key_to_turn() {
    let app = Scripted::start(&[Act::Silence]).await;
    let mut gateway = Gateway::start()
        .with_route("path = '/*'\naccess = 'public'")
        .before(app.address)
        .with_upstream("max_connections = 1")
        .await;
    gateway.stop().await;
    let (_process, log) = Process::serve_and_log(&gateway.config, &[]);
    let visitor = gateway.person();
    let held = visitor.request(Method::GET, "/held");
    let held = tokio::spawn(async move { drop(held.send().await) });
    within(SOON, "the app has it", || async {
        (!app.heard().is_empty()).then_some(())
    })
    .await;
    assert_eq!(visitor.open("/x").await.status, 503);
    let told = line(&log, |line| line["level"] == "WARN");
    assert_eq!(
        (&told["upstream"], &told["silenced"]),
        (&"app".into(), &0.into())
    );
    assert!(
        told["message"]
            .as_str()
            .unwrap()
            .contains("max_connections"),
        "{told}"
    );
    held.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_bears_the_request_id_for_people_and_for_programs() {
    let gateway = Gateway::start()
        .with_route("path = '/app/*'\naccess = 'public'")
        .with_route("path = '/staff/*'\nallow = { groups = ['staff'] }")
        .before_server("127.0.0.1:9")
        .await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "full");
    let visitor = gateway.person();
    for (person, path, status) in [
        (&visitor, "/staff/x", 401),
        (&ann, "/staff/x", 403),
        (&visitor, "/nowhere", 404),
        (&visitor, "/app/a%2Fb", 400),
        (&visitor, "/app/x", 502),
        (&visitor, "/.gatehouse/nothing", 404),
        (&visitor, "/.gatehouse/sign-out/everywhere", 405),
    ] {
        let program = person
            .request(Method::GET, path)
            .header(ACCEPT, "application/json");
        let refused = person.send(program).await;
        assert_eq!(refused.status, status, "{path}");
        let id = refused.json()["request_id"]
            .as_str()
            .expect("an id")
            .to_owned();
        assert_eq!(refused.header("x-request-id"), id, "{path}");
        assert_eq!(refused.header("allow").is_empty(), status != 405, "{path}");
        if status == 401 {
            continue;
        }
        let page = person.open(path).await;
        assert_eq!(page.status, status, "{path}");
        assert!(page.text().contains(page.header("x-request-id")), "{path}");
    }
}
