//! `gatehouse completions` and `gatehouse man`: made from the command line itself, so that they cannot fall behind it.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use serde_json::json;

use super::{Failure, Report, help};

#[derive(Debug, Args)]
pub struct Completions {
    /// For which shell.
    shell: Shell,
}

#[derive(Debug, Args)]
pub struct Manual {
    /// A folder for all pages, made if need be; without it the main page is printed.
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// What a shell reads to complete this command line.
pub(super) fn completions(mut command: Command, asked: &Completions) -> Report {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut command, NAME, &mut script);
    let text = String::from_utf8_lossy(&script).trim_end().to_owned();
    Report {
        json: json!({ "shell": asked.shell.to_string(), "script": text }),
        text,
    }
}

/// Writes the pages of the manual, or gives the main one.
pub(super) fn manual(command: Command, asked: &Manual) -> Result<Report, Failure> {
    let mut command = help::for_the_manual(command).disable_help_subcommand(true);
    command.build();
    let Some(folder) = &asked.folder else {
        let text = text(&command, "");
        return Ok(Report {
            json: json!({ "page": text }),
            text: text.trim_end().to_owned(),
        });
    };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Failure::Manual { path, source }
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let mut written = Vec::new();
    for (path, command) in all(&command, "") {
        let name = [NAME].into_iter().chain(path.split_whitespace());
        let name = name.collect::<Vec<_>>().join("-");
        let file = folder.join(format!("{name}.{SECTION}"));
        std::fs::write(&file, text(command, &path)).map_err(failed(&file))?;
        written.push(file);
    }
    Ok(Report {
        text: written
            .iter()
            .map(|file| file.display().to_string())
            .collect::<Vec<_>>()
            .join("\n"),
        json: json!({ "pages": written }),
    })
}

const NAME: &str = "gatehouse";
/// Of the manual: commands that people run.
const SECTION: &str = "1";

/// A command and all below it, each with its words after `gatehouse`.
fn all<'c>(command: &'c Command, path: &str) -> Vec<(String, &'c Command)> {
    let below = command.get_subcommands().flat_map(|below| {
        let path = format!("{path} {}", below.get_name());
        all(below, path.trim_start())
    });
    [(path.to_owned(), command)]
        .into_iter()
        .chain(below)
        .collect()
}

fn text(command: &Command, path: &str) -> String {
    let title = [NAME].into_iter().chain(path.split_whitespace());
    let title = title.collect::<Vec<_>>().join("-").to_uppercase();
    let version = env!("CARGO_PKG_VERSION");
    // By hand: the library leaves the empty date out, which moves what stands after it.
    let title = format!(".TH {title} {SECTION} \"\" \"{NAME} {version}\" \"Gatehouse manual\"\n");
    let mut page = Vec::new();
    render(&Man::new(command.clone()), command, &mut page)
        .expect("writing to memory does not fail");
    let mut roff = Roff::new();
    if let Some(page) = help::page(path) {
        roff.control("SH", ["EXAMPLES"]);
        entries(&mut roff, page.examples);
    }
    roff.control("SH", ["EXIT STATUS"]);
    entries(&mut roff, &help::EXIT_STATUS);
    if path.is_empty() || path == "serve" {
        for (section, rows) in [
            ("ENVIRONMENT", ENVIRONMENT),
            ("FILES", FILES),
            ("SIGNALS", SIGNALS),
        ] {
            roff.control("SH", [section]);
            entries(&mut roff, rows);
        }
    }
    format!(
        "{title}{}{}",
        String::from_utf8_lossy(&page),
        roff.to_roff()
    )
}

fn render(man: &Man, command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(page)?;
    }
    Ok(())
}

fn entries(roff: &mut Roff, rows: &[(&str, &str)]) {
    for (term, says) in rows {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*says)]);
    }
}

const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "GATEHOUSE_CONFIG",
        "The configuration file where --config is not given.",
    ),
    (
        "GATEHOUSE_LOG",
        "What is logged, as comma-separated levels and TARGET=LEVEL, such as info or warn,access=info.",
    ),
    (
        "SSL_CERT_FILE, SSL_CERT_DIR",
        "Authorities to believe instead of the system's, for upstreams over TLS and for mail. They must exist.",
    ),
    (
        "any other",
        "Where the configuration says env:NAME in place of a secret, such as GATEHOUSE_SECRET.",
    ),
];

const FILES: &[(&str, &str)] = &[
    (
        "gatehouse.toml",
        "The configuration, in the working folder unless --config says otherwise. Relative paths in it start at its \
         folder.",
    ),
    (
        "gatehouse.db",
        "The store, beside the configuration unless store.url says otherwise. Back it up.",
    ),
    (
        "gatehouse.db.secret",
        "What seals the store's keys, made at the first start unless server.secret is given. Without it the store's \
         keys are worth nothing: back it up too, elsewhere.",
    ),
];

const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGTERM, SIGINT",
        "Stop: no new connections, and requests in flight may end until server.drain is over; what is still open then \
         is cut.",
    ),
    (
        "SIGHUP",
        "Read the configuration, its files and the candidate of --shadow again. What cannot be used changes nothing \
         and is named in the log.",
    ),
    (
        "SIGUSR2",
        "Start a new process on the same listeners, then stop this one: no connection is refused.",
    ),
];

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_has_a_page_and_every_page_a_command() {
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        let mut commands: Vec<_> = all(&command, "")
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        let mut pages: Vec<_> = help::PAGES
            .iter()
            .map(|page| page.command.to_owned())
            .collect();
        commands.sort();
        pages.sort();
        assert_eq!(pages, commands);
    }

    #[test]
    fn every_example_is_accepted() {
        let lines = help::PAGES.iter().flat_map(|page| page.examples);
        for (line, does) in lines {
            let typed = line.split(['>', '|']).next().unwrap();
            let mut quoted = false;
            let words = typed.split(|sign: char| {
                quoted ^= sign == '"';
                sign == ' ' && !quoted
            });
            let words = words
                .filter(|word| !word.is_empty())
                .map(|word| word.trim_matches('"'));
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{line}: {error}");
            }
            assert!(does.ends_with('.'), "{line}: {does}");
        }
    }

    #[test]
    fn help_says_what_a_command_does_to_a_server_how_it_ends_and_what_to_type() {
        let mut command = help::described(Cli::command());
        command.build();
        for (path, command) in all(&command, "") {
            if path.split(' ').any(|word| word == "help") {
                continue;
            }
            let help = command.clone().render_long_help().to_string();
            for part in [
                "Examples:\n  gatehouse ",
                "Exit status:\n  0  ",
                "--config",
                "--json",
            ] {
                assert!(help.contains(part), "{path} lacks {part}:\n{help}");
            }
        }
    }

    #[test]
    fn the_main_page_has_what_an_operator_looks_for() {
        let asked = Manual { folder: None };
        let page = manual(Cli::command(), &asked).unwrap().text;
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES"] {
            assert!(page.contains(&format!("\n.SH {section}\n")), "{section}");
        }
        for section in ["\"EXIT STATUS\"", "ENVIRONMENT", "FILES", "SIGNALS"] {
            assert!(page.contains(&format!(".SH {section}\n")), "{section}");
        }
    }
}
