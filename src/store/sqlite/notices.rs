//! What tells a person of something that happened to their account: mails, and the other end of their *this
//! was not me*.

use super::{outbox, step::Step};
use crate::store::{Notice, Result};

/// Keeps a notice within the step of what it tells.
pub(super) async fn add(step: &mut Step, notice: &Notice) -> Result<()> {
    for mail in &notice.mails {
        outbox::add(step, mail).await?;
    }
    if let Some(report) = &notice.report {
        let insert = sqlx::query(
            "INSERT INTO report (digest, account, credential, session, about, created_at, expires_at)
             VALUES (?1, ?2, ?3, (SELECT family FROM session WHERE id = ?4), ?5, ?6, ?7)",
        )
        .bind(report.digest)
        .bind(report.account)
        .bind(&report.suspect.credential)
        .bind(report.suspect.session)
        .bind(&report.about)
        .bind(report.created_at)
        .bind(report.expires_at);
        step.execute(insert).await?;
    }
    Ok(())
}
