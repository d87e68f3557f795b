//! What apps are told in signed form, the keys by which they verify it, and the change of keys.

use std::{process::Command, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value as Json, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::harness::{Gateway, Person, waiting::within};

const ANN: &str = "ann@example.com";
const A_SECOND: Duration = Duration::from_secs(1);
const JWKS: &str = "/.gatehouse/jwks.json";

async fn told() -> (Gateway, Person) {
    let gateway = Gateway::start()
        .with("identity", "assertion = 'X-Gatehouse-Assertion'")
        .await;
    gateway.invite(ANN, &["--login", "ann", "--group", "staff"]);
    let ann = gateway.person_with_session(ANN, "full");
    (gateway, ann)
}

async fn assertion(gateway: &Gateway, person: &Person) -> String {
    assert_eq!(person.open("/report").await.status, 200);
    let request = gateway.upstream.last();
    request.header("X-Gatehouse-Assertion").to_owned()
}

fn part(token: &str, part: usize) -> Json {
    let part = token.split('.').nth(part).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

async fn jwks(gateway: &Gateway) -> Json {
    gateway.person().open(JWKS).await.json()
}

/// As an app does that has nothing of ours: by Node's own cryptography.
fn verifies(token: &str, jwks: &Json) -> bool {
    const SCRIPT: &str = "
        const { createPublicKey, verify } = require('node:crypto');
        const [token, jwks] = process.argv.slice(1);
        const [header, payload, signature] = token.split('.');
        const { kid, alg } = JSON.parse(Buffer.from(header, 'base64url'));
        const key = JSON.parse(jwks).keys.find(key => key.kid === kid && key.alg === alg && key.use === 'sig');
        const valid = key && alg === 'ES256' && verify('sha256', Buffer.from(header + '.' + payload),
            { key: createPublicKey({ key, format: 'jwk' }), dsaEncoding: 'ieee-p1363' },
            Buffer.from(signature, 'base64url'));
        console.log(valid === true);";
    let run = || {
        Command::new("node")
            .arg("-e")
            .arg(SCRIPT)
            .arg(token)
            .arg(jwks.to_string())
            .output()
    };
    let output = tokio::task::block_in_place(run).expect("node runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout.starts_with(b"true")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_can_verify_who_asks() {
    let (gateway, ann) = told().await;
    let token = assertion(&gateway, &ann).await;
    let keys = jwks(&gateway).await;
    assert!(verifies(&token, &keys));
    let other = Gateway::start().with("identity", "assertion = 'X-A'").await;
    assert!(!verifies(&token, &jwks(&other).await));
    let forged = token.replacen(
        token.split('.').nth(1).unwrap(),
        &URL_SAFE_NO_PAD.encode("{}"),
        1,
    );
    assert!(!verifies(&forged, &keys));

    let said = part(&token, 1);
    let (issued_at, expires_at) = (said["iat"].as_i64().unwrap(), said["exp"].as_i64().unwrap());
    assert_eq!(expires_at - issued_at, 300);
    for (claim, expected) in [
        ("iss", json!(gateway.origin)),
        ("aud", json!("localhost")),
        ("preferred_username", json!("ann")),
        ("email", json!(ANN)),
        ("groups", json!(["staff"])),
        ("acr", json!("basic")),
        ("restricted", json!(false)),
    ] {
        assert_eq!(said[claim], expected, "{claim}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_keys_is_for_anybody_and_may_be_kept_for_a_while() {
    let (gateway, _ann) = told().await;
    let reply = gateway.person().open(JWKS).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("cache-control"), "public, max-age=300");
    assert_eq!(reply.header("content-type"), "application/jwk-set+json");
    let keys = reply.json();
    let [key] = keys["keys"].as_array().unwrap().as_slice() else {
        panic!("{keys}");
    };
    assert_eq!((&key["kty"], &key["crv"]), (&json!("EC"), &json!("P-256")));
    assert!(key["d"].is_null(), "the private key is not there");
    let none = Gateway::start().await;
    assert_eq!(jwks(&none).await, json!({ "keys": [] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_twice_until_something_changes() {
    let (gateway, ann) = told().await;
    let first = assertion(&gateway, &ann).await;
    assert_eq!(assertion(&gateway, &ann).await, first);
    let elsewhere = gateway.person_with_session(ANN, "full");
    assert_ne!(
        assertion(&gateway, &elsewhere).await,
        first,
        "another session"
    );
    gateway.after(3);
    let second = assertion(&gateway, &ann).await;
    assert_ne!(second, first);
    assert!(verifies(&second, &jwks(&gateway).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_is_told_as_phishing_resistant() {
    let (gateway, _) = told().await;
    let mut ann = gateway.enrolled("bob@example.com").await;
    let first = part(&assertion(&gateway, &ann).await, 1);
    assert_eq!(
        (&first["acr"], &first["amr"]),
        (&json!("phr"), &json!(["pop", "user", "mfa"]))
    );
    gateway.after(1);
    ann.step_up("/").await;
    let second = part(&assertion(&gateway, &ann).await, 1);
    assert!(second["auth_time"].as_i64() > first["auth_time"].as_i64());
    let restricted = gateway.person_with_session(ANN, "restricted");
    restricted.open("/notes/1").await;
    let said = gateway.upstream.last_of("/notes/1");
    let said = part(said.header("X-Gatehouse-Assertion"), 1);
    assert_eq!(
        (&said["acr"], &said["restricted"]),
        (&json!("basic"), &json!(true))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_brings_no_assertion_of_their_own() {
    let (gateway, ann) = told().await;
    let token = assertion(&gateway, &ann).await;
    for spelling in [
        "X-Gatehouse-Assertion",
        "x_gatehouse_assertion",
        "X.Gatehouse.Assertion",
    ] {
        let forged = format!("{spelling}: {token}");
        crate::harness::raw::get(gateway.address, "/public/x", &[&forged]).await;
        let request = gateway.upstream.last();
        assert_eq!(request.names_folding_to("x-gatehouse-assertion"), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rotating_keys_fails_no_request_and_no_verification() {
    let (gateway, ann) = told().await;
    let first = assertion(&gateway, &ann).await;
    let before = jwks(&gateway).await;
    let rotated = gateway
        .command(&["key", "rotate", "--kind", "assertion", "--json"])
        .json();
    let kid = rotated["kid"].as_str().unwrap();
    let both = published(&gateway, kid).await;
    assert_eq!(both["keys"].as_array().unwrap().len(), 2);
    assert!(verifies(&first, &both));
    // An app that fetched the list just before may keep it: what it is sent meanwhile is signed by the old key.
    gateway.after(4);
    let meanwhile = assertion(&gateway, &ann).await;
    assert!(verifies(&meanwhile, &before) && verifies(&meanwhile, &both));
    gateway.after(3);
    let after = assertion(&gateway, &ann).await;
    assert_eq!(part(&after, 0)["kid"], kid);
    assert!(verifies(&after, &both) && !verifies(&after, &before));
    // What the old key signed last has expired by then.
    gateway.after(5);
    let keys = jwks(&gateway).await;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
    assert!(verifies(&assertion(&gateway, &ann).await, &keys));
}

#[tokio::test(flavor = "multi_thread")]
async fn rotating_session_keys_signs_nobody_out() {
    let (gateway, ann) = told().await;
    let old = kid_of(&ann);
    let rotated = gateway.command(&["key", "rotate", "--json"]).json();
    assert_eq!(rotated["kind"], "session");
    for _ in 0..20 {
        assert_eq!(ann.open("/report").await.status, 200);
    }
    assert_eq!(kid_of(&ann), old);
    // Keys of both kinds are learnt of together, and those of apps can be seen.
    let seen = gateway
        .command(&["key", "rotate", "--kind", "assertion", "--json"])
        .json();
    published(&gateway, seen["kid"].as_str().unwrap()).await;
    gateway.after(3);
    assert_eq!(ann.open("/report").await.status, 200);
    assert_eq!(kid_of(&ann), rotated["kid"].as_str().unwrap());
    // Long after, when every trace of the token but the cookie is gone.
    let left_alone = gateway.person_with_session(ANN, "full");
    gateway.command(&["key", "rotate"]);
    gateway.after(50);
    assert_eq!(left_alone.open("/report").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_with_what_they_are_used_for() {
    let (gateway, _ann) = told().await;
    let uses = |arguments: &[&str]| {
        let listed = gateway
            .command(&[&["key", "list", "--json"], arguments].concat())
            .json();
        let rows = listed.as_array().unwrap().clone();
        let mut uses: Vec<_> = rows
            .iter()
            .map(|row| {
                format!(
                    "{} {}",
                    row["kind"].as_str().unwrap(),
                    row["use"].as_str().unwrap()
                )
            })
            .collect();
        uses.sort();
        uses
    };
    assert_eq!(uses(&[]), ["assertion signing", "session signing"]);
    gateway.command(&["key", "rotate", "--kind", "assertion", "--admin", "root"]);
    assert_eq!(
        uses(&["--kind", "assertion"]),
        ["assertion settling", "assertion signing"]
    );
    assert_eq!(uses(&["--kind", "session"]), ["session signing"]);
    assert_eq!(
        gateway.command(&["key", "rotate", "--kind", "other"]).code,
        2
    );
    let listed = gateway.command(&["key", "list"]).stdout;
    assert!(listed.contains("settling"), "{listed}");
    let audited = rotations(&gateway).await;
    let by_root = |record: &(String, Option<String>)| {
        let (event, actor) = record;
        event.contains("assertion") && actor.as_ref().is_some_and(|actor| actor.contains("root"))
    };
    assert!(audited.iter().any(by_root), "{audited:?}");
}

/// The records of new keys: what, and by whom.
async fn rotations(gateway: &Gateway) -> Vec<(String, Option<String>)> {
    let options = SqliteConnectOptions::new().filename(gateway.folder().join("gatehouse.db"));
    let mut store = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query_as("SELECT event, actor FROM audit WHERE event LIKE '%key_rotated%'")
        .fetch_all(&mut store)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_outlive_a_restart() {
    let (mut gateway, ann) = told().await;
    let token = assertion(&gateway, &ann).await;
    gateway.restart().await;
    assert!(verifies(&token, &jwks(&gateway).await));
    assert_eq!(assertion(&gateway, &ann).await.len(), token.len());
}

/// The list once it holds this key: within a second, as for everything done beside the server.
async fn published(gateway: &Gateway, kid: &str) -> Json {
    within(A_SECOND, "the new key is published", || async {
        let keys = jwks(gateway).await;
        (keys["keys"][0]["kid"] == kid).then_some(keys)
    })
    .await
}

fn kid_of(person: &Person) -> String {
    let token = person.session_cookie().expect("a session");
    part(&token, 0)["kid"].as_str().unwrap().to_owned()
}
