//! What the redirect to the auth host says: which host wants a session, what for, and in which browser. Nothing
//! of it is secret, and nothing of it is believed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::{PATH, flow, need::Need};
use crate::secret::Digest;

/// A wish for a session on another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Which host; whether it is one of ours is yet to be seen.
    pub host: String,
    /// Of the secret that the browser keeps there.
    pub browser: Digest,
    /// What the session has to be.
    pub need: Need,
}

#[derive(Deserialize)]
struct Fields {
    host: String,
    browser: String,
    need: String,
    max_age: Option<u64>,
}

impl Ticket {
    /// From an address's path and query.
    pub fn of(address: &str) -> Option<Self> {
        let (_, query) = address.split_once('?')?;
        let fields: Fields = serde_urlencoded::from_str(query).ok()?;
        if !is_host(&fields.host) || fields.browser.len() != 43 {
            return None;
        }
        let browser = URL_SAFE_NO_PAD.decode(&fields.browser).ok()?;
        Some(Self {
            browser: Digest::from_slice(&browser)?,
            need: Need::parse(&fields.need, fields.max_age)?,
            host: fields.host,
        })
    }

    /// Path and query.
    pub fn address(&self) -> String {
        let browser = self.written_browser();
        let (host, need) = (&self.host, self.need.name());
        match self.need.max_age_s() {
            None => format!("{PATH}?host={host}&browser={browser}&need={need}"),
            Some(max_age) => {
                format!("{PATH}?host={host}&browser={browser}&need={need}&max_age={max_age}")
            }
        }
    }

    /// Which of the flows that the browser keeps there it is of.
    pub fn tag(&self) -> String {
        flow::tag(&self.browser)
    }

    fn written_browser(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.browser.bytes())
    }
}

/// Nothing that could be more than a host in an address. Which hosts there are is the route table's to say.
fn is_host(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Token;

    fn ticket(need: Need) -> Ticket {
        Ticket {
            host: "app.example.com".to_owned(),
            browser: Token::random().digest(),
            need,
        }
    }

    #[test]
    fn a_ticket_is_read_as_it_is_written() {
        for need in [Need::SignIn, Need::Full, Need::StepUp { max_age_s: 300 }] {
            let ticket = ticket(need);
            assert_eq!(Ticket::of(&ticket.address()), Some(ticket));
        }
    }

    #[test]
    fn what_is_no_ticket_is_not_read() {
        let good = ticket(Need::SignIn).address();
        for (part, instead) in [
            ("host=app.example.com", "host="),
            ("host=app.example.com", "host=evil.example:9/.example.com"),
            ("host=app.example.com", "host=a%40evil.example"),
            ("host=app.example.com", "host=evil.example%2f.example.com"),
            ("host=app.example.com", "host=evil.example%5c.example.com"),
            ("host=app.example.com", "host=evil.example%3f.example.com"),
            ("host=app.example.com", "host=evil.example%23.example.com"),
            ("host=app.example.com", "host=App.example.com"),
            ("host=app.example.com", "host=a&host=b"),
            ("host=app.example.com&", ""),
            ("browser=", "browser=x"),
            ("need=sign-in", "need=everything"),
            ("need=sign-in", "need=step-up"),
            ("need=sign-in", "need=step-up&max_age=-1"),
        ] {
            let forged = good.replace(part, instead);
            assert_ne!(forged, good, "{part}");
            assert_eq!(Ticket::of(&forged), None, "{forged}");
        }
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(query in "\\PC*") {
            let _ = Ticket::of(&format!("{PATH}?{query}"));
        }
    }
}
