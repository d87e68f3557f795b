//! The store is locked by somebody else: new sign-ins wait for better times and say so, existing sessions
//! go on until their token ends, and nothing is half-written.

use gatehouse::store::{AccountKey, Store, sqlite::SqliteStore};
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::harness::Gateway;

const ANN: &str = "ann@example.com";

/// Holds SQLite's one write lock.
async fn lock(gateway: &Gateway) -> SqliteConnection {
    let file = gateway.folder().join("gatehouse.db");
    let mut connection = SqliteConnectOptions::new()
        .filename(file)
        .connect()
        .await
        .unwrap();
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_store_lets_nobody_new_in_and_says_so() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    let lock = lock(&gateway).await;

    let ceremony = ann.begin_sign_in("/").await;
    let credential = ann.phone.get(&ceremony.public_key, &ann.origin).unwrap();
    let refused = ann.finish_sign_in(&ceremony, credential.clone(), "/").await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.json()["error"], "unavailable");
    assert!(ann.session_cookie().is_none());
    assert_eq!(ann.ask_for_mail(ANN, "/").await.status, 503);
    assert_eq!(
        ann.ask_for_mail("nobody@example.com", "/").await.status,
        503,
        "known or not"
    );
    for name in [ANN, "nobody@example.com"] {
        let refused = ann.enter_backup_code(name, "0000-0000-0000-0000").await;
        assert_eq!(refused.status, 503, "{name}");
    }

    drop(lock);
    let done = ann.finish_sign_in(&ceremony, credential, "/").await;
    assert_eq!(
        done.status,
        200,
        "the exchange was not spent: {}",
        done.text()
    );
    assert_eq!(ann.open("/page").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_store_keeps_existing_sessions_until_their_token_ends() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    assert_eq!(ann.open("/page").await.status, 200);
    let lock = lock(&gateway).await;

    gateway.after(4);
    assert_eq!(
        ann.open("/page").await.status,
        200,
        "due for renewal, which fails"
    );
    gateway.after(2);
    assert!(
        ann.open("/page").await.leads_to("/.gatehouse/sign-in"),
        "the token is over"
    );

    drop(lock);
    assert_eq!(
        ann.open("/page").await.status,
        200,
        "the session itself was not"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_that_could_not_be_saved_leaves_nothing_behind() {
    let gateway = Gateway::start().await;
    let invitation = gateway.invite(ANN, &[]);
    let mut ann = gateway.person();
    let ceremony = ann.begin_enrolment(Some(&invitation)).await;
    let credential = ann.phone.create(&ceremony.public_key, &ann.origin).unwrap();
    let lock = lock(&gateway).await;
    let refused = ann
        .finish_enrolment(&ceremony, Some(&invitation), credential.clone(), "/")
        .await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    drop(lock);

    let store = SqliteStore::open(&gateway.folder().join("gatehouse.db"))
        .await
        .unwrap();
    let key = AccountKey::Login(ANN.to_owned());
    let account = store.account(&key).await.unwrap().unwrap();
    assert_eq!(store.credentials(account.id).await.unwrap(), []);
    let done = ann
        .finish_enrolment(&ceremony, Some(&invitation), credential, "/")
        .await;
    assert_eq!(
        done.status,
        200,
        "the invitation was not spent: {}",
        done.text()
    );
}
