//! The conformance rules on SQLite, and what only SQLite can do: files, modes, locks, versions.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::SqliteStore;
use crate::{
    store::{
        Creation, EmailAttempt, Result, Store, StoreError,
        conformance::{self, At, NOW, Place, Snapshot, account, attempt, mail, record},
    },
    telemetry::{
        audit::{AuditEvent, AuditRecord, Origin},
        metrics::{Metrics, SecurityEvent, StoreAccess},
    },
};

struct Folder(TempDir);

impl Folder {
    fn file(&self) -> PathBuf {
        self.0.path().join("gatehouse.db")
    }

    async fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.file()).await.unwrap()
    }

    /// Another process at the same file.
    async fn neighbour(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.file());
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}

impl Place for Folder {
    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store().await)
    }
}

conformance::rules!(Folder);

#[tokio::test]
async fn reopening_finds_what_was_written() {
    let folder = Folder::empty();
    let store = folder.store().await;
    let ann = account("ann");
    store
        .create_account(&ann, None, &record(NOW))
        .await
        .unwrap();
    store.writer.close().await;
    store.readers.close().await;
    assert_eq!(folder.store().await.accounts().await.unwrap(), [ann]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_may_open_a_new_file_at_once() {
    let folder = Folder::empty();
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let file = folder.file();
            tokio::spawn(async move { SqliteStore::open(&file).await?.ping().await })
        })
        .collect();
    for opened in opening {
        opened.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let folder = Folder::empty();
    folder.store().await;
    let mut newer = folder.neighbour().await;
    sqlx::raw_sql("PRAGMA user_version = 99")
        .execute(&mut newer)
        .await
        .unwrap();
    let error = SqliteStore::open(&folder.file()).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { found: 99, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn sessions_of_an_older_schema_keep_their_sign_in() {
    let folder = Folder::empty();
    std::fs::write(folder.file(), "").unwrap();
    let mut older = folder.neighbour().await;
    for script in [
        include_str!("../migrations/sqlite_0001_initial.sql"),
        include_str!("../migrations/sqlite_0002_recovery.sql"),
        "PRAGMA user_version = 2;
         INSERT INTO account (id, user_handle, login, group_names, state, created_at)
         VALUES (zeroblob(16), zeroblob(16), 'ann', '[]', 'active', 1);
         INSERT INTO session (id, account, method, authenticated_at, restricted, created_at, last_seen_at,
                              expires_at, device, proofs, origin)
         VALUES (unhex('01010101010101010101010101010101'), zeroblob(16), 'passkey', 1, 0, 1, 1, 2000000,
                 'Firefox', 'passkey', unhex('02020202020202020202020202020202'))",
    ] {
        sqlx::raw_sql(script).execute(&mut older).await.unwrap();
    }
    older.close().await.unwrap();
    let sessions = folder.store().await.sessions(None, NOW).await.unwrap();
    let [session] = sessions.as_slice() else {
        panic!("{sessions:?}");
    };
    assert_eq!(session.family.to_string(), "02".repeat(16));
    assert_eq!(session.host, None);
}

#[tokio::test]
async fn what_is_no_sqlite_file_is_refused_and_left_alone() {
    let folder = Folder::empty();
    let text = "not a database, but long enough to have a header ".repeat(40);
    std::fs::write(folder.file(), &text).unwrap();
    let error = SqliteStore::open(&folder.file()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(folder.file()).unwrap(), text);
}

#[cfg(unix)]
#[tokio::test]
async fn its_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::empty();
    let store = folder.store().await;
    store.record(&record(NOW)).await.unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let file = folder.0.path().join(format!("gatehouse.db{suffix}"));
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
}

#[tokio::test]
async fn while_another_process_writes_a_write_fails_and_a_read_does_not() {
    let folder = Folder::empty();
    let store = SqliteStore::open_waiting(&folder.file(), Duration::from_millis(1))
        .await
        .unwrap();
    let mut other = folder.neighbour().await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let ann = account("ann");
    let refused = store.create_account(&ann, None, &record(NOW)).await;
    assert!(matches!(
        refused,
        Err(StoreError::Unavailable {
            action: "add an account",
            ..
        })
    ));
    assert_eq!(store.accounts().await.unwrap(), []);
    lock.rollback().await.unwrap();
    let created = store.create_account(&ann, None, &record(NOW)).await;
    assert_eq!(created.unwrap(), Creation::Created);
}

/// A request for a mail that does not fit on the disk any more.
async fn begin_large_attempt(store: &SqliteStore) -> Result<()> {
    let large = EmailAttempt {
        return_to: "x".repeat(1 << 20),
        ..attempt(None, "bob", NOW.later(900))
    };
    store
        .begin_email_attempt(&large, &mail(None, NOW), &record(NOW))
        .await
}

#[tokio::test]
async fn a_full_disk_fails_the_write_that_meets_it_and_no_later_one() {
    let folder = Folder::empty();
    let store = folder.store().await;
    let before = Snapshot::of(&store).await;
    let mut writer = store.writer.acquire().await.unwrap();
    // SQLite answers a full disk and a full quota of pages alike. The quota is the connection's, so it is
    // gone once the failed step has closed the connection.
    sqlx::raw_sql("PRAGMA max_page_count = 60")
        .execute(&mut *writer)
        .await
        .unwrap();
    drop(writer);
    let refused = begin_large_attempt(&store).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })));
    assert_eq!(Snapshot::of(&store).await, before);
    begin_large_attempt(&store).await.unwrap();
}

#[tokio::test]
async fn a_row_that_does_not_read_is_an_error_and_not_a_guess() {
    let folder = Folder::empty();
    let store = folder.store().await;
    let ann = account("ann");
    store
        .create_account(&ann, None, &record(NOW))
        .await
        .unwrap();
    let mut other = folder.neighbour().await;
    sqlx::raw_sql("UPDATE account SET group_names = 'admins'")
        .execute(&mut other)
        .await
        .unwrap();
    let unreadable = store.accounts().await.unwrap_err();
    assert!(matches!(
        unreadable,
        StoreError::Corrupt { what: "account" }
    ));
}

#[tokio::test]
async fn what_is_committed_is_counted_and_nothing_else() {
    let folder = Folder::empty();
    let metrics = Arc::<Metrics>::default();
    let store = SqliteStore::open_waiting(&folder.file(), Duration::from_millis(1))
        .await
        .unwrap()
        .counted_in(Arc::clone(&metrics));
    let created = AuditRecord {
        event: AuditEvent::AccountCreated {
            by: Origin::Invitation,
        },
        ..record(NOW)
    };
    let (ann, bob) = (account("ann"), account("bob"));
    for (account, done) in [(&ann, true), (&ann, false), (&bob, true)] {
        let creation = store.create_account(account, None, &created).await;
        assert_eq!(creation.unwrap() == Creation::Created, done);
    }
    assert_eq!(metrics.events.of(SecurityEvent::AccountCreated), 2);
    assert_eq!(metrics.store_errors.of(StoreAccess::Write), 0);

    let mut other = folder.neighbour().await;
    let _lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let refused = store.create_account(&account("eve"), None, &created).await;
    assert!(refused.is_err());
    assert_eq!(metrics.events.of(SecurityEvent::AccountCreated), 2);
    assert_eq!(metrics.store_errors.of(StoreAccess::Write), 1);
    assert_eq!(metrics.store_errors.of(StoreAccess::Read), 0);
}
