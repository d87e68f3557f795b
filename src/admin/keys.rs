//! Signing keys: rotate, list.

use super::{Acting, AdminError};
use crate::{
    core::Core,
    key_kind::KeyKind,
    session::{self, KeyUse},
    store::StoredKey,
};

/// Adds a new key, which signs when everybody knows it; older keys go on verifying. Gives its name.
///
/// # Errors
/// When the store does not answer.
pub async fn rotate(acting: &Acting<'_>, kind: KeyKind) -> Result<String, AdminError> {
    let Core {
        store,
        secret,
        clock,
        ..
    } = acting.core;
    let by = acting.actor.clone();
    Ok(session::rotate_key(&**store, secret, clock.now(), kind, by).await?)
}

/// The keys of one kind or of all, newest first, sealed, and what each is used for.
///
/// # Errors
/// When the store does not answer.
pub async fn list(
    core: &Core,
    kind: Option<KeyKind>,
) -> Result<Vec<(StoredKey, KeyUse)>, AdminError> {
    let keys = core.store.keys().await?;
    let uses = session::key_uses(&keys, core.clock.now());
    let all = keys.into_iter().zip(uses);
    Ok(all
        .filter(|(key, _)| kind.is_none_or(|kind| key.kind == kind))
        .collect())
}
