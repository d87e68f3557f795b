//! How a node says that it is: each trouble is told for as long as it lasts, and few of them take it out.

use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::harness::{
    Gateway,
    door_authority::Authority,
    raw,
    upstream::{Answer, Upstream},
    waiting::{SOON, within},
    watcher::{self, Scrape, reads, watched},
};

const ANN: &str = "ann@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_well_says_so() {
    let (_gateway, admin) = watched(Gateway::start()).await;
    let (status, said) = watcher::readiness(admin).await;
    assert_eq!((status, &said["status"]), (200, &"ready".into()), "{said}");
    for part in [
        "store",
        "upstreams",
        "certificates",
        "configuration",
        "shadow",
        "mail",
    ] {
        assert_eq!(said[part]["state"], "well", "{part}: {said}");
        assert!(said[part].get("problem").is_none(), "{part}: {said}");
    }
    assert_eq!(said["upstreams"]["servers"]["app"]["up"], 1);
    assert_eq!(said["mail"]["waiting"], 0);
    let scrape = Scrape::of(admin).await;
    for part in ["configuration", "certificates", "shadow"] {
        let series = format!("gatehouse_condition{{part=\"{part}\"}}");
        assert_eq!(scrape.value(&series), 1.0);
    }
    assert_eq!(scrape.value("gatehouse_store_up"), 1.0);
    assert_eq!(scrape.value("gatehouse_stopping"), 0.0);
    assert!(scrape.has("gatehouse_signing_key_age_seconds{kind=\"session\"}"));
    assert!(scrape.value("gatehouse_config_in_force_since_timestamp_seconds") > 1.7e9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_no_write_takes_the_node_out_until_it_does() {
    let (gateway, admin) = watched(Gateway::start()).await;
    watcher::is(admin, "ready").await;
    let file = gateway.folder().join("gatehouse.db");
    let options = SqliteConnectOptions::new().filename(file);
    let mut lock: SqliteConnection = options.connect().await.unwrap();
    let begin = sqlx::query("BEGIN IMMEDIATE");
    begin.execute(&mut lock).await.unwrap();
    let (status, said) = watcher::is(admin, "not_ready").await;
    assert_eq!((status, &said["store"]["state"]), (503, &"failed".into()));
    assert_eq!(raw::get(admin, "/healthz", &[]).await.status(), 200);
    within(SOON, "the numbers say so", || async {
        let scrape = Scrape::of(admin).await;
        let errors = scrape.value("gatehouse_store_errors_total{access=\"write\"}");
        (scrape.value("gatehouse_store_up") == 0.0 && errors > 0.0).then_some(())
    })
    .await;
    drop(lock);
    assert_eq!(watcher::is(admin, "ready").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_down_are_told_and_the_node_stays_in() {
    let (one, other) = (Upstream::start().await, Upstream::start().await);
    let unwell = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    other.answer("/well", Answer::Raw(unwell.to_vec()));
    let health =
        "health = { path = '/well', interval = '1s', healthy_after = 1, unhealthy_after = 1 }";
    let setup = Gateway::start()
        .before(one.address)
        .before(other.address)
        .with_upstream(health);
    let (_gateway, admin) = watched(setup).await;
    let (status, said) = watcher::is(admin, "degraded").await;
    assert_eq!(status, 200, "the other nodes have the same upstream");
    assert_eq!(said["upstreams"]["problem"], "app: 1 of 2 up");
    let state = |word: &'static str| format!("{{state=\"{word}\",upstream=\"app\"}}");
    let family = "gatehouse_upstream_servers";
    reads(admin, family, &[(&state("up"), 1.0), (&state("down"), 1.0)]).await;
    one.answer("/well", Answer::Raw(unwell.to_vec()));
    reads(admin, family, &[(&state("down"), 2.0)]).await;
    assert_eq!(watcher::readiness(admin).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_is_named_until_it_can() {
    let setup = Gateway::start();
    let authority = Authority::new();
    authority
        .server(&["app.example"])
        .write(setup.folder(), "app");
    let (gateway, admin) = watched(setup.with_certificates(&["app"])).await;
    let (_, said) = watcher::is(admin, "ready").await;
    let file = &said["certificates"]["files"][0];
    assert_eq!(file["names"][0], "app.example");
    assert!(file["days_left"].as_i64().unwrap() > 14, "{file}");
    let path = gateway.folder().join("app.pem");
    let expiry = format!(
        "gatehouse_certificate_expiry_timestamp_seconds{{file=\"{}\"}}",
        path.display()
    );
    let ends = Scrape::of(admin).await.value(&expiry);

    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, "half").unwrap();
    let (status, said) = watcher::is(admin, "degraded").await;
    assert_eq!(status, 200, "the old one serves");
    let problem = said["certificates"]["problem"].as_str().unwrap();
    assert!(problem.contains("app.pem"), "{problem}");
    assert!(said["certificates"]["since"].is_string(), "{said}");
    let scrape = Scrape::of(admin).await;
    assert_eq!(
        scrape.value("gatehouse_condition{part=\"certificates\"}"),
        0.0
    );
    assert_eq!(scrape.value(&expiry), ends);

    std::fs::write(&path, whole).unwrap();
    watcher::is(admin, "ready").await;
    let scrape = Scrape::of(admin).await;
    assert_eq!(
        scrape.value("gatehouse_condition{part=\"certificates\"}"),
        1.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_named_for_as_long_as_that_lasts() {
    let (gateway, admin) = watched(Gateway::start()).await;
    let condition = gateway.condition();
    for (name, part) in [
        ("configuration", &condition.configuration),
        ("shadow", &condition.shadow),
        ("certificates", &condition.certificates),
    ] {
        let series = format!("gatehouse_condition{{part=\"{name}\"}}");
        let problem = "gatehouse.toml:3:1: server.lissen: unknown key; did you mean \"listen\"?";
        let since = gateway.clock.now();
        part.note_trouble(problem.to_owned(), since);
        let (status, said) = watcher::readiness(admin).await;
        assert_eq!((status, &said["status"]), (200, &"degraded".into()));
        assert_eq!(said[name]["state"], "degraded", "{said}");
        assert_eq!(said[name]["problem"], problem);
        assert_eq!(said[name]["since"], since.to_string());
        assert_eq!(Scrape::of(admin).await.value(&series), 0.0);
        part.note_well();
        assert_eq!(watcher::readiness(admin).await.1["status"], "ready");
        assert_eq!(Scrape::of(admin).await.value(&series), 1.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_that_wait_are_counted_and_told_of_when_they_wait_for_long() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let url = format!("url = 'smtp://127.0.0.1:{port}?tls=none'\nfrom = 'no-reply@example.com'");
    let (gateway, admin) = watched(Gateway::start().with("mail", &url)).await;
    gateway.invite(ANN, &[]);
    gateway.person().ask_for_mail(ANN, "/").await;
    reads(admin, "gatehouse_mail_outbox", &[("", 1.0)]).await;
    within(SOON, "a try fails", || async {
        let scrape = Scrape::of(admin).await;
        (scrape.value("gatehouse_mails_total{result=\"retried\"}") > 0.0).then_some(())
    })
    .await;
    assert_eq!(watcher::readiness(admin).await.1["status"], "ready");
    gateway.after(6);
    let (status, said) = watcher::is(admin, "degraded").await;
    assert_eq!((status, &said["mail"]["waiting"]), (200, &1.into()));
    assert!(
        !said.to_string().contains("ann"),
        "nothing of persons: {said}"
    );
    let oldest = Scrape::of(admin)
        .await
        .value("gatehouse_mail_oldest_seconds");
    assert!(oldest >= 360.0, "{oldest}");
    // Not worth sending any more.
    gateway.after(15);
    reads(admin, "gatehouse_mail_outbox", &[]).await;
    watcher::is(admin, "ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_drains_says_so_to_the_end() {
    let (mut gateway, admin) = watched(Gateway::start()).await;
    gateway.upstream.answer("/public/long", Answer::Endless);
    let mut streams = gateway.upstream.open_streams();
    let mut long = TcpStream::connect(gateway.address).await.unwrap();
    let request = "GET /public/long HTTP/1.1\r\nHost: localhost\r\n\r\n";
    long.write_all(request.as_bytes()).await.unwrap();
    streams.wait_for(|open| *open == 1).await.unwrap();

    let stopping = tokio::spawn(async move {
        gateway.stop().await;
        gateway
    });
    let (status, said) = watcher::is(admin, "stopping").await;
    assert_eq!(status, 503, "{said}");
    assert_eq!(Scrape::of(admin).await.value("gatehouse_stopping"), 1.0);
    assert_eq!(raw::get(admin, "/healthz", &[]).await.status(), 200);
    drop(long);
    let _gateway = stopping.await.unwrap();
    within(SOON, "nobody listens", || async {
        TcpStream::connect(admin).await.is_err().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_refused_is_named_with_its_line_and_counted() {
    let (gateway, admin) = watched(Gateway::start()).await;
    gateway.looks_after_its_files();
    gateway.rewrite("idle = '1h'", "idle = 'never'");
    let (status, said) = watcher::is(admin, "degraded").await;
    assert_eq!(status, 200);
    let problem = said["configuration"]["problem"].as_str().unwrap();
    assert!(
        problem.contains("gatehouse.toml:") && problem.contains("session.idle"),
        "{problem}"
    );
    let scrape = Scrape::of(admin).await;
    let refused = "gatehouse_reloads_total{result=\"refused\",what=\"configuration\"}";
    assert_eq!(scrape.value(refused), 1.0);
    assert_eq!(
        scrape.value("gatehouse_condition{part=\"configuration\"}"),
        0.0
    );
    gateway.rewrite("idle = 'never'", "idle = '2h'");
    watcher::is(admin, "ready").await;
}
