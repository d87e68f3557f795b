//! A mail written out, and the bytes that go over the wire (RFC 5322, RFC 2046 §5.1.4).

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lettre::{
    Address,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, email_address::EmailAddress, id::MailId};

/// One mail to one address. It holds links and codes in clear: it rests sealed in the outbox.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// To whom.
    pub to: EmailAddress,
    /// Subject line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// The same in HTML.
    pub html: String,
    /// Its date: when it was written, not when it was sent.
    pub written_at: Timestamp,
}

impl Letter {
    /// The message as SMTP carries it. `Message-ID` comes from the mail's id, so that a mail that was sent
    /// twice across a crash is recognised as one by the receiving side.
    ///
    /// # Errors
    /// When the recipient or a header cannot be written in a message.
    pub fn compose(&self, id: MailId, from: &Mailbox) -> Result<lettre::Message, ComposeError> {
        let to: Address = self.to.as_str().parse()?;
        let message = lettre::Message::builder()
            .message_id(Some(format!("<{id}@{}>", from.email.domain())))
            .date(system_time(self.written_at))
            .from(from.clone())
            .to(Mailbox::new(None, to))
            .subject(&self.subject)
            // No vacation notes in return: RFC 3834 §5, and the older sign for Exchange.
            .raw_header(raw_header("Auto-Submitted", "auto-generated"))
            .raw_header(raw_header("X-Auto-Response-Suppress", "All"))
            .multipart(MultiPart::alternative_plain_html(
                self.text.clone(),
                self.html.clone(),
            ))?;
        Ok(message)
    }
}

/// Kept out of logs.
impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letter")
    }
}

/// A letter cannot be put as a message.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The address means nothing to SMTP.
    #[error("the recipient's address cannot be written in a message")]
    Address(#[from] lettre::address::AddressError),
    /// A header or the envelope is incomplete.
    #[error("the message cannot be put together")]
    Message(#[from] lettre::error::Error),
}

fn raw_header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn system_time(moment: Timestamp) -> SystemTime {
    let since_1970 = u64::try_from(moment.seconds()).unwrap_or(0);
    UNIX_EPOCH + Duration::from_secs(since_1970)
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    #[test]
    fn a_letter_arrives_as_it_was_written() {
        let letter = Letter {
            to: EmailAddress::parse("ann@example.com").unwrap(),
            subject: "1234 5678 is your Søn sign-in code".into(),
            text: format!("Søn\n\nhttps://example.com/{}\n", "a".repeat(120)),
            html: "<p>Søn</p>".into(),
            written_at: Timestamp::from_seconds(1_800_000_000),
        };
        let id = MailId::random();
        let from = "Søn <no-reply@example.com>".parse().unwrap();
        let bytes = letter.compose(id, &from).unwrap().formatted();
        assert!(bytes.is_ascii());

        let mail = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(mail.subject(), Some(letter.subject.as_str()));
        assert_eq!(
            mail.body_text(0).unwrap().replace("\r\n", "\n").trim_end(),
            letter.text.trim_end()
        );
        assert_eq!(mail.body_html(0).unwrap().trim_end(), letter.html);
        assert_eq!(
            mail.to().unwrap().first().unwrap().address(),
            Some("ann@example.com")
        );
        assert_eq!(mail.from().unwrap().first().unwrap().name(), Some("Søn"));
        assert_eq!(
            mail.message_id(),
            Some(format!("{id}@example.com").as_str())
        );
        assert_eq!(mail.date().unwrap().to_timestamp(), 1_800_000_000);
        assert_eq!(
            mail.header("Auto-Submitted").unwrap().as_text(),
            Some("auto-generated")
        );
        assert_eq!(
            mail.header("X-Auto-Response-Suppress").unwrap().as_text(),
            Some("All")
        );
    }

    #[test]
    fn a_subject_cannot_smuggle_a_header() {
        let letter = Letter {
            to: EmailAddress::parse("ann@example.com").unwrap(),
            subject: "Hello\r\nBcc: eve@example.com".into(),
            text: String::new(),
            html: String::new(),
            written_at: Timestamp::from_seconds(0),
        };
        let from = "no-reply@example.com".parse().unwrap();
        let bytes = letter.compose(MailId::random(), &from).unwrap().formatted();
        let mail = MessageParser::default().parse(&bytes).unwrap();
        assert!(mail.bcc().is_none());
    }
}
