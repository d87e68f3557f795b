//! How accounts come to be and how passkeys are saved, renamed and removed.

use serde_json::Value as Json;

use crate::harness::{Gateway, authenticator::Authenticator};

const ANN: &str = "ann@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn an_invited_person_saves_a_passkey_and_is_in() {
    let gateway = Gateway::start().await;
    let invitation = gateway.invite(ANN, &[]);
    let mut ann = gateway.person();
    let done = ann.enrol(Some(&invitation), "/report").await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(ann.session_kind().await, "full");
    assert_eq!(ann.open("/report").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_works_once() {
    let gateway = Gateway::start().await;
    let invitation = gateway.invite(ANN, &[]);
    gateway.person().enrol(Some(&invitation), "/").await;
    assert_worthless(&gateway, &invitation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_used_by_two_at_once_lets_one_in() {
    let gateway = Gateway::start().await;
    let invitation = gateway.invite(ANN, &[]);
    let (mut one, mut other) = (gateway.person(), gateway.person());
    let one_begun = one.begin_enrolment(Some(&invitation)).await;
    let other_begun = other.begin_enrolment(Some(&invitation)).await;
    let one_made = one
        .phone
        .create(&one_begun.public_key, &gateway.origin)
        .unwrap();
    let other_made = other
        .phone
        .create(&other_begun.public_key, &gateway.origin)
        .unwrap();
    let (first, second) = tokio::join!(
        one.finish_enrolment(&one_begun, Some(&invitation), one_made, "/"),
        other.finish_enrolment(&other_begun, Some(&invitation), other_made, "/"),
    );
    let sessions = [first, second]
        .iter()
        .filter(|reply| reply.session_cookie().is_some())
        .count();
    assert_eq!(sessions, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_superseded_or_invented_invitation_lets_nobody_in() {
    let gateway = Gateway::start()
        .with("enrolment", "mode = 'invite'\ninvitation_lifespan = '1h'")
        .await;
    let expired = gateway.invite(ANN, &[]);
    gateway.after(61);
    assert_worthless(&gateway, &expired).await;

    assert_worthless(&gateway, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await;
    assert_worthless(&gateway, "short").await;
    assert_worthless(&gateway, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_invitation_or_session_there_is_nothing_to_save() {
    let gateway = Gateway::start().await;
    let visitor = gateway.person();
    assert!(
        visitor
            .open("/.gatehouse/enrol")
            .await
            .leads_to("/.gatehouse/sign-in")
    );
    let token = visitor.open("/.gatehouse/sign-in").await.form_token();
    let refused = visitor
        .post_json(&token, "/.gatehouse/enrol/start", &serde_json::json!({}))
        .await;
    assert!(refused.status.is_client_error(), "{}", refused.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_can_be_mailed() {
    let gateway = Gateway::start().await;
    let invitation = gateway.invite(ANN, &["--mail"]);
    let mail = gateway.mailbox.next(ANN).await;
    assert!(mail.link().ends_with(&invitation), "{}", mail.link());
}

#[tokio::test(flavor = "multi_thread")]
async fn saving_a_passkey_lifts_the_restriction_at_once_and_changes_the_session() {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &[]);
    let mut ann = gateway.person_with_session(ANN, "restricted");
    assert!(ann.open("/report").await.leads_to("/.gatehouse/enrol"));
    let before = ann.session_cookie().unwrap();

    assert_eq!(ann.enrol(None, "/report").await.status, 200);
    assert_eq!(ann.session_kind().await, "full");
    assert_eq!(ann.open("/report").await.status, 200);

    let thief = gateway.person();
    thief.keep_cookie("__Host-gatehouse", &before);
    assert_eq!(
        thief.session_kind().await,
        "none",
        "the old session is gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authenticator_that_holds_a_passkey_is_told_so() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    let ceremony = ann.begin_enrolment(None).await;
    assert_eq!(
        ceremony.public_key["excludeCredentials"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(
        ann.phone.create(&ceremony.public_key, &gateway.origin),
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_without_user_verification_is_not_saved() {
    let gateway = Gateway::start().await;
    let invitation = gateway.invite(ANN, &[]);
    let mut ann = gateway.person();
    ann.phone.verifies_user = false;
    let refused = ann.enrol(Some(&invitation), "/").await;
    assert!(refused.status.is_client_error(), "{}", refused.status);
    assert_eq!(ann.session_kind().await, "none");
    // The invitation was not spent on it.
    ann.phone = Authenticator::phone();
    assert_eq!(ann.enrol(Some(&invitation), "/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_passkey_cannot_belong_to_two_accounts() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let invitation = gateway.invite("eve@example.com", &[]);
    let mut eve = gateway.person();
    let ceremony = eve.begin_enrolment(Some(&invitation)).await;
    let mut credential = eve
        .phone
        .create(&ceremony.public_key, &gateway.origin)
        .unwrap();
    credential = with_credential_id(credential, &ann.phone.ids()[0]);
    let refused = eve
        .finish_enrolment(&ceremony, Some(&invitation), credential, "/")
        .await;
    assert!(refused.status.is_client_error(), "{}", refused.status);
    assert_eq!(eve.session_kind().await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_cannot_be_replayed_or_finished_in_another_browser() {
    let gateway = Gateway::start().await;
    let invitation = gateway.invite(ANN, &[]);
    let mut ann = gateway.person();
    let ceremony = ann.begin_enrolment(Some(&invitation)).await;
    let credential = ann
        .phone
        .create(&ceremony.public_key, &gateway.origin)
        .unwrap();

    let eve = gateway.person();
    let mut in_eves_browser = eve.begin_enrolment(Some(&invitation)).await;
    in_eves_browser.state = ceremony.state.clone();
    let stolen = eve
        .finish_enrolment(&in_eves_browser, Some(&invitation), credential.clone(), "/")
        .await;
    assert!(stolen.status.is_client_error(), "{}", stolen.status);

    let done = ann
        .finish_enrolment(&ceremony, Some(&invitation), credential.clone(), "/")
        .await;
    assert_eq!(done.status, 200, "{}", done.text());
    let replayed = ann
        .finish_enrolment(&ceremony, Some(&invitation), credential, "/")
        .await;
    assert!(replayed.status.is_client_error(), "{}", replayed.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_enrolment_is_open_a_verified_address_makes_an_account() {
    let gateway = Gateway::start().with("enrolment", "mode = 'open'").await;
    let mut new = gateway.person();
    new.ask_for_mail("new@anywhere.example", "/report").await;
    let mail = gateway.mailbox.next("new@anywhere.example").await;
    assert_eq!(
        gateway
            .command(&["account", "list", "--json"])
            .json()
            .as_array()
            .map(Vec::len),
        Some(0)
    );
    new.enter_code(&mail.code()).await;
    assert_eq!(new.session_kind().await, "restricted");
    assert_eq!(new.enrol(None, "/report").await.status, 200);
    assert_eq!(new.open("/report").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_domains_are_named_others_stay_outside() {
    let gateway = Gateway::start()
        .with("enrolment", "mode = 'domains'\ndomains = ['example.com']")
        .await;
    gateway.person().ask_for_mail("eve@example.org", "/").await;
    gateway
        .person()
        .ask_for_mail("eve@sub.example.com", "/")
        .await;
    let ann = gateway.person();
    ann.ask_for_mail(ANN, "/").await;
    ann.enter_code(&gateway.mailbox.next(ANN).await.code())
        .await;
    assert_eq!(ann.session_kind().await, "restricted");
    assert_eq!(gateway.mailbox.count("eve@example.org"), 0);
    assert_eq!(gateway.mailbox.count("eve@sub.example.com"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_saved_and_removed_passkey_is_told_by_mail() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    assert!(
        gateway
            .mailbox
            .next(ANN)
            .await
            .subject
            .contains("passkey was saved")
    );
    let id = ann.phone.ids()[0].clone();
    ann.step_up("/.gatehouse/account").await;
    ann.press_on_account_page(&format!("/.gatehouse/account/passkeys/{id}/remove"))
        .await;
    assert!(
        gateway
            .mailbox
            .next(ANN)
            .await
            .subject
            .contains("passkey was removed")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_is_renamed_and_its_name_is_shown_as_text() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let id = ann.phone.ids()[0].clone();
    let page = ann.open("/.gatehouse/account").await;
    let rename = format!("/.gatehouse/account/passkeys/{id}/rename");
    let done = ann
        .submit(&page, &rename, &[("label", "<b>Blue</b> phone")])
        .await;
    assert!(done.leads_to("/.gatehouse/account"), "{}", done.status);
    let page = ann.open("/.gatehouse/account").await.text();
    assert!(page.contains("Blue") && !page.contains("<b>Blue"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_a_passkey_needs_a_fresh_step_up_and_makes_it_worthless() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    let old = ann.phone.ids()[0].clone();
    let remove = format!("/.gatehouse/account/passkeys/{old}/remove");
    gateway.after(30);
    assert!(ann.open(&remove).await.leads_to("/.gatehouse/step-up"));
    let refused = ann.press_on_account_page(&remove).await;
    assert!(
        refused.leads_to("/.gatehouse/step-up") || refused.status.is_client_error(),
        "{}",
        refused.status
    );
    assert!(
        ann.open("/.gatehouse/account").await.text().contains(&old),
        "it is still there"
    );

    ann.step_up(&remove).await;
    let page = ann.open(&remove).await;
    assert!(page.text().contains("last passkey"), "{}", page.text());
    ann.submit(&page, &remove, &[]).await;

    let elsewhere = gateway.person();
    let ceremony = elsewhere.begin_sign_in("/").await;
    let credential = ann
        .phone
        .get_regardless(&ceremony.public_key, &gateway.origin);
    let refused = elsewhere.finish_sign_in(&ceremony, credential, "/").await;
    assert!(refused.status.is_client_error(), "{}", refused.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_renames_or_removes_another_accounts_passkey() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let mut eve = gateway.enrolled("eve@example.com").await;
    eve.step_up("/").await;
    let theirs = ann.phone.ids()[0].clone();
    let page = eve.open("/.gatehouse/account").await;
    for (action, fields) in [("rename", vec![("label", "mine now")]), ("remove", vec![])] {
        let path = format!("/.gatehouse/account/passkeys/{theirs}/{action}");
        let refused = eve.submit(&page, &path, &fields).await;
        assert_eq!(refused.status, 404, "{action}");
    }
    let page = ann.open("/.gatehouse/account").await.text();
    assert!(page.contains(&theirs) && !page.contains("mine now"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_session_cannot_rename_or_remove_passkeys() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let id = ann.phone.ids()[0].clone();
    let thief = gateway.person_with_session(ANN, "restricted");
    let page = thief.open("/.gatehouse/account").await;
    for action in ["rename", "remove"] {
        let path = format!("/.gatehouse/account/passkeys/{id}/{action}");
        thief.submit(&page, &path, &[("label", "mine now")]).await;
    }
    let page = ann.open("/.gatehouse/account").await.text();
    assert!(page.contains(&id) && !page.contains("mine now"));
}

async fn assert_worthless(gateway: &Gateway, invitation: &str) {
    let visitor = gateway.person();
    let page = visitor
        .open(&format!("/.gatehouse/enrol?invitation={invitation}"))
        .await;
    assert!(!page.status.is_server_error(), "{}", page.status);
    let token = visitor.open("/.gatehouse/sign-in").await.form_token();
    let body = serde_json::json!({"invitation": invitation});
    let refused = visitor
        .post_json(&token, "/.gatehouse/enrol/start", &body)
        .await;
    assert!(
        refused.status.is_client_error(),
        "{} {}",
        refused.status,
        refused.text()
    );
    assert_eq!(visitor.session_kind().await, "none");
}

/// The same registration under another credential id of the same length.
fn with_credential_id(mut credential: Json, id: &str) -> Json {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    let own = BASE64.decode(credential["id"].as_str().unwrap()).unwrap();
    let other = BASE64.decode(id).unwrap();
    let mut attestation = BASE64
        .decode(
            credential["response"]["attestationObject"]
                .as_str()
                .unwrap(),
        )
        .unwrap();
    let at = attestation
        .windows(own.len())
        .position(|window| window == own)
        .unwrap();
    attestation[at..at + own.len()].copy_from_slice(&other);
    credential["response"]["attestationObject"] = BASE64.encode(attestation).into();
    credential["id"] = id.into();
    credential["rawId"] = id.into();
    credential
}
