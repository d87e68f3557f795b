//! `[log]`: how access lines are written, and where.

use std::path::Path;

use super::Surroundings;
use crate::config::{
    Log,
    file::{self, AccessFormat},
    findings::{Finding, Findings},
};

/// What is written of every request.
pub(super) fn log(
    log: &file::Log,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Log> {
    let access = log.access.value;
    let Some(given) = &log.access_file else {
        return Some(Log {
            access,
            access_file: None,
        });
    };
    let file = around.folder.join(&given.value);
    let finding = match access {
        AccessFormat::Off => Finding::new("has no effect: log.access is \"off\"")
            .expected("it with log.access = \"json\" or \"combined\""),
        AccessFormat::Json | AccessFormat::Combined => match problem(&file) {
            None => {
                return Some(Log {
                    access,
                    access_file: Some(file),
                });
            }
            Some(problem) => Finding::new(problem).expected("a file in a folder that is there"),
        },
    };
    findings.error(given, finding);
    None
}

/// Whether it can be written is seen when it is opened: by then the server may have other rights than who checks.
fn problem(file: &Path) -> Option<String> {
    if file.is_dir() {
        return Some(format!("{} is a folder", file.display()));
    }
    let folder = file.parent().filter(|folder| *folder != Path::new(""))?;
    (!folder.is_dir()).then(|| format!("there is no folder {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use crate::config::{
        AccessFormat,
        compile::fixture::{APP, PARTY, ROUTE, assert_found, config, found},
    };

    #[test]
    fn what_is_not_said_is_json_on_standard_error() {
        let log = config("").log;
        assert_eq!((log.access, log.access_file), (AccessFormat::Json, None));
        let log = config("log = { access = \"combined\", access_file = \"access.log\" }").log;
        assert_eq!(log.access, AccessFormat::Combined);
        assert!(log.access_file.unwrap().is_absolute());
    }

    #[test]
    fn each_rule_of_the_log_is_held() {
        for (text, expected) in [
            (
                "access = \"xml\"",
                "log.access = \"xml\": wrong value; expected \"json\", \"combined\" or \"off\"",
            ),
            (
                "access = \"off\"\naccess_file = \"a.log\"",
                "log.access_file = \"a.log\": has no effect: log.access is \"off\"; expected it with",
            ),
            (
                "access_file = \"nowhere/a.log\"",
                "nowhere; expected a file in a folder that is there",
            ),
            (
                "acces = \"json\"",
                "log.acces: unknown key; did you mean \"access\"?",
            ),
        ] {
            assert_found(&format!("[log]\n{text}\n{PARTY}{APP}{ROUTE}"), expected);
        }
        let folder = TempDir::new().unwrap();
        let text = format!("[log]\naccess_file = \".\"\n{PARTY}{APP}{ROUTE}");
        assert!(found(&folder, &text)[0].contains("is a folder"));
    }
}
