//! What SQLite says when it cannot, and what an operator can do about it.

use std::io::ErrorKind;

/// The reason and the remedy, in one line. SQLite's own messages name tables and columns, never values.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub(super) struct Trouble {
    reason: String,
    remedy: &'static str,
}

impl Trouble {
    pub(super) fn new(error: &sqlx::Error) -> Self {
        Self {
            reason: error.to_string(),
            remedy: remedy(error),
        }
    }
}

fn remedy(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<u32>().ok());
            of_code(code.unwrap_or_default())
        }
        sqlx::Error::Io(error) => match error.kind() {
            ErrorKind::PermissionDenied => NO_LEAVE,
            ErrorKind::NotFound => "make the folder that store.url names",
            ErrorKind::IsADirectory => "store.url has to name a file, not a folder",
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FULL,
            _ => DISK,
        },
        sqlx::Error::PoolTimedOut => {
            "it is slower than requests come: look at the disk and at what else writes there"
        }
        _ => DISK,
    }
}

/// By the primary result code, the low byte (<https://www.sqlite.org/rescode.html>).
const fn of_code(code: u32) -> &'static str {
    match code & 0xff {
        BUSY | LOCKED => "another program holds its lock: wait for it or end it, then try again",
        READONLY | CANTOPEN | PERM => NO_LEAVE,
        FULL_DISK => FULL,
        CORRUPT | NOTADB => {
            "the file is damaged, or no store: restore a backup, or have store.url name another file"
        }
        _ => DISK,
    }
}

const PERM: u32 = 3;
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const READONLY: u32 = 8;
const CORRUPT: u32 = 11;
const FULL_DISK: u32 = 13;
const CANTOPEN: u32 = 14;
const NOTADB: u32 = 26;

const NO_LEAVE: &str =
    "the gateway's user has to be able to write the file that store.url names, and its folder";
const FULL: &str = "the disk is full: make room";
const DISK: &str = "look at the disk and at the system's log";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_has_its_remedy() {
        for (code, part) in [
            (5, "holds its lock"),
            (261, "holds its lock"),
            (6, "holds its lock"),
            (8, "able to write"),
            (14, "able to write"),
            (13, "make room"),
            (11, "restore a backup"),
            (26, "restore a backup"),
            (10, "look at the disk"),
        ] {
            assert!(of_code(code).contains(part), "{code}");
        }
        let missing = sqlx::Error::Io(ErrorKind::NotFound.into());
        assert!(
            Trouble::new(&missing)
                .to_string()
                .ends_with("make the folder that store.url names")
        );
    }
}
