//! What happens to an account never happens untold: a mail to each of its addresses, with *this was not me*.

use std::time::Duration;

use crate::{
    config::{Config, Origin},
    core::Core,
    email_address::EmailAddress,
    mail::{Happening, Message},
    network::Network,
    secret::Token,
    store::{Account, Notice, Report, Suspect},
};

/// Where *this was not me* leads.
pub const NOT_ME_PATH: &str = "/.gatehouse/not-me";

/// How long a notice is worth sending: an outage over a long weekend delays it, no more.
const WORTH_SENDING: Duration = Duration::from_hours(7 * 24);

/// How long *this was not me* can be said: a mail is read after the holidays as well.
const REPORT_LIFESPAN: Duration = Duration::from_hours(30 * 24);

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
        created_at: now,
        expires_at: now.plus(REPORT_LIFESPAN),
    });
    (!mails.is_empty()).then_some(Notice { mails, report })
}
