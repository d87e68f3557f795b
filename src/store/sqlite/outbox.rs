//! Mails waiting to be sent.

use super::step::{Read, Step};
use crate::{
    clock::Timestamp,
    id::MailId,
    store::{OutboxMail, OutboxState, Result},
};

pub(super) async fn enqueue(mut step: Step, mail: &OutboxMail) -> Result<()> {
    add(&mut step, mail).await?;
    step.commit().await
}

/// Adds a mail within a step, unless its account is gone: deleting an account forgets its mails, also the
/// one that was being written at that moment.
pub(super) async fn add(step: &mut Step, mail: &OutboxMail) -> Result<()> {
    let insert = sqlx::query(
        "INSERT INTO outbox (id, account, sealed, due_at, expires_at, tries, queued_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?4
         WHERE ?2 IS NULL OR EXISTS (SELECT 1 FROM account WHERE id = ?2)",
    )
    .bind(mail.id)
    .bind(mail.account)
    .bind(mail.sealed.as_slice())
    .bind(mail.due_at)
    .bind(mail.expires_at)
    .bind(mail.tries);
    step.execute(insert).await.map(drop)
}

/// The lease is the moment at which the mail falls due again.
pub(super) async fn take_due(
    mut step: Step,
    now: Timestamp,
    lease_end: Timestamp,
) -> Result<Option<OutboxMail>> {
    let drop_expired = sqlx::query("DELETE FROM outbox WHERE expires_at <= ?1").bind(now);
    step.execute(drop_expired).await?;
    let take = sqlx::query(
        "UPDATE outbox SET due_at = ?2
         WHERE id = (SELECT id FROM outbox WHERE due_at <= ?1 ORDER BY due_at, rowid LIMIT 1)
         RETURNING *",
    );
    let taken = step.optional(take.bind(now).bind(lease_end)).await?;
    step.commit().await?;
    Ok(taken)
}

pub(super) async fn finish(mut step: Step, id: MailId) -> Result<()> {
    let delete = sqlx::query("DELETE FROM outbox WHERE id = ?1").bind(id);
    step.execute(delete).await?;
    step.commit().await
}

pub(super) async fn postpone(mut step: Step, id: MailId, due_at: Timestamp) -> Result<()> {
    let update = sqlx::query("UPDATE outbox SET due_at = ?2, tries = tries + 1 WHERE id = ?1");
    step.execute(update.bind(id).bind(due_at)).await?;
    step.commit().await
}

pub(super) async fn state(read: Read<'_>) -> Result<OutboxState> {
    let statement = sqlx::query(
        "SELECT count(*) AS waiting, min(due_at) AS next_due_at, min(queued_at) AS oldest_at
         FROM outbox",
    );
    Ok(read.optional(statement).await?.unwrap_or(OutboxState {
        waiting: 0,
        next_due_at: None,
        oldest_at: None,
    }))
}
