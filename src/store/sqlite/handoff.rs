//! A session's way to another host: a code is kept, and spent by planting a session of the same family there.

use sqlx::{Row, sqlite::SqliteRow};

use super::{
    row::Record,
    step::{Statement, Step},
};
use crate::{
    clock::Timestamp,
    id::{AccountId, SessionId},
    store::{Handoff, HandoffRedemption, Redeemed, Result, SessionRecord},
    telemetry::audit::AuditRecord,
};

pub(super) async fn begin(mut step: Step, handoff: &Handoff, now: Timestamp) -> Result<bool> {
    let insert = sqlx::query(
        "INSERT INTO handoff (code, browser, host, session, account, expires_at)
         SELECT ?1, ?2, ?3, session.id, account, ?5
         FROM session JOIN account ON account.id = session.account
         WHERE session.id = ?4 AND ended_at IS NULL AND session.expires_at > ?6 AND state = 'active'",
    )
    .bind(handoff.code)
    .bind(handoff.browser)
    .bind(&handoff.host)
    .bind(handoff.session)
    .bind(handoff.expires_at)
    .bind(now);
    if !step.changes_one(insert).await? {
        step.abandon().await;
        return Ok(false);
    }
    step.commit().await?;
    Ok(true)
}

/// The code is spent first, whatever comes of it: one that somebody has read off a screen and one that its
/// owner's browser has brought home must not both be tried.
pub(super) async fn redeem(
    mut step: Step,
    redemption: &HandoffRedemption,
    audit: &AuditRecord,
) -> Result<Redeemed> {
    let now = audit.at;
    let spend = sqlx::query(
        "UPDATE handoff SET spent_at = ?2 WHERE code = ?1 AND spent_at IS NULL AND expires_at > ?2
         RETURNING *",
    );
    let Some(spent): Option<Spent> = step.optional(spend.bind(redemption.code).bind(now)).await?
    else {
        step.abandon().await;
        return Ok(Redeemed::Over);
    };
    let account = spent.account;
    let refused = if spent.handoff.browser != redemption.browser {
        Some(Redeemed::OtherBrowser(account))
    } else if spent.handoff.host != redemption.host {
        Some(Redeemed::OtherHost(account))
    } else {
        None
    };
    if let Some(refused) = refused {
        step.commit().await?;
        return Ok(refused);
    }
    let planted: Option<SessionRecord> = step
        .optional(plant(redemption, spent.handoff.session, now))
        .await?;
    let Some(planted) = planted else {
        step.commit().await?;
        return Ok(Redeemed::SourceOver(account));
    };
    if let Some(left_behind) = redemption.left_behind {
        step.execute(end_left_behind(left_behind, &planted, now))
            .await?;
    }
    let audit = AuditRecord {
        account: Some(account),
        ..audit.clone()
    };
    step.commit_with(&audit).await?;
    Ok(Redeemed::Planted(Box::new(planted)))
}

fn plant(redemption: &HandoffRedemption, source: SessionId, now: Timestamp) -> Statement<'_> {
    sqlx::query(
        "INSERT INTO session
             (id, account, method, authenticated_at, restricted, stepped_up_at, credential, created_at,
              last_seen_at, expires_at, device, network, proofs, family, host)
         SELECT ?1, account, method, authenticated_at, restricted, stepped_up_at, credential, ?3, ?3,
                expires_at, ?4, ?5, proofs, family, ?6
         FROM session
         WHERE id = ?2 AND ended_at IS NULL AND expires_at > ?3
           AND EXISTS (SELECT 1 FROM account WHERE id = session.account AND state = 'active')
         RETURNING *",
    )
    .bind(redemption.session)
    .bind(source)
    .bind(now)
    .bind(&redemption.device)
    .bind(redemption.network)
    .bind(&redemption.host)
}

/// Nobody could sign out of it any more. What is open in it goes on in the new one, unless it is of another
/// sign-in; of that, the whole family goes.
fn end_left_behind(
    left_behind: SessionId,
    planted: &SessionRecord,
    at: Timestamp,
) -> Statement<'static> {
    sqlx::query(
        "UPDATE session SET ended_at = ?4, replaced_by = CASE WHEN family = ?3 THEN ?2 END
         WHERE ended_at IS NULL AND expires_at > ?4 AND id <> ?2
           AND (id = ?1
                OR (family = (SELECT family FROM session WHERE id = ?1) AND family <> ?3))",
    )
    .bind(left_behind)
    .bind(planted.id)
    .bind(planted.family)
    .bind(at)
}

/// A handoff and whose session it hands on.
struct Spent {
    handoff: Handoff,
    account: AccountId,
}

impl Record for Spent {
    const WHAT: &'static str = "handoff";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            handoff: Handoff {
                code: row.try_get("code")?,
                browser: row.try_get("browser")?,
                host: row.try_get("host")?,
                session: row.try_get("session")?,
                expires_at: row.try_get("expires_at")?,
            },
            account: row.try_get("account")?,
        })
    }
}
