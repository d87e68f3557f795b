//! From a request's cookie header to the decision, as the gateway goes for every request of a signed-in
//! person. `warm` has seen the token before; `verified afresh` checks its signature each time.

use std::{hint::black_box, path::Path, sync::Arc};

use axum::http::{HeaderMap, HeaderValue, Method, header};
use criterion::{Criterion, criterion_group, criterion_main};
use gatehouse::{
    admin::{
        Acting,
        accounts::{self, Invitee},
        sessions::{self, Kind},
    },
    clock::Clock,
    config::{self, Config},
    core::Core,
    email_address::EmailAddress,
    policy::{
        decision::{Decision, Request, Session, decide},
        route::RouteTable,
        target::Target,
    },
    session::{Key, KeyRing, Recall, TokenFormat, cookie},
};

const CONFIG: &str = r#"
[server]
listen = ["127.0.0.1:0"]
[relying_party]
id = "localhost"
name = "Benchmark"
origins = ["http://localhost:8080"]
[store]
url = "sqlite:gatehouse.db"
[[upstream]]
name = "app"
servers = ["127.0.0.1:9000"]
"#;

/// A table of 20 routes; the request falls under the last.
fn config(folder: &Path) -> Config {
    let mut text = CONFIG.to_owned();
    for number in 0..19 {
        text += &format!("[[route]]\npath = \"/area{number}/*\"\nupstream = \"app\"\n");
    }
    text += "[[route]]\npath = \"/*\"\naccess = \"full\"\nupstream = \"app\"\n";
    config::parse(&text, &folder.join("gatehouse.toml"), &|_| None)
        .expect("the benchmark's configuration is right")
        .config
}

async fn core_and_cookie(folder: &Path) -> (Core, HeaderMap) {
    let core = Core::open(config(folder), Clock::system())
        .await
        .expect("the store opens");
    let invitee = Invitee {
        email: EmailAddress::parse("ann@example.com"),
        login: None,
        name: None,
        groups: vec!["staff".to_owned()],
        mail: false,
    };
    let operator = Acting::at_command_line(&core, None);
    accounts::invite(&operator, invitee)
        .await
        .expect("an account");
    let lifetime = std::time::Duration::from_secs(3600);
    let own = sessions::issue(&operator, "ann@example.com", Kind::Full, lifetime)
        .await
        .expect("a session");
    let mut headers = HeaderMap::new();
    let line = format!("theme=dark; {own}; app_session=0123456789abcdef0123456789abcdef");
    headers.insert(
        header::COOKIE,
        HeaderValue::from_str(&line).expect("a cookie line"),
    );
    let limits = core.snapshot().config.session;
    core.sessions
        .visit(&headers, HOST, &limits)
        .await
        .expect("the session is live");
    (core, headers)
}

const HOST: &str = "app.example.com";

fn verdict(routes: &RouteTable, session: Session<'_>, clock: &Clock) {
    let target = Target::parse(b"/notes/2026/list?page=2").expect("a plain target");
    let request = Request {
        method: &Method::GET,
        host: HOST,
        target: &target,
        session: Some(session),
        now: clock.now(),
        certificate: &[],
    };
    let decision = decide(routes, &request);
    assert!(matches!(black_box(decision), Decision::Forward(_)));
}

fn decisions(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (core, headers) = runtime.block_on(core_and_cookie(folder.path()));
    let routes = Arc::clone(&core.snapshot().config.routes);
    let mut group = criterion.benchmark_group("cookie header to decision");

    group.bench_function("warm", |bencher| {
        bencher.iter(|| {
            match core
                .sessions
                .recall(black_box(&headers), HOST, core.clock.now())
            {
                Recall::Live(visit) => verdict(&routes, visit.for_policy(), &core.clock),
                Recall::Nobody | Recall::AskStore(_) => panic!("the session is in memory"),
            }
        });
    });

    let keys = KeyRing::new(vec![Key::random(core.clock.now())]);
    let format = TokenFormat::new("localhost");
    let token = match core.sessions.recall(&headers, HOST, core.clock.now()) {
        Recall::Live(visit) => format.sign(&visit.claims, &keys),
        Recall::Nobody | Recall::AskStore(_) => panic!("the session is in memory"),
    };
    let mut afresh = HeaderMap::new();
    let line = format!("theme=dark; {}={token}", cookie::NAME);
    afresh.insert(
        header::COOKIE,
        HeaderValue::from_str(&line).expect("a cookie line"),
    );
    group.bench_function("verified afresh", |bencher| {
        bencher.iter(|| {
            let token =
                cookie::single(black_box(&afresh), cookie::NAME).expect("the cookie is there");
            let claims = format.verify(token, &keys).expect("the token is authentic");
            let session = Session {
                restricted: claims.restricted,
                stepped_up_at: claims.stepped_up_at,
                email: None,
                groups: &[],
            };
            verdict(&routes, session, &core.clock);
        });
    });
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
