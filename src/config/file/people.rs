//! Who signs in and how: `[session]`, `[methods]`, `[enrolment]` and `[identity]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, List, NoHold, OneProof, Period, Table};

/// Limits of sessions.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Session {
    /// The end of every session, counted from the sign-in. The default is a working day, the limit of NIST
    /// SP 800-63B-4 for its second assurance level being 24 hours.
    #[schemars(example = &"24h")]
    pub lifetime: At<Period>,
    /// A session ends when it was not used for so long; at most `lifetime`. Without it: `"1h"`, the
    /// recommendation of NIST SP 800-63B-4, or `lifetime` where that is shorter.
    #[schemars(example = &"30m")]
    pub idle: Option<At<Period>>,
}

/// The ways to sign in.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Methods {
    /// Passkeys: the way in that gives a full session.
    pub passkey: Table<PasskeyMethod>,
    /// A link and a code by mail, for whoever has no passkey at hand.
    pub email: Table<EmailMethod>,
}

/// Passkeys: the way in that gives a full session.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PasskeyMethod {
    /// Stays `true`: every other method is a way back to a passkey.
    #[schemars(example = true)]
    pub enabled: At<bool>,
}

/// A link and a code by mail, for whoever has no passkey at hand.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmailMethod {
    /// Whether people may sign in by mail. Needs `[mail]`. Without it: yes where `[mail]` is given.
    #[schemars(example = false)]
    pub enabled: Option<At<bool>>,
    /// How long link and code are good for, at most 24 hours. The default outlasts a slow mail server. NIST
    /// SP 800-63B-4 allows 10 minutes for such codes; set `"10m"` to comply.
    #[schemars(example = &"10m")]
    pub lifespan: At<Period>,
    /// What a sign-in by mail gives. The default holds whoever took over a mailbox to low-stakes routes.
    #[schemars(example = &"restricted")]
    pub grants: At<Grants>,
}

/// What a sign-in by mail gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grants {
    /// A session for `signed_in` routes, until a passkey is saved.
    Restricted,
    /// A session for `full` routes as well.
    Full,
}

/// How accounts come to be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Enrolment {
    /// Who may have an account. The default admits nobody you did not name.
    #[schemars(example = &"domains")]
    pub mode: At<Mode>,
    /// With `mode = "domains"`: addresses in these domains, not below them, may have an account.
    #[schemars(example = ["example.com"])]
    pub domains: Option<List<String>>,
    /// How long an invitation is good for. The default spans a weekend; each works once.
    #[schemars(example = &"24h")]
    pub invitation_lifespan: At<Period>,
    /// How many proofs it takes to enrol a passkey on an account that has some already. This version knows
    /// `1`.
    #[schemars(example = 1)]
    pub recovery_proofs: At<OneProof>,
    /// How long a passkey enrolled in that way waits before it lifts the restriction. This version knows
    /// `"0s"`.
    #[schemars(example = &"0s")]
    pub hold: At<NoHold>,
}

/// Who may have an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Whom an operator invited with `gatehouse account invite`.
    Invite,
    /// Whoever proves an email address.
    Open,
    /// Whoever proves an email address in one of `domains`.
    Domains,
}

/// What upstreams are told about the person.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// The families of headers to set. Whatever a request brings under any of these names is removed,
    /// whichever are set; `[]` sets none.
    #[schemars(example = ["x-forwarded"])]
    pub headers: List<Preset>,
}

/// A family of identity headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// `Remote-User`, `Remote-Email`, `Remote-Name`, `Remote-Groups`.
    Remote,
    /// `X-Forwarded-User`, `X-Forwarded-Email`, `X-Forwarded-Preferred-Username`, `X-Forwarded-Groups`.
    XForwarded,
    /// `X-Auth-Request-User`, `X-Auth-Request-Email`, `X-Auth-Request-Preferred-Username`,
    /// `X-Auth-Request-Groups`.
    XAuthRequest,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            lifetime: Period::seconds(12 * 60 * 60).into(),
            idle: None,
        }
    }
}

impl Default for PasskeyMethod {
    fn default() -> Self {
        Self {
            enabled: true.into(),
        }
    }
}

impl Default for EmailMethod {
    fn default() -> Self {
        Self {
            enabled: None,
            lifespan: Period::seconds(15 * 60).into(),
            grants: Grants::Restricted.into(),
        }
    }
}

impl Default for Enrolment {
    fn default() -> Self {
        Self {
            mode: Mode::Invite.into(),
            domains: None,
            invitation_lifespan: Period::seconds(72 * 60 * 60).into(),
            recovery_proofs: OneProof.into(),
            hold: NoHold.into(),
        }
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            headers: vec![Preset::Remote.into()].into(),
        }
    }
}
