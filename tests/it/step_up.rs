//! Step-up: a fresh passkey check inside a session, for as long as the route says.

use reqwest::Method;

use crate::harness::{Gateway, Person, page::Reply};

const ANN: &str = "ann@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn a_route_asks_for_a_step_up_and_lets_through_until_it_is_too_old() {
    let gateway = Gateway::start().await;
    let mut ann = long_signed_in(&gateway).await;
    let turned_away = ann.open("/admin/users").await;
    assert!(
        turned_away.leads_to("/.gatehouse/step-up"),
        "{}",
        turned_away.location()
    );
    assert_eq!(
        turned_away.location(),
        "/.gatehouse/step-up?return_to=/admin/users"
    );

    let done = ann.step_up("/admin/users").await;
    assert_eq!(done.json()["location"], "/admin/users", "{}", done.text());
    assert_eq!(ann.open("/admin/users").await.status, 200);
    gateway.after(4);
    assert_eq!(ann.open("/admin/users").await.status, 200);
    gateway.after(2);
    assert!(
        ann.open("/admin/users")
            .await
            .leads_to("/.gatehouse/step-up"),
        "it asks again"
    );
    ann.step_up("/admin/users").await;
    assert_eq!(ann.open("/admin/users").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_changes_the_session() {
    let gateway = Gateway::start().await;
    let mut ann = long_signed_in(&gateway).await;
    let before = ann.session_cookie().unwrap();
    ann.step_up("/").await;
    let thief = gateway.person();
    thief.keep_cookie("__Host-gatehouse", &before);
    assert_eq!(thief.session_kind().await, "none");
    assert_eq!(ann.session_kind().await, "full");
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_learn_what_is_missing_as_rfc_9470_says() {
    let gateway = Gateway::start().await;
    let ann = long_signed_in(&gateway).await;
    let reply = ann.fetch(Method::POST, "/admin/users").await;
    assert_eq!(reply.status, 401);
    let challenge = reply.header("www-authenticate");
    assert!(
        challenge.contains("error=\"insufficient_user_authentication\""),
        "{challenge}"
    );
    assert!(
        challenge.contains("max_age=\"300\"") || challenge.contains("max_age=300"),
        "{challenge}"
    );
    assert!(reply.json().is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_session_gets_a_json_challenge_for_acr() {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "restricted");
    let reply = ann.fetch(Method::POST, "/transfer").await;
    assert_eq!(reply.status, 401);
    let challenge = reply.header("www-authenticate");
    assert!(
        challenge.contains("insufficient_user_authentication"),
        "{challenge}"
    );
    assert!(challenge.contains("acr_values="), "{challenge}");
    assert_eq!(gateway.upstream.targets(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_this_accounts_own_passkey_counts() {
    let gateway = Gateway::start().await;
    let ann = long_signed_in(&gateway).await;
    let mut eve = gateway.enrolled("eve@example.com").await;
    let ceremony = ann.begin_step_up().await;
    let allowed = ceremony.public_key["allowCredentials"]
        .as_array()
        .expect("a list")
        .clone();
    let allowed: Vec<_> = allowed
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        allowed,
        ann.phone.ids(),
        "the browser is asked for this account's passkeys"
    );

    let credential = eve
        .phone
        .get_regardless(&ceremony.public_key, &gateway.origin);
    let refused = ann
        .finish_step_up(&ceremony, credential, "/admin/users")
        .await;
    assert_still_asked(&ann, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_without_user_verification_is_refused() {
    let gateway = Gateway::start().await;
    let mut ann = long_signed_in(&gateway).await;
    ann.phone.verifies_user = false;
    let refused = ann.step_up("/admin/users").await;
    assert_still_asked(&ann, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_cannot_be_replayed() {
    let gateway = Gateway::start().await;
    let mut ann = long_signed_in(&gateway).await;
    let ceremony = ann.begin_step_up().await;
    let credential = ann
        .phone
        .get(&ceremony.public_key, &gateway.origin)
        .unwrap();
    assert_eq!(
        ann.finish_step_up(&ceremony, credential.clone(), "/")
            .await
            .status,
        200
    );
    gateway.after(6);
    let refused = ann.finish_step_up(&ceremony, credential, "/").await;
    assert_still_asked(&ann, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_begun_in_one_session_does_not_raise_another() {
    let gateway = Gateway::start().await;
    let mut ann = long_signed_in(&gateway).await;
    let elsewhere = gateway.person_with_session(ANN, "full");
    let ceremony = ann.begin_step_up().await;
    let credential = ann
        .phone
        .get(&ceremony.public_key, &gateway.origin)
        .unwrap();
    let mut moved = elsewhere.begin_step_up().await;
    moved.state = ceremony.state.clone();
    let refused = elsewhere
        .finish_step_up(&moved, credential, "/admin/users")
        .await;
    assert_still_asked(&elsewhere, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_has_nothing_to_step_up() {
    let gateway = Gateway::start().await;
    assert!(
        gateway
            .person()
            .open("/.gatehouse/step-up")
            .await
            .leads_to("/.gatehouse/sign-in")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_session_cannot_step_up_past_its_restriction() {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "restricted");
    assert!(ann.open("/admin/users").await.leads_to("/.gatehouse/enrol"));
}

/// Ann, who signed in so long ago that her sign-in is no fresh check any more.
async fn long_signed_in(gateway: &Gateway) -> Person {
    let ann = gateway.enrolled(ANN).await;
    gateway.after(10);
    assert_eq!(ann.open("/report").await.status, 200);
    ann
}

async fn assert_still_asked(person: &Person, refused: &Reply) {
    assert!(
        refused.status.is_client_error(),
        "{} {}",
        refused.status,
        refused.text()
    );
    assert!(
        person
            .open("/admin/users")
            .await
            .leads_to("/.gatehouse/step-up")
    );
}
