//! The gateway's own pages: what they say about themselves, and that nobody presses their buttons from
//! elsewhere.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{Gateway, Person, page::Reply};

const ANN: &str = "ann@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn every_page_forbids_inline_code_frames_and_storing() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    for path in [
        "/.gatehouse/sign-in",
        "/.gatehouse/account",
        "/.gatehouse/enrol",
        "/.gatehouse/step-up",
        "/.gatehouse/sign-out",
        "/.gatehouse/nothing-here",
    ] {
        let page = ann.open(path).await;
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert!(!page.header("referrer-policy").is_empty(), "{path}");
        assert!(
            page.header("content-encoding").is_empty(),
            "{path}: compressed secrets leak (BREACH)"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_kept_by_browsers_for_good() {
    let gateway = Gateway::start().await;
    let page = gateway.person().open("/.gatehouse/sign-in").await.text();
    let assets: Vec<_> = page
        .split('"')
        .filter(|text| {
            text.starts_with("/.gatehouse/assets/")
                && (text.ends_with(".js") || text.ends_with(".css"))
        })
        .collect();
    assert!(assets.len() >= 2, "{page}");
    for asset in assets {
        let reply = gateway.person().open(asset).await;
        assert_eq!(reply.status, 200, "{asset}");
        assert!(
            reply.header("cache-control").contains("immutable"),
            "{asset}"
        );
    }
    assert_eq!(
        gateway
            .person()
            .open("/.gatehouse/assets/app-0000.js")
            .await
            .status,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_read_gets_a_page_of_ours() {
    let gateway = Gateway::start().await;
    for address in [
        "/.gatehouse/sign-in/link",
        "/.gatehouse/sign-in?by=post",
        "/.gatehouse/sign-in?return_to=a&return_to=b",
    ] {
        let reply = gateway.person().open(address).await;
        assert_eq!(reply.status, 400, "{address}");
        assert!(
            reply.text().contains(reply.header("x-request-id")),
            "{address}: {}",
            reply.text()
        );
        assert!(
            reply.text().contains("href=\"/.gatehouse/sign-in\""),
            "{address}: a way on"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_its_token_changes_nothing() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let foreign = gateway
        .person()
        .open("/.gatehouse/sign-in")
        .await
        .form_token();
    for action in ["/.gatehouse/sign-out", "/.gatehouse/sign-out/everywhere"] {
        for form in [
            String::new(),
            "form_token=".to_owned(),
            "form_token=x".to_owned(),
            format!("form_token={foreign}"),
        ] {
            let refused = ann.send_form(action, form.clone()).await;
            assert!(
                refused.status.is_client_error(),
                "{action} {form}: {}",
                refused.status
            );
        }
    }
    assert_eq!(ann.session_kind().await, "full");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_sent_from_another_site_changes_nothing() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let token = ann.open("/.gatehouse/account").await.form_token();
    for origin in ["https://evil.example", "null", "http://localhost:1"] {
        let request = ann
            .request(Method::POST, "/.gatehouse/sign-out")
            .header("Origin", origin)
            .header("Sec-Fetch-Site", "cross-site")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("form_token={token}"));
        let refused = ann.send(request).await;
        assert!(
            refused.status.is_client_error(),
            "{origin}: {}",
            refused.status
        );
    }
    assert_eq!(ann.session_kind().await, "full");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_call_without_its_token_is_refused() {
    let gateway = Gateway::start().await;
    let visitor = gateway.person();
    visitor.open("/.gatehouse/sign-in").await;
    for token in ["", "x"] {
        let refused = visitor
            .post_json(token, "/.gatehouse/sign-in/passkey/start", &json!({}))
            .await;
        assert!(refused.status.is_client_error(), "{}", refused.status);
        assert!(refused.json().is_object());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_never_changes_anything() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let id = ann.phone.ids()[0].clone();
    for path in [
        "/.gatehouse/sign-out".to_owned(),
        "/.gatehouse/sign-out/everywhere".to_owned(),
        format!("/.gatehouse/account/passkeys/{id}/remove"),
        format!("/.gatehouse/account/passkeys/{id}/rename"),
    ] {
        ann.open(&path).await;
    }
    assert_eq!(ann.session_kind().await, "full");
    assert!(ann.open("/.gatehouse/account").await.text().contains(&id));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_page_is_for_people_who_are_signed_in() {
    let gateway = Gateway::start().await;
    assert!(
        gateway
            .person()
            .open("/.gatehouse/account")
            .await
            .leads_to("/.gatehouse/sign-in")
    );
    let ann = gateway.enrolled(ANN).await;
    let page = ann.open("/.gatehouse/account").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains(ANN));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_form_is_refused() {
    let gateway = Gateway::start().await;
    let visitor = gateway.person();
    let refused = visitor
        .send_form("/.gatehouse/sign-in/email", "x".repeat(100 * 1024))
        .await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_for_apps_and_scripts_differ_in_form_but_not_in_status() {
    let gateway = Gateway::start().await;
    let visitor = gateway.person();
    let page = visitor.open("/.gatehouse/nothing-here").await;
    let told = visitor.fetch(Method::GET, "/.gatehouse/nothing-here").await;
    assert_eq!((page.status.as_u16(), told.status.as_u16()), (404, 404));
    assert_shows_request_id(&page);
    assert!(told.json().is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_is_told_to_scripts() {
    let gateway = Gateway::start().await;
    let visitor = gateway.person();
    assert_eq!(told(&visitor).await["kind"], "none");
    let mut ann = gateway.enrolled(ANN).await;
    ann.step_up("/").await;
    let told = told(&ann).await;
    assert_eq!(told["kind"], "full");
    assert!(
        told.as_object().is_some_and(|fields| fields.len() >= 3),
        "kind, expiry, step-up age: {told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_return_paths_are_not_written_into_pages() {
    let gateway = Gateway::start().await;
    for hostile in [
        "https://evil.example/",
        "//evil.example",
        "/\"><script>alert(1)</script>",
        "javascript:alert(1)",
    ] {
        let page = gateway
            .person()
            .open(&crate::harness::person::sign_in_page(hostile))
            .await;
        assert_eq!(page.status, 200, "{hostile}");
        assert!(!page.text().contains("evil.example"), "{hostile}");
        assert!(!page.text().contains("<script>alert"), "{hostile}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_signed_in_is_not_asked_to_sign_in() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let reply = ann
        .open(&crate::harness::person::sign_in_page("/report"))
        .await;
    assert_eq!(reply.location(), "/report");
}

async fn told(person: &Person) -> serde_json::Value {
    person
        .fetch(Method::GET, "/.gatehouse/session")
        .await
        .json()
}

fn assert_shows_request_id(page: &Reply) {
    let id = page.header("x-request-id");
    assert!(
        !id.is_empty() && page.text().contains(id),
        "{}",
        page.text()
    );
}
