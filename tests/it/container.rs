//! `config/deploy/Dockerfile`, as far as it can be held to its word without a container engine: a parser of
//! Dockerfiles reads it, what it copies is there, and what it starts is accepted.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value as Json;

use crate::harness::{command_line::gatehouse, waiting::tool};

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Its instructions, in order: the word and what follows.
fn instructions() -> Vec<(String, String)> {
    let script = "import io, json, sys; from dockerfile_parse import DockerfileParser; \
                  parser = DockerfileParser(fileobj=io.BytesIO(open(sys.argv[1], 'rb').read())); \
                  print(json.dumps([[s['instruction'], s['value']] for s in parser.structure]))";
    let parsed = Command::new(tool("venv/bin/python"))
        .args(["-c", script])
        .arg(top().join("config/deploy/Dockerfile"))
        .output()
        .unwrap();
    assert!(parsed.status.success(), "{parsed:?}");
    let parsed: Vec<(String, String)> = serde_json::from_slice(&parsed.stdout).unwrap();
    let not_comments = |(word, _): &(String, String)| word != "COMMENT";
    parsed.into_iter().filter(not_comments).collect()
}

fn values<'i>(instructions: &'i [(String, String)], word: &'i str) -> Vec<&'i str> {
    let of_word = instructions.iter().filter(|(other, _)| other == word);
    of_word.map(|(_, value)| value.as_str()).collect()
}

fn one(instructions: &[(String, String)], word: &str) -> String {
    match values(instructions, word).as_slice() {
        [only] => (*only).to_owned(),
        found => panic!("{word}: {found:?}"),
    }
}

/// What is copied from the repository, not from a stage.
fn copied(instructions: &[(String, String)]) -> Vec<&str> {
    let copies = values(instructions, "COPY").into_iter();
    copies
        .filter(|copy| !copy.starts_with("--from="))
        .flat_map(|copy| {
            let mut words: Vec<_> = copy.split_whitespace().collect();
            words.pop().expect("where it goes");
            words
        })
        .collect()
}

fn copy_all(from: &Path, to: &Path) {
    if from.is_file() {
        std::fs::copy(from, to).unwrap();
        return;
    }
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        copy_all(&entry.path(), &to.join(entry.file_name()));
    }
}

#[test]
fn what_it_copies_is_there_is_not_ignored_and_is_enough_for_cargo() {
    let instructions = instructions();
    let copied = copied(&instructions);
    let ignore = std::fs::read_to_string(top().join(".dockerignore")).unwrap();
    let build = tempfile::tempdir().unwrap();
    for source in &copied {
        assert!(top().join(source).exists(), "{source}");
        assert!(
            ignore.lines().any(|line| line == format!("!{source}")),
            "{source} is ignored"
        );
        copy_all(&top().join(source), &build.path().join(source));
    }
    // A root of its own: cargo looks for one in the folders above.
    let manifest = build.path().join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, format!("{text}\n[workspace]\n")).unwrap();
    let read = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--no-deps",
            "--offline",
            "--locked",
        ])
        .current_dir(build.path())
        .output()
        .unwrap();
    assert!(
        read.status.success(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
    let read: Json = serde_json::from_slice(&read.stdout).unwrap();
    let wanted = read["packages"][0]["rust_version"].as_str().unwrap();
    let stages = values(&instructions, "FROM");
    assert!(
        stages[0].starts_with(&format!("rust:{wanted}")),
        "{stages:?} for {wanted}"
    );
}

#[test]
fn it_runs_as_nobody_and_is_stopped_by_the_signal_that_drains() {
    let instructions = instructions();
    let [_, runtime] = values(&instructions, "FROM")[..] else {
        panic!("two stages")
    };
    assert!(runtime.ends_with(":nonroot"), "{runtime}");
    assert_eq!(one(&instructions, "USER"), "65532:65532");
    assert_eq!(one(&instructions, "STOPSIGNAL"), "SIGTERM");
    assert_eq!(one(&instructions, "VOLUME"), "/var/lib/gatehouse");
    assert!(values(&instructions, "ADD").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_starts_is_accepted_with_a_configuration_as_it_describes() {
    let instructions = instructions();
    let words = |word| -> Vec<String> { serde_json::from_str(&one(&instructions, word)).unwrap() };
    assert_eq!(words("ENTRYPOINT"), ["/usr/local/bin/gatehouse"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gatehouse.toml");
    let text = "[server]\nlisten = ['0.0.0.0:8443']\n[store]\nurl = 'sqlite:/var/lib/gatehouse/gatehouse.db'\n\
                [relying_party]\nid = 'example.com'\n[[upstream]]\nname = 'app'\nservers = ['127.0.0.1:9000']\n\
                [[route]]\nhost = 'app.example.com'\nupstream = 'app'\n";
    std::fs::write(&file, text).unwrap();
    let checked = gatehouse(&file, &["check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let command = words("CMD");
    let mut command: Vec<_> = command.iter().map(String::as_str).collect();
    command.push("--help");
    let helped = gatehouse(&file, &command);
    assert_eq!(helped.code, 0, "{helped:?}");
    let environment = values(&instructions, "ENV");
    assert_eq!(
        environment,
        ["GATEHOUSE_CONFIG=/etc/gatehouse/gatehouse.toml"]
    );
}
