//! What tells one state of a file from the next, without reading it.
//!
//! Files are looked at rather than watched by notification: certbot and Kubernetes swap links in folders above,
//! network file systems notify nobody, and a look costs a few microseconds.

use std::path::Path;

/// A file as it was at one moment, through symbolic links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStamp {
    length: u64,
    modified: Option<std::time::SystemTime>,
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl FileStamp {
    /// `None` where there is no such file, or it cannot be looked at.
    pub fn of(file: &Path) -> Option<Self> {
        let seen = std::fs::metadata(file).ok()?;
        Some(Self {
            length: seen.len(),
            modified: seen.modified().ok(),
            #[cfg(unix)]
            inode: {
                use std::os::unix::fs::MetadataExt;
                (seen.dev(), seen.ino(), seen.ctime(), seen.ctime_nsec())
            },
        })
    }
}
