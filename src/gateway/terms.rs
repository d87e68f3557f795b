//! What the listeners hold connections to, changed without closing them.

use std::sync::Arc;

use super::{
    admission::Admission,
    certificates::TlsError,
    tls::{self, Tls},
};
use crate::config::{Config, DoorLimits};

/// The terms in force.
#[derive(Clone)]
pub struct Terms {
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) admission: Arc<Admission>,
}

/// Terms that can be used, and are not in force yet.
pub struct NewTerms {
    present: Terms,
    tls: Option<tls::Terms>,
    limits: DoorLimits,
}

impl Terms {
    /// Makes ready those of another configuration: reads its certificates and authorities.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn prepare(&self, config: &Config) -> Result<NewTerms, TlsError> {
        let tls = self.tls.as_ref();
        let tls = tls.map(|tls| tls.prepare(&config.tls, config.door.client_ca.as_ref()));
        Ok(NewTerms {
            present: self.clone(),
            tls: tls.transpose()?,
            limits: config.door.limits,
        })
    }
}

impl NewTerms {
    /// The next connection is held to them.
    pub fn take_up(self) {
        if let (Some(tls), Some(new)) = (&self.present.tls, self.tls) {
            tls.take_up(new);
        }
        self.present.admission.change(&self.limits);
    }
}
