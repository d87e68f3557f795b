//! The page on which somebody who was let back in by an administrator begins.

use askama::Template;

use super::Frame;

/// *Get back into your account*: what a recovery link opens. Nothing has happened yet.
#[derive(Debug, Template)]
#[template(path = "recovery_link.html")]
pub struct RecoveryLink<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// The link's own.
    pub token: &'a str,
    /// Whose account it opens.
    pub login: &'a str,
    /// Whether this browser is signed in to another account, such as that of the administrator.
    pub signed_in_as_other: bool,
}
