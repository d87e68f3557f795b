//! The ways to sign in, and what each of them proves.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A way to sign in; the `via` of a session token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A passkey with user verification: phishing-resistant and multi-factor.
    Passkey,
    /// A link or code sent by mail: control of a mailbox, a single factor.
    Email,
    /// Issued by an operator at the command line, for load tests and monitoring.
    Operator,
}

impl Method {
    /// The name in tokens, logs and the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passkey => "passkey",
            Self::Email => "email",
            Self::Operator => "operator",
        }
    }

    /// The method called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Passkey, Self::Email, Self::Operator]
            .into_iter()
            .find(|method| method.name() == name)
    }

    /// Authentication method references (RFC 8176 §2) of a sign-in by this method.
    pub const fn amr(self) -> &'static [&'static str] {
        match self {
            Self::Passkey => &["pop", "user", "mfa"],
            Self::Email => &["otp"],
            Self::Operator => &[],
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
