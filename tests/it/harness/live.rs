//! Exchanges that stay open: WebSockets, event streams, uploads; and how long after something they were cut.

use std::time::{Duration, Instant};

use reqwest::Method;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Gateway, Person, waiting::SOON};

/// An exchange that is open.
pub enum Open {
    /// A WebSocket, or an HTTP/1.1 exchange of which the first answer has come.
    Connection(TcpStream),
    /// The body of an answer on its way.
    Answer(Box<reqwest::Response>),
}

impl Open {
    /// Opens a WebSocket. The app answers the target with [`Answer::Echo`].
    pub async fn websocket(gateway: &Gateway, target: &str, cookies: &str) -> Self {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\nCookie: {cookies}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            host(gateway)
        );
        for _ in 0..TRIES {
            let mut open = Self::after(gateway, &request, "101 ").await;
            if open.echoes("hello").await {
                return open;
            }
        }
        panic!("{target} opens and closes again, {TRIES} times");
    }

    /// Opens an event stream over HTTP/1.1 on a connection of its own. The app answers the target with
    /// [`Answer::Endless`].
    pub async fn events(gateway: &Gateway, target: &str, cookies: &str) -> Self {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\nCookie: {cookies}\r\n\r\n",
            host(gateway)
        );
        Self::after(gateway, &request, "200 ").await
    }

    /// Begins an upload that is far from its end. The app has it as soon as it looks.
    pub async fn upload(gateway: &Gateway, target: &str, cookies: &str) -> Self {
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\nCookie: {cookies}\r\nContent-Length: 100000000\r\n\r\nbegin",
            host(gateway)
        );
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        Self::Connection(stream)
    }

    /// Opens an event stream as this person's browser does.
    pub async fn events_of(person: &Person, target: &str) -> Self {
        let request = person.request(Method::GET, target).timeout(ENDLESS);
        let mut answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert!(answer.chunk().await.unwrap().is_some(), "the first event");
        Self::Answer(Box::new(answer))
    }

    async fn after(gateway: &Gateway, request: &str, status: &str) -> Self {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("an answer"));
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        Self::Connection(stream)
    }

    /// Sends something through a socket and hears it come back.
    pub async fn says(&mut self, text: &str) {
        assert!(self.echoes(text).await, "closed instead of: {text}");
    }

    async fn echoes(&mut self, text: &str) -> bool {
        let Self::Connection(stream) = self else {
            panic!("an answer cannot be spoken to");
        };
        let mut heard = vec![0; text.len()];
        stream.write_all(text.as_bytes()).await.is_ok()
            && stream.read_exact(&mut heard).await.is_ok()
            && heard == text.as_bytes()
    }

    /// Waits until it is cut, for as long as `SOON`; gives the moment.
    pub async fn cut(mut self, what: &str) -> Instant {
        let cut = async {
            match &mut self {
                Self::Connection(stream) => {
                    let mut buffer = [0; 256];
                    while let Ok(1..) = stream.read(&mut buffer).await {}
                }
                Self::Answer(answer) => while let Ok(Some(_)) = answer.chunk().await {},
            }
            Instant::now()
        };
        tokio::time::timeout(SOON, cut)
            .await
            .unwrap_or_else(|_| panic!("{what}: it stays open"))
    }
}

fn host(gateway: &Gateway) -> &str {
    gateway
        .origin
        .split_once("//")
        .expect("an origin has a scheme")
        .1
}

/// What happened to each of many, from a moment on.
pub struct Lags(Vec<Duration>);

impl Lags {
    /// From the moments at which something happened to each.
    pub fn since(start: Instant, moments: impl IntoIterator<Item = Instant>) -> Self {
        let mut lags: Vec<_> = moments
            .into_iter()
            .map(|moment| moment.saturating_duration_since(start))
            .collect();
        lags.sort();
        Self(lags)
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        *self.0.last().expect("there are some")
    }

    fn part(&self, of_hundred: usize) -> Duration {
        self.0[(self.0.len() - 1) * of_hundred / 100]
    }
}

impl std::fmt::Display for Lags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:>5} cut; after ms: min {}, median {}, p90 {}, p99 {}, max {}",
            self.0.len(),
            self.part(0).as_millis(),
            self.part(50).as_millis(),
            self.part(90).as_millis(),
            self.part(99).as_millis(),
            self.max().as_millis()
        )
    }
}

async fn store_of(gateway: &Gateway) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(gateway.folder().join("gatehouse.db"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// When the store last saw any session of an account in use.
pub async fn last_seen(gateway: &Gateway, email: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT MAX(last_seen_at) FROM session JOIN account ON account.id = account WHERE email = ?1",
    )
    .bind(email)
    .fetch_one(&mut store_of(gateway).await)
    .await
    .unwrap()
}

/// Puts a restricted session in the place of an account's full one, as no method does today.
pub async fn restrict(gateway: &Gateway, email: &str) {
    let mut store = store_of(gateway).await;
    let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info('session')")
        .fetch_all(&mut store)
        .await
        .unwrap();
    let copied: Vec<&str> = columns
        .iter()
        .map(|column| match column.as_str() {
            "id" => "?1",
            "restricted" => "1",
            other => other,
        })
        .collect();
    let of_account = "ended_at IS NULL AND account = (SELECT id FROM account WHERE email = ?2)";
    let insert = format!(
        "INSERT INTO session ({}) SELECT {} FROM session WHERE {of_account}",
        columns.join(", "),
        copied.join(", ")
    );
    let replace = format!(
        "UPDATE session SET ended_at = created_at, replaced_by = ?1 WHERE id <> ?1 AND {of_account}"
    );
    let mut change = store.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let id: &[u8] = b"a restricted one";
    for statement in [insert, replace] {
        let done = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(id)
            .bind(email)
            .execute(&mut *change)
            .await
            .unwrap();
        assert_eq!(done.rows_affected(), 1);
    }
    change.commit().await.unwrap();
}

/// Gives an account other groups, as another node's administrator would.
pub async fn change_groups(gateway: &Gateway, email: &str, groups: &str) {
    let mut store = store_of(gateway).await;
    let mut change = store.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let now = gateway.clock.now().seconds();
    sqlx::query("UPDATE account SET group_names = ?2 WHERE email = ?1")
        .bind(email)
        .bind(groups)
        .execute(&mut *change)
        .await
        .unwrap();
    let told = sqlx::query(
        "INSERT INTO change (at, kind, subject) SELECT ?2, 'account_changed', id FROM account WHERE email = ?1",
    )
    .bind(email)
    .bind(now)
    .execute(&mut *change)
    .await
    .unwrap();
    assert_eq!(told.rows_affected(), 1);
    change.commit().await.unwrap();
}

/// On a busy machine even a slow app's 101 may overtake the end of the request; see [`Answer::Echo`]. Pages
/// ask again, too.
const TRIES: usize = 5;

/// Streams outlive what a client is usually given.
const ENDLESS: Duration = Duration::from_secs(600);
