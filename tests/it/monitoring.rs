//! The listener of those who watch over a gateway: what it answers, and whom it does not let in its way.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::harness::{
    Gateway, raw,
    watcher::{self, Scrape, watched},
};

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
