//! Traces: what a collector gets of a request, what its upstream is told, and whom the gateway believes.

use reqwest::Method;
use serde_json::Value as Json;

use crate::harness::{
    Gateway, Person,
    app::App,
    gateway::Setup,
    log_file::{LogFile, TO_FILE},
    script::{Act, Scripted},
    upstream::Answer,
    waiting::{SOON, within},
};

const ANN: &str = "ann@example.com";
const SERVER: i64 = 2;
const CLIENT: i64 = 3;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
const THEIR_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A gateway that traces this share to a collector.
fn traced(collector: &mut App, sample: &str) -> Setup {
    let traces = format!(
        "endpoint = 'http://{}/v1/traces'\nsample = '{sample}'\nheaders = {{ X-Token = 'a token' }}",
        collector.address()
    );
    Gateway::start().with("traces", &traces)
}

/// The next spans, until that of a whole request has come. Children end before it and are sent with it or before.
fn spans_of_a_request(collector: &mut App) -> Vec<Json> {
    let mut spans = Vec::new();
    loop {
        let line = collector.line().expect("the collector runs");
        let span: Json = serde_json::from_str(&line).unwrap();
        let whole = span["kind"] == SERVER;
        spans.push(span);
        if whole {
            return spans;
        }
    }
}

async fn traceparent(
    gateway: &Gateway,
    person: &Person,
    path: &str,
    said: &[(&str, &str)],
) -> Vec<(String, String)> {
    let mut request = person.request(Method::GET, path);
    for (name, value) in said {
        request = request.header(*name, *value);
    }
    assert_eq!(person.send(request).await.status, 200);
    let received = gateway.upstream.received();
    let headers = &received.last().expect("a request").headers;
    let mut told = headers.clone();
    told.retain(|(name, _)| name.to_ascii_lowercase().starts_with("trace"));
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_what_was_decided_and_the_upstream_the_trace_it_is_part_of() {
    let mut collector = App::start("otlp_receiver.py", &[]);
    let gateway = traced(&mut collector, "100%").with("log", TO_FILE).await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "full");
    let told = traceparent(
        &gateway,
        &ann,
        "/notes/of-ann?secret=1",
        &[("traceparent", PARENT), ("tracestate", "their=1")],
    )
    .await;
    let [(name, told)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(name.to_ascii_lowercase(), "traceparent");
    let told: Vec<_> = told.split('-').collect();

    let spans = spans_of_a_request(&mut collector);
    let span = |kind: i64| {
        spans
            .iter()
            .find(|span| span["kind"] == kind)
            .expect("a span")
    };
    let (server, client) = (span(SERVER), span(CLIENT));
    assert_eq!(
        told[1..],
        [&client["trace"], &client["id"], &"01".into()].map(|part| part.as_str().unwrap())
    );
    assert_ne!(told[1], THEIR_TRACE, "a stranger's trace is not continued");
    assert_eq!(server["parent"], "");
    assert_eq!(server["name"], "GET /notes/*");
    assert_eq!(client["parent"], server["id"]);
    assert_eq!(
        (&server["service"], &server["token"]),
        (&"gatehouse".into(), &"a token".into())
    );
    let decide = spans
        .iter()
        .find(|span| span["name"] == "decide")
        .expect("a step");
    assert_eq!(decide["parent"], server["id"]);
    assert!(
        spans
            .iter()
            .all(|span| span["trace"] == told[1] && span["ordered"] == true)
    );

    let line = LogFile::of(&gateway).line_of("/notes/of-ann").await;
    assert_eq!(line["trace_id"], told[1]);
    let attributes = &server["attributes"];
    for (name, value) in [
        ("http.request.method", Json::from("GET")),
        ("http.route", "/notes/*".into()),
        ("http.response.status_code", 200.into()),
        ("url.scheme", "http".into()),
        ("network.protocol.version", "1.1".into()),
        ("gatehouse.decision", "forward".into()),
        ("gatehouse.route", line["route"].clone()),
        ("gatehouse.request_id", line["request_id"].clone()),
    ] {
        assert_eq!(attributes[name], value, "{name}");
    }
    assert_eq!(client["attributes"]["gatehouse.upstream"], "app");
    assert_eq!(client["attributes"]["http.response.status_code"], 200);
    assert_eq!(client["events"], serde_json::json!(["connected"]));
    let everything = serde_json::to_string(&spans).unwrap();
    let account = line["account"].as_str().unwrap();
    for personal in ["of-ann", "secret", ANN, "127.0.0.0", account, "their"] {
        assert!(!everything.contains(personal), "{personal}: {everything}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_traced_with_its_reason_and_own_pages_as_such() {
    let mut collector = App::start("otlp_receiver.py", &[]);
    let gateway = traced(&mut collector, "100%").await;
    gateway.person().fetch(Method::GET, "/report").await;
    let spans = spans_of_a_request(&mut collector);
    let server = spans.last().unwrap();
    assert_eq!(server["attributes"]["gatehouse.decision"], "sign_in");
    assert_eq!(server["attributes"]["gatehouse.missing"], "session");
    assert_eq!(server["attributes"]["http.response.status_code"], 401);
    assert!(!spans.iter().any(|span| span["kind"] == CLIENT));

    gateway.person().open("/.gatehouse/sign-in").await;
    let spans = spans_of_a_request(&mut collector);
    assert_eq!(spans.last().unwrap()["name"], "GET /.gatehouse/*");
    assert!(spans.iter().any(|span| span["name"] == "own page"));

    let odd = Method::from_bytes(b"ANN-WAS-HERE").unwrap();
    gateway.person().fetch(odd, "/nowhere/of-ann").await;
    let spans = spans_of_a_request(&mut collector);
    assert_eq!(
        spans.last().unwrap()["attributes"]["http.request.method"],
        "_OTHER"
    );
    assert!(
        !serde_json::to_string(&spans)
            .unwrap()
            .to_lowercase()
            .contains("ann")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_try_of_an_upstream_is_a_span_of_its_own() {
    let mut collector = App::start("otlp_receiver.py", &[]);
    let [one, other] = [
        Scripted::start(&[Act::Close]).await,
        Scripted::start(&[Act::Answer]).await,
    ];
    let gateway = traced(&mut collector, "100%")
        .with_route("path = '/*'\naccess = 'public'")
        .before(one.address)
        .before(other.address)
        .await;
    assert_eq!(gateway.person().open("/x").await.status, 200);
    let spans = spans_of_a_request(&mut collector);
    let tries: Vec<_> = spans.iter().filter(|span| span["kind"] == CLIENT).collect();
    let said: Vec<_> = tries
        .iter()
        .map(|span| {
            (
                span["failed"].clone(),
                span["attributes"]["server.address"].clone(),
            )
        })
        .collect();
    let expected = [(true, one.address), (false, other.address)];
    assert_eq!(
        said,
        expected.map(|(failed, address)| (failed.into(), address.to_string().into()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_trusted_proxy_is_continued_as_it_says() {
    let mut collector = App::start("otlp_receiver.py", &[]);
    let gateway = traced(&mut collector, "0%")
        .with_server("trusted_proxies = ['127.0.0.1']")
        .await;
    let person = gateway.person();
    // Nothing is recorded unless the proxy says so; the trace goes on all the same.
    for (said, sampled) in [
        (&[("traceparent", UNSAMPLED)][..], "00"),
        (&[("traceparent", PARENT), ("tracestate", "their=1")], "01"),
    ] {
        let told = traceparent(&gateway, &person, "/public/x", said).await;
        let parent: Vec<_> = told[0].1.split('-').collect();
        assert_eq!((parent[1], parent[3]), (THEIR_TRACE, sampled), "{told:?}");
        assert_ne!(
            parent[2], "00f067aa0ba902b7",
            "the gateway's own span is the parent"
        );
        let state = told
            .iter()
            .any(|(name, value)| name.eq_ignore_ascii_case("tracestate") && value == "their=1");
        assert_eq!(state, said.len() == 2, "{told:?}");
    }
    // What is no trace, or two, is as if nothing were said.
    for said in [
        &[("traceparent", "00-x-y-01")][..],
        &[(
            "traceparent",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        )],
        &[("traceparent", PARENT), ("traceparent", PARENT)],
        &[],
    ] {
        let told = traceparent(&gateway, &person, "/public/x", said).await;
        let parent: Vec<_> = told[0].1.split('-').collect();
        assert_ne!(parent[1], THEIR_TRACE, "{said:?}");
        assert_eq!(parent[3], "00", "{said:?}");
    }
    let spans = spans_of_a_request(&mut collector);
    let server = spans.last().unwrap();
    assert_eq!(
        (&server["trace"], &server["parent"]),
        (&THEIR_TRACE.into(), &"00f067aa0ba902b7".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_traces_what_a_client_says_of_its_own_passes_as_it_is() {
    let gateway = Gateway::start().await;
    let said = [("traceparent", PARENT), ("tracestate", "their=1")];
    let told = traceparent(&gateway, &gateway.person(), "/public/x", &said).await;
    let told: Vec<_> = told.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(told, [PARENT, "their=1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_costs_spans_and_no_request() {
    let mut collector = App::start("otlp_receiver.py", &["refuse"]);
    let mut gateway = traced(&mut collector, "100%").await;
    gateway.upstream.answer("/public/bad", Answer::HangUp);
    assert_eq!(gateway.person().open("/public/x").await.status, 200);
    let line = collector.line().unwrap();
    let refused = serde_json::from_str::<Json>(&line).unwrap()["refused"]
        .as_u64()
        .unwrap();
    assert!(refused > 0);
    within(SOON, "they are counted", || async {
        (gateway.spans_dropped() >= refused).then_some(())
    })
    .await;
    drop(collector);
    assert_eq!(gateway.person().open("/public/x").await.status, 200);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_spans_are_sent_when_the_server_stops() {
    let mut collector = App::start("otlp_receiver.py", &[]);
    let mut gateway = traced(&mut collector, "100%").await;
    gateway.upstream.answer("/public/bad", Answer::HangUp);
    assert_eq!(gateway.person().open("/public/bad").await.status, 502);
    gateway.stop().await;
    let server = spans_of_a_request(&mut collector).pop().unwrap();
    assert_eq!(
        (
            &server["failed"],
            &server["attributes"]["http.response.status_code"]
        ),
        (&true.into(), &502.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_others_run_takes_them() {
    let mut rotel = App::start("otlp_collector.py", &[]);
    let port: u16 = loop {
        let line = rotel.line().expect("it runs");
        if let Ok(port) = line.parse() {
            break port;
        }
    };
    let traces = format!("endpoint = 'http://127.0.0.1:{port}/v1/traces'\nsample = '100%'");
    let gateway = Gateway::start().with("traces", &traces).await;
    let visitor = gateway.person();
    let told = traceparent(&gateway, &visitor, "/public/of-ann", &[]).await;
    let [(_, told)] = &told[..] else {
        panic!("{told:?}");
    };
    let told: Vec<_> = told.split('-').collect();

    // Rotel writes a span line by line, from its trace to its kind and beyond.
    let mut field = |name: &str| loop {
        let line = rotel.line().expect("it runs");
        if let Some((key, value)) = line.split_once(" : ")
            && key.trim() == name
        {
            break value.to_owned();
        }
    };
    let mut spans = Vec::new();
    while !spans.iter().any(|(_, _, kind)| kind == "SPAN_KIND_SERVER") {
        assert_eq!(field("Trace ID"), told[1]);
        spans.push((field("ID"), field("Name"), field("Kind")));
    }
    let find = |kind: &str| spans.iter().find(|span| span.2 == kind).expect("a span");
    assert_eq!(find("SPAN_KIND_SERVER").1, "GET /public/*");
    assert_eq!(find("SPAN_KIND_CLIENT").0, told[2]);
}
