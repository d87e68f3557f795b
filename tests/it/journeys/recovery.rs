//! Journeys of those who lost their passkey.

use super::{ANN, app, furnished, invitation_link};
use crate::harness::{Gateway, browser::Browser};

const MAILBOX: &str = "/.gatehouse/sign-in/code";

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_phone_is_replaced_by_way_of_the_mailbox() {
    let gateway = app().await;
    let ann = enrolled_and_bereft(&gateway).await;
    ann.visit("/report?year=2025").await;
    ann.press("Lost your passkey?").await;
    ann.arrives_at("/.gatehouse/recover").await;
    ann.sees("What do you still have?").await;
    ann.inspect("lost-passkey").await;
    ann.choose("Email").await;
    ann.sees("Get back in by email").await;
    ann.inspect("recover-by-email").await;
    by_mail(&gateway, &ann).await;
    ann.sees("You will be signed out everywhere else").await;
    ann.inspect("enrol-recovering").await;
    ann.visit("/.gatehouse/recover?return_to=/report%3Fyear%3D2025")
        .await;
    ann.sees("limited access").await;
    ann.inspect("lost-passkey-restricted").await;
    ann.press("Save a new passkey").await;
    ann.save_passkey().await;
    ann.press("Continue").await;
    ann.sees("Report of 2025").await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_the_ways_back_lead_as_far_as_a_session() {
    let gateway = app().await;
    gateway.invite(ANN, &[]);
    let ann = Browser::open(&gateway).await;
    ann.without_javascript().await;
    ann.visit("/notes").await;
    ann.press("Lost your passkey?").await;
    ann.choose("Email").await;
    by_mail(&gateway, &ann).await;
    ann.continue_with_limited_access().await;
    ann.sees("Buy milk.").await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovered_passkey_waits_and_then_opens_everything() {
    let hold = "mode = 'invite'\nhold = '30m'";
    let gateway = furnished(Gateway::start().with("enrolment", hold)).await;
    let ann = enrolled_and_bereft(&gateway).await;
    ann.visit("/.gatehouse/recover/email?return_to=/transfer")
        .await;
    by_mail(&gateway, &ann).await;
    ann.sees("it opens everything from").await;
    ann.inspect("enrol-recovering-held").await;
    ann.save_passkey_that_waits().await;
    ann.inspect("passkey-held").await;
    ann.press("Continue").await;
    ann.sees("Your account").await;

    ann.sign_out().await;
    ann.visit("/transfer").await;
    ann.sign_in_with_passkey().await;
    ann.sees("Your new passkey still waits").await;
    ann.inspect("passkey-held-waiting").await;
    gateway.after(31);
    ann.visit("/transfer").await;
    ann.sees("Your passkey has waited long enough").await;
    ann.inspect("passkey-held-over").await;
    ann.press("Go to sign-in").await;
    ann.sign_in_with_passkey().await;
    ann.arrives_at("/transfer").await;
    ann.press("Transfer").await;
    ann.sees("Transferred").await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_two_proofs_are_asked_for_one_leads_to_the_page_of_the_other() {
    let two = "mode = 'invite'\nrecovery_proofs = 2";
    let contact = "contact = 'Call the help desk at 555-0100, Monday to Friday.'";
    let setup = Gateway::start()
        .with("enrolment", two)
        .with("admin", contact);
    let gateway = furnished(setup).await;
    let ann = enrolled_and_bereft(&gateway).await;
    ann.visit("/.gatehouse/recover/email?return_to=/notes")
        .await;
    by_mail(&gateway, &ann).await;
    ann.sees("One more proof is needed").await;
    ann.inspect("one-more-proof").await;
    ann.press("Continue with limited access").await;
    ann.sees("Buy milk.").await;
    ann.close().await;
}

/// Somebody who has saved a passkey, and whose device is another one by now.
async fn enrolled_and_bereft(gateway: &Gateway) -> Browser {
    let ann = Browser::open(gateway).await;
    ann.enrol(&invitation_link(gateway, ANN)).await;
    ann.sign_out().await;
    ann.lose_passkeys().await;
    // The mail about the passkey.
    gateway.mailbox.next(ANN).await;
    ann
}

/// Asks for a mail, opens its link and presses the button.
async fn by_mail(gateway: &Gateway, ann: &Browser) {
    ann.send_address(ANN).await;
    ann.arrives_at(MAILBOX).await;
    ann.visit_link(&gateway.mailbox.next(ANN).await.link())
        .await;
    ann.press("Sign in").await;
    ann.arrives_at("/.gatehouse/enrol").await;
}
