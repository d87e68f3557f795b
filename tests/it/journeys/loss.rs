//! Who has lost what, and how they come back: the rows of the README's table that no other journey tells.

use super::{ANN, furnished};
use crate::harness::{Gateway, browser::Browser};

/// No address, no mail: the phone is gone, the codes are in a drawer.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_lost_without_email_and_a_code_brings_its_owner_back() {
    let gateway = furnished(Gateway::start()).await;
    let invited = gateway.command(&["account", "invite", "--login", "ann", "--json"]);
    let link = invited.json()["link"].as_str().expect("a link").to_owned();
    let ann = Browser::open(&gateway).await;
    ann.visit_link(&link).await;
    ann.save_passkey().await;
    ann.press("Make backup codes").await;
    ann.arrives_at("/.gatehouse/account/backup-codes").await;
    ann.press("Make backup codes").await;
    ann.sees("They are shown only now.").await;
    let codes = ann.backup_codes_shown().await;
    ann.press("I have saved them").await;
    ann.sees("Home").await;
    ann.close().await;

    let anew = Browser::open(&gateway).await;
    anew.visit("/report?year=2025").await;
    anew.press("Lost your passkey?").await;
    anew.choose("Backup code").await;
    anew.type_into("name", "ann").await;
    anew.type_into("code", &codes[0]).await;
    anew.press("Sign in").await;
    anew.sees("Save a passkey to go on").await;
    anew.save_passkey().await;
    anew.press("Continue").await;
    anew.sees("Report of 2025").await;
    anew.close().await;
}

/// No mouse, no touch: from the sign-in page to a new passkey, and to the account's ways back.
#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_by_a_code_is_walked_by_keyboard_alone() {
    let gateway = furnished(Gateway::start()).await;
    let ann = Browser::open(&gateway).await;
    ann.visit_link(&super::invitation_link(&gateway, ANN)).await;
    ann.press_by_keyboard("Create a passkey").await;
    ann.sees("Passkey saved to this device").await;
    ann.press_by_keyboard("Make backup codes").await;
    ann.arrives_at("/.gatehouse/account/backup-codes").await;
    ann.press_by_keyboard("Make backup codes").await;
    ann.sees("They are shown only now.").await;
    let codes = ann.backup_codes_shown().await;
    ann.press_by_keyboard("I have saved them").await;
    ann.sees("Home").await;
    ann.close().await;

    let anew = Browser::open(&gateway).await;
    anew.visit("/report?year=2025").await;
    anew.press_by_keyboard("Lost your passkey?").await;
    anew.sees("What do you still have?").await;
    anew.press_by_keyboard("Backup code").await;
    anew.arrives_at("/.gatehouse/recover/code").await;
    anew.type_by_keyboard("name", ANN).await;
    anew.type_by_keyboard("code", &codes[0]).await;
    anew.press_by_keyboard("Sign in").await;
    anew.sees("Save a passkey to go on").await;
    anew.press_by_keyboard("Create a passkey").await;
    anew.sees("Passkey saved to this device").await;
    anew.press_by_keyboard("Continue").await;
    anew.sees("Report of 2025").await;
    anew.visit("/.gatehouse/account").await;
    anew.sees("If you lose your passkey").await;
    anew.press_by_keyboard("Keep").await;
    anew.sees("that passkey stays yours").await;
    anew.close().await;
}

/// A thief reads the owner's mail, recovers the account and has to wait; the owner is told, and wins.
#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_mailbox_waits_while_its_owner_says_this_was_not_me() {
    let setup = Gateway::start()
        .with("enrolment", "mode = 'invite'\nhold = '24h'")
        .with("admin", "group = 'ops'\ncontact = 'Call 555 0100'");
    let gateway = furnished(setup).await;
    let ann = Browser::open(&gateway).await;
    ann.enrol(&super::invitation_link(&gateway, ANN)).await;
    gateway.mailbox.next(ANN).await;
    ann.sign_out().await;

    let thief = Browser::open(&gateway).await;
    thief.visit("/transfer").await;
    thief.ask_for_sign_in_link(ANN).await;
    thief.arrives_at("/.gatehouse/sign-in/code").await;
    thief
        .visit_link(&gateway.mailbox.next(ANN).await.link())
        .await;
    thief.press("Sign in").await;
    thief.save_passkey_that_waits().await;
    thief.visit("/transfer").await;
    thief.arrives_at("/.gatehouse/enrol").await;
    thief.sees("still waits").await;

    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("waits"), "{}", told.subject);
    ann.visit("/report?year=2025").await;
    ann.sign_in_with_passkey().await;
    ann.arrives_at("/.gatehouse/account/alert").await;
    ann.sees("A new passkey waits to open your account").await;
    ann.visit_link(&told.link()).await;
    ann.press("This was not me").await;
    ann.sees("It is stopped").await;

    gateway.after(25 * 60);
    thief.visit("/transfer").await;
    thief.arrives_at("/.gatehouse/sign-in").await;
    thief.sign_in_with_passkey().await;
    thief.sees("Use email instead").await;
    let mails = gateway.mailbox.count(ANN);
    thief.send_address(ANN).await;
    thief.arrives_at("/.gatehouse/sign-in/code").await;

    ann.visit("/transfer").await;
    ann.sign_in_with_passkey().await;
    ann.press("Look at my account").await;
    ann.sees("Stopped on").await;
    ann.visit("/transfer").await;
    ann.press("Transfer").await;
    ann.sees("Transferred").await;
    let later = gateway.mailbox.count(ANN);
    assert!(later <= mails + 1, "no mail signs in: {mails}, {later}");
    thief.close().await;
    ann.close().await;
}
