//! The access log: one line for each request, wherever it goes and however it ends.

use reqwest::Method;
use serde_json::Value as Json;

use crate::harness::{
    Gateway,
    command_line::gatehouse,
    live::Open,
    log_file::{LogFile, TO_FILE},
    raw,
    upstream::Answer,
    waiting::{SOON, within},
};

const ANN: &str = "ann@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn a_line_says_what_was_asked_for_and_what_was_missing() {
    let mut gateway = Gateway::start().with("log", TO_FILE).await;
    let stranger = gateway.person();
    assert_eq!(stranger.open("/public/x?secret=1").await.status, 200);
    assert_eq!(stranger.fetch(Method::GET, "/report").await.status, 401);
    assert_eq!(
        stranger.open("/.gatehouse/nothing/SECRET").await.status,
        404
    );
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "step_up");
    assert_eq!(ann.open("/admin/1").await.status, 200);
    gateway.after(6);
    let refused = ann.fetch(Method::GET, "/admin/2").await;
    assert_eq!(refused.status, 401);
    let request_id = refused.header("x-request-id").to_owned();
    assert_eq!(ann.fetch(Method::GET, "/staff/x").await.status, 403);
    let answers = raw::get(gateway.address, "/%2e%2e/x", &[]).await;
    assert_eq!(answers.status(), 400);

    // What is over is written when the server has stopped; nobody looks again for it.
    gateway.stop().await;
    let log = LogFile::of(&gateway);
    let lines = log.lines();
    let names = [
        "path", "method", "status", "decision", "missing", "needs", "session",
    ];
    let said = |line: &Json| names.map(|name| line[name].to_string().replace('"', ""));
    let mut all: Vec<_> = lines.iter().map(said).collect();
    // A line is written when its answer is out, and by then the next request may be on its way.
    all.sort();
    let mut expected = [
        [
            "/public/x",
            "GET",
            "200",
            "forward",
            "null",
            "public",
            "none",
        ],
        [
            "/report", "GET", "401", "sign_in", "session", "full", "none",
        ],
        [
            "/.gatehouse/nothing",
            "GET",
            "404",
            "own_page",
            "null",
            "null",
            "none",
        ],
        [
            "/admin/1", "GET", "200", "forward", "null", "step_up", "full",
        ],
        [
            "/admin/2", "GET", "401", "step_up", "step_up", "step_up", "full",
        ],
        [
            "/staff/x",
            "GET",
            "403",
            "not_allowed",
            "permission",
            "full",
            "full",
        ],
        ["null", "GET", "400", "malformed", "null", "null", "none"],
    ];
    expected.sort();
    assert_eq!(all, expected);

    let of = |path: &str| {
        lines
            .iter()
            .find(|line| line["path"] == path)
            .expect("a line")
    };
    let (passed, refused, public) = (of("/admin/1"), of("/admin/2"), of("/public/x"));
    assert_eq!(refused["request_id"], *request_id);
    assert_eq!(refused["max_age_s"], 300);
    let age = refused["step_up_age_s"].as_u64().unwrap();
    assert!((360..420).contains(&age), "{age}");
    assert_eq!(public["protocol"], "HTTP/1.1");
    assert!(public["bytes_out"].as_u64().unwrap() > 0);
    assert_eq!(public["upstream"], "app");
    assert!(public["route"].as_u64() < refused["route"].as_u64());
    assert_eq!(refused["route"], passed["route"]);
    assert_eq!(passed["account"].as_str().map(str::len), Some(32));
    assert!(!log.text().contains("secret") && !log.text().contains("SECRET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tools_read_the_combined_format_and_nobody_forges_a_line() {
    let text = format!("access = 'combined'\n{TO_FILE}");
    let mut gateway = Gateway::start().with("log", &text).await;
    assert_eq!(gateway.person().open("/public/x?q").await.status, 200);
    let hostile = "/public/%22%0A203.0.113.9%20-%20root";
    let lines = ["Referer: \"\\x0a", "User-Agent: forged\" 200"];
    let answers = raw::get(gateway.address, hostile, &lines).await;
    assert!([200, 400].contains(&answers.status()));
    gateway.stop().await;
    let text = LogFile::of(&gateway).text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    for line in lines {
        let (host, rest) = line.split_once(" - - [").unwrap();
        assert_eq!(host, "127.0.0.0");
        let (_, rest) = rest.split_once("] \"GET ").unwrap();
        assert!(
            ["/public/x ", "/public/%22%0A", "- "]
                .iter()
                .any(|path| rest.starts_with(path)),
            "{line}"
        );
        assert!(
            rest.ends_with("\"-\" \"-\"") && line.matches('"').count() == 6,
            "{line}"
        );
    }
    assert!(!text.contains("forged"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_a_link_is_cut_from_the_path_wherever_it_was_asked_for() {
    let gateway = Gateway::start()
        .with("log", TO_FILE)
        .with_tls()
        .with_redirect()
        .await;
    let plain = gateway.redirect.expect("it leads to HTTPS");
    let answers = raw::get(plain, "/.gatehouse/email/SECRET", &["Connection: close"]).await;
    assert_eq!(answers.status(), 308);
    let log = LogFile::of(&gateway);
    let line = log.line_of("/.gatehouse/email").await;
    assert_eq!(line["decision"], "redirected");
    assert!(!log.text().contains("SECRET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_off_is_not_written() {
    let mut gateway = Gateway::start().with("log", "access = 'off'").await;
    assert_eq!(gateway.person().open("/public/x").await.status, 200);
    gateway.stop().await;
    assert!(!LogFile::of(&gateway).0.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_file_keeps_what_it_has_and_the_next_lines_go_to_a_new_one() {
    let gateway = Gateway::start().with("log", TO_FILE).await;
    let log = LogFile::of(&gateway);
    gateway.person().open("/public/1").await;
    log.line_of("/public/1").await;
    let rotated = LogFile(gateway.folder().join("access.log.1"));
    std::fs::rename(&log.0, &rotated.0).unwrap();
    gateway.person().open("/public/2").await;
    rotated.line_of("/public/2").await;
    gateway.reopen_access_log();
    gateway.person().open("/public/3").await;
    log.line_of("/public/3").await;
    assert_eq!((log.lines().len(), rotated.lines().len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_lines_and_no_request() {
    let mut gateway = Gateway::start()
        .with("log", "access_file = '/dev/full'")
        .await;
    for _ in 0..3 {
        assert_eq!(gateway.person().open("/public/x").await.status, 200);
    }
    within(SOON, "the lost lines are counted", || async {
        (gateway.access_lines_dropped() == 3).then_some(())
    })
    .await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_cut_has_a_line_that_says_why() {
    let gateway = Gateway::start()
        .with("log", TO_FILE)
        .with_route("path = '/*'")
        .with_upstream("total_timeout = '1h'")
        .await;
    gateway.upstream.answer("/events", Answer::Endless);
    gateway.upstream.answer("/left", Answer::Endless);
    let log = LogFile::of(&gateway);
    let ann = gateway.enrolled(ANN).await;
    let open = Open::events(&gateway, "/events", &ann.cookie_header()).await;
    gateway.command(&["session", "revoke", "--account", ANN]);
    open.cut("the events of a session that is over").await;
    let line = log.line_of("/events").await;
    assert_eq!(
        (&line["cut"], &line["status"], &line["decision"]),
        (&"session_over".into(), &200.into(), &"forward".into())
    );
    assert_eq!(line["account"].as_str().map(str::len), Some(32));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_too_long_has_a_line_too() {
    let gateway = Gateway::start()
        .with("log", TO_FILE)
        .with_route("path = '/*'\naccess = 'public'")
        .with_upstream("total_timeout = '1s'")
        .await;
    gateway.upstream.answer("/x", Answer::Endless);
    Open::events(&gateway, "/x", "")
        .await
        .cut("a long answer")
        .await;
    let line = LogFile::of(&gateway).line_of("/x").await;
    assert_eq!(
        (&line["cut"], &line["status"]),
        (&"took_too_long".into(), &200.into())
    );
    assert_eq!(line["server"], gateway.upstream.address.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_says_on_whose_side() {
    let gateway = Gateway::start()
        .with("log", TO_FILE)
        .with_route("path = '/*'\naccess = 'public'")
        .await;
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    gateway.upstream.answer("/half", Answer::Raw(half.into()));
    gateway.upstream.answer("/left", Answer::Endless);
    Open::events(&gateway, "/half", "")
        .await
        .cut("half an answer")
        .await;
    drop(Open::events(&gateway, "/left", "").await);
    let log = LogFile::of(&gateway);
    for (path, cut) in [("/half", "upstream_failed"), ("/left", "client_left")] {
        let line = log.line_of(path).await;
        assert_eq!(
            (&line["cut"], &line["status"]),
            (&cut.into(), &200.into()),
            "{line}"
        );
    }
    gateway.person().open("/whole").await;
    assert_eq!(log.line_of("/whole").await["cut"], Json::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_is_closed_was_not_cut_and_one_whose_session_ends_was() {
    let gateway = Gateway::start()
        .with("log", TO_FILE)
        .with_route("path = '/*'")
        .await;
    let log = LogFile::of(&gateway);
    let ann = gateway.enrolled(ANN).await;
    for path in ["/closed", "/ended"] {
        gateway.upstream.answer(path, Answer::Echo);
        let mut socket = Open::websocket(&gateway, path, &ann.cookie_header()).await;
        socket.says("hello").await;
        if path == "/ended" {
            gateway.command(&["session", "revoke", "--account", ANN]);
            socket.cut("a WebSocket whose session is over").await;
        }
    }
    for (path, cut) in [("/closed", Json::Null), ("/ended", "session_over".into())] {
        let line = log.line_of(path).await;
        assert_eq!(
            (&line["cut"], &line["status"]),
            (&cut, &101.into()),
            "{line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_log_cannot_be_opened_does_not_start() {
    let gateway = Gateway::start().with("log", TO_FILE).await;
    let file = gateway.folder().join("other.toml");
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    let port = gateway.address.to_string();
    let text = text.replace(&format!("listen = ['{port}']"), "listen = ['127.0.0.1:0']");
    std::os::unix::fs::symlink("/nowhere/x.log", gateway.folder().join("dangling")).unwrap();
    std::fs::write(&file, text.replace("access.log", "dangling")).unwrap();
    let outcome = gatehouse(&file, &["serve"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(
        outcome.stderr.contains("dangling cannot be opened"),
        "{outcome:?}"
    );
    std::fs::write(
        &file,
        std::fs::read_to_string(&gateway.config)
            .unwrap()
            .replace("access.log", "no/a.log"),
    )
    .unwrap();
    let outcome = gatehouse(&file, &["check"]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(
        outcome
            .stdout
            .contains("log.access_file = 'no/a.log': there is no folder"),
        "{outcome:?}"
    );
}
