//! A passkey check inside a session: a fresh, user-verified assertion by one of the account's own good passkeys.
//! What it is good for (a step-up, letting another device in) is for the caller to say and to record.

use super::{ceremony::Kind, passkey};
use crate::{
    relying_party::{AssertionAnswer, Confirmation, PasskeyError, named_credential, named_user},
    session::Visit,
    store::{Credential, CredentialUse, Standing},
    telemetry::audit::Refusal as Reason,
    web::{
        ask::Ask,
        error::{Outcome, Refusal},
    },
};

/// What came of a passkey's answer.
pub(super) enum Checked {
    /// It is one, and this is its use.
    By(CredentialUse),
    /// It is none, for this reason. The person hears no more than that it did not work.
    Refused(Reason),
}

/// The account's passkeys that may confirm something: neither one that waits nor a frozen one does.
pub(super) async fn usable(ask: &Ask, visit: &Visit) -> Outcome<Vec<Credential>> {
    let mut own = ask.core.store.credentials(visit.account.id).await?;
    own.retain(|credential| credential.standing.is_good());
    Ok(own)
}

/// Begins an exchange of one kind with these passkeys.
pub(super) fn begin(ask: &Ask, kind: Kind, passkeys: &[Credential]) -> Outcome {
    let (public_key, confirmation) = ask
        .snapshot
        .relying_party
        .begin_confirmation(passkeys)
        .map_err(passkey::broken)?;
    passkey::begin(ask, kind, public_key, confirmation)
}

/// Checks the answer of whichever passkey gave it.
pub(super) async fn check(
    ask: &Ask,
    visit: &Visit,
    answer: &AssertionAnswer,
    confirmation: &Confirmation,
) -> Outcome<Checked> {
    let id = named_credential(answer).ok_or(Refusal::MALFORMED)?;
    let own = |credential: &Credential| {
        credential.account == visit.account.id
            && named_user(answer).is_none_or(|user| user == visit.account.user_handle)
    };
    let Some(credential) = ask.core.store.credential(&id).await?.filter(own) else {
        return Ok(Checked::Refused(Reason::ForeignCredential));
    };
    match credential.standing {
        Standing::Good => {}
        Standing::Held { .. } => return Ok(Checked::Refused(Reason::Held)),
        Standing::Frozen { .. } => return Ok(Checked::Refused(Reason::Frozen)),
    }
    match ask
        .snapshot
        .relying_party
        .finish_confirmation(answer, confirmation, &credential)
    {
        Ok(used) => Ok(Checked::By(used)),
        Err(PasskeyError::NotVerified(cause)) => {
            tracing::info!(request_id = %ask.caller.request_id, %cause, "a passkey check does not verify");
            Ok(Checked::Refused(Reason::NotVerified))
        }
        Err(error @ PasskeyError::Unreadable) => Err(passkey::broken(error)),
    }
}
