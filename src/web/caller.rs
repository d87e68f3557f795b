//! Who asks for an own page, as the gateway saw it.

use std::{net::IpAddr, sync::Arc};

use crate::{
    clock::Timestamp,
    id::{AccountId, RequestId},
    network::Network,
    policy::certificate::CertificateName,
    session::Visit,
    telemetry::audit::{AuditEvent, AuditRecord},
};

/// What an own page learns about its request: an extension that the gateway adds.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The live session, if there is one.
    pub visit: Option<Visit>,
    /// The request's id.
    pub request_id: RequestId,
    /// The address the connection came from.
    pub client: IpAddr,
    /// The host that was asked for: lower case, without port.
    pub host: String,
    /// The names on the verified client certificate of the connection; empty without one.
    pub certificate: Arc<[CertificateName]>,
}

impl Caller {
    /// The network that limits count by.
    pub fn network(&self) -> Network {
        Network::of(self.client)
    }

    /// An audit record of this request.
    pub fn audit(
        &self,
        at: Timestamp,
        account: Option<AccountId>,
        event: AuditEvent,
    ) -> AuditRecord {
        AuditRecord {
            at,
            account,
            network: Some(self.network()),
            request: Some(self.request_id),
            actor: None,
            event,
        }
    }
}
