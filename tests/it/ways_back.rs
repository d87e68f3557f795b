//! What may let a person back in: their choice of it, accounts without an address, and warnings while there
//! is nothing.

use crate::{
    backup_codes::{audit, events, sql},
    harness::{Gateway, Person, authenticator::Authenticator, page::Reply},
};

const ANN: &str = "ann@example.com";
const CHOOSE: &str = "/.gatehouse/account/ways-back";
const REMINDER: &str = "/.gatehouse/account/reminder";
const DAY: u64 = 24 * 60;

#[tokio::test(flavor = "multi_thread")]
async fn who_switches_email_off_is_not_signed_in_by_mail() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    gateway.mailbox.next(ANN).await;
    let anew = gateway.person();
    anew.ask_for_mail(ANN, "/").await;
    let asked_before = gateway.mailbox.next(ANN).await;

    let done = switch(&ann, "email", "off").await;
    assert_eq!(done.location(), "/.gatehouse/account?done=ways-back");
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("ways back"), "{}", told.subject);
    let chosen = &audit(&gateway, ANN)[0];
    assert_eq!(
        (
            &chosen["event"],
            &chosen["by_email"],
            &chosen["by_backup_codes"]
        ),
        (&"ways_back_chosen".into(), &false.into(), &true.into())
    );

    // Neither by a mail that was on its way nor by a new one, and it looks as for nobody's address.
    let page = anew.open_link(&asked_before.link()).await;
    assert_eq!(anew.confirm_link(&page).await.status, 410);
    assert_eq!(anew.session_kind().await, "none");
    let known = gateway.person().ask_for_mail(ANN, "/").await;
    let unknown = gateway
        .person()
        .ask_for_mail("nobody@example.com", "/")
        .await;
    assert_eq!(known.status, unknown.status);
    assert_eq!(known.location(), unknown.location());
    assert_eq!(audit(&gateway, ANN)[0]["reason"], "recovery_closed");
    assert_eq!(gateway.mailbox.count(ANN), 3, "saved, asked, switched off");

    switch(&ann, "email", "on").await;
    gateway.mailbox.next(ANN).await;
    anew.ask_for_mail(ANN, "/").await;
    anew.enter_code(&gateway.mailbox.next(ANN).await.code())
        .await;
    assert_eq!(anew.session_kind().await, "restricted");
}

#[tokio::test(flavor = "multi_thread")]
async fn choosing_needs_a_fresh_passkey_check_and_goes_on_after_it() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    gateway.after(10);
    let held = switch(&ann, "email", "off").await;
    assert!(held.leads_to("/.gatehouse/step-up"), "{}", held.status);
    assert!(!events(&gateway, ANN).contains(&"ways_back_chosen".to_owned()));

    let again = format!("{CHOOSE}?return_to=/&way=email&switch=off");
    let stepped_up = ann.step_up(&again).await;
    assert_eq!(stepped_up.json()["location"], again);
    let page = ann.open(&again).await;
    assert!(
        page.text().contains("Then nothing will let you back in"),
        "{}",
        page.text()
    );
    let fields = [
        ("way", "email"),
        ("switch", "off"),
        ("return_to", "/report"),
    ];
    let done = ann.submit(&page, CHOOSE, &fields).await;
    assert_eq!(done.location(), "/report");
    assert_eq!(events(&gateway, ANN)[0], "ways_back_chosen");
    // Choosing what is chosen already is nothing to tell of.
    ann.submit(&page, CHOOSE, &fields).await;
    assert_eq!(events(&gateway, ANN)[1], "stepped_up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_session_chooses_nothing_and_hushes_nothing() {
    let gateway = Gateway::start().await;
    gateway.enrolled(ANN).await;
    let thief = gateway.person_with_session(ANN, "restricted");
    let page = thief.open("/.gatehouse/account").await;
    assert!(!page.text().contains(CHOOSE));
    for (way, switch) in [("email", "off"), ("backup-codes", "on"), ("email", "on")] {
        let fields = [("way", way), ("switch", switch)];
        let refused = thief.submit(&page, CHOOSE, &fields).await;
        assert!(refused.leads_to("/.gatehouse/enrol"), "{}", refused.status);
    }
    let fields = [("way", "fax"), ("switch", "on")];
    assert_eq!(thief.submit(&page, CHOOSE, &fields).await.status, 400);
    thief.submit(&page, REMINDER, &[("return_to", "/")]).await;
    assert!(thief.open(REMINDER).await.leads_to("/"));
    assert_eq!(gateway.person().open(REMINDER).await.status, 303);
    let shown = gateway.command(&["account", "show", ANN, "--json"]).json();
    let account = &shown["account"];
    assert_eq!(account["recovery"]["by_email"], true);
    let first = account["enrolled_at"].as_i64().unwrap() + 7 * 24 * 3600;
    assert_eq!(account["remind_at"], first);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_an_address_works_and_comes_back_by_a_code() {
    let gateway = Gateway::start().await;
    let mut bob = invited_by_login(&gateway, "bob").await;
    bob.press_on_account_page("/.gatehouse/sign-out").await;
    let done = bob.sign_in("/notes/7").await;
    assert_eq!(done.status, 200, "{}", done.text());
    let account = bob.open("/.gatehouse/account").await.text();
    assert!(account.contains("<dt>Email</dt><dd>None</dd>"), "{account}");
    assert!(
        account.contains("Your account has no address."),
        "{account}"
    );
    bob.open("/report").await;
    assert_eq!(
        gateway.upstream.last_of("/report").header("Remote-User"),
        "bob"
    );

    let codes = bob.make_backup_codes().await;
    let mut anew = gateway.person();
    let done = anew.enter_backup_code("bob", &codes[0]).await;
    assert!(done.leads_to("/.gatehouse/enrol"), "{}", done.status);
    assert_eq!(anew.enrol(None, "/").await.status, 200);
    // Nobody to write to: the outbox has stayed empty, so this mail is the first.
    gateway.invite(ANN, &["--mail"]);
    gateway.mailbox.next(ANN).await;
    let mails = std::fs::read_dir(gateway.folder().join("mail")).unwrap();
    let mails = mails.filter(|mail| {
        let path = mail.as_ref().unwrap().path();
        path.extension().is_some_and(|kind| kind == "eml")
    });
    assert_eq!(mails.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_needs_an_address_or_a_login_name() {
    let gateway = Gateway::start().await;
    for arguments in [
        &["account", "invite"][..],
        &["account", "invite", "--login", "bob", "--mail"],
        &["account", "invite", "--email", "bob"],
    ] {
        assert_eq!(gateway.command(arguments).code, 2, "{arguments:?}");
    }
    let invite = ["account", "invite", "--login", "bob", "--json"];
    let first = gateway.command(&invite).json();
    let second = gateway.command(&invite).json();
    assert_eq!(first["account"]["id"], second["account"]["id"]);
    assert_eq!(first["account"]["email"], serde_json::Value::Null);
    // The login name is taken for somebody with an address.
    let taken = gateway.command(&["account", "invite", "--email", ANN, "--login", "bob"]);
    assert_eq!(taken.code, 1, "{taken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nothing_would_let_them_back_in_people_are_warned_loudly() {
    let gateway = Gateway::start().await;
    let mut bob = invited_by_login(&gateway, "bob").await;
    let warning = "You could be locked out";
    let account = bob.open("/.gatehouse/account").await.text();
    assert!(account.contains(warning), "{account}");

    // After the very next sign-in, on the way to where they were going.
    let landed = sign_in_anew(&mut bob, "/report").await;
    assert_eq!(landed, format!("{REMINDER}?return_to=/report"));
    let page = bob.open(&landed).await;
    assert!(page.text().contains(warning), "{}", page.text());
    for way in [
        "/.gatehouse/enrol?return_to=/report",
        "/.gatehouse/account/backup-codes",
    ] {
        assert!(page.text().contains(way), "{way}: {}", page.text());
    }
    let on = bob
        .submit(&page, REMINDER, &[("return_to", "/report")])
        .await;
    assert_eq!(on.location(), "/report");

    // Not on every sign-in, but again after a day.
    assert_eq!(sign_in_anew(&mut bob, "/report").await, "/report");
    gateway.after(DAY + 1);
    assert!(
        sign_in_anew(&mut bob, "/report")
            .await
            .starts_with(REMINDER)
    );

    // With codes there is a way back, and a sign-in goes straight on.
    bob.make_backup_codes().await;
    assert!(
        !bob.open("/.gatehouse/account")
            .await
            .text()
            .contains(warning)
    );
    bob.submit(&page, REMINDER, &[("return_to", "/")]).await;
    assert_eq!(sign_in_anew(&mut bob, "/report").await, "/report");

    // Once the last is used there is none, whatever was said of the lesser matter.
    sql(&gateway, "UPDATE backup_code SET spent_at = 1").await;
    assert!(
        sign_in_anew(&mut bob, "/report")
            .await
            .starts_with(REMINDER)
    );
    assert!(
        bob.open("/.gatehouse/account")
            .await
            .text()
            .contains(warning)
    );

    // A second passkey ends the matter, and the page leads on by itself.
    let first = std::mem::replace(&mut bob.phone, Authenticator::phone());
    assert_eq!(bob.enrol(None, "/").await.status, 200);
    bob.phone = first;
    assert!(
        !bob.open("/.gatehouse/account")
            .await
            .text()
            .contains(warning)
    );
    assert_eq!(sign_in_anew(&mut bob, "/report").await, "/report");
    let on = bob.open(&format!("{REMINDER}?return_to=/report")).await;
    assert_eq!(on.location(), "/report");
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_the_last_way_off_is_warned_of_at_the_next_sign_in() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    assert_eq!(sign_in_anew(&mut ann, "/report").await, "/report");
    switch(&ann, "email", "off").await;
    let landed = sign_in_anew(&mut ann, "/report").await;
    assert!(landed.starts_with(REMINDER), "{landed}");
    // One press makes a way again.
    let page = ann.open(&landed).await;
    let fields = [("way", "email"), ("switch", "on"), ("return_to", "/report")];
    let on = ann.submit(&page, CHOOSE, &fields).await;
    assert_eq!(on.location(), "/report");
    assert_eq!(sign_in_anew(&mut ann, "/report").await, "/report");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_passkey_is_offered_again_after_a_while_and_later_lasts() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    assert_eq!(sign_in_anew(&mut ann, "/report").await, "/report");
    gateway.after(8 * DAY);
    let landed = sign_in_anew(&mut ann, "/report").await;
    assert_eq!(landed, format!("{REMINDER}?return_to=/report"));
    let page = ann.open(&landed).await;
    let text = page.text();
    assert!(
        text.contains("Save another passkey for a backup?"),
        "{text}"
    );
    assert!(
        text.contains("On hardware key") && text.contains(">Later<"),
        "{text}"
    );
    let later = ann
        .submit(&page, REMINDER, &[("return_to", "/report")])
        .await;
    assert_eq!(later.location(), "/report");
    gateway.after(29 * DAY);
    assert_eq!(sign_in_anew(&mut ann, "/report").await, "/report");
    gateway.after(2 * DAY);
    assert!(
        sign_in_anew(&mut ann, "/report")
            .await
            .starts_with(REMINDER)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn later_after_the_first_passkey_is_remembered() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    let saved = ann.open("/.gatehouse/enrol/saved?return_to=/report").await;
    assert!(
        saved.text().contains("Make backup codes"),
        "{}",
        saved.text()
    );
    let later = ann
        .submit(&saved, REMINDER, &[("return_to", "/report")])
        .await;
    assert_eq!(later.location(), "/report");
    gateway.after(8 * DAY);
    assert_eq!(sign_in_anew(&mut ann, "/report").await, "/report");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_wrong_mail_codes_leave_only_the_link_until_it_is_used() {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person();
    ann.ask_for_mail(ANN, "/").await;
    let mail = gateway.mailbox.next(ANN).await;
    sql(&gateway, "UPDATE account SET email_code_failures = 99").await;
    let wrong = if mail.code() == "00000000" {
        "1"
    } else {
        "00000000"
    };
    assert_eq!(ann.enter_code(wrong).await.status, 422);
    assert_eq!(
        events(&gateway, ANN)[..2],
        ["sign_in_refused", "email_codes_closed"]
    );
    let refused = ann.enter_code(&mail.code()).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.text().contains("open the link"),
        "{}",
        refused.text()
    );
    assert_eq!(audit(&gateway, ANN)[0]["reason"], "too_many_wrong_codes");
    assert_eq!(ann.session_kind().await, "none");

    let page = ann.open_link(&mail.link()).await;
    ann.confirm_link(&page).await;
    assert_eq!(ann.session_kind().await, "restricted");
    let again = gateway.person();
    again.ask_for_mail(ANN, "/").await;
    again
        .enter_code(&gateway.mailbox.next(ANN).await.code())
        .await;
    assert_eq!(again.session_kind().await, "restricted");
}

/// Presses a switch of the account page.
async fn switch(person: &Person, way: &str, switch: &str) -> Reply {
    let page = person.open("/.gatehouse/account").await;
    let fields = [("way", way), ("switch", switch)];
    person.submit(&page, CHOOSE, &fields).await
}

/// Somebody whom the operator knows by a login name alone, with a passkey and a full session.
async fn invited_by_login(gateway: &Gateway, login: &str) -> Person {
    let printed = gateway
        .command(&["account", "invite", "--login", login, "--json"])
        .json();
    let link = printed["link"].as_str().unwrap();
    let (_, invitation) = link.split_once("invitation=").unwrap();
    let mut person = gateway.person();
    let done = person.enrol(Some(invitation), "/").await;
    assert_eq!(done.status, 200, "{}", done.text());
    person
}

/// Signs out and in again; gives where that leads.
async fn sign_in_anew(person: &mut Person, return_to: &str) -> String {
    if person.session_kind().await != "none" {
        person.press_on_account_page("/.gatehouse/sign-out").await;
    }
    let done = person.sign_in(return_to).await;
    assert_eq!(done.status, 200, "{}", done.text());
    done.json()["location"].as_str().unwrap().to_owned()
}
