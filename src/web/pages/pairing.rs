//! The pages of pairing: on the device that asks, and on the one that lets it in.

use askama::Template;

use super::Frame;
use crate::{store::PairingStanding, web::qr::Picture};

/// *Use another device*: what it is, and a button before anything is shown.
#[derive(Debug, Template)]
#[template(path = "pair.html")]
pub struct Pair<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Where to go afterwards.
    pub return_to: &'a str,
    /// What a signed-in computer showed this phone, to be sent back.
    pub offer: Option<&'a str>,
}

/// What the device that asks shows meanwhile.
#[derive(Debug, Template)]
#[template(path = "pair_wait.html")]
pub struct PairWait<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// How far it has come.
    pub standing: PairingStanding,
    /// Where the person was going, for a new attempt.
    pub return_to: &'a str,
    /// Whether a signed-in computer showed this phone the way and knows of it: it needs no picture and no code.
    pub offered: bool,
    /// The link for the other device's camera.
    pub picture: &'a Picture,
    /// The address to type the code at, without `https://`.
    pub address: &'a str,
    /// The code, in two groups.
    pub code: &'a str,
    /// The number to match.
    pub number: u8,
    /// For how many seconds it is good.
    pub seconds: u64,
}

/// *Let another device in*: where the code is typed.
#[derive(Debug, Template)]
#[template(path = "pair_code.html")]
pub struct PairCode<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// What was typed, and what is wrong with it.
    pub wrong: Option<&'a str>,
}

/// *Let this device in?*
#[derive(Debug, Template)]
#[template(path = "pair_approve.html")]
pub struct PairApprove<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Which.
    pub pairing: &'a str,
    /// Browser and system that ask.
    pub device: &'a str,
    /// Where they are.
    pub network: &'a str,
    /// Whether that is where this device is.
    pub same_network: bool,
    /// When it was asked for.
    pub asked: &'a str,
    /// How many seconds ago that was.
    pub seconds_ago: u64,
}

/// What became of it, on the device that let it in or did not.
#[derive(Debug, Template)]
#[template(path = "pair_done.html")]
pub struct PairDone<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Whether it was let in.
    pub approved: bool,
}

/// *Add a passkey on a phone*: a picture that leads a phone here.
#[derive(Debug, Template)]
#[template(path = "pair_phone.html")]
pub struct PairPhone<'a> {
    /// What surrounds the page.
    pub frame: Frame<'a>,
    /// Where to go without it.
    pub return_to: &'a str,
    /// The link for the phone's camera.
    pub picture: &'a Picture,
    /// For how many seconds it is good.
    pub seconds: u64,
}
