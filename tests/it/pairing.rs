//! Pairing: a device on which somebody is signed in lets another one in, and everybody else stays out.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value as Json, json};

use crate::harness::{
    Gateway, Person,
    page::Reply,
    person::Protocol,
    waiting::{SOON, within},
};

const ANN: &str = "ann@example.com";
const EVE: &str = "eve@example.com";

/// What the device that asks shows.
struct Shown {
    /// Where its picture leads.
    link: String,
    code: String,
    number: String,
}

/// Ann with her passkey on one device, and another that nobody is signed in on.
async fn two_devices() -> (Gateway, Person, Person) {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let laptop = gateway.person();
    (gateway, ann, laptop)
}

/// Asks to be let in; what is shown then.
async fn ask(person: &Person) -> Shown {
    let page = person.open("/.gatehouse/pair?return_to=/notes").await;
    assert_eq!(page.status, 200, "{}", page.text());
    let fields = [("return_to", "/notes")];
    let asked = person
        .submit(&page, "/.gatehouse/pair/start", &fields)
        .await;
    assert!(asked.leads_to("/.gatehouse/pair/wait"), "{}", asked.text());
    let page = person.open("/.gatehouse/pair/wait").await;
    let [number, code] = page.big_codes().try_into().expect("a number and a code");
    let link = page.scanned();
    let link = link.strip_prefix(&person.origin).expect("a link to here");
    Shown {
        link: link.to_owned(),
        code,
        number,
    }
}

/// Types a code where somebody is signed in; gives the page of the request, or what came instead.
async fn type_code(person: &Person, code: &str) -> Reply {
    let page = person.open("/.gatehouse/account/pair").await;
    let found = person
        .submit(&page, "/.gatehouse/account/pair", &[("code", code)])
        .await;
    if found.status.is_redirection() {
        person.open(&found.location()).await
    } else {
        found
    }
}

/// A number that is not this one.
fn another(number: &str) -> &'static str {
    if number == "42" { "24" } else { "42" }
}

/// A passkey check for the request on `page`.
struct Check {
    form_token: String,
    body: Json,
}

async fn check(person: &mut Person, page: &Reply, number: &str) -> Check {
    assert_eq!(page.status, 200, "{}", page.text());
    let form_token = page.form_token();
    let pairing = page.input("pairing").expect("a request to approve");
    let opening = json!({"pairing": pairing, "number": number});
    let started = person
        .post_json(&form_token, "/.gatehouse/pair/approve/start", &opening)
        .await;
    assert_eq!(started.status, 200, "{}", started.text());
    let started = started.json();
    let credential = person.phone.get(&started["publicKey"], &person.origin);
    let body = json!({
        "pairing": pairing,
        "number": number,
        "state": started["state"],
        "credential": credential.expect("a passkey of this account"),
    });
    Check { form_token, body }
}

async fn confirm(person: &Person, check: &Check) -> Reply {
    let finish = "/.gatehouse/pair/approve/finish";
    person
        .post_json(&check.form_token, finish, &check.body)
        .await
}

/// Compares the number and confirms with the passkey.
async fn approve(person: &mut Person, page: &Reply, number: &str) -> Reply {
    let check = check(person, page, number).await;
    confirm(person, &check).await
}

/// Has `ann` let `laptop` in, up to its fetching of the session.
pub async fn approved(ann: &mut Person, laptop: &Person) {
    let shown = ask(laptop).await;
    let page = ann.open(&shown.link).await;
    let done = approve(ann, &page, &shown.number).await;
    assert_eq!(done.status, 200, "{}", done.text());
}

/// What the page of the device that asks does once it is let in.
async fn finish(person: &Person) -> Reply {
    let page = person.open("/.gatehouse/pair").await;
    person.submit(&page, "/.gatehouse/pair/finish", &[]).await
}

async fn state(person: &Person) -> String {
    let told = person.fetch(Method::GET, "/.gatehouse/pair/state").await;
    told.json()["state"].as_str().expect("a state").to_owned()
}

/// The audit records of an account, newest first.
fn audit(gateway: &Gateway, email: &str) -> Vec<Json> {
    let shown = gateway.command(&["account", "show", email, "--json"]);
    shown.json()["audit"].as_array().unwrap().clone()
}

fn newest(gateway: &Gateway, email: &str) -> (String, String) {
    let record = audit(gateway, email).remove(0);
    let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    (text("event"), text("reason"))
}

fn is_over(reply: &Reply) -> bool {
    reply.status == StatusCode::GONE
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_let_in_from_another_one_and_saves_a_passkey_of_its_own() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    let mut laptop = gateway.person();
    let shown = ask(&laptop).await;
    assert_eq!(state(&laptop).await, "waiting");

    let page = type_code(&ann, &shown.code.to_lowercase()).await;
    assert!(page.text().contains("127.0.0.0/24 (the same as yours)"));
    assert!(page.text().contains("UTC"), "when it was asked for");
    assert_eq!(state(&laptop).await, "seen");
    let early = finish(&laptop).await;
    assert!(is_over(&early), "{}", early.text());

    let approved = approve(&mut ann, &page, &shown.number).await;
    assert_eq!(
        approved.json()["location"],
        "/.gatehouse/pair/done",
        "{}",
        approved.text()
    );
    assert_eq!(state(&laptop).await, "approved");
    let page = laptop.open("/.gatehouse/pair/wait").await;
    let done = laptop.submit(&page, "/.gatehouse/pair/finish", &[]).await;
    assert_eq!(done.location(), "/.gatehouse/enrol?return_to=/notes");
    assert_eq!(laptop.session_kind().await, "restricted");
    let saved = laptop.enrol(None, "/notes").await;
    assert_eq!(saved.status, 200, "{}", saved.text());
    assert_eq!(laptop.session_kind().await, "full");

    let mut events: Vec<_> = audit(&gateway, ANN)
        .iter()
        .map(|record| record["event"].as_str().unwrap().to_owned())
        .collect();
    events.reverse();
    let told = [
        "pairing_seen",
        "sign_in_refused",
        "pairing_approved",
        "signed_in",
        "passkey_enrolled",
    ];
    assert_eq!(events[events.len() - 5..], told);
    let subjects = [
        gateway.mailbox.next(ANN).await.subject,
        gateway.mailbox.next(ANN).await.subject,
    ];
    assert!(
        subjects.iter().any(|subject| subject.contains("device")),
        "{subjects:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_picture_leads_to_the_request_and_through_sign_in_to_it() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    let laptop = gateway.person();
    let shown = ask(&laptop).await;
    let turned_away = ann.open(&shown.link).await;
    assert!(turned_away.leads_to("/.gatehouse/sign-in"));
    assert_eq!(state(&laptop).await, "waiting", "nobody has seen it");
    let done = ann.sign_in(&shown.link).await;
    assert_eq!(done.json()["location"], shown.link, "{}", done.text());
    let page = ann.open(&shown.link).await;
    let approved = approve(&mut ann, &page, &shown.number).await;
    assert_eq!(approved.status, 200, "{}", approved.text());
    assert!(finish(&laptop).await.status.is_redirection());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_picture_lets_nobody_else_in() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    let mut eve = gateway.enrolled(EVE).await;
    let (laptop, thief) = (gateway.person(), gateway.person());
    let shown = ask(&laptop).await;
    // Without a session it leads to sign-in, with one of another account to nothing once Ann has looked.
    assert!(
        thief
            .open(&shown.link)
            .await
            .leads_to("/.gatehouse/sign-in")
    );
    let page = ann.open(&shown.link).await;
    assert!(is_over(&eve.open(&shown.link).await));
    assert!(
        eve.fetch(Method::GET, "/.gatehouse/pair/state")
            .await
            .json()["state"]
            == "over"
    );
    let theirs = json!({"pairing": page.input("pairing"), "number": shown.number});
    let other_page = type_code(&eve, &ask(&thief).await.code).await;
    let start = "/.gatehouse/pair/approve/start";
    let refused = eve
        .post_json(&other_page.form_token(), start, &theirs)
        .await;
    assert!(is_over(&refused), "{}", refused.text());
    // A passkey check that Eve made for another request does not approve this one.
    let mut moved = check(&mut eve, &other_page, "42").await;
    moved.body["pairing"] = theirs["pairing"].clone();
    moved.body["number"] = theirs["number"].clone();
    assert_eq!(confirm(&eve, &moved).await.status, StatusCode::CONFLICT);

    let approved = approve(&mut ann, &page, &shown.number).await;
    assert_eq!(approved.status, 200, "{}", approved.text());
    // Approved is the browser that asked: another one that holds link, code and number gets nothing.
    assert!(is_over(&finish(&thief).await));
    assert_eq!(thief.session_kind().await, "none");
    assert!(finish(&laptop).await.status.is_redirection());
    assert_eq!(laptop.session_kind().await, "restricted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_not_replayed() {
    let (gateway, mut ann, laptop) = two_devices().await;
    let shown = ask(&laptop).await;
    let page = ann.open(&shown.link).await;
    let once = check(&mut ann, &page, &shown.number).await;
    let late = check(&mut ann, &page, &shown.number).await;
    assert_eq!(confirm(&ann, &once).await.status, 200);
    assert!(is_over(&confirm(&ann, &once).await), "the same answer");
    assert!(finish(&laptop).await.status.is_redirection());
    assert!(is_over(&confirm(&ann, &late).await), "a spent pairing");
    assert!(is_over(&finish(&laptop).await), "a spent approval");
    // The answer that approved one request approves no later one of the same browser.
    gateway.after(11);
    let again = ask(&gateway.person()).await;
    let page = ann.open(&again.link).await;
    let mut replayed = once;
    replayed.body["pairing"] = page.input("pairing").into();
    replayed.body["number"] = again.number.into();
    let refused = confirm(&ann, &replayed).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text());
    assert_eq!(refused.json()["error"], "ceremony_over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_check_is_good_in_the_browser_that_made_it() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    let elsewhere = gateway.person_with_session(ANN, "full");
    let laptop = gateway.person();
    let shown = ask(&laptop).await;
    let page = ann.open(&shown.link).await;
    let mut stolen = check(&mut ann, &page, &shown.number).await;
    stolen.form_token = elsewhere
        .open("/.gatehouse/account/pair")
        .await
        .form_token();
    let refused = confirm(&elsewhere, &stolen).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text());
    assert_eq!(state(&laptop).await, "seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_session_lets_nobody_in() {
    let gateway = Gateway::start().await;
    gateway.enrolled(ANN).await;
    let mallory = gateway.person_with_session(ANN, "restricted");
    let laptop = gateway.person();
    let shown = ask(&laptop).await;
    for path in [
        "/.gatehouse/account/pair",
        &shown.link,
        "/.gatehouse/pair/phone",
    ] {
        let refused = mallory.open(path).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        assert!(refused.text().contains("let another in yet"), "{path}");
    }
    assert_eq!(state(&laptop).await, "waiting");
    let told = ("pairing_refused".to_owned(), "restricted".to_owned());
    assert_eq!(newest(&gateway, ANN), told);
    let token = mallory.open("/.gatehouse/account").await.form_token();
    let body = json!({"pairing": "0".repeat(32), "number": "42"});
    let start = "/.gatehouse/pair/approve/start";
    let refused = mallory.post_json(&token, start, &body).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        !mallory
            .open("/.gatehouse/account")
            .await
            .text()
            .contains("/.gatehouse/account/pair")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_is_matched_and_the_second_wrong_one_ends_it() {
    let (gateway, mut ann, laptop) = two_devices().await;
    let shown = ask(&laptop).await;
    let page = type_code(&ann, &shown.code).await;
    // Nothing typed is no wrong number.
    let pairing = page.input("pairing").unwrap();
    for number in ["", "4", "4x", "420"] {
        let body = json!({"pairing": pairing, "number": number});
        let start = "/.gatehouse/pair/approve/start";
        let missing = ann.post_json(&page.form_token(), start, &body).await;
        assert_eq!(missing.json()["error"], "number_missing", "{number}");
    }
    let wrong = approve(&mut ann, &page, another(&shown.number)).await;
    assert_eq!(wrong.json()["error"], "wrong_number");
    let told = ("pairing_refused".to_owned(), "wrong_number".to_owned());
    assert_eq!(newest(&gateway, ANN), told);
    assert_eq!(state(&laptop).await, "seen");
    let wrong = approve(&mut ann, &page, another(&shown.number)).await;
    assert!(is_over(&wrong), "{}", wrong.text());
    assert_eq!(state(&laptop).await, "refused");
    let page = laptop.open("/.gatehouse/pair/wait").await;
    assert!(page.text().contains("not let in"), "{}", page.text());
    assert!(is_over(&finish(&laptop).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_refused_by_its_owner() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let laptop = gateway.person();
    let shown = ask(&laptop).await;
    let page = type_code(&ann, &shown.code).await;
    let pairing = page.input("pairing").unwrap();
    let refuse = "/.gatehouse/pair/approve/refuse";
    let done = ann.submit(&page, refuse, &[("pairing", &pairing)]).await;
    assert!(done.leads_to("/.gatehouse/pair/done"));
    assert_eq!(state(&laptop).await, "refused");
    let told = ("pairing_refused".to_owned(), "declined".to_owned());
    assert_eq!(newest(&gateway, ANN), told);
    assert!(is_over(&ann.open(&shown.link).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_over_after_two_minutes() {
    let (gateway, mut ann, laptop) = two_devices().await;
    let unseen = ask(&laptop).await;
    gateway.after(2);
    assert_eq!(state(&laptop).await, "over");
    assert!(is_over(&ann.open(&unseen.link).await));
    let mistyped = type_code(&ann, &unseen.code).await;
    assert_eq!(mistyped.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(mistyped.text().contains("older than two minutes"));
    let page = laptop.open("/.gatehouse/pair/wait").await;
    assert!(page.text().contains("New code"), "{}", page.text());

    let seen = ask(&laptop).await;
    let page = ann.open(&seen.link).await;
    let slow = check(&mut ann, &page, &seen.number).await;
    gateway.after(2);
    assert!(is_over(&confirm(&ann, &slow).await));

    gateway.after(11);
    let approved = ask(&laptop).await;
    let page = ann.open(&approved.link).await;
    let done = approve(&mut ann, &page, &approved.number).await;
    assert_eq!(done.status, 200, "{}", done.text());
    gateway.after(2);
    assert!(is_over(&finish(&laptop).await));
    assert_eq!(laptop.session_kind().await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_attempt_takes_the_place_of_the_old_one() {
    let (_gateway, mut ann, laptop) = two_devices().await;
    let first = ask(&laptop).await;
    let page = ann.open(&first.link).await;
    let late = check(&mut ann, &page, &first.number).await;
    let second = ask(&laptop).await;
    assert_ne!(first.code, second.code);
    assert!(is_over(&ann.open(&first.link).await));
    assert!(is_over(&confirm(&ann, &late).await));
    let page = ann.open(&second.link).await;
    let approved = approve(&mut ann, &page, &second.number).await;
    assert_eq!(approved.status, 200, "{}", approved.text());
    // A page that is shown again shows the same: a reload asks for nothing new.
    let again = laptop.open("/.gatehouse/pair/wait").await;
    assert!(again.text().contains("You are let in"));
    // Asking anew takes back even what was approved.
    ask(&laptop).await;
    assert!(is_over(&finish(&laptop).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_disabled_after_the_approval_lets_nobody_in() {
    let (gateway, mut ann, laptop) = two_devices().await;
    approved(&mut ann, &laptop).await;
    gateway.command(&["account", "disable", ANN]);
    assert_eq!(finish(&laptop).await.status, StatusCode::FORBIDDEN);
    assert_eq!(laptop.session_kind().await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_everywhere_takes_an_approval_back() {
    let (_gateway, mut ann, laptop) = two_devices().await;
    approved(&mut ann, &laptop).await;
    ann.press_on_account_page("/.gatehouse/sign-out/everywhere")
        .await;
    assert!(is_over(&finish(&laptop).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_approvals_and_fifty_finishes_at_once_one_counts() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    let laptop = Arc::new(gateway.person());
    let shown = ask(&laptop).await;
    let page = ann.open(&shown.link).await;
    let mut checks = Vec::new();
    for _ in 0..50 {
        checks.push(check(&mut ann, &page, &shown.number).await);
    }
    let ann = Arc::new(ann);
    let approving = checks.into_iter().map(|check| {
        let ann = ann.clone();
        tokio::spawn(async move { confirm(&ann, &check).await.status })
    });
    assert_eq!(how_many_succeed(approving).await, 1);

    let form_token = laptop.open("/.gatehouse/pair/wait").await.form_token();
    let finishing = (0..50).map(|_| {
        let (laptop, form) = (laptop.clone(), format!("form_token={form_token}"));
        tokio::spawn(async move {
            let finish = "/.gatehouse/pair/finish";
            laptop.send_form(finish, form).await.status
        })
    });
    assert_eq!(how_many_succeed(finishing).await, 1);
    let sessions = gateway.command(&["session", "list", "--account", ANN, "--json"]);
    let sessions = sessions.json();
    let sessions = sessions.as_array().expect("a list");
    let paired = sessions
        .iter()
        .filter(|session| session["method"] == "pairing");
    assert_eq!(paired.count(), 1, "{sessions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_and_spent_outlives_a_restart() {
    let mut gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    let laptop = gateway.person();
    let shown = ask(&laptop).await;
    let page = ann.open(&shown.link).await;
    let check = check(&mut ann, &page, &shown.number).await;
    gateway.restart().await;
    assert_eq!(confirm(&ann, &check).await.status, 200);
    gateway.restart().await;
    assert_eq!(state(&laptop).await, "approved");
    assert!(finish(&laptop).await.status.is_redirection());
    gateway.restart().await;
    assert!(is_over(&confirm(&ann, &check).await));
    assert!(is_over(&finish(&laptop).await));
}

async fn how_many_succeed(
    attempts: impl Iterator<Item = tokio::task::JoinHandle<StatusCode>>,
) -> usize {
    let attempts: Vec<_> = attempts.collect();
    let mut succeeded = 0;
    for attempt in attempts {
        let status = attempt.await.unwrap();
        if !status.is_client_error() {
            assert!(status.is_success() || status.is_redirection(), "{status}");
            succeeded += 1;
        }
    }
    succeeded
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_that_ask_shortly_after_one_another_block_pairing_and_its_owner_is_told() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    gateway.mailbox.next(ANN).await;
    let (laptop, stranger) = (gateway.person(), gateway.person());
    let first = ask(&laptop).await;
    let page = ann.open(&first.link).await;
    let late = check(&mut ann, &page, &first.number).await;
    let second = ask(&stranger).await;
    let blocked = ann.open(&second.link).await;
    assert_eq!(blocked.status, StatusCode::FORBIDDEN);
    assert!(blocked.text().contains("No device is let in for now"));
    let told = ("pairing_blocked".to_owned(), String::new());
    assert_eq!(newest(&gateway, ANN), told);
    let mail = gateway.mailbox.next(ANN).await;
    assert!(
        mail.subject.starts_with("Devices asked"),
        "{}",
        mail.subject
    );
    for asking in [&laptop, &stranger] {
        assert_eq!(state(asking).await, "refused");
    }
    assert!(is_over(&confirm(&ann, &late).await));

    gateway.after(14);
    let third = ask(&laptop).await;
    let blocked = ann.open(&third.link).await;
    assert_eq!(blocked.status, StatusCode::FORBIDDEN);
    let told = ("pairing_refused".to_owned(), "blocked".to_owned());
    assert_eq!(newest(&gateway, ANN), told);
    gateway.after(1);
    let fourth = ask(&laptop).await;
    let page = ann.open(&fourth.link).await;
    assert_eq!(approve(&mut ann, &page, &fourth.number).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_guessed_at_ten_times() {
    let gateway = Gateway::start().await;
    let eve = gateway.enrolled(EVE).await;
    let page = eve.open("/.gatehouse/account/pair").await;
    let mut statuses = Vec::new();
    for guess in 0..12 {
        let code = format!("ABCD{guess:04}");
        let tried = eve
            .submit(&page, "/.gatehouse/account/pair", &[("code", &code)])
            .await;
        statuses.push(tried.status.as_u16());
    }
    assert_eq!(statuses[..10], [422; 10]);
    assert_eq!(statuses[10..], [429; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_switched_off_nothing_offers_it() {
    let gateway = Gateway::start()
        .with("methods.pairing", "enabled = false")
        .await;
    let ann = gateway.enrolled(ANN).await;
    for path in [
        "/.gatehouse/pair",
        "/.gatehouse/pair/wait",
        "/.gatehouse/pair/approve?token=x",
        "/.gatehouse/pair/phone",
        "/.gatehouse/pair/events",
        "/.gatehouse/pair/state",
        "/.gatehouse/account/pair",
    ] {
        assert_eq!(ann.open(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let account = ann.open("/.gatehouse/account").await.text();
    assert!(!account.contains("/pair"), "{account}");
    let saved = ann.open("/.gatehouse/enrol/saved").await.text();
    assert!(!saved.contains("/pair"), "{saved}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_shown_the_way_by_a_computer() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    let mut phone = gateway.person();
    let page = ann
        .open("/.gatehouse/pair/phone?return_to=/.gatehouse/account")
        .await;
    let link = page.scanned();
    let link = link.strip_prefix(&ann.origin).unwrap();
    let told = ann.fetch(Method::GET, "/.gatehouse/pair/phone/state").await;
    assert_eq!(told.json(), json!({"state": "waiting"}));

    let number = follow_offer(&phone, link).await;
    let told = ann
        .fetch(Method::GET, "/.gatehouse/pair/phone/state")
        .await
        .json();
    assert_eq!(told["state"], "asked");
    let here = told["location"].as_str().unwrap();
    let reloaded = ann.open("/.gatehouse/pair/phone").await;
    assert_eq!(
        reloaded.location(),
        here,
        "without script a reload goes there"
    );
    let page = ann.open(here).await;
    let approved = approve(&mut ann, &page, &number).await;
    assert_eq!(approved.status, 200, "{}", approved.text());
    assert!(finish(&phone).await.leads_to("/.gatehouse/enrol"));
    assert_eq!(phone.enrol(None, "/").await.status, 200);
    assert_eq!(phone.session_kind().await, "full");
    let told = ann.fetch(Method::GET, "/.gatehouse/pair/phone/state").await;
    assert_eq!(told.json()["state"], "waiting", "that one is done");
}

/// Scans what a computer shows and confirms; the number to type there.
async fn follow_offer(phone: &Person, link: &str) -> String {
    let page = phone.open(link).await;
    let offer = page.input("with").expect("a button");
    let fields = [("with", offer.as_str())];
    let asked = phone.submit(&page, "/.gatehouse/pair/start", &fields).await;
    assert!(asked.leads_to("/.gatehouse/pair/wait"), "{}", asked.text());
    let page = phone.open("/.gatehouse/pair/wait").await;
    let [number] = page.big_codes().try_into().expect("a number and no code");
    number
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_of_the_picture_for_a_phone_gives_nothing() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    let mut eve = gateway.enrolled(EVE).await;
    let (thief, phone) = (gateway.person(), gateway.person());
    let link = ann.open("/.gatehouse/pair/phone").await.scanned();
    let link = link.strip_prefix(&ann.origin).unwrap();
    // A thief who is faster shows up on Ann's computer, with a number that is not on her phone.
    let theirs = follow_offer(&thief, link).await;
    let told = ann
        .fetch(Method::GET, "/.gatehouse/pair/phone/state")
        .await
        .json();
    let page = ann.open(told["location"].as_str().unwrap()).await;
    for _ in 0..2 {
        approve(&mut ann, &page, another(&theirs)).await;
    }
    assert_eq!(state(&thief).await, "refused");
    assert!(is_over(&finish(&thief).await));
    // Nor can they have it approved in an account of their own.
    let number = follow_offer(&phone, link).await;
    let told = ann
        .fetch(Method::GET, "/.gatehouse/pair/phone/state")
        .await
        .json();
    let here = told["location"].as_str().unwrap();
    assert!(is_over(&eve.open(here).await));
    eve.phone.verifies_user = true;
    assert_eq!(number.len(), 2);
    // Two minutes later it is nothing but old, and a forged one never was anything.
    gateway.after(2);
    for dead in [link, "/.gatehouse/pair?with=AAAA"] {
        let old = gateway.person().open(dead).await;
        assert!(is_over(&old), "{}", old.text());
        assert!(old.text().contains("too old"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_picture_for_a_phone_needs_a_fresh_passkey_check() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    assert_eq!(ann.open("/.gatehouse/pair/phone").await.status, 200);
    gateway.after(6);
    let stale = ann.open("/.gatehouse/pair/phone?return_to=/notes").await;
    assert!(stale.leads_to("/.gatehouse/step-up"), "{}", stale.text());
    let back = "/.gatehouse/pair/phone?return_to=/notes";
    let done = ann.step_up(back).await;
    assert_eq!(done.json()["location"], back);
    assert_eq!(ann.open(back).await.status, 200);
    let monitor = gateway.person_with_session(ANN, "full");
    let stale = monitor.open("/.gatehouse/pair/phone").await;
    assert!(stale.leads_to("/.gatehouse/step-up"), "no passkey was used");
    let visitor = gateway.person().open("/.gatehouse/pair/phone").await;
    assert!(visitor.leads_to("/.gatehouse/sign-in"));
}

/// An open stream of events.
struct Events {
    response: Response,
    unread: String,
}

impl Events {
    async fn open(person: &Person) -> Self {
        let request = person.request(Method::GET, "/.gatehouse/pair/events");
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(response.headers().get("content-length").is_none());
        assert_eq!(response.headers()["cache-control"], "no-cache");
        Self {
            response,
            unread: String::new(),
        }
    }

    /// The name of the next event; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let name = event
                    .lines()
                    .find_map(|line| line.strip_prefix("event: "))
                    .map(str::to_owned);
                self.unread = rest.to_owned();
                match name {
                    Some(name) => return Some(name),
                    // A heartbeat.
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout(SOON, self.response.chunk()).await;
            let chunk = chunk.expect("something soon").expect("a whole stream")?;
            self.unread.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_device_that_asks_learns_live_over_both_protocols() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let laptop = gateway.person_over(protocol);
        let shown = ask(&laptop).await;
        let mut events = Events::open(&laptop).await;
        assert_eq!(events.next().await.unwrap(), "waiting");
        let page = ann.open(&shown.link).await;
        assert_eq!(events.next().await.unwrap(), "seen", "{protocol:?}");
        assert_eq!(approve(&mut ann, &page, &shown.number).await.status, 200);
        assert_eq!(events.next().await.unwrap(), "approved");
        assert_eq!(events.next().await, None, "and that is the end");
        // The connection is as good as before.
        assert!(finish(&laptop).await.status.is_redirection());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_ends_with_its_pairing() {
    let gateway = Gateway::start().await;
    let laptop = gateway.person();
    ask(&laptop).await;
    let mut events = Events::open(&laptop).await;
    assert_eq!(events.next().await.unwrap(), "waiting");
    gateway.after(2);
    assert_eq!(events.next().await.unwrap(), "over");
    assert_eq!(events.next().await, None);
    // Nobody's pairing is over from the start.
    let mut events = Events::open(&gateway.person()).await;
    assert_eq!(events.next().await.unwrap(), "over");
    assert_eq!(events.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_ends_when_its_client_leaves() {
    let mut gateway = Gateway::start().await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let laptop = gateway.person_over(protocol);
        ask(&laptop).await;
        let mut events = Events::open(&laptop).await;
        assert_eq!(events.next().await.unwrap(), "waiting");
        drop((events, laptop));
        // A gateway that stops waits half a minute for what is under way; nothing is. The stream has two
        // seconds, and a busy machine the rest to start again.
        let stopped = tokio::time::timeout(Duration::from_secs(5), gateway.restart());
        assert!(
            stopped.await.is_ok(),
            "{protocol:?}: the stream is still open"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_a_session_is_cut_when_the_session_ends() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let request = ann.request(Method::GET, "/.gatehouse/pair/phone/events");
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.chunk().await.unwrap().is_some());
    gateway.command(&["session", "revoke", "--account", ANN]);
    let cut = tokio::time::timeout(Duration::from_secs(2), async {
        while let Ok(Some(_)) = response.chunk().await {}
    });
    assert!(cut.await.is_ok(), "it is cut within two seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_paid_for() {
    let gateway = Gateway::start().await;
    let laptop = gateway.person();
    let refused = within(SOON, "a network that opens too many is refused", || async {
        let reply = laptop.fetch(Method::GET, "/.gatehouse/pair/events").await;
        (reply.status == StatusCode::TOO_MANY_REQUESTS).then_some(reply)
    });
    assert_eq!(refused.await.json()["error"], "throttled");
    // Asking goes on.
    assert_eq!(state(&laptop).await, "over");
}
