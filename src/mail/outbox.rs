//! The way into the outbox: a message is written out and sealed here, stored by the caller within its own
//! transaction, and sent by the [`Worker`](super::Worker).

use std::sync::Arc;

use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::{Letter, Message};
use crate::{
    clock::Timestamp,
    config::Branding,
    email_address::EmailAddress,
    id::{AccountId, MailId},
    secret::{Purpose, Sealer, ServerSecret},
    store::OutboxMail,
};

/// Seals mails for the store and tells the worker when there are some. Clones share both.
#[derive(Clone, Debug)]
pub struct Outbox {
    sealer: Arc<Sealer>,
    arrivals: Arc<Notify>,
}

impl Outbox {
    /// With the sealing key that belongs to this server's secret.
    pub fn new(secret: &ServerSecret) -> Self {
        Self {
            sealer: Arc::new(secret.sealer(Purpose::Outbox)),
            arrivals: Arc::default(),
        }
    }

    /// A mail to hand to the store, due at once and dropped unsent from `worth_until` on. `account` is whose
    /// deletion forgets it. Call [`wake`](Self::wake) once the store has it.
    pub fn prepare(
        &self,
        to: &EmailAddress,
        message: &Message,
        branding: &Branding,
        account: Option<AccountId>,
        now: Timestamp,
        worth_until: Timestamp,
    ) -> OutboxMail {
        let id = MailId::random();
        OutboxMail {
            id,
            account,
            sealed: self.seal(id, &message.write(to, branding, now)),
            due_at: now,
            expires_at: worth_until,
            tries: 0,
        }
    }

    /// Has the worker look into the store now rather than at its next poll.
    pub fn wake(&self) {
        self.arrivals.notify_one();
    }

    /// Returns after the next [`wake`](Self::wake), or at once if one was not heard yet.
    pub(super) async fn woken(&self) {
        self.arrivals.notified().await;
    }

    /// What was sealed under this mail's id; `None` when it was sealed with another secret, or altered.
    pub(super) fn open(&self, mail: &OutboxMail) -> Option<Letter> {
        let letter = self
            .sealer
            .open(context(&mail.id).as_slice(), &mail.sealed)?;
        serde_json::from_slice(&letter).ok()
    }

    fn seal(&self, id: MailId, letter: &Letter) -> Vec<u8> {
        let letter = serde_json::to_vec(letter).expect("a letter is plain strings and a number");
        self.sealer
            .seal(context(&id).as_slice(), &Zeroizing::new(letter))
    }
}

/// The id ties the sealed letter to its row: rows cannot be swapped in the store.
fn context(id: &MailId) -> [u8; 16] {
    id.uuid().into_bytes()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn prepared(outbox: &Outbox) -> OutboxMail {
        let message = Message::SignIn {
            link: "https://app.example.com/link?t=abc".into(),
            code: "12345678".into(),
            lifespan: Duration::from_secs(900),
        };
        let branding = Branding {
            name: "Example".into(),
            logo: None,
            accent: None,
        };
        outbox.prepare(
            &EmailAddress::parse("ann@example.com").unwrap(),
            &message,
            &branding,
            None,
            Timestamp::from_seconds(100),
            Timestamp::from_seconds(1_000),
        )
    }

    #[test]
    fn a_row_of_the_outbox_tells_neither_address_nor_link_nor_code() {
        let mail = prepared(&Outbox::new(&ServerSecret::random()));
        for hidden in [
            "ann@example.com",
            "t=abc",
            "12345678",
            "1234 5678",
            "Example",
        ] {
            assert!(
                !mail
                    .sealed
                    .windows(hidden.len())
                    .any(|part| part == hidden.as_bytes())
            );
        }
    }

    #[test]
    fn a_mail_opens_under_its_own_id_and_secret_alone() {
        let outbox = Outbox::new(&ServerSecret::random());
        let mail = prepared(&outbox);
        assert_eq!(outbox.open(&mail).unwrap().to.as_str(), "ann@example.com");

        let swapped = OutboxMail {
            id: MailId::random(),
            ..mail.clone()
        };
        assert!(outbox.open(&swapped).is_none());
        assert!(Outbox::new(&ServerSecret::random()).open(&mail).is_none());
    }
}
