//! The schema, brought up to date when the store is opened: each version is a script, the file remembers
//! its version in `PRAGMA user_version`, and all that is missing happens in one transaction.

use sqlx::{AssertSqlSafe, Row, sqlite::SqliteRow};

use super::{row::Record, step::Step};
use crate::store::{Result, StoreError};

/// Brings the schema up to date.
///
/// # Errors
///
/// [`StoreError::Newer`] for a file that a later Gatehouse has written: reading it with old eyes could
/// honour what the newer one has revoked.
pub(super) async fn migrate(mut step: Step) -> Result<()> {
    let known = VERSIONS.len();
    let SchemaVersion(found) = step
        .optional(sqlx::query("PRAGMA user_version"))
        .await?
        .unwrap_or_default();
    if found > known {
        step.abandon().await;
        return Err(StoreError::Newer { found, known });
    }
    for script in &VERSIONS[found..] {
        step.execute_script(script).await?;
    }
    // A pragma takes no bound values.
    let remember = AssertSqlSafe(format!("PRAGMA user_version = {known}"));
    step.execute(sqlx::query(remember)).await?;
    step.commit().await
}

/// One script per version. A released script never changes; the next one is added behind it.
const VERSIONS: &[&str] = &[
    include_str!("../migrations/sqlite_0001_initial.sql"),
    include_str!("../migrations/sqlite_0002_recovery.sql"),
    include_str!("../migrations/sqlite_0003_hosts.sql"),
    include_str!("../migrations/sqlite_0004_key_kinds.sql"),
    include_str!("../migrations/sqlite_0005_replaced.sql"),
    include_str!("../migrations/sqlite_0006_held.sql"),
    include_str!("../migrations/sqlite_0007_observed.sql"),
];

#[derive(Default)]
struct SchemaVersion(usize);

impl Record for SchemaVersion {
    const WHAT: &'static str = "schema version";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        let version: i64 = row.try_get("user_version")?;
        let version =
            usize::try_from(version).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Self(version))
    }
}
