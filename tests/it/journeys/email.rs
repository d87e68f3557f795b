//! Journeys without a passkey at hand.

use super::{ANN, app, invitation_link};
use crate::harness::browser::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_their_passkey_gets_in_by_mail_is_held_and_re_enrols() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    ann.enrol(&invitation_link(&gateway, ANN)).await;
    ann.sign_out().await;
    ann.lose_passkeys().await;
    // The mail about the new passkey.
    gateway.mailbox.next(ANN).await;

    ann.visit("/notes").await;
    ann.sign_in_with_passkey().await;
    ann.press("Use email instead").await;
    ann.send_address(ANN).await;
    ann.arrives_at("/.gatehouse/sign-in/code").await;
    ann.visit_link(&gateway.mailbox.next(ANN).await.link())
        .await;
    ann.press("Sign in").await;
    ann.continue_with_limited_access().await;
    ann.sees("Buy milk.").await;
    assert_eq!(
        gateway
            .upstream
            .last_of("/notes")
            .header("X-Gatehouse-Session"),
        "restricted"
    );

    ann.visit("/transfer").await;
    ann.arrives_at("/.gatehouse/enrol").await;
    ann.save_passkey().await;
    ann.press("Continue").await;
    ann.arrives_at("/transfer").await;
    ann.press("Transfer").await;
    ann.sees("Transferred").await;
    let transfer = gateway.upstream.last_of("/transfer/done");
    assert_eq!(
        (
            transfer.method.as_str(),
            transfer.header("X-Gatehouse-Session")
        ),
        ("POST", "full")
    );
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opened_in_another_browser_shows_what_to_type_in_the_first() {
    let gateway = app().await;
    gateway.invite(ANN, &[]);
    let laptop = Browser::open(&gateway).await;
    laptop.visit("/notes").await;
    laptop.ask_for_sign_in_link(ANN).await;
    laptop.arrives_at("/.gatehouse/sign-in/code").await;

    let mail = gateway.mailbox.next(ANN).await;
    let code = mail.code();
    let phone = Browser::open(&gateway).await;
    phone.visit_link(&mail.link()).await;
    phone.sees(&format!("{} {}", &code[..4], &code[4..])).await;
    assert!(!phone.has_session_cookie().await);

    laptop.type_into("code", &code).await;
    laptop.press("Sign in").await;
    laptop.continue_with_limited_access().await;
    laptop.sees("Buy milk.").await;
    phone.close().await;
    laptop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_the_email_path_works_end_to_end() {
    let gateway = app().await;
    gateway.invite(ANN, &[]);
    let ann = Browser::open(&gateway).await;
    ann.without_javascript().await;
    ann.visit("/notes").await;
    // Nothing closes the disclosure without a script.
    ann.send_address(ANN).await;
    ann.arrives_at("/.gatehouse/sign-in/code").await;
    ann.visit_link(&gateway.mailbox.next(ANN).await.link())
        .await;
    ann.press("Sign in").await;
    ann.continue_with_limited_access().await;
    ann.sees("Buy milk.").await;

    ann.sign_out().await;
    ann.visit("/notes").await;
    ann.arrives_at("/.gatehouse/sign-in").await;

    // By code, too.
    ann.send_address(ANN).await;
    ann.arrives_at("/.gatehouse/sign-in/code").await;
    ann.type_into("code", &gateway.mailbox.next(ANN).await.code())
        .await;
    ann.press("Sign in").await;
    ann.continue_with_limited_access().await;
    ann.sees("Buy milk.").await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_code_leaves_a_way_on() {
    let gateway = app().await;
    gateway.invite(ANN, &[]);
    let ann = Browser::open(&gateway).await;
    ann.visit("/notes").await;
    ann.ask_for_sign_in_link(ANN).await;
    ann.arrives_at("/.gatehouse/sign-in/code").await;
    let code = gateway.mailbox.next(ANN).await.code();
    let wrong = if code == "00000000" {
        "00000001"
    } else {
        "00000000"
    };
    ann.type_into("code", wrong).await;
    ann.press("Sign in").await;
    ann.sees("That code does not work").await;
    ann.type_into("code", &code).await;
    ann.press("Sign in").await;
    ann.continue_with_limited_access().await;
    ann.sees("Buy milk.").await;
    ann.close().await;
}
