//! The way out that is in force, which a reload changes.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;

use super::{DeliveryError, Letter, Transport};
use crate::id::MailId;

/// Hands each mail to the transport that is in force when it is sent.
pub struct Way(ArcSwap<Arc<dyn Transport>>);

impl Way {
    /// By this transport.
    pub fn by(transport: Arc<dyn Transport>) -> Self {
        Self(ArcSwap::from_pointee(transport))
    }

    /// By this one from now on; what is being sent goes by the old one.
    pub fn change(&self, transport: Arc<dyn Transport>) {
        self.0.store(Arc::new(transport));
    }
}

#[async_trait]
impl Transport for Way {
    async fn deliver(&self, id: MailId, letter: &Letter) -> Result<(), DeliveryError> {
        let transport = self.0.load_full();
        transport.deliver(id, letter).await
    }
}
