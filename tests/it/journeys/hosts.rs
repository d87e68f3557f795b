//! One sign-in for many hosts, as people live through it: three names, each with cookies of its own.

use super::{ANN, furnished, invitation_link};
use crate::harness::{Gateway, browser::Browser, gateway::AUTH_HOST};

const APP: &str = "app.localhost";
const WIKI: &str = "wiki.localhost";

/// The app's pages on two hosts.
async fn hosts() -> Gateway {
    furnished(Gateway::start().with_hosts(&[APP, WIKI])).await
}

fn address(gateway: &Gateway, host: &str, path: &str) -> String {
    format!("http://{host}:{}{path}", gateway.address.port())
}

/// Saves a passkey where people sign in, and goes on to the account.
async fn enrolled(gateway: &Gateway) -> Browser {
    let ann = Browser::open(gateway).await;
    ann.visit_link(&invitation_link(gateway, ANN)).await;
    ann.save_passkey().await;
    ann.press("Later").await;
    ann.arrives_at("/.gatehouse/account").await;
    ann
}

#[tokio::test(flavor = "multi_thread")]
async fn one_click_opens_the_first_host_and_none_the_second() {
    let gateway = hosts().await;
    let ann = enrolled(&gateway).await;
    ann.sign_out().await;

    ann.visit_link(&address(&gateway, APP, "/report?year=2025"))
        .await;
    ann.arrives_at("/.gatehouse/sign-in").await;
    assert_eq!(ann.host().await, AUTH_HOST);
    ann.sign_in_with_passkey().await;
    ann.sees("Report of 2025").await;
    assert_eq!(ann.host().await, APP);

    ann.visit_link(&address(&gateway, WIKI, "/notes")).await;
    ann.sees("Buy milk.").await;
    assert_eq!(ann.host().await, WIKI);

    ann.visit("/.gatehouse/account").await;
    ann.sees("Open on wiki.localhost, app.localhost, auth.localhost")
        .await;
    ann.inspect("account-on-several-hosts").await;
    let nothing = "/.gatehouse/handoff/end?flow=x&code=x";
    ann.visit_link(&address(&gateway, "other.localhost", "/.gatehouse/sign-in"))
        .await;
    ann.sees("You are not signed in here").await;
    ann.inspect("not-handed-on").await;
    ann.visit_link(&address(&gateway, "wiki.localhost", nothing))
        .await;
    ann.sees("You are not signed in here").await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_of_one_host_signs_out_of_all() {
    let gateway = hosts().await;
    let ann = enrolled(&gateway).await;
    for host in [APP, WIKI] {
        ann.visit_link(&address(&gateway, host, "/notes")).await;
        ann.sees("Buy milk.").await;
    }
    ann.visit_link(&address(&gateway, APP, "/.gatehouse/sign-out"))
        .await;
    ann.press("Sign out").await;
    ann.sees("Signed out").await;
    for host in [WIKI, APP] {
        ann.visit_link(&address(&gateway, host, "/notes")).await;
        ann.arrives_at("/.gatehouse/sign-in").await;
    }
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_for_one_host_is_good_for_the_other() {
    let gateway = hosts().await;
    let ann = enrolled(&gateway).await;
    gateway.after(10);
    ann.visit_link(&address(&gateway, APP, "/admin/users"))
        .await;
    ann.step_up().await;
    ann.sees("All users").await;
    assert_eq!(ann.host().await, APP);
    ann.visit_link(&address(&gateway, WIKI, "/admin/users"))
        .await;
    ann.sees("All users").await;
    assert_eq!(ann.host().await, WIKI);
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_by_mail_reaches_the_app_and_a_passkey_raises_its_session() {
    let gateway = hosts().await;
    gateway.invite(ANN, &[]);
    let ann = Browser::open(&gateway).await;
    ann.visit_link(&address(&gateway, APP, "/notes")).await;
    ann.ask_for_sign_in_link(ANN).await;
    ann.sees("Check your mail").await;
    let mail = gateway.mailbox.next(ANN).await;
    ann.visit_link(&mail.link()).await;
    // The form's redirects end on another host than the form's own, and the browser lets them.
    ann.press("Sign in").await;
    ann.continue_with_limited_access().await;
    ann.sees("Buy milk.").await;
    assert_eq!(ann.host().await, APP);
    let request = gateway.upstream.last_of("/notes");
    assert_eq!(request.header("X-Gatehouse-Session"), "restricted");

    ann.visit_link(&address(&gateway, APP, "/report?year=2025"))
        .await;
    ann.arrives_at("/.gatehouse/enrol").await;
    ann.save_passkey().await;
    ann.press("Later").await;
    ann.sees("Report of 2025").await;
    assert_eq!(ann.host().await, APP);
    let request = gateway.upstream.last_of("/report?year=2025");
    assert_eq!(request.header("X-Gatehouse-Session"), "full");
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_a_signed_in_person_still_opens_every_host() {
    let gateway = hosts().await;
    let ann = enrolled(&gateway).await;
    ann.without_javascript().await;
    ann.visit_link(&address(&gateway, APP, "/notes")).await;
    ann.sees("Buy milk.").await;
    ann.visit_link(&address(
        &gateway,
        APP,
        "/.gatehouse/handoff/end?flow=x&code=x",
    ))
    .await;
    ann.sees("You are not signed in here").await;
    ann.press("Try again").await;
    ann.sees("Home").await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_signs_in_leads_on_to_another_host() {
    let full = "enabled = true\nlifespan = '15m'\ngrants = 'full'";
    let setup = Gateway::start().with_hosts(&[APP, WIKI]);
    let gateway = furnished(setup.with("methods.email", full)).await;
    gateway.invite(ANN, &[]);
    let ann = Browser::open(&gateway).await;
    ann.visit_link(&address(&gateway, WIKI, "/report?year=2025"))
        .await;
    ann.ask_for_sign_in_link(ANN).await;
    ann.sees("Check your mail").await;
    let mail = gateway.mailbox.next(ANN).await;
    ann.type_into("code", &mail.code()).await;
    // A browser holds the redirects after a form to the form's own policy.
    ann.press("Sign in").await;
    ann.sees("Report of 2025").await;
    assert_eq!(ann.host().await, WIKI);
    ann.close().await;
}
