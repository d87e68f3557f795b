//! One write transaction, from `BEGIN IMMEDIATE` to its end, and one read.
//!
//! A [`Step`] that is dropped before it is committed (an error, a future that nobody polls any more) closes
//! its connection, and closing rolls back. sqlx's own transaction is not used: SQLite ends a transaction by
//! itself when the disk is full (<https://www.sqlite.org/lang_transaction.html>, "automatic rollback"),
//! sqlx goes on counting it as open and would refuse every later one on that connection.

use std::{sync::Arc, time::Instant};

use sqlx::{
    Sqlite, SqlitePool,
    pool::PoolConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{row::Record, trouble::Trouble};
use crate::{
    store::{Result, StoreError},
    telemetry::{
        audit::AuditRecord,
        metrics::{Metrics, StoreAccess, Tally},
    },
};

/// A statement with its values.
pub(super) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// A write transaction under way.
pub(super) struct Step {
    connection: PoolConnection<Sqlite>,
    action: &'static str,
    open: bool,
    began: Instant,
    metrics: Arc<Metrics>,
    /// What its audit records count as, once they are committed.
    tallies: Vec<Tally>,
}

impl Step {
    /// Waits for the one writer and for other processes, no longer than the store's timeouts.
    pub async fn begin(
        writer: &SqlitePool,
        metrics: &Arc<Metrics>,
        action: &'static str,
    ) -> Result<Self> {
        let began = Instant::now();
        let connection = writer.acquire().await;
        let mut step = Self {
            connection: connection
                .map_err(|error| failed(metrics, StoreAccess::Write, action, error))?,
            action,
            open: true,
            began,
            metrics: Arc::clone(metrics),
            tallies: Vec::new(),
        };
        // IMMEDIATE: a transaction that reads first and asks to write later can fail halfway, when
        // another process has written in between.
        step.execute(sqlx::query("BEGIN IMMEDIATE")).await?;
        Ok(step)
    }

    /// Runs a statement; gives the number of rows it changed.
    pub async fn execute(&mut self, statement: Statement<'_>) -> Result<u64> {
        let done = statement.execute(&mut *self.connection).await;
        Ok(done.map_err(|error| self.failed(error))?.rows_affected())
    }

    /// Runs a statement that must change one row; `false` when there was none to change.
    pub async fn changes_one(&mut self, statement: Statement<'_>) -> Result<bool> {
        Ok(self.execute(statement).await? == 1)
    }

    /// The record that a statement gives, if any.
    pub async fn optional<T: Record>(&mut self, statement: Statement<'_>) -> Result<Option<T>> {
        let row = statement.fetch_optional(&mut *self.connection).await;
        row.map_err(|error| self.failed(error))?
            .as_ref()
            .map(record)
            .transpose()
    }

    /// All records that a statement gives.
    pub async fn all<T: Record>(&mut self, statement: Statement<'_>) -> Result<Vec<T>> {
        let rows = statement.fetch_all(&mut *self.connection).await;
        rows.map_err(|error| self.failed(error))?
            .iter()
            .map(record)
            .collect()
    }

    /// Whether a statement gives a row.
    pub async fn finds(&mut self, statement: Statement<'_>) -> Result<bool> {
        let row = statement.fetch_optional(&mut *self.connection).await;
        Ok(row.map_err(|error| self.failed(error))?.is_some())
    }

    /// Writes the audit record of what was done, and commits both.
    pub async fn commit_with(mut self, audit: &AuditRecord) -> Result<()> {
        self.audit(audit).await?;
        self.commit().await
    }

    /// Commits a step that has no audit record.
    pub async fn commit(mut self) -> Result<()> {
        self.execute(sqlx::query("COMMIT")).await?;
        self.open = false;
        for tally in &self.tallies {
            self.metrics.note(*tally);
        }
        Ok(())
    }

    /// Undoes a step that came to a refusal. If that fails, closing the connection undoes it.
    pub async fn abandon(mut self) {
        self.open = self.execute(sqlx::query("ROLLBACK")).await.is_err();
    }

    /// Runs the statements of a migration.
    pub async fn execute_script(&mut self, script: &'static str) -> Result<()> {
        let done = sqlx::raw_sql(script).execute(&mut *self.connection).await;
        done.map_err(|error| self.failed(error)).map(drop)
    }

    /// Writes an audit record.
    pub async fn audit(&mut self, audit: &AuditRecord) -> Result<()> {
        let statement = sqlx::query(
            "INSERT INTO audit (at, account, network, request, actor, event)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(audit.at)
        .bind(audit.account)
        .bind(audit.network)
        .bind(audit.request)
        .bind(&audit.actor)
        .bind(&audit.event);
        self.execute(statement).await?;
        self.tallies.extend(Tally::of(&audit.event));
        Ok(())
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        failed(&self.metrics, StoreAccess::Write, self.action, error)
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        let durations = &self.metrics.store_durations;
        durations.observe(StoreAccess::Write, took);
        if self.open {
            self.connection.close_on_drop();
        }
    }
}

/// One statement that only reads: its own consistent view, beside any writer.
pub(super) struct Read<'a> {
    readers: &'a SqlitePool,
    metrics: &'a Metrics,
    action: &'static str,
}

impl<'a> Read<'a> {
    /// `action` says what fails if it fails.
    pub const fn new(readers: &'a SqlitePool, metrics: &'a Metrics, action: &'static str) -> Self {
        Self {
            readers,
            metrics,
            action,
        }
    }

    /// The record that a statement gives, if any.
    pub async fn optional<T: Record>(self, statement: Statement<'_>) -> Result<Option<T>> {
        let began = Instant::now();
        let row = statement.fetch_optional(self.readers).await;
        self.done(began, row)?.as_ref().map(record).transpose()
    }

    /// All records that a statement gives.
    pub async fn all<T: Record>(self, statement: Statement<'_>) -> Result<Vec<T>> {
        let began = Instant::now();
        let rows = statement.fetch_all(self.readers).await;
        self.done(began, rows)?.iter().map(record).collect()
    }

    fn done<T>(&self, began: Instant, result: sqlx::Result<T>) -> Result<T> {
        let took = began.elapsed();
        self.metrics
            .store_durations
            .observe(StoreAccess::Read, took);
        result.map_err(|error| failed(self.metrics, StoreAccess::Read, self.action, error))
    }
}

fn failed(
    metrics: &Metrics,
    access: StoreAccess,
    action: &'static str,
    error: sqlx::Error,
) -> StoreError {
    metrics.store_errors.count(access);
    unavailable(action)(error)
}

pub(super) fn unavailable(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| StoreError::Unavailable {
        action,
        source: Box::new(Trouble::new(&error)),
    }
}

fn record<T: Record>(row: &SqliteRow) -> Result<T> {
    T::read(row).map_err(|_| StoreError::Corrupt { what: T::WHAT })
}
