//! Sending on what is kept: the button of the page `/.gatehouse/resume` goes to the address that the kept request
//! goes to, and that takes the button's place here.
//!
//! The request is recognised before it is decided on, becomes the kept one but for who sends it, is judged like
//! any other, and takes the body out of the store only when it may pass. It goes on a connection of its own and
//! to one server, once. When no server could be reached nothing was sent, and it waits again.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderName, Method, header};
use pingora::{
    http::{RequestHeader, ResponseHeader},
    proxy::Session,
};

use super::{
    asker::Asker,
    body::{self, Incomplete},
    challenge::Fate,
    facts::RequestFacts,
    holding::Kept,
    passage::Passage,
    refusal::{Refusal, WayOn},
};
use crate::{
    core::Core,
    held::{self, Claimant, Waiting, over::Over, summary::Summary, vault::Vault},
    id::HeldId,
    limit::Attempt,
    network::Network,
    store::Take,
    telemetry::metrics::HoldEvent,
    web::{ask, browser::Browser},
};

/// How far a request has come with what is to be sent in its place.
#[derive(Debug, Default)]
pub enum Resuming {
    /// It is a request like any other.
    #[default]
    No,
    /// It was to send something, and will not.
    Refused,
    /// It is to send this, which is still kept.
    Found(Box<Waiting>),
    /// It sends this, which nobody else does.
    Taken {
        /// Its id.
        id: HeldId,
        /// Its body.
        body: Bytes,
        /// Whether any server may have some of it.
        sending: bool,
    },
    /// No server could be reached, and it waits again.
    GivenBack(HeldId),
}

impl Resuming {
    /// What a challenge has to lead back to.
    pub fn fate(&self, passage: &Passage) -> Option<Fate> {
        let id = match self {
            Self::No => return None,
            Self::Refused => return Some(Fate::Gone),
            Self::Found(waiting) => waiting.id,
            Self::Taken { id, .. } | Self::GivenBack(id) => *id,
        };
        let hold = passage.config().hold;
        Some(Fate::StillKept(Kept {
            location: held::address(id),
            lifespan: hold.map_or_else(Default::default, |hold| hold.lifespan),
        }))
    }

    /// A refusal, with what it means for what was to be sent.
    pub fn explain<'a>(&self, refusal: &'a Refusal) -> Cow<'a, Refusal> {
        let (message, again) = match self {
            Self::No | Self::Refused => return Cow::Borrowed(refusal),
            Self::Found(waiting) => (nothing_sent(refusal), Some(waiting.id)),
            Self::Taken {
                id, sending: false, ..
            }
            | Self::GivenBack(id) => (nothing_sent(refusal), Some(*id)),
            Self::Taken { sending: true, .. } => {
                let look = "Look in the application whether what you sent arrived before you enter it anew.";
                (format!("{} {look}", refusal.message), None)
            }
        };
        let again = again.map(|id| WayOn {
            location: held::address(id),
            label: "Back to what you entered",
        });
        Cow::Owned(Refusal {
            message: message.into(),
            way_on: again.or_else(|| refusal.way_on.clone()),
            ..refusal.clone()
        })
    }

    /// Notes that a server is about to get it.
    pub const fn note_sending(&mut self) {
        if let Self::Taken { sending, .. } = self {
            *sending = true;
        }
    }

    /// Puts its body in the place of the button's, which has been read whole.
    pub fn put_body(&self, piece: &mut Option<Bytes>, is_last: bool) {
        if let Self::Taken { body, .. } = self {
            *piece = Some(if is_last { body.clone() } else { Bytes::new() });
        }
    }

    /// Tells the page's script that an answer is the gateway's, and that nothing was sent.
    ///
    /// # Errors
    /// None in practice: the value is a header.
    pub fn mark(&self, head: &mut ResponseHeader) -> pingora::Result<()> {
        match self {
            Self::No | Self::Taken { sending: true, .. } => Ok(()),
            Self::Refused
            | Self::Found(_)
            | Self::Taken { sending: false, .. }
            | Self::GivenBack(_) => head.insert_header(MARK, "not-sent"),
        }
    }
}

/// Looks whether a request is the button of our page, and then makes it the kept one: its fields are put in the
/// place of the button's.
///
/// # Errors
/// Why it is not sent.
pub async fn recognise(
    core: &Core,
    session: &mut Session,
    passage: &mut Passage,
    facts: &RequestFacts,
) -> Result<(), Refusal> {
    // Another proxy that asks about a request says its method, and has its body.
    let is_asked_about = passage.forward_auth.is_some();
    if is_asked_about || !may_be_button(session, passage.asker, facts) {
        return Ok(());
    }
    let patience = passage.config().door.limits.stall_timeout;
    let button = match body::marked(session, BEGINNING, MAX_BUTTON, patience).await {
        Ok(None) => return Ok(()),
        Ok(Some(button)) => Ok(button),
        Err(incomplete) => Err(incomplete),
    };
    passage.resuming = Resuming::Refused;
    let button = button.map_err(Incomplete::refusal)?;
    let waiting = match Button::read(&button) {
        Some(button) => found(core, session, passage, facts, &button).await?,
        None => return Err(refuse(core, Over::Forged)),
    };
    become_held(session.req_header_mut(), &waiting.summary).map_err(|_| Refusal::internal())?;
    passage.resuming = Resuming::Found(Box::new(waiting));
    Ok(())
}

/// Takes what is to be sent; from here on it is sent by this request or by none.
///
/// # Errors
/// Why it is not sent.
pub async fn take(
    core: &Core,
    session: &Session,
    passage: &mut Passage,
    host: &str,
) -> Result<(), Refusal> {
    let waiting = match std::mem::take(&mut passage.resuming) {
        Resuming::Found(waiting) => waiting,
        other => {
            passage.resuming = other;
            return Ok(());
        }
    };
    passage.resuming = Resuming::Refused;
    // A route may have become public meanwhile.
    if waiting.of_account && passage.visit.is_none() {
        return Err(refuse(core, Over::OtherAccount));
    }
    let id = waiting.id;
    let entered_as = waiting.summary.request;
    let browser = Browser::of(&session.req_header().headers);
    let taken = core
        .store
        .take_held(id, &browser.digest(), core.clock.now())
        .await;
    let sealed = match taken {
        Ok(Take::Taken(sealed)) => sealed,
        Ok(Take::Over(state)) => return Err(refuse(core, state.into())),
        Ok(Take::Unknown) => return Err(refuse(core, Over::NotFound)),
        Err(error) => return Err(refuse(core, Over::unavailable(error))),
    };
    let vault = Vault::new(core, &browser, host);
    let body = vault
        .open_body(id, &sealed)
        .ok_or_else(|| refuse(core, Over::NotFound))?;
    tracing::info!(request_id = %passage.request_id, %entered_as, "a kept request is sent on");
    if let Some(forwarding) = &mut passage.forwarding {
        forwarding.connect_anew();
    }
    passage.resuming = Resuming::Taken {
        id,
        body,
        sending: false,
    };
    Ok(())
}

/// Notes that forwarding failed: what no server has any of waits again, before its sender is told.
pub async fn failed(core: &Core, passage: &mut Passage) {
    if let Resuming::Taken {
        id, sending: false, ..
    } = passage.resuming
    {
        passage.resuming = match core.store.give_back_held(id, core.clock.now()).await {
            Ok(true) => {
                core.metrics.held_requests.count(HoldEvent::GivenBack);
                Resuming::GivenBack(id)
            }
            // Its time ran out on the way.
            Ok(false) => Resuming::Refused,
            Err(error) => {
                Over::unavailable(error);
                Resuming::Refused
            }
        };
    }
}

/// Notes the end of the request: what was sent is dropped.
pub async fn settle(core: &Core, passage: &mut Passage) {
    failed(core, passage).await;
    if let Resuming::Taken { id, .. } = passage.resuming {
        core.metrics.held_requests.count(HoldEvent::Resumed);
        if let Err(error) = core.store.empty_held(id).await {
            let request_id = passage.request_id;
            tracing::warn!(%request_id, %error, "what was sent on is still kept, sealed, until its time is over");
        }
    }
}

/// Only forms with this encoding, or what our page's script says is one, are looked into: what an app's own pages
/// send is hardly ever among them.
fn may_be_button(session: &Session, asker: Asker, facts: &RequestFacts) -> bool {
    if facts.method != Method::POST {
        return false;
    }
    let headers = &session.req_header().headers;
    let plain = headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        let essence = kind.as_bytes().split(|byte| *byte == b';').next();
        essence.is_some_and(|essence| essence.trim_ascii().eq_ignore_ascii_case(b"text/plain"))
    });
    plain && (asker == Asker::FormPost || headers.contains_key(MARK))
}

async fn found(
    core: &Core,
    session: &Session,
    passage: &Passage,
    facts: &RequestFacts,
    button: &Button,
) -> Result<Waiting, Refusal> {
    core.limits
        .charge(Attempt::Resume, Network::of(passage.client))
        .map_err(|_| refuse(core, Over::Throttled))?;
    let headers = &session.req_header().headers;
    let browser = Browser::of(headers);
    let host = facts.authority.host();
    let from_here = ask::is_from_here(headers, &passage.config().relying_party, host);
    if !from_here || !browser.accepts(&button.form_token, &core.secret) {
        return Err(refuse(core, Over::Forged));
    }
    let claimant = Claimant {
        browser: &browser,
        host,
        visit: passage.visit.as_ref(),
    };
    let waiting = held::find(core, button.id, claimant)
        .await
        .map_err(in_words)?;
    if waiting.summary.target != facts.target.path_and_query() {
        return Err(refuse(core, Over::Elsewhere));
    }
    Ok(waiting)
}

/// What the button of our page sends.
struct Button {
    id: HeldId,
    form_token: String,
}

impl Button {
    /// From a form's `text/plain` encoding (HTML §4.10.21.8), a line for each field.
    fn read(body: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(body).ok()?.lines();
        let id = lines.next()?.strip_prefix("gatehouse-held=")?;
        let form_token = lines.next()?.strip_prefix("form_token=")?;
        let nothing_else = lines.next().is_none();
        HeldId::parse(id).filter(|_| nothing_else).map(|id| Self {
            id,
            form_token: form_token.to_owned(),
        })
    }
}

/// The whole request describes what is kept from here on.
fn become_held(request: &mut RequestHeader, summary: &Summary) -> pingora::Result<()> {
    let mut fields = request.headers.clone();
    summary.take_over(&mut fields);
    let names: Vec<HeaderName> = request.headers.keys().cloned().collect();
    for name in names {
        request.remove_header(&name);
    }
    for (name, value) in &fields {
        request.append_header(name.clone(), value.clone())?;
    }
    Ok(())
}

fn nothing_sent(refusal: &Refusal) -> String {
    format!("Nothing was sent. {}", refusal.message)
}

/// A refusal that is counted.
fn refuse(core: &Core, over: Over) -> Refusal {
    core.metrics.held_requests.count(over.event());
    in_words(over)
}

fn in_words(over: Over) -> Refusal {
    let words = over.refusal();
    Refusal {
        status: words.status,
        code: words.code,
        heading: words.heading,
        message: words.sentence.into(),
        way_on: words.way_on.map(|(location, label)| WayOn {
            location: location.to_owned(),
            label,
        }),
        ..Refusal::internal()
    }
}

/// Said by our page's script of its button, and by the gateway of an answer to it.
const MARK: &str = "x-gatehouse-held";
/// What the button's body begins with; nothing that begins so reaches an app.
const BEGINNING: &[u8] = b"gatehouse-held=";
/// An id of 32 characters and a token of 43, with their names.
const MAX_BUTTON: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_button_is_read_as_browsers_write_it_and_in_no_other_way() {
        let id = HeldId::random();
        let read = |text: String| Button::read(text.as_bytes());
        let button = read(format!("gatehouse-held={id}\r\nform_token=abc\r\n")).unwrap();
        assert_eq!((button.id, button.form_token.as_str()), (id, "abc"));
        for text in [
            String::new(),
            "gatehouse-held=x\r\nform_token=abc\r\n".to_owned(),
            format!("gatehouse-held={id}\r\n"),
            format!("gatehouse-held={id}&form_token=abc"),
            format!("form_token=abc\r\ngatehouse-held={id}\r\n"),
            format!("gatehouse-held={id}\r\nform_token=abc\r\nmore=1\r\n"),
        ] {
            assert!(read(text.clone()).is_none(), "{text}");
        }
        assert!(Button::read(b"gatehouse-held=\xff").is_none());
    }

    #[test]
    fn a_refusal_says_what_became_of_what_was_to_be_sent() {
        let down = Refusal::upstream_down();
        assert_eq!(*Resuming::No.explain(&down), down);
        let id = HeldId::random();
        let back = Resuming::GivenBack(id).explain(&down).into_owned();
        assert!(
            back.message
                .starts_with("Nothing was sent. It does not answer")
        );
        assert_eq!(back.way_on.unwrap().location, held::address(id));
        let mut sending = Resuming::Taken {
            id,
            body: Bytes::new(),
            sending: false,
        };
        sending.note_sending();
        let sent = sending.explain(&down).into_owned();
        assert!(!sent.message.contains("Nothing was sent"));
        assert!(sent.message.contains("Look in the application") && sent.way_on.is_none());
    }
}
