//! Many servers of one upstream: who gets which request as they fill, fail, recover and stop.

use std::{collections::BTreeSet, net::SocketAddr};

use reqwest::{Method, Response};

use crate::harness::{
    Gateway, Person,
    script::{Act, Scripted},
    upstream::{Answer, Upstream},
    waiting::{SOON, within},
};

const PUBLIC: &str = "path = '/*'\naccess = 'public'";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const UNWELL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

async fn before(servers: &[SocketAddr], route: &str, lines: &str) -> Gateway {
    let setup = Gateway::start().with_route(route).with_upstream(lines);
    servers
        .iter()
        .fold(setup, |setup, server| setup.before(*server))
        .await
}

/// How many requests of a target reached a server.
fn arrived(server: &Upstream, target: &str) -> usize {
    let targets = server.targets();
    targets.iter().filter(|other| *other == target).count()
}

/// A request whose answer goes on for as long as it is held.
async fn hold(person: &Person) -> Response {
    let response = person.request(Method::GET, "/hold").send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_gets_its_turn() {
    let servers = [
        Upstream::start().await,
        Upstream::start().await,
        Upstream::start().await,
    ];
    let gateway = before(&servers.each_ref().map(|server| server.address), PUBLIC, "").await;
    for _ in 0..9 {
        assert_eq!(gateway.person().open("/x").await.status, 200);
    }
    assert_eq!(
        servers.each_ref().map(|server| arrived(server, "/x")),
        [3; 3]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_idlest_server_is_used_and_a_reader_that_leaves_frees_its_place() {
    let (busy, idle) = (Upstream::start().await, Upstream::start().await);
    for server in [&busy, &idle] {
        server.answer("/hold", Answer::Endless);
    }
    let gateway = before(
        &[busy.address, idle.address],
        PUBLIC,
        "balance = 'least-connections'\nmax_connections = 2",
    )
    .await;
    let person = gateway.person();
    let held = [
        hold(&person).await,
        hold(&person).await,
        hold(&person).await,
    ];
    let streams = [&busy, &idle].map(|server| arrived(server, "/hold"));
    assert_eq!(streams.iter().sum::<usize>(), 3);
    let (full, roomy) = if streams[0] == 2 {
        (&busy, &idle)
    } else {
        (&idle, &busy)
    };
    assert_eq!(arrived(full, "/hold"), 2, "{streams:?}");
    for _ in 0..4 {
        assert_eq!(person.open("/x").await.status, 200);
    }
    assert_eq!([full, roomy].map(|server| arrived(server, "/x")), [0, 4]);

    let last = hold(&person).await;
    let refused = person.open("/x").await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), "2");
    assert!(refused.text().contains(refused.header("x-request-id")));
    let refused = person.fetch(Method::GET, "/x").await;
    assert_eq!(refused.json()["error"], "upstream_busy");

    drop((held, last));
    within(SOON, "the places are free again", || async {
        (person.open("/x").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_keeps_its_server_and_moves_only_while_it_is_away() {
    let mut servers = vec![
        Some(Upstream::start().await),
        Some(Upstream::start().await),
        Some(Upstream::start().await),
    ];
    let addresses: Vec<_> = servers
        .iter()
        .flatten()
        .map(|server| server.address)
        .collect();
    let gateway = before(&addresses, "path = '/*'", "balance = 'consistent-hash'").await;
    let homes = |servers: &[Option<Upstream>], target: &str| -> Vec<usize> {
        (0..servers.len())
            .filter(|index| {
                servers[*index]
                    .as_ref()
                    .is_some_and(|server| arrived(server, target) > 0)
            })
            .collect()
    };
    let mut people = Vec::new();
    let mut used = BTreeSet::new();
    for number in 0..12 {
        let email = format!("{number}@example.com");
        gateway.invite(&email, &[]);
        let target = format!("/{number}");
        let person = gateway.person_with_session(&email, "full");
        for _ in 0..3 {
            assert_eq!(person.open(&target).await.status, 200);
        }
        let [home] = homes(&servers, &target)[..] else {
            panic!("{number} went to {:?}", homes(&servers, &target));
        };
        used.insert(home);
        people.push((person, home));
    }
    assert!(used.len() > 1, "twelve accounts share one server of three");

    let gone = people[0].1;
    let _its_port = servers[gone].take().expect("it runs").end().await;
    for (number, (person, home)) in people.iter().enumerate() {
        let target = format!("/again/{number}");
        assert_eq!(person.open(&target).await.status, 200);
        let [now] = homes(&servers, &target)[..] else {
            panic!("{number} went to {:?}", homes(&servers, &target));
        };
        assert_eq!(now == *home, *home != gone, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_without_a_session_keep_the_server_of_their_network() {
    let servers = [
        Upstream::start().await,
        Upstream::start().await,
        Upstream::start().await,
    ];
    let addresses = servers.each_ref().map(|server| server.address);
    let gateway = before(&addresses, PUBLIC, "balance = 'consistent-hash'").await;
    for _ in 0..6 {
        assert_eq!(gateway.person().open("/x").await.status, 200);
    }
    let mut shares = servers.each_ref().map(|server| arrived(server, "/x"));
    shares.sort_unstable();
    assert_eq!(shares, [0, 0, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_it_is_unwell_gets_no_requests_until_it_is_well() {
    let (one, other) = (Upstream::start().await, Upstream::start().await);
    for server in [&one, &other] {
        server.answer("/healthz", Answer::Raw(OK.to_vec()));
    }
    let gateway = before(
        &[one.address, other.address],
        PUBLIC,
        "health = { path = '/healthz', interval = '1s', healthy_after = 1, unhealthy_after = 1, host = 'app.test' }",
    )
    .await;
    let person = gateway.person();
    // Whether the server gets one of two requests in a row.
    let used = || async {
        let before = arrived(&one, "/x");
        for _ in 0..2 {
            assert_eq!(person.open("/x").await.status, 200);
        }
        arrived(&one, "/x") > before
    };
    assert!(used().await);
    one.answer("/healthz", Answer::Raw(UNWELL.to_vec()));
    within(SOON, "it gets nothing", || async {
        (!used().await).then_some(())
    })
    .await;
    assert!(!used().await);
    one.answer("/healthz", Answer::Raw(OK.to_vec()));
    within(SOON, "it is used again", || async {
        used().await.then_some(())
    })
    .await;
    assert_eq!(one.last_of("/healthz").header("Host"), "app.test");

    for server in [&one, &other] {
        server.answer("/healthz", Answer::Silence);
    }
    within(SOON, "both are down", || async {
        gateway.servers_up().is_empty().then_some(())
    })
    .await;
    assert!(used().await, "when all are out, all are tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_connection_is_down_and_comes_back() {
    let one = Upstream::start().await;
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let gateway = before(
        &[one.address, address],
        PUBLIC,
        "health = { interval = '1s', healthy_after = 1, unhealthy_after = 1 }",
    )
    .await;
    assert_eq!(gateway.servers_up().len(), 2);
    drop(other);
    let first = one.address.to_string();
    within(SOON, "only one is up", || async {
        (gateway.servers_up() == [first.clone()]).then_some(())
    })
    .await;
    let _other = std::net::TcpListener::bind(address).expect("its port is free again");
    within(SOON, "both are up", || async {
        (gateway.servers_up().len() == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_requests_is_left_out_for_a_while_and_used_again() {
    let broken = Scripted::start(&[]).await;
    let other = Scripted::start(&[]).await;
    broken.always(Act::Close);
    let gateway = before(
        &[broken.address, other.address],
        PUBLIC,
        "eject = { failures = 3, for = '1s' }",
    )
    .await;
    let person = gateway.person();
    let post = || async {
        let request = person.request(Method::POST, "/x").body("x");
        person.send(request).await.status.as_u16()
    };
    let statuses = [
        post().await,
        post().await,
        post().await,
        post().await,
        post().await,
    ];
    assert_eq!(statuses, [502, 200, 502, 200, 502]);
    assert_eq!(gateway.servers_up(), [other.address.to_string()]);
    let heard = broken.heard().len();
    assert_eq!([post().await, post().await], [200, 200]);
    assert_eq!(broken.heard().len(), heard, "it is left out");

    broken.always(Act::Answer);
    within(SOON, "it is used again", || async {
        assert_eq!(post().await, 200);
        (broken.heard().len() > heard).then_some(())
    })
    .await;
    assert_eq!(gateway.servers_up().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apps_own_errors_are_answers() {
    let server = Upstream::start().await;
    server.answer("/x", Answer::Raw(UNWELL.to_vec()));
    let other = Upstream::start().await;
    let gateway = before(
        &[server.address, other.address],
        PUBLIC,
        "eject = { failures = 1, for = '1h' }",
    )
    .await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(gateway.person().open("/x").await.status.as_u16());
    }
    assert_eq!(statuses, [503, 200, 503, 200]);
    assert_eq!(gateway.servers_up().len(), 2);
}
