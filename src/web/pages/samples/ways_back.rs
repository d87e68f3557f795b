//! The pages of getting back in, and of keeping others out.

use super::*;

pub(super) fn lost_passkey_samples(
    visitor: Frame<'_>,
    person: Frame<'_>,
    value: &str,
) -> Vec<Sample> {
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

pub(super) fn pairing_samples(visitor: Frame<'_>, person: Frame<'_>, value: &str) -> Vec<Sample> {
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

pub(super) fn takeover(value: &str) -> Takeover {
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

pub(super) fn takeover_samples(visitor: Frame<'_>, person: Frame<'_>, value: &str) -> Vec<Sample> {
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

pub(super) fn address_samples(visitor: Frame<'_>, person: Frame<'_>, value: &str) -> Vec<Sample> {
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

pub(super) const fn ways(passkeys: usize, email: ByEmail, codes: ByBackupCodes) -> WaysBack {
    WaysBack {
        passkeys,
        email,
        codes,
    }
}

pub(super) fn card(ways: WaysBack) -> WaysBackCard {
    WaysBackCard {
        ways,
        codes_made: "3 March 2026".to_owned(),
        codes_total: 10,
    }
}

pub(super) fn ways_back_samples(visitor: Frame<'_>, person: Frame<'_>, value: &str) -> Vec<Sample> {
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
        pairing: true,
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
