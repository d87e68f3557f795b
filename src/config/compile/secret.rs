//! Reads secrets from where the file says they are.

use zeroize::Zeroizing;

use super::Surroundings;
use crate::config::{file::SecretText, value::SecretPlace};

/// What `mail.url` and `server.secret` stand for.
///
/// # Errors
/// A sentence that names the variable or the file.
pub(super) fn read(
    secret: &SecretText,
    around: Surroundings<'_>,
) -> Result<Zeroizing<String>, String> {
    match secret.place() {
        SecretPlace::Here(text) => Ok(Zeroizing::new(text.to_owned())),
        SecretPlace::Variable(name) => from_variable(name, around),
        SecretPlace::File(path) => from_file(path, around),
    }
}

fn from_variable(name: &str, around: Surroundings<'_>) -> Result<Zeroizing<String>, String> {
    match (around.variable)(name).map(Zeroizing::new) {
        Some(text) if !text.is_empty() => Ok(text),
        Some(_) => Err(format!("the environment variable {name} is empty")),
        None => Err(format!("the environment variable {name} is not set")),
    }
}

/// Without the line break that editors and `echo` leave at the end.
fn from_file(path: &str, around: Surroundings<'_>) -> Result<Zeroizing<String>, String> {
    let path = around.file(path);
    let text = std::fs::read_to_string(&path)
        .map(Zeroizing::new)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("{} is empty", path.display())),
        text => Ok(Zeroizing::new(text.to_owned())),
    }
}
