//! Journeys in apps that know nothing of where they live.

use super::{ANN, invitation_link};
use crate::harness::{Gateway, app::App, browser::Browser};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_believes_to_be_alone_works_under_a_prefix_and_signs_out_of_both() {
    let mut wiki = App::start("prefix_unaware.py", &[]);
    let gateway = Gateway::start()
        .before(wiki.address())
        .with_route("path = '/wiki/logout'\nstrip_prefix = '/wiki'\nsign_out = true")
        .with_route("path = '/wiki/*'\nstrip_prefix = '/wiki'\nsecurity_headers = true")
        .with_route("path = '/*'")
        .await;
    let ann = Browser::open(&gateway).await;
    ann.enrol(&invitation_link(&gateway, ANN)).await;

    ann.visit("/wiki/").await;
    ann.sees(&format!("Hello nobody, signed in as {ANN}."))
        .await;
    ann.type_into("nickname", "Annie").await;
    ann.press("Save").await;
    ann.arrives_at("/wiki/hello").await;
    ann.sees("Hello Annie, signed in as").await;
    // The cookie is the wiki's alone.
    ann.visit("/").await;
    ann.sees("Hello nobody, signed in as").await;

    ann.visit("/wiki/").await;
    ann.sees("Hello Annie").await;
    ann.press("Leave the wiki").await;
    ann.arrives_at("/.gatehouse/sign-in").await;
    assert!(!ann.has_session_cookie().await);
    ann.sign_in_with_passkey().await;
    ann.arrives_at("/wiki/bye").await;
    ann.visit("/wiki/").await;
    ann.sees("Hello nobody").await;
    ann.close().await;
}
