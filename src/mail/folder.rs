//! Mail as files, for trying out and for tests: one `.eml` per mail, named so that they sort by arrival.

use std::{
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use lettre::message::Mailbox;
use tokio::io::AsyncWriteExt;

use super::{
    Letter,
    transport::{DeliveryError, OpenError, Transport},
};
use crate::id::MailId;

/// A folder that takes our mail. Only its owner can read what is written.
pub struct FolderTransport {
    from: Mailbox,
    folder: PathBuf,
}

impl FolderTransport {
    /// Makes the folder if it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn open(from: Mailbox, folder: PathBuf) -> Result<Self, OpenError> {
        let made = tokio::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .await;
        match made {
            Ok(()) => Ok(Self { from, folder }),
            Err(source) => Err(OpenError::MakeFolder { folder, source }),
        }
    }
}

#[async_trait]
impl Transport for FolderTransport {
    async fn deliver(&self, id: MailId, letter: &Letter) -> Result<(), DeliveryError> {
        let message = letter.compose(id, &self.from)?;
        write_whole(&self.folder, &file_name(id), &message.formatted())
            .await
            .map_err(|error| DeliveryError::Unreachable(error.into()))
    }
}

/// From the system's clock, not the one that expiry goes by: it says when the file appeared.
fn file_name(id: MailId) -> String {
    let arrival_us = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since_1970| since_1970.as_micros());
    format!("{arrival_us:020}-{id}.eml")
}

/// A reader of the folder sees the whole file or none.
async fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(format!(".{name}.tmp"));
    let written = write_new(&unfinished, bytes).await;
    let moved = match written {
        Ok(()) => tokio::fs::rename(&unfinished, folder.join(name)).await,
        Err(error) => Err(error),
    };
    if moved.is_err() {
        // Best effort: what matters is reported already.
        let _ = tokio::fs::remove_file(&unfinished).await;
    }
    moved
}

async fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .await?;
    file.write_all(bytes).await?;
    file.sync_all().await
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use mail_parser::MessageParser;

    use super::*;
    use crate::{clock::Timestamp, email_address::EmailAddress};

    fn letter(subject: &str) -> Letter {
        Letter {
            to: EmailAddress::parse("ann@example.com").unwrap(),
            subject: subject.into(),
            text: "https://example.com/?a=1&b=2\n".into(),
            html: "<p>https://example.com/?a=1&amp;b=2</p>".into(),
            written_at: Timestamp::from_seconds(1_800_000_000),
        }
    }

    async fn transport(folder: &Path) -> FolderTransport {
        let from = "Example <no-reply@example.com>".parse().unwrap();
        FolderTransport::open(from, folder.to_owned())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn each_mail_becomes_one_file_and_they_sort_by_arrival() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("deep/mailbox");
        let transport = transport(&folder).await;
        for subject in ["first", "second", "third"] {
            transport
                .deliver(MailId::random(), &letter(subject))
                .await
                .unwrap();
        }

        let mut files: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let subjects: Vec<_> = files
            .iter()
            .map(|file| {
                assert_eq!(file.extension().unwrap(), "eml");
                assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
                let bytes = std::fs::read(file).unwrap();
                let mail = MessageParser::default().parse(&bytes).unwrap();
                assert_eq!(
                    mail.body_text(0).unwrap().trim_end(),
                    "https://example.com/?a=1&b=2"
                );
                mail.subject().unwrap().to_owned()
            })
            .collect();
        assert_eq!(subjects, ["first", "second", "third"]);
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_leaves_the_mail_for_another_try() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("mailbox");
        let transport = transport(&folder).await;
        std::fs::remove_dir(&folder).unwrap();
        let outcome = transport.deliver(MailId::random(), &letter("lost")).await;
        assert!(matches!(outcome, Err(DeliveryError::Unreachable(_))));
    }
}
