//! The data that the store takes and gives.

mod account;
mod credential;
mod email;
mod feed;
mod handoff;
mod held;
mod outbox;
mod pairing;
mod recovery;
mod report;
mod session;

pub use self::{
    account::*, credential::*, email::*, feed::*, handoff::*, held::*, outbox::*, pairing::*,
    recovery::*, report::*, session::*,
};
