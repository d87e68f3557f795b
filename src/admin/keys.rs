//! Signing keys: rotate, list.

use super::AdminError;
use crate::{core::Core, session, store::StoredKey};

/// Adds a new key, which signs a few seconds later; older keys go on verifying. Gives its name.
///
/// # Errors
/// When the store does not answer.
pub async fn rotate(core: &Core) -> Result<String, AdminError> {
    Ok(session::add_key(&*core.store, &core.secret, core.clock.now(), false).await?)
}

/// The keys, newest first, sealed.
///
/// # Errors
/// When the store does not answer.
pub async fn list(core: &Core) -> Result<Vec<StoredKey>, AdminError> {
    Ok(core.store.keys().await?)
}
