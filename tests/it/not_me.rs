//! *This was not me*: what it stops, who can say it, who is told, and how recovery goes on.

use reqwest::StatusCode;
use serde_json::Value as Json;

use crate::harness::{Gateway, Person, authenticator::Authenticator, page::Reply};

const ANN: &str = "ann@example.com";
const OPS: &str = "ops@example.com";
const NOT_ME: &str = "/.gatehouse/not-me";
const ALLOW: &str = "/.gatehouse/account/allow-recovery";

#[tokio::test(flavor = "multi_thread")]
async fn opening_the_link_changes_nothing_and_saying_it_stops_the_thief() {
    let gateway = gateway().await;
    let (mut ann, thief, link) = recovered_by_a_thief(&gateway).await;
    let visitor = gateway.person();
    for _ in 0..2 {
        let page = visitor.open_link(&link).await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains("This was not me"), "{}", page.text());
        assert!(
            page.text().contains("A passkey was saved"),
            "{}",
            page.text()
        );
    }
    assert_eq!(thief.session_kind().await, "full", "nothing has changed");

    let done = say(&visitor, &link).await;
    assert_eq!(done.status, 200);
    let text = done.text();
    assert!(text.contains("It is stopped</h1>"), "{text}");
    assert!(text.contains("opens nothing any more"), "{text}");
    assert!(text.contains("Call 555 0100"), "{text}");

    assert_eq!(thief.session_kind().await, "none");
    let mut thief = elsewhere(&gateway, thief);
    let refused = thief.sign_in("/report").await;
    assert!(refused.status.is_client_error(), "{}", refused.status);
    assert_eq!(thief.session_kind().await, "none");

    ann.sign_in("/report").await;
    assert_eq!(ann.session_kind().await, "full");
    let events = events(&gateway);
    assert!(events.contains(&"reported".to_owned()), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn saying_it_of_a_recovery_link_makes_the_link_worthless() {
    let gateway = gateway().await;
    let ann = gateway.enrolled(ANN).await;
    gateway.mailbox.next(ANN).await;
    let link = gateway.recovery_link(ANN);
    let caller = gateway.person();
    assert_eq!(caller.open(&link).await.status, 200);
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("recovery link"), "{}", told.subject);
    let report = told
        .text
        .lines()
        .find(|line| line.contains(NOT_ME))
        .expect("it can be said");
    assert_eq!(say(&ann, report.trim()).await.status, 200);
    assert_eq!(caller.open(&link).await.status, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn person_and_administrators_are_told() {
    let gateway = gateway().await;
    gateway.invite(OPS, &["--group", "ops"]);
    let (_, _, link) = recovered_by_a_thief(&gateway).await;
    let done = say(&gateway.person(), &link).await;
    assert!(done.text().contains("administrators are being told"));

    let alarm = gateway.mailbox.next(OPS).await;
    assert!(
        alarm.subject.contains("this was not me"),
        "{}",
        alarm.subject
    );
    assert!(alarm.text.contains(ANN), "{}", alarm.text);
    let account = gateway.command(&["account", "show", ANN, "--json"]).json();
    let id = account["account"]["id"].as_str().expect("an id");
    assert!(
        alarm
            .link()
            .ends_with(&format!("/.gatehouse/admin/accounts/{id}")),
        "{}",
        alarm.link()
    );
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("this was not me"), "{}", told.subject);
    assert!(!told.text.contains(NOT_ME), "{}", told.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_restricted_session_of_the_account_ends_and_no_other_accounts() {
    let gateway = gateway().await;
    let bob = gateway.enrolled("bob@example.com").await;
    let (_, _, link) = recovered_by_a_thief(&gateway).await;
    let restricted = gateway.person_with_session(ANN, "restricted");
    let monitoring = gateway.person_with_session(ANN, "full");
    say(&gateway.person(), &link).await;
    assert_eq!(restricted.session_kind().await, "none");
    assert_eq!(monitoring.session_kind().await, "full");
    assert_eq!(bob.session_kind().await, "full");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_sessions_by_mail_end_as_well() {
    let gateway = Gateway::start()
        .with("methods.email", "grants = 'full'")
        .await;
    let (_, _, link) = recovered_by_a_thief(&gateway).await;
    let elsewhere = gateway.person();
    elsewhere.ask_for_mail(ANN, "/").await;
    let mail = gateway.mailbox.next(ANN).await;
    elsewhere.enter_code(&mail.code()).await;
    assert_eq!(elsewhere.session_kind().await, "full");
    say(&gateway.person(), &link).await;
    assert_eq!(elsewhere.session_kind().await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_recovery_is_blocked_the_address_looks_like_an_unknown_one() {
    let gateway = gateway().await;
    let (_, _, link) = recovered_by_a_thief(&gateway).await;
    let earlier = gateway.person();
    earlier.ask_for_mail(ANN, "/").await;
    let mail = gateway.mailbox.next(ANN).await;
    say(&gateway.person(), &link).await;
    gateway.mailbox.next(ANN).await;
    let mails = gateway.mailbox.count(ANN);

    let (blocked, unknown) = (gateway.person(), gateway.person());
    let to_ann = blocked.ask_for_mail(ANN, "/notes").await;
    let to_nobody = unknown.ask_for_mail("nobody@example.com", "/notes").await;
    assert_eq!(to_ann.status, to_nobody.status);
    assert_eq!(to_ann.location(), to_nobody.location());
    let code = (
        blocked.enter_code("12345678").await,
        unknown.enter_code("12345678").await,
    );
    assert_eq!(code.0.status, code.1.status);
    assert_eq!(gateway.mailbox.count(ANN), mails);

    // A mail that was on its way opens nothing either.
    let page = earlier.open_link(&mail.link()).await;
    let refused = earlier.confirm_link(&page).await;
    assert_eq!(refused.status, StatusCode::GONE);
    assert_eq!(earlier.session_kind().await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_say_it_at_once_one_stops_it_and_the_others_hear_that_it_is() {
    let gateway = gateway().await;
    let (_, _, link) = recovered_by_a_thief(&gateway).await;
    let visitor = gateway.person();
    let page = visitor.open_link(&link).await;
    let token = page.input("token").expect("a token");
    let fields = [("token", token.as_str())];
    let said = (0..50).map(|_| visitor.submit(&page, NOT_ME, &fields));
    let answers = futures_util::future::join_all(said).await;
    let stopped = |answer: &&Reply| answer.text().contains("It is stopped</h1>");
    assert_eq!(answers.iter().filter(stopped).count(), 1);
    for answer in &answers {
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("It is stopped"), "{}", answer.text());
    }
    let again = visitor.open_link(&link).await;
    assert!(again.text().contains("It is stopped already"));
    // Two passkeys, a mail to sign in, and this one.
    gateway.mailbox.next(ANN).await;
    assert_eq!(gateway.mailbox.count(ANN), 4);
    let events = events(&gateway);
    assert!(events.contains(&"report_refused".to_owned()), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worthless_link_stops_nothing_and_says_what_to_do() {
    let gateway = gateway().await;
    let (_, _, link) = recovered_by_a_thief(&gateway).await;
    gateway.after(31 * 24 * 60);
    let visitor = gateway.person();
    let (_, expired) = link.split_once("token=").expect("a token");
    for token in [
        expired,
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "short",
        "",
    ] {
        let page = visitor.open(&format!("{NOT_ME}?token={token}")).await;
        assert_eq!(page.status, StatusCode::GONE, "{token}");
        assert!(
            page.text().contains("Look at your account"),
            "{}",
            page.text()
        );
        let form = visitor.open("/.gatehouse/sign-in").await;
        let said = visitor.submit(&form, NOT_ME, &[("token", token)]).await;
        assert_eq!(said.status, StatusCode::GONE, "{token}");
    }
    assert_eq!(visitor.open(NOT_ME).await.status, StatusCode::GONE);
    assert!(!events(&gateway).contains(&"reported".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_stops_a_new_passkey_on_the_account_page_and_stays_signed_in() {
    let gateway = gateway().await;
    let (mut ann, own, theirs) = saved_at_an_unlocked_screen(&gateway).await;
    ann.sign_in("/").await;
    let account = ann.open("/.gatehouse/account").await.text();
    assert!(account.contains(&not_me(&theirs)), "{account}");
    assert!(!account.contains(&not_me(&own)), "not of one's own");

    let page = ann.open(&not_me(&theirs)).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("This was not me"));
    let stopped = |account: &str| account.contains("Stopped on");
    assert!(!stopped(&ann.open("/.gatehouse/account").await.text()));

    let done = ann.submit(&page, &not_me(&theirs), &[]).await;
    assert!(
        done.text().contains("It is stopped</h1>"),
        "{}",
        done.text()
    );
    assert_eq!(ann.session_kind().await, "full");
    let account = ann.open("/.gatehouse/account").await.text();
    assert!(stopped(&account), "{account}");
    assert!(!account.contains(&not_me(&theirs)), "it is done");
    let known = accepted(&account);
    assert!(known.contains(&own) && !known.contains(&theirs), "{known}");
    let again = ann.submit(&page, &not_me(&theirs), &[]).await;
    assert_eq!(again.status, 404);

    // The frozen passkey can be removed, and the person's own is then the last one.
    ann.step_up("/").await;
    let remove = format!("/.gatehouse/account/passkeys/{theirs}/remove");
    let page = ann.open(&remove).await;
    assert!(!page.text().contains("last passkey"), "{}", page.text());
    let removed = ann.submit(&page, &remove, &[]).await;
    assert!(removed.leads_to("/.gatehouse/account"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_good_passkey_of_ones_own_speaks_for_the_account() {
    let gateway = gateway().await;
    let (mut ann, own, theirs) = saved_at_an_unlocked_screen(&gateway).await;
    ann.sign_in("/").await;
    let bob = gateway.enrolled("bob@example.com").await;
    for (id, who) in [(&own, &ann), (&theirs, &bob), (&"AAAA".to_owned(), &ann)] {
        let page = who.open("/.gatehouse/account").await;
        assert_eq!(who.open(&not_me(id)).await.status, 404);
        assert_eq!(who.submit(&page, &not_me(id), &[]).await.status, 404);
    }
    // Sessions without a passkey are asked for one, or refused.
    for access in ["full", "restricted"] {
        let thief = gateway.person_with_session(ANN, access);
        let page = thief.open("/.gatehouse/account").await;
        assert!(!page.text().contains(&not_me(&theirs)), "{access}");
        assert!(
            thief
                .open(&not_me(&theirs))
                .await
                .leads_to("/.gatehouse/step-up")
        );
        let refused = thief.submit(&page, &not_me(&theirs), &[]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{access}");
    }
    let visitor = gateway.person();
    assert!(
        visitor
            .open(&not_me(&theirs))
            .await
            .leads_to("/.gatehouse/sign-in")
    );
    assert!(!events(&gateway).contains(&"reported".to_owned()));

    // Of an old passkey it is not offered: it can be removed.
    gateway.after(8 * 24 * 60);
    let mut ann = elsewhere(&gateway, ann);
    ann.sign_in("/").await;
    let account = ann.open("/.gatehouse/account").await.text();
    assert!(!account.contains(&not_me(&theirs)));
    assert_eq!(ann.open(&not_me(&theirs)).await.status, 404);
    // Unless it waits.
    gateway.hold_passkey(&theirs, 60).await;
    assert_eq!(ann.open(&not_me(&theirs)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_that_waits_is_told_of_before_anything_else() {
    let gateway = gateway().await;
    let (mut ann, _, theirs) = saved_at_an_unlocked_screen(&gateway).await;
    let straight_on = ann.sign_in("/report").await.json();
    assert_eq!(straight_on["location"], "/report");
    let calm = ann
        .open("/.gatehouse/account/alert?return_to=/report")
        .await;
    assert_eq!(calm.location(), "/report");

    gateway.hold_passkey(&theirs, 60).await;
    let mut ann = elsewhere(&gateway, ann);
    let told = ann.sign_in("/report").await.json();
    assert_eq!(
        told["location"],
        "/.gatehouse/account/alert?return_to=/report"
    );
    let alert = ann.open(told["location"].as_str().unwrap()).await.text();
    assert!(alert.contains("A new passkey waits"), "{alert}");
    assert!(alert.contains(&not_me(&theirs)), "{alert}");
    assert!(alert.contains("href=\"/report\""), "{alert}");
    let account = ann.open("/.gatehouse/account").await.text();
    assert!(account.contains("A new passkey waits"), "{account}");
    assert!(account.contains("Waits until"), "{account}");
    assert!(accepted(&account).contains(&theirs), "browsers keep it");

    // A restricted session may be the thief's.
    let thief = gateway.person_with_session(ANN, "restricted");
    let account = thief.open("/.gatehouse/account").await.text();
    assert!(!account.contains("A new passkey waits"), "{account}");
    assert!(
        thief
            .open("/.gatehouse/account/alert?return_to=/report")
            .await
            .leads_to("/.gatehouse/enrol")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_is_allowed_again_by_a_person_with_a_fresh_passkey_check() {
    let gateway = gateway().await;
    let (mut ann, _, link) = recovered_by_a_thief(&gateway).await;
    say(&gateway.person(), &link).await;
    gateway.mailbox.next(ANN).await;
    let told = ann.sign_in("/report").await.json();
    assert_eq!(
        told["location"],
        "/.gatehouse/account/alert?return_to=/report"
    );
    let account = ann.open("/.gatehouse/account").await;
    assert!(account.text().contains(ALLOW), "{}", account.text());

    assert!(ann.open(ALLOW).await.leads_to("/.gatehouse/step-up"));
    let refused = ann.submit(&account, ALLOW, &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let restricted = gateway.person_with_session(ANN, "restricted");
    let page = restricted.open("/.gatehouse/account").await;
    let refused = restricted.submit(&page, ALLOW, &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    ann.step_up("/").await;
    gateway.after(6);
    assert!(ann.open(ALLOW).await.leads_to("/.gatehouse/step-up"));
    gateway.person().ask_for_mail(ANN, "/").await;
    assert!(!events(&gateway).contains(&"recovery_allowed".to_owned()));

    ann.step_up("/").await;
    let page = ann.open(ALLOW).await;
    assert!(page.text().contains(ANN), "{}", page.text());
    let done = ann.submit(&page, ALLOW, &[]).await;
    assert!(done.leads_to("/.gatehouse/account"), "{}", done.status);
    assert!(events(&gateway).contains(&"recovery_allowed".to_owned()));
    assert!(
        gateway
            .mailbox
            .next(ANN)
            .await
            .subject
            .contains("ways back")
    );
    assert!(!ann.open("/.gatehouse/account").await.text().contains(ALLOW));
    assert!(ann.open(ALLOW).await.leads_to("/.gatehouse/account"));

    let by_mail = gateway.person();
    by_mail.ask_for_mail(ANN, "/").await;
    let mail = gateway.mailbox.next(ANN).await;
    by_mail.enter_code(&mail.code()).await;
    assert_eq!(by_mail.session_kind().await, "restricted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_passkey_is_kept_by_a_full_session_alone() {
    let gateway = gateway().await;
    let (mut ann, own, theirs) = saved_at_an_unlocked_screen(&gateway).await;
    ann.sign_in("/").await;
    gateway.doubt_passkey(&own).await;
    let keep = |id: &str| format!("/.gatehouse/account/passkeys/{id}/keep");
    let page = ann.open("/.gatehouse/account").await;
    assert!(page.text().contains("still yours"), "{}", page.text());
    assert!(page.text().contains(&keep(&own)), "{}", page.text());

    let restricted = gateway.person_with_session(ANN, "restricted");
    let refused = restricted.open("/.gatehouse/account").await;
    let refused = restricted.submit(&refused, &keep(&own), &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(ann.submit(&page, &keep(&theirs), &[]).await.status, 404);
    let kept = ann.submit(&page, &keep(&own), &[]).await;
    assert!(kept.leads_to("/.gatehouse/account"), "{}", kept.status);
    let page = ann.open("/.gatehouse/account").await;
    assert!(!page.text().contains("still yours"), "{}", page.text());
    assert!(events(&gateway).contains(&"passkey_confirmed".to_owned()));
}

/// The same person and phone, before a browser without a session.
fn elsewhere(gateway: &Gateway, person: Person) -> Person {
    let mut elsewhere = gateway.person();
    elsewhere.phone = person.phone;
    elsewhere
}

async fn gateway() -> Gateway {
    Gateway::start()
        .with("admin", "group = 'ops'\ncontact = 'Call 555 0100'")
        .await
}

/// Ann, signed out; somebody who has got into her mailbox and saved a passkey, and the link in the notice of that.
async fn recovered_by_a_thief(gateway: &Gateway) -> (Person, Person, String) {
    let ann = gateway.enrolled(ANN).await;
    gateway.mailbox.next(ANN).await;
    let mut thief = gateway.person();
    thief.ask_for_mail(ANN, "/").await;
    let code = gateway.mailbox.next(ANN).await.code();
    thief.enter_code(&code).await;
    assert_eq!(thief.enrol(None, "/").await.status, 200);
    assert_eq!(thief.session_kind().await, "full");
    let link = gateway.mailbox.next(ANN).await.link();
    (elsewhere(gateway, ann), thief, link)
}

/// Ann with her phone, signed out; her own passkey and one that somebody saved at her screen.
async fn saved_at_an_unlocked_screen(gateway: &Gateway) -> (Person, String, String) {
    let mut ann = gateway.enrolled(ANN).await;
    let own = std::mem::replace(&mut ann.phone, Authenticator::phone());
    assert_eq!(ann.enrol(None, "/").await.status, 200);
    let theirs = ann.phone.ids()[0].clone();
    ann.phone = own;
    let own = ann.phone.ids()[0].clone();
    (elsewhere(gateway, ann), own, theirs)
}

fn not_me(id: &str) -> String {
    format!("/.gatehouse/account/passkeys/{id}/not-me")
}

pub async fn say(person: &Person, link: &str) -> Reply {
    let page = person.open_link(link).await;
    let token = page.input("token").expect("a token");
    person.submit(&page, NOT_ME, &[("token", &token)]).await
}

/// What the account page tells the browser of.
fn accepted(account: &str) -> String {
    let (_, rest) = account.split_once("data-passkeys=\"").expect("a list");
    rest.split('"').next().unwrap().to_owned()
}

fn events(gateway: &Gateway) -> Vec<String> {
    let shown = gateway.command(&["account", "show", ANN, "--json"]).json();
    let name = |record: &Json| record["event"].as_str().unwrap().to_owned();
    shown["audit"]
        .as_array()
        .unwrap()
        .iter()
        .map(name)
        .collect()
}
