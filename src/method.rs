//! The ways to sign in, and what each of them proves.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A way to sign in; the `via` of a session token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A passkey with user verification: phishing-resistant and multi-factor.
    Passkey,
    /// A link or code sent by mail: control of a mailbox, a single factor.
    Email,
    /// A backup code: possession of a saved secret, a single factor.
    BackupCode,
    /// A recovery link: administrators checked the person's identity by other means.
    Recovery,
    /// Let in from another device that is signed in, with a fresh passkey check there.
    Pairing,
    /// Issued by an operator at the command line, for load tests and monitoring.
    Operator,
}

impl Method {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Passkey,
        Self::Email,
        Self::BackupCode,
        Self::Recovery,
        Self::Pairing,
        Self::Operator,
    ];

    /// The name in tokens, logs and the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passkey => "passkey",
            Self::Email => "email",
            Self::BackupCode => "backup_code",
            Self::Recovery => "recovery",
            Self::Pairing => "pairing",
            Self::Operator => "operator",
        }
    }

    /// The method called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// Authentication method references (RFC 8176 §2) of a sign-in by this method.
    pub const fn amr(self) -> &'static [&'static str] {
        match self {
            Self::Passkey => &["pop", "user", "mfa"],
            Self::Email | Self::BackupCode => &["otp"],
            Self::Pairing => &["mca"],
            Self::Recovery | Self::Operator => &[],
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The distinct methods by which the person in a session has proved who they are: a recovery may ask for
/// two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proofs(std::collections::BTreeSet<Method>);

impl Proofs {
    /// Whether `method` is among them.
    pub fn contains(&self, method: Method) -> bool {
        self.0.contains(&method)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Those of both.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        self.0.extend(&others.0);
        self
    }

    /// Each once, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Method> + '_ {
        self.0.iter().copied()
    }

    /// As written by [`Display`](fmt::Display); `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        text.split_whitespace().map(Method::parse).collect()
    }
}

impl From<Method> for Proofs {
    fn from(method: Method) -> Self {
        Self([method].into())
    }
}

impl FromIterator<Method> for Proofs {
    fn from_iter<T: IntoIterator<Item = Method>>(methods: T) -> Self {
        Self(methods.into_iter().collect())
    }
}

/// Names, separated by spaces.
impl fmt::Display for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|method| method.name()).collect();
        f.write_str(&names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_its_method() {
        for method in Method::ALL {
            assert_eq!(Method::parse(method.name()), Some(method));
        }
        assert_eq!(Method::parse("password"), None);
    }

    #[test]
    fn the_same_proof_twice_is_one_proof() {
        let twice = Proofs::from(Method::Email).and(&Method::Email.into());
        assert_eq!(twice.count(), 1);
        let both = twice.and(&Method::BackupCode.into());
        assert_eq!(both.count(), 2);
        assert_eq!(both.to_string(), "email backup_code");
        assert_eq!(Proofs::parse(&both.to_string()), Some(both));
        assert_eq!(Proofs::parse("email palm"), None);
        assert_eq!(Proofs::parse(""), Some(Proofs::default()));
    }
}
