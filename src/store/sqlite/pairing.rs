//! Pairing from another device: asked for by a browser, looked at and approved in a session elsewhere. The
//! approval is spent by starting a session.

use super::{
    credentials, notices, start,
    step::{Read, Statement, Step},
};
use crate::{
    clock::Timestamp,
    id::{AccountId, PairingId},
    store::{
        Approved, Claimed, Pairing, PairingApproval, PairingClaim, PairingKey, PairingStanding,
        Result,
    },
    telemetry::audit::{AuditEvent, AuditRecord, Refusal},
};

pub(super) async fn begin(mut step: Step, pairing: &Pairing) -> Result<bool> {
    let supersede = sqlx::query("UPDATE pairing SET superseded = 1 WHERE browser = ?1");
    step.execute(supersede.bind(pairing.browser)).await?;
    let insert = sqlx::query(
        "INSERT INTO pairing (id, browser, link, code, number, device, network, return_to, created_at,
                              expires_at, offered_by, account)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
         WHERE (SELECT COUNT(*) FROM pairing WHERE expires_at > ?9) < ?13",
    )
    .bind(pairing.id)
    .bind(pairing.browser)
    .bind(pairing.link)
    .bind(pairing.code)
    .bind(pairing.number)
    .bind(&pairing.device)
    .bind(pairing.network)
    .bind(&pairing.return_to)
    .bind(pairing.created_at)
    .bind(pairing.expires_at)
    .bind(pairing.offered_by)
    .bind(pairing.account)
    .bind(Pairing::MAX_OPEN);
    if step.changes_one(insert).await? {
        step.commit().await?;
        Ok(true)
    } else {
        step.abandon().await;
        Ok(false)
    }
}

pub(super) async fn look_up(read: Read<'_>, key: &PairingKey) -> Result<Option<Pairing>> {
    let statement = match key {
        PairingKey::Id(id) => by_id(*id),
        PairingKey::Link(link) => sqlx::query("SELECT * FROM pairing WHERE link = ?1").bind(link),
        PairingKey::Code(code) => sqlx::query("SELECT * FROM pairing WHERE code = ?1").bind(code),
        PairingKey::Browser(browser) => {
            sqlx::query("SELECT * FROM pairing WHERE browser = ?1 ORDER BY rowid DESC LIMIT 1")
                .bind(browser)
        }
        PairingKey::OfferedBy(session) => {
            sqlx::query("SELECT * FROM pairing WHERE offered_by = ?1 ORDER BY rowid DESC LIMIT 1")
                .bind(*session)
        }
    };
    read.optional(statement).await
}

fn by_id(id: PairingId) -> Statement<'static> {
    sqlx::query("SELECT * FROM pairing WHERE id = ?1").bind(id)
}

pub(super) async fn claim(
    mut step: Step,
    claim: &PairingClaim,
    audit: &AuditRecord,
) -> Result<Claimed> {
    let found = step.optional(by_id(claim.pairing)).await?;
    let own = |pairing: &Pairing| {
        pairing
            .account
            .is_none_or(|account| account == claim.account)
    };
    let Some(pairing) = found.filter(own) else {
        step.abandon().await;
        return Ok(Claimed::Over);
    };
    match pairing.standing(audit.at) {
        PairingStanding::Waiting => {}
        // Seen by another account it would have been turned away above.
        PairingStanding::Seen | PairingStanding::Approved => {
            step.abandon().await;
            return Ok(Claimed::Yours(Box::new(pairing)));
        }
        PairingStanding::Refused | PairingStanding::Over => {
            step.abandon().await;
            return Ok(Claimed::Over);
        }
    }
    if step.finds(block_of(claim.account, audit.at)).await? {
        step.abandon().await;
        return Ok(Claimed::Blocked);
    }
    if is_one_too_many(&mut step, &pairing, claim.account, audit.at).await? {
        return block(step, claim, audit).await;
    }
    let update = sqlx::query("UPDATE pairing SET account = ?2, seen_at = ?3 WHERE id = ?1")
        .bind(claim.pairing)
        .bind(claim.account)
        .bind(audit.at);
    step.execute(update).await?;
    step.commit_with(audit).await?;
    Ok(Claimed::Yours(Box::new(Pairing {
        account: Some(claim.account),
        seen_at: Some(audit.at),
        ..pairing
    })))
}

/// The row that says that an account lets nobody in.
fn block_of(account: AccountId, now: Timestamp) -> Statement<'static> {
    sqlx::query("SELECT 1 FROM pairing WHERE account = ?1 AND blocked_at > ?2")
        .bind(account)
        .bind(now.minus(Pairing::BLOCK))
}

/// Whether another browser's request was looked at shortly before and got no session, or two requests at all
/// were. A browser whose person lets two minutes pass and asks anew is let off once.
async fn is_one_too_many(
    step: &mut Step,
    pairing: &Pairing,
    account: AccountId,
    now: Timestamp,
) -> Result<bool> {
    let shortly_before = now.minus(Pairing::SHORT);
    let another_browser = sqlx::query(
        "SELECT 1 FROM pairing
         WHERE account = ?1 AND seen_at > ?2 AND browser <> ?3 AND spent_at IS NULL",
    )
    .bind(account)
    .bind(shortly_before)
    .bind(pairing.browser);
    if step.finds(another_browser).await? {
        return Ok(true);
    }
    let two_at_all =
        sqlx::query("SELECT 1 FROM pairing WHERE account = ?1 AND seen_at > ?2 LIMIT 1 OFFSET 1")
            .bind(account)
            .bind(shortly_before);
    step.finds(two_at_all).await
}

/// Ends whatever is under way for the account. Which of its requests was the honest one nobody can tell.
async fn block(mut step: Step, claim: &PairingClaim, audit: &AuditRecord) -> Result<Claimed> {
    let mark =
        sqlx::query("UPDATE pairing SET account = ?2, seen_at = ?3, blocked_at = ?3 WHERE id = ?1")
            .bind(claim.pairing)
            .bind(claim.account)
            .bind(audit.at);
    step.execute(mark).await?;
    let end_all = sqlx::query(
        "UPDATE pairing SET refused_at = ?2
         WHERE account = ?1 AND spent_at IS NULL AND refused_at IS NULL",
    );
    step.execute(end_all.bind(claim.account).bind(audit.at))
        .await?;
    if let Some(notice) = &claim.notice {
        notices::add(&mut step, notice).await?;
    }
    let blocked = AuditRecord {
        event: AuditEvent::PairingBlocked,
        ..audit.clone()
    };
    step.commit_with(&blocked).await?;
    Ok(Claimed::NowBlocked)
}

pub(super) async fn approve(
    mut step: Step,
    approval: &PairingApproval,
    audit: &AuditRecord,
) -> Result<Approved> {
    match enact(&mut step, approval, audit.at).await? {
        Approved::Approved => {
            step.commit_with(audit).await?;
            Ok(Approved::Approved)
        }
        wrong @ Approved::WrongNumber { .. } => {
            let reason = Refusal::WrongNumber;
            let refused = AuditRecord {
                event: AuditEvent::PairingRefused { reason },
                ..audit.clone()
            };
            step.commit_with(&refused).await?;
            Ok(wrong)
        }
        why @ (Approved::Over
        | Approved::AlreadySpent
        | Approved::NoApprover
        | Approved::CredentialGone) => {
            step.abandon().await;
            Ok(why)
        }
    }
}

/// The passkey check is spent before the number is looked at: a second guess needs a second check.
async fn enact(step: &mut Step, approval: &PairingApproval, now: Timestamp) -> Result<Approved> {
    let found: Option<Pairing> = step.optional(by_id(approval.pairing)).await?;
    let open = |pairing: &Pairing| {
        pairing.account == Some(approval.account) && pairing.standing(now) == PairingStanding::Seen
    };
    let Some(pairing) = found.filter(open) else {
        return Ok(Approved::Over);
    };
    if !step.finds(full_session(approval, now)).await? {
        return Ok(Approved::NoApprover);
    }
    if !step.finds(good_passkey(approval)).await? {
        return Ok(Approved::CredentialGone);
    }
    let ceremony = (approval.ceremony, approval.ceremony_expires_at);
    if !start::spend_ceremony(step, ceremony.0, ceremony.1, now).await? {
        return Ok(Approved::AlreadySpent);
    }
    credentials::note_use(step, approval.account, &approval.used, now).await?;
    if pairing.number != approval.number {
        return count_wrong_number(step, &pairing, now).await;
    }
    let update = sqlx::query("UPDATE pairing SET approved_at = ?2, approver = ?3 WHERE id = ?1")
        .bind(approval.pairing)
        .bind(now)
        .bind(approval.approver);
    step.execute(update).await?;
    Ok(Approved::Approved)
}

fn full_session(approval: &PairingApproval, now: Timestamp) -> Statement<'static> {
    sqlx::query(
        "SELECT 1 FROM session JOIN account ON account.id = session.account
         WHERE session.id = ?1 AND session.account = ?2 AND restricted = 0 AND ended_at IS NULL
           AND expires_at > ?3 AND state = 'active'",
    )
    .bind(approval.approver)
    .bind(approval.account)
    .bind(now)
}

/// A held passkey is looked for before its use is noted: noting it could end the hold, and that is a recovery.
fn good_passkey(approval: &PairingApproval) -> Statement<'_> {
    sqlx::query(
        "SELECT 1 FROM credential
         WHERE id = ?1 AND account = ?2 AND frozen_at IS NULL AND held_until IS NULL",
    )
    .bind(&approval.used.id)
    .bind(approval.account)
}

async fn count_wrong_number(
    step: &mut Step,
    pairing: &Pairing,
    now: Timestamp,
) -> Result<Approved> {
    let wrong = pairing.wrong_numbers + 1;
    let left = Pairing::MAX_WRONG_NUMBERS.saturating_sub(wrong);
    let count = sqlx::query("UPDATE pairing SET wrong_numbers = ?2, refused_at = ?3 WHERE id = ?1")
        .bind(pairing.id)
        .bind(wrong)
        .bind((left == 0).then_some(now));
    step.execute(count).await?;
    Ok(Approved::WrongNumber { left })
}

pub(super) async fn refuse(
    mut step: Step,
    id: PairingId,
    account: AccountId,
    audit: &AuditRecord,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE pairing SET refused_at = ?3
         WHERE id = ?1 AND account = ?2 AND refused_at IS NULL AND spent_at IS NULL
           AND superseded = 0 AND expires_at > ?3",
    )
    .bind(id)
    .bind(account)
    .bind(audit.at);
    if step.changes_one(update).await? {
        step.commit_with(audit).await?;
        Ok(true)
    } else {
        step.abandon().await;
        Ok(false)
    }
}
