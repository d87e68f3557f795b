//! Journeys of somebody who keeps codes on paper, and of somebody whom nothing would let back in.

use super::{ANN, app, invitation_link};
use crate::harness::browser::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn codes_made_after_enrolment_let_their_owner_back_in_without_mail_or_phone() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    ann.visit_link(&invitation_link(&gateway, ANN)).await;
    ann.save_passkey().await;
    ann.press("Make backup codes").await;
    ann.arrives_at("/.gatehouse/account/backup-codes").await;
    ann.inspect("make-backup-codes").await;
    ann.press("Make backup codes").await;
    ann.sees("They are shown only now.").await;
    for way in ["Copy", "Download", "Print"] {
        ann.sees(way).await;
    }
    ann.inspect("backup-codes-made").await;
    ann.inspect_on_paper("backup-codes-printed").await;
    let codes = ann.backup_codes_shown().await;
    assert_eq!(codes.len(), 10);
    ann.press("Download").await;
    ann.sees("Downloaded.").await;
    ann.press("I have saved them").await;
    ann.sees("Home").await;

    // Nobody who goes back finds them.
    ann.go_back().await;
    assert!(ann.backup_codes_shown().await.is_empty());
    ann.visit("/.gatehouse/account").await;
    ann.sees("10 of 10 left").await;
    ann.sign_out().await;
    ann.close().await;

    // The phone is lost: another browser, no passkey, no mailbox.
    let anew = Browser::open(&gateway).await;
    anew.visit("/.gatehouse/recover/code?return_to=/notes")
        .await;
    anew.inspect("recover-code").await;
    anew.type_into("name", ANN).await;
    anew.type_into("code", "0000 0000 0000 0000").await;
    anew.press("Sign in").await;
    anew.sees("That did not work.").await;
    anew.inspect("recover-code-wrong").await;
    anew.type_into("name", ANN).await;
    anew.type_into("code", &codes[3].to_lowercase().replace('-', " "))
        .await;
    anew.press("Sign in").await;
    anew.sees("Save a passkey to go on").await;
    anew.save_passkey().await;
    anew.press("Continue").await;
    anew.sees("Buy milk.").await;
    anew.visit("/.gatehouse/account").await;
    anew.sees("9 of 10 left").await;
    anew.inspect("account-with-codes").await;
    anew.press("Make new ones").await;
    anew.sees("Your older codes stop working at once.").await;
    anew.inspect("make-backup-codes-anew").await;
    anew.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_could_be_locked_out_is_told_and_helped_with_one_press() {
    let gateway = app().await;
    let ann = Browser::open(&gateway).await;
    ann.enrol(&invitation_link(&gateway, ANN)).await;
    gateway.after(10);
    ann.visit("/.gatehouse/account").await;
    ann.press("Switch off").await;
    ann.step_up().await;
    ann.sees("Then nothing will let you back in").await;
    ann.inspect("switch-email-off").await;
    ann.press("Switch off").await;
    ann.sees("Your choice was saved").await;
    ann.sees("You could be locked out").await;
    ann.inspect("account-no-way-back").await;
    ann.sign_out().await;

    ann.visit("/report?year=2025").await;
    ann.sign_in_with_passkey().await;
    ann.sees("You could be locked out").await;
    ann.inspect("reminder-no-way-back").await;
    ann.press("Allow email").await;
    ann.sees("Report of 2025").await;
    ann.sign_out().await;

    // And much later, kindly, whether there should not be a second passkey.
    gateway.after(40 * 24 * 60);
    ann.visit("/report?year=2025").await;
    ann.sign_in_with_passkey().await;
    ann.sees("Save another passkey for a backup?").await;
    // This browser cannot ask a phone: the gateway's picture can.
    ann.sees("On phone").await;
    ann.inspect("reminder-second-passkey").await;
    ann.press("Later").await;
    ann.sees("Report of 2025").await;
    ann.close().await;
}
