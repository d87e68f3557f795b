//! The pages of administrators.

use askama::Template;

use super::Frame;

/// *Administration*: finding an account, and what waits.
#[derive(Debug, Template)]
#[template(path = "admin_home.html")]
pub struct AdminHome<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// What was looked for; empty before.
    pub query: &'a str,
    /// What was found.
    pub found: Vec<FoundAccount>,
    /// Whether there may be more than are shown.
    pub more: bool,
    /// Recoveries that wait for an approval or to be collected.
    pub open: usize,
}

/// One account in a list.
#[derive(Clone, Debug)]
pub struct FoundAccount {
    /// Names it in addresses.
    pub id: String,
    /// The login name.
    pub login: String,
    /// The display name and address, as far as they say more than the login.
    pub who: String,
    /// Group names.
    pub groups: String,
    /// Whether it may not sign in.
    pub disabled: bool,
    /// Whether it never had a passkey.
    pub new: bool,
}

/// One account, all that an administrator sees of it.
#[derive(Debug, Template)]
#[template(path = "admin_account.html")]
pub struct AdminAccount<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Who it is.
    pub account: FoundAccount,
    /// The display name.
    pub name: Option<&'a str>,
    /// The address, and whether it was proved.
    pub email: Option<(&'a str, bool)>,
    /// When it was made.
    pub created: String,
    /// Whether it is the reader's own: then what hurts is left to others.
    pub own: bool,
    /// All passkeys.
    pub passkeys: Vec<AdminPasskey>,
    /// Whether a mail signs in, in words.
    pub by_email: &'static str,
    /// Whether backup codes sign in, in words.
    pub by_backup_codes: String,
    /// Since when recovery by mail and codes is blocked.
    pub blocked_since: Option<String>,
    /// Recoveries whose link is still to be had.
    pub recoveries: Vec<AdminRecovery>,
    /// All live sessions.
    pub sessions: Vec<AdminSession>,
    /// What lately happened.
    pub records: Vec<AdminRecord>,
    /// One sentence on what was just done.
    pub notice: Option<&'a str>,
}

impl AdminAccount<'_> {
    /// The address at which somebody who has not come yet can be invited again.
    fn invited_at(&self) -> Option<&str> {
        let (address, _) = self.email.filter(|_| self.account.new)?;
        Some(address)
    }
}

/// One passkey, as administrators see it.
#[derive(Clone, Debug)]
pub struct AdminPasskey {
    /// Names it in addresses.
    pub id: String,
    /// What the person calls it.
    pub label: String,
    /// Who keeps it, and whether it is synced.
    pub kind: String,
    /// When it was saved.
    pub created: String,
    /// When it last signed in; empty when never.
    pub last_used: String,
    /// What it is good for, where that is not everything.
    pub standing: Option<String>,
}

/// One session, as administrators see it.
#[derive(Clone, Debug)]
pub struct AdminSession {
    /// Names it in addresses.
    pub id: String,
    /// From the user agent.
    pub device: String,
    /// What it may do and how it began.
    pub kind: String,
    /// Where it was opened from.
    pub network: String,
    /// When it was opened.
    pub started: String,
    /// When it was last used.
    pub last_seen: String,
}

/// One audit record, as shown.
#[derive(Clone, Debug)]
pub struct AdminRecord {
    /// When.
    pub at: String,
    /// What.
    pub event: String,
    /// More of it.
    pub details: String,
    /// Who did it and from where, as far as it is known.
    pub by: String,
}

/// One recovery whose link is still to be had.
#[derive(Clone, Debug)]
pub struct AdminRecovery {
    /// Names it in addresses.
    pub id: String,
    /// Names the account in addresses.
    pub account: String,
    /// Whose account.
    pub login: String,
    /// Who asked.
    pub requested_by: String,
    /// When.
    pub created: String,
    /// Until when it waits.
    pub expires: String,
    /// Why, of a list.
    pub reason: &'static str,
    /// Why, in words.
    pub note: String,
    /// Who agreed.
    pub approved_by: Option<String>,
    /// Whether the reader asked for it.
    pub own_request: bool,
    /// Whether it is the reader's own account.
    pub own_account: bool,
    /// Whether nobody else has to agree any more.
    pub ready: bool,
}

/// Asks before an act on an account.
#[derive(Debug, Template)]
#[template(path = "admin_act.html")]
pub struct AdminAct<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// The question.
    pub heading: &'a str,
    /// What it is done to.
    pub subject: &'a str,
    /// What it means.
    pub consequence: &'a str,
    /// Further facts: what, and its value.
    pub facts: Vec<(&'static str, String)>,
    /// What the button says.
    pub button: &'a str,
    /// Whether it takes something away from the person.
    pub hurts: bool,
    /// Where the form goes.
    pub action: &'a str,
    /// Where *Cancel* leads.
    pub back: &'a str,
}

/// Asks why an account is to be recovered.
#[derive(Debug, Template)]
#[template(path = "admin_recover.html")]
pub struct AdminRecover<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Names the account in addresses.
    pub id: &'a str,
    /// Whose account.
    pub login: &'a str,
    /// Name and words of each reason.
    pub reasons: Vec<(&'static str, &'static str)>,
    /// The name of the reason that was chosen; empty before.
    pub reason: &'a str,
    /// What was typed.
    pub note: &'a str,
    /// Whether another administrator has to agree.
    pub needs_approval: bool,
    /// Whether there is an address to tell of it.
    pub told: bool,
    /// What was wrong with the form as it was sent.
    pub error: Option<&'a str>,
}

/// A link to hand over, shown this once.
#[derive(Debug, Template)]
#[template(path = "admin_handover.html")]
pub struct AdminHandover<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Whether it recovers an account, else it is an invitation.
    pub recovers: bool,
    /// Names the account in addresses.
    pub id: &'a str,
    /// Whose account.
    pub login: &'a str,
    /// The link.
    pub link: &'a str,
    /// When it stops working.
    pub expires: &'a str,
    /// Whether it was mailed as well.
    pub mailed: bool,
}

/// Recoveries whose link is still to be had.
#[derive(Debug, Template)]
#[template(path = "admin_recoveries.html")]
pub struct AdminRecoveries<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Newest first.
    pub recoveries: Vec<AdminRecovery>,
    /// One sentence on what was just done.
    pub notice: Option<&'a str>,
}

/// Invites somebody.
#[derive(Debug, Template)]
#[template(path = "admin_invite.html")]
pub struct AdminInvite<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// What was typed.
    pub form: InviteForm<'a>,
    /// Whether mail can be sent.
    pub mail: bool,
    /// What was wrong with the form as it was sent.
    pub error: Option<&'a str>,
}

/// What was typed to invite somebody.
#[derive(Clone, Copy, Debug, Default)]
pub struct InviteForm<'a> {
    /// The address.
    pub email: &'a str,
    /// The login name.
    pub login: &'a str,
    /// The display name.
    pub name: &'a str,
    /// Group names, separated by spaces.
    pub groups: &'a str,
}
