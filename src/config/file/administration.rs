//! Who rescues people: `[admin]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Number, Period};

/// Who rescues people who cannot sign in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// The group whose accounts are administrators: they reach `/.gatehouse/admin` after a fresh passkey
    /// check. Without it nobody does, and the command line alone administers.
    #[schemars(example = &"admins")]
    pub group: Option<At<String>>,
    /// How old the passkey check of an administrator may be. The default is short: these pages open other
    /// people's accounts.
    #[schemars(example = &"5m")]
    pub max_age: At<Period>,
    /// How many administrators it takes to issue a recovery link. With `2` another one than who asked has to
    /// approve it.
    #[schemars(example = 2)]
    pub recovery_approvals: At<Number<1, 2>>,
    /// How long a recovery link is good for. The default is a phone call and a new phone's first start; NIST
    /// SP 800-63B-4 §4.2.1.2 allows issued recovery codes 24 hours by email, 10 minutes by text or voice.
    #[schemars(example = &"10m")]
    pub recovery_lifespan: At<Period>,
    /// How people reach an administrator, in words: shown on the page *Lost your passkey?*. Without it that
    /// page does not speak of them.
    #[schemars(example = &"Call the help desk at 555-0100, Monday to Friday.")]
    pub contact: Option<At<String>>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            group: None,
            max_age: Period::seconds(10 * 60).into(),
            recovery_approvals: Number::of(1).into(),
            recovery_lifespan: Period::seconds(60 * 60).into(),
            contact: None,
        }
    }
}
