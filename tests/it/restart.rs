//! The gateway is reloaded and restarted while everybody goes on working: nobody notices.
//!
//! `GATEHOUSE_LOAD_REQUESTS` and `GATEHOUSE_LOAD_SOCKETS` make more of it, as `benches/restart` does.

use std::{sync::atomic::Ordering, time::Instant};

use reqwest::Client;

use crate::harness::{
    Gateway,
    gateway::Setup,
    load::Load,
    process::{Process, Signal},
    upstream::Answer,
};

fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

/// With an app whose event streams may be silent for long.
fn setup() -> Setup {
    Gateway::start()
        .with_server("drain = '2s'")
        .with_upstream("read_timeout = '1h'")
}

/// A client of the usual kind, for one protocol.
fn client(gateway: &Gateway, http2: bool) -> Client {
    let builder = Client::builder()
        .no_proxy()
        .resolve("localhost", gateway.address);
    let builder = match (http2, &gateway.certificates) {
        (false, _) => builder.http1_only(),
        (true, Some(_)) => builder,
        (true, None) => builder.http2_prior_knowledge(),
    };
    match &gateway.certificates {
        Some(certificates) => builder.tls_certs_only([certificates.root()]),
        None => builder,
    }
    .build()
    .unwrap()
}

fn load_on(gateway: &Gateway, sockets: usize) -> Load {
    let mut load = Load::none();
    let url = |path: &str| format!("{}{path}", gateway.origin);
    for _ in 0..4 {
        if gateway.certificates.is_none() {
            load.add_plain(gateway.address);
        }
        load.add_client(client(gateway, false), &url("/public/page"));
    }
    let shared = client(gateway, true);
    for _ in 0..4 {
        load.add_client(shared.clone(), &url("/public/page"));
    }
    let http1 = client(gateway, false);
    for _ in 0..sockets / 2 {
        load.add_websocket(http1.clone(), &url("/public/socket"));
        load.add_events(http1.clone(), &url("/public/events"));
    }
    load
}

/// Reloads and restarts, `times` each, under load.
async fn goes_on_through(mut gateway: Gateway, times: usize) {
    let requests = setting("GATEHOUSE_LOAD_REQUESTS", 4000);
    let sockets = setting("GATEHOUSE_LOAD_SOCKETS", 20);
    gateway.upstream.answer("/public/socket", Answer::Echo);
    gateway.upstream.answer("/public/events", Answer::Endless);
    gateway.stop().await;
    let began = Instant::now();
    let mut process = Process::serve(&gateway.config);
    let load = load_on(&gateway, sockets);
    let share = requests / (2 * times + 1) + 1;
    for _ in 0..times {
        load.has_open(sockets).await;
        let closed = load.tally().closed.load(Ordering::Relaxed);
        load.goes_on(share).await;
        process.signal(Signal::HUP);
        process.says("the new configuration is in force").await;
        load.goes_on(share / 2).await;
        let kept = load.tally().closed.load(Ordering::Relaxed) == closed;
        assert!(kept, "a reload closes nothing");
        process.restart().await;
        load.goes_on(share / 2).await;
        // All of them are closed when the patience with them is over, and open anew in the new process.
        process.alone().await;
        load.has_open(sockets).await;
    }
    load.goes_on(share).await;
    let tally = load.end().await;
    let failures = tally.failures.lock().unwrap().clone();
    let answered = tally.answered.load(Ordering::Relaxed);
    let closed = tally.closed.load(Ordering::Relaxed);
    println!(
        "{times} reloads and {times} restarts in {:.1} s: {} failed of {answered} requests; of {sockets} sockets each was \
         kept through every reload, and {closed} were closed cleanly by the restarts",
        began.elapsed().as_secs_f64(),
        failures.len(),
    );
    assert_eq!(failures, [""; 0]);
    assert!(answered >= requests, "{answered}");
    assert_eq!(closed, sockets * times);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_fails_through_reloads_and_restarts() {
    let gateway = setup().await;
    goes_on_through(gateway, setting("GATEHOUSE_LOAD_RESTARTS", 2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_fails_over_tls_either() {
    let gateway = setup().with_tls().await;
    goes_on_through(gateway, setting("GATEHOUSE_LOAD_RESTARTS", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_cannot_start_changes_nothing() {
    let mut gateway = Gateway::start().await;
    gateway.stop().await;
    let mut process = Process::serve(&gateway.config);
    gateway.rewrite("idle = '1h'", "idle = 'never'");
    process.signal(Signal::USR2);
    let record = process.says("this process goes on serving").await;
    let problem = record["problem"].as_str().unwrap();
    assert!(problem.contains("ended (exit status: 2)"), "{problem}");
    assert!(
        process.log().concat().contains("session.idle"),
        "the successor says what is wrong"
    );
    let answer = client(&gateway, false)
        .get(format!("{}/public/page", gateway.origin))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    gateway.rewrite("idle = 'never'", "idle = '1h'");
    process.restart().await;
    process.alone().await;
    process.signal(Signal::TERM);
    process.ended().await;
}
