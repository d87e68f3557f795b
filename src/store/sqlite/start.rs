//! Starting a session: the proof is spent and everything it pays for is written in one step, or nothing is.

use super::{
    accounts, credentials, feed, notices, sessions,
    step::{Statement, Step},
};
use crate::{
    clock::Timestamp,
    id::{CeremonyId, EmailAttemptId, PairingId, SessionId},
    secret::Digest,
    store::{
        Account, AccountState, Change, Creation, EmailAttempt, Result, SessionRecord, SessionStart,
        Spend, Started, StoreError,
    },
    telemetry::audit::{AuditEvent, AuditRecord, Origin},
};

pub(super) async fn start(
    mut step: Step,
    start: &SessionStart,
    audit: &AuditRecord,
) -> Result<Started> {
    match enact(&mut step, start, audit).await {
        Ok(()) => {
            step.commit_with(audit).await?;
            Ok(Started::Started)
        }
        Err(Stop::Refused(why)) => {
            step.abandon().await;
            Ok(why)
        }
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Why a step goes no further; whatever it has written by then is undone.
enum Stop {
    Refused(Started),
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// The proof comes before the account and passkey that it pays for, so that the second use of a link says
/// "used already" rather than "that account exists".
async fn enact(
    step: &mut Step,
    start: &SessionStart,
    audit: &AuditRecord,
) -> std::result::Result<(), Stop> {
    let (session, at) = (&start.session, audit.at);
    let account = active_account(step, start).await?;
    if let Some(replaced) = start.replaces {
        let ended = step
            .changes_one(end_replaced(replaced, session, at))
            .await?;
        require(ended, Started::ReplacedSessionOver)?;
    }
    require(is_open(&start.spend, &account), Started::RecoveryClosed)?;
    require(spend(step, start, &account).await?, Started::AlreadySpent)?;
    let as_promised = !start.first_passkey || account.enrolled_at.is_none();
    require(as_promised, Started::EnrolledBefore)?;
    if let Some(new) = &start.new_account {
        let creation = accounts::add(step, new).await?;
        require(creation == Creation::Created, Started::AccountTaken)?;
        let by = Origin::SelfEnrolment;
        let event = AuditEvent::AccountCreated { by };
        step.audit(&AuditRecord {
            event,
            ..audit.clone()
        })
        .await?;
    }
    if let Spend::Email { attempt } = start.spend {
        note_proved_address(step, attempt, session, at).await?;
    }
    if let Some(used) = &start.credential_use {
        let known = credentials::note_use(step, account.id, used, session.created_at).await?;
        require(known, Started::CredentialGone)?;
    }
    if let Some(new) = &start.new_credential {
        let added = credentials::add(step, account.id, new).await?;
        require(added, Started::CredentialTaken)?;
    }
    step.execute(insert_session(session, start.replaces))
        .await?;
    if let Some(new) = &start.new_credential {
        credentials::note_family(step, new, session.id).await?;
    }
    if let Some(recovered) = start.recovered {
        credentials::doubt_others(step, account.id, session.credential.as_ref()).await?;
        if recovered.end_sessions {
            sessions::end_others(step, account.id, session.id, at).await?;
        }
    }
    if let Some(notice) = &start.notice {
        notices::add(step, notice).await?;
    }
    Ok(())
}

fn require(holds: bool, otherwise: Started) -> std::result::Result<(), Stop> {
    if holds {
        Ok(())
    } else {
        Err(Stop::Refused(otherwise))
    }
}

async fn active_account(
    step: &mut Step,
    start: &SessionStart,
) -> std::result::Result<Account, Stop> {
    let account = match &start.new_account {
        Some(new) => Some(new.clone()),
        None => accounts::find(step, start.session.account).await?,
    };
    account
        .filter(|account| {
            account.id == start.session.account && account.state == AccountState::Active
        })
        .ok_or(Stop::Refused(Started::AccountClosed))
}

fn end_replaced(replaced: SessionId, session: &SessionRecord, at: Timestamp) -> Statement<'static> {
    sqlx::query(
        "UPDATE session SET ended_at = ?4, replaced_by = ?5
         WHERE id = ?1 AND account = ?2 AND ended_at IS NULL AND expires_at > ?3",
    )
    .bind(replaced)
    .bind(session.account)
    .bind(session.created_at)
    .bind(at)
    .bind(session.id)
}

/// Whether the account's person, or a "this was not me", has left this way open.
fn is_open(spend: &Spend, account: &Account) -> bool {
    match spend {
        Spend::Email { .. } => account.recovery.admits_email(),
        Spend::BackupCode { .. } => account.recovery.admits_backup_codes(),
        Spend::Ceremony { .. }
        | Spend::Invitation { .. }
        | Spend::RecoveryLink { .. }
        | Spend::Pairing { .. }
        | Spend::Operator => true,
    }
}

/// `false` if the proof was spent, expired or superseded before, or is another account's.
async fn spend(step: &mut Step, start: &SessionStart, account: &Account) -> Result<bool> {
    let now = start.session.created_at;
    match &start.spend {
        Spend::Ceremony { id, expires_at } => spend_ceremony(step, *id, *expires_at, now).await,
        Spend::Invitation {
            digest,
            ceremony,
            ceremony_expires_at,
        } => Ok(
            spend_ceremony(step, *ceremony, *ceremony_expires_at, now).await?
                && spend_invitation(step, digest, account, now).await?,
        ),
        Spend::Email { attempt } => spend_email(step, *attempt, account, now).await,
        Spend::BackupCode { digest } => spend_backup_code(step, digest, account, now).await,
        Spend::RecoveryLink { digest } => spend_recovery_link(step, digest, account, now).await,
        Spend::Pairing { id, browser } => spend_pairing(step, *id, browser, account, now).await,
        Spend::Operator => Ok(true),
    }
}

pub(super) async fn spend_ceremony(
    step: &mut Step,
    id: CeremonyId,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<bool> {
    let insert = sqlx::query(
        "INSERT INTO spent_ceremony (id, expires_at) SELECT ?1, ?2 WHERE ?2 > ?3 ON CONFLICT DO NOTHING",
    );
    step.changes_one(insert.bind(id).bind(expires_at).bind(now))
        .await
}

async fn spend_invitation(
    step: &mut Step,
    digest: &Digest,
    account: &Account,
    now: Timestamp,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE invitation SET spent_at = ?3
         WHERE digest = ?1 AND account = ?2 AND spent_at IS NULL AND superseded = 0 AND expires_at > ?3",
    );
    step.changes_one(update.bind(digest).bind(account.id).bind(now))
        .await
}

/// An attempt that was begun for a stranger pays only for an account with the very address it proved.
async fn spend_email(
    step: &mut Step,
    attempt: EmailAttemptId,
    account: &Account,
    now: Timestamp,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE email_attempt SET spent_at = ?2
         WHERE id = ?1 AND spent_at IS NULL AND superseded = 0 AND expires_at > ?2 AND wrong_codes < ?3
           AND purpose = 'sign_in' AND (account = ?4 OR (account IS NULL AND email = ?5))",
    )
    .bind(attempt)
    .bind(now)
    .bind(EmailAttempt::MAX_WRONG_CODES)
    .bind(account.id)
    .bind(&account.email);
    if !step.changes_one(update).await? {
        return Ok(false);
    }
    let reset = sqlx::query("UPDATE account SET email_code_failures = 0 WHERE id = ?1");
    step.execute(reset.bind(account.id)).await?;
    Ok(true)
}

/// The limit of consecutive failures is part of the statement: guesses at once do not get past it.
async fn spend_backup_code(
    step: &mut Step,
    digest: &Digest,
    account: &Account,
    now: Timestamp,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE backup_code SET spent_at = ?3
         WHERE account = ?1 AND digest = ?2 AND spent_at IS NULL
           AND (SELECT backup_code_failures FROM account WHERE id = ?1) < ?4",
    )
    .bind(account.id)
    .bind(digest)
    .bind(now)
    .bind(Account::MAX_FAILURES);
    if !step.changes_one(update).await? {
        return Ok(false);
    }
    let reset = sqlx::query("UPDATE account SET backup_code_failures = 0 WHERE id = ?1");
    step.execute(reset.bind(account.id)).await?;
    Ok(true)
}

async fn spend_recovery_link(
    step: &mut Step,
    digest: &Digest,
    account: &Account,
    now: Timestamp,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE recovery SET spent_at = ?3
         WHERE link = ?1 AND account = ?2 AND spent_at IS NULL AND superseded = 0 AND link_expires_at > ?3",
    );
    step.changes_one(update.bind(digest).bind(account.id).bind(now))
        .await
}

/// What grew from the approver's sign-in must still be alive: "sign out everywhere" takes an approval back.
async fn spend_pairing(
    step: &mut Step,
    id: PairingId,
    browser: &Digest,
    account: &Account,
    now: Timestamp,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE pairing SET spent_at = ?4
         WHERE id = ?1 AND browser = ?2 AND account = ?3 AND approved_at IS NOT NULL
           AND refused_at IS NULL AND spent_at IS NULL AND superseded = 0 AND expires_at > ?4
           AND EXISTS (SELECT 1 FROM session AS approving JOIN session AS living USING (family)
                       WHERE approving.id = pairing.approver
                         AND living.ended_at IS NULL AND living.expires_at > ?4)",
    );
    step.changes_one(update.bind(id).bind(browser).bind(account.id).bind(now))
        .await
}

/// The link or code came to the attempt's address; if that is still the account's, it is proved.
async fn note_proved_address(
    step: &mut Step,
    attempt: EmailAttemptId,
    session: &SessionRecord,
    at: Timestamp,
) -> Result<()> {
    let update = sqlx::query(
        "UPDATE account SET email_verified_at = ?3
         WHERE id = ?1 AND email_verified_at IS NULL
           AND email = (SELECT email FROM email_attempt WHERE id = ?2)",
    )
    .bind(session.account)
    .bind(attempt)
    .bind(session.created_at);
    if step.changes_one(update).await? {
        feed::announce(step, at, &Change::AccountChanged(session.account)).await?;
    }
    Ok(())
}

fn insert_session(session: &SessionRecord, replaced: Option<SessionId>) -> Statement<'_> {
    sqlx::query(
        "INSERT INTO session
             (id, account, method, authenticated_at, restricted, stepped_up_at, credential, created_at,
              last_seen_at, expires_at, device, network, proofs, host, family)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
                 ?14, COALESCE((SELECT family FROM session WHERE id = ?15), ?1))",
    )
    .bind(session.id)
    .bind(session.account)
    .bind(session.method)
    .bind(session.authenticated_at)
    .bind(session.restricted)
    .bind(session.stepped_up_at)
    .bind(&session.credential)
    .bind(session.created_at)
    .bind(session.last_seen_at)
    .bind(session.expires_at)
    .bind(&session.device)
    .bind(session.network)
    .bind(&session.proofs)
    .bind(&session.host)
    .bind(replaced)
}
