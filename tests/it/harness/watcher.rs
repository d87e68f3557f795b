//! Somebody who watches over a gateway: reads its numbers and asks how it is.

use std::{collections::BTreeMap, net::SocketAddr};

use super::{
    gateway::{Gateway, Setup},
    raw,
    waiting::{SOON, within},
};

/// A gateway that is watched, and where.
pub async fn watched(setup: Setup) -> (Gateway, SocketAddr) {
    let gateway = setup.with_admin().await;
    let admin = gateway.admin.unwrap();
    (gateway, admin)
}

/// One scrape of `/metrics`.
pub struct Scrape {
    pub text: String,
    /// By the name of the series with its labels, as written.
    series: BTreeMap<String, f64>,
}

impl Scrape {
    /// Reads the numbers.
    pub async fn of(address: SocketAddr) -> Self {
        let answer = raw::get(address, "/metrics", &[]).await;
        assert_eq!(answer.status(), 200, "{}", answer.0);
        let (head, text) = answer.0.split_once("\r\n\r\n").expect("a body");
        assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        });
        Self {
            series: series.collect(),
            text: text.to_owned(),
        }
    }

    /// The value of a series, written as `name{label="value"}`.
    pub fn value(&self, series: &str) -> f64 {
        let value = self.series.get(series);
        *value.unwrap_or_else(|| panic!("{series} is not among\n{}", self.text))
    }

    /// Whether there is such a series.
    pub fn has(&self, series: &str) -> bool {
        self.series.contains_key(series)
    }

    /// All series.
    pub fn names(&self) -> Vec<&str> {
        self.series.keys().map(String::as_str).collect()
    }

    /// Every series of a family whose value is not zero.
    pub fn moved(&self, family: &str) -> BTreeMap<&str, f64> {
        let of_family = |name: &str| name.split('{').next() == Some(family);
        let moved = self.series.iter();
        moved
            .filter(|(name, value)| of_family(name) && **value != 0.0)
            .map(|(name, value)| (&name[family.len()..], *value))
            .collect()
    }
}

/// Waits until a family holds exactly these series that are not zero.
pub async fn reads(address: SocketAddr, family: &str, expected: &[(&str, f64)]) {
    let expected: BTreeMap<_, _> = expected.iter().copied().collect();
    within(SOON, &format!("{family} reads {expected:?}"), || async {
        let scrape = Scrape::of(address).await;
        (scrape.moved(family) == expected).then_some(())
    })
    .await;
}

/// What `/readyz` says, with its status.
pub async fn readiness(address: SocketAddr) -> (u16, serde_json::Value) {
    let answer = raw::get(address, "/readyz", &[]).await;
    let (_, body) = answer.0.split_once("\r\n\r\n").expect("a body");
    (answer.status(), serde_json::from_str(body).expect("JSON"))
}

/// Waits until the node calls itself so; what it says then.
pub async fn is(address: SocketAddr, status: &str) -> (u16, serde_json::Value) {
    within(SOON, &format!("the node is {status}"), || async {
        let (code, said) = readiness(address).await;
        (said["status"] == status).then_some((code, said))
    })
    .await
}
