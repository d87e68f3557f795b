//! `gatehouse key …`.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{Failure, Report, account::Actor};
use crate::{admin::keys, core::Core, key_kind::KeyKind};

/// What to do with signing keys.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Add a key: one for sessions signs after a few seconds, one for assertions when every app has had time to
    /// fetch it. Older keys go on verifying, so that nobody is signed out. Audited.
    Rotate(Rotate),
    /// List the keys, newest first, and what each is used for.
    List(List),
}

#[derive(Debug, Args)]
pub struct Rotate {
    /// What it signs.
    #[arg(long, value_enum, default_value = "session")]
    kind: Kind,
    #[command(flatten)]
    actor: Actor,
}

#[derive(Debug, Args)]
pub struct List {
    /// Of this kind alone.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Session tokens.
    Session,
    /// What apps are told of the person.
    Assertion,
}

impl From<Kind> for KeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Session => Self::Session,
            Kind::Assertion => Self::Assertion,
        }
    }
}

pub(super) async fn run(core: &Core, command: &Key) -> Result<Report, Failure> {
    match command {
        Key::Rotate(rotate) => {
            let kind = rotate.kind.into();
            let kid = keys::rotate(&rotate.actor.acting(core), kind).await?;
            let then = match kind {
                KeyKind::Session => "signs new session tokens in a few seconds",
                KeyKind::Assertion => {
                    "signs assertions in about five minutes, when apps have fetched it"
                }
            };
            Ok(Report {
                text: format!("{kid} {then}; older keys go on verifying."),
                json: json!({ "kid": kid, "kind": kind }),
            })
        }
        Key::List(list) => {
            let all = keys::list(core, list.kind.map(KeyKind::from)).await?;
            let lines = all.iter().map(|(key, usage)| {
                let (kid, kind, usage) = (&key.kid, key.kind.name(), usage.name());
                format!("{kid}  {kind:9}  {usage:9}  since {}", key.created_at)
            });
            let rows = all.iter().map(|(key, usage)| {
                json!({
                    "kid": key.kid, "kind": key.kind, "use": usage, "created_at": key.created_at,
                })
            });
            Ok(Report {
                text: lines.collect::<Vec<_>>().join("\n"),
                json: rows.collect(),
            })
        }
    }
}
