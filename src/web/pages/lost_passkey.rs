//! The pages for those who have lost their passkey.

use askama::Template;

use super::{EmailForm, Frame};

/// The ways back on offer; each leads to its own page.
#[derive(Clone, Copy, Debug)]
pub struct WaysOffered<'a> {
    /// Where to go afterwards.
    pub return_to: &'a str,
    /// By a link or code sent by mail.
    pub email: bool,
    /// By a backup code.
    pub backup_codes: bool,
    /// By another device that is signed in.
    pub another_device: bool,
    /// How to reach an administrator.
    pub contact: Option<&'a str>,
}

impl WaysOffered<'_> {
    fn any(&self) -> bool {
        self.email || self.backup_codes || self.another_device
    }
}

/// *Lost your passkey?*: the same for everyone.
#[derive(Debug, Template)]
#[template(path = "lost_passkey.html")]
pub struct LostPasskey<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// What is offered here.
    pub ways: WaysOffered<'a>,
    /// Where a restricted session saves a new passkey.
    pub enrol: Option<String>,
}

/// *One more proof is needed*: in a session that has given some.
#[derive(Debug, Template)]
#[template(path = "one_more_proof.html")]
pub struct OneMoreProof<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// How many are missing.
    pub missing: usize,
    /// Those that were given, in words.
    pub given: Vec<&'static str>,
    /// What remains.
    pub ways: WaysOffered<'a>,
    /// Where a passkey that turns up after all signs in.
    pub sign_in: &'a str,
    /// Whether the session is restricted meanwhile.
    pub restricted: bool,
    /// Where to go without saving one.
    pub onward: &'a str,
}

/// The way back by mail.
#[derive(Debug, Template)]
#[template(path = "recover_by_email.html")]
pub struct RecoverByEmail<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Where to go afterwards.
    pub return_to: &'a str,
    /// Its form.
    pub form: EmailForm<'a>,
}
