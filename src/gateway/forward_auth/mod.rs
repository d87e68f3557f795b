//! Forward-auth: another proxy asks at `/.gatehouse/auth` whether a request that it has may pass, and serves it
//! itself.
//!
//! [`original`] reads the request that is asked about, by the parsers that read the gateway's own; it is then
//! decided like any other. [`answer`] words the verdict as the peer expects it. Whoever may ask is a trusted proxy,
//! and the configuration says of which make: what it does not set itself could be the visitor's word.

mod answer;
mod original;

use pingora::proxy::Session;

pub use self::answer::{pass, settle};
use super::{
    arrival::Entrance,
    asker::Asker,
    facts::{Fault, RequestFacts},
    passage::Passage,
    sparingly::Sparingly,
};
use crate::config::ForwardAuthPeer;

/// A request that asks about another.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Who asks.
    pub peer: ForwardAuthPeer,
    /// Whether the answer is for the visitor to see, after the peer was told that the request does not pass.
    pub for_visitor: bool,
}

/// Where peers ask.
const PATH: &[u8] = b"/.gatehouse/auth";

/// The query by which nginx, which gets only a status from its question, asks for what the visitor is to see.
const FOR_VISITOR: &[u8] = b"for-visitor";

impl Call {
    /// Whether a target is one that peers ask at, as this kind of peer writes it: nobody else's spelling counts, so
    /// that a rule of the peer that keeps visitors out has one spelling to think of.
    fn of(target: &[u8], peer: ForwardAuthPeer) -> Option<Self> {
        let rest = target.strip_prefix(PATH)?;
        let for_visitor = match (peer, rest.split_first()) {
            (ForwardAuthPeer::Envoy, Some((b'/', _))) => false,
            (ForwardAuthPeer::Envoy, _) => return None,
            (ForwardAuthPeer::Nginx, Some((b'?', query))) => query == FOR_VISITOR,
            // Caddy and Traefik may add the visitor's query.
            (
                ForwardAuthPeer::Nginx
                | ForwardAuthPeer::Caddy
                | ForwardAuthPeer::Traefik
                | ForwardAuthPeer::Haproxy,
                None | Some((b'?', _)),
            ) => false,
            (
                ForwardAuthPeer::Nginx
                | ForwardAuthPeer::Caddy
                | ForwardAuthPeer::Traefik
                | ForwardAuthPeer::Haproxy,
                Some(_),
            ) => return None,
        };
        Some(Self { peer, for_visitor })
    }
}

/// Notes whether a request asks about another; not when it comes from somebody whose word is not taken, for whom
/// there is no such page.
pub fn note(session: &Session, passage: &mut Passage, sparingly: &Sparingly) {
    let Some(peer) = passage.config().door.forward_auth else {
        return;
    };
    if passage.arrival.entrance != Entrance::Serving {
        return;
    }
    let call = Call::of(session.req_header().raw_path(), peer);
    if call.is_some() && !passage.arrival.trusted {
        if let Some(silenced) = sparingly.due() {
            let (request_id, peer) = (passage.request_id, passage.arrival.peer);
            tracing::warn!(%request_id, %peer, silenced, "forward-auth was asked for by a peer that is not in server.trusted_proxies; it got 404");
        }
        return;
    }
    passage.forward_auth = call;
}

/// The request that is asked about, or this one when it asks about none.
///
/// # Errors
/// When there is none, or more than one, by what the peer says.
pub fn original(
    session: &Session,
    passage: &mut Passage,
    facts: RequestFacts,
) -> Result<RequestFacts, Fault> {
    let (Some(call), Some(believed)) = (passage.forward_auth, &mut passage.believed) else {
        return Ok(facts);
    };
    let request = session.req_header();
    let original = original::read(
        call.peer,
        &original::Asked {
            own: &facts,
            target: request.raw_path().strip_prefix(PATH).unwrap_or_default(),
            headers: &request.headers,
            believed,
        },
    )?;
    if let Some(secure) = original.secure {
        believed.secure = Some(secure);
        passage.tls = secure;
    }
    passage.asker = Asker::of(&original.facts.method, &request.headers);
    Ok(original.facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_ask_in_one_spelling() {
        use ForwardAuthPeer::{Caddy, Envoy, Haproxy, Nginx, Traefik};
        for (target, peer, for_visitor) in [
            ("/.gatehouse/auth", Nginx, Some(false)),
            ("/.gatehouse/auth?for-visitor", Nginx, Some(true)),
            ("/.gatehouse/auth?for-visitor", Caddy, Some(false)),
            ("/.gatehouse/auth?x=1", Caddy, Some(false)),
            ("/.gatehouse/auth", Traefik, Some(false)),
            ("/.gatehouse/auth", Haproxy, Some(false)),
            ("/.gatehouse/auth/", Envoy, Some(false)),
            ("/.gatehouse/auth/x?y", Envoy, Some(false)),
            ("/.gatehouse/auth", Envoy, None),
            ("/.gatehouse/authx", Envoy, None),
            ("/.gatehouse/auth/", Nginx, None),
            ("/.gatehouse/auth/x", Caddy, None),
            ("/.gatehouse/%61uth", Nginx, None),
            ("/.gatehouse//auth", Nginx, None),
            ("/.Gatehouse/auth", Haproxy, None),
            ("/x", Traefik, None),
        ] {
            let call = Call::of(target.as_bytes(), peer);
            assert_eq!(
                call.map(|call| call.for_visitor),
                for_visitor,
                "{target} {peer:?}"
            );
        }
    }
}
