//! A POST is not lost: one that meets sign-in, re-enrolment or a step-up is kept until its sender has done that
//! and says that it is to be sent.
//!
//! [`summary`] is what is known of one, [`vault`] seals it under a key that takes its browser's cookie as well as
//! the server's secret, [`page`] is where it is confirmed, [`over`] why it cannot be. The gateway keeps
//! (`gateway/holding.rs`) and sends (`gateway/resuming.rs`).

pub mod over;
pub mod page;
pub mod summary;
pub mod vault;

use crate::{
    clock::Timestamp,
    core::Core,
    id::HeldId,
    session::Visit,
    store::{HeldLook, HeldState},
    web::browser::Browser,
};

use self::{over::Over, summary::Summary, vault::Vault};

/// The page where it is confirmed.
pub const PATH: &str = "/.gatehouse/resume";

/// The page for one of them: path and query.
pub fn address(id: HeldId) -> String {
    format!("{PATH}?held={id}")
}

/// Who asks for something that is kept.
#[derive(Clone, Copy)]
pub struct Claimant<'a> {
    /// In which browser.
    pub browser: &'a Browser,
    /// On which host.
    pub host: &'a str,
    /// With which session.
    pub visit: Option<&'a Visit>,
}

/// Something that waits to be sent, opened by its browser.
#[derive(Debug)]
pub struct Waiting {
    /// Its id.
    pub id: HeldId,
    /// What it is.
    pub summary: Summary,
    /// Whether a session sent it, and so has to send it on.
    pub of_account: bool,
    /// Since when it is kept.
    pub held_at: Timestamp,
}

/// Looks for what waits under an id. Spends nothing.
///
/// # Errors
/// Why it cannot be sent, which is counted.
pub async fn find(core: &Core, id: HeldId, claimant: Claimant<'_>) -> Result<Waiting, Over> {
    let found = look(core, id, claimant).await;
    if let Err(over) = &found {
        core.metrics.held_requests.count(over.event());
    }
    found
}

async fn look(core: &Core, id: HeldId, claimant: Claimant<'_>) -> Result<Waiting, Over> {
    let browser = claimant.browser.digest();
    let look = core
        .store
        .held_request(id, &browser, core.clock.now())
        .await
        .map_err(Over::unavailable)?;
    let HeldLook {
        state,
        account,
        held_at,
        summary,
        ..
    } = look.ok_or(Over::NotFound)?;
    match state {
        HeldState::Waiting => {}
        HeldState::Taken | HeldState::Discarded | HeldState::Expired => return Err(state.into()),
    }
    // Somebody else at the same browser learns no more than that.
    if let (Some(sender), Some(visit)) = (account, claimant.visit)
        && sender != visit.account.id
    {
        return Err(Over::OtherAccount);
    }
    let vault = Vault::new(core, claimant.browser, claimant.host);
    Ok(Waiting {
        summary: vault.open_summary(id, &summary).ok_or(Over::NotFound)?,
        of_account: account.is_some(),
        id,
        held_at,
    })
}
