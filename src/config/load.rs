//! Reads a configuration file and gathers every problem in it, not only the first.
//!
//! Serde stops at the first value that does not fit. So the file is read into a tree that knows its
//! places; what does not fit is noted and taken out of the tree, until the rest fits.

use std::{cell::RefCell, ops::Range, path::Path};

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    Config,
    compile::compile,
    file::File,
    files::Files,
    findings::{Finding, Findings, may_be_secret, without_indices},
    problem::{Problem, Problems, Severity},
    source::Source,
    suggestion::nearest,
};

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What somebody should look at.
    pub warnings: Vec<Problem>,
}

/// Keys of a later version. They are refused rather than ignored: who sets one relies on it.
const NOT_YET: [&str; 1] = ["methods.password"];

/// Reads and compiles the file at `path`, with the environment of this process.
///
/// # Errors
/// Every problem in it.
pub fn load(path: &Path) -> Result<Loaded, Problems> {
    read(path).0
}

/// The same, and the files that were read for it, also in vain.
pub fn read(path: &Path) -> (Result<Loaded, Problems>, Files) {
    let files = RefCell::new(Files::beginning_with(path));
    let loaded = match std::fs::read_to_string(path) {
        Ok(text) => parse_noting(&text, path, &|name| std::env::var(name).ok(), &files),
        Err(error) => Err(unreadable(path, &error)),
    };
    (loaded, files.into_inner())
}

/// Compiles `text` as if it had been read from `path`; `variable` answers for the environment.
///
/// # Errors
/// Every problem in it.
pub fn parse(
    text: &str,
    path: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Problems> {
    parse_noting(text, path, variable, &RefCell::default())
}

fn parse_noting(
    text: &str,
    path: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
    files: &RefCell<Files>,
) -> Result<Loaded, Problems> {
    let (tree, syntax) = DeTable::parse_recoverable(text);
    let source = Source::new(path, text, tree.get_ref());
    let mut findings = Findings::new(&source);
    let broken: Vec<usize> = syntax
        .iter()
        .map(|error| note_syntax(error, &source, &mut findings))
        .collect();
    let file = decode(tree, &broken, &source, &mut findings);
    // What a broken line would have held is unknown, and so is whether it is missing.
    let config = file
        .filter(|_| syntax.is_empty())
        .and_then(|file| compile(&file, path, variable, files, &mut findings));
    match config {
        Some(config) if !findings.has_errors() => Ok(Loaded {
            config,
            warnings: findings.into_problems().0,
        }),
        Some(_) | None => Err(findings.into_problems()),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problems {
    Problems(vec![Problem {
        severity: Severity::Error,
        file: path.to_owned(),
        line: None,
        column: None,
        key: String::new(),
        value: None,
        problem: format!("cannot be read: {error}"),
        accepted: None,
        suggestion: None,
    }])
}

/// Returns the line.
fn note_syntax(error: &toml::de::Error, source: &Source<'_>, findings: &mut Findings<'_>) -> usize {
    let span = error.span().unwrap_or_default();
    let problem = match source.slice(&span) {
        // Other messages are about text that may belong to a secret.
        Some(key) if error.message() == "duplicate key" => format!("duplicate key \"{key}\""),
        Some(_) | None => error.message().to_owned(),
    };
    let line = source.place(&span).line;
    findings.at_bytes(span, Finding::new(problem));
    line
}

/// The file without what does not fit; `None` when an error cannot be traced to a place. What the parser
/// made of a `broken` line is not reported.
fn decode(
    mut tree: Spanned<DeTable<'_>>,
    broken: &[usize],
    source: &Source<'_>,
    findings: &mut Findings<'_>,
) -> Option<File> {
    // Each round takes at least one key or element out.
    for _ in 0..=source.len() {
        let error = match File::deserialize(toml::de::Deserializer::from(tree.clone())) {
            Ok(file) => return Some(file),
            Err(error) => error,
        };
        let span = error.span().unwrap_or_default();
        if !broken.contains(&source.place(&span).line) {
            let key = source.outermost(&span).unwrap_or_default();
            findings.at_bytes(span.clone(), describe(error.message(), key));
        }
        if !prune(tree.get_mut(), &span) {
            return None;
        }
    }
    None
}

/// Takes the outermost key or element at exactly these bytes out of a table.
fn prune(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let found = table
        .iter()
        .find(|(key, value)| key.span() == *span || value.span() == *span)
        .map(|(key, _)| key.get_ref().to_string());
    if let Some(key) = found {
        return table.remove(key.as_str()).is_some();
    }
    table
        .iter_mut()
        .any(|(_, value)| prune_value(value.get_mut(), span))
}

fn prune_value(value: &mut DeValue<'_>, span: &Range<usize>) -> bool {
    match value {
        DeValue::Table(table) => prune(table, span),
        DeValue::Array(array) if array.iter().any(|element| element.span() == *span) => {
            let rest = std::mem::replace(array, DeArray::new());
            *array = rest
                .into_iter()
                .filter(|element| element.span() != *span)
                .collect();
            true
        }
        DeValue::Array(array) => array
            .iter_mut()
            .any(|element| prune_value(element.get_mut(), span)),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => false,
    }
}

/// Serde's message without the value, which is shown beside it if it may be.
fn describe(message: &str, key: &str) -> Finding {
    let names: Vec<&str> = message
        .rsplit_once(", expected ")
        .map_or("", |(_, expected)| expected)
        .split('`')
        .skip(1)
        .step_by(2)
        .collect();
    if message.starts_with("unknown field") {
        return unknown_key(key, &names);
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let word = rest.split('`').next().unwrap_or_default();
        return Finding::value(listed(&names)).suggest(nearest(word, names));
    }
    match message.rsplit_once(", expected ") {
        Some((found, expected)) => {
            let wrong = if found.starts_with("invalid type") {
                "wrong type"
            } else {
                "wrong value"
            };
            Finding::new(wrong).expected(plain(expected))
        }
        None if message == "wanted string or table" => {
            Finding::new("wrong type").expected("a string")
        }
        None if may_be_secret(key, "") => Finding::new("wrong value"),
        None => Finding::new(message),
    }
}

fn unknown_key(path: &str, known: &[&str]) -> Finding {
    let name = path.rsplit('.').next().unwrap_or(path);
    if NOT_YET.contains(&without_indices(path).as_str()) {
        return Finding::new("not available in this version").expected(listed(known));
    }
    match nearest(name, known.iter().copied()) {
        Some(meant) => Finding::new("unknown key").suggest(Some(meant)),
        None => Finding::new("unknown key").expected(listed(known)),
    }
}

/// `"a", "b" or "c"`.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    }
}

/// Serde's words for types in those of TOML.
fn plain(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list",
        "a map" => "a table",
        "a boolean" => "true or false",
        "path string" => "a string",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        match parse(text, Path::new("gateway.toml"), &|_| None) {
            Ok(loaded) => loaded.warnings.iter().map(ToString::to_string).collect(),
            Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn every_problem_of_a_file_is_reported_at_once_with_its_place() {
        let text = r##"
[server]
listen = ["8443", "127.0.0.1:0"]
secret = "hunter2"
admin_listen = "9901"
[relying_party]
id = "example.com"
accent = "blue"
origins = ["https://127.0.0.1", "https://other.org"]
[session]
lifetime = "1h"
idle = "90x"
[methods.email]
enabled = "yes"
grants = "ful"
[mail]
url = "smtp://user:hunter2@mail?tls=off"
[enrolment]
recovery_proofs = 3
[[upstream]]
name = "app"
servers = "127.0.0.1:9000"
[[route]]
path = "/a"
acess = "public"
upstream = "ap"
[[route]]
path = "b"
access = "step_up"
methods = ["GET", "post"]
upstream = "app"
colour = 5
[[route]]
path = 7
max_age = "5m"
"##;
        let expected = [
            "gateway.toml:3:11: server.listen[0] = \"8443\": wrong value; expected an IP address and port such as \"127.0.0.1:8443\" or \"[::]:443\"; port 0 picks a free one",
            "gateway.toml:4:10: server.secret: too short; expected 32 bytes or more, as `openssl rand -base64 48` prints",
            "gateway.toml:5:16: server.admin_listen = \"9901\": wrong value; expected an IP address and port",
            "gateway.toml:8:10: relying_party.accent = \"blue\": wrong value; expected a colour such as \"#0a6cff\"",
            "gateway.toml:9:12: relying_party.origins[0] = \"https://127.0.0.1\": wrong value; expected an origin such as \"https://app.example.com\" or \"http://localhost:8080\"; passkeys do not work at IP addresses, nor over plain http elsewhere",
            "gateway.toml:12:8: session.idle = \"90x\": wrong value; expected a duration above zero in s, m, h or d, such as \"90s\", \"15m\", \"12h\" or \"7d\"",
            "gateway.toml:14:11: methods.email.enabled = \"yes\": wrong type; expected true or false",
            "gateway.toml:15:10: methods.email.grants = \"ful\": wrong value; expected \"restricted\" or \"full\"; did you mean \"full\"?",
            "gateway.toml:16:1: mail.from: missing; expected an address, or a name and an address such as \"Example <no-reply@example.com>\"",
            "gateway.toml:17:7: mail.url: `tls` is \"starttls\" or \"none\"; expected \"smtp://USER:PASSWORD@HOST:587?tls=starttls\", \"smtps://USER:PASSWORD@HOST:465\" or \"file:FOLDER\"; also \"env:NAME\" or \"file:PATH\" of a file that holds one of these",
            "gateway.toml:19:19: enrolment.recovery_proofs = 3: wrong value; expected 1 or 2",
            "gateway.toml:22:11: upstream[0].servers = \"127.0.0.1:9000\": wrong type; expected a list",
            "gateway.toml:25:1: route[0].acess: unknown key; did you mean \"access\"?",
            "gateway.toml:26:12: route[0].upstream = \"ap\": unknown upstream; expected the name of an [[upstream]]: \"app\"; did you mean \"app\"?",
            "gateway.toml:27:1: route[1].max_age: missing, and access is \"step_up\"; expected a duration such as \"5m\"",
            "gateway.toml:28:8: route[1].path = \"b\":",
            "gateway.toml:30:19: route[1].methods[1] = \"post\": wrong value; expected \"GET\", \"HEAD\", \"POST\", \"PUT\", \"PATCH\", \"DELETE\" or \"OPTIONS\"; did you mean \"POST\"?",
            "gateway.toml:32:1: route[1].colour: unknown key; expected \"host\", \"path\", ",
            "gateway.toml:33:1: route[2].upstream: missing; expected the name of an [[upstream]]",
            "gateway.toml:34:8: route[2].path = 7: wrong type; expected a string",
            "gateway.toml:35:11: route[2].max_age = \"5m\": has no effect; expected it with access = \"step_up\" alone",
        ];
        let found = problems(text);
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                found.starts_with(expected),
                "found    {found}\nexpected {expected}"
            );
        }
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        assert!(!found.concat().contains("hunter2"));
    }

    #[test]
    fn several_syntax_errors_are_reported_and_what_they_broke_is_not() {
        let found = problems(
            "[server]\nsecret = hunter2\nlisten = [\"x\"]\nlisten = []\n[[route]\npath = \"/\"\n",
        );
        assert!(
            found.iter().any(|line| line.starts_with("gateway.toml:2:")),
            "{found:#?}"
        );
        assert!(
            found
                .iter()
                .any(|line| line.contains("3:11: server.listen[0] = \"x\": wrong value")),
            "{found:#?}"
        );
        assert!(
            found
                .iter()
                .any(|line| line.contains("4:1: duplicate key \"listen\"")),
            "{found:#?}"
        );
        assert!(
            found.iter().any(|line| line.starts_with("gateway.toml:5:")),
            "{found:#?}"
        );
        assert!(!found.concat().contains("hunter2"), "{found:#?}");
        assert!(!found.concat().contains("missing"), "{found:#?}");
    }

    #[test]
    fn a_secret_in_a_value_of_the_wrong_type_is_not_repeated() {
        for text in [
            "[server]\nsecret = 71717171\n",
            "[server]\nsecret = [\"71717171\"]\n",
            "server = \"71717171\"\n",
            "mail = \"smtp://u:71717171@mail\"\n",
            "mail.url = { password = \"71717171\" }\n",
            "store.url = \"postgres://u:71717171@db/x\"\n",
            "[mail]\npassword = \"71717171\"\n",
            "[server]\nsecret = \"71717171\n",
            "[[route]]\nauthorization = \"71717171\"\n",
            "[[route]]\nauthorization = [\"71717171\"]\n",
            "[[route]]\nauthorization = [{ basic = 71717171 }]\n",
            "[[route]]\nauthorization = [{ bearer = [\"71717171\"] }]\n",
            "[[route]]\nauthorization = [{ password = \"71717171\" }]\n",
            "[[route]]\nrequest_headers = \"71717171\"\n",
            "[[route]]\nrequest_headers.set = \"71717171\"\n",
            "[[route]]\nrequest_headers.set = { X-Key = 71717171 }\n",
            "[[route]]\nrequest_headers.set = { X-Key = \"7171\\u00007171\" }\n",
        ] {
            let found = problems(text);
            assert!(
                !found.is_empty() && !found.concat().contains("71717171"),
                "{text}{found:#?}"
            );
        }
    }

    #[test]
    fn a_table_of_the_wrong_kind_is_one_problem() {
        for (text, expected) in [
            (
                "[[server]]\n",
                "gateway.toml:1:1: server: wrong type; expected a table",
            ),
            (
                "session = [\"1h\"]\n",
                "gateway.toml:1:11: session: wrong type; expected a table",
            ),
            (
                "route = [[]]\n",
                "gateway.toml:1:10: route[0]: wrong type; expected a table",
            ),
            (
                "[route]\n",
                "gateway.toml:1:1: route: wrong type; expected a list",
            ),
            (
                "session = 5\n",
                "gateway.toml:1:11: session = 5: wrong type; expected a table",
            ),
            (
                "[methods.password]\n",
                "gateway.toml:1:10: methods.password: not available in this version; expected",
            ),
            (
                "[[route]]\nreport_only = \"yes\"\n",
                "gateway.toml:2:15: route[0].report_only = \"yes\": wrong type; expected true or false",
            ),
            (
                "[[route]]\naccess = 5\n",
                "gateway.toml:2:10: route[0].access = 5: wrong type; expected a string",
            ),
        ] {
            let found = problems(text);
            assert!(
                found.iter().any(|line| line.starts_with(expected)),
                "{expected}\n{found:#?}"
            );
        }
    }

    #[test]
    fn no_text_makes_it_panic_or_fail_without_a_problem() {
        let text = include_str!("../../config/gateway.toml");
        assert!(text.is_ascii(), "it is cut at any byte");
        let broken = (0..text.len()).step_by(17).flat_map(|at| {
            let (before, after) = (&text[..at], &text[at + 1..]);
            ["", "\"", "[", "]\n[", "=", "\n", "é"].map(|wedge| format!("{before}{wedge}{after}"))
        });
        let cut = (0..text.len()).step_by(7).map(|at| text[..at].to_owned());
        for text in broken.chain(cut) {
            let result = parse(&text, Path::new("gateway.toml"), &|_| None);
            let problems = result.err().map(|problems| problems.0);
            assert!(
                problems
                    .is_none_or(|found| found.iter().any(|one| one.severity == Severity::Error)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_problem() {
        let problems = load(Path::new("/nowhere/gateway.toml")).unwrap_err();
        assert!(
            problems
                .to_string()
                .starts_with("/nowhere/gateway.toml: cannot be read: ")
        );
    }

    #[test]
    fn the_examples_load_without_any_problem() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let examples: Vec<_> = files
            .filter(|path| path.extension().is_some_and(|name| name == "toml"))
            .collect();
        assert!(examples.len() >= 2);
        for path in examples {
            let loaded = load(&path).unwrap_or_else(|problems| panic!("{problems}"));
            assert_eq!(loaded.warnings, [], "{}", path.display());
        }
    }
}
