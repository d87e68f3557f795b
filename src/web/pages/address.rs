//! The pages of changing the address.

use askama::Template;

use super::{Frame, grouped};

/// *Change email* or *Add email*.
#[derive(Debug, Template)]
#[template(path = "change_address.html")]
pub struct ChangeAddress<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// The login name, which stays.
    pub login: &'a str,
    /// The present address.
    pub current: Option<&'a str>,
    /// How long link and code will be good for.
    pub lifespan_minutes: u64,
    /// What was typed before.
    pub typed: &'a str,
    /// What is wrong with it.
    pub error: Option<&'a str>,
}

/// *Check your new mailbox*: the same for free and taken addresses.
#[derive(Debug, Template)]
#[template(path = "check_address.html")]
pub struct CheckAddress<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// The address as it was typed.
    pub email: &'a str,
    /// What is wrong with the code that was typed.
    pub error: Option<&'a str>,
    /// How long link and code are good for.
    pub lifespan_minutes: u64,
}

/// Where the mail's link leads. Getting this page changes nothing.
#[derive(Debug, Template)]
#[template(path = "address_link.html")]
pub struct AddressLink<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// The new address.
    pub email: &'a str,
    /// The link's token, sent back by the button. Left out of the page in another browser.
    pub token: &'a str,
    /// Whether this browser asked for the link.
    pub same_browser: bool,
    /// The code to type where the link was asked for. Left out of the page in the same browser.
    pub code: &'a str,
}

impl AddressLink<'_> {
    fn grouped_code(&self) -> String {
        grouped(self.code)
    }
}
