//! What those read who watch over a gateway: its numbers, and how it says that it is.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use reqwest::Method;
use serde_json::json;
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::harness::{
    Gateway,
    door_authority::Authority,
    gateway::Setup,
    raw,
    upstream::{Answer, Upstream},
    waiting::{SOON, within},
    watcher::{self, Scrape, reads},
};

const ANN: &str = "ann@example.com";

/// A gateway that is watched, and where.
async fn watched(setup: Setup) -> (Gateway, SocketAddr) {
    let gateway = setup.with_admin().await;
    let admin = gateway.admin.unwrap();
    (gateway, admin)
}

// ── the listener ───────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(flavor = "multi_thread")]
async fn those_who_watch_may_look_and_nothing_else() {
    let (_gateway, admin) = watched(Gateway::start()).await;
    let health = raw::get(admin, "/healthz", &[]).await;
    assert_eq!(health.status(), 200);
    assert!(health.0.ends_with("\r\n\r\nok\n"), "{}", health.0);
    for (request, status) in [
        ("GET /readyz?verbose=1", 200),
        ("HEAD /metrics", 200),
        ("HEAD /healthz", 200),
        ("GET /", 404),
        ("GET /healthz/", 404),
        ("GET /metrics/../secret", 404),
        ("GET /.gatehouse/sign-in", 404),
        ("POST /healthz", 405),
        ("DELETE /metrics", 405),
        ("CONNECT localhost:80", 404),
    ] {
        let head = format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let answer = raw::send(admin, head.as_bytes()).await;
        assert_eq!(answer.status(), status, "{request}: {}", answer.0);
        assert_eq!(
            answer.0.to_lowercase().contains("\r\nallow: get, head\r\n"),
            status == 405,
            "{request}"
        );
        if request.starts_with("HEAD") {
            assert!(answer.0.ends_with("\r\n\r\n"), "{}", answer.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_configured_does_not_listen_and_is_not_a_page() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.admin, None);
    for path in ["/metrics", "/readyz", "/healthz"] {
        let answer = raw::get(gateway.address, path, &["Accept: text/html"]).await;
        assert_eq!(answer.status(), 303, "{path} is the app's: {}", answer.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_slow_and_endless_clients_keep_no_scrape_out() {
    let (_gateway, admin) = watched(Gateway::start()).await;
    let mut open = Vec::new();
    for place in 0..300 {
        let mut stream = TcpStream::connect(admin).await.unwrap();
        // A third says nothing, a third half a request, a third too much; who is closed already cannot.
        let said = match place % 3 {
            0 => String::new(),
            1 => "GET /metrics HTTP/1.1\r\nHost: ".to_owned(),
            _ => format!("GET /metrics HTTP/1.1\r\nX: {}\r\n", "x".repeat(40_000)),
        };
        drop(stream.write_all(said.as_bytes()).await);
        open.push(stream);
    }
    assert_eq!(raw::get(admin, "/healthz", &[]).await.status(), 200);
    let scrape = Scrape::of(admin).await;
    assert!(scrape.value("process_open_fds") > 0.0);
    drop(open);
}

/// `gatehouse serve` whose standard output is read.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn port_0_is_a_free_one_that_is_printed() {
    let mut gateway = Gateway::start()
        .with_server("admin_listen = '127.0.0.1:0'")
        .await;
    gateway.stop().await;
    let mut serving = Command::new(env!("CARGO_BIN_EXE_gatehouse"))
        .args(["serve", "--config"])
        .arg(&gateway.config)
        .env_remove("GATEHOUSE_CONFIG")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Serving)
        .unwrap();
    let lines = BufReader::new(serving.0.stdout.take().unwrap()).lines();
    let address = tokio::task::block_in_place(|| {
        let mut lines = lines.map_while(Result::ok);
        lines.find_map(|line| Some(line.strip_prefix("admin on ")?.to_owned()))
    });
    let admin = address.expect("it is printed").parse().unwrap();
    assert_eq!(watcher::readiness(admin).await.0, 200);
}

// ── numbers ────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_counted_by_what_became_of_it() {
    let (gateway, admin) = watched(Gateway::start()).await;
    let ann = gateway.person();
    assert_eq!(ann.open("/public/page").await.status, 200);
    assert_eq!(ann.open("/public/other").await.status, 200);
    assert!(ann.open("/page").await.leads_to("/.gatehouse/sign-in"));
    assert_eq!(ann.open("/.gatehouse/sign-in").await.status, 200);
    let refused = raw::get(gateway.address, "/public/%2e%2e%2fx", &[]).await;
    assert_eq!(refused.status(), 400);
    reads(
        admin,
        "gatehouse_requests_total",
        &[
            ("{decision=\"forward\"}", 2.0),
            ("{decision=\"sign_in\"}", 1.0),
            ("{decision=\"own_page\"}", 1.0),
            ("{decision=\"malformed\"}", 1.0),
        ],
    )
    .await;
    reads(
        admin,
        "gatehouse_responses_total",
        &[
            ("{class=\"2xx\"}", 3.0),
            ("{class=\"3xx\"}", 1.0),
            ("{class=\"4xx\"}", 1.0),
        ],
    )
    .await;
    reads(
        admin,
        "gatehouse_request_duration_seconds_count",
        &[
            ("{phase=\"decide\"}", 5.0),
            ("{phase=\"upstream_connect\"}", 2.0),
            ("{phase=\"upstream_header\"}", 2.0),
            ("{phase=\"own_page\"}", 1.0),
            ("{phase=\"total\"}", 5.0),
        ],
    )
    .await;
    reads(
        admin,
        "gatehouse_upstream_requests_total",
        &[("{upstream=\"app\"}", 2.0)],
    )
    .await;
    reads(admin, "gatehouse_requests_in_flight", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_library_refuses_by_itself_is_counted_too() {
    let (gateway, admin) = watched(Gateway::start()).await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\nno header\r\n\r\n", 400),
        (
            "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            405,
        ),
    ] {
        let answer = raw::send(gateway.address, request.as_bytes()).await;
        assert_eq!(answer.status(), status, "{}", answer.0);
    }
    // Says nothing and leaves; and one that is as it should be.
    drop(TcpStream::connect(gateway.address).await.unwrap());
    assert_eq!(
        raw::get(gateway.address, "/public/x", &[]).await.status(),
        200
    );
    reads(admin, "gatehouse_connections", &[]).await;
    reads(admin, "gatehouse_unread_requests_total", &[("", 2.0)]).await;
    reads(
        admin,
        "gatehouse_requests_total",
        &[("{decision=\"forward\"}", 1.0)],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_is_counted_and_what_is_refused() {
    let (gateway, admin) = watched(Gateway::start().with(
        "server.limits",
        "connections = 2\nconnections_per_network = 2",
    ))
    .await;
    gateway.upstream.answer("/public/long", Answer::Endless);
    let mut long = TcpStream::connect(gateway.address).await.unwrap();
    let request = "GET /public/long HTTP/1.1\r\nHost: localhost\r\n\r\n";
    long.write_all(request.as_bytes()).await.unwrap();
    let idle = TcpStream::connect(gateway.address).await.unwrap();
    reads(admin, "gatehouse_connections", &[("", 2.0)]).await;
    reads(admin, "gatehouse_requests_in_flight", &[("", 1.0)]).await;
    reads(
        admin,
        "gatehouse_upstream_requests_in_flight",
        &[("{upstream=\"app\"}", 1.0)],
    )
    .await;
    assert_eq!(
        raw::get(gateway.address, "/public/x", &[]).await.status(),
        0
    );
    reads(
        admin,
        "gatehouse_connections_refused_total",
        &[("{reason=\"connections\"}", 1.0)],
    )
    .await;
    drop((long, idle));
    reads(admin, "gatehouse_connections", &[]).await;
    reads(admin, "gatehouse_requests_in_flight", &[]).await;
    reads(admin, "gatehouse_upstream_requests_in_flight", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_with_its_session_is_counted_by_itself() {
    let (gateway, admin) = watched(Gateway::start()).await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "full");
    gateway.upstream.answer("/long", Answer::Endless);
    let mut streams = gateway.upstream.open_streams();
    let mut long = TcpStream::connect(gateway.address).await.unwrap();
    let request = format!(
        "GET /long HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n",
        ann.cookie_header()
    );
    long.write_all(request.as_bytes()).await.unwrap();
    streams.wait_for(|open| *open == 1).await.unwrap();
    let revoked = gateway.command(&["session", "revoke", "--account", ANN]);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    reads(admin, "gatehouse_cut_requests_total", &[("", 1.0)]).await;
    reads(admin, "gatehouse_requests_in_flight", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_step_ups_and_enrolments_are_counted_with_their_results() {
    let (gateway, admin) = watched(Gateway::start()).await;
    let mut ann = gateway.enrolled(ANN).await;
    reads(
        admin,
        "gatehouse_enrolments_total",
        &[("{result=\"saved\"}", 1.0)],
    )
    .await;
    ann.step_up("/").await;
    let mut again = gateway.person();
    again.phone = ann.phone;
    assert_eq!(again.sign_in("/").await.status, 200);
    let refused = gateway
        .person()
        .enter_backup_code(ANN, "0000-0000-0000-0000")
        .await;
    assert!(refused.status.is_client_error(), "{}", refused.text());
    reads(
        admin,
        "gatehouse_step_ups_total",
        &[("{result=\"stepped_up\"}", 1.0)],
    )
    .await;
    let scrape = Scrape::of(admin).await;
    for (method, result, expected) in [
        ("passkey", "signed_in", 1.0),
        ("passkey", "refused", 0.0),
        ("backup_code", "refused", 1.0),
        ("backup_code", "signed_in", 0.0),
        ("recovery", "signed_in", 0.0),
    ] {
        let series = format!("gatehouse_sign_ins_total{{method=\"{method}\",result=\"{result}\"}}");
        assert_eq!(scrape.value(&series), expected, "{series}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_limits_refuse_are_counted() {
    let (gateway, admin) = watched(Gateway::start()).await;
    gateway.invite(ANN, &[]);
    for _ in 0..4 {
        gateway.person().ask_for_mail(ANN, "/").await;
    }
    reads(
        admin,
        "gatehouse_throttled_total",
        &[("{what=\"address\"}", 1.0)],
    )
    .await;
    within(SOON, "three mails are sent", || async {
        let scrape = Scrape::of(admin).await;
        (scrape.value("gatehouse_mails_total{result=\"sent\"}") == 3.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_at_the_command_line_shows_how_long_it_took() {
    let (gateway, admin) = watched(Gateway::start()).await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "full");
    assert_eq!(ann.open("/page").await.status, 200);
    let count = "gatehouse_revocation_lag_seconds_count";
    let before = Scrape::of(admin).await.value(count);
    let revoked = gateway.command(&["session", "revoke", "--account", ANN]);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    let scrape = within(SOON, "the revocation is followed", || async {
        let scrape = Scrape::of(admin).await;
        (scrape.value(count) > before).then_some(scrape)
    })
    .await;
    assert_eq!(scrape.value(count), before + 1.0);
    let sum = scrape.value("gatehouse_revocation_lag_seconds_sum");
    assert!((0.0..SOON.as_secs_f64()).contains(&sum), "{sum}");
    let behind = scrape.value("gatehouse_feed_behind_seconds");
    assert!((0.0..SOON.as_secs_f64()).contains(&behind), "{behind}");
    assert!(ann.open("/page").await.leads_to("/.gatehouse/sign-in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_strangers_send_no_series_is_added() {
    let (gateway, admin) = watched(Gateway::start()).await;
    assert_eq!(
        raw::get(gateway.address, "/public/x", &[]).await.status(),
        200
    );
    let before = Scrape::of(admin).await;
    let mut sent = 0.0;
    for number in 0..40 {
        for request in [
            format!("GET /public/{number}\"}} 1 HTTP/1.1\r\nHost: h{number}.example\r\n"),
            format!("METHOD{number} /public/{number}?a={number} HTTP/1.1\r\nHost: localhost\r\n"),
            format!(
                "GET /{number}/%0a HTTP/1.1\r\nHost: localhost\r\nCookie: __Host-gatehouse={number}\r\n"
            ),
            format!("GET /public/x HTTP/1.1\r\nHost: localhost\r\nX-{number}: {number}\r\n"),
        ] {
            let request = format!("{request}Connection: close\r\n\r\n");
            raw::send(gateway.address, request.as_bytes()).await;
            sent += 1.0;
        }
    }
    let after = within(SOON, "all of them are counted", || async {
        let scrape = Scrape::of(admin).await;
        let read: f64 = scrape.moved("gatehouse_requests_total").values().sum();
        let unread = scrape.value("gatehouse_unread_requests_total");
        (read + unread == sent + 1.0).then_some(scrape)
    })
    .await;
    assert_eq!(after.names(), before.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_takes_a_scrape_without_complaint() {
    let setup = Gateway::start();
    let authority = Authority::new();
    authority
        .server(&["localhost"])
        .write(setup.folder(), "app");
    let (_gateway, admin) = watched(setup.with_certificates(&["app"])).await;
    let scrape = Scrape::of(admin).await;
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tests/run installs it");
    let mut stdin = check.stdin.take().unwrap();
    stdin.write_all(scrape.text.as_bytes()).unwrap();
    drop(stdin);
    let said = check.wait_with_output().unwrap();
    let complaints = [said.stdout, said.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(said.status.success(), "{complaints:?}");
    assert_eq!(complaints, ["", ""]);
}

// ── alerts ─────────────────────────────────────────────────────────────────────────────────────────────

/// Families that a scrape has only where something is configured or has happened.
const ELSEWHERE: [&str; 1] = ["gatehouse_certificate_expiry_timestamp_seconds"];

fn deployed(file: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/deploy");
    folder.join(file)
}

/// Has `promtool` look at a file; panics with what it says when it is not content.
fn promtool(arguments: &[&str], file: &Path) {
    let run = Command::new("promtool").args(arguments).arg(file).output();
    let said = run.expect("tests/run installs it");
    let words = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{words}");
}

#[test]
fn prometheus_takes_the_alerts_and_their_tests_pass() {
    let check = ["check", "rules", "--lint=all", "--lint-fatal"];
    promtool(&check, &deployed("alerts.yml"));
    promtool(&["test", "rules"], &deployed("alerts_test.yml"));
}

#[test]
fn prometheus_takes_every_query_of_the_dashboard() {
    let text = std::fs::read_to_string(deployed("dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array());
    let queries = targets.flatten().map(|target| target["expr"].as_str());
    // Rules are what it checks; JSON is YAML.
    let rules: Vec<_> = queries
        .enumerate()
        .map(|(at, query)| json!({"record": format!("query_{at}"), "expr": query.unwrap()}))
        .collect();
    assert!(rules.len() > 20);
    let file = tempfile::NamedTempFile::new().unwrap();
    let groups = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    std::fs::write(file.path(), groups.to_string()).unwrap();
    promtool(&["check", "rules"], file.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_number_that_alerts_and_dashboard_ask_for_is_there() {
    let (_gateway, admin) = watched(Gateway::start()).await;
    let scrape = Scrape::of(admin).await;
    let mut asked = BTreeSet::new();
    for file in ["alerts.yml", "dashboard.json"] {
        let text = std::fs::read_to_string(deployed(file)).unwrap();
        let text = text.replace("\\\"", "\"");
        for (at, _) in text.match_indices("gatehouse_") {
            asked.insert(look_for(&scrape, &text[at..]).to_owned());
        }
    }
    assert!(asked.len() > 25, "{asked:?}");
}

/// Panics unless a scrape has the family that a query begins with, and each value that it asks of a label. Gives
/// the family.
fn look_for<'q>(scrape: &Scrape, query: &'q str) -> &'q str {
    let is_name = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    let end = query.find(|sign| !is_name(sign)).unwrap();
    let (family, rest) = query.split_at(end);
    if ELSEWHERE.contains(&family) {
        return family;
    }
    let is_of_family = |series: &&str| {
        let name = series.split('{').next().unwrap();
        let mut parts = ["_bucket", "_sum", "_count"].iter();
        name == family || parts.any(|part| name.strip_suffix(part) == Some(family))
    };
    let series: Vec<_> = scrape.names().into_iter().filter(is_of_family).collect();
    assert!(!series.is_empty(), "{family} is not there");
    let labels = rest
        .strip_prefix('{')
        .and_then(|rest| rest.split('}').next());
    for label in labels.unwrap_or_default().split(',') {
        let is_exact = label.contains("=\"") && !label.contains("!=");
        let is_there = series.iter().any(|name| name.contains(label));
        assert!(!is_exact || is_there, "no {family} has {label}");
    }
    family
}

// ── troubles ───────────────────────────────────────────────────────────────────────────────────────────

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
async fn requests_that_an_upstream_fails_are_counted_by_how() {
    let (gateway, admin) = watched(Gateway::start()).await;
    gateway.upstream.answer("/public/gone", Answer::HangUp);
    let person = gateway.person();
    assert_eq!(person.fetch(Method::POST, "/public/gone").await.status, 502);
    let kind = |kind: &str| format!("{{kind=\"{kind}\",upstream=\"app\"}}");
    let family = "gatehouse_upstream_failures_total";
    reads(admin, family, &[(&kind("broken_off"), 1.0)]).await;

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let (gateway, admin) = watched(Gateway::start().before(address)).await;
    assert_eq!(gateway.person().open("/public/x").await.status, 502);
    reads(admin, family, &[(&kind("connect"), 1.0)]).await;
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
