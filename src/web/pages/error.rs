//! The page for everything that went wrong: a sentence, a way on, and the request id to quote.

use askama::Template;

use super::Assets;
use crate::config::Branding;

/// What went wrong, in words. Renders without branding and assets too, for when there is no configuration
/// to take them from.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage<'a> {
    /// What surrounds the page, as far as it is there.
    pub frame: BareFrame<'a>,
    /// The HTTP status.
    pub status: u16,
    /// What happened, in a few words.
    pub heading: &'a str,
    /// What it means and what to do.
    pub sentence: &'a str,
    /// For whoever is asked about it.
    pub request_id: &'a str,
    /// Address and text of a link that leads on.
    pub way_on: Option<(&'a str, &'a str)>,
}

/// A [`Frame`](super::Frame) that may be empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct BareFrame<'a> {
    /// The operator's name and logo.
    pub branding: Option<&'a Branding>,
    /// Stylesheets, script, icon.
    pub assets: Option<&'a Assets>,
}

impl BareFrame<'_> {
    fn name(&self) -> &str {
        self.branding.map_or("Gatehouse", |branding| &branding.name)
    }

    fn assets(&self) -> Option<&Assets> {
        self.assets
    }

    fn logo(&self) -> Option<&str> {
        self.assets.and_then(Assets::logo)
    }

    /// Nobody: an error page is the same for everyone.
    fn signed_in_as(&self) -> Option<&str> {
        None
    }

    fn administers(&self) -> bool {
        false
    }
}
