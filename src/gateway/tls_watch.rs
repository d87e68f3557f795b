//! Looks after the files of TLS: takes up new ones without a restart, and warns of certificates that end.
//!
//! Files are looked at every second by their [stamps](FileStamp).

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    certificates::{Certificate, TlsError},
    tls::Tls,
};
use crate::{
    clock::{Clock, Timestamp},
    config::TlsFiles,
    core::Core,
    file_stamp::FileStamp,
    telemetry::metrics::{ReloadOf, ReloadResult},
};

/// The files, as they were before they were read.
pub struct Files {
    /// Certificates and keys.
    pub pairs: Vec<TlsFiles>,
    /// Of client certificates.
    pub authorities: Option<PathBuf>,
    seen: Vec<Option<FileStamp>>,
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

    fn stamps(&self) -> Vec<Option<FileStamp>> {
        let pairs = self.pairs.iter().flat_map(|pair| [&pair.cert, &pair.key]);
        pairs
            .chain(&self.authorities)
            .map(|file| FileStamp::of(file))
            .collect()
    }
}

/// Looks after the files for as long as it is polled.
pub async fn run(tls: Arc<Tls>, core: Arc<Core>) {
    let mut watch = Watch::new(tls, core.clock.clone());
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Reading files may wait for a disk.
        let looked = tokio::task::spawn_blocking(move || (watch.turn(), watch));
        match looked.await {
            Ok((turn, back)) => {
                note(&turn, &core);
                watch = back;
            }
            Err(error) => {
                tracing::error!(%error, "certificates are no longer looked after; restart the gateway");
                return;
            }
        }
    }
}

fn note(turn: &Turn, core: &Core) {
    let (condition, reloads) = (&core.condition.certificates, &core.metrics.reloads);
    match turn {
        Turn::Nothing => {}
        Turn::Configured => drop(condition.note_well()),
        Turn::Renewed => {
            condition.note_well();
            reloads.count(ReloadOf::Certificates, ReloadResult::Taken);
        }
        Turn::Refused(error) => {
            condition.note_failure(error, core.clock.now());
            reloads.count(ReloadOf::Certificates, ReloadResult::Refused);
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Two weeks: renewals are tried a month before the end, and somebody has to notice that they failed.
const ENDS_SOON: Duration = Duration::from_hours(14 * 24);
const WARN_EVERY: Duration = Duration::from_hours(24);

struct Watch {
    tls: Arc<Tls>,
    clock: Clock,
    /// Those in force.
    files: Arc<Files>,
    seen: Vec<Option<FileStamp>>,
    /// Whether what is seen is in force, or known to be unusable.
    settled: bool,
    failing: bool,
    warned: Option<Timestamp>,
}

/// What a look came to.
#[derive(Debug)]
enum Turn {
    Nothing,
    /// A new configuration has read its files itself.
    Configured,
    /// New files are in force.
    Renewed,
    Refused(TlsError),
}

impl Watch {
    fn new(tls: Arc<Tls>, clock: Clock) -> Self {
        let files = tls.files();
        Self {
            tls,
            clock,
            seen: files.seen.clone(),
            files,
            settled: true,
            failing: false,
            warned: None,
        }
    }

    fn turn(&mut self) -> Turn {
        let turn = match self.follow_configuration() {
            Turn::Nothing => self.take_up_changes(),
            other => other,
        };
        self.warn_of_ends();
        turn
    }

    fn follow_configuration(&mut self) -> Turn {
        let files = self.tls.files();
        if Arc::ptr_eq(&files, &self.files) {
            return Turn::Nothing;
        }
        self.follow(files);
        self.settled = true;
        self.failing = false;
        Turn::Configured
    }

    fn follow(&mut self, files: Arc<Files>) {
        self.seen.clone_from(&files.seen);
        self.files = files;
        self.warned = None;
    }

    /// Chain and key are two files: they are taken up when nothing has changed since the last look, so that
    /// a renewal half-way through is not read.
    fn take_up_changes(&mut self) -> Turn {
        let now = self.files.stamps();
        if now != self.seen {
            self.seen = now;
            self.settled = false;
            return Turn::Nothing;
        }
        if self.settled {
            return Turn::Nothing;
        }
        self.settled = true;
        match self.tls.reload() {
            Ok(()) => {
                let mended = std::mem::replace(&mut self.failing, false);
                self.follow(self.tls.files());
                tracing::info!(mended, "new certificates are in force");
                Turn::Renewed
            }
            Err(error) => {
                if std::mem::replace(&mut self.failing, true) {
                    tracing::debug!(error = &error as &dyn std::error::Error, "still unusable");
                } else {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "new certificates cannot be used; the old ones stay in force until the files are mended, which is looked for"
                    );
                }
                Turn::Refused(error)
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
                    tracing::warn!(%file, days, "a certificate ends soon and was not renewed; replace its files, and it is taken up without a restart");
                }
                Remaining::None => {
                    tracing::error!(%file, "a certificate has ended: browsers refuse the site; replace its files, and it is taken up without a restart");
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
            let tls = Arc::new(Tls::load(&files, None).unwrap());
            let now = Timestamp::from_seconds(1_800_000_000);
            Watch::new(tls, Clock::fixed(now))
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

    #[test]
    fn the_files_of_a_new_configuration_are_looked_after_instead() {
        let folder = Folder::new();
        folder.issue("one", "one.example");
        folder.issue("two", "two.example");
        let mut watch = folder.watch("one");
        let other = vec![TlsFiles {
            cert: folder.path("two").join("cert.pem"),
            key: folder.path("two").join("key.pem"),
        }];
        watch.tls.take_up(watch.tls.prepare(&other, None).unwrap());
        assert!(matches!(watch.turn(), Turn::Configured));
        folder.issue("two", "new.example");
        assert!(matches!(watch.turn(), Turn::Nothing));
        assert!(matches!(watch.turn(), Turn::Renewed));
        assert!(serves(&watch, "new.example"));
        fs::remove_file(folder.path("one").join("key.pem")).unwrap();
        assert!((0..3).all(|_| matches!(watch.turn(), Turn::Nothing)));
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
            let refused = watch.turn();
            assert!(watch.failing && serves(&watch, "old.example"));
            assert!(
                matches!(&refused, Turn::Refused(error) if error.to_string().contains(".pem")),
                "{refused:?}"
            );
        }
        fs::remove_file(folder.path("live").join("key.pem")).unwrap();
        watch.turn();
        watch.turn();
        assert!(watch.failing && serves(&watch, "old.example"));
        fs::write(folder.path("live").join("key.pem"), &new_key).unwrap();
        watch.turn();
        assert!(matches!(watch.turn(), Turn::Renewed));
        assert!(!watch.failing && serves(&watch, "new.example"));
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
        let failing = told(|| (0..10).for_each(|_| drop(watch.turn())));
        assert_eq!(failing.matches("ERROR").count(), 1, "{failing}");
        assert!(failing.contains("key.pem"), "{failing}");
        fs::write(&key, "another half").unwrap();
        assert_eq!(told(|| (0..10).for_each(|_| drop(watch.turn()))), "");
        fs::write(&key, whole).unwrap();
        let mended = told(|| (0..10).for_each(|_| drop(watch.turn())));
        assert_eq!(mended.lines().count(), 1, "{mended}");
        assert!(
            mended.contains("INFO") && mended.contains("mended=true"),
            "{mended}"
        );
    }
}
