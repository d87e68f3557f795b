//! The pages of administrators, and those of what they hand over.

use super::*;

pub(super) fn admin_samples(visitor: Frame<'_>, frame: Frame<'_>, value: &str) -> Vec<Sample> {
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

pub(super) fn found_account(value: &str) -> FoundAccount {
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
pub(super) fn open_recoveries(value: &str) -> Vec<AdminRecovery> {
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

pub(super) fn admin_account<'a>(frame: Frame<'a>, value: &'a str, own: bool) -> AdminAccount<'a> {
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
