//! Letting somebody back in who has lost everything: a request with its grounds, where two administrators are
//! needed the approval of another, and a link, shown once to whoever asked.
//!
//! On the web an administrator is known by their session. At the command line a name is taken at its word:
//! whoever works there can read and write the store anyway.

use std::time::Duration;

use super::{Acting, AdminError, find_account};
use crate::{
    clock::Timestamp,
    config::Approvals,
    core::Core,
    id::{AccountId, RecoveryId},
    mail::Happening,
    secret::Token,
    sign_in::recovery,
    store::{
        Account, AccountKey, AccountState, RecoveryLink, RecoveryRequest, RecoveryStep, Suspect,
    },
    telemetry::audit::{Actor, AuditEvent, RecoveryReason},
};

/// How long a request waits for its approval and its link to be collected: a colleague answers within a
/// working day, and what was asked for yesterday should be asked again.
const REQUEST_LIFESPAN: Duration = Duration::from_hours(24);

/// The longest note, in characters.
const MAX_NOTE: usize = 500;

/// Why an account is recovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grounds {
    reason: RecoveryReason,
    note: String,
}

impl Grounds {
    /// `None` when the note is too long, or missing where it is all that tells why.
    pub fn new(reason: RecoveryReason, note: &str) -> Option<Self> {
        let note: String = note
            .chars()
            .map(|character| match character {
                control if control.is_control() => ' ',
                other => other,
            })
            .collect();
        let note = note.trim().to_owned();
        let told = match reason {
            RecoveryReason::Other => !note.is_empty(),
            RecoveryReason::LostDevice
            | RecoveryReason::BrokenDevice
            | RecoveryReason::PasskeyGone
            | RecoveryReason::NoOtherWay => true,
        };
        (told && note.chars().count() <= MAX_NOTE).then_some(Self { reason, note })
    }

    /// From one text, which may begin with the name of a reason: `lost-device: phone stolen on Monday`.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, rest) = text.split_once(':').unwrap_or((text, ""));
        match RecoveryReason::parse(first.trim()) {
            Some(reason) => Self::new(reason, rest),
            None => Self::new(RecoveryReason::Other, text),
        }
    }
}

/// What came of asking for a recovery.
pub enum Asked {
    /// Here is the link.
    Link(Handover),
    /// Another administrator has to approve it first.
    Waits(Pending),
}

/// A recovery link to hand over. It is not shown again.
pub struct Handover {
    /// Which recovery.
    pub recovery: RecoveryId,
    /// Whose account.
    pub account: Account,
    /// The link.
    pub link: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// A request whose link is still to be had.
pub struct Pending {
    /// The request.
    pub request: RecoveryRequest,
    /// Whose account.
    pub account: Account,
}

/// Asks for a recovery, and gives its link where one administrator suffices.
///
/// # Errors
/// When there is no such account, it is disabled, or it is the actor's own.
pub async fn ask(acting: &Acting<'_>, name: &str, grounds: Grounds) -> Result<Asked, AdminError> {
    let account = find_account(acting.core, name).await?;
    acting.require_not_own(&account).await?;
    require_active(&account)?;
    let now = acting.core.clock.now();
    let request = RecoveryRequest {
        id: RecoveryId::random(),
        account: account.id,
        requested_by: acting.actor.clone(),
        reason: grounds.reason,
        note: grounds.note,
        created_at: now,
        expires_at: now.plus(REQUEST_LIFESPAN),
        approved_by: None,
    };
    let event = AuditEvent::RecoveryRequested {
        recovery: request.id,
        reason: request.reason,
        note: request.note.clone(),
    };
    let record = acting.audit(Some(account.id), event);
    let notice = match acting.config().admin.approvals {
        // The link's own notice follows at once.
        Approvals::One => None,
        Approvals::Two => acting.notice(
            &account,
            Happening::RecoveryRequested,
            Some(Suspect::default()),
        ),
    };
    let store = &acting.core.store;
    if !store
        .request_recovery(&request, &record, notice.as_ref())
        .await?
    {
        return Err(AdminError::NoAccount(name.to_owned()));
    }
    acting.done(&record);
    match acting.config().admin.approvals {
        Approvals::One => issue_link(acting, request, account).await.map(Asked::Link),
        Approvals::Two => Ok(Asked::Waits(Pending { request, account })),
    }
}

/// Agrees to another's request.
///
/// # Errors
/// When it is the actor's own request or account, or it is over.
pub async fn approve(acting: &Acting<'_>, id: RecoveryId) -> Result<Pending, AdminError> {
    let Pending { request, account } = pending(acting.core, id).await?;
    let approver = person(acting.core, &acting.actor).await?;
    if approver == Some(account.id) {
        return Err(acting.refused(account.id, AdminError::OwnAccount).await);
    }
    // The same person by another name; the store compares the names alone.
    if approver.is_some() && approver == person(acting.core, &request.requested_by).await? {
        return Err(acting.refused(account.id, AdminError::OwnRequest).await);
    }
    let event = AuditEvent::RecoveryApproved { recovery: id };
    let record = acting.audit(Some(account.id), event);
    let store = &acting.core.store;
    let step = store.approve_recovery(id, &acting.actor, &record).await?;
    if let Some(error) = refusal_of(step, id) {
        return Err(acting.refused(account.id, error).await);
    }
    acting.done(&record);
    let request = RecoveryRequest {
        approved_by: Some(acting.actor.clone()),
        ..request
    };
    Ok(Pending { request, account })
}

/// Gives the link of an approved request to whoever asked for it.
///
/// # Errors
/// When it is another's request, not approved, over, or its account is disabled.
pub async fn collect(acting: &Acting<'_>, id: RecoveryId) -> Result<Handover, AdminError> {
    let Pending { request, account } = pending(acting.core, id).await?;
    require_active(&account)?;
    issue_link(acting, request, account).await
}

/// The requests of one account or of all whose link is still to be had, newest first.
///
/// # Errors
/// When the store does not answer.
pub async fn open(core: &Core, account: Option<AccountId>) -> Result<Vec<Pending>, AdminError> {
    let mut open = Vec::new();
    for request in core
        .store
        .open_recoveries(account, core.clock.now())
        .await?
    {
        // Deleted this very moment, it takes its recoveries with it.
        if let Some(account) = core.store.account(&AccountKey::Id(request.account)).await? {
            open.push(Pending { request, account });
        }
    }
    Ok(open)
}

/// One request, whatever became of it.
///
/// # Errors
/// When there is none.
pub async fn pending(core: &Core, id: RecoveryId) -> Result<Pending, AdminError> {
    let over = || AdminError::RecoveryOver(id.to_string());
    let request = core.store.recovery(id).await?.ok_or_else(over)?;
    let account = core
        .store
        .account(&AccountKey::Id(request.account))
        .await?
        .ok_or_else(over)?;
    Ok(Pending { request, account })
}

async fn issue_link(
    acting: &Acting<'_>,
    request: RecoveryRequest,
    account: Account,
) -> Result<Handover, AdminError> {
    let token = Token::random();
    let admin = &acting.config().admin;
    let expires_at = acting.core.clock.now().plus(admin.recovery_lifespan);
    let link = RecoveryLink {
        recovery: request.id,
        by: acting.actor.clone(),
        needs_approval: match admin.approvals {
            Approvals::One => false,
            Approvals::Two => true,
        },
        digest: token.digest(),
        expires_at,
    };
    let event = AuditEvent::RecoveryLinkIssued {
        recovery: request.id,
    };
    let record = acting.audit(Some(account.id), event);
    let suspect = Some(Suspect::default());
    let notice = acting.notice(&account, Happening::RecoveryLinkIssued, suspect);
    let store = &acting.core.store;
    let step = store
        .issue_recovery_link(&link, &record, notice.as_ref())
        .await?;
    if let Some(error) = refusal_of(step, request.id) {
        return Err(acting.refused(account.id, error).await);
    }
    acting.done(&record);
    let path = format!("{}?token={}", recovery::LINK_PATH, token.reveal());
    Ok(Handover {
        recovery: request.id,
        account,
        link: acting.origin().join(&path),
        expires_at,
    })
}

fn refusal_of(step: RecoveryStep, id: RecoveryId) -> Option<AdminError> {
    match step {
        RecoveryStep::Done => None,
        RecoveryStep::Over => Some(AdminError::RecoveryOver(id.to_string())),
        RecoveryStep::OwnRequest => Some(AdminError::OwnRequest),
        RecoveryStep::OwnAccount => Some(AdminError::OwnAccount),
        RecoveryStep::OthersRequest => Some(AdminError::OthersRequest),
        RecoveryStep::NotApproved => Some(AdminError::NotApproved),
    }
}

fn require_active(account: &Account) -> Result<(), AdminError> {
    match account.state {
        AccountState::Active => Ok(()),
        AccountState::Disabled => Err(AdminError::Disabled(account.login.clone())),
    }
}

/// The account of an actor, where they have one: at the command line, that of the name they gave.
async fn person(core: &Core, actor: &Actor) -> Result<Option<AccountId>, AdminError> {
    match actor {
        Actor::Administrator(id) => Ok(Some(*id)),
        Actor::CommandLine(None) => Ok(None),
        Actor::CommandLine(Some(name)) => match find_account(core, name).await {
            Ok(account) => Ok(Some(account.id)),
            Err(AdminError::NoAccount(_)) => Ok(None),
            Err(error) => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grounds_are_read_from_one_text() {
        let grounds = |reason, note: &str| Grounds::new(reason, note);
        for (text, read) in [
            (
                "lost-device: stolen on Monday",
                grounds(RecoveryReason::LostDevice, "stolen on Monday"),
            ),
            ("lost_device", grounds(RecoveryReason::LostDevice, "")),
            (
                "forgot it: at home",
                grounds(RecoveryReason::Other, "forgot it: at home"),
            ),
            ("other:", None),
            ("", None),
        ] {
            assert_eq!(Grounds::parse(text), read, "{text}");
        }
    }

    #[test]
    fn a_note_is_one_line_and_not_endless() {
        let grounds = Grounds::new(RecoveryReason::Other, " a\nb\t").unwrap();
        assert_eq!(grounds.note, "a b");
        assert_eq!(Grounds::new(RecoveryReason::Other, &"a".repeat(501)), None);
    }
}
