//! How a pairing goes on, told to the page that waits for it: as server-sent events, and as an answer to those
//! who ask.
//!
//! A stream asks the store twice a second, which works whichever node the approval reaches. It tells what is
//! new, ends with the pairing, and lives no longer than one.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    http::HeaderValue,
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Interval, interval},
};

use super::{LIFESPAN, asking, full_session, offered, offering, pay};
use crate::{
    core::Core,
    id::SessionId,
    limit::Attempt,
    store::PairingStanding,
    web::{
        ask::Ask,
        error::{Outcome, Refusal},
    },
};

/// How often a stream looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Something is sent at least so often, so that whatever lies between keeps the connection.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Beyond this a stream has lost its pairing's end.
const LONGEST: Duration = LIFESPAN.saturating_add(Duration::from_secs(10));

/// What pages listen to.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .route("/.gatehouse/pair/events", get(asking_events))
        .route("/.gatehouse/pair/state", get(asking_state))
        .route("/.gatehouse/pair/phone/events", get(offering_events))
        .route("/.gatehouse/pair/phone/state", get(offering_state))
}

/// Whose pairing a page waits for.
#[derive(Clone, Copy)]
enum Watched {
    /// The one that this browser asked for.
    Asking,
    /// One that follows this session's picture.
    Offering(SessionId),
}

/// What a page is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Told {
    state: &'static str,
    /// Where to go now.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    /// Whether nothing more will come.
    #[serde(skip)]
    last: bool,
}

impl Told {
    const fn new(state: &'static str, last: bool) -> Self {
        Self {
            state,
            location: None,
            last,
        }
    }

    fn of(standing: PairingStanding) -> Self {
        match standing {
            PairingStanding::Waiting => Self::new("waiting", false),
            PairingStanding::Seen => Self::new("seen", false),
            PairingStanding::Approved => Self::new("approved", true),
            PairingStanding::Refused => Self::new("refused", true),
            PairingStanding::Over => Self::new("over", true),
        }
    }
}

impl Watched {
    async fn look(self, ask: &Ask) -> Outcome<Told> {
        Ok(match self {
            Self::Asking => {
                let pairing = asking::own(ask).await?;
                let standing =
                    pairing.map_or(PairingStanding::Over, |pairing| pairing.standing(ask.now()));
                Told::of(standing)
            }
            Self::Offering(session) => match offering::asking_phone(ask, session).await? {
                None => Told::new("waiting", false),
                location => Told {
                    location,
                    ..Told::new("asked", true)
                },
            },
        })
    }
}

async fn asking_events(ask: Ask) -> Outcome {
    offered(&ask)?;
    events(ask, Watched::Asking)
}

async fn asking_state(ask: Ask) -> Outcome {
    offered(&ask)?;
    state(ask, Watched::Asking).await
}

async fn offering_events(ask: Ask) -> Outcome {
    offered(&ask)?;
    let session = full_session(&ask)?.claims.sid;
    events(ask, Watched::Offering(session))
}

async fn offering_state(ask: Ask) -> Outcome {
    offered(&ask)?;
    let session = full_session(&ask)?.claims.sid;
    state(ask, Watched::Offering(session)).await
}

async fn state(ask: Ask, watched: Watched) -> Outcome {
    pay(&ask, Attempt::PairingState)?;
    Ok(Json(watched.look(&ask).await?).into_response())
}

fn events(ask: Ask, watched: Watched) -> Outcome {
    pay(&ask, Attempt::Pairing)?;
    let place = ask
        .core
        .limits
        .open_stream()
        .map_err(|_| Refusal::THROTTLED)?;
    let watch = Watch {
        ask,
        watched,
        looks: interval(LOOK_EVERY),
        until: Instant::now() + LONGEST,
        told: None,
        _place: place,
    };
    let heartbeat = KeepAlive::new().interval(HEARTBEAT);
    let mut answer = Sse::new(watch.events())
        .keep_alive(heartbeat)
        .into_response();
    // Reverse proxies in front gather answers unless they are told not to.
    answer
        .headers_mut()
        .insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(answer)
}

/// One open stream.
struct Watch {
    ask: Ask,
    watched: Watched,
    looks: Interval,
    until: Instant,
    told: Option<Told>,
    _place: OwnedSemaphorePermit,
}

impl Watch {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut watch| async move {
            let told = watch.next().await?;
            // A page without words for the state still hears of it: the name is the event's, the rest its data.
            let data = serde_json::to_string(&told).ok()?;
            let event = Event::default().event(told.state).data(data);
            watch.told = Some(told);
            Some((Ok(event), watch))
        })
    }

    /// What is new, as soon as it is; `None` when nothing more will come. A store that does not answer ends
    /// the stream: the browser asks again a little later.
    async fn next(&mut self) -> Option<Told> {
        if self.told.as_ref().is_some_and(|told| told.last) {
            return None;
        }
        while self.looks.tick().await <= self.until {
            let told = self.watched.look(&self.ask).await.ok()?;
            if self.told.as_ref() != Some(&told) {
                return Some(told);
            }
        }
        // Said, since a browser opens a stream that merely ends again.
        Some(Told::new("late", true))
    }
}
