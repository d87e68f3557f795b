//! Who signs in and how: `[session]`, `[methods]`, `[enrolment]` and `[identity]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, Hold, List, Number, Period, Section, Table};

/// Limits of sessions.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Session {
    /// The end of every session, counted from the sign-in. The default is a working day, the limit of NIST
    /// SP 800-63B-4 for its second assurance level being 24 hours.
    #[schemars(example = &"24h")]
    pub lifetime: At<Period>,
    /// A session ends when it was not used for so long; at most `lifetime`. Without it: `"1h"`, the
    /// recommendation of NIST SP 800-63B-4, or `lifetime` where that is shorter. What is open in it (a WebSocket,
    /// an event stream, a long download or upload) counts as use.
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
    /// Single-use codes that a person keeps, for whoever has no passkey at hand.
    pub backup_codes: Table<BackupCodes>,
    /// Letting a new device in from one that is signed in.
    pub pairing: Table<Pairing>,
}

/// Single-use codes that a person keeps, for whoever has no passkey at hand.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupCodes {
    /// Whether people may have them. Each code has 80 bits and works once; it opens a restricted session.
    #[schemars(example = false)]
    pub enabled: At<bool>,
    /// How many there are in a set. The default fits on a card.
    #[schemars(example = 6)]
    pub count: At<Number<4, 20>>,
}

/// Letting a new device in from one that is signed in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pairing {
    /// Whether a device may be let in from another one, with a fresh passkey check there.
    #[schemars(example = false)]
    pub enabled: At<bool>,
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
    /// How many distinct proofs it takes to save a passkey on an account that had one already, without one
    /// at hand: out of a mail, a backup code and an administrator's recovery link. With `2`, whoever has
    /// taken over a mailbox has not taken over the account.
    #[schemars(example = 2)]
    pub recovery_proofs: At<Number<1, 2>>,
    /// How long a passkey saved in that way waits before it lifts the restriction. Meanwhile every notified
    /// address and every older passkey can stop it.
    #[schemars(example = &"24h")]
    pub hold: At<Hold>,
    /// Whether a recovery ends the account's other sessions, once its passkey opens everything. The default
    /// ends those of whoever has the lost device.
    #[schemars(example = false)]
    pub recovery_ends_sessions: At<bool>,
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
    /// The header of a signed statement of who asks: a JWT (ES256) that holds for five minutes, so that an app
    /// which verifies it need not trust its network. `iss` is the first of `relying_party.origins`, where the keys
    /// are at `/.gatehouse/jwks.json`; `aud` is the host that was asked for, without port; `sub` is the account's
    /// id, which never changes. Besides `preferred_username`, `email`, `name` and `groups` it says how the person
    /// proved who they are: `acr` is `phr` for a session that a passkey opened or raised and that is not
    /// restricted, else `basic`; `amr` as in RFC 8176; `auth_time`, the sign-in or a later step-up; `restricted`.
    /// An app must check `aud` as well as the signature. Without this key none is made.
    #[schemars(example = &"X-Gatehouse-Assertion")]
    pub assertion: Option<At<String>>,
    /// Headers of your own to set, for apps that look for the person under other names. Any of them may be left
    /// out. As with those of `headers`, whatever a request brings under one of these names is removed, in every
    /// spelling, from every request.
    pub custom: Option<Section<CustomIdentity>>,
}

/// Headers of your own to set.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CustomIdentity {
    /// The login name.
    #[schemars(example = &"X-Remote-User")]
    pub user: Option<At<String>>,
    /// The email address.
    #[schemars(example = &"X-Remote-Email")]
    pub email: Option<At<String>>,
    /// The display name.
    #[schemars(example = &"X-Remote-Name")]
    pub name: Option<At<String>>,
    /// The groups, separated by commas.
    #[schemars(example = &"X-Remote-Groups")]
    pub groups: Option<At<String>>,
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

impl Default for BackupCodes {
    fn default() -> Self {
        Self {
            enabled: true.into(),
            count: Number::of(10).into(),
        }
    }
}

impl Default for Pairing {
    fn default() -> Self {
        Self {
            enabled: true.into(),
        }
    }
}

impl Default for Enrolment {
    fn default() -> Self {
        Self {
            mode: Mode::Invite.into(),
            domains: None,
            invitation_lifespan: Period::seconds(72 * 60 * 60).into(),
            recovery_proofs: Number::of(1).into(),
            hold: Hold::NONE.into(),
            recovery_ends_sessions: true.into(),
        }
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            headers: vec![Preset::Remote.into()].into(),
            assertion: None,
            custom: None,
        }
    }
}
