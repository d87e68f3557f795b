//! What the command line says about itself to shells and to `man`: taken by real ones.

use std::{path::Path, process::Command};

use crate::harness::command_line::{Outcome, gatehouse};

fn run(arguments: &[&str]) -> Outcome {
    gatehouse(Path::new("no-configuration-is-needed.toml"), arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_commands_and_options() {
    let script = run(&["completions", "bash"]);
    assert_eq!(script.code, 0, "{script:?}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gatehouse.bash");
    std::fs::write(&file, script.stdout).unwrap();
    for (typed, expected) in [
        (&["gatehouse", "acc"][..], "account"),
        (&["gatehouse", "account", "inv"], "invite"),
        (&["gatehouse", "serve", "--sha"], "--shadow"),
        (
            &["gatehouse", "session", "issue", "--access", "st"],
            "step_up",
        ),
    ] {
        let [.., before, word] = typed else {
            panic!("two words at least")
        };
        let asks = format!(
            "source '{}' && complete -p gatehouse >&2 && COMP_WORDS=({}) && COMP_CWORD={} && \
             _gatehouse gatehouse '{word}' '{before}' && printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display(),
            typed.join(" "),
            typed.len() - 1,
        );
        let bash = Command::new("bash")
            .args(["--norc", "-c", &asks])
            .output()
            .unwrap();
        assert!(bash.status.success(), "{bash:?}");
        let given = String::from_utf8(bash.stdout).unwrap();
        assert_eq!(given.trim(), expected, "{typed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shell_gets_a_script_of_its_own() {
    for (shell, sign) in [
        ("bash", "complete -F _gatehouse"),
        ("zsh", "#compdef gatehouse"),
        ("fish", "complete -c gatehouse"),
        ("elvish", "edit:completion:arg-completer[gatehouse]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = run(&["completions", shell]);
        assert_eq!(script.code, 0, "{script:?}");
        assert!(script.stdout.contains(sign), "{shell}: {}", script.stdout);
    }
    let unknown = run(&["completions", "cmd"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("bash, elvish, fish"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manual_has_a_page_for_each_command_and_man_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("made/man1");
    let written = run(&["man", pages.to_str().unwrap()]);
    assert_eq!(written.code, 0, "{written:?}");
    let files: Vec<_> = std::fs::read_dir(&pages)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(written.stdout.lines().count(), files.len());
    for name in [
        "gatehouse.1",
        "gatehouse-serve.1",
        "gatehouse-account-passkey-remove.1",
    ] {
        assert!(files.contains(&pages.join(name)), "{name}: {files:?}");
    }
    let lint = Command::new("mandoc")
        .args(["-T", "lint", "-W", "error"])
        .args(&files)
        .output()
        .unwrap();
    assert!(
        lint.status.success(),
        "{}",
        String::from_utf8_lossy(&lint.stdout)
    );
    let read = Command::new("mandoc")
        .args(["-T", "ascii"])
        .arg(pages.join("gatehouse.1"))
        .output()
        .unwrap();
    // mandoc overstrikes what is bold.
    let text = String::from_utf8(read.stdout).unwrap();
    let mut plain = String::new();
    for sign in text.chars() {
        match sign {
            '\u{8}' => drop(plain.pop()),
            sign => plain.push(sign),
        }
    }
    for section in [
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "SIGNALS",
        "SIGHUP",
        "gatehouse-serve(1)",
    ] {
        assert!(plain.contains(section), "{section}: {plain}");
    }
    assert_eq!(
        run(&["man"]).stdout.trim_end(),
        std::fs::read_to_string(pages.join("gatehouse.1"))
            .unwrap()
            .trim_end()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_that_cannot_be_written_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("taken");
    std::fs::write(&file, "").unwrap();
    let refused = run(&["man", file.to_str().unwrap()]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.stderr.contains("taken")
            && refused.stderr.contains("a folder that you may write to"),
        "{refused:?}"
    );
}
