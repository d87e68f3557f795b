//! The pages on which a person stops what was not them, sees what was stopped, and opens the ways back again.

use askama::Template;

use super::Frame;

/// *This was not you?*: what it is about, and one button. Getting this page changes nothing.
#[derive(Debug, Template)]
#[template(path = "not_me.html")]
pub struct NotMe<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// What happened, in a sentence or two.
    pub about: &'a str,
    /// What the passkey is called, if it is about one.
    pub label: Option<&'a str>,
    /// When it happened.
    pub happened: &'a str,
    /// Where the button sends.
    pub action: &'a str,
    /// Of the link that led here; `None` on the way from the account page.
    pub token: Option<&'a str>,
}

/// *It is stopped*: exactly what, and what to do next.
#[derive(Debug, Template)]
#[template(path = "stopped.html")]
pub struct Stopped<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// What was stopped just now; `None` when it was before.
    pub stopped: Option<WhatStopped>,
    /// Whether the person is in their account.
    pub signed_in: bool,
    /// How to reach an administrator.
    pub contact: Option<&'a str>,
}

/// What a *this was not me* has stopped.
#[derive(Clone, Debug)]
pub struct WhatStopped {
    /// What the frozen passkeys are called.
    pub passkeys: Vec<String>,
    /// How many sessions ended.
    pub sessions: u64,
    /// Whether mails to administrators are on their way.
    pub administrators: bool,
}

/// What an account shows of a takeover that may be under way.
#[derive(Clone, Debug, Default)]
pub struct Takeover {
    /// Since when neither mails nor backup codes sign in.
    pub blocked_since: Option<String>,
    /// Passkeys of a recovery that are not good yet.
    pub waiting: Vec<WaitingPasskey>,
    /// How many older passkeys wait to be confirmed after a recovery.
    pub to_confirm: usize,
}

impl Takeover {
    /// Whether a person must be told before they go on.
    pub fn is_under_way(&self) -> bool {
        self.blocked_since.is_some() || !self.waiting.is_empty()
    }
}

/// A passkey that was saved in a recovery and waits.
#[derive(Clone, Debug)]
pub struct WaitingPasskey {
    /// Names it in addresses.
    pub id: String,
    /// What it is called.
    pub label: String,
    /// When it was saved.
    pub saved: String,
    /// The end of the wait.
    pub until: String,
}

/// What is told after a sign-in, before the person goes on.
#[derive(Debug, Template)]
#[template(path = "alert.html")]
pub struct Alert<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// What there is to tell.
    pub takeover: Takeover,
    /// Where the person was going.
    pub return_to: &'a str,
}

/// Asks before mails and backup codes sign in again.
#[derive(Debug, Template)]
#[template(path = "allow_recovery.html")]
pub struct AllowRecovery<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Since when they do not.
    pub since: &'a str,
    /// The address that mails go to.
    pub email: Option<&'a str>,
}
