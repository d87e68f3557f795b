//! Every page passes axe-core and fits its screen: light and dark, narrow and wide.

use super::{ANN, app, invitation_link};
use crate::harness::{Gateway, browser::Browser, upstream::Answer};

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_signing_in_are_for_everyone() {
    let gateway = app().await;
    gateway.invite(ANN, &[]);
    let ann = Browser::open(&gateway).await;
    ann.visit("/notes").await;
    ann.sees("Sign in with passkey").await;
    ann.inspect("sign-in").await;
    ann.sign_in_with_passkey().await;
    ann.notices_that_it_did_not_work().await;
    ann.inspect("sign-in-passkey-failed").await;
    ann.visit("/notes").await;
    ann.press("Can't use passkey?").await;
    ann.inspect("sign-in-by-email").await;
    ann.send_address(ANN).await;
    ann.arrives_at("/.gatehouse/sign-in/code").await;
    ann.inspect("check-mail").await;
    ann.type_into("code", "00000000").await;
    ann.press("Sign in").await;
    ann.inspect("check-mail-wrong-code").await;
    let link = gateway.mailbox.next(ANN).await.link();
    ann.visit_link(&link).await;
    ann.inspect("link").await;
    let phone = Browser::open(&gateway).await;
    phone.visit_link(&link).await;
    phone.inspect("link-in-another-browser").await;
    phone.close().await;
    ann.press("Sign in").await;
    ann.continue_with_limited_access().await;
    ann.sees("Buy milk.").await;
    ann.visit("/transfer").await;
    ann.arrives_at("/.gatehouse/enrol").await;
    ann.inspect("re-enrol").await;
    ann.visit("/.gatehouse/account").await;
    ann.inspect("account-restricted").await;
    ann.visit_link(&link).await;
    ann.inspect("link-used-up").await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_enrolment_and_account_are_for_everyone() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    let link = invitation_link(&gateway, ANN);
    ann.visit_link(&link).await;
    ann.inspect("invitation").await;
    ann.save_passkey().await;
    ann.inspect("passkey-saved").await;
    ann.press("On hardware key").await;
    ann.inspect("enrol-hardware-key").await;
    ann.visit("/.gatehouse/account").await;
    ann.inspect("account").await;
    ann.visit("/.gatehouse/enrol").await;
    ann.inspect("enrol-another").await;
    for place in ["this-device", "phone"] {
        ann.visit(&format!("/.gatehouse/enrol?on={place}")).await;
        ann.inspect(&format!("enrol-{place}")).await;
    }
    gateway.after(10);
    ann.visit("/admin/users").await;
    ann.arrives_at("/.gatehouse/step-up").await;
    ann.inspect("step-up").await;
    ann.step_up().await;
    ann.sees("All users").await;
    ann.visit("/.gatehouse/account").await;
    ann.press("Remove").await;
    ann.sees("last passkey").await;
    ann.inspect("remove-passkey").await;
    ann.visit("/.gatehouse/sign-out").await;
    ann.inspect("sign-out").await;
    ann.press("Sign out").await;
    ann.sees("Signed out").await;
    ann.inspect("signed-out").await;
    ann.visit_link(&link).await;
    ann.inspect("invitation-used-up").await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_that_say_no_are_for_everyone() {
    let gateway = app().await;
    gateway.upstream.answer("/public/broken", Answer::HangUp);
    let ann = Browser::open(&gateway).await;
    for (path, name) in [
        ("/public/broken", "error-502"),
        ("/public/a%2fb", "error-400"),
        ("/.gatehouse/nothing-here", "error-404"),
    ] {
        ann.visit(path).await;
        ann.inspect(name).await;
    }
    ann.enrol(&invitation_link(&gateway, ANN)).await;
    ann.visit("/staff/plan").await;
    ann.inspect("error-403").await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_refusals_are_for_everyone_and_show_a_number_to_quote() {
    let gateway = Gateway::start()
        .with_route("path = '/app/*'\naccess = 'public'")
        .before_server("127.0.0.1:9")
        .await;
    let ann = Browser::open(&gateway).await;
    for (path, words, name) in [
        (
            "/.gatehouse/nothing",
            "begin at the front page",
            "refused-own-page",
        ),
        (
            "/.gatehouse/sign-out/everywhere",
            "Only a form leads here",
            "refused-not-a-page",
        ),
        (
            "/nowhere",
            "go back to where you came from",
            "refused-no-route",
        ),
        ("/app/a%2Fb", "more than one way", "refused-ambiguous"),
        ("/app/x", "It does not answer right now", "refused-app-down"),
    ] {
        ann.visit(path).await;
        ann.sees(words).await;
        ann.sees("request number").await;
        ann.inspect(name).await;
    }
    ann.close().await;
}
