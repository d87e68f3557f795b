//! Keeping a POST that meets a challenge: whether it may be kept, reading it within limits, and where it waits.
//!
//! CSRF gains nothing by it: what does not provably come from a page of the very host it goes to is not kept, and
//! what is kept is sent on by a person who is shown it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use pingora::proxy::Session;

use super::{
    asker::Asker,
    body::{self, Incomplete},
    challenge::{Fate, page_of_origin},
    facts::RequestFacts,
    passage::Passage,
};
use crate::{
    config::HoldLimits,
    core::Core,
    held::{self, summary::Summary, vault::Vault},
    id::HeldId,
    limit::Attempt,
    network::Network,
    store::{self, HeldRequest, HoldRoom},
    telemetry::metrics::HoldEvent,
    web::browser::Browser,
};

/// Where a request is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Path and query of the page where it is sent on from.
    pub location: String,
    /// For how long.
    pub lifespan: Duration,
}

/// Why a POST of a browser is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// It comes from another site.
    CrossSite,
    /// The browser does not say where it comes from.
    UnknownOrigin,
    /// It is longer than may be.
    TooLarge,
    /// There is no room left.
    NoRoom,
    /// Many came in a short time.
    Throttled,
    /// Its body did not arrive whole and in time.
    Incomplete,
    /// The store does not answer.
    Unavailable,
}

impl NotKept {
    /// For programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::CrossSite => "cross_site",
            Self::UnknownOrigin => "unknown_origin",
            Self::TooLarge => "too_large",
            Self::NoRoom => "no_room",
            Self::Throttled => "throttled",
            Self::Incomplete => "incomplete",
            Self::Unavailable => "unavailable",
        }
    }

    /// For people, with a space behind it.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::CrossSite => "It came from another site, and such forms are not kept. ",
            Self::UnknownOrigin => {
                "Your browser did not say which page it came from, and such forms are not kept. "
            }
            Self::TooLarge => "It is too large to be kept meanwhile. ",
            Self::NoRoom => "There is no room to keep it right now. ",
            Self::Throttled => "Too much was sent in a short time for it to be kept. ",
            Self::Incomplete => "It did not arrive whole, so it was not kept. ",
            Self::Unavailable => "It cannot be kept right now. ",
        }
    }

    const fn event(self) -> HoldEvent {
        match self {
            Self::CrossSite => HoldEvent::CrossSite,
            Self::UnknownOrigin => HoldEvent::UnknownOrigin,
            Self::TooLarge => HoldEvent::TooLarge,
            Self::NoRoom => HoldEvent::NoRoom,
            Self::Throttled => HoldEvent::Throttled,
            Self::Incomplete => HoldEvent::Incomplete,
            Self::Unavailable => HoldEvent::Unavailable,
        }
    }
}

/// Keeps a request that meets a challenge, if it may be; and the cookie that its browser needs for it.
pub async fn keep(
    core: &Core,
    session: &mut Session,
    passage: &Passage,
    facts: &RequestFacts,
) -> (Fate, Option<HeaderValue>) {
    // Another proxy that asks about a request has its body, and this one has none.
    let Some(limits) = passage
        .config()
        .hold
        .filter(|_| passage.forward_auth.is_none())
    else {
        return (Fate::Gone, None);
    };
    let headers = &session.req_header().headers;
    let secure = passage.is_secure(facts.authority.host());
    let may = match (facts.method == Method::POST, passage.asker) {
        (false, _) | (true, Asker::PageLoad) => None,
        (true, Asker::FormPost | Asker::Program) => match sender(headers, facts, secure) {
            Sender::SamePage => Some(Ok(())),
            Sender::OtherSite => Some(Err(NotKept::CrossSite)),
            // A command line is not told of forms.
            Sender::Unknown if passage.asker == Asker::Program => None,
            Sender::Unknown => Some(Err(NotKept::UnknownOrigin)),
        },
    };
    let kept = match may {
        None => return (Fate::Gone, None),
        Some(Err(reason)) => Err(reason),
        Some(Ok(())) => read_and_keep(core, session, passage, facts, &limits).await,
    };
    match kept {
        Ok((id, cookie)) => {
            core.metrics.held_requests.count(HoldEvent::Held);
            let location = held::address(id);
            let lifespan = limits.lifespan;
            (Fate::Kept(Kept { location, lifespan }), cookie)
        }
        Err(reason) => {
            core.metrics.held_requests.count(reason.event());
            (Fate::NotKept(reason), None)
        }
    }
}

async fn read_and_keep(
    core: &Core,
    session: &mut Session,
    passage: &Passage,
    facts: &RequestFacts,
    limits: &HoldLimits,
) -> Result<(HeldId, Option<HeaderValue>), NotKept> {
    let network = Network::of(passage.client);
    let announced = body::announced(session);
    if announced.is_some_and(|length| length > limits.max_body) {
        return Err(NotKept::TooLarge);
    }
    core.limits
        .charge(Attempt::Hold, network)
        .map_err(|_| NotKept::Throttled)?;
    let bytes = announced.unwrap_or(limits.max_body) as u64;
    let seat = core
        .limits
        .reading
        .take(network, bytes, limits.room_per_network, limits.room)
        .ok_or(NotKept::NoRoom)?;
    let body = body::whole(session, limits.max_body, READING)
        .await
        .map_err(|incomplete| match incomplete {
            Incomplete::TooLarge => NotKept::TooLarge,
            Incomplete::TooSlow | Incomplete::BrokenOff => NotKept::Incomplete,
        })?;
    let browser = Browser::of(&session.req_header().headers);
    let held = sealed(core, session, passage, facts, &browser, &body, limits)
        .ok_or(NotKept::Unavailable)?;
    drop(body);
    let room = HoldRoom {
        total: limits.room,
        per_network: limits.room_per_network,
    };
    let kept = core.store.hold_request(&held, room).await;
    drop(seat);
    match kept {
        Ok(store::Kept::Kept) => Ok((held.id, browser.cookie_to_set())),
        Ok(store::Kept::NoRoom) => Err(NotKept::NoRoom),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(request_id = %passage.request_id, %error, cause, "a request could not be kept");
            Err(NotKept::Unavailable)
        }
    }
}

/// `None` when it does not serialise.
fn sealed(
    core: &Core,
    session: &Session,
    passage: &Passage,
    facts: &RequestFacts,
    browser: &Browser,
    body: &Bytes,
    limits: &HoldLimits,
) -> Option<HeldRequest> {
    let headers = &session.req_header().headers;
    let summary = Summary::of(
        facts.target.path_and_query(),
        headers,
        body.len(),
        passage.asker == Asker::Program,
        page_of_origin(facts, headers).as_deref(),
        passage.request_id,
    );
    let id = HeldId::random();
    let vault = Vault::new(core, browser, facts.authority.host());
    let now = core.clock.now();
    Some(HeldRequest {
        id,
        browser: browser.digest(),
        account: passage.visit.as_ref().map(|visit| visit.account.id),
        network: Network::of(passage.client),
        held_at: now,
        expires_at: now.plus(limits.lifespan),
        summary: vault.seal_summary(id, &summary)?,
        body: vault.seal_body(id, body),
    })
}

/// Where a request comes from, by the browser's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    /// A page of this very origin.
    SamePage,
    /// One of another.
    OtherSite,
    /// It does not say.
    Unknown,
}

/// Fetch Metadata §2.3 and RFC 6454 §7: scripts can set neither field. Both must agree where both are there, but
/// that pages which send no referrer have browsers say `null` of their own origin (Fetch §3.2).
fn sender(headers: &HeaderMap, facts: &RequestFacts, secure: bool) -> Sender {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Ok(Some(value.as_bytes())),
            (Some(_), Some(_)) => Err(Sender::OtherSite),
        }
    };
    let (site, origin) = match (one("sec-fetch-site"), one(header::ORIGIN.as_str())) {
        (Ok(site), Ok(origin)) => (site, origin),
        (Err(sender), _) | (_, Err(sender)) => return sender,
    };
    let own = |origin: &[u8]| is_own(origin, facts, secure);
    match (site, origin) {
        (Some(b"same-origin"), None | Some(b"null")) => Sender::SamePage,
        (Some(b"same-origin") | None, Some(origin)) if own(origin) => Sender::SamePage,
        (None, None | Some(b"null")) => Sender::Unknown,
        (Some(_), _) | (None, Some(_)) => Sender::OtherSite,
    }
}

fn is_own(origin: &[u8], facts: &RequestFacts, secure: bool) -> bool {
    let url = std::str::from_utf8(origin)
        .ok()
        .and_then(|text| url::Url::parse(text).ok());
    let scheme = if secure { "https" } else { "http" };
    url.is_some_and(|url| url.scheme() == scheme && facts.authority.is_of(&url))
}

/// For a whole body: a megabyte over a line of 70 kbit/s. Silence on HTTP/1.1 ends it sooner.
const READING: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;
    use crate::{gateway::authority::Authority, policy::target::Target};

    #[test]
    fn what_does_not_provably_come_from_the_same_origin_is_not_kept() {
        let facts = RequestFacts {
            destination: None,
            method: Method::POST,
            authority: Authority::parse(b"app.example:8443").unwrap(),
            target: Target::parse(b"/transfer").unwrap(),
        };
        let site = |value: &'static str| ("sec-fetch-site", value);
        let origin = |value: &'static str| ("origin", value);
        let own = origin("https://app.example:8443");
        let cases = [
            (vec![site("same-origin"), own], Sender::SamePage),
            (vec![site("same-origin")], Sender::SamePage),
            (vec![site("same-origin"), origin("null")], Sender::SamePage),
            (vec![own], Sender::SamePage),
            (vec![], Sender::Unknown),
            (vec![origin("null")], Sender::Unknown),
            (vec![site("cross-site"), own], Sender::OtherSite),
            (vec![site("same-site"), own], Sender::OtherSite),
            (vec![site("none"), own], Sender::OtherSite),
            (vec![site("none")], Sender::OtherSite),
            (vec![site("Same-Origin"), own], Sender::OtherSite),
            (
                vec![site("same-origin"), site("same-origin")],
                Sender::OtherSite,
            ),
            (vec![own, own], Sender::OtherSite),
            (
                vec![site("same-origin"), origin("https://evil.example")],
                Sender::OtherSite,
            ),
            (vec![origin("https://evil.example")], Sender::OtherSite),
            (vec![origin("http://app.example:8443")], Sender::OtherSite),
            (vec![origin("https://app.example")], Sender::OtherSite),
            (
                vec![origin("https://app.example:8443.evil.example")],
                Sender::OtherSite,
            ),
            (vec![origin("")], Sender::OtherSite),
        ];
        for (fields, expected) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in &fields {
                let name = HeaderName::from_static(name);
                headers.append(name, HeaderValue::from_static(value));
            }
            assert_eq!(sender(&headers, &facts, true), expected, "{fields:?}");
        }
    }
}
