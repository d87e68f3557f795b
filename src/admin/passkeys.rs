//! Passkeys of others: removing one that is lost or stolen.

use super::{Acting, AdminError, find_account};
use crate::{
    id::CredentialId,
    mail::Happening,
    store::{Credential, CredentialRemoval},
    telemetry::audit::AuditEvent,
};

/// Removes a passkey and ends the sessions that it opened or raised.
///
/// # Errors
/// When there is no such account or passkey, or it is the actor's own account.
pub async fn remove(
    acting: &Acting<'_>,
    name: &str,
    id: &CredentialId,
) -> Result<Credential, AdminError> {
    let account = find_account(acting.core, name).await?;
    acting.require_not_own(&account).await?;
    let missing = || AdminError::NoPasskey(account.login.clone());
    let credential = acting.core.store.credential(id).await?;
    let credential = credential
        .filter(|credential| credential.account == account.id)
        .ok_or_else(missing)?;
    let event = AuditEvent::PasskeyRemoved {
        credential: id.clone(),
    };
    let record = acting.audit(Some(account.id), event);
    let label = credential.label.clone();
    let removal = CredentialRemoval {
        account: account.id,
        credential: id.clone(),
        keep: None,
        notice: acting.notice(&account, Happening::PasskeyRemoved { label }, None),
    };
    if !acting
        .core
        .store
        .remove_credential(&removal, &record)
        .await?
    {
        return Err(missing());
    }
    acting.done(&record);
    Ok(credential)
}
