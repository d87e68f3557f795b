//! A mailbox in somebody else's hands, while the owner still has a passkey: the attacker is held, the owner is told
//! and wins. And the change of address that follows.

use super::{ANN, furnished, invitation_link};
use crate::harness::{Gateway, browser::Browser};

const NEW: &str = "ann@new.example";

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_says_this_was_not_me_in_the_mail_and_wins() {
    let gateway = app().await;
    let ann = owner(&gateway).await;
    let thief = with_the_mailbox(&gateway).await;
    thief.visit("/transfer").await;
    thief.sees("Transfer").await;

    ann.visit_link(&gateway.mailbox.next(ANN).await.link())
        .await;
    ann.sees("This was not you?").await;
    ann.inspect("not-me").await;
    ann.press("This was not me").await;
    ann.sees("It is stopped").await;
    ann.inspect("stopped").await;

    thief.visit("/transfer").await;
    thief.arrives_at("/.gatehouse/sign-in").await;
    thief.sign_in_with_passkey().await;
    thief.sees("Use email instead").await;
    assert_eq!(thief.path().await, "/.gatehouse/sign-in");
    // Nor does the mailbox help any more.
    let mails = gateway.mailbox.count(ANN);
    thief.send_address(ANN).await;
    thief.arrives_at("/.gatehouse/sign-in/code").await;

    ann.press("Go to sign-in").await;
    ann.sign_in_with_passkey().await;
    ann.arrives_at("/.gatehouse/account/alert").await;
    ann.sees("Mails and backup codes do not sign you in").await;
    ann.inspect("alert-blocked").await;
    ann.press("Look at my account").await;
    ann.sees("Stopped on").await;
    ann.inspect("account-blocked").await;
    ann.press("Allow mails and codes again").await;
    ann.step_up().await;
    ann.sees("Allow mails and codes again?").await;
    ann.inspect("allow-recovery").await;
    ann.press("Allow mails and codes again").await;
    ann.sees("Mails and backup codes sign in again").await;
    // What it was about, and that recovery is allowed: nothing to sign in with.
    gateway.mailbox.next(ANN).await;
    gateway.mailbox.next(ANN).await;
    assert!(gateway.mailbox.count(ANN) <= mails + 2);
    thief.close().await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_that_waits_is_stopped_by_the_owner_right_after_signing_in() {
    let gateway = app().await;
    let ann = owner(&gateway).await;
    let thief = with_the_mailbox(&gateway).await;
    let shown = gateway.command(&["account", "show", ANN, "--json"]).json();
    let theirs = shown["passkeys"][1]["id"].as_str().expect("a passkey");
    gateway.hold_passkey(theirs, 24 * 60).await;

    ann.visit("/report?year=2025").await;
    ann.sign_in_with_passkey().await;
    ann.sees("A new passkey waits to open your account").await;
    ann.inspect("alert-waiting").await;
    ann.visit("/.gatehouse/account").await;
    ann.sees("Waits until").await;
    ann.inspect("account-waiting").await;
    ann.press("This was not me").await;
    ann.sees("This was not you?").await;
    ann.inspect("not-me-passkey").await;
    ann.press("This was not me").await;
    ann.sees("It is stopped").await;
    ann.inspect("stopped-signed-in").await;
    thief.visit("/transfer").await;
    thief.arrives_at("/.gatehouse/sign-in").await;
    ann.visit("/report?year=2025").await;
    ann.sees("Report of 2025").await;

    // An older passkey, once more in doubt.
    let own = shown["passkeys"][0]["id"].as_str().expect("a passkey");
    gateway.doubt_passkey(own).await;
    ann.visit("/.gatehouse/account").await;
    ann.sees("Is this still yours?").await;
    ann.inspect("account-to-confirm").await;
    ann.press("Keep").await;
    ann.sees("that passkey stays yours").await;
    thief.close().await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_moves_to_a_new_address() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    ann.enrol(&invitation_link(&gateway, ANN)).await;
    gateway.mailbox.next(ANN).await;
    ann.visit("/.gatehouse/account").await;
    ann.press("Change email").await;
    ann.step_up().await;
    ann.sees("The login name does not change").await;
    ann.inspect("change-address").await;
    ann.type_into("email", NEW).await;
    ann.press("Send link and code").await;
    ann.arrives_at("/.gatehouse/account/email/code").await;
    ann.inspect("check-address").await;
    ann.type_into("code", "00000000").await;
    ann.press("Confirm address").await;
    ann.sees("That code does not work").await;
    ann.inspect("check-address-wrong-code").await;

    let mail = gateway.mailbox.next(NEW).await;
    let code = mail.code();
    let phone = Browser::open(&gateway).await;
    phone.visit_link(&mail.link()).await;
    phone.sees(&format!("{} {}", &code[..4], &code[4..])).await;
    phone.inspect("address-link-in-another-browser").await;
    phone.close().await;

    ann.visit_link(&mail.link()).await;
    ann.sees(NEW).await;
    ann.inspect("address-link").await;
    ann.press("Confirm address").await;
    ann.arrives_at("/.gatehouse/account").await;
    ann.sees("the new address from now on").await;
    ann.sees(NEW).await;
    for told in [ANN, NEW] {
        let notice = gateway.mailbox.next(told).await;
        assert!(notice.subject.contains("address"), "{}", notice.subject);
    }
    ann.visit_link(&mail.link()).await;
    ann.inspect("address-link-used-up").await;
    ann.visit("/.gatehouse/not-me?token=none").await;
    ann.inspect("not-me-over").await;
    ann.close().await;
}

async fn app() -> Gateway {
    let setup = Gateway::start().with("admin", "group = 'ops'\ncontact = 'Call 555 0100'");
    furnished(setup).await
}

/// Ann has a passkey on this device and is signed out. The mail about it is read.
async fn owner(gateway: &Gateway) -> Browser {
    let ann = Browser::open(gateway).await;
    ann.enrol(&invitation_link(gateway, ANN)).await;
    gateway.mailbox.next(ANN).await;
    ann.sign_out().await;
    ann
}

/// Somebody who reads Ann's mail has recovered her account with a passkey of their own.
async fn with_the_mailbox(gateway: &Gateway) -> Browser {
    let thief = Browser::open(gateway).await;
    thief.visit("/notes").await;
    thief.ask_for_sign_in_link(ANN).await;
    thief.arrives_at("/.gatehouse/sign-in/code").await;
    let link = gateway.mailbox.next(ANN).await.link();
    thief.visit_link(&link).await;
    thief.press("Sign in").await;
    thief.sees("Save a passkey to go on").await;
    thief.save_passkey().await;
    thief
}
