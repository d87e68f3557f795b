//! What happens to an account never happens untold: a mail to each of its addresses, with *this was not me*.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    config::{Config, Origin},
    core::Core,
    email_address::EmailAddress,
    mail::{Happening, Message},
    network::Network,
    secret::Token,
    store::{Account, Notice, OutboxMail, Report, Suspect},
};

/// Where *this was not me* leads.
pub const NOT_ME_PATH: &str = "/.gatehouse/not-me";

/// How long a notice is worth sending: an outage over a long weekend delays it, no more.
const WORTH_SENDING: Duration = Duration::from_hours(7 * 24);

/// How long *this was not me* can be said: a mail is read after the holidays as well. Not much longer: who takes
/// over a mailbox finds the old mails there, and could stop with them what the owner has saved since.
const REPORT_LIFESPAN: Duration = Duration::from_hours(14 * 24);

/// Something to tell, and where it came from.
pub struct Telling<'a> {
    /// What happened.
    pub what: Happening,
    /// Browser and system it was done with, if a person did it.
    pub device: Option<&'a str>,
    /// Where it was done from.
    pub network: Option<Network>,
    /// What *this was not me* stops; `None` leaves that out of the mail.
    pub suspect: Option<Suspect>,
}

/// What administrators are told when somebody says "this was not me".
pub struct Alarm {
    /// What they say they have not done, in a sentence or two.
    pub about: String,
    /// The passkey that it is about.
    pub label: Option<String>,
    /// When it happened.
    pub happened_at: Timestamp,
}

/// Writes an alarm about an account to the administrators' addresses. None where there is no mail.
pub fn alarm<'a>(
    core: &Core,
    config: &Config,
    origin: &Origin,
    account: &Account,
    addresses: impl IntoIterator<Item = &'a EmailAddress>,
    alarm: Alarm,
) -> Vec<OutboxMail> {
    if config.mail.is_none() {
        return Vec::new();
    }
    let now = core.clock.now();
    let message = Message::Alarm {
        login: account.login.clone(),
        about: alarm.about,
        label: alarm.label,
        happened_at: alarm.happened_at,
        at: now,
        account_url: origin.join(&format!("/.gatehouse/admin/accounts/{}", account.id)),
    };
    let (branding, subject) = (&config.branding, Some(account.id));
    let worth_until = now.plus(WORTH_SENDING);
    addresses
        .into_iter()
        .map(|address| {
            core.outbox
                .prepare(address, &message, branding, subject, now, worth_until)
        })
        .collect()
}

/// Writes a notice to `addresses` of an account; the step of the store that makes it happen keeps it. `None`
/// where there is no address or no mail.
pub fn write<'a>(
    core: &Core,
    config: &Config,
    origin: &Origin,
    account: &Account,
    addresses: impl IntoIterator<Item = &'a EmailAddress>,
    telling: Telling<'_>,
) -> Option<Notice> {
    config.mail.as_ref()?;
    let now = core.clock.now();
    let token = Token::random();
    let about = telling.what.lead();
    let message = Message::Notice {
        what: telling.what,
        device: telling.device.map(str::to_owned),
        network: telling.network,
        at: now,
        account_url: origin.join("/.gatehouse/account"),
        not_me_url: telling
            .suspect
            .is_some()
            .then(|| origin.join(&format!("{NOT_ME_PATH}?token={}", token.reveal()))),
    };
    let worth_until = now.plus(WORTH_SENDING);
    let mails: Vec<_> = addresses
        .into_iter()
        .map(|address| {
            let (branding, account) = (&config.branding, Some(account.id));
            core.outbox
                .prepare(address, &message, branding, account, now, worth_until)
        })
        .collect();
    let report = telling.suspect.map(|suspect| Report {
        digest: token.digest(),
        account: account.id,
        suspect,
        about,
        created_at: now,
        expires_at: now.plus(REPORT_LIFESPAN),
    });
    (!mails.is_empty()).then_some(Notice { mails, report })
}
