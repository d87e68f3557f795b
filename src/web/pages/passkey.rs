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
    /// What saving one means, where that is a recovery.
    pub recovering: Option<Recovering>,
}

/// What saving a passkey means in a recovery.
#[derive(Clone, Debug)]
pub struct Recovering {
    /// When it would open everything, if that is not at once.
    pub opens_at: Option<String>,
    /// Whether the person is signed out everywhere else then.
    pub ends_sessions: bool,
    /// Where a full session goes with a passkey at hand, so that it is no recovery.
    pub confirm_first: Option<String>,
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
    /// Whether a phone may be let in by a picture, where the browser cannot ask it itself.
    pub pairing: bool,
    /// Whether backup codes should be made: there are none, or few are left.
    pub wants_codes: bool,
}

/// A passkey that was saved in a recovery and waits: right after it was saved, and in each session that it
/// opens meanwhile.
#[derive(Debug, Template)]
#[template(path = "passkey_held.html")]
pub struct PasskeyHeld<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// What it is called.
    pub label: &'a str,
    /// When it opens everything; `None` when it would by now.
    pub until: Option<String>,
    /// Whether it was saved just now.
    pub just_saved: bool,
    /// Whether a mail has told of it.
    pub told: bool,
    /// Where it signs in.
    pub sign_in: &'a str,
    /// Where to go meanwhile.
    pub onward: &'a str,
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
