//! Outgoing mail: [`Message`] says what can be written, [`Letter`] is one written out, [`Outbox`] seals it
//! for the store, and the [`Worker`] takes it from there to a [`Transport`].
//!
//! A mail is accepted when the store has it. From then on a crash, a restart or an SMTP outage delays it,
//! until it is no longer worth sending.

mod folder;
mod happening;
mod letter;
mod message;
mod outbox;
mod room;
mod smtp;
mod transport;
mod way;
mod worker;

pub use folder::FolderTransport;
pub use happening::Happening;
pub use letter::{ComposeError, Letter};
pub use message::Message;
pub use outbox::Outbox;
pub use room::MailRoom;
pub use smtp::SmtpTransport;
pub use transport::{DeliveryError, OpenError, Transport, open};
pub use way::Way;
pub use worker::Worker;
