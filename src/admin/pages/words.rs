//! How accounts, passkeys, sessions and audit records read on the pages of administrators.

use serde_json::Value as Json;

use crate::{
    admin::{AdminError, actor_name},
    config::Config,
    core::Core,
    method::Method,
    store::{Account, AccountState, BackupCodes, Credential, Family, Standing},
    telemetry::audit::AuditRecord,
    web::{
        pages::{AdminPasskey, AdminRecord, AdminSession, FoundAccount},
        provider,
    },
};

pub(super) fn found(account: &Account) -> FoundAccount {
    let email = account.email.as_ref().map(|email| email.as_str());
    let who: Vec<_> = [account.name.as_deref(), email]
        .into_iter()
        .flatten()
        .filter(|text| *text != account.login)
        .collect();
    FoundAccount {
        id: account.id.to_string(),
        login: account.login.clone(),
        who: who.join(" · "),
        groups: account.groups.join(", "),
        disabled: match account.state {
            AccountState::Active => false,
            AccountState::Disabled => true,
        },
        new: account.enrolled_at.is_none(),
    }
}

pub(super) fn passkey(credential: &Credential) -> AdminPasskey {
    let kept = if credential.backup_state {
        "Synced between devices"
    } else {
        "On one device only"
    };
    let standing = match credential.standing {
        Standing::Good if credential.to_confirm => {
            Some("Not yet confirmed since the account was recovered".to_owned())
        }
        Standing::Good => None,
        Standing::Held { until } => Some(format!(
            "Saved in a recovery: opens everything from {} on",
            until.for_people()
        )),
        Standing::Frozen { since } => Some(format!(
            "Frozen since {}: somebody said “this was not me”",
            since.for_people()
        )),
    };
    AdminPasskey {
        id: credential.id.to_string(),
        label: credential.label.clone(),
        kind: match credential.aaguid.and_then(provider::name) {
            Some(provider) => format!("{provider} · {kept}"),
            None => kept.to_owned(),
        },
        created: credential.created_at.for_people(),
        last_used: credential
            .last_used_at
            .map(|at| at.for_people())
            .unwrap_or_default(),
        standing,
    }
}

pub(super) fn session(family: &Family) -> AdminSession {
    let session = &family.session;
    let kind = if session.restricted {
        "Limited"
    } else {
        "Full"
    };
    AdminSession {
        id: session.id.to_string(),
        device: session.device.clone(),
        kind: format!("{kind}, by {}", method(session.method)),
        network: session
            .network
            .map_or_else(|| "command line".to_owned(), |network| network.to_string()),
        started: session.authenticated_at.for_people(),
        last_seen: family.seen_at.for_people(),
    }
}

const fn method(method: Method) -> &'static str {
    match method {
        Method::Passkey => "passkey",
        Method::Email => "mail",
        Method::BackupCode => "backup code",
        Method::Recovery => "recovery link",
        Method::Pairing => "another device",
        Method::Operator => "the command line",
    }
}

pub(super) fn by_email(config: &Config, account: &Account) -> &'static str {
    if config.methods.email.is_none() {
        "Not offered here"
    } else if account.email.is_none() {
        "No address"
    } else {
        way(account.recovery.by_email, account)
    }
}

/// How many codes are left belongs here as well, once the store counts them.
pub(super) fn by_backup_codes(
    config: &Config,
    account: &Account,
    codes: Option<BackupCodes>,
) -> String {
    if config.methods.backup_codes.is_none() {
        return "Not offered here".to_owned();
    }
    let way = way(account.recovery.by_backup_codes, account);
    match codes {
        None => "None made".to_owned(),
        Some(codes) if codes.closed => {
            "Closed by a hundred wrong ones in a row, until new ones are made".to_owned()
        }
        Some(codes) => format!("{way}; {} of {} left", codes.left, codes.total),
    }
}

fn way(chosen: bool, account: &Account) -> &'static str {
    match (chosen, account.recovery.blocked_at) {
        (false, _) => "Switched off by the person",
        (true, Some(_)) => "Blocked",
        (true, None) => "May sign in",
    }
}

/// Audit records, newest first.
pub(super) async fn records(
    core: &Core,
    records: &[AuditRecord],
) -> Result<Vec<AdminRecord>, AdminError> {
    let mut rows = Vec::new();
    for record in records {
        let (event, details) = told(record);
        let actor = match &record.actor {
            Some(actor) => Some(format!("by {}", actor_name(core, actor).await?)),
            None => None,
        };
        let network = record.network.map(|network| format!("from {network}"));
        let by: Vec<_> = actor.into_iter().chain(network).collect();
        rows.push(AdminRecord {
            at: record.at.for_people(),
            event,
            details,
            by: by.join(" "),
        });
    }
    Ok(rows)
}

/// The names of an event and of its fields are words: they are shown as the log has them. Ids say nothing to
/// people.
const TOLD: [&str; 7] = ["method", "reason", "host", "note", "scope", "count", "by"];

fn told(record: &AuditRecord) -> (String, String) {
    let Ok(Json::Object(fields)) = serde_json::to_value(&record.event) else {
        return (String::new(), String::new());
    };
    let event = fields.get("event").and_then(Json::as_str);
    let details: Vec<_> = TOLD
        .into_iter()
        .filter_map(|name| match fields.get(name)? {
            // A note is a person's own words, and a host is written as it is; the rest are names.
            Json::String(note) if matches!(name, "note" | "host") => Some(note.clone()),
            Json::String(word) => Some(word.replace('_', " ")),
            Json::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .filter(|text| !text.is_empty())
        .collect();
    (
        sentence_case(event.unwrap_or_default()),
        details.join(" · "),
    )
}

fn sentence_case(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut characters = words.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => words,
    }
}
