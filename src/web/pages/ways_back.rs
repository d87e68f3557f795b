//! The pages of getting back in: backup codes, what the person lets recover the account, reminders.

use askama::Template;

use super::Frame;
use crate::ways_back::{ByBackupCodes, ByEmail, Lack, WaysBack};

/// Signing in with a backup code.
#[derive(Debug, Template)]
#[template(path = "recover_code.html")]
pub struct RecoverByCode<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Where to go afterwards.
    pub return_to: &'a str,
    /// The address or login name as it was typed.
    pub name: &'a str,
    /// What is wrong, whatever it is.
    pub error: Option<&'a str>,
}

/// What backup codes are, and the button that makes some.
#[derive(Debug, Template)]
#[template(path = "make_backup_codes.html")]
pub struct MakeBackupCodes<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Where to go afterwards.
    pub return_to: &'a str,
    /// How many there are in a set.
    pub count: u8,
    /// Whether codes sign in now.
    pub state: ByBackupCodes,
    /// When those were made that new ones take the place of.
    pub older_made: Option<String>,
    /// How many of them are not used yet.
    pub older_left: u32,
    /// Names that set, sent back by the button.
    pub older: &'a str,
}

/// New backup codes, shown once.
#[derive(Template)]
#[template(path = "backup_codes_made.html")]
pub struct BackupCodesMade<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Where to go afterwards.
    pub return_to: &'a str,
    /// The login name.
    pub login: &'a str,
    /// When they were made.
    pub made: &'a str,
    /// The codes.
    pub codes: Vec<String>,
}

/// Asks before a way back is switched, after a passkey check.
#[derive(Debug, Template)]
#[template(path = "choose_way_back.html")]
pub struct ChooseWayBack<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Where to go afterwards.
    pub return_to: &'a str,
    /// Names the way in the form.
    pub way: &'a str,
    /// Names what is done to it.
    pub switch: &'a str,
    /// Whether it is about mails, else about backup codes.
    pub by_email: bool,
    /// Whether it is switched on, else off.
    pub on: bool,
    /// What would be missing then.
    pub lack: Option<Lack>,
}

/// After a sign-in, once in a while.
#[derive(Debug, Template)]
#[template(path = "reminder.html")]
pub struct Reminder<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Where the person was going.
    pub return_to: &'a str,
    /// What is missing.
    pub lack: Lack,
    /// What there is.
    pub ways: WaysBack,
    /// Whether a phone may be let in by a picture, where the browser cannot ask it itself.
    pub pairing: bool,
}

/// The account page's part on ways back.
#[derive(Clone, Debug)]
pub struct WaysBackCard {
    /// What there is.
    pub ways: WaysBack,
    /// When the backup codes were made.
    pub codes_made: String,
    /// How many were made.
    pub codes_total: u32,
}

impl WaysBackCard {
    /// Whether losing the one passkey would lock the person out.
    pub(super) fn no_way_back(&self) -> bool {
        self.ways.lack() == Some(Lack::WayBack)
    }
}
