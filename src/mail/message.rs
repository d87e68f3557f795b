//! Everything that Gatehouse writes to people, in words: one variant, one text and one HTML template each.
//!
//! The only links in a mail are those of its variant. What a person or a browser chose (a passkey's label,
//! a device's name) is quoted as plain words that no mail program turns into a link.

use std::{fmt, time::Duration};

use askama::Template;
use time::{OffsetDateTime, macros::format_description};

use super::{
    happening::{Happening, Words},
    letter::Letter,
};
use crate::{clock::Timestamp, config::Branding, email_address::EmailAddress, network::Network};

/// A mail to one person.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// A link and a code to sign in with, asked for on the sign-in page.
    SignIn {
        /// Opens the confirmation page.
        link: String,
        /// Eight digits, for the page that asked.
        code: String,
        /// How long both are good for.
        lifespan: Duration,
    },
    /// An operator made an account for this address.
    Invitation {
        /// Opens the page that saves the first passkey.
        link: String,
        /// How long it is good for.
        lifespan: Duration,
    },
    /// A link and a code that prove a new address of an account.
    ChangeAddress {
        /// Opens the confirmation page.
        link: String,
        /// Eight digits, for the page that asked.
        code: String,
        /// How long both are good for.
        lifespan: Duration,
    },
    /// To an administrator: somebody said "this was not me".
    Alarm {
        /// Whose account.
        login: String,
        /// What they say they have not done.
        about: String,
        /// The passkey that it is about.
        label: Option<String>,
        /// When that happened.
        happened_at: Timestamp,
        /// When they said so.
        at: Timestamp,
        /// The account, on the administrators' pages.
        account_url: String,
    },
    /// Something happened to the account.
    Notice {
        /// What.
        what: Happening,
        /// Browser and system it was done with; `None` for what an administrator did.
        device: Option<String>,
        /// The network it was done from.
        network: Option<Network>,
        /// When.
        at: Timestamp,
        /// The account page.
        account_url: String,
        /// Stops it.
        not_me_url: Option<String>,
    },
}

impl Message {
    /// Writes it out to one address in the operator's name. `now` becomes its date.
    pub fn write(&self, to: &EmailAddress, branding: &Branding, now: Timestamp) -> Letter {
        let brand = Brand {
            name: &branding.name,
            accent: branding.accent.as_deref().unwrap_or(DEFAULT_ACCENT),
        };
        let (text, html) = self.bodies(brand);
        Letter {
            to: to.clone(),
            subject: self.subject(brand.name),
            text,
            html,
            written_at: now,
        }
    }

    /// Holds nothing that a stranger could have chosen: subjects are what people act on at a glance.
    fn subject(&self, name: &str) -> String {
        match self {
            Self::SignIn { code, .. } => format!("{} is your {name} sign-in code", in_fours(code)),
            Self::Invitation { .. } => format!("Your invitation to {name}"),
            Self::ChangeAddress { code, .. } => {
                format!("{} confirms your new {name} address", in_fours(code))
            }
            Self::Alarm { .. } => format!("Somebody said “this was not me” at {name}"),
            Self::Notice { what, .. } => what.words(name, moment_in_words).subject,
        }
    }

    fn bodies(&self, brand: Brand<'_>) -> (String, String) {
        match self {
            Self::SignIn {
                link,
                code,
                lifespan,
            } => {
                let code = &in_fours(code);
                let lifespan = &in_words(*lifespan);
                (
                    written(&SignInText {
                        brand,
                        link,
                        code,
                        lifespan,
                    }),
                    written(&SignInHtml {
                        brand,
                        link,
                        code,
                        lifespan,
                    }),
                )
            }
            Self::Invitation { link, lifespan } => {
                let lifespan = &in_words(*lifespan);
                (
                    written(&InvitationText {
                        brand,
                        link,
                        lifespan,
                    }),
                    written(&InvitationHtml {
                        brand,
                        link,
                        lifespan,
                    }),
                )
            }
            Self::ChangeAddress {
                link,
                code,
                lifespan,
            } => {
                let code = &in_fours(code);
                let lifespan = &in_words(*lifespan);
                (
                    written(&ChangeAddressText {
                        brand,
                        link,
                        code,
                        lifespan,
                    }),
                    written(&ChangeAddressHtml {
                        brand,
                        link,
                        code,
                        lifespan,
                    }),
                )
            }
            Self::Alarm {
                login,
                about,
                label,
                happened_at,
                at,
                account_url,
            } => {
                let facts = &alarm_facts(login, label.as_deref(), *happened_at, *at);
                (
                    written(&AlarmText {
                        brand,
                        about,
                        facts,
                        account_url,
                    }),
                    written(&AlarmHtml {
                        brand,
                        about,
                        facts,
                        account_url,
                    }),
                )
            }
            Self::Notice {
                what,
                device,
                network,
                at,
                account_url,
                not_me_url,
            } => {
                let words = &what.words(brand.name, moment_in_words);
                let facts = &facts(what, device.as_deref(), *network, *at);
                let not_me_url = not_me_url.as_deref();
                (
                    written(&HappeningText {
                        brand,
                        words,
                        facts,
                        account_url,
                        not_me_url,
                    }),
                    written(&HappeningHtml {
                        brand,
                        words,
                        facts,
                        account_url,
                        not_me_url,
                    }),
                )
            }
        }
    }
}

/// Links and codes stay out of logs.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignIn { .. } => "SignIn",
            Self::Invitation { .. } => "Invitation",
            Self::ChangeAddress { .. } => "ChangeAddress",
            Self::Alarm { .. } => "Alarm",
            Self::Notice { .. } => "Notice",
        })
    }
}

/// In whose name a mail is written.
#[derive(Clone, Copy)]
struct Brand<'a> {
    name: &'a str,
    accent: &'a str,
}

/// A bar of this colour tops mails of operators who chose none.
const DEFAULT_ACCENT: &str = "#2563eb";

/// What is known of a happening, by name, ready to be read.
fn facts(
    what: &Happening,
    device: Option<&str>,
    network: Option<Network>,
    at: Timestamp,
) -> Vec<(&'static str, String)> {
    [
        ("Passkey", what.label().map(plain_words)),
        ("Done with", device.map(plain_words)),
        (
            "From the network",
            network.map(|network| network.to_string()),
        ),
        ("When", Some(moment_in_words(at))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// An address is shown whole: that a mail program makes a link of it does no harm.
fn alarm_facts(
    login: &str,
    label: Option<&str>,
    happened_at: Timestamp,
    at: Timestamp,
) -> Vec<(&'static str, String)> {
    let login = match EmailAddress::parse(login) {
        Some(address) => address.as_str().to_owned(),
        None => plain_words(login),
    };
    [
        ("Account", Some(login)),
        ("Passkey", label.map(plain_words)),
        ("It happened", Some(moment_in_words(happened_at))),
        ("They said so", Some(moment_in_words(at))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

#[derive(Template)]
#[template(path = "mail_change_address.txt")]
struct ChangeAddressText<'a> {
    brand: Brand<'a>,
    link: &'a str,
    code: &'a str,
    lifespan: &'a str,
}

#[derive(Template)]
#[template(path = "mail_change_address.html")]
struct ChangeAddressHtml<'a> {
    brand: Brand<'a>,
    link: &'a str,
    code: &'a str,
    lifespan: &'a str,
}

#[derive(Template)]
#[template(path = "mail_alarm.txt")]
struct AlarmText<'a> {
    brand: Brand<'a>,
    about: &'a str,
    facts: &'a [(&'static str, String)],
    account_url: &'a str,
}

#[derive(Template)]
#[template(path = "mail_alarm.html")]
struct AlarmHtml<'a> {
    brand: Brand<'a>,
    about: &'a str,
    facts: &'a [(&'static str, String)],
    account_url: &'a str,
}

#[derive(Template)]
#[template(path = "mail_sign_in.txt")]
struct SignInText<'a> {
    brand: Brand<'a>,
    link: &'a str,
    code: &'a str,
    lifespan: &'a str,
}

#[derive(Template)]
#[template(path = "mail_sign_in.html")]
struct SignInHtml<'a> {
    brand: Brand<'a>,
    link: &'a str,
    code: &'a str,
    lifespan: &'a str,
}

#[derive(Template)]
#[template(path = "mail_invitation.txt")]
struct InvitationText<'a> {
    brand: Brand<'a>,
    link: &'a str,
    lifespan: &'a str,
}

#[derive(Template)]
#[template(path = "mail_invitation.html")]
struct InvitationHtml<'a> {
    brand: Brand<'a>,
    link: &'a str,
    lifespan: &'a str,
}

#[derive(Template)]
#[template(path = "mail_happening.txt")]
struct HappeningText<'a> {
    brand: Brand<'a>,
    words: &'a Words,
    facts: &'a [(&'static str, String)],
    account_url: &'a str,
    not_me_url: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "mail_happening.html")]
struct HappeningHtml<'a> {
    brand: Brand<'a>,
    words: &'a Words,
    facts: &'a [(&'static str, String)],
    account_url: &'a str,
    not_me_url: Option<&'a str>,
}

fn written(template: &impl Template) -> String {
    template
        .render()
        .expect("writing text into a String does not fail")
}

/// `12345678` as `1234 5678`: read aloud and typed in halves.
fn in_fours(code: &str) -> String {
    let digits: Vec<char> = code.chars().collect();
    let groups: Vec<String> = digits.chunks(4).map(|four| four.iter().collect()).collect();
    groups.join(" ")
}

/// In the largest unit that needs no fraction: `15 minutes`, `1 hour`, `7 days`.
fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (length, unit) = [(86_400, "day"), (3_600, "hour"), (60, "minute")]
        .into_iter()
        .find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length))
        .unwrap_or((1, "second"));
    let count = seconds / length;
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

fn moment_in_words(at: Timestamp) -> String {
    let words =
        format_description!("[day padding:none] [month repr:long] [year] at [hour]:[minute] UTC");
    OffsetDateTime::from_unix_timestamp(at.seconds())
        .ok()
        .and_then(|moment| moment.format(words).ok())
        .unwrap_or_else(|| at.to_string())
}

/// At most 64 characters on one line, in which mail programs find no address to link to: a passkey called
/// `call https://evil.example` must not become a working link in a mail that people trust.
fn plain_words(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars().take(64).peekable();
    while let Some(character) = characters.next() {
        let breaks =
            character.is_control() || character.is_whitespace() || "/\\:@<>".contains(character);
        plain.push(if breaks { ' ' } else { character });
        if character == '.' && characters.peek().is_some_and(|next| next.is_alphabetic()) {
            plain.push(' ');
        }
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
