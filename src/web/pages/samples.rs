//! Every page filled in, for tests that hold for all of them.

use std::{fs, io, path::Path};

use askama::Template;

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

fn lost_passkey_samples(visitor: Frame<'_>, person: Frame<'_>, value: &str) -> Vec<Sample> {
    let all = WaysOffered {
        return_to: value,
        email: true,
        backup_codes: true,
        another_device: true,
        contact: Some(value),
    };
    let none = WaysOffered {
        email: false,
        backup_codes: false,
        another_device: false,
        contact: None,
        ..all
    };
    let lost = |ways, enrol| LostPasskey {
        frame: visitor,
        ways,
        enrol,
    };
    let proof = |missing, given: &[&'static str], ways| OneMoreProof {
        frame: person,
        missing,
        given: given.to_vec(),
        ways,
        sign_in: value,
        restricted: true,
        onward: value,
    };
    let email = |error| RecoverByEmail {
        frame: visitor,
        return_to: value,
        form: EmailForm { value, error },
    };
    let remaining = WaysOffered {
        email: false,
        ..all
    };
    vec![
        sample("lost-passkey", &lost(all, None)),
        sample(
            "lost-passkey-restricted",
            &lost(all, Some(value.to_owned())),
        ),
        sample("lost-passkey-no-way", &lost(none, None)),
        sample("one-more-proof", &proof(1, &["You read mail."], remaining)),
        sample("one-more-proof-of-two", &proof(2, &[], all)),
        sample(
            "one-more-proof-no-way",
            &proof(1, &["You read mail."], none),
        ),
        sample("recover-by-email", &email(None)),
        sample("recover-by-email-error", &email(Some(value))),
    ]
}

fn pairing_samples(visitor: Frame<'_>, person: Frame<'_>, value: &str) -> Vec<Sample> {
    let picture = Picture::of("https://app.example.com/.gatehouse/pair/approve").unwrap();
    let pair = |offer| Pair {
        frame: visitor,
        return_to: value,
        offer,
    };
    let wait = |standing, offered| PairWait {
        frame: visitor,
        standing,
        return_to: value,
        offered,
        picture: &picture,
        address: value,
        code: "AB12-CD34",
        number: 42,
        seconds: 97,
    };
    let code = |wrong| PairCode {
        frame: person,
        wrong,
    };
    let approve = |same_network| PairApprove {
        frame: person,
        pairing: value,
        device: value,
        network: "192.0.2.0/24",
        same_network,
        asked: "4 March 2026, 09:12 UTC",
        seconds_ago: 1,
    };
    let done = |approved| PairDone {
        frame: person,
        approved,
    };
    let phone = PairPhone {
        frame: person,
        return_to: value,
        picture: &picture,
        seconds: 97,
    };
    vec![
        sample("pair", &pair(None)),
        sample("pair-phone-offered", &pair(Some(value))),
        sample("pair-waiting", &wait(PairingStanding::Waiting, false)),
        sample("pair-waiting-phone", &wait(PairingStanding::Waiting, true)),
        sample("pair-seen", &wait(PairingStanding::Seen, false)),
        sample("pair-approved", &wait(PairingStanding::Approved, false)),
        sample("pair-refused", &wait(PairingStanding::Refused, false)),
        sample("pair-over", &wait(PairingStanding::Over, false)),
        sample("pair-over-phone", &wait(PairingStanding::Over, true)),
        sample("pair-code", &code(None)),
        sample("pair-code-error", &code(Some(value))),
        sample("pair-approve", &approve(true)),
        sample("pair-approve-elsewhere", &approve(false)),
        sample("pair-done", &done(true)),
        sample("pair-done-refused", &done(false)),
        sample("pair-phone", &phone),
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

fn takeover(value: &str) -> Takeover {
    Takeover {
        blocked_since: Some("4 March 2026, 09:12 UTC".to_owned()),
        waiting: vec![WaitingPasskey {
            id: "bbbb".to_owned(),
            label: value.to_owned(),
            saved: "4 March 2026, 09:12 UTC".to_owned(),
            until: "5 March 2026, 09:12 UTC".to_owned(),
        }],
        to_confirm: 1,
    }
}

fn takeover_samples(visitor: Frame<'_>, person: Frame<'_>, value: &str) -> Vec<Sample> {
    let not_me = |frame, token| NotMe {
        frame,
        about: value,
        label: Some(value),
        happened: "4 March 2026, 09:12 UTC",
        action: value,
        token,
    };
    let stopped = |frame, stopped, signed_in| Stopped {
        frame,
        stopped,
        signed_in,
        contact: Some(value),
    };
    let what = |passkeys, sessions| {
        Some(WhatStopped {
            passkeys,
            sessions,
            administrators: true,
        })
    };
    let alert = Alert {
        frame: person,
        takeover: takeover(value),
        return_to: value,
    };
    let allow = AllowRecovery {
        frame: person,
        since: "4 March 2026, 09:12 UTC",
        email: Some(value),
    };
    vec![
        sample("not-me", &not_me(visitor, Some(value))),
        sample("not-me-passkey", &not_me(person, None)),
        sample(
            "stopped",
            &stopped(visitor, what(vec![value.to_owned()], 2), false),
        ),
        sample("stopped-signed-in", &stopped(person, what(vec![], 0), true)),
        sample("stopped-already", &stopped(visitor, None, false)),
        sample("alert", &alert),
        sample("allow-recovery", &allow),
    ]
}

fn address_samples(visitor: Frame<'_>, person: Frame<'_>, value: &str) -> Vec<Sample> {
    let change = |current, error| ChangeAddress {
        frame: person,
        login: value,
        current,
        lifespan_minutes: 15,
        typed: value,
        error,
    };
    let check = |error| CheckAddress {
        frame: person,
        email: value,
        error,
        lifespan_minutes: 15,
    };
    let link = |same_browser| AddressLink {
        frame: visitor,
        email: value,
        token: "secret-token",
        same_browser,
        code: "12345678",
    };
    vec![
        sample("change-address", &change(Some(value), None)),
        sample("add-address", &change(None, Some(value))),
        sample("check-address", &check(None)),
        sample("check-address-error", &check(Some(value))),
        sample("address-link-same", &link(true)),
        sample("address-link-other", &link(false)),
    ]
}

fn admin_samples(visitor: Frame<'_>, frame: Frame<'_>, value: &str) -> Vec<Sample> {
    let home = |query, found, more| AdminHome {
        frame,
        query,
        found,
        more,
        open: 2,
    };
    let act = |hurts| AdminAct {
        frame,
        heading: value,
        subject: value,
        consequence: value,
        facts: vec![("Asked by", value.to_owned())],
        button: value,
        hurts,
        action: "/.gatehouse/admin/accounts/aaaa/disable",
        back: "/.gatehouse/admin/accounts/aaaa",
    };
    let recover = |needs_approval, error| AdminRecover {
        frame,
        id: "aaaa",
        login: value,
        reasons: vec![("lost_device", "The device is lost or stolen")],
        reason: "lost_device",
        note: value,
        needs_approval,
        told: needs_approval,
        error,
    };
    let handover = |recovers| AdminHandover {
        frame,
        recovers,
        id: "aaaa",
        login: value,
        link: value,
        expires: "5 March 2026, 09:12 UTC",
        mailed: !recovers,
    };
    let recoveries = |recoveries, notice| AdminRecoveries {
        frame,
        recoveries,
        notice,
    };
    let invite = |error| AdminInvite {
        frame,
        form: InviteForm {
            email: value,
            login: value,
            name: value,
            groups: value,
        },
        mail: true,
        error,
    };
    let link = |signed_in_as_other| RecoveryLink {
        frame: if signed_in_as_other { frame } else { visitor },
        token: "secret-token",
        login: value,
        signed_in_as_other,
    };
    let new = AdminAccount {
        account: FoundAccount {
            disabled: false,
            ..found_account(value)
        },
        passkeys: Vec::new(),
        sessions: Vec::new(),
        recoveries: Vec::new(),
        records: Vec::new(),
        ..admin_account(frame, value, false)
    };
    vec![
        sample("admin-account-new", &new),
        sample("admin-home", &home("", Vec::new(), false)),
        sample("admin-home-none", &home(value, Vec::new(), false)),
        sample(
            "admin-home-found",
            &home(value, vec![found_account(value)], true),
        ),
        sample("admin-account", &admin_account(frame, value, false)),
        sample("admin-account-own", &admin_account(frame, value, true)),
        sample("admin-act", &act(true)),
        sample("admin-act-kind", &act(false)),
        sample("admin-recover", &recover(false, None)),
        sample("admin-recover-error", &recover(true, Some(value))),
        sample("admin-handover", &handover(true)),
        sample("admin-invited", &handover(false)),
        sample("admin-recoveries-none", &recoveries(Vec::new(), None)),
        sample(
            "admin-recoveries",
            &recoveries(open_recoveries(value), Some(value)),
        ),
        sample("admin-invite", &invite(None)),
        sample("admin-invite-error", &invite(Some(value))),
        sample("recovery-link", &link(false)),
        sample("recovery-link-other", &link(true)),
    ]
}

fn found_account(value: &str) -> FoundAccount {
    FoundAccount {
        id: "aaaa".to_owned(),
        login: value.to_owned(),
        who: value.to_owned(),
        groups: value.to_owned(),
        disabled: true,
        new: true,
    }
}

/// One that waits, one that this administrator asked for and may collect.
fn open_recoveries(value: &str) -> Vec<AdminRecovery> {
    let waiting = AdminRecovery {
        id: "aaaa".to_owned(),
        account: "bbbb".to_owned(),
        login: value.to_owned(),
        requested_by: value.to_owned(),
        created: "4 March 2026, 09:12 UTC".to_owned(),
        expires: "5 March 2026, 09:12 UTC".to_owned(),
        reason: "The device is lost or stolen",
        note: value.to_owned(),
        approved_by: None,
        own_request: false,
        own_account: false,
        ready: false,
    };
    let ready = AdminRecovery {
        approved_by: Some(value.to_owned()),
        own_request: true,
        ready: true,
        ..waiting.clone()
    };
    vec![waiting, ready]
}

fn admin_account<'a>(frame: Frame<'a>, value: &'a str, own: bool) -> AdminAccount<'a> {
    AdminAccount {
        frame,
        account: FoundAccount {
            disabled: own,
            new: false,
            ..found_account(value)
        },
        name: Some(value),
        email: Some((value, own)),
        created: "3 March 2026".to_owned(),
        own,
        passkeys: vec![AdminPasskey {
            id: "aaaa".to_owned(),
            label: value.to_owned(),
            kind: value.to_owned(),
            created: "3 March 2026".to_owned(),
            last_used: String::new(),
            standing: Some(value.to_owned()),
        }],
        by_email: "May sign in",
        by_backup_codes: "Not offered here".to_owned(),
        blocked_since: Some("3 March 2026".to_owned()),
        recoveries: open_recoveries(value),
        sessions: vec![AdminSession {
            id: "aaaa".to_owned(),
            device: value.to_owned(),
            kind: value.to_owned(),
            network: "192.0.2.0/24".to_owned(),
            started: "4 March 2026, 09:12 UTC".to_owned(),
            last_seen: "4 March 2026, 09:13 UTC".to_owned(),
        }],
        records: vec![AdminRecord {
            at: "4 March 2026, 09:12 UTC".to_owned(),
            event: value.to_owned(),
            details: value.to_owned(),
            by: value.to_owned(),
        }],
        notice: Some(value),
    }
}

const fn ways(passkeys: usize, email: ByEmail, codes: ByBackupCodes) -> WaysBack {
    WaysBack {
        passkeys,
        email,
        codes,
    }
}

fn card(ways: WaysBack) -> WaysBackCard {
    WaysBackCard {
        ways,
        codes_made: "3 March 2026".to_owned(),
        codes_total: 10,
    }
}

fn ways_back_samples(visitor: Frame<'_>, person: Frame<'_>, value: &str) -> Vec<Sample> {
    let recover = |error| RecoverByCode {
        frame: visitor,
        return_to: value,
        name: value,
        error,
    };
    let make = |state, older_left| MakeBackupCodes {
        frame: person,
        return_to: value,
        count: 10,
        state,
        older_made: (state != ByBackupCodes::NoneMade).then(|| "3 March 2026".to_owned()),
        older_left,
        older: "1000",
    };
    let made = BackupCodesMade {
        frame: person,
        return_to: value,
        login: value,
        made: "4 March 2026",
        codes: vec!["7Q4K-9XWN-B2TD-05HV".to_owned(); 10],
    };
    let choose = |by_email, on, lack| ChooseWayBack {
        frame: person,
        return_to: value,
        way: "email",
        switch: "off",
        by_email,
        on,
        lack,
    };
    let reminder = |ways: WaysBack| Reminder {
        frame: person,
        return_to: value,
        lack: ways.lack().unwrap(),
        ways,
    };
    let few = ByBackupCodes::Open { left: 1 };
    let with_ways = |ways: WaysBack| AccountPage {
        ways_back: card(ways),
        ..account(person, value, false)
    };
    vec![
        sample("recover-code", &recover(None)),
        sample("recover-code-error", &recover(Some(value))),
        sample("make-backup-codes", &make(ByBackupCodes::NoneMade, 0)),
        sample("make-backup-codes-anew", &make(few, 1)),
        sample(
            "make-backup-codes-off",
            &make(ByBackupCodes::SwitchedOff, 4),
        ),
        sample("backup-codes-made", &made),
        sample(
            "choose-email-off",
            &choose(true, false, Some(Lack::WayBack)),
        ),
        sample("choose-codes-on", &choose(false, true, None)),
        sample(
            "reminder-no-way-back",
            &reminder(ways(1, ByEmail::SwitchedOff, ByBackupCodes::SwitchedOff)),
        ),
        sample(
            "reminder-no-way-back-bare",
            &reminder(ways(1, ByEmail::NotOffered, ByBackupCodes::NotOffered)),
        ),
        sample(
            "reminder-second-passkey",
            &reminder(ways(1, ByEmail::Open, ByBackupCodes::NoneMade)),
        ),
        sample(
            "account-no-way-back",
            &with_ways(ways(1, ByEmail::SwitchedOff, ByBackupCodes::Closed)),
        ),
        sample(
            "account-few-codes",
            &with_ways(ways(1, ByEmail::Blocked, few)),
        ),
        sample(
            "account-codes-off",
            &with_ways(ways(2, ByEmail::NotOffered, ByBackupCodes::UsedUp)),
        ),
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
