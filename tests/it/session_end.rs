//! Every way in which sessions end, and that they end everywhere at once.

use std::time::Duration;

use reqwest::Method;

use crate::harness::{
    Gateway, Person,
    upstream::Answer,
    waiting::{SOON, within},
};

const ANN: &str = "ann@example.com";

/// What an operator is promised of a command beside the server.
const A_SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_session_and_not_only_the_cookie() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let thief = with_cookie_of(&gateway, &ann);
    assert_eq!(thief.session_kind().await, "full");
    let done = ann.press_on_account_page("/.gatehouse/sign-out").await;
    assert!(
        done.status.is_success() || done.status.is_redirection(),
        "{}",
        done.status
    );
    assert_eq!(ann.session_cookie(), None);
    assert_eq!(thief.session_kind().await, "none");
    assert!(thief.open("/report").await.leads_to("/.gatehouse/sign-in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_leaves_other_browsers_alone() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let other = gateway.person_with_session(ANN, "full");
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    assert_eq!(other.session_kind().await, "full");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_everywhere_ends_every_session_of_the_account_and_no_other() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let elsewhere = gateway.person_with_session(ANN, "full");
    let bob = gateway.enrolled("bob@example.com").await;
    ann.press_on_account_page("/.gatehouse/sign-out/everywhere")
        .await;
    assert_eq!(ann.session_kind().await, "none");
    assert_eq!(elsewhere.session_kind().await, "none");
    assert!(
        elsewhere
            .open("/report")
            .await
            .leads_to("/.gatehouse/sign-in")
    );
    assert_eq!(bob.session_kind().await, "full");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_is_ended_from_the_account_page() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let lost_laptop = gateway.person_with_session(ANN, "full");
    let sid = sid_of(&lost_laptop);
    ann.press_on_account_page(&format!("/.gatehouse/account/sessions/{sid}/end"))
        .await;
    assert_eq!(lost_laptop.session_kind().await, "none");
    assert_eq!(ann.session_kind().await, "full");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_ends_another_accounts_session() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let eve = gateway.enrolled("eve@example.com").await;
    eve.press_on_account_page(&format!(
        "/.gatehouse/account/sessions/{}/end",
        sid_of(&ann)
    ))
    .await;
    assert_eq!(ann.session_kind().await, "full");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_beside_the_server_ends_sessions_within_a_second() {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &[]);
    gateway.invite("bob@example.com", &[]);
    let bob = gateway.person_with_session("bob@example.com", "full");

    let ann = signed_in(&gateway).await;
    gateway.command(&["session", "revoke", "--id", &sid_of(&ann)]);
    ends_within_a_second(&ann).await;

    let ann = signed_in(&gateway).await;
    gateway.command(&["session", "revoke", "--account", ANN]);
    ends_within_a_second(&ann).await;

    let ann = signed_in(&gateway).await;
    gateway.command(&["account", "disable", ANN]);
    ends_within_a_second(&ann).await;
    assert_eq!(
        bob.open("/report").await.status,
        200,
        "others are not concerned"
    );

    gateway.command(&["session", "revoke", "--all"]);
    ends_within_a_second(&bob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_account_ends_its_sessions_within_a_second() {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &[]);
    let ann = signed_in(&gateway).await;
    assert_eq!(gateway.command(&["account", "delete", ANN]).code, 0);
    ends_within_a_second(&ann).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_a_passkey_ends_the_sessions_it_opened() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    let thief = with_cookie_of(&gateway, &ann);
    let id = ann.phone.ids()[0].clone();
    ann.step_up("/").await;
    let elsewhere = gateway.person();
    let ceremony = elsewhere.begin_sign_in("/").await;
    let credential = ann
        .phone
        .get(&ceremony.public_key, &gateway.origin)
        .unwrap();
    elsewhere.finish_sign_in(&ceremony, credential, "/").await;
    assert_eq!(elsewhere.session_kind().await, "full");

    ann.press_on_account_page(&format!("/.gatehouse/account/passkeys/{id}/remove"))
        .await;
    assert_eq!(elsewhere.session_kind().await, "none");
    assert_eq!(thief.session_kind().await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_stays_ended_after_a_restart() {
    let mut gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let thief = with_cookie_of(&gateway, &ann);
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    gateway.restart().await;
    assert_eq!(thief.session_kind().await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_a_session_cuts_its_open_stream() {
    let gateway = Gateway::start().await;
    gateway.upstream.answer("/events", Answer::Endless);
    gateway.invite(ANN, &[]);
    let ann = signed_in(&gateway).await;
    let mut stream = ann.request(Method::GET, "/events").send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    gateway.command(&["session", "revoke", "--account", ANN]);
    let cut = tokio::time::timeout(Duration::from_secs(3), async {
        while let Ok(Some(_)) = stream.chunk().await {}
    });
    assert!(cut.await.is_ok(), "the stream went on");
    let open = gateway.upstream.open_streams();
    within(SOON, "the app learns of it", || async {
        (*open.borrow() == 0).then_some(())
    })
    .await;
}

async fn signed_in(gateway: &Gateway) -> Person {
    let person = gateway.person_with_session(ANN, "full");
    assert_eq!(person.open("/report").await.status, 200);
    person
}

async fn ends_within_a_second(person: &Person) {
    let ended = || async {
        person
            .open("/report")
            .await
            .leads_to("/.gatehouse/sign-in")
            .then_some(())
    };
    within(A_SECOND, "the session is ended", ended).await;
}

/// Somebody who stole the cookie.
fn with_cookie_of(gateway: &Gateway, person: &Person) -> Person {
    let thief = gateway.person();
    thief.keep_cookie("__Host-gatehouse", &person.session_cookie().unwrap());
    thief
}

fn sid_of(person: &Person) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let cookie = person.session_cookie().unwrap();
    let claims = URL_SAFE_NO_PAD
        .decode(cookie.split('.').nth(1).unwrap())
        .unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    let sid = claims["sid"].as_str().unwrap();
    // Addresses and commands write ids without hyphens.
    sid.replace('-', "")
}
