//! The pages of what waits to be sent.

use askama::Template;

use super::Frame;

/// What somebody entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldKind {
    /// The fields of a form.
    Form,
    /// A form that may have files.
    Upload,
    /// Something else.
    Data,
}

/// *Send what you entered?*: what it is and where it goes, and two buttons. Getting this page changes nothing.
#[derive(Debug, Template)]
#[template(path = "resume.html")]
pub struct Resume<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Which one.
    pub id: &'a str,
    /// Where it goes, as the address of a form.
    pub action: &'a str,
    /// To which host.
    pub host: &'a str,
    /// And which path there.
    pub path: &'a str,
    /// What it is.
    pub kind: HeldKind,
    /// How much.
    pub size: &'a str,
    /// When it was entered.
    pub entered: &'a str,
    /// Whether a script sent it: its answer is for no page.
    pub by_script: bool,
    /// The page it came from.
    pub back: &'a str,
}

/// It is not sent, as its sender wished.
#[derive(Debug, Template)]
#[template(path = "resume_discarded.html")]
pub struct ResumeDiscarded<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// The page it came from.
    pub back: &'a str,
}
