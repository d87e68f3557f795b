//! How each record is read from its row, by column name.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::{Row, sqlite::SqliteRow};

use super::column::{Aaguid, Groups};
use crate::{
    store::{
        Account, Change, ChangePosition, Credential, EmailAttempt, OutboxMail, OutboxState,
        Pairing, Recovery, RecoveryLinkOwner, RecoveryRequest, Report, SessionRecord, Standing,
        StoredKey, Suspect,
    },
    telemetry::audit::AuditRecord,
};

/// A record that a row holds.
pub(super) trait Record: Sized + Send {
    /// What it is called when it cannot be read.
    const WHAT: &'static str;

    /// Reads it.
    fn read(row: &SqliteRow) -> sqlx::Result<Self>;
}

impl Record for Account {
    const WHAT: &'static str = "account";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        let Groups(groups) = row.try_get("group_names")?;
        Ok(Self {
            id: row.try_get("id")?,
            user_handle: row.try_get("user_handle")?,
            login: row.try_get("login")?,
            email: row.try_get("email")?,
            email_verified_at: row.try_get("email_verified_at")?,
            name: row.try_get("name")?,
            groups,
            state: row.try_get("state")?,
            created_at: row.try_get("created_at")?,
            enrolled_at: row.try_get("enrolled_at")?,
            recovery: Recovery {
                by_email: row.try_get("recovery_by_email")?,
                by_backup_codes: row.try_get("recovery_by_backup_codes")?,
                blocked_at: row.try_get("recovery_blocked_at")?,
            },
            remind_at: row.try_get("remind_at")?,
        })
    }
}

impl Record for Credential {
    const WHAT: &'static str = "passkey";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        let aaguid: Option<Aaguid> = row.try_get("aaguid")?;
        Ok(Self {
            id: row.try_get("id")?,
            account: row.try_get("account")?,
            material: row.try_get("material")?,
            label: row.try_get("label")?,
            aaguid: aaguid.map(|Aaguid(uuid)| uuid),
            backup_eligible: row.try_get("backup_eligible")?,
            backup_state: row.try_get("backup_state")?,
            created_at: row.try_get("created_at")?,
            last_used_at: row.try_get("last_used_at")?,
            standing: standing(row)?,
            to_confirm: row.try_get("to_confirm")?,
        })
    }
}

fn standing(row: &SqliteRow) -> sqlx::Result<Standing> {
    let frozen_at = row.try_get("frozen_at")?;
    let held_until = row.try_get("held_until")?;
    Ok(match (frozen_at, held_until) {
        (Some(since), _) => Standing::Frozen { since },
        (None, Some(until)) => Standing::Held { until },
        (None, None) => Standing::Good,
    })
}

impl Record for SessionRecord {
    const WHAT: &'static str = "session";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            account: row.try_get("account")?,
            method: row.try_get("method")?,
            authenticated_at: row.try_get("authenticated_at")?,
            restricted: row.try_get("restricted")?,
            stepped_up_at: row.try_get("stepped_up_at")?,
            credential: row.try_get("credential")?,
            created_at: row.try_get("created_at")?,
            last_seen_at: row.try_get("last_seen_at")?,
            expires_at: row.try_get("expires_at")?,
            device: row.try_get("device")?,
            network: row.try_get("network")?,
            proofs: row.try_get("proofs")?,
            family: row.try_get("family")?,
            host: row.try_get("host")?,
        })
    }
}

impl Record for Suspect {
    const WHAT: &'static str = "suspect";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            credential: row.try_get("credential")?,
            session: row.try_get("session")?,
        })
    }
}

impl Record for Report {
    const WHAT: &'static str = "report";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            digest: row.try_get("digest")?,
            account: row.try_get("account")?,
            suspect: Suspect::read(row)?,
            about: row.try_get("about")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
        })
    }
}

impl Record for EmailAttempt {
    const WHAT: &'static str = "sign-in mail request";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            account: row.try_get("account")?,
            email: row.try_get("email")?,
            link: row.try_get("link")?,
            code: row.try_get("code")?,
            browser: row.try_get("browser")?,
            purpose: row.try_get("purpose")?,
            return_to: row.try_get("return_to")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
        })
    }
}

impl Record for Pairing {
    const WHAT: &'static str = "pairing";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            browser: row.try_get("browser")?,
            link: row.try_get("link")?,
            code: row.try_get("code")?,
            number: row.try_get("number")?,
            device: row.try_get("device")?,
            network: row.try_get("network")?,
            return_to: row.try_get("return_to")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
            offered_by: row.try_get("offered_by")?,
            account: row.try_get("account")?,
            seen_at: row.try_get("seen_at")?,
            wrong_numbers: row.try_get("wrong_numbers")?,
            approved_at: row.try_get("approved_at")?,
            refused_at: row.try_get("refused_at")?,
            spent_at: row.try_get("spent_at")?,
            superseded: row.try_get("superseded")?,
        })
    }
}

impl Record for RecoveryRequest {
    const WHAT: &'static str = "recovery";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            account: row.try_get("account")?,
            requested_by: row.try_get("requested_by")?,
            reason: row.try_get("reason")?,
            note: row.try_get("note")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
            approved_by: row.try_get("approved_by")?,
        })
    }
}

impl Record for RecoveryLinkOwner {
    const WHAT: &'static str = "owner of a recovery link";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            account: Account::read(row)?,
            open: row.try_get("open")?,
        })
    }
}

impl Record for OutboxMail {
    const WHAT: &'static str = "waiting mail";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            account: row.try_get("account")?,
            sealed: row.try_get("sealed")?,
            due_at: row.try_get("due_at")?,
            expires_at: row.try_get("expires_at")?,
            tries: row.try_get("tries")?,
        })
    }
}

impl Record for OutboxState {
    const WHAT: &'static str = "state of the outbox";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            waiting: row.try_get("waiting")?,
            next_due_at: row.try_get("next_due_at")?,
            oldest_at: row.try_get("oldest_at")?,
        })
    }
}

impl Record for StoredKey {
    const WHAT: &'static str = "signing key";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            kid: row.try_get("kid")?,
            kind: row.try_get("kind")?,
            sealed: row.try_get("sealed")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

impl Record for ChangePosition {
    const WHAT: &'static str = "position of the change feed";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self(row.try_get("seq")?))
    }
}

impl Record for (ChangePosition, Change) {
    const WHAT: &'static str = "change";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        let kind: String = row.try_get("kind")?;
        let change = match kind.as_str() {
            "session_ended" => {
                let ended = row.try_get("subject")?;
                match row.try_get("replaced_by")? {
                    Some(by) => Change::SessionReplaced { ended, by },
                    None => Change::SessionEnded(ended),
                }
            }
            "account_changed" => Change::AccountChanged(row.try_get("subject")?),
            "keys_changed" => Change::KeysChanged,
            _ => return Err(sqlx::Error::Decode("an unknown kind of change".into())),
        };
        Ok((ChangePosition::read(row)?, change))
    }
}

/// When a row was written, to the millisecond.
pub(super) struct WrittenAt(pub SystemTime);

impl Record for WrittenAt {
    const WHAT: &'static str = "moment of a change";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        let seconds: f64 = row.try_get("written_at")?;
        let since = Duration::try_from_secs_f64(seconds)
            .map_err(|error| sqlx::Error::Decode(error.into()))?;
        let moment = UNIX_EPOCH.checked_add(since);
        moment
            .map(Self)
            .ok_or_else(|| sqlx::Error::Decode("a moment beyond all time".into()))
    }
}

impl Record for AuditRecord {
    const WHAT: &'static str = "audit record";

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            at: row.try_get("at")?,
            account: row.try_get("account")?,
            network: row.try_get("network")?,
            request: row.try_get("request")?,
            actor: row.try_get("actor")?,
            event: row.try_get("event")?,
        })
    }
}
