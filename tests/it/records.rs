//! What is written down: every step of a person in the audit log, and no secret in any log.

use std::{
    io::Write,
    sync::{Arc, Mutex, OnceLock},
};

use serde_json::Value as Json;
use tracing_subscriber::EnvFilter;

use crate::harness::{
    Gateway, Person,
    log_file::{LogFile, TO_FILE},
};

const ZOE: &str = "zoe.of-the-records@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_matters_to_an_account_is_audited() {
    let gateway = Gateway::start().await;
    gateway.invite(ZOE, &[]);
    let mut zoe = by_mail(&gateway).await.0;
    zoe.enrol(None, "/").await;
    zoe.step_up("/admin/users").await;
    zoe.press_on_account_page("/.gatehouse/sign-out").await;
    gateway.command(&["account", "disable", ZOE]);

    let shown = gateway.command(&["account", "show", ZOE, "--json"]).json();
    let mut records = shown["audit"].as_array().unwrap().clone();
    records.reverse();
    let events: Vec<&str> = records
        .iter()
        .map(|record| record["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        events,
        [
            "account_created",
            "sign_in_mail_requested",
            "sign_in_refused",
            "signed_in",
            "passkey_enrolled",
            "stepped_up",
            "signed_out",
            "account_disabled",
        ]
    );
    assert_eq!(records[2]["reason"], "wrong_code");
    assert_eq!(
        (&records[3]["method"], &records[3]["restricted"]),
        (&"email".into(), &true.into())
    );
    for record in &records[1..7] {
        assert!(record["at"].is_i64());
        assert_eq!(record["network"], "127.0.0.0");
        assert_eq!(
            record["request"].as_str().map(str::len),
            Some(32),
            "{record}"
        );
    }
    for record in [&records[0], &records[7]] {
        assert_eq!(record["request"], Json::Null, "the command line has none");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_at_the_last_step_are_audited_too() {
    let gateway = Gateway::start().await;
    let mut zoe = gateway.enrolled(ZOE).await;
    zoe.press_on_account_page("/.gatehouse/sign-out").await;
    let ceremony = zoe.begin_sign_in("/").await;
    let credential = zoe.phone.get(&ceremony.public_key, &zoe.origin).unwrap();
    zoe.finish_sign_in(&ceremony, credential.clone(), "/").await;
    let replayed = zoe.finish_sign_in(&ceremony, credential, "/").await;
    assert_eq!(replayed.status, 409);
    assert_eq!(newest(&gateway)["reason"], "not_redeemable");

    zoe.press_on_account_page("/.gatehouse/sign-out").await;
    gateway.command(&["account", "disable", ZOE]);
    assert_eq!(zoe.sign_in("/").await.status, 403);
    let refused = newest(&gateway);
    assert_eq!(
        (&refused["event"], &refused["reason"]),
        (&"sign_in_refused".into(), &"account_disabled".into())
    );

    gateway.command(&["account", "enable", ZOE]);
    let sessions = gateway.command(&["session", "list", "--json"]).json();
    assert_eq!(sessions, serde_json::json!([]));
    zoe.sign_in("/").await;
    let sessions = gateway.command(&["session", "list", "--json"]).json();
    gateway.command(&[
        "session",
        "revoke",
        "--id",
        sessions[0]["id"].as_str().unwrap(),
    ]);
    assert_eq!(
        newest(&gateway)["event"],
        "sessions_revoked",
        "it is told whose session it was"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fifth_wrong_code_is_told_from_the_others() {
    let gateway = Gateway::start().await;
    gateway.invite(ZOE, &[]);
    let zoe = gateway.person();
    zoe.ask_for_mail(ZOE, "/").await;
    let right = gateway.mailbox.next(ZOE).await.code();
    let wrong = if right == "00000000" {
        "00000001"
    } else {
        "00000000"
    };
    for reason in [
        "wrong_code",
        "wrong_code",
        "wrong_code",
        "wrong_code",
        "too_many_wrong_codes",
        "not_redeemable",
    ] {
        zoe.enter_code(wrong).await;
        assert_eq!(newest(&gateway)["reason"], reason);
    }
}

/// The last thing that happened to the account.
fn newest(gateway: &Gateway) -> Json {
    gateway.command(&["account", "show", ZOE, "--json"]).json()["audit"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_address_reaches_a_log() {
    let log = log();
    let gateway = Gateway::start().with("log", TO_FILE).await;
    let access = LogFile::of(&gateway);
    let invitation = gateway.invite(ZOE, &[]);
    let (mut zoe, mut secrets) = by_mail(&gateway).await;
    let restricted = zoe.session_cookie().unwrap();
    zoe.enrol(None, "/").await;
    let codes = zoe.make_backup_codes().await;
    let anew = gateway.person();
    anew.enter_backup_code(ZOE, "0000-0000-0000-0000").await;
    anew.enter_backup_code(ZOE, &codes[0]).await;
    assert_eq!(anew.session_kind().await, "restricted");
    secrets.extend(codes.clone());
    secrets.extend(codes.iter().map(|code| code.replace('-', "")));
    let opened = zoe.open("/notes/list?key=a-query-that-is-secret").await;
    assert_eq!(opened.status, 200);
    gateway
        .person()
        .open(&format!("/.gatehouse/enrol?invitation={invitation}"))
        .await;
    secrets.extend([
        ZOE.to_owned(),
        invitation,
        restricted,
        zoe.session_cookie().unwrap(),
        "a-query-that-is-secret".to_owned(),
    ]);
    secrets.extend(zoe.cookie_header().split("; ").filter_map(value_of));

    let line = access.line_of("/notes/list").await;
    assert_eq!(line["request_id"], opened.header("x-request-id"));
    let mut written = String::from_utf8_lossy(&log.lock().unwrap()).into_owned();
    written += &access.text();
    assert!(
        written.contains("passkey_enrolled"),
        "and the audit log too"
    );
    for secret in secrets {
        assert!(!written.contains(&secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_administrators_write_and_hand_over_reaches_no_log() {
    let log = log();
    let gateway = Gateway::start()
        .with("admin", "group = 'admins'")
        .with("log", TO_FILE)
        .await;
    gateway.invite(ZOE, &[]);
    let mut root = gateway.person();
    let invitation = gateway.invite("root.of-the-records@example.com", &["--group", "admins"]);
    root.enrol(Some(&invitation), "/").await;
    root.step_up("/").await;
    let id = gateway.command(&["account", "show", ZOE, "--json"]).json()["account"]["id"].clone();
    let path = format!(
        "/.gatehouse/admin/accounts/{}/recover",
        id.as_str().unwrap()
    );
    root.open(&format!("/.gatehouse/admin?query={ZOE}")).await;
    let form = root.open(&path).await;
    let note = "a note that is for the store alone";
    let fields = [("reason", "other"), ("note", note)];
    let handover = root.submit(&form, &path, &fields).await.text();
    let (_, token) = handover.split_once("token=").expect("a link");
    let token = token.split('"').next().unwrap().to_owned();
    let zoe = gateway.person();
    let link = format!("/.gatehouse/recover/link?token={token}");
    let page = zoe.open(&link).await;
    zoe.submit(&page, "/.gatehouse/recover/link", &[("token", &token)])
        .await;
    assert_eq!(zoe.session_kind().await, "restricted");

    let access = LogFile::of(&gateway);
    access.line_of("/.gatehouse/recover").await;
    let mut written = String::from_utf8_lossy(&log.lock().unwrap()).into_owned();
    written += &access.text();
    for event in [
        "recovery_requested",
        "recovery_link_issued",
        "\\\"method\\\":\\\"recovery",
    ] {
        assert!(written.contains(event), "{event}");
    }
    for secret in [ZOE, "root.of-the-records", note, &token] {
        assert!(!written.contains(secret), "{secret}");
    }
}

/// Asks for a mail, mistypes its code, then types it. Gives what no log may hold.
async fn by_mail(gateway: &Gateway) -> (Person, Vec<String>) {
    let zoe = gateway.person();
    zoe.ask_for_mail(ZOE, "/").await;
    let mail = gateway.mailbox.next(ZOE).await;
    let wrong = if mail.code() == "00000000" {
        "00000001"
    } else {
        "00000000"
    };
    zoe.enter_code(wrong).await;
    zoe.open_link(&mail.link()).await;
    zoe.enter_code(&mail.code()).await;
    assert_eq!(zoe.session_kind().await, "restricted");
    let (_, token) = mail
        .link()
        .split_once("token=")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    (zoe, vec![mail.code(), token])
}

fn value_of(cookie: &str) -> Option<String> {
    cookie.split_once('=').map(|(_, value)| value.to_owned())
}

/// Everything that this process logs from now on, filtered as `serve` does.
fn log() -> Arc<Mutex<Vec<u8>>> {
    static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let log = Arc::<Mutex<Vec<u8>>>::default();
        let written = log.clone();
        tracing_subscriber::fmt()
            .json()
            .with_env_filter(EnvFilter::new(gatehouse::telemetry::SERVE_FILTER))
            .with_writer(move || Pen(written.clone()))
            .init();
        log
    });
    log.clone()
}

struct Pen(Arc<Mutex<Vec<u8>>>);

impl Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
