//! Files for tests: complete and right, but for what a test adds.

use tempfile::TempDir;

use crate::config::{Config, Loaded, Problems, parse};

pub(super) const PARTY: &str = "[relying_party]\nid = \"example.com\"\n";
pub(super) const APP: &str = "[[upstream]]\nname = \"app\"\nservers = [\"127.0.0.1:9000\"]\n";
pub(super) const ROUTE: &str = "[[route]]\nhost = \"app.example.com\"\nupstream = \"app\"\n";

/// Reads a file in a folder of its own; `LONG` is the one environment variable.
pub(super) fn read(folder: &TempDir, text: &str) -> Result<Loaded, Problems> {
    let long = "0123456789abcdef0123456789abcdef";
    parse(text, &folder.path().join("gateway.toml"), &|name| {
        (name == "LONG").then(|| long.to_owned())
    })
}

/// A file that begins with `text` and is complete.
pub(super) fn config(text: &str) -> Config {
    let folder = TempDir::new().unwrap();
    read(&folder, &format!("{text}\n{PARTY}{APP}{ROUTE}"))
        .unwrap_or_else(|problems| panic!("{text}\n{problems}"))
        .config
}

/// What is found in a file, whose name is given as `f`.
pub(super) fn found(folder: &TempDir, text: &str) -> Vec<String> {
    let problems = match read(folder, text) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems.0,
    };
    problems
        .iter()
        .map(|problem| {
            let file = problem.file.display().to_string();
            problem.to_string().replacen(&file, "f", 1)
        })
        .collect()
}

/// That exactly one thing is found.
pub(super) fn assert_found(text: &str, expected: &str) {
    let found = found(&TempDir::new().unwrap(), text);
    assert!(
        matches!(found.as_slice(), [only] if only.contains(expected)),
        "{text}\nexpected {expected}\nfound {found:#?}"
    );
}
