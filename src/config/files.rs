//! The files that a configuration was read from, to be looked at for changes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::file_stamp::FileStamp;

/// The configuration file and every file that it names, as they were before they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    main: PathBuf,
    seen: BTreeMap<PathBuf, Option<FileStamp>>,
}

impl Files {
    /// The configuration file alone, so far.
    pub(super) fn beginning_with(main: &Path) -> Self {
        let mut files = Self {
            main: main.to_owned(),
            seen: BTreeMap::new(),
        };
        files.note(main);
        files
    }

    /// Notes a file that is about to be read.
    pub(super) fn note(&mut self, file: &Path) {
        let stamp = FileStamp::of(file);
        self.seen.entry(file.to_owned()).or_insert(stamp);
    }

    /// The configuration file.
    pub fn main(&self) -> &Path {
        &self.main
    }

    /// The same files as they are now.
    pub fn look_again(&self) -> Self {
        let seen = self.seen.keys();
        Self {
            main: self.main.clone(),
            seen: seen
                .map(|file| (file.clone(), FileStamp::of(file)))
                .collect(),
        }
    }

    /// Without those that somebody else looks after.
    pub fn without<'a>(mut self, others: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        for other in others {
            self.seen.remove(other);
        }
        self
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &Path> {
        self.seen.keys().map(PathBuf::as_path)
    }
}

#[cfg(test)]
mod tests {
    use crate::config;

    #[test]
    fn every_file_that_is_named_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let secret = "0123456789abcdef0123456789abcdef\n";
        write("secret", secret);
        write("cert.pem", &made.cert.pem());
        write("key.pem", &made.signing_key.serialize_pem());
        write("mail", "smtps://u:p@mail\n");
        write("logo.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>");
        let text = r#"
relying_party = { id = "localhost", origins = ["https://localhost"], logo = "logo.svg" }
[server]
secret = "file:secret"
client_ca = "cert.pem"
[[server.tls]]
cert = "cert.pem"
key = "key.pem"
[mail]
url = "file:mail"
from = "a@example.com"
[[upstream]]
name = "app"
servers = ["localhost:1"]
tls = { ca = "upstream.pem" }
[[route]]
upstream = "app"
"#;
        write("gatehouse.toml", text);
        let (_, files) = config::read(&folder.path().join("gatehouse.toml"));
        let names: Vec<_> = files
            .names()
            .map(|file| file.file_name().unwrap().to_str().unwrap())
            .collect();
        for name in [
            "gatehouse.toml",
            "secret",
            "cert.pem",
            "key.pem",
            "mail",
            "logo.svg",
            // Also one that is not there.
            "upstream.pem",
        ] {
            assert!(names.contains(&name), "{name} of {names:?}");
        }
        assert_eq!(files.look_again(), files);
        write("upstream.pem", &made.cert.pem());
        assert_ne!(files.look_again(), files);
    }
}
