//! Backup codes: making them, signing in with one, and everything that makes one worth nothing.

use std::time::{Duration, Instant};

use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

use crate::harness::{Gateway, cookies::set_cookie_lines, page::Reply, person::codes_on};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";
const WRONG: &str = "0000-0000-0000-0000";
const ANSWER_AFTER: Duration = Duration::from_millis(250);
const MAKE: &str = "/.gatehouse/account/backup-codes";

#[tokio::test(flavor = "multi_thread")]
async fn a_code_signs_in_to_a_restricted_session_that_saves_a_new_passkey() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    gateway.mailbox.next(ANN).await;
    let codes = ann.make_backup_codes().await;
    assert_eq!(codes.len(), 10);
    let told = gateway.mailbox.next(ANN).await;
    assert!(
        told.subject.contains("New backup codes"),
        "{}",
        told.subject
    );

    let mut anew = gateway.person();
    let done = anew.enter_backup_code(ANN, &codes[0]).await;
    assert_eq!(done.location(), "/.gatehouse/enrol?return_to=/notes/7");
    assert_eq!(anew.session_kind().await, "restricted");
    assert!(anew.open("/report").await.leads_to("/.gatehouse/enrol"));
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.text.contains("9 are left"), "{}", told.text);
    assert!(
        told.text.contains("/.gatehouse/not-me?token="),
        "{}",
        told.text
    );

    assert_eq!(anew.enrol(None, "/notes/7").await.status, 200);
    assert_eq!(anew.session_kind().await, "full");
    let page = anew.open("/.gatehouse/account").await.text();
    assert!(page.contains("9 of 10 left"), "{page}");
    let newest = events(&gateway, ANN);
    assert_eq!(
        newest[..3],
        ["passkey_enrolled", "signed_in", "backup_codes_made"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_read_however_it_was_written_down_and_by_either_name() {
    let gateway = Gateway::start().await;
    let invitation = gateway.invite(ANN, &["--login", "ann"]);
    let mut ann = gateway.person();
    ann.enrol(Some(&invitation), "/").await;
    let codes = ann.make_backup_codes().await;
    for (name, code) in [
        ("ann", codes[0].to_lowercase()),
        (" Ann ", codes[1].replace('-', " ")),
        (
            "ANN@example.com",
            codes[2]
                .replace('-', "")
                .replace('0', "o")
                .replace('1', "l"),
        ),
    ] {
        let anew = gateway.person();
        let done = anew.enter_backup_code(name, &code).await;
        assert!(
            done.leads_to("/.gatehouse/enrol"),
            "{name}: {}",
            done.status
        );
    }
}

/// A name, a code, and what the log says of it; none of it may be told from the others by a stranger.
#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_one_and_the_same_answer_and_takes_its_time() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let older = ann.make_backup_codes().await;
    let codes = ann.make_backup_codes().await;
    gateway.person().enter_backup_code(ANN, &codes[0]).await;
    let bob = gateway.enrolled(BOB).await;
    let bobs = bob.make_backup_codes().await;
    gateway.enrolled("without-codes@example.com").await;
    let off = gateway.enrolled("off@example.com").await;
    let offs = off.make_backup_codes().await;
    let page = off.open("/.gatehouse/account").await;
    let switched = [("way", "backup-codes"), ("switch", "off")];
    off.submit(&page, "/.gatehouse/account/ways-back", &switched)
        .await;
    let blocked = gateway.enrolled("blocked@example.com").await;
    let blockeds = blocked.make_backup_codes().await;
    sql(
        &gateway,
        "UPDATE account SET recovery_blocked_at = 1 WHERE login LIKE 'blocked%'",
    )
    .await;
    let disabled = gateway.enrolled("disabled@example.com").await;
    let disableds = disabled.make_backup_codes().await;
    gateway.command(&["account", "disable", "disabled@example.com"]);

    let mut answers = Vec::new();
    for (name, code, reason) in [
        ("nobody@example.com", WRONG, None),
        ("nobody", codes[1].as_str(), None),
        (ANN, WRONG, Some("wrong_code")),
        (ANN, "not a code at all", Some("wrong_code")),
        (ANN, &codes[0], Some("wrong_code")),
        (ANN, &older[1], Some("wrong_code")),
        (ANN, &bobs[0], Some("wrong_code")),
        ("without-codes@example.com", WRONG, Some("not_redeemable")),
        ("off@example.com", &offs[0], Some("recovery_closed")),
        ("blocked@example.com", &blockeds[0], Some("recovery_closed")),
        (
            "disabled@example.com",
            &disableds[0],
            Some("account_disabled"),
        ),
    ] {
        let stranger = gateway.person();
        let begun = Instant::now();
        let refused = stranger.enter_backup_code(name, code).await;
        assert!(begun.elapsed() >= ANSWER_AFTER, "{name} {reason:?}");
        assert_eq!(refused.status, 422, "{name} {reason:?}");
        assert_eq!(refused.session_cookie(), None, "{name} {reason:?}");
        assert_eq!(stranger.session_kind().await, "none");
        assert!(
            !refused.text().contains(code),
            "the code is not shown again"
        );
        if let Some(reason) = reason {
            let refused = &audit(&gateway, name)[0];
            assert_eq!(
                (&refused["event"], &refused["method"], &refused["reason"]),
                (
                    &"sign_in_refused".into(),
                    &"backup_code".into(),
                    &reason.into()
                )
            );
        }
        answers.push((
            without_what_differs(&refused, name),
            names_of_cookies(&refused),
        ));
    }
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    // What is right still is.
    assert!(
        gateway
            .person()
            .enter_backup_code(BOB, &bobs[0])
            .await
            .status
            .is_redirection()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_redemptions_of_one_code_at_once_give_exactly_one_session() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let code = ann.make_backup_codes().await[0].clone();
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    let anew = std::sync::Arc::new(gateway.person());
    let page = std::sync::Arc::new(anew.open("/.gatehouse/recover/code").await);
    let racing: Vec<_> = (0..50)
        .map(|_| {
            let (anew, page, code) = (anew.clone(), page.clone(), code.clone());
            tokio::spawn(async move {
                let fields = [("name", ANN), ("code", &code), ("return_to", "/")];
                anew.submit(&page, "/.gatehouse/recover/code", &fields)
                    .await
            })
        })
        .collect();
    let mut sessions = 0;
    for racer in racing {
        let reply = racer.await.unwrap();
        // The rest are wrong by then, or too many at once.
        assert!(!reply.status.is_server_error(), "{}", reply.status);
        sessions += usize::from(reply.session_cookie().is_some());
    }
    assert_eq!(sessions, 1);
    let listed = gateway
        .command(&["session", "list", "--account", ANN, "--json"])
        .json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_for_each_name_whether_or_not_somebody_has_it() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let codes = ann.make_backup_codes().await;
    for name in [ANN, "nobody@example.com"] {
        for _ in 0..10 {
            assert_eq!(
                gateway.person().enter_backup_code(name, WRONG).await.status,
                422
            );
        }
        let slowed = gateway.person().enter_backup_code(name, &codes[0]).await;
        assert_eq!(slowed.status, 429, "{name}");
    }
    let left = ann.open("/.gatehouse/account").await.text();
    assert!(
        left.contains("10 of 10 left"),
        "the right one was not looked at"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hundredth_wrong_code_closes_this_way_until_new_ones_are_made() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let codes = ann.make_backup_codes().await;
    for _ in 0..2 {
        gateway.mailbox.next(ANN).await;
    }
    sql(&gateway, "UPDATE account SET backup_code_failures = 99").await;
    let wrong = gateway.person().enter_backup_code(ANN, WRONG).await;
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("no longer work"), "{}", told.subject);
    assert_eq!(
        events(&gateway, ANN)[..2],
        ["sign_in_refused", "backup_codes_closed"]
    );
    let right = gateway.person().enter_backup_code(ANN, &codes[0]).await;
    assert_eq!(
        without_what_differs(&right, ANN),
        without_what_differs(&wrong, ANN)
    );
    let page = ann.open("/.gatehouse/account").await.text();
    assert!(page.contains("Mistyped too often"), "{page}");

    let codes = ann.make_backup_codes().await;
    let done = gateway.person().enter_backup_code(ANN, &codes[0]).await;
    assert!(done.leads_to("/.gatehouse/enrol"), "{}", done.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_after_a_mail_is_a_second_proof_in_the_same_session() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    gateway.mailbox.next(ANN).await;
    let codes = ann.make_backup_codes().await;
    gateway.mailbox.next(ANN).await;
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    let anew = gateway.person();
    anew.ask_for_mail(ANN, "/").await;
    anew.enter_code(&gateway.mailbox.next(ANN).await.code())
        .await;
    let done = anew.enter_backup_code(ANN, &codes[0]).await;
    assert!(done.leads_to("/.gatehouse/enrol"), "{}", done.status);
    let listed = gateway
        .command(&["session", "list", "--account", ANN, "--json"])
        .json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(
        listed[0]["proofs"],
        serde_json::json!(["email", "backup_code"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_made_in_a_full_session_with_a_fresh_passkey_check_alone() {
    let gateway = Gateway::start().await;
    let stranger = gateway.person();
    assert!(stranger.open(MAKE).await.leads_to("/.gatehouse/sign-in"));
    let mut ann = gateway.enrolled(ANN).await;
    let page = ann.open(MAKE).await;
    assert_eq!(page.status, 200);
    assert!(codes_on(&page).is_empty(), "looking makes none");

    gateway.after(10);
    for reply in [
        ann.open(MAKE).await,
        ann.press_make_backup_codes(&page).await,
    ] {
        assert!(reply.leads_to("/.gatehouse/step-up"), "{}", reply.status);
    }
    ann.step_up(MAKE).await;
    assert_eq!(ann.make_backup_codes().await.len(), 10);

    let thief = gateway.person_with_session(ANN, "restricted");
    let account = thief.open("/.gatehouse/account").await;
    assert!(!account.text().contains(MAKE));
    for reply in [
        thief.open(MAKE).await,
        thief.press_make_backup_codes(&account).await,
    ] {
        assert!(reply.leads_to("/.gatehouse/enrol"), "{}", reply.status);
    }
    let full = gateway.person_with_session(ANN, "full");
    assert!(full.open(MAKE).await.leads_to("/.gatehouse/step-up"));
    let made = events(&gateway, ANN);
    let made = made.iter().filter(|event| *event == "backup_codes_made");
    assert_eq!(made.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reloading_shows_no_codes_and_leaves_those_that_were_saved_good() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let page = ann.open(MAKE).await;
    let shown = ann.press_make_backup_codes(&page).await;
    assert_eq!(shown.header("cache-control"), "no-store");
    let codes = codes_on(&shown);
    // A reload sends the form once more.
    let reloaded = ann.press_make_backup_codes(&page).await;
    assert!(reloaded.leads_to(MAKE), "{}", reloaded.status);
    let page = ann.open(&reloaded.location()).await;
    assert!(
        page.text().contains("stop working at once"),
        "{}",
        page.text()
    );
    for code in &codes {
        assert!(!page.text().contains(code));
    }
    let done = gateway.person().enter_backup_code(ANN, &codes[9]).await;
    assert!(done.leads_to("/.gatehouse/enrol"), "{}", done.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn pressing_twice_at_once_shows_one_set_and_that_one_is_good() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let page = ann.open(MAKE).await;
    let (one, other) = tokio::join!(
        ann.press_make_backup_codes(&page),
        ann.press_make_backup_codes(&page),
    );
    let shown = [codes_on(&one), codes_on(&other)].concat();
    assert_eq!(shown.len(), 10);
    let done = gateway.person().enter_backup_code(ANN, &shown[0]).await;
    assert!(done.leads_to("/.gatehouse/enrol"), "{}", done.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_codes_are_pointed_out() {
    let gateway = Gateway::start()
        .with("methods.backup_codes", "count = 5")
        .await;
    let ann = gateway.enrolled(ANN).await;
    let codes = ann.make_backup_codes().await;
    assert_eq!(codes.len(), 5);
    let mut anew = gateway.person();
    anew.enter_backup_code(ANN, &codes[0]).await;
    let page = ann.open("/.gatehouse/account").await.text();
    assert!(page.contains("4 of 5 left") && !page.contains("Only a few"));
    anew.enter_backup_code(ANN, &codes[1]).await;
    let page = ann.open("/.gatehouse/account").await.text();
    assert!(page.contains("3 of 5 left") && page.contains("Only a few"));
    // And to whoever has just come back with one.
    anew.enrol(None, "/").await;
    let saved = anew.open("/.gatehouse/enrol/saved").await.text();
    assert!(saved.contains("Make backup codes"), "{saved}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_codes_are_not_offered_there_are_none() {
    let gateway = Gateway::start()
        .with("methods.backup_codes", "enabled = false")
        .await;
    let ann = gateway.enrolled(ANN).await;
    assert_eq!(ann.open(MAKE).await.status, 404);
    assert_eq!(ann.open("/.gatehouse/recover/code").await.status, 404);
    let account = ann.open("/.gatehouse/account").await;
    assert!(!account.text().contains("ackup codes"));
    let page = &account;
    let made = ann.submit(page, MAKE, &[]).await;
    assert_eq!(made.status, 404);
    let fields = [("name", ANN), ("code", WRONG)];
    let tried = ann.submit(page, "/.gatehouse/recover/code", &fields).await;
    assert_eq!(tried.status, 404);
    let saved = ann.open("/.gatehouse/enrol/saved").await.text();
    assert!(!saved.contains("ackup codes"));
}

/// Runs a statement on the store beside the gateway.
pub async fn sql(gateway: &Gateway, statement: &'static str) {
    let file = gateway.folder().join("gatehouse.db");
    let options = SqliteConnectOptions::new().filename(file);
    let mut connection = options.connect().await.unwrap();
    sqlx::query(statement)
        .execute(&mut connection)
        .await
        .unwrap();
}

/// What happened to an account, newest first.
pub fn audit(gateway: &Gateway, name: &str) -> Vec<serde_json::Value> {
    let shown = gateway.command(&["account", "show", name, "--json"]).json();
    shown["audit"].as_array().unwrap().clone()
}

pub fn events(gateway: &Gateway, name: &str) -> Vec<String> {
    audit(gateway, name)
        .iter()
        .map(|record| record["event"].as_str().unwrap().to_owned())
        .collect()
}

fn names_of_cookies(reply: &Reply) -> Vec<String> {
    let mut names: Vec<_> = set_cookie_lines(&reply.headers)
        .iter()
        .map(|line| line.split('=').next().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    names
}

fn without_what_differs(page: &Reply, name: &str) -> String {
    page.text()
        .replace(&page.form_token(), "TOKEN")
        .replace(name, "NAME")
}
