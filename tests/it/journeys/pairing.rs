//! Two devices meet: one of them is signed in and lets the other in.

use super::{ANN, app, invitation_link};
use crate::harness::{Gateway, browser::Browser};

/// A browser whose person has saved a passkey on it.
async fn enrolled(gateway: &Gateway) -> Browser {
    let browser = Browser::open(gateway).await;
    browser.enrol(&invitation_link(gateway, ANN)).await;
    browser
}

/// On the device that is signed in.
impl Browser {
    async fn types_pairing_code(&self, code: &str) {
        self.visit("/.gatehouse/account").await;
        self.press("Let another device in").await;
        self.sees("Code from the other device").await;
        self.type_into("code", code).await;
        self.press("Continue").await;
        self.sees("Let this device in?").await;
    }

    async fn lets_it_in(&self, number: &str) {
        self.type_into("number", number).await;
        self.press("Let it in with my passkey").await;
    }
}

/// On the device that asks: the number and the code that it shows.
async fn asks(browser: &Browser) -> [String; 2] {
    browser.visit("/.gatehouse/pair?return_to=/notes").await;
    browser.press("Show the code").await;
    browser.sees("Scan with your other device").await;
    browser.big_codes().await.try_into().expect("number, code")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_is_let_in_from_the_old_one_and_goes_on_by_itself() {
    let gateway = app().await;
    let ann = enrolled(&gateway).await;
    let laptop = Browser::open(&gateway).await;
    let [number, code] = asks(&laptop).await;
    ann.types_pairing_code(&code).await;
    laptop
        .sees("Somebody is looking at this on your other device.")
        .await;
    let wrong = if number == "42" { "24" } else { "42" };
    ann.lets_it_in(wrong).await;
    ann.sees("That is not the number").await;
    ann.lets_it_in(&number).await;
    ann.sees("The other device is let in").await;

    laptop.arrives_at("/.gatehouse/enrol").await;
    laptop.save_passkey().await;
    laptop.press("Continue").await;
    laptop.sees("Buy milk.").await;
    assert_eq!(laptop.passkeys_on_this_device().await, 1);
    let notes = gateway.upstream.last_of("/notes");
    assert_eq!(notes.header("Remote-User"), ANN);
    assert_eq!(notes.header("X-Gatehouse-Session"), "full");
    laptop.close().await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_follows_the_picture_on_the_computer_and_saves_a_passkey() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    ann.visit_link(&invitation_link(&gateway, ANN)).await;
    ann.save_passkey().await;
    // This browser has no way to ask a phone nearby: the link leads to the gateway's own picture.
    ann.press("On phone").await;
    ann.sees("Add a passkey on a phone").await;
    let phone = Browser::open(&gateway).await;
    phone.visit_link(&ann.scanned().await).await;
    phone.press("Show the number").await;
    phone.sees("Go back to your computer").await;
    let [number] = phone.big_codes().await.try_into().expect("a number");
    // The computer has noticed by itself.
    ann.sees("Let this device in?").await;
    ann.lets_it_in(&number).await;
    ann.sees("The other device is let in").await;
    phone.arrives_at("/.gatehouse/enrol").await;
    phone.save_passkey().await;
    assert_eq!(phone.passkeys_on_this_device().await, 1);
    phone.close().await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_the_new_device_asks_how_it_goes_on() {
    let gateway = app().await;
    let ann = enrolled(&gateway).await;
    let laptop = Browser::open(&gateway).await;
    laptop.without_javascript().await;
    let [number, code] = asks(&laptop).await;
    ann.types_pairing_code(&code).await;
    laptop.press("Check again").await;
    laptop
        .sees("Somebody is looking at this on your other device.")
        .await;
    ann.lets_it_in(&number).await;
    ann.sees("The other device is let in").await;
    laptop.press("Check again").await;
    laptop.sees("You are let in").await;
    laptop.press("Continue").await;
    laptop.arrives_at("/.gatehouse/enrol").await;
    laptop.close().await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_pairing_are_for_everyone() {
    let gateway = app().await;
    let ann = enrolled(&gateway).await;
    let laptop = Browser::open(&gateway).await;
    laptop.visit("/.gatehouse/pair").await;
    laptop.inspect("pair").await;
    asks(&laptop).await;
    laptop.inspect("pair-waiting").await;
    ann.visit("/.gatehouse/pair").await;
    ann.inspect("pair-code").await;
    ann.type_into("code", "AAAA-AAAA").await;
    ann.press("Continue").await;
    ann.sees("No device is waiting with this code").await;
    ann.inspect("pair-code-error").await;

    let [_, code] = asks(&laptop).await;
    ann.types_pairing_code(&code).await;
    ann.inspect("pair-approve").await;
    ann.press("This is not mine: refuse").await;
    ann.sees("Nobody was let in").await;
    ann.inspect("pair-done-refused").await;
    laptop.sees("This device was not let in").await;
    laptop.inspect("pair-refused").await;

    laptop.press("New code").await;
    laptop.sees("Scan with your other device").await;
    gateway.after(2);
    laptop.sees("This code has ended").await;
    laptop.inspect("pair-over").await;

    ann.visit("/.gatehouse/pair/done").await;
    ann.inspect("pair-done").await;
    ann.visit("/.gatehouse/account").await;
    ann.inspect("account-with-pairing").await;
    ann.press("Add a passkey on a phone").await;
    ann.inspect("pair-phone").await;
    let phone = Browser::open(&gateway).await;
    phone.visit_link(&ann.scanned().await).await;
    phone.inspect("pair-phone-offered").await;
    phone.close().await;
    laptop.close().await;
    ann.close().await;
}
