//! Journeys that end.

use super::{ANN, app, invitation_link};
use crate::harness::browser::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_everywhere_ends_a_second_browsers_session_at_its_next_request() {
    let gateway = app().await;
    let laptop = Browser::open(&gateway).await;
    laptop.enrol(&invitation_link(&gateway, ANN)).await;
    gateway.mailbox.next(ANN).await;

    let phone = Browser::open(&gateway).await;
    phone.visit("/notes").await;
    phone.ask_for_sign_in_link(ANN).await;
    phone.arrives_at("/.gatehouse/sign-in/code").await;
    phone
        .type_into("code", &gateway.mailbox.next(ANN).await.code())
        .await;
    phone.press("Sign in").await;
    phone.continue_with_limited_access().await;
    phone.sees("Buy milk.").await;

    laptop.visit("/.gatehouse/account").await;
    laptop.press("Sign out everywhere").await;
    laptop.sees("Signed out").await;

    phone.visit("/notes").await;
    phone.arrives_at("/.gatehouse/sign-in").await;
    laptop.visit("/notes").await;
    laptop.arrives_at("/.gatehouse/sign-in").await;
    phone.close().await;
    laptop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_renames_a_passkey() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    ann.enrol(&invitation_link(&gateway, ANN)).await;
    ann.visit("/.gatehouse/account").await;
    ann.rename_passkey("Blue laptop").await;
    ann.sees("Blue laptop").await;
    ann.close().await;
}
