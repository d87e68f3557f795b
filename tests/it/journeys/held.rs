//! What people had entered when they were asked to do something else first: kept, shown, and sent.

use super::{ANN, app, invitation_link, page};
use crate::harness::{
    Gateway,
    browser::Browser,
    gateway::AUTH_HOST,
    upstream::Answer,
    waiting::{SOON, within},
};

const TRANSFER: &str = "<form method='post' action='/transfer/done?from=1'>\
    <label>To <input name='to'></label><button>Transfer</button></form>";
const NOTE: &str = "<form method='post' action='/transfer/done'>\
    <label>To <input name='to'></label><button>Transfer</button></form>";
const IMPORT: &str = "<form method='post' action='/admin/import' enctype='multipart/form-data'>\
    <label>Name <input name='name'></label><label>File <input type='file' name='file'></label>\
    <button>Import</button></form>";
/// As an app may be that has been told what a 401 says.
const SCRIPTED: &str = "<button id='save'>Save</button><script>\
    document.getElementById('save').onclick = async () => {\
        const body = JSON.stringify({to: 'Bob', amount: 12.5});\
        const answer = await fetch('/api/save', {method: 'POST', body,\
            headers: {'Content-Type': 'application/json', 'X-CSRF-Token': 'own'}});\
        if (answer.status === 401) { location.assign((await answer.json()).location); }\
    };</script>";

fn furnish(gateway: &Gateway) {
    for (target, heading, body) in [
        ("/public/transfer", "Transfer money", TRANSFER),
        ("/public/save", "Settings", SCRIPTED),
        ("/notes", "Notes", NOTE),
        ("/import", "Import", IMPORT),
        ("/transfer/done?from=1", "Transferred", ""),
        ("/admin/import", "Imported", ""),
        ("/api/save", "Saved", ""),
        ("/public/paid", "Paid at another site", ""),
    ] {
        let page = page(heading, body);
        gateway.upstream.answer(target, Answer::Page(page));
    }
}

async fn furnished() -> Gateway {
    let gateway = app().await;
    furnish(&gateway);
    gateway
}

/// Somebody with a passkey who has signed out.
async fn signed_out(gateway: &Gateway) -> Browser {
    let ann = Browser::open(gateway).await;
    ann.enrol(&invitation_link(gateway, ANN)).await;
    ann.sign_out().await;
    ann
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_meets_sign_in_is_sent_after_a_look_at_it() {
    let gateway = furnished().await;
    let ann = signed_out(&gateway).await;
    ann.visit("/public/transfer").await;
    ann.type_into("to", "Bob & Co €").await;
    ann.press("Transfer").await;
    ann.arrives_at("/.gatehouse/sign-in").await;
    ann.sees("What you entered is kept.").await;
    ann.inspect("sign-in-kept").await;
    ann.sign_in_with_passkey().await;
    ann.sees("Send what you entered?").await;
    ann.sees("localhost/transfer/done").await;
    ann.inspect("resume-form").await;
    ann.press("Send now").await;
    ann.sees("Transferred").await;
    assert_eq!(ann.path().await, "/transfer/done");
    let arrived = gateway.upstream.last_of("/transfer/done?from=1");
    assert_eq!(arrived.body, b"to=Bob+%26+Co+%E2%82%AC");
    assert_eq!(
        arrived.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    assert_eq!(arrived.header("origin"), gateway.origin);
    assert_eq!(arrived.header("remote-user"), ANN);

    // Who goes back to the page is not told that nothing was sent.
    ann.go_back().await;
    ann.sees("This was sent already").await;
    ann.inspect("resume-already-sent").await;
    let targets = gateway.upstream.targets();
    let sent = targets
        .iter()
        .filter(|target| target.starts_with("/transfer/done"));
    assert_eq!(sent.count(), 1);
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_meets_a_step_up_arrives_as_it_is() {
    let gateway = furnished().await;
    let file = gateway.folder().join("photo.bin");
    let bytes: Vec<u8> = (0..500_000u32).map(|at| (at * 31 % 256) as u8).collect();
    std::fs::write(&file, &bytes).unwrap();
    let ann = Browser::open(&gateway).await;
    ann.enrol(&invitation_link(&gateway, ANN)).await;
    gateway.after(10);
    ann.visit("/import").await;
    ann.type_into("name", "holiday").await;
    ann.choose_file("file", &file).await;
    ann.press("Import").await;
    ann.step_up().await;
    ann.sees("A form, with files if you chose any, 488.").await;
    ann.inspect("resume-upload").await;
    ann.press("Send now").await;
    ann.sees("Imported").await;
    let arrived = gateway.upstream.last_of("/admin/import");
    let kind = arrived.header("content-type");
    let (_, boundary) = kind.split_once("multipart/form-data; boundary=").unwrap();
    assert!(
        arrived
            .body
            .ends_with(format!("\r\n--{boundary}--\r\n").as_bytes())
    );
    assert!(
        arrived
            .body
            .starts_with(format!("--{boundary}\r\n").as_bytes())
    );
    let whole = arrived
        .body
        .windows(bytes.len())
        .any(|window| window == bytes);
    assert!(whole, "the file is in it byte for byte");
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_by_fetch_is_sent_from_the_page_that_asks() {
    let gateway = furnished().await;
    let ann = signed_out(&gateway).await;
    ann.visit("/public/save").await;
    ann.press("Save").await;
    ann.arrives_at("/.gatehouse/sign-in").await;
    ann.sign_in_with_passkey().await;
    ann.sees("Data from a page, 26 bytes").await;
    ann.inspect("resume-data").await;
    ann.press("Send now").await;
    ann.sees("It is sent").await;
    ann.sees("Sent. The application has taken it.").await;
    ann.inspect("resume-data-sent").await;
    let arrived = gateway.upstream.last_of("/api/save");
    assert_eq!(arrived.body, br#"{"to":"Bob","amount":12.5}"#);
    assert_eq!(arrived.header("content-type"), "application/json");
    assert_eq!(arrived.header("x-csrf-token"), "own");
    ann.press("Back to the page").await;
    ann.sees("Settings").await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_meets_re_enrolment_is_sent_once_a_passkey_is_saved() {
    let gateway = furnished().await;
    gateway.invite(ANN, &[]);
    let ann = Browser::open(&gateway).await;
    ann.visit("/notes").await;
    ann.ask_for_sign_in_link(ANN).await;
    ann.arrives_at("/.gatehouse/sign-in/code").await;
    let code = gateway.mailbox.next(ANN).await.code();
    ann.type_into("code", &code).await;
    ann.press("Sign in").await;
    ann.continue_with_limited_access().await;
    ann.sees("Notes").await;
    ann.type_into("to", "Bob").await;
    ann.press("Transfer").await;
    ann.arrives_at("/.gatehouse/enrol").await;
    ann.save_passkey().await;
    ann.press("Later").await;
    ann.sees("Send what you entered?").await;
    ann.press("Send now").await;
    ann.sees("Transferred").await;
    assert_eq!(gateway.upstream.last_of("/transfer/done").body, b"to=Bob");
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_it_is_sent_as_well_and_leads_wherever_the_app_says() {
    let gateway = furnished().await;
    let elsewhere = format!(
        "http://pay.localhost:{}/public/paid",
        gateway.address.port()
    );
    let redirect =
        format!("HTTP/1.1 303 See Other\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n");
    let redirect = Answer::Raw(redirect.into_bytes());
    gateway.upstream.answer("/transfer/done?from=1", redirect);
    let ann = signed_out(&gateway).await;
    ann.visit("/public/transfer").await;
    ann.type_into("to", "Bob").await;
    ann.press("Transfer").await;
    ann.sign_in_with_passkey().await;
    ann.sees("Send what you entered?").await;
    ann.without_javascript().await;
    ann.press("Send now").await;
    // A browser holds the redirects after a form to the policy of the form's page.
    ann.sees("Paid at another site").await;
    assert_eq!(
        gateway.upstream.last_of("/transfer/done?from=1").body,
        b"to=Bob"
    );
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_wanted_any_more_or_is_too_late_is_not_sent() {
    let gateway = furnished().await;
    let ann = signed_out(&gateway).await;
    ann.visit("/public/transfer").await;
    ann.type_into("to", "Bob").await;
    ann.press("Transfer").await;
    ann.sign_in_with_passkey().await;
    ann.press("Do not send").await;
    ann.sees("Nothing was sent").await;
    ann.inspect("resume-discarded").await;
    ann.press("Back to the page").await;
    ann.sees("Transfer money").await;

    ann.sign_out().await;
    ann.visit("/public/transfer").await;
    ann.type_into("to", "Bob").await;
    ann.press("Transfer").await;
    ann.sign_in_with_passkey().await;
    ann.sees("Send what you entered?").await;
    gateway.after(11);
    ann.press("Send now").await;
    ann.sees("This took too long").await;
    ann.inspect("resume-too-late").await;
    let targets = gateway.upstream.targets();
    assert!(
        !targets.iter().any(|target| target.starts_with("/transfer")),
        "{targets:?}"
    );
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_not_kept_and_the_page_says_so() {
    let setup = Gateway::start().with("hold", "max_body = '1KiB'");
    let gateway = super::furnished(setup).await;
    furnish(&gateway);
    let ann = signed_out(&gateway).await;
    ann.visit("/public/transfer").await;
    ann.type_into("to", &"Bob".repeat(400)).await;
    ann.press("Transfer").await;
    ann.sees("Nothing was sent. It is too large to be kept meanwhile.")
        .await;
    ann.inspect("not-kept").await;
    ann.press("Sign in").await;
    ann.sign_in_with_passkey().await;
    ann.sees("Transfer money").await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_on_its_host_while_people_sign_in_on_another() {
    let host = "app.localhost";
    let gateway = super::furnished(Gateway::start().with_hosts(&[host])).await;
    furnish(&gateway);
    let ann = Browser::open(&gateway).await;
    ann.visit_link(&invitation_link(&gateway, ANN)).await;
    ann.save_passkey().await;
    ann.press("Later").await;
    ann.arrives_at("/.gatehouse/account").await;
    ann.sign_out().await;
    let form = format!("http://{host}:{}/public/transfer", gateway.address.port());
    ann.visit_link(&form).await;
    ann.type_into("to", "Bob").await;
    ann.press("Transfer").await;
    ann.arrives_at("/.gatehouse/sign-in").await;
    assert_eq!(ann.host().await, AUTH_HOST);
    ann.sign_in_with_passkey().await;
    ann.sees("app.localhost/transfer/done").await;
    assert_eq!(ann.host().await, host);
    ann.press("Send now").await;
    ann.sees("Transferred").await;
    within(SOON, "it arrives", || async {
        let targets = gateway.upstream.targets();
        targets
            .contains(&"/transfer/done?from=1".to_owned())
            .then_some(())
    })
    .await;
    ann.close().await;
}
