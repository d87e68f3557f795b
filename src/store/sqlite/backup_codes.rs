//! Backup codes: making a set, counting it, trying one. They are spent by starting a session.
//!
//! What is compared here are digests under a key that the store does not hold, so how long a look-up takes
//! tells nothing of a code.

use sqlx::{Row, sqlite::SqliteRow};

use super::{
    accounts, notices,
    row::Record,
    step::{Read, Statement, Step},
};
use crate::{
    clock::Timestamp,
    id::AccountId,
    secret::Digest,
    store::{Account, BackupCodeTry, BackupCodes, Notice, Result},
    telemetry::audit::AuditRecord,
};

pub(super) async fn replace(
    mut step: Step,
    account: AccountId,
    older: Option<Timestamp>,
    codes: &[Digest],
    audit: &AuditRecord,
    notice: Option<&Notice>,
) -> Result<bool> {
    let current: Option<BackupCodes> = step.optional(count(account)).await?;
    let known = accounts::find(&mut step, account).await?.is_some();
    if !known || current.map(|codes| codes.made_at) != older {
        step.abandon().await;
        return Ok(false);
    }
    let delete = sqlx::query("DELETE FROM backup_code WHERE account = ?1");
    step.execute(delete.bind(account)).await?;
    for code in codes {
        let insert = sqlx::query(
            "INSERT INTO backup_code (account, digest, created_at) VALUES (?1, ?2, ?3)",
        );
        step.execute(insert.bind(account).bind(code).bind(audit.at))
            .await?;
    }
    let open = sqlx::query("UPDATE account SET backup_code_failures = 0 WHERE id = ?1");
    step.execute(open.bind(account)).await?;
    if let Some(notice) = notice {
        notices::add(&mut step, notice).await?;
    }
    step.commit_with(audit).await?;
    Ok(true)
}

pub(super) async fn of_account(read: Read<'_>, account: AccountId) -> Result<Option<BackupCodes>> {
    read.optional(count(account)).await
}

pub(super) async fn try_code(
    mut step: Step,
    account: AccountId,
    code: &Digest,
    closing: &AuditRecord,
    notice: Option<&Notice>,
) -> Result<BackupCodeTry> {
    let tally = sqlx::query(
        "SELECT failures, unused,
                EXISTS (SELECT 1 FROM backup_code WHERE account = ?1 AND digest = ?2 AND spent_at IS NULL) AS known
         FROM (SELECT backup_code_failures AS failures,
                      (SELECT COUNT(*) FROM backup_code WHERE account = ?1 AND spent_at IS NULL) AS unused
               FROM account WHERE id = ?1)
         WHERE failures < ?3 AND unused > 0",
    )
    .bind(account)
    .bind(code)
    .bind(Account::MAX_FAILURES);
    let Some(tally) = step.optional::<Tally>(tally).await? else {
        step.abandon().await;
        return Ok(BackupCodeTry::Over);
    };
    if tally.known {
        step.abandon().await;
        let left = tally.unused.saturating_sub(1);
        return Ok(BackupCodeTry::Right { left });
    }
    let count = sqlx::query(
        "UPDATE account SET backup_code_failures = backup_code_failures + 1 WHERE id = ?1",
    );
    step.execute(count.bind(account)).await?;
    let left = Account::MAX_FAILURES.saturating_sub(tally.failures + 1);
    if left == 0 {
        if let Some(notice) = notice {
            notices::add(&mut step, notice).await?;
        }
        step.commit_with(closing).await?;
    } else {
        step.commit().await?;
    }
    Ok(BackupCodeTry::Wrong { left })
}

fn count(account: AccountId) -> Statement<'static> {
    sqlx::query(
        "SELECT MAX(code.created_at) AS made_at, COUNT(*) AS total, COUNT(*) - COUNT(code.spent_at) AS unused,
                MAX(owner.backup_code_failures) AS failures
         FROM backup_code AS code JOIN account AS owner ON owner.id = code.account
         WHERE owner.id = ?1 GROUP BY owner.id",
    )
    .bind(account)
}

/// How an account stands when a code is tried.
struct Tally {
    failures: u32,
    unused: u32,
    known: bool,
}

impl Record for Tally {
    const WHAT: &'static str = "tally of backup codes";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            failures: row.try_get("failures")?,
            unused: row.try_get("unused")?,
            known: row.try_get("known")?,
        })
    }
}

impl Record for BackupCodes {
    const WHAT: &'static str = "count of backup codes";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        let failures: u32 = row.try_get("failures")?;
        Ok(Self {
            made_at: row.try_get("made_at")?,
            left: row.try_get("unused")?,
            total: row.try_get("total")?,
            closed: failures >= Account::MAX_FAILURES,
        })
    }
}
