//! Beside a proxy that was there before: people notice nothing of it.

use super::{ANN, invitation_link, page};
use crate::harness::{
    browser::Browser,
    outer_proxy::{Kind, Site},
    upstream::Answer,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_opens_what_nginx_serves() {
    let site = Site::start(Kind::Nginx).await;
    let gateway = &site.gateway;
    for (target, heading) in [
        ("/report?year=2025", "Report of 2025"),
        ("/admin/users", "All users"),
    ] {
        gateway
            .upstream
            .answer(target, Answer::Page(page(heading, "")));
    }
    let ann = Browser::open(gateway).await;
    ann.visit_link(&invitation_link(gateway, ANN)).await;
    ann.save_passkey().await;
    ann.press("Later").await;
    ann.sees("GET /").await;
    ann.sign_out().await;

    ann.visit("/report?year=2025").await;
    ann.arrives_at("/.gatehouse/sign-in").await;
    ann.sign_in_with_passkey().await;
    ann.sees("Report of 2025").await;
    let heard = gateway.upstream.last_of("/report?year=2025");
    assert_eq!(heard.header("Remote-User"), ANN);

    gateway.after(10);
    ann.visit("/admin/users").await;
    ann.step_up().await;
    ann.sees("All users").await;

    ann.visit("/staff/list").await;
    ann.sees("Not open to this account").await;
    ann.close().await;
}
