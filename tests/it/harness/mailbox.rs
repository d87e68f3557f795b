//! The folder into which mails fall, read as a person reads them.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Mutex,
};

use mail_parser::MessageParser;

use super::waiting::{SOON, within};

/// A folder of mails, one file each.
pub struct Mailbox {
    folder: PathBuf,
    read: Mutex<HashSet<PathBuf>>,
}

/// One mail.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    pub raw: String,
}

impl Mailbox {
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            read: Mutex::default(),
        }
    }

    /// The next unread mail to `address`, waited for.
    pub async fn next(&self, address: &str) -> Mail {
        within(SOON, &format!("a mail to {address}"), || async {
            self.unread(address)
        })
        .await
    }

    /// How many mails to `address` have come, read or not.
    pub fn count(&self, address: &str) -> usize {
        self.files()
            .iter()
            .filter_map(|file| Mail::read(file))
            .filter(|mail| mail.to == address)
            .count()
    }

    fn unread(&self, address: &str) -> Option<Mail> {
        let mut read = self.read.lock().unwrap();
        for file in self.files() {
            if read.contains(&file) {
                continue;
            }
            // A file that is still being written is read at the next look.
            let Some(mail) = Mail::read(&file) else {
                continue;
            };
            if mail.to == address {
                read.insert(file);
                return Some(mail);
            }
        }
        None
    }

    /// Oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let mut files: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let written = path.metadata().ok()?.modified().ok()?;
                (path.extension()? == "eml").then_some((written, path))
            })
            .collect();
        files.sort();
        files.into_iter().map(|(_, path)| path).collect()
    }
}

impl Mail {
    fn read(file: &Path) -> Option<Self> {
        let bytes = std::fs::read(file).ok()?;
        let message = MessageParser::default().parse(&bytes)?;
        Some(Self {
            to: message.to()?.first()?.address()?.to_owned(),
            subject: message.subject()?.to_owned(),
            text: message.body_text(0)?.into_owned(),
            html: message.body_html(0)?.into_owned(),
            raw: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    /// The first address of the gateway's own pages in the text.
    pub fn link(&self) -> String {
        self.text
            .split_whitespace()
            .find(|word| word.starts_with("http") && word.contains("/.gatehouse/"))
            .unwrap_or_else(|| panic!("no link in this mail: {}", self.text))
            .to_owned()
    }

    /// The code that the subject begins with, without its space.
    pub fn code(&self) -> String {
        let code: String = self
            .subject
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == ' ')
            .filter(|c| *c != ' ')
            .collect();
        assert!(
            !code.is_empty(),
            "no code in the subject {:?}",
            self.subject
        );
        code
    }
}
