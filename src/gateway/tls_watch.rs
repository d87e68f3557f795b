//! Looks after the files of TLS: takes up new ones without a restart, and warns of certificates that end.
//!
//! Files are looked at every second by what the system knows of them, through symbolic links, rather than
//! by notification: certbot and Kubernetes swap links in folders above, network file systems notify nobody,
//! and a look costs a few microseconds.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{certificates::Certificate, tls::Tls};
use crate::{
    clock::{Clock, Timestamp},
    condition::Condition,
    config::TlsFiles,
};

/// The files, as they were before they were read.
pub struct Files {
    pairs: Vec<TlsFiles>,
    authorities: Option<PathBuf>,
    seen: Vec<Option<Stamp>>,
}

impl Files {
    /// Looks at them. To be done before they are read, so that no change in between is missed.
    pub fn look(pairs: &[TlsFiles], authorities: Option<&PathBuf>) -> Self {
        let mut files = Self {
            pairs: pairs.to_vec(),
            authorities: authorities.cloned(),
            seen: Vec::new(),
        };
        files.seen = files.stamps();
        files
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let pairs = self.pairs.iter().flat_map(|pair| [&pair.cert, &pair.key]);
        pairs
            .chain(&self.authorities)
            .map(|file| stamp(file))
            .collect()
    }
}

/// Looks after the files for as long as it is polled.
pub async fn run(tls: Arc<Tls>, files: Files, clock: Clock, condition: Arc<Condition>) {
    let mut watch = Watch::new(tls, files, clock, condition);
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Reading files may wait for a disk.
        let looked = tokio::task::spawn_blocking(move || {
            watch.turn();
            watch
        });
        match looked.await {
            Ok(back) => watch = back,
            Err(error) => {
                tracing::error!(%error, "certificates are no longer looked after; restart the gateway");
                return;
            }
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Two weeks: renewals are tried a month before the end, and somebody has to notice that they failed.
const ENDS_SOON: Duration = Duration::from_hours(14 * 24);
const WARN_EVERY: Duration = Duration::from_hours(24);

struct Watch {
    tls: Arc<Tls>,
    files: Files,
    clock: Clock,
    /// Whether what is seen is in force, or known to be unusable.
    settled: bool,
    failing: bool,
    warned: Option<Timestamp>,
    condition: Arc<Condition>,
}

/// What tells one state of a file from the next.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<std::time::SystemTime>,
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl Watch {
    const fn new(tls: Arc<Tls>, files: Files, clock: Clock, condition: Arc<Condition>) -> Self {
        Self {
            tls,
            files,
            clock,
            settled: true,
            failing: false,
            warned: None,
            condition,
        }
    }

    fn turn(&mut self) {
        self.take_up_changes();
        self.warn_of_ends();
    }

    /// Chain and key are two files: they are taken up when nothing has changed since the last look, so that
    /// a renewal half-way through is not read.
    fn take_up_changes(&mut self) {
        let now = self.files.stamps();
        if now != self.files.seen {
            self.files.seen = now;
            self.settled = false;
            return;
        }
        if self.settled {
            return;
        }
        self.settled = true;
        let reloaded = self.tls.reload(&self.files.pairs);
        if let Err(error) = &reloaded {
            let now = self.clock.now();
            let certificates = &self.condition.certificates;
            certificates.note_trouble(error.to_string(), now);
        }
        match reloaded {
            Ok(()) => {
                let mended = self.failing;
                self.failing = false;
                self.warned = None;
                self.condition.certificates.note_well();
                tracing::info!(mended, "new certificates are in force");
            }
            Err(error) if self.failing => {
                tracing::debug!(error = &error as &dyn std::error::Error, "still unusable");
            }
            Err(error) => {
                self.failing = true;
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "new certificates cannot be used; the old ones stay in force"
                );
            }
        }
    }

    fn warn_of_ends(&mut self) {
        let now = self.clock.now();
        if self
            .warned
            .is_some_and(|warned| warned <= now && now.since(warned) < WARN_EVERY)
        {
            return;
        }
        self.warned = Some(now);
        let certificates = self.tls.certificates();
        for certificate in certificates.all() {
            let file = certificate.file.display();
            match remaining(certificate, now) {
                Remaining::Enough => {}
                Remaining::Days(days) => {
                    tracing::warn!(%file, days, "a certificate ends soon and was not renewed");
                }
                Remaining::None => {
                    tracing::error!(%file, "a certificate has ended: browsers refuse the site");
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remaining {
    Enough,
    Days(u64),
    None,
}

fn remaining(certificate: &Certificate, now: Timestamp) -> Remaining {
    match u64::try_from(certificate.not_after - now.seconds()) {
        Err(_) => Remaining::None,
        Ok(left) if left < ENDS_SOON.as_secs() => Remaining::Days(left / (24 * 60 * 60)),
        Ok(_) => Remaining::Enough,
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let seen = std::fs::metadata(file).ok()?;
    Some(Stamp {
        length: seen.len(),
        modified: seen.modified().ok(),
        #[cfg(unix)]
        inode: {
            use std::os::unix::fs::MetadataExt;
            (seen.dev(), seen.ino(), seen.ctime(), seen.ctime_nsec())
        },
    })
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        sync::{Mutex, PoisonError},
    };

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        /// Writes a certificate for `name` into a folder of its own.
        fn issue(&self, folder: &str, name: &str) {
            let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(2030, 1, 1);
            let key = rcgen::KeyPair::generate().unwrap();
            let made = params.self_signed(&key).unwrap();
            fs::create_dir_all(self.path(folder)).unwrap();
            fs::write(self.path(folder).join("cert.pem"), made.pem()).unwrap();
            fs::write(self.path(folder).join("key.pem"), key.serialize_pem()).unwrap();
        }

        fn watch(&self, folder: &str) -> Watch {
            let files = vec![TlsFiles {
                cert: self.path(folder).join("cert.pem"),
                key: self.path(folder).join("key.pem"),
            }];
            let seen = Files::look(&files, None);
            let tls = Arc::new(Tls::load(&files, None).unwrap());
            let now = Timestamp::from_seconds(1_800_000_000);
            Watch::new(tls, seen, Clock::fixed(now), Arc::default())
        }
    }

    fn serves(watch: &Watch, name: &str) -> bool {
        watch.tls.certificates().hosts_beside(name).is_some()
    }

    #[test]
    fn a_renewal_is_in_force_two_looks_later() {
        let folder = Folder::new();
        folder.issue("live", "old.example");
        let mut watch = folder.watch("live");
        watch.turn();
        folder.issue("live", "new.example");
        watch.turn();
        assert!(serves(&watch, "old.example"));
        watch.turn();
        assert!(serves(&watch, "new.example") && !serves(&watch, "old.example"));
    }

    #[cfg(unix)]
    #[test]
    fn a_swapped_link_to_a_folder_is_a_renewal() {
        let folder = Folder::new();
        folder.issue("one", "one.example");
        folder.issue("two", "two.example");
        std::os::unix::fs::symlink(folder.path("one"), folder.path("live")).unwrap();
        let mut watch = folder.watch("live");
        std::os::unix::fs::symlink(folder.path("two"), folder.path("next")).unwrap();
        fs::rename(folder.path("next"), folder.path("live")).unwrap();
        watch.turn();
        watch.turn();
        assert!(serves(&watch, "two.example"));
    }

    #[test]
    fn half_a_renewal_leaves_the_old_serving_until_it_is_whole() {
        let folder = Folder::new();
        folder.issue("live", "old.example");
        let mut watch = folder.watch("live");
        let key = fs::read(folder.path("live").join("key.pem")).unwrap();
        folder.issue("live", "new.example");
        let new_key = fs::read(folder.path("live").join("key.pem")).unwrap();
        for broken in [&key[..], b"", &new_key[..new_key.len() / 2]] {
            fs::write(folder.path("live").join("key.pem"), broken).unwrap();
            watch.turn();
            watch.turn();
            assert!(watch.failing && serves(&watch, "old.example"));
            let trouble = watch.condition.certificates.trouble().unwrap();
            assert!(trouble.problem.contains(".pem"), "{}", trouble.problem);
        }
        fs::remove_file(folder.path("live").join("key.pem")).unwrap();
        watch.turn();
        watch.turn();
        assert!(watch.failing && serves(&watch, "old.example"));
        fs::write(folder.path("live").join("key.pem"), &new_key).unwrap();
        watch.turn();
        watch.turn();
        assert!(!watch.failing && serves(&watch, "new.example"));
        assert_eq!(watch.condition.certificates.trouble(), None);
    }

    #[test]
    fn a_certificate_is_told_of_two_weeks_before_its_end() {
        let folder = Folder::new();
        folder.issue("live", "a.example");
        let watch = folder.watch("live");
        let certificates = watch.tls.certificates();
        let certificate = &certificates.all()[0];
        let day = 24 * 60 * 60;
        for (before, expected) in [
            (15 * day, Remaining::Enough),
            (14 * day, Remaining::Enough),
            (14 * day - 1, Remaining::Days(13)),
            (day, Remaining::Days(1)),
            (0, Remaining::Days(0)),
            (-1, Remaining::None),
        ] {
            let now = Timestamp::from_seconds(certificate.not_after - before);
            assert_eq!(remaining(certificate, now), expected, "{before}");
        }
    }

    #[test]
    fn the_warning_comes_once_a_day() {
        let folder = Folder::new();
        folder.issue("live", "a.example");
        let mut watch = folder.watch("live");
        watch.turn();
        let first = watch.warned;
        watch.turn();
        assert_eq!(watch.warned, first);
        let tomorrow = watch.clock.now().plus(WARN_EVERY);
        watch.clock = Clock::fixed(tomorrow);
        watch.turn();
        assert_eq!(watch.warned, Some(tomorrow));
    }

    /// What is logged meanwhile, at `info` and above.
    fn told(act: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Log(Arc<Mutex<Vec<u8>>>);
        impl Write for Log {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                log.write(bytes)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, act);
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_renewal_that_fails_is_told_once_and_its_mending_too() {
        let folder = Folder::new();
        folder.issue("live", "old.example");
        let mut watch = folder.watch("live");
        let key = folder.path("live").join("key.pem");
        let whole = fs::read(&key).unwrap();
        fs::write(&key, "half").unwrap();
        let failing = told(|| (0..10).for_each(|_| watch.turn()));
        assert_eq!(failing.matches("ERROR").count(), 1, "{failing}");
        assert!(failing.contains("key.pem"), "{failing}");
        fs::write(&key, "another half").unwrap();
        assert_eq!(told(|| (0..10).for_each(|_| watch.turn())), "");
        fs::write(&key, whole).unwrap();
        let mended = told(|| (0..10).for_each(|_| watch.turn()));
        assert_eq!(mended.lines().count(), 1, "{mended}");
        assert!(
            mended.contains("INFO") && mended.contains("mended=true"),
            "{mended}"
        );
    }
}
