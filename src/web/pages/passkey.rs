//! The pages of saving a passkey and of confirming with one.

use askama::Template;

use super::Frame;
use crate::relying_party::Place;

/// Where an invitation's link leads: the first passkey of a new account.
#[derive(Debug, Template)]
#[template(path = "invitation.html")]
pub struct Invitation<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// The invitation's token, sent back with the new passkey.
    pub token: &'a str,
    /// The login name of the new account.
    pub login: &'a str,
}

/// Saving a passkey inside a session: re-enrolment of a restricted one, or one more.
#[derive(Debug, Template)]
#[template(path = "enrol.html")]
pub struct Enrol<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Where to go afterwards.
    pub return_to: &'a str,
    /// Where to go without saving one.
    pub onward: &'a str,
    /// Whether the session is restricted until this is done.
    pub restricted: bool,
    /// Whether the account has passkeys already.
    pub has_passkeys: bool,
    /// Where the passkey is to be saved, if not on this device.
    pub on: Option<Place>,
}

/// *Passkey saved to this device*.
#[derive(Debug, Template)]
#[template(path = "passkey_saved.html")]
pub struct PasskeySaved<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Where *Continue* leads.
    pub return_to: &'a str,
    /// What the new passkey is called.
    pub label: &'a str,
    /// Where it was saved, if not on this device.
    pub on: Option<Place>,
    /// Whether the account has no other, so that one more should be saved.
    pub only_one: bool,
}

/// *Confirm it's you*: a fresh passkey check inside a session.
#[derive(Debug, Template)]
#[template(path = "step_up.html")]
pub struct StepUp<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Where to go afterwards.
    pub return_to: &'a str,
}
