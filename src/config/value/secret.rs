//! Secrets, or where they are.

use std::fmt;

use super::Written;

/// A secret, or where to read it. It cannot be shown.
#[derive(Clone)]
pub struct SecretText(String);

/// Where a [`SecretText`] is.
pub(in crate::config) enum SecretPlace<'a> {
    /// In the configuration itself.
    Here(&'a str),
    /// In an environment variable.
    Variable(&'a str),
    /// In a file.
    File(&'a str),
}

impl SecretText {
    /// Whether it is kept outside of the configuration.
    pub(in crate::config) fn is_elsewhere(&self) -> bool {
        !matches!(self.place(), SecretPlace::Here(_))
    }

    /// Where to read it.
    pub(in crate::config) fn place(&self) -> SecretPlace<'_> {
        match self.0.split_once(':') {
            Some(("env", name)) => SecretPlace::Variable(name),
            Some(("file", path)) => SecretPlace::File(path),
            Some(_) | None => SecretPlace::Here(&self.0),
        }
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("secret")
    }
}

impl Written for SecretText {
    const NAME: &'static str = "secret";
    const ACCEPTED: &'static str = "\"env:NAME\", \"file:PATH\" or the text itself";

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    fn write(&self) -> String {
        "secret".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = SecretText::parse("hunter2").unwrap();
        assert_eq!(format!("{secret:?} {}", secret.write()), "secret secret");
        assert!(SecretText::parse("").is_none());
    }
}
