//! The pages of signing in, by passkey and by mail.

use askama::Template;

use super::{Frame, grouped};

/// *Sign in*: one button for passkeys, email behind a disclosure.
#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignIn<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Where to go afterwards.
    pub return_to: &'a str,
    /// The email form; `None` where that method is disabled.
    pub email: Option<EmailForm<'a>>,
    /// Whether the disclosure stays open when script is there to close it.
    pub email_open: bool,
}

/// The email form of [`SignIn`].
#[derive(Clone, Copy, Debug)]
pub struct EmailForm<'a> {
    /// What was typed before.
    pub value: &'a str,
    /// What is wrong with it.
    pub error: Option<&'a str>,
}

impl SignIn<'_> {
    fn email_error(&self) -> Option<&str> {
        self.email.and_then(|form| form.error)
    }

    fn stays_open(&self) -> bool {
        self.email_open || self.email_error().is_some()
    }
}

/// *Check your mail*: the same for known and unknown addresses.
#[derive(Debug, Template)]
#[template(path = "check_mail.html")]
pub struct CheckMail<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// The address as it was typed.
    pub email: &'a str,
    /// What is wrong with the code that was typed.
    pub error: Option<&'a str>,
    /// How long link and code are good for.
    pub lifespan_minutes: u64,
    /// Where to go afterwards.
    pub return_to: &'a str,
}

/// Where a mail's link leads. Getting this page changes nothing.
#[derive(Debug, Template)]
#[template(path = "mail_link.html")]
pub struct MailLink<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// The link's token, sent back by the button. Left out of the page in another browser.
    pub token: &'a str,
    /// Whether this browser asked for the link.
    pub same_browser: bool,
    /// The code to type where the link was asked for. Left out of the page in the same browser.
    pub code: &'a str,
}

impl MailLink<'_> {
    fn grouped_code(&self) -> String {
        grouped(self.code)
    }
}
