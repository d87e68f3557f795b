//! Every page filled in, for tests that hold for all of them.

mod admin;
mod ways_back;

use std::{fs, io, path::Path};

use askama::Template;

use self::{admin::*, ways_back::*};
use super::*;
use crate::{
    assets::{ASSETS_PATH, Assets},
    config::Logo,
    relying_party::Place,
    store::PairingStanding,
    ways_back::{ByBackupCodes, ByEmail, Lack, WaysBack},
    web::qr::Picture,
};

/// A rendered page.
pub struct Sample {
    pub name: &'static str,
    pub html: String,
}

/// A value that would break out of text, of either kind of attribute and of an address.
pub const HOSTILE: &str = "<b>\"><b>x' onclick='y' & \u{202e}</b>";

fn branding(name: &str) -> Branding {
    Branding {
        name: name.to_owned(),
        logo: None,
        accent: None,
    }
}

/// All pages in all their states, with `value` wherever a text from outside goes.
pub fn samples(value: &str) -> Vec<Sample> {
    branded_samples(&branding(value), value)
}

fn branded_samples(branding: &Branding, value: &str) -> Vec<Sample> {
    let assets = Assets::new(branding);
    let visitor = Frame {
        branding,
        assets: &assets,
        form_token: "token",
        signed_in_as: None,
        email_offered: true,
        administers: false,
    };
    let person = Frame {
        signed_in_as: Some(value),
        ..visitor
    };
    let administrator = Frame {
        administers: true,
        ..person
    };
    let mut samples = sign_in_samples(visitor, value);
    samples.extend(passkey_samples(visitor, person, value));
    samples.extend(lost_passkey_samples(visitor, person, value));
    samples.extend(pairing_samples(visitor, person, value));
    samples.extend(account_samples(visitor, person, value));
    samples.extend(takeover_samples(visitor, person, value));
    samples.extend(address_samples(visitor, person, value));
    samples.extend(admin_samples(visitor, administrator, value));
    samples.extend(ways_back_samples(visitor, person, value));
    samples.extend(error_samples(visitor, value));
    samples.extend(resume_samples(person, value));
    samples
}

fn sample(name: &'static str, page: &impl Template) -> Sample {
    Sample {
        name,
        html: page.render().unwrap(),
    }
}

fn sign_in_samples(frame: Frame<'_>, value: &str) -> Vec<Sample> {
    let sign_in = |email| SignIn {
        frame,
        return_to: value,
        email,
        email_open: false,
    };
    let form = |value, error| Some(EmailForm { value, error });
    let check_mail = |error| CheckMail {
        frame,
        email: value,
        error,
        lifespan_minutes: 15,
        return_to: value,
    };
    let link = |same_browser| MailLink {
        frame,
        token: "secret-token",
        same_browser,
        code: "12345678",
    };
    vec![
        sample("sign-in", &sign_in(form("", None))),
        sample("sign-in-error", &sign_in(form(value, Some(value)))),
        sample("sign-in-passkey-only", &sign_in(None)),
        sample("check-mail", &check_mail(None)),
        sample("check-mail-error", &check_mail(Some(value))),
        sample("mail-link-same", &link(true)),
        sample("mail-link-other", &link(false)),
    ]
}

fn passkey_samples(visitor: Frame<'_>, person: Frame<'_>, value: &str) -> Vec<Sample> {
    let enrol = |restricted, has_passkeys, on| Enrol {
        frame: person,
        return_to: value,
        onward: value,
        restricted,
        has_passkeys,
        on,
        recovering: None,
    };
    let recovering = |restricted: bool, waits: bool| Enrol {
        recovering: Some(Recovering {
            opens_at: waits.then(|| "22 Nov 2026, 10:21 UTC".to_owned()),
            ends_sessions: true,
            confirm_first: (!restricted).then(|| value.to_owned()),
        }),
        ..enrol(restricted, true, None)
    };
    let held = |just_saved, waits: bool| PasskeyHeld {
        frame: person,
        label: value,
        until: waits.then(|| "22 Nov 2026, 10:21 UTC".to_owned()),
        just_saved,
        told: just_saved,
        sign_in: value,
        onward: value,
    };
    let invitation = Invitation {
        frame: visitor,
        token: value,
        login: value,
    };
    let saved = |on, only_one| PasskeySaved {
        frame: person,
        return_to: value,
        label: value,
        on,
        only_one,
        pairing: true,
        wants_codes: only_one,
    };
    let step_up = StepUp {
        frame: person,
        return_to: value,
    };
    vec![
        sample("invitation", &invitation),
        sample("enrol", &enrol(false, false, None)),
        sample("enrol-another", &enrol(false, true, None)),
        sample(
            "enrol-this-device",
            &enrol(false, true, Some(Place::ThisDevice)),
        ),
        sample("enrol-phone", &enrol(false, true, Some(Place::Phone))),
        sample(
            "enrol-hardware-key",
            &enrol(false, true, Some(Place::HardwareKey)),
        ),
        sample("enrol-restricted", &enrol(true, true, None)),
        sample("enrol-restricted-first", &enrol(true, false, None)),
        sample("passkey-saved", &saved(None, false)),
        sample("passkey-saved-first", &saved(None, true)),
        sample("passkey-saved-phone", &saved(Some(Place::Phone), false)),
        sample(
            "passkey-saved-hardware-key",
            &saved(Some(Place::HardwareKey), false),
        ),
        sample("enrol-recovering", &recovering(true, false)),
        sample("enrol-recovering-held", &recovering(true, true)),
        sample("enrol-recovering-full", &recovering(false, true)),
        sample("passkey-held", &held(true, true)),
        sample("passkey-held-waiting", &held(false, true)),
        sample("passkey-held-over", &held(false, false)),
        sample("step-up", &step_up),
    ]
}

fn account_samples(visitor: Frame<'_>, person: Frame<'_>, value: &str) -> Vec<Sample> {
    let remove = |last, has_email, has_codes| RemovePasskey {
        frame: person,
        id: "aaaa",
        label: value,
        last,
        has_email,
        has_codes,
    };
    let signed_out = |everywhere| SignedOut {
        again: "/.gatehouse/sign-in",
        frame: visitor,
        everywhere,
    };
    let bare = AccountPage {
        passkeys: Vec::new(),
        email: None,
        name: None,
        notice: None,
        ways_back: card(ways(1, ByEmail::NoAddress, ByBackupCodes::NoneMade)),
        ..account(person, value, true)
    };
    vec![
        sample("account", &account(person, value, false)),
        sample("account-restricted", &account(person, value, true)),
        sample("account-bare", &bare),
        sample("remove-passkey", &remove(false, true, true)),
        sample("remove-last-passkey", &remove(true, true, false)),
        sample("remove-last-but-codes", &remove(true, false, true)),
        sample("remove-only-way-in", &remove(true, false, false)),
        sample("sign-out", &SignOut { frame: person }),
        sample("signed-out", &signed_out(false)),
        sample("signed-out-everywhere", &signed_out(true)),
    ]
}

fn account<'a>(frame: Frame<'a>, value: &'a str, restricted: bool) -> AccountPage<'a> {
    let passkey = |id: &str, provider: &str, current| PasskeyRow {
        id: id.to_owned(),
        label: value.to_owned(),
        provider: provider.to_owned(),
        created: "3 March 2026".to_owned(),
        last_used: if current { "today" } else { "" }.to_owned(),
        synced: current,
        current,
        standing: match id {
            "bbbb" => PasskeyStanding::Waits("5 March 2026, 09:12 UTC".to_owned()),
            "cccc" => PasskeyStanding::Stopped("4 March 2026, 09:12 UTC".to_owned()),
            _ => PasskeyStanding::Good,
        },
        to_confirm: current,
        may_be_reported: id == "bbbb",
    };
    let session = |id: &str, device: &str, kind, current| SessionRow {
        id: id.to_owned(),
        device: device.to_owned(),
        network: "192.0.2.0/24".to_owned(),
        started: "4 March 2026, 09:12 UTC".to_owned(),
        last_seen: "2 minutes ago".to_owned(),
        kind,
        current,
        hosts: String::new(),
    };
    AccountPage {
        frame,
        login: value,
        email: Some(value),
        name: Some(value),
        may_change_email: !restricted,
        takeover: if restricted {
            Takeover::default()
        } else {
            takeover(value)
        },
        restricted,
        known_to_browsers: (!restricted).then(|| KnownToBrowsers {
            relying_party: "example.com".to_owned(),
            user_id: "AAAA".to_owned(),
            display_name: value.to_owned(),
            passkeys: "aaaa bbbb cccc".to_owned(),
        }),
        passkeys: vec![
            passkey("aaaa", "Apple Passwords", !restricted),
            passkey("bbbb", value, false),
            passkey("cccc", "", false),
        ],
        sessions: vec![
            session("dddd", "Safari on iPhone", "Full", true),
            session("eeee", value, "Restricted", false),
        ],
        ways_back: card(ways(3, ByEmail::Open, ByBackupCodes::Open { left: 7 })),
        pairing: !restricted,
        notice: Some(value),
    }
}

fn resume_samples(frame: Frame<'_>, value: &str) -> Vec<Sample> {
    let resume = |kind, by_script| Resume {
        frame,
        id: "0123456789abcdef0123456789abcdef",
        action: value,
        host: value,
        path: value,
        kind,
        size: value,
        entered: value,
        by_script,
        back: value,
    };
    let discarded = ResumeDiscarded { frame, back: value };
    vec![
        sample("resume-form", &resume(HeldKind::Form, false)),
        sample("resume-upload", &resume(HeldKind::Upload, false)),
        sample("resume-data", &resume(HeldKind::Data, true)),
        sample("resume-discarded", &discarded),
    ]
}

fn error_samples(frame: Frame<'_>, value: &str) -> Vec<Sample> {
    let error = ErrorPage {
        frame: BareFrame {
            branding: Some(frame.branding),
            assets: Some(frame.assets),
        },
        status: 403,
        heading: value,
        sentence: value,
        request_id: "0123456789abcdef0123456789abcdef",
        way_on: Some((value, value)),
    };
    let bare = ErrorPage {
        frame: BareFrame::default(),
        status: 500,
        heading: "Something went wrong",
        sentence: "The gateway could not answer. Try again in a minute.",
        request_id: "0123456789abcdef0123456789abcdef",
        way_on: None,
    };
    vec![sample("error", &error), sample("error-bare", &bare)]
}

/// Writes all pages and what they load into `folder`, laid out as they are served: once without a logo and
/// with our colour, once with both of an operator's own.
pub fn write_all(folder: &Path) -> io::Result<()> {
    let own = Branding {
        logo: Some(Logo {
            media_type: "image/svg+xml",
            bytes: include_bytes!("../../../static/icon.svg")[..].into(),
        }),
        accent: Some("#ffd54a".to_owned()),
        ..branding("Example")
    };
    for (kind, branding) in [("plain", branding("Example")), ("branded", own)] {
        fs::create_dir_all(folder.join(kind))?;
        for Sample { name, html } in branded_samples(&branding, "ada.lovelace@example.com") {
            fs::write(folder.join(kind).join(name).with_extension("html"), html)?;
        }
        write_assets(&folder.join(ASSETS_PATH.trim_start_matches('/')), &branding)?;
    }
    Ok(())
}

fn write_assets(folder: &Path, branding: &Branding) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let assets = Assets::new(branding);
    for url in [
        assets.stylesheet(),
        assets.brand(),
        assets.script(),
        assets.icon(),
    ] {
        let name = url.trim_start_matches(ASSETS_PATH);
        if let Some(asset) = assets.get(name) {
            fs::write(folder.join(name), asset.bytes)?;
        }
    }
    Ok(())
}
