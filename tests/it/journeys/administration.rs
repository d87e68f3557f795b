//! All is lost, and an administrator lets the person back in.

use super::{ANN, furnished, invitation_link};
use crate::harness::{Gateway, browser::Browser};

const ROOT: &str = "root@example.com";
const SECOND: &str = "second@example.com";

/// An administrator in front of their own browser, signed in.
async fn administrator(gateway: &Gateway, email: &str) -> Browser {
    let browser = Browser::open(gateway).await;
    let token = gateway.invite(email, &["--group", "admins"]);
    let link = format!("{}/.gatehouse/enrol?invitation={token}", gateway.origin);
    browser.enrol(&link).await;
    browser
}

async fn enter_administration(root: &Browser) {
    root.visit("/.gatehouse/admin").await;
    root.step_up().await;
    root.arrives_at("/.gatehouse/admin").await;
    root.sees("Find an account").await;
}

async fn find(root: &Browser, name: &str, email: &str) {
    root.visit("/.gatehouse/admin").await;
    root.type_into("query", name).await;
    root.press("Find").await;
    root.press(email).await;
    root.sees("What lately happened").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_lost_everything_is_let_back_in_by_an_administrator() {
    let gateway = furnished(Gateway::start().with("admin", "group = 'admins'")).await;
    let lost = Browser::open(&gateway).await;
    lost.enrol(&invitation_link(&gateway, ANN)).await;
    lost.close().await;
    let root = administrator(&gateway, ROOT).await;
    enter_administration(&root).await;
    find(&root, "ann", ANN).await;
    root.press("Recover account").await;
    root.pick("reason", "The device is lost or stolen").await;
    root.type_into("note", "Called back on the number on file")
        .await;
    root.press("Show the recovery link").await;
    root.sees("How to hand it over").await;
    let link = root.handed_over_link().await;
    root.press("Copy link").await;

    let ann = Browser::open(&gateway).await;
    ann.visit_link(&link).await;
    ann.sees("Get back into your account").await;
    ann.sees(ANN).await;
    ann.press("Go on").await;
    ann.arrives_at("/.gatehouse/enrol").await;
    ann.save_passkey().await;
    ann.visit("/transfer").await;
    ann.press("Transfer").await;
    ann.sees("Transferred").await;
    let transfer = gateway.upstream.last_of("/transfer/done");
    assert_eq!(transfer.header("X-Gatehouse-Session"), "full");

    // The link is used up, for whoever else has got hold of it.
    let thief = Browser::open(&gateway).await;
    thief.visit_link(&link).await;
    thief.sees("can't be used any more").await;
    assert!(!thief.has_session_cookie().await);
    thief.close().await;
    root.close().await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_administrators_are_for_everyone() {
    let setup = Gateway::start().with("admin", "group = 'admins'\nrecovery_approvals = 2");
    let gateway = furnished(setup).await;
    let ann = Browser::open(&gateway).await;
    ann.enrol(&invitation_link(&gateway, ANN)).await;
    let root = administrator(&gateway, ROOT).await;
    enter_administration(&root).await;
    root.inspect("admin-home").await;
    find(&root, "ann", ANN).await;
    root.inspect("admin-account").await;
    root.press("Disable account").await;
    root.sees("Disable this account?").await;
    root.inspect("admin-disable").await;
    root.press("Cancel").await;
    root.press("Remove").await;
    root.sees("Remove this passkey?").await;
    root.inspect("admin-remove-passkey").await;
    find(&root, "example", ANN).await;
    root.press("Recover account").await;
    root.sees("Recover this account?").await;
    root.inspect("admin-recover").await;
    root.pick("reason", "Something else, told in the note")
        .await;
    root.press("Ask for the recovery").await;
    root.sees("Write a note").await;
    root.inspect("admin-recover-error").await;
    root.pick("reason", "The device is lost or stolen").await;
    root.press("Ask for the recovery").await;
    root.sees("Your request waits here").await;
    root.inspect("admin-recoveries").await;
    root.visit("/.gatehouse/admin/invite").await;
    root.inspect("admin-invite").await;

    let second = administrator(&gateway, SECOND).await;
    enter_administration(&second).await;
    second.type_into("query", "example").await;
    second.press("Find").await;
    second.sees("3 accounts").await;
    second.inspect("admin-home-found").await;
    second.press("Recoveries that wait (1)").await;
    second.press("Look and approve").await;
    second.sees("Approve this recovery?").await;
    second.inspect("admin-approve").await;
    second.press("Approve recovery").await;
    second.sees("Approved.").await;
    second.close().await;

    root.visit("/.gatehouse/admin/recoveries").await;
    root.press("Get the link").await;
    root.sees("It is shown this once").await;
    root.press("Show the recovery link").await;
    root.sees("How to hand it over").await;
    root.inspect("admin-handover").await;
    let link = root.handed_over_link().await;
    root.visit_link(&link).await;
    root.inspect("recovery-link-in-another-account").await;
    ann.visit_link(&link).await;
    ann.inspect("recovery-link").await;
    ann.press("Go on").await;
    ann.arrives_at("/.gatehouse/enrol").await;
    ann.visit_link(&link).await;
    ann.sees("can't be used any more").await;
    ann.inspect("recovery-link-over").await;
    ann.close().await;
    root.close().await;
}
