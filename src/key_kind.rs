//! What a signing key is for. One key never signs for two purposes, nor by two algorithms.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a signing key is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// The gateway's own session tokens (HS256).
    #[default]
    Session,
    /// What apps are told of the person (ES256).
    Assertion,
}

impl KeyKind {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Session, Self::Assertion];

    /// The name at the command line, in logs and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Assertion => "assertion",
        }
    }

    /// The kind called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
