//! Who gets a request, as servers fill, fail, recover and move.

use std::{cell::RefCell, collections::HashMap, net::SocketAddr, time::Duration};

use super::{balance::hash, *};
use crate::config::{Server as Configured, ServerPlace, UpstreamProtocol};

fn upstream(servers: &[&str], balance: Balance) -> Upstream {
    Upstream {
        name: "app".to_owned(),
        servers: servers
            .iter()
            .map(|written| Configured {
                written: (*written).to_owned(),
                address: ServerPlace::Network("127.0.0.1:1".parse().unwrap()),
                name: Some(((*written).to_owned(), 1)),
            })
            .collect(),
        balance,
        protocol: UpstreamProtocol::Http1,
        tls: None,
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(60),
        write_timeout: Duration::from_secs(60),
        total_timeout: None,
        retries: 1,
        max_connections: None,
        max_idle: 128,
        idle_timeout: Duration::from_secs(45),
        health: None,
        ejection: Some(Ejection {
            failures: 3,
            period: Duration::from_secs(30),
        }),
    }
}

fn pool(servers: &[&str], balance: Balance) -> Arc<Pool> {
    Arc::new(Pool::new(&upstream(servers, balance)))
}

const THREE: [&str; 3] = ["a", "b", "c"];

/// The names of the servers that these visitors get, one after the other.
fn choices(pool: &Arc<Pool>, visitors: impl IntoIterator<Item = u64>) -> String {
    let now = Instant::now();
    visitors
        .into_iter()
        .map(|visitor| {
            let lease = pool.choose(visitor, Tried::default(), now).ok().unwrap();
            lease.server().name().to_owned()
        })
        .collect()
}

#[test]
fn round_robin_gives_each_its_turn_and_spreads_the_share_of_one_that_is_out() {
    let pool = pool(&THREE, Balance::RoundRobin);
    assert_eq!(choices(&pool, [0; 6]), "abcabc");
    pool.servers()[1].set_well(false);
    assert_eq!(choices(&pool, [0; 6]), "acacac");
}

#[test]
fn least_connections_takes_the_idlest_and_places_are_given_back() {
    let pool = pool(&THREE, Balance::LeastConnections);
    let now = Instant::now();
    let choose = || pool.choose(0, Tried::default(), now).ok().unwrap();
    let held: Vec<_> = (0..3).map(|_| choose()).collect();
    let mut names: Vec<_> = held.iter().map(|lease| lease.server().name()).collect();
    names.sort_unstable();
    assert_eq!(names, THREE, "an idle pool is shared out");
    let kept: Vec<_> = held
        .into_iter()
        .filter(|lease| lease.server().name() != "b")
        .collect();
    assert_eq!(
        choices(&pool, [0; 4]),
        "bbbb",
        "b has given its request back"
    );
    drop(kept);
    assert!(pool.servers().iter().all(|server| server.in_flight() == 0));
}

#[test]
fn a_visitor_keeps_their_server_and_a_lost_one_moves_only_its_share() {
    let visitors: Vec<u64> = (0..10_000_u32)
        .map(|number| hash(&number.to_le_bytes()))
        .collect();
    let placed = |pool: &Arc<Pool>| -> Vec<char> {
        choices(pool, visitors.iter().copied()).chars().collect()
    };
    let four = pool(&["a", "b", "c", "d"], Balance::ConsistentHash);
    let before = placed(&four);
    assert_eq!(before, placed(&four));
    let mut shares: HashMap<char, usize> = HashMap::new();
    for server in &before {
        *shares.entry(*server).or_default() += 1;
    }
    assert!(
        shares.values().all(|share| (2300..2700).contains(share)),
        "{shares:?}"
    );

    four.servers()[1].set_well(false);
    let without_b = placed(&four);
    for (before, after) in before.iter().zip(&without_b) {
        assert!(
            *before == 'b' || before == after,
            "{before} went to {after}"
        );
    }
    assert!(!without_b.contains(&'b'));

    let five = pool(&["a", "b", "c", "d", "e"], Balance::ConsistentHash);
    let with_e = placed(&five);
    let moved = before.iter().zip(&with_e).filter(|(old, new)| old != new);
    let moved: Vec<_> = moved.map(|(_, new)| *new).collect();
    assert!(moved.iter().all(|server| *server == 'e'));
    assert!((1700..2300).contains(&moved.len()), "{}", moved.len());
}

#[test]
fn the_order_of_servers_in_the_file_moves_nobody() {
    let visitors = || (0..1000_u32).map(|number| hash(&number.to_le_bytes()));
    let one = pool(&["a", "b", "c"], Balance::ConsistentHash);
    let other = pool(&["c", "a", "b"], Balance::ConsistentHash);
    assert_eq!(choices(&one, visitors()), choices(&other, visitors()));
}

#[test]
fn a_server_is_not_tried_twice_for_a_request() {
    for balance in [
        Balance::RoundRobin,
        Balance::LeastConnections,
        Balance::ConsistentHash,
    ] {
        let pool = pool(&THREE, balance);
        let (now, mut tried) = (Instant::now(), Tried::default());
        let mut names = Vec::new();
        while let Ok(lease) = pool.choose(7, tried, now) {
            tried.note(lease.index());
            names.push(lease.server().name().to_owned());
        }
        names.sort_unstable();
        assert_eq!(names, THREE, "{balance:?}");
        assert_eq!(pool.choose(7, tried, now).err(), Some(NoServer::Exhausted));
    }
}

#[test]
fn a_full_server_passes_requests_on_and_a_full_pool_refuses_them() {
    let mut limited = upstream(&["a", "b"], Balance::ConsistentHash);
    limited.max_connections = Some(1);
    let pool = Arc::new(Pool::new(&limited));
    let now = Instant::now();
    let first = pool.choose(1, Tried::default(), now).ok().unwrap();
    let second = pool.choose(1, Tried::default(), now).ok().unwrap();
    assert_ne!(first.index(), second.index());
    assert_eq!(
        pool.choose(1, Tried::default(), now).err(),
        Some(NoServer::Busy)
    );
    let freed = first.index();
    drop(first);
    assert_eq!(
        pool.choose(1, Tried::default(), now).ok().unwrap().index(),
        freed
    );
}

#[test]
fn a_full_pool_does_not_fall_back_on_servers_that_are_down() {
    let mut limited = upstream(&["a", "b"], Balance::RoundRobin);
    limited.max_connections = Some(1);
    let pool = Arc::new(Pool::new(&limited));
    pool.servers()[1].set_well(false);
    let now = Instant::now();
    let _held = pool.choose(0, Tried::default(), now).ok().unwrap();
    assert_eq!(
        pool.choose(0, Tried::default(), now).err(),
        Some(NoServer::Busy)
    );
}

#[test]
fn failures_in_a_row_take_a_server_out_for_a_while() {
    let pool = pool(&["a", "b"], Balance::RoundRobin);
    let start = Instant::now();
    let lease = pool.choose(0, Tried::default(), start).ok().unwrap();
    let server = lease.server();
    let after = |seconds| start + Duration::from_secs(seconds);

    lease.note_failure(start);
    lease.note_failure(start);
    lease.note_answer();
    lease.note_failure(start);
    lease.note_failure(start);
    assert!(server.is_up(start), "an answer ends the row");
    lease.note_failure(start);
    assert!(!server.is_up(start) && !server.is_up(after(29)));
    assert!(server.is_up(after(31)));
    lease.note_failure(after(31));
    assert!(!server.is_up(after(60)), "one more failure is enough");
    assert!(server.is_up(after(62)));
    lease.note_answer();
    lease.note_failure(after(62));
    assert!(server.is_up(after(62)), "an answer makes it whole again");
}

#[test]
fn when_all_are_out_all_are_tried() {
    let pool = pool(&["a", "b"], Balance::RoundRobin);
    let now = Instant::now();
    for server in pool.servers() {
        server.set_well(false);
    }
    assert_eq!(choices(&pool, [0; 4]), "abab");
    pool.servers()[0].set_well(true);
    assert_eq!(choices(&pool, [0; 2]), "aa");
    // The one that is up has failed this request: the other is worth a try.
    let mut tried = Tried::default();
    tried.note(0);
    assert_eq!(pool.choose(0, tried, now).ok().unwrap().index(), 1);
}

#[test]
fn a_lone_server_is_never_out() {
    let pool = pool(&["a"], Balance::RoundRobin);
    let now = Instant::now();
    let lease = pool.choose(0, Tried::default(), now).ok().unwrap();
    for _ in 0..10 {
        lease.note_failure(now);
    }
    assert!(lease.server().is_up(now));
}

#[tokio::test]
async fn a_server_follows_its_name_and_stays_when_there_is_no_answer() {
    let pools = Pools::new(&[upstream(&["a"], Balance::RoundRobin)]);
    let server = &pools.of(0).unwrap().servers()[0];
    let [old, new]: [SocketAddr; 2] =
        ["127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse().unwrap());
    let answers: RefCell<Vec<std::io::Result<Vec<SocketAddr>>>> = RefCell::new(vec![
        Ok(vec![new, old]),
        Err(std::io::Error::other("no such name")),
        Ok(vec![]),
        Ok(vec![new]),
    ]);
    let expected = [old, old, old, new];
    for address in expected {
        names::look_up_all(&pools, |name, port| {
            assert_eq!((name.as_str(), port), ("a", 1));
            std::future::ready(answers.borrow_mut().remove(0))
        })
        .await;
        assert_eq!(server.address(), Address::Network(address));
    }
}

#[test]
fn every_configuration_has_a_generation_of_its_own() {
    let upstreams = [upstream(&["a"], Balance::RoundRobin)];
    let (one, other) = (Pools::new(&upstreams), Pools::new(&upstreams));
    assert!(other.generation() > one.generation());
}

#[test]
fn what_is_known_of_a_server_outlives_a_configuration() {
    let now = Instant::now();
    let eject = Ejection {
        failures: 1,
        period: Duration::from_secs(60),
    };
    let mut before = upstream(&["a", "b", "c"], Balance::RoundRobin);
    before.ejection = Some(eject);
    let old = Pools::new(&[before]);
    let pool = old.of(0).unwrap();
    let lease = pool.choose(0, Tried::default(), now).unwrap();
    let busy = lease.index();
    let [ejected, unwell] = [(busy + 1) % 3, (busy + 2) % 3];
    assert!(pool.servers()[ejected].note_failure(eject, now));
    pool.servers()[unwell].set_well(false);

    // In another order, and with one more.
    let after = upstream(&["d", "c", "b", "a"], Balance::RoundRobin);
    let new = Pools::succeeding(&old, &[after]);
    let of = |index: usize| {
        let name = pool.servers()[index].name();
        let servers = new.of(0).unwrap().servers();
        servers.iter().find(|server| server.name() == name).unwrap()
    };
    assert!(!of(ejected).is_up(now) && of(busy).is_up(now));
    assert!(of(unwell).is_up(now), "nothing checks it any more");
    assert_eq!(of(busy).in_flight(), 1);
    drop(lease);
    assert_eq!(of(busy).in_flight(), 0, "its request has ended");
    assert!(new.of(0).unwrap().servers()[0].is_up(now));

    let mut renamed = upstream(&["a", "b", "c"], Balance::RoundRobin);
    renamed.name = "other".to_owned();
    let other = Pools::succeeding(&old, &[renamed]);
    let servers = other.of(0).unwrap().servers();
    assert!(servers.iter().all(|server| server.is_up(now)));
}
