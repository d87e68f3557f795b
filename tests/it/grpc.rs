//! gRPC as others speak it: a grpcio client, with TLS and without, the gateway, and a grpcio server.

use reqwest::{Method, Version};

use crate::harness::{Gateway, Person, app::App, gateway::Setup, person::Protocol};

const ANN: &str = "ann@example.com";

async fn before_grpc(setup: Setup) -> (App, Gateway, Person) {
    let mut app = App::start("grpc_server.py", &[]);
    let gateway = setup
        .before(app.address())
        .with_upstream("protocol = 'h2'")
        .with_route("path = '/*'")
        .await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "full");
    (app, gateway, ann)
}

fn client(gateway: &Gateway, cookie: &str, calls: &[&str]) -> App {
    let target = format!("localhost:{}", gateway.address.port());
    let authority = gateway.certificates.as_ref();
    let authority = authority.map_or(String::new(), |files| files.authority.display().to_string());
    App::start(
        "grpc_client.py",
        &[&[target.as_str(), &authority, cookie], calls].concat(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_call_passes_with_its_trailers() {
    for setup in [Gateway::start(), Gateway::start().with_tls()] {
        let (mut app, gateway, ann) = before_grpc(setup).await;
        let calls = ["unary", "count", "join", "chat", "fail"];
        let mut client = client(&gateway, &ann.cookie_header(), &calls);
        for expected in [
            "unary 100000 kept",
            "count 499500",
            "join 0123456789",
            "chat you said one",
            "chat you said two",
            "chat you said three",
            "chat over",
            "fail FAILED_PRECONDITION kept not ütterly ready",
        ] {
            assert_eq!(client.line().as_deref(), Some(expected));
        }
        for call in ["Unary", "Count", "Join", "Chat", "Fail"] {
            let seen = format!("{call} {ANN} clean");
            assert_eq!(app.line().as_deref(), Some(seen.as_str()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_the_call_at_both_ends() {
    let (mut app, gateway, ann) = before_grpc(Gateway::start()).await;
    let mut client = client(&gateway, &ann.cookie_header(), &["sleep"]);
    let line = client.line().unwrap();
    assert!(line.starts_with("sleep DEADLINE_EXCEEDED"), "{line}");
    assert_eq!(app.line().as_deref(), Some("Sleep ann@example.com clean"));
    assert_eq!(app.line().as_deref(), Some("Sleep over"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_session_is_refused_as_programs_are() {
    let (_app, gateway, _ann) = before_grpc(Gateway::start()).await;
    let mut client = client(&gateway, "", &["unary"]);
    let line = client.line().unwrap();
    // What gRPC makes of a 401 without a status of its own.
    assert!(line.starts_with("unary UNAUTHENTICATED"), "{line}");

    let nobody = gateway.person_over(Protocol::Http2);
    let call = nobody
        .request(Method::POST, "/test.Echo/Unary")
        .header("Content-Type", "application/grpc")
        .header("TE", "trailers");
    let reply = nobody.send(call).await;
    assert_eq!(
        (reply.status.as_u16(), reply.version),
        (401, Version::HTTP_2)
    );
    assert_eq!(reply.json()["error"], "sign_in_required");
}
