//! Sign-in by passkey, with a software authenticator that also misbehaves.

use serde_json::{Value as Json, json};

use crate::harness::{Gateway, Person, authenticator::Authenticator, page::Reply};

const ANN: &str = "ann@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn a_returning_person_signs_in_without_a_username_and_lands_on_the_deep_link() {
    let gateway = Gateway::start().await;
    let mut ann = returning(&gateway).await;
    let turned_away = ann.open("/report?year=2025").await;
    assert!(turned_away.leads_to("/.gatehouse/sign-in"));

    let done = ann.sign_in("/report?year=2025").await;
    assert_eq!(
        done.json()["location"],
        "/report?year=2025",
        "{}",
        done.text()
    );
    assert_eq!(ann.session_kind().await, "full");
    assert_eq!(ann.open("/report?year=2025").await.status, 200);
    assert_eq!(gateway.upstream.last().header("Remote-User"), ANN);
}

#[tokio::test(flavor = "multi_thread")]
async fn device_bound_passkeys_that_count_sign_in_again_and_again() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.person();
    ann.phone = Authenticator::hardware_key();
    ann.enrol(Some(&gateway.invite(ANN, &[])), "/").await;
    for _ in 0..3 {
        ann.press_on_account_page("/.gatehouse/sign-out").await;
        assert_eq!(ann.sign_in("/").await.status, 200);
        assert_eq!(ann.session_kind().await, "full");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_is_asked_for_a_discoverable_passkey_with_user_verification() {
    let gateway = Gateway::start().await;
    let visitor = gateway.person();
    let sign_in = visitor.begin_sign_in("/").await.public_key;
    assert_eq!(sign_in["userVerification"], "required");
    assert_eq!(sign_in["rpId"], "localhost");
    assert!(
        sign_in["allowCredentials"]
            .as_array()
            .is_none_or(Vec::is_empty)
    );

    let invitation = gateway.invite(ANN, &[]);
    let enrol = visitor.begin_enrolment(Some(&invitation)).await.public_key;
    assert_eq!(enrol["authenticatorSelection"]["residentKey"], "required");
    assert_eq!(enrol["authenticatorSelection"]["requireResidentKey"], true);
    assert_eq!(
        enrol["authenticatorSelection"]["userVerification"],
        "required"
    );
    assert!(
        enrol["user"]["id"]
            .as_str()
            .is_some_and(|id| !id.contains("ann"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_are_never_the_same() {
    let gateway = Gateway::start().await;
    let visitor = gateway.person();
    let one = visitor.begin_sign_in("/").await.public_key;
    let other = visitor.begin_sign_in("/").await.public_key;
    assert_ne!(one["challenge"], other["challenge"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_that_is_not_saved_here_is_refused() {
    let gateway = Gateway::start().await;
    let mut stranger = returning(&gateway).await;
    // Made for this place by somebody else's account, or removed since.
    stranger.phone.forget_everything();
    let options = json!({
        "rp": {"id": "localhost"},
        "user": {"id": "AAAAAAAAAAAAAAAAAAAAAA"},
        "challenge": "AAAA",
    });
    stranger.phone.create(&options, &gateway.origin).unwrap();
    let refused = stranger.sign_in("/").await;
    assert_refused(&stranger, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_presented_with_another_accounts_user_handle_is_refused() {
    let gateway = Gateway::start().await;
    let mut ann = returning(&gateway).await;
    let mut bob = gateway.enrolled("bob@example.com").await;
    let elsewhere = gateway.person().begin_sign_in("/").await;
    let bobs = bob
        .phone
        .get(&elsewhere.public_key, &gateway.origin)
        .unwrap();
    let stolen = bobs["response"]["userHandle"].clone();
    let ceremony = ann.begin_sign_in("/").await;
    let mut credential = ann
        .phone
        .get(&ceremony.public_key, &gateway.origin)
        .unwrap();
    credential["response"]["userHandle"] = stolen;
    let refused = ann.finish_sign_in(&ceremony, credential, "/").await;
    assert_refused(&ann, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_exchange_cannot_be_replayed() {
    let gateway = Gateway::start().await;
    let mut ann = returning(&gateway).await;
    let ceremony = ann.begin_sign_in("/").await;
    // Synced passkeys do not count: only the exchange itself can tell.
    let credential = ann
        .phone
        .get(&ceremony.public_key, &gateway.origin)
        .unwrap();
    assert_eq!(
        ann.finish_sign_in(&ceremony, credential.clone(), "/")
            .await
            .status,
        200
    );
    let cookie_before = ann.session_cookie();
    let replayed = ann.finish_sign_in(&ceremony, credential, "/").await;
    assert!(replayed.status.is_client_error(), "{}", replayed.status);
    assert_eq!(replayed.session_cookie(), None);
    assert_eq!(ann.session_cookie(), cookie_before);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_exchange_finished_many_times_at_once_gives_one_session() {
    let gateway = Gateway::start().await;
    let mut ann = returning(&gateway).await;
    let ceremony = ann.begin_sign_in("/").await;
    let credential = ann
        .phone
        .get(&ceremony.public_key, &gateway.origin)
        .unwrap();
    let finish = || ann.finish_sign_in(&ceremony, credential.clone(), "/");
    let (a, b, c, d) = tokio::join!(finish(), finish(), finish(), finish());
    let sessions = [a, b, c, d]
        .iter()
        .filter(|reply| reply.session_cookie().is_some())
        .count();
    assert_eq!(sessions, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_begun_in_another_browser_is_refused() {
    let gateway = Gateway::start().await;
    let mut ann = returning(&gateway).await;
    // An attacker begins, has the victim sign, and would finish in either browser.
    let eve = gateway.person();
    let begun_by_eve = eve.begin_sign_in("/").await;
    let credential = ann
        .phone
        .get(&begun_by_eve.public_key, &gateway.origin)
        .unwrap();
    let mut in_anns_browser = ann.begin_sign_in("/").await;
    in_anns_browser.state = begun_by_eve.state.clone();
    let refused = ann.finish_sign_in(&in_anns_browser, credential, "/").await;
    assert_refused(&ann, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_left_lying_is_refused() {
    let gateway = Gateway::start().await;
    let mut ann = returning(&gateway).await;
    let ceremony = ann.begin_sign_in("/").await;
    let credential = ann
        .phone
        .get(&ceremony.public_key, &gateway.origin)
        .unwrap();
    gateway.after(24 * 60);
    let refused = ann.finish_sign_in(&ceremony, credential, "/").await;
    assert_refused(&ann, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_exchange_does_not_serve_as_an_enrolment_or_the_other_way() {
    let gateway = Gateway::start().await;
    let mut ann = returning(&gateway).await;
    let sign_in = ann.begin_sign_in("/").await;
    let credential = ann.phone.get(&sign_in.public_key, &gateway.origin).unwrap();
    let body = json!({"state": sign_in.state, "credential": credential, "return_to": "/"});
    for path in ["/.gatehouse/enrol/finish", "/.gatehouse/step-up/finish"] {
        let refused = ann.post_json(&sign_in.form_token, path, &body).await;
        assert_refused(&ann, &refused).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_without_user_verification_is_refused() {
    let gateway = Gateway::start().await;
    let mut ann = returning(&gateway).await;
    ann.phone.verifies_user = false;
    let refused = ann.sign_in("/").await;
    assert_refused(&ann, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_for_another_origin_is_refused() {
    let gateway = Gateway::start().await;
    let mut ann = returning(&gateway).await;
    for origin in [
        "https://evil.example",
        "http://localhost:1",
        "http://localhost.evil.example",
    ] {
        let ceremony = ann.begin_sign_in("/").await;
        let credential = ann.phone.get(&ceremony.public_key, origin).unwrap();
        let refused = ann.finish_sign_in(&ceremony, credential, "/").await;
        assert_refused(&ann, &refused).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_another_challenge_is_refused() {
    let gateway = Gateway::start().await;
    let mut ann = returning(&gateway).await;
    let ceremony = ann.begin_sign_in("/").await;
    let mut other = ceremony.public_key.clone();
    other["challenge"] = json!("b3RoZXItY2hhbGxlbmdlLW90aGVyLWNoYWxsZW5nZQ");
    let credential = ann.phone.get(&other, &gateway.origin).unwrap();
    let refused = ann.finish_sign_in(&ceremony, credential, "/").await;
    assert_refused(&ann, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_goes_backwards_is_refused() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.person();
    ann.phone = Authenticator::hardware_key();
    ann.enrol(Some(&gateway.invite(ANN, &[])), "/").await;
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    let older = ann.begin_sign_in("/").await;
    let answer_of_a_clone = ann.phone.get(&older.public_key, &gateway.origin).unwrap();
    ann.sign_in("/").await;
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    let refused = ann.finish_sign_in(&older, answer_of_a_clone, "/").await;
    assert_refused(&ann, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_json_is_answered_with_400_and_a_sentence() {
    let gateway = Gateway::start().await;
    let mut ann = returning(&gateway).await;
    let ceremony = ann.begin_sign_in("/").await;
    let good = ann
        .phone
        .get(&ceremony.public_key, &gateway.origin)
        .unwrap();
    let state = &ceremony.state;
    let whole =
        |credential: Json| json!({"state": state, "credential": credential, "return_to": "/"});
    let mut broken = vec![
        json!(null),
        json!([]),
        json!({}),
        json!("text"),
        whole(json!(null)),
        whole(json!({})),
    ];
    for field in ["clientDataJSON", "authenticatorData", "signature"] {
        for value in [
            json!("!!!"),
            json!(""),
            json!("AAAA"),
            json!(7),
            json!(null),
        ] {
            let mut credential = good.clone();
            credential["response"][field] = value;
            broken.push(whole(credential));
        }
    }
    for body in broken {
        let reply = ann
            .post_json(
                &ceremony.form_token,
                "/.gatehouse/sign-in/passkey/finish",
                &body,
            )
            .await;
        assert_eq!(reply.status, 400, "{body}");
        assert!(!reply.text().trim().is_empty());
        assert_eq!(reply.session_cookie(), None);
    }
    let request = ann
        .request(reqwest::Method::POST, "/.gatehouse/sign-in/passkey/finish")
        .header("X-Gatehouse-Form", &ceremony.form_token)
        .header("Origin", &gateway.origin)
        .header("Content-Type", "application/json")
        .body("{\"state\": ");
    let reply = ann.send(request).await;
    assert_eq!(reply.status, 400);
    assert!(!reply.text().trim().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_is_refused() {
    let gateway = Gateway::start().await;
    let mut ann = returning(&gateway).await;
    assert_eq!(gateway.command(&["account", "disable", ANN]).code, 0);
    let refused = ann.sign_in("/").await;
    assert_refused(&ann, &refused).await;
    assert_eq!(gateway.command(&["account", "enable", ANN]).code, 0);
    assert_eq!(ann.sign_in("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_elsewhere_after_signing_in() {
    let gateway = Gateway::start().await;
    let mut ann = returning(&gateway).await;
    for hostile in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "\\\\evil.example",
        "/.gatehouse/sign-out",
    ] {
        let ceremony = ann.begin_sign_in("/").await;
        let credential = ann
            .phone
            .get(&ceremony.public_key, &gateway.origin)
            .unwrap();
        let done = ann.finish_sign_in(&ceremony, credential, hostile).await;
        assert_eq!(done.json()["location"], "/", "{hostile:?}");
        ann.press_on_account_page("/.gatehouse/sign-out").await;
    }
}

/// Ann, who has a passkey and no session.
async fn returning(gateway: &Gateway) -> Person {
    let ann = gateway.enrolled(ANN).await;
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    assert_eq!(ann.session_kind().await, "none");
    ann
}

async fn assert_refused(person: &Person, reply: &Reply) {
    assert!(
        reply.status.is_client_error(),
        "{} {}",
        reply.status,
        reply.text()
    );
    assert!(!reply.text().trim().is_empty(), "a refusal says something");
    assert_eq!(reply.session_cookie(), None);
    assert_eq!(person.session_kind().await, "none");
}
