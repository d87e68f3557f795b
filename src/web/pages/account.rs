//! The pages on which people manage their passkeys and sessions, and sign out.

use askama::Template;

use super::{Frame, Takeover, WaysBackCard};
use crate::ways_back::{ByBackupCodes, ByEmail};

/// What browsers know an account by (WebAuthn L3 §5.1.10, signal methods).
#[derive(Clone, Debug)]
pub struct KnownToBrowsers {
    /// The relying party's id.
    pub relying_party: String,
    /// The user handle, base64url.
    pub user_id: String,
    /// The name shown beside the login.
    pub display_name: String,
    /// The ids of all passkeys of the account, separated by spaces: the complete list, since browsers forget
    /// those that are not in it.
    pub passkeys: String,
}

/// *Your account*: who you are, your passkeys, your sessions.
#[derive(Debug, Template)]
#[template(path = "account.html")]
pub struct AccountPage<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// The login name.
    pub login: &'a str,
    /// The address that sign-in mails go to.
    pub email: Option<&'a str>,
    /// The display name.
    pub name: Option<&'a str>,
    /// Whether the address can be changed here.
    pub may_change_email: bool,
    /// What there is to tell of a takeover; nothing in a restricted session, which may be the thief's.
    pub takeover: Takeover,
    /// Whether this session is restricted; such a one may add passkeys but not change them.
    pub restricted: bool,
    /// For the browser's own list of passkeys; `None` keeps it as it is.
    pub known_to_browsers: Option<KnownToBrowsers>,
    /// All passkeys of the account.
    pub passkeys: Vec<PasskeyRow>,
    /// All live sessions of the account.
    pub sessions: Vec<SessionRow>,
    /// Whether this session may let another device in.
    pub pairing: bool,
    /// What would let the person back in.
    pub ways_back: WaysBackCard,
    /// One sentence on what was just done.
    pub notice: Option<&'a str>,
}

/// One passkey, as shown.
#[derive(Clone, Debug)]
pub struct PasskeyRow {
    /// Names it in addresses.
    pub id: String,
    /// What the person calls it.
    pub label: String,
    /// Who keeps it; empty when unknown.
    pub provider: String,
    /// When it was saved.
    pub created: String,
    /// When it last signed in; empty when never.
    pub last_used: String,
    /// Whether it is synced between devices, else bound to one.
    pub synced: bool,
    /// Whether this session was opened with it.
    pub current: bool,
    /// What it is good for.
    pub standing: PasskeyStanding,
    /// Whether the person is asked if it is still theirs.
    pub to_confirm: bool,
    /// Whether the person may say that they have not saved it.
    pub may_be_reported: bool,
}

/// What a passkey is good for, as shown.
#[derive(Clone, Debug)]
pub enum PasskeyStanding {
    /// It signs in.
    Good,
    /// It opens little until then.
    Waits(String),
    /// It has opened nothing since then.
    Stopped(String),
}

/// One session, as shown.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Names it in addresses.
    pub id: String,
    /// From the user agent.
    pub device: String,
    /// Where it was opened from.
    pub network: String,
    /// When it was opened.
    pub started: String,
    /// When it was last used.
    pub last_seen: String,
    /// What it may do, in a word or two.
    pub kind: &'static str,
    /// Whether it is this one.
    pub current: bool,
    /// The hosts it is open on, where there are several; empty otherwise.
    pub hosts: String,
}

/// Asks before a passkey is removed.
#[derive(Debug, Template)]
#[template(path = "remove_passkey.html")]
pub struct RemovePasskey<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Names it in addresses.
    pub id: &'a str,
    /// What the person calls it.
    pub label: &'a str,
    /// Whether the account would have none left.
    pub last: bool,
    /// Whether a mail could still sign the person in.
    pub has_email: bool,
    /// Whether a backup code could.
    pub has_codes: bool,
}

/// Asks before signing out; also where a plain link to sign-out leads.
#[derive(Debug, Template)]
#[template(path = "sign_out.html")]
pub struct SignOut<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
}

/// *Signed out*.
#[derive(Debug, Template)]
#[template(path = "signed_out.html")]
pub struct SignedOut<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Whether every session of the account was ended.
    pub everywhere: bool,
    /// Where signing in again leads on from: the host that was signed out of, or the sign-in page.
    pub again: &'a str,
}
