//! Requests that wait until their sender has signed in: kept within a room, taken once, forgotten.

use sqlx::{Row, sqlite::SqliteRow};

use super::{
    row::Record,
    step::{Read, Step},
};
use crate::{
    clock::Timestamp,
    id::HeldId,
    secret::Digest,
    store::{HeldLook, HeldRequest, HeldState, HoldRoom, Kept, Result, Take},
};

/// What is over makes room first. Two that ask for the last room at once do so one after another.
pub(super) async fn keep(mut step: Step, held: &HeldRequest, room: HoldRoom) -> Result<Kept> {
    let now = held.held_at;
    drop_over(&mut step, now).await?;
    let insert = sqlx::query(
        "INSERT INTO held_request
             (id, browser, account, network, size, held_at, expires_at, state, summary, body)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, 'waiting', ?8, ?9
         WHERE ?5 + (SELECT COALESCE(SUM(size), 0) FROM held_request WHERE size > 0) <= ?10
           AND ?5 + (SELECT COALESCE(SUM(size), 0) FROM held_request
                     WHERE size > 0 AND network = ?4) <= ?11",
    )
    .bind(held.id)
    .bind(held.browser)
    .bind(held.account)
    .bind(held.network)
    .bind(count(held.size()))
    .bind(now)
    .bind(held.expires_at)
    .bind(held.summary.as_slice())
    .bind(held.body.as_slice())
    .bind(count(room.total))
    .bind(count(room.per_network));
    let kept = step.changes_one(insert).await?;
    step.commit().await?;
    Ok(if kept { Kept::Kept } else { Kept::NoRoom })
}

pub(super) async fn forget(mut step: Step, now: Timestamp) -> Result<()> {
    drop_over(&mut step, now).await?;
    step.commit().await
}

/// The content of what is over goes at once, the memory of it later.
async fn drop_over(step: &mut Step, now: Timestamp) -> Result<()> {
    let empty = "UPDATE held_request SET size = 0, summary = x'', body = x''
                 WHERE expires_at <= ?1 AND size > 0";
    step.execute(sqlx::query(empty).bind(now)).await?;
    let forget = sqlx::query("DELETE FROM held_request WHERE expires_at < ?1")
        .bind(now.minus(HeldRequest::REMEMBERED_FOR));
    step.execute(forget).await.map(drop)
}

pub(super) async fn look_up(
    read: Read<'_>,
    id: HeldId,
    browser: &Digest,
    now: Timestamp,
) -> Result<Option<HeldLook>> {
    let statement = sqlx::query(
        "SELECT state, account, held_at, expires_at,
                CASE WHEN state = 'waiting' AND expires_at > ?3 THEN summary ELSE x'' END AS summary
         FROM held_request WHERE id = ?1 AND browser = ?2",
    )
    .bind(id)
    .bind(*browser)
    .bind(now);
    let found: Option<HeldLook> = read.optional(statement).await?;
    Ok(found.map(|found| HeldLook {
        state: at(&found, now),
        ..found
    }))
}

/// The body stays until it is known whether it was sent.
pub(super) async fn take(
    mut step: Step,
    id: HeldId,
    browser: &Digest,
    now: Timestamp,
) -> Result<Take> {
    let take = sqlx::query(
        "UPDATE held_request SET state = 'taken'
         WHERE id = ?1 AND browser = ?2 AND state = 'waiting' AND expires_at > ?3 AND size > 0
         RETURNING body",
    )
    .bind(id)
    .bind(*browser)
    .bind(now);
    if let Some(Body(body)) = step.optional(take).await? {
        step.commit().await?;
        return Ok(Take::Taken(body));
    }
    let found: Option<HeldLook> = step
        .optional(
            sqlx::query(
                "SELECT state, account, held_at, expires_at, summary
                 FROM held_request WHERE id = ?1 AND browser = ?2",
            )
            .bind(id)
            .bind(*browser),
        )
        .await?;
    step.abandon().await;
    Ok(found.map_or(Take::Unknown, |found| Take::Over(at(&found, now))))
}

pub(super) async fn give_back(mut step: Step, id: HeldId, now: Timestamp) -> Result<bool> {
    let give_back = sqlx::query(
        "UPDATE held_request SET state = 'waiting'
         WHERE id = ?1 AND state = 'taken' AND size > 0 AND expires_at > ?2",
    )
    .bind(id)
    .bind(now);
    let given = step.changes_one(give_back).await?;
    step.commit().await?;
    Ok(given)
}

pub(super) async fn empty(mut step: Step, id: HeldId) -> Result<()> {
    let empty = "UPDATE held_request SET size = 0, summary = x'', body = x''
                 WHERE id = ?1 AND state = 'taken'";
    step.execute(sqlx::query(empty).bind(id)).await?;
    step.commit().await
}

pub(super) async fn discard(
    mut step: Step,
    id: HeldId,
    browser: &Digest,
    now: Timestamp,
) -> Result<bool> {
    let discard = sqlx::query(
        "UPDATE held_request SET state = 'discarded', size = 0, summary = x'', body = x''
         WHERE id = ?1 AND browser = ?2 AND state = 'waiting' AND expires_at > ?3",
    )
    .bind(id)
    .bind(*browser)
    .bind(now);
    let discarded = step.changes_one(discard).await?;
    step.commit().await?;
    Ok(discarded)
}

/// One that was taken or discarded stays so; one without content was over by the clock of another node.
fn at(found: &HeldLook, now: Timestamp) -> HeldState {
    match found.state {
        HeldState::Waiting if found.expires_at <= now || found.summary.is_empty() => {
            HeldState::Expired
        }
        state @ (HeldState::Waiting
        | HeldState::Taken
        | HeldState::Discarded
        | HeldState::Expired) => state,
    }
}

/// SQLite counts to `i64::MAX`.
fn count(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

struct Body(Vec<u8>);

impl Record for Body {
    const WHAT: &'static str = "held request";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        row.try_get("body").map(Self)
    }
}

impl Record for HeldLook {
    const WHAT: &'static str = "held request";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            state: row.try_get("state")?,
            account: row.try_get("account")?,
            held_at: row.try_get("held_at")?,
            expires_at: row.try_get("expires_at")?,
            summary: row.try_get("summary")?,
        })
    }
}
