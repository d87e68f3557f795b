//! Making the file and setting its journal mode, also while another process does the same.

use std::{io, path::Path, time::Duration};

use sqlx::SqlitePool;

/// Makes an empty file that only its owner may read, unless there is one; an existing file keeps its mode.
/// SQLite gives its `-wal` and `-shm` files the mode of the main one.
///
/// It is made under another name and closed before it appears: closing any handle on a file drops all POSIX
/// locks that the process holds on it, those of an open SQLite connection too
/// (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let unnamed = tempfile::NamedTempFile::new_in(folder)?.into_temp_path();
    match unnamed.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => Err(failed.error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Turns on the write-ahead log; the file remembers it.
///
/// Of two processes that do so with a new file at once, SQLite sends one away as busy without waiting, since
/// both hold the lock that the other one needs. That one tries again.
pub(super) async fn turn_on_wal(writer: &SqlitePool) -> sqlx::Result<()> {
    let mut tries = 0;
    loop {
        let done = sqlx::raw_sql("PRAGMA journal_mode = WAL")
            .execute(writer)
            .await;
        match done {
            Err(error) if is_busy(&error) && tries < MAX_TRIES => tries += 1,
            Ok(_) => return Ok(()),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

const MAX_TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// `SQLITE_BUSY` or one of its extended codes, which share the low byte.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}
