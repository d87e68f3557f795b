//! One browser on three hosts, two of apps and the one where people sign in.

use super::{
    cookies::SESSION,
    gateway::{AUTH_HOST, Gateway},
    page::Reply,
    person::{Person, sign_in_page},
};

pub const ANN: &str = "ann@example.com";
pub const APP: &str = "app.localhost";
pub const WIKI: &str = "wiki.localhost";

/// Where a code arrives.
pub const END: &str = "/.gatehouse/handoff/end";

/// A gateway with the usual routes on two hosts.
pub async fn gateway() -> Gateway {
    Gateway::start().with_hosts(&[APP, WIKI]).await
}

/// One browser on three hosts.
pub struct Visitor {
    pub auth: Person,
    pub app: Person,
    pub wiki: Person,
}

/// Where a browser ended up.
pub struct Arrival {
    pub host: String,
    pub reply: Reply,
    /// Every address on the way, the last included.
    pub way: Vec<String>,
}

impl Visitor {
    pub fn new(gateway: &Gateway) -> Self {
        Self::of(gateway, gateway.person())
    }

    pub fn of(gateway: &Gateway, auth: Person) -> Self {
        Self {
            auth,
            app: Person::at(gateway, APP),
            wiki: Person::at(gateway, WIKI),
        }
    }

    /// Signed in on the auth host, with a passkey saved there.
    pub async fn enrolled(gateway: &Gateway) -> Self {
        Self::of(gateway, gateway.enrolled(ANN).await)
    }

    pub fn on(&self, host: &str) -> &Person {
        match host {
            AUTH_HOST => &self.auth,
            APP => &self.app,
            WIKI => &self.wiki,
            other => panic!("a browser was sent to {other}"),
        }
    }

    /// Types an address and follows wherever it leads, as browsers do.
    pub async fn open(&self, host: &str, path: &str) -> Arrival {
        self.follow(&format!("{}{path}", self.on(host).origin))
            .await
    }

    pub async fn follow(&self, address: &str) -> Arrival {
        let mut way = vec![address.to_owned()];
        loop {
            let url = url::Url::parse(way.last().unwrap()).unwrap();
            let host = url.host_str().unwrap().to_owned();
            let reply = self.on(&host).open(&url[url::Position::BeforePath..]).await;
            if !reply.status.is_redirection() {
                return Arrival { host, reply, way };
            }
            assert_eq!(reply.header("cache-control"), "no-store", "{way:?}");
            way.push(url.join(reply.header("location")).unwrap().to_string());
            assert!(way.len() < 12, "a loop: {way:#?}");
        }
    }

    /// The address at which a code arrives on the app's host; the browser has not gone there yet.
    pub async fn code(&self) -> String {
        let started = self.app.open(&sign_in_page("/report")).await;
        let handoff = started.header("location");
        let handed = self
            .auth
            .open(handoff.strip_prefix(&self.auth.origin).unwrap())
            .await;
        let end = handed.header("location");
        assert!(
            end.starts_with(&format!("{}{END}?", self.app.origin)),
            "{end}"
        );
        end.strip_prefix(&self.app.origin).unwrap().to_owned()
    }
}

/// Where a page of the auth host will lead on to.
pub fn return_to_of(address: &str) -> String {
    let url = url::Url::parse(address).unwrap();
    let (_, return_to) = url
        .query_pairs()
        .find(|(name, _)| name == "return_to")
        .unwrap();
    return_to.into_owned()
}

/// The same person's auth host, with an empty browser elsewhere.
pub fn ann_again(gateway: &Gateway, ann: &Visitor) -> Visitor {
    let auth = gateway.person();
    auth.keep_cookie(SESSION, &ann.auth.session_cookie().unwrap());
    Visitor::of(gateway, auth)
}
