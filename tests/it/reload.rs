//! A new configuration is taken up while everything goes on, whole or not at all.

use std::time::{Duration, Instant};

use gatehouse::telemetry::metrics::ReloadOf;

use crate::harness::{
    Gateway,
    live::Open,
    log_file::{LogFile, TO_FILE},
    process::{Process, Signal},
    raw,
    upstream::Answer,
    waiting::{SOON, within},
};

const ANN: &str = "ann@example.com";

/// What people are promised of what is open when a right is taken away.
const PROMISED: Duration = Duration::from_secs(2);

async fn taken_up(gateway: &Gateway, times: u64) {
    within(SOON, "it is in force", async || {
        (gateway.reloads(ReloadOf::Configuration).0 >= times).then_some(())
    })
    .await;
}

async fn refused(gateway: &Gateway) -> String {
    within(SOON, "it is refused", async || {
        gateway.trouble_with_configuration()
    })
    .await
}

async fn status(gateway: &Gateway, target: &str) -> u16 {
    raw::get(gateway.address, target, &["Accept: application/json"])
        .await
        .status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_taken_up_by_itself() {
    let gateway = Gateway::start()
        .with_route("path = '/public/*'\naccess = 'public'")
        .with_route("path = '/*'")
        .await;
    gateway.looks_after_its_files();
    assert_eq!(status(&gateway, "/open/page").await, 401);
    gateway.rewrite("'/public/*'", "'/open/*'");
    taken_up(&gateway, 1).await;
    assert_eq!(status(&gateway, "/open/page").await, 200);
    assert_eq!(status(&gateway, "/public/page").await, 401);
    assert_eq!(gateway.reloads(ReloadOf::Configuration), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_leaves_the_old_one_in_force_until_it_is_mended() {
    let gateway = Gateway::start().await;
    gateway.looks_after_its_files();
    gateway.rewrite("'/public/*'", "'/open/*'");
    gateway.rewrite("idle = '1h'", "idle = 'never'");
    let problem = refused(&gateway).await;
    assert!(
        problem.contains("gatehouse.toml:") && problem.contains("session.idle = 'never'"),
        "{problem}"
    );
    assert_eq!(status(&gateway, "/public/page").await, 200);
    assert_eq!(status(&gateway, "/open/page").await, 401);
    gateway.rewrite("idle = 'never'", "idle = '2h'");
    taken_up(&gateway, 1).await;
    assert_eq!(gateway.trouble_with_configuration(), None);
    assert_eq!(status(&gateway, "/open/page").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_named_counts_as_much() {
    let setup = Gateway::start();
    let text = setup.folder().join("mail-url");
    std::fs::write(&text, "smtps://u:hunter2@mail.example\n").unwrap();
    let gateway = setup
        .with("mail", "url = 'file:mail-url'\nfrom = 'a@example.com'")
        .await;
    gateway.looks_after_its_files();
    std::fs::write(&text, "smtps://u:hunter2@\n").unwrap();
    let problem = refused(&gateway).await;
    assert!(problem.contains("mail.url"), "{problem}");
    assert!(!problem.contains("hunter2"), "{problem}");
    std::fs::write(&text, "smtps://u:hunter2@other.example\n").unwrap();
    taken_up(&gateway, 1).await;
    let mail = gateway.core().snapshot().config.mail.clone().unwrap();
    assert!(format!("{:?}", mail.transport).contains("other.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_running_process_cannot_change_is_named_and_nothing_is_taken() {
    let gateway = Gateway::start().await;
    gateway.looks_after_its_files();
    gateway.rewrite("'/public/*'", "'/open/*'");
    gateway.rewrite("gatehouse.db'", "other.db'");
    let problem = refused(&gateway).await;
    assert!(
        problem.starts_with("server.secret, store.url cannot change while the gateway runs"),
        "{problem}"
    );
    assert_eq!(status(&gateway, "/public/page").await, 200);
    assert_eq!(gateway.reloads(ReloadOf::Configuration), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_cuts_what_is_open() {
    let gateway = Gateway::start()
        .with_route("path = '/public/*'\naccess = 'public'")
        .with_route("path = '/notes/*'\naccess = 'signed_in'")
        .with_route("path = '/*'")
        .await;
    gateway.looks_after_its_files();
    for area in ["/public", "/notes", "/app"] {
        gateway
            .upstream
            .answer(&format!("{area}/socket"), Answer::Echo);
    }
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "full");
    let open = async |area: &str| {
        let target = format!("{area}/socket");
        Open::websocket(&gateway, &target, &ann.cookie_header()).await
    };
    let public = open("/public").await;
    let notes = open("/notes").await;
    let mut app = open("/app").await;
    gateway.rewrite("access = 'public'", "access = 'signed_in'");
    gateway.rewrite(
        "path = '/notes/*'",
        "path = '/notes/*'\nallow = { groups = ['staff'] }",
    );
    gateway.ask_for_reload();
    taken_up(&gateway, 1).await;
    let since = Instant::now();
    for (socket, what) in [(public, "a public one"), (notes, "one of a group")] {
        let lag = socket.cut(what).await.saturating_duration_since(since);
        assert!(lag < PROMISED, "{what}: {lag:?}");
    }
    app.says("still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn assertions_that_are_switched_on_can_be_verified_at_once() {
    let gateway = Gateway::start()
        .with("identity", "headers = ['remote']")
        .await;
    gateway.looks_after_its_files();
    let jwks = async || {
        let answer = raw::get(gateway.address, "/.gatehouse/jwks.json", &[]).await;
        answer.0.contains("\"kid\"")
    };
    assert!(!jwks().await);
    gateway.rewrite(
        "headers = ['remote']",
        "headers = ['remote']\nassertion = 'X-Proof'",
    );
    taken_up(&gateway, 1).await;
    assert!(jwks().await);
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "full");
    ann.open("/app").await;
    assert_eq!(
        gateway.upstream.last().header("X-Proof").split('.').count(),
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_for_those_who_come_after() {
    let gateway = Gateway::start()
        .with_server("limits.header_fields = 20")
        .await;
    gateway.looks_after_its_files();
    let many = vec!["X: y"; 30];
    let answered = async || {
        raw::get(gateway.address, "/public/page", &many)
            .await
            .status()
    };
    assert_eq!(answered().await, 431);
    gateway.rewrite(
        "header_fields = 20",
        "header_fields = 50\nlimits.in_flight = 1",
    );
    taken_up(&gateway, 1).await;
    assert_eq!(answered().await, 200);
    gateway.upstream.answer("/public/events", Answer::Endless);
    let open = Open::events(&gateway, "/public/events", "").await;
    assert_eq!(answered().await, 503);
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_is_told_of_until_it_can() {
    let gateway = Gateway::start().with_tls().await;
    let key = gateway.certificates.as_ref().unwrap().key.clone();
    let whole = std::fs::read(&key).unwrap();
    std::fs::write(&key, "half").unwrap();
    let problem = within(SOON, "it is refused", async || {
        gateway.trouble_with_certificates()
    })
    .await;
    assert!(problem.contains("key.pem"), "{problem}");
    assert_eq!(gateway.reloads(ReloadOf::Certificates), (0, 1));
    assert_eq!(gateway.person().open("/public/page").await.status, 200);
    std::fs::write(&key, whole).unwrap();
    within(SOON, "it is taken", async || {
        gateway.trouble_with_certificates().is_none().then_some(())
    })
    .await;
    assert_eq!(gateway.reloads(ReloadOf::Certificates), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_is_answered_in_the_log() {
    let mut gateway = Gateway::start().await;
    gateway.stop().await;
    let mut process = Process::serve(&gateway.config);
    process.signal(Signal::HUP);
    let record = process.says("the new configuration is in force").await;
    assert_eq!(record["routes"], 5);
    gateway.rewrite("access = 'public'", "access = 'publc'");
    process
        .says("cannot be used; the old one stays in force")
        .await;
    process.signal(Signal::HUP);
    let record = process
        .says("cannot be used; the old one stays in force")
        .await;
    let problems = record["problems"].as_str().unwrap();
    assert!(
        problems.contains("route[0].access = 'publc'") && problems.contains("did you mean"),
        "{problems}"
    );
    assert_eq!(status(&gateway, "/public/page").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_access_log_is_opened_anew_whatever_the_configuration_is_like() {
    let gateway = Gateway::start().with("log", TO_FILE).await;
    gateway.looks_after_its_files();
    let log = LogFile::of(&gateway);
    gateway.person().open("/public/1").await;
    log.line_of("/public/1").await;
    for (path, is_broken) in [("/public/2", false), ("/public/3", true)] {
        if is_broken {
            gateway.rewrite("idle = '1h'", "idle = 'never'");
            refused(&gateway).await;
        }
        let rotated = gateway.folder().join(format!("access.log.{is_broken}"));
        std::fs::rename(&log.0, &rotated).unwrap();
        gateway.ask_for_reload();
        within(SOON, "it is opened", async || log.0.exists().then_some(())).await;
        gateway.person().open(path).await;
        log.line_of(path).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_opened_is_not_taken_up() {
    let gateway = Gateway::start()
        .with_route("path = '/public/*'\naccess = 'public'")
        .with_route("path = '/*'")
        .with("log", TO_FILE)
        .await;
    gateway.looks_after_its_files();
    std::fs::create_dir(gateway.folder().join("folder")).unwrap();
    gateway.rewrite("'/public/*'", "'/open/*'");
    gateway.rewrite("'access.log'", "'folder'");
    let problem = refused(&gateway).await;
    assert!(problem.contains("folder"), "{problem}");
    assert_eq!(status(&gateway, "/public/page").await, 200);
}
