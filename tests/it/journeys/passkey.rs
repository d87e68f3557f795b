//! Journeys with a passkey at hand.

use super::{ANN, app, invitation_link};
use crate::harness::{
    Gateway,
    browser::Browser,
    waiting::{SOON, within},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_invited_person_enrols_and_reaches_the_app() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    ann.visit_link(&invitation_link(&gateway, ANN)).await;
    ann.sees(ANN).await;
    ann.save_passkey().await;
    ann.sees("Save another passkey for a backup?").await;
    ann.press("Later").await;
    ann.sees("Home").await;
    let request = gateway.upstream.last_of("/");
    assert_eq!(request.header("Remote-User"), ANN);
    assert_eq!(request.header("X-Gatehouse-Session"), "full");
    assert_eq!(ann.passkeys_on_this_device().await, 1);
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_returning_person_signs_in_with_one_click_and_lands_on_the_deep_link() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    ann.enrol(&invitation_link(&gateway, ANN)).await;
    ann.sign_out().await;

    ann.visit("/report?year=2025").await;
    ann.arrives_at("/.gatehouse/sign-in").await;
    ann.sign_in_with_passkey().await;
    ann.sees("Report of 2025").await;
    assert_eq!(
        gateway
            .upstream
            .last_of("/report?year=2025")
            .header("Remote-User"),
        ANN
    );
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_email_field_offers_the_passkey_by_itself() {
    let gateway = app().await;
    let ann = Browser::with_autofill(&gateway).await;
    ann.enrol(&invitation_link(&gateway, ANN)).await;
    ann.sign_out().await;
    ann.visit("/report?year=2025").await;
    ann.show_email_field().await;
    ann.sees("Report of 2025").await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_page_asks_for_a_step_up_is_good_for_a_while_and_asks_again() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    ann.enrol(&invitation_link(&gateway, ANN)).await;
    gateway.after(10);

    ann.visit("/admin/users").await;
    ann.step_up().await;
    ann.sees("All users").await;
    gateway.after(4);
    ann.visit("/admin/users").await;
    ann.sees("All users").await;
    gateway.after(2);
    ann.visit("/admin/users").await;
    ann.step_up().await;
    ann.sees("All users").await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_step_up_leaves_the_person_where_they_can_try_again() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    ann.enrol(&invitation_link(&gateway, ANN)).await;
    gateway.after(10);
    ann.visit("/admin/users").await;
    ann.unlocks_device(false).await;
    ann.step_up().await;
    ann.notices_that_it_did_not_work().await;
    assert_eq!(ann.path().await, "/.gatehouse/step-up");
    ann.unlocks_device(true).await;
    ann.step_up().await;
    ann.sees("All users").await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_passkey_goes_to_a_hardware_key() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    ann.enrol(&invitation_link(&gateway, ANN)).await;
    ann.plug_in_hardware_key().await;
    ann.visit("/.gatehouse/account").await;
    ann.press("Add a passkey").await;
    ann.save_passkey().await;
    ann.press("Continue").await;
    assert_eq!(passkeys_of(&gateway).await, 2);
    assert_eq!(ann.passkeys_on_this_device().await, 1);
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_offered_at_once_and_goes_to_a_hardware_key() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    ann.visit_link(&invitation_link(&gateway, ANN)).await;
    ann.save_passkey().await;
    ann.plug_in_hardware_key().await;
    ann.press("On hardware key").await;
    ann.sees("Add a passkey on a hardware key").await;
    ann.press("Create a passkey").await;
    ann.sees("Passkey saved to your hardware key").await;
    ann.press("Continue").await;
    ann.sees("Home").await;
    assert_eq!(passkeys_of(&gateway).await, 2);
    assert_eq!(ann.passkeys_on_this_device().await, 1);
    ann.visit("/.gatehouse/account").await;
    ann.sees("Hardware key").await;

    // Signing in with it where no passkey is kept offers to keep one there, once.
    ann.lose_passkeys().await;
    for offered in [true, false] {
        ann.sign_out().await;
        ann.visit("/report?year=2025").await;
        ann.sign_in_with_passkey().await;
        if offered {
            ann.sees("Add a passkey on this device").await;
            ann.press("Not now").await;
        }
        ann.arrives_at("/report").await;
    }
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_removes_a_passkey() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    ann.enrol(&invitation_link(&gateway, ANN)).await;
    gateway.after(10);
    ann.visit("/.gatehouse/account").await;
    ann.press("Remove").await;
    ann.step_up().await;
    ann.sees("last passkey").await;
    ann.press("Remove my last passkey").await;
    ann.arrives_at("/.gatehouse/account").await;
    assert_eq!(passkeys_of(&gateway).await, 0);

    // The account page told the browser, so the device offers it no more.
    within(SOON, "the browser forgets the passkey", || async {
        (ann.passkeys_on_this_device().await == 0).then_some(())
    })
    .await;
    ann.sign_out().await;
    ann.visit("/report?year=2025").await;
    ann.sign_in_with_passkey().await;
    ann.sees("Use email instead").await;
    assert!(!ann.has_session_cookie().await);
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_of_nobody_is_refused_and_forgotten_by_the_browser() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    ann.enrol(&invitation_link(&gateway, ANN)).await;
    ann.sign_out().await;
    gateway.command(&["account", "delete", ANN]);
    ann.visit("/.gatehouse/sign-in").await;
    ann.sign_in_with_passkey().await;
    ann.sees("Use email instead").await;
    within(SOON, "the browser forgets the passkey", || async {
        (ann.passkeys_on_this_device().await == 0).then_some(())
    })
    .await;
    ann.close().await;
}

async fn passkeys_of(gateway: &Gateway) -> usize {
    let shown = gateway.command(&["account", "show", ANN, "--json"]).json();
    shown["passkeys"]
        .as_array()
        .expect("a list of passkeys")
        .len()
}
