//! Programs that nobody here wrote, at either end: what comes through the gateway is what they say to each other
//! without it.

use std::process::Command;

use reqwest::{Method, RequestBuilder};

use crate::harness::{
    Gateway, Person, app::App, file_server::FileServer, page::Reply, person::Protocol,
};

const ANN: &str = "ann@example.com";

async fn before(server: std::net::SocketAddr, tls: bool) -> Gateway {
    let mut setup = Gateway::start().before(server).with_route("path = '/*'");
    if tls {
        setup = setup.with_tls();
    }
    let gateway = setup.await;
    gateway.invite(ANN, &[]);
    gateway
}

fn ann_over(gateway: &Gateway, protocol: Protocol, cookie: &str) -> Person {
    let ann = gateway.person_over(protocol);
    ann.keep_cookie("__Host-gatehouse", cookie);
    ann
}

/// What a message says to its reader, without what is the hop's own business.
fn gist(reply: &Reply) -> (u16, Vec<(String, String)>, &[u8]) {
    let of_the_hop = [
        "connection",
        "keep-alive",
        "date",
        "transfer-encoding",
        "x-request-id",
    ];
    let mut fields: Vec<_> = reply
        .headers
        .iter()
        .filter(|(name, _)| !of_the_hop.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    fields.sort();
    (reply.status.as_u16(), fields, &reply.body)
}

/// Sends the same request to the app itself and through the gateway.
async fn comes_through_unchanged(
    server: std::net::SocketAddr,
    people: &[Person],
    what: &str,
    request: impl Fn(RequestBuilder) -> RequestBuilder,
    (method, path): (Method, &str),
) {
    let direct = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let asked = direct.request(method.clone(), format!("http://{server}{path}"));
    let expected = request(asked).send().await.unwrap();
    let expected = Reply::read(expected, "").await;
    for ann in people {
        let asked = request(ann.request(method.clone(), path));
        let got = Reply::read(asked.send().await.unwrap(), "").await;
        assert_eq!(gist(&got), gist(&expected), "{what}: {method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_from_nginx_as_they_are_whole_and_in_parts() {
    let nginx = FileServer::start().await;
    let large: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
    nginx.put("large", &large);
    nginx.put("text", "some text, ".repeat(1000).as_bytes());
    nginx.put("empty", b"");
    let gateway = before(nginx.address, false).await;
    let cookie = gateway.session(ANN, "full");
    let people =
        [Protocol::Http1, Protocol::Http2].map(|protocol| ann_over(&gateway, protocol, &cookie));
    let file = people[0].open("/files/text").await;
    let (etag, modified) = (
        file.header("etag").to_owned(),
        file.header("last-modified").to_owned(),
    );
    for (path, name, value) in [
        ("/files/large", "", ""),
        ("/files/empty", "", ""),
        ("/files/none", "", ""),
        ("/files/text", "Accept-Encoding", "gzip"),
        ("/files/text", "If-None-Match", etag.as_str()),
        ("/files/text", "If-Modified-Since", modified.as_str()),
        ("/files/text", "If-Match", "\"another\""),
        ("/files/large", "Range", "bytes=0-0"),
        ("/files/large", "Range", "bytes=1000000-"),
        ("/files/large", "Range", "bytes=-5"),
        ("/files/large", "Range", "bytes=9000000-"),
        ("/files/empty", "Range", "bytes=0-"),
    ] {
        let with = |request: RequestBuilder| match name {
            "" => request,
            name => request.header(name, value),
        };
        for method in [Method::GET, Method::HEAD] {
            let asked = (method, path);
            comes_through_unchanged(nginx.address, &people, name, with, asked).await;
        }
    }
    // The boundary between parts is another each time.
    for ann in &people {
        let asked = ann
            .request(Method::GET, "/files/large")
            .header("Range", "bytes=0-3,8-11");
        let parts = ann.send(asked).await;
        assert_eq!(parts.status, 206);
        assert!(
            parts
                .header("content-type")
                .starts_with("multipart/byteranges")
        );
        assert_eq!(parts.header("content-length"), parts.body.len().to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_behind_the_gateway_serves_everybody_and_learns_nobody() {
    let nginx = FileServer::start().await;
    nginx.put("page", b"for everybody");
    let gateway = before(nginx.address, false).await;
    gateway.invite("bob@example.com", &[]);
    for (email, status) in [(ANN, "MISS"), ("bob@example.com", "HIT"), (ANN, "HIT")] {
        let person = gateway.person_with_session(email, "full");
        let page = person.open("/cached/page").await;
        assert_eq!(
            (page.header("x-cache"), page.text().as_str()),
            (status, "for everybody")
        );
        assert_eq!(page.session_cookie(), None);
    }
    let stranger = gateway.person().open("/cached/page").await;
    assert!(stranger.leads_to("/.gatehouse/sign-in"), "cached or not");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_httpbin_says_comes_through() {
    let mut httpbin = App::start("legacy_httpbin.py", &[]);
    let server = httpbin.address();
    let gateway = before(server, false).await;
    let cookie = gateway.session(ANN, "full");
    let people =
        [Protocol::Http1, Protocol::Http2].map(|protocol| ann_over(&gateway, protocol, &cookie));
    let plain = |request: RequestBuilder| request;
    // None of those that repeat the request, to which the gateway adds what it has to say.
    for path in [
        "/",
        "/html",
        "/xml",
        "/json",
        "/robots.txt",
        "/encoding/utf8",
        "/image/png",
        "/image/webp",
        "/range/3000",
        "/stream-bytes/100000?seed=1&chunk_size=333",
        "/redirect/3",
        "/relative-redirect/2",
        "/redirect-to?url=https%3A%2F%2Felsewhere.example%2F",
        "/cookies/set?one=1&two=2",
        "/cookies/delete?one=",
        "/response-headers?X-Two=a&X-Two=b",
        "/status/204",
        "/status/304",
        "/status/418",
        "/status/503",
        "/status/599",
        "/links/3/0",
        "/basic-auth/user/secret",
        "/bearer",
        "/deny",
        "/drip?numbytes=3&duration=0&delay=0",
    ] {
        comes_through_unchanged(server, &people, "", plain, (Method::GET, path)).await;
    }
    let if_none = |request: RequestBuilder| request.header("If-None-Match", "\"some\"");
    comes_through_unchanged(
        server,
        &people,
        "If-None-Match",
        if_none,
        (Method::GET, "/etag/some"),
    )
    .await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        for ann in &people {
            let asked = ann.request(method.clone(), "/anything/a%20b?c=d&c=e");
            let asked = asked.header("Content-Type", "text/plain").body("said");
            let heard = ann.send(asked).await;
            if method == Method::OPTIONS {
                assert!(heard.header("allow").contains("POST"), "{}", heard.text());
                continue;
            }
            let heard = heard.json();
            assert_eq!(
                (&heard["method"], &heard["data"], &heard["args"]["c"]),
                (
                    &method.as_str().into(),
                    &"said".into(),
                    &serde_json::json!(["d", "e"])
                )
            );
        }
    }
    // Two at once, so that a slow one does not hold the other.
    let slow = people[1].request(Method::GET, "/delay/1").send();
    let quick = people[1].open("/status/204");
    let (slow, quick) = tokio::join!(slow, quick);
    assert_eq!(
        (slow.unwrap().status().as_u16(), quick.status.as_u16()),
        (200, 204)
    );
}

/// Runs curl; gives `VERSION STATUS BYTES`.
fn curl(gateway: &Gateway, cookie: &str, arguments: &[&str], path: &str) -> String {
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "30",
            "--noproxy",
            "*",
            "--output",
            "/dev/null",
        ])
        .args([
            "--write-out",
            "%{http_version} %{response_code} %{size_download}",
        ])
        .args(["--header", &format!("Cookie: __Host-gatehouse={cookie}")]);
    if gateway.certificates.is_some() {
        // The test's authority and its certificate bear one name, which OpenSSL takes for self-signed.
        command.arg("--insecure");
    }
    let url = format!("{}{path}", gateway.origin);
    let run = || {
        command
            .args(arguments)
            .arg(url)
            .output()
            .expect("curl is installed")
    };
    let output = tokio::task::block_in_place(run);
    assert!(output.status.success(), "{arguments:?} {path}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_speaks_to_apps_in_every_version() {
    let nginx = FileServer::start().await;
    nginx.put("large", &vec![b'x'; 5_000_000]);
    let mut httpbin = App::start("legacy_httpbin.py", &[]);
    let (files, bin) = (nginx.address, httpbin.address());
    for (tls, flags, version) in [
        (false, &["--http1.1"][..], "1.1"),
        (false, &["--http2-prior-knowledge"], "2"),
        (true, &["--http1.1"], "1.1"),
        (true, &["--http2"], "2"),
    ] {
        let before_files = before(files, tls).await;
        let before_bin = before(bin, tls).await;
        let upload = before_files.folder().join("upload");
        std::fs::write(&upload, vec![b'y'; 3_000_000]).unwrap();
        let upload = upload.display().to_string();
        let data = format!("@{upload}");
        let cookies = [&before_files, &before_bin].map(|gateway| gateway.session(ANN, "full"));
        for (gateway, arguments, path, expected) in [
            (&before_files, &[][..], "/files/large", "200 5000000"),
            (
                &before_files,
                &["--range", "10-19"],
                "/files/large",
                "206 10",
            ),
            (&before_files, &["--head"], "/files/large", "200 0"),
            (&before_bin, &["--compressed"], "/gzip", "200"),
            (
                &before_bin,
                &["--location", "--cookie", "flavour=oat"],
                "/redirect/2",
                "200",
            ),
            (
                &before_bin,
                &["--digest", "--user", "user:secret"],
                "/digest-auth/auth/user/secret",
                "200",
            ),
            (
                &before_bin,
                &["--user", "user:secret"],
                "/basic-auth/user/secret",
                "200",
            ),
            (
                &before_bin,
                &["--user", "user:wrong"],
                "/basic-auth/user/secret",
                "401",
            ),
            (
                &before_bin,
                &["--data-binary", &data, "--header", "Expect: 100-continue"],
                "/anything",
                "200",
            ),
            (&before_bin, &["--upload-file", &upload], "/put", "200"),
            (
                &before_bin,
                &["--request", "POST", "--form", &format!("file={data}")],
                "/post",
                "200",
            ),
        ] {
            // Curl 7.88 does not manage a second request on a connection of prior knowledge, whoever answers.
            let again = ["--location", "--digest"]
                .iter()
                .any(|flag| arguments.contains(flag));
            if again && flags.contains(&"--http2-prior-knowledge") {
                continue;
            }
            let cookie = &cookies[usize::from(std::ptr::eq(gateway, &before_bin))];
            let told = curl(gateway, cookie, &[flags, arguments].concat(), path);
            let expected = format!("{version} {expected}");
            assert!(
                told.starts_with(&expected),
                "{flags:?} {arguments:?} {path}: {told}"
            );
        }
        let stranger = curl(&before_files, "nobody", flags, "/files/large");
        assert!(
            stranger.starts_with(&format!("{version} 401")),
            "{stranger}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_carry_large_and_fragmented_messages_pings_and_close_codes() {
    let mut server = App::start("websocket_server.py", &[]);
    let gateway = before(server.address(), false).await;
    let cookie = format!("__Host-gatehouse={}", gateway.session(ANN, "full"));
    let url = format!("{}/talk", gateway.origin.replacen("http", "ws", 1));
    let mut trial = App::start("websocket_trial.py", &[&url, &gateway.origin, &cookie]);
    for expected in [
        "text True",
        "binary True",
        "empty True",
        "fragments True",
        "pong True",
        "extensions permessage-deflate",
        "closed here 4321 enough",
        "closed there 4001 go away",
    ] {
        assert_eq!(trial.line().as_deref(), Some(expected));
    }
}
