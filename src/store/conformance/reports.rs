//! "This was not me": what it stops, that it is said once, and how recovery goes on.

use super::{starting::start_with, *};
use crate::store::{
    AccountKey, Change, CredentialUse, Recovered, Report, ReportState, Started, Stop, StopGround,
    Stopped, Suspect,
};

/// A report about what `suspect` names, good for a minute.
fn report(account: AccountId, suspect: Suspect) -> Report {
    Report {
        digest: digest(),
        account,
        suspect,
        about: "A passkey was saved.".to_owned(),
        created_at: NOW,
        expires_at: NOW.later(60),
    }
}

fn stop_by(report: &Report) -> Stop {
    Stop {
        account: report.account,
        ground: StopGround::Report(report.digest),
        mails: vec![mail(Some(report.account), NOW)],
    }
}

async fn started(store: &dyn Store, start: &SessionStart) {
    let started = store.start_session(start, &record(NOW)).await.unwrap();
    assert_eq!(started, Started::Started);
}

/// Somebody with a mailbox: a restricted session that a passkey which waits takes the place of. Gives that
/// passkey, its session and the report of it.
async fn recovery_by_a_thief(
    store: &dyn Store,
    account: AccountId,
) -> (Credential, SessionRecord, Report) {
    let restricted = SessionRecord {
        restricted: true,
        ..session(account, NOW)
    };
    started(store, &operator_start(restricted.clone())).await;
    let until = NOW.later(86_400);
    let held = Credential {
        standing: Standing::Held { until },
        ..credential(account)
    };
    let session = SessionRecord {
        restricted: true,
        credential: Some(held.id.clone()),
        ..session(account, NOW)
    };
    let report = report(
        account,
        Suspect {
            credential: Some(held.id.clone()),
            session: Some(session.id),
        },
    );
    let start = SessionStart {
        replaces: Some(restricted.id),
        new_credential: Some(held.clone()),
        notice: Some(Notice {
            mails: vec![mail(Some(account), NOW)],
            report: Some(report.clone()),
        }),
        ..operator_start(session.clone())
    };
    started(store, &start).await;
    (held, session, report)
}

/// Signs in with a passkey.
async fn opened_with(store: &dyn Store, credential: &Credential) -> SessionRecord {
    let session = SessionRecord {
        credential: Some(credential.id.clone()),
        ..session(credential.account, NOW)
    };
    started(store, &operator_start(session.clone())).await;
    session
}

/// Tells of something that was done in a session, in the step that starts one for somebody else to do it in. Gives
/// the digest of the report.
async fn told_of(store: &dyn Store, done_in: &SessionRecord) -> Digest {
    let suspect = Suspect {
        credential: None,
        session: Some(done_in.id),
    };
    let report = report(done_in.account, suspect);
    let start = SessionStart {
        notice: Some(Notice {
            mails: vec![],
            report: Some(report.clone()),
        }),
        ..operator_start(session(done_in.account, NOW))
    };
    started(store, &start).await;
    report.digest
}

/// Saves a passkey in a session, in whose place a new one comes.
async fn saved_in(store: &dyn Store, replaced: &SessionRecord) -> (Credential, SessionRecord) {
    let new = credential(replaced.account);
    let session = SessionRecord {
        credential: Some(new.id.clone()),
        ..session(replaced.account, NOW)
    };
    let start = SessionStart {
        replaces: Some(replaced.id),
        new_credential: Some(new.clone()),
        ..operator_start(session.clone())
    };
    started(store, &start).await;
    (new, session)
}

fn names(stopped: &Stopped) -> Vec<CredentialId> {
    let mut ids: Vec<_> = stopped.passkeys.iter().map(|one| one.id.clone()).collect();
    ids.sort_by_key(|id| id.to_string());
    ids
}

fn sorted(credentials: &[&Credential]) -> Vec<CredentialId> {
    let mut ids: Vec<_> = credentials.iter().map(|one| one.id.clone()).collect();
    ids.sort_by_key(|id| id.to_string());
    ids
}

async fn is_frozen(store: &dyn Store, credential: &Credential) -> bool {
    let found = store.credential(&credential.id).await.unwrap().unwrap();
    found.is_frozen()
}

async fn is_alive(store: &dyn Store, session: &SessionRecord) -> bool {
    store.session(session.id, NOW).await.unwrap().is_some()
}

async fn blocked_at(store: &dyn Store, account: AccountId) -> Option<Timestamp> {
    let found = store.account(&AccountKey::Id(account)).await.unwrap();
    found.unwrap().recovery.blocked_at
}

pub(crate) async fn a_report_stops_what_it_names_and_all_that_grew_from_it(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let (own, of_own) = saved_credential(&*store, ann.id).await;
    let (of_bob, bobs) = saved_credential(&*store, bob.id).await;
    let (held, of_held, report) = recovery_by_a_thief(&*store, ann.id).await;
    // The thief signs in anew and saves one more; somebody sits in another restricted session.
    let anew = opened_with(&*store, &held).await;
    let (later, of_later) = saved_in(&*store, &anew).await;
    let restricted = SessionRecord {
        restricted: true,
        ..session(ann.id, NOW)
    };
    started(&*store, &operator_start(restricted.clone())).await;
    // Another one by mail, full where the operator grants it.
    let by_mail = SessionRecord {
        method: Method::Email,
        ..session(ann.id, NOW)
    };
    started(&*store, &operator_start(by_mail.clone())).await;
    // Another notice of the same sign-in, and one of something else.
    let (same, other) = (
        told_of(&*store, &of_held).await,
        told_of(&*store, &of_own).await,
    );
    let position = neighbour.last_change().await.unwrap();
    let waiting = store.outbox_state().await.unwrap().waiting;

    let audit = record_of(ann.id, NOW.later(5));
    let stopped = store
        .stop(&stop_by(&report), &audit)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(names(&stopped), sorted(&[&held, &later]));
    assert_eq!(stopped.sessions, 4);
    let found = neighbour.credential(&held.id).await.unwrap().unwrap();
    let since = NOW.later(5);
    assert_eq!(found.standing, Standing::Frozen { since });
    for over in [&of_held, &of_later, &restricted, &by_mail] {
        assert!(!is_alive(&*neighbour, over).await);
    }
    for alive in [&of_own, &bobs] {
        assert!(is_alive(&*neighbour, alive).await);
    }
    assert!(!is_frozen(&*store, &own).await && !is_frozen(&*store, &of_bob).await);
    assert_eq!(blocked_at(&*neighbour, ann.id).await, Some(since));
    assert_eq!(blocked_at(&*neighbour, bob.id).await, None);
    assert_eq!(store.outbox_state().await.unwrap().waiting, waiting + 1);
    assert_eq!(store.audit(Some(ann.id), 1).await.unwrap(), [audit]);
    let state = neighbour.report(&same, NOW).await.unwrap();
    assert_eq!(state, ReportState::Said(ann.id));
    let state = neighbour.report(&other, NOW).await.unwrap();
    assert!(matches!(state, ReportState::Open(_)));
    let (changes, _) = neighbour.changes_since(position).await.unwrap();
    assert_eq!(changes.len(), 5);
    assert!(changes.contains(&Change::AccountChanged(ann.id)));
    for over in [&of_held, &of_later, &restricted, &by_mail] {
        assert!(changes.contains(&Change::SessionEnded(over.id)));
    }
}

pub(crate) async fn a_report_stops_every_passkey_that_waits(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let (first, _, report) = recovery_by_a_thief(&*store, ann.id).await;
    let (second, of_second, _) = recovery_by_a_thief(&*store, ann.id).await;
    let (of_bob, _, _) = recovery_by_a_thief(&*store, bob.id).await;
    let stopped = store
        .stop(&stop_by(&report), &record_of(ann.id, NOW.later(5)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(names(&stopped), sorted(&[&first, &second]));
    assert!(!is_alive(&*store, &of_second).await);
    assert!(!is_frozen(&*store, &of_bob).await);
}

pub(crate) async fn a_report_is_said_once_and_of_its_own_account(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let (_, of_held, report) = recovery_by_a_thief(&*store, ann.id).await;
    let ReportState::Open(open) = neighbour.report(&report.digest, NOW).await.unwrap() else {
        panic!("the report is open");
    };
    assert_eq!(open.suspect.credential, report.suspect.credential);
    assert_ne!(
        open.suspect.session,
        Some(of_held.id),
        "its sign-in's first"
    );
    assert_eq!(open.about, report.about);

    let before = Snapshot::of(&*store).await;
    let foreign = Stop {
        account: bob.id,
        ..stop_by(&report)
    };
    let unknown = Stop {
        ground: StopGround::Report(digest()),
        ..stop_by(&report)
    };
    for stop in [foreign, unknown] {
        assert_eq!(store.stop(&stop, &record(NOW)).await.unwrap(), None);
    }
    let late = record(NOW.later(60));
    assert_eq!(store.stop(&stop_by(&report), &late).await.unwrap(), None);
    let state = store.report(&report.digest, NOW.later(60)).await.unwrap();
    assert_eq!(state, ReportState::Over);
    let state = store.report(&digest(), NOW).await.unwrap();
    assert_eq!(state, ReportState::Over);
    assert_eq!(Snapshot::of(&*store).await, before);

    let handles = [store.clone(), neighbour];
    let racing: Vec<_> = (0..50)
        .map(|turn| {
            let (store, stop) = (handles[turn % 2].clone(), stop_by(&report));
            tokio::spawn(async move { store.stop(&stop, &record(NOW)).await.unwrap() })
        })
        .collect();
    let mut stopped = 0;
    for racer in racing {
        stopped += usize::from(racer.await.unwrap().is_some());
    }
    assert_eq!(stopped, 1);
    let state = store.report(&report.digest, NOW).await.unwrap();
    assert_eq!(state, ReportState::Said(ann.id));
}

pub(crate) async fn a_report_without_a_passkey_stops_its_sign_in(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let (own, of_own) = saved_credential(&*store, ann.id).await;
    let suspect = started_session(&*store, ann.id).await;
    let report = report(
        ann.id,
        Suspect {
            credential: None,
            session: Some(suspect.id),
        },
    );
    let successor = session(ann.id, NOW);
    let start = SessionStart {
        replaces: Some(suspect.id),
        notice: Some(Notice {
            mails: vec![],
            report: Some(report.clone()),
        }),
        ..operator_start(successor.clone())
    };
    started(&*store, &start).await;
    let (later, of_later) = saved_in(&*store, &successor).await;
    let stopped = store.stop(&stop_by(&report), &record(NOW)).await.unwrap();
    assert_eq!(names(&stopped.unwrap()), sorted(&[&later]));
    assert!(!is_alive(&*store, &of_later).await);
    assert!(is_alive(&*store, &of_own).await && !is_frozen(&*store, &own).await);
}

pub(crate) async fn a_frozen_passkey_opens_nothing_even_if_it_was_the_only_one(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let (held, _, report) = recovery_by_a_thief(&*store, ann.id).await;
    store.stop(&stop_by(&report), &record(NOW)).await.unwrap();
    let before = Snapshot::of(&*store).await;
    let used = CredentialUse {
        id: held.id.clone(),
        material: held.material.clone(),
        backup_state: false,
    };
    let start = SessionStart {
        credential_use: Some(used),
        ..operator_start(session(ann.id, NOW.later(100_000)))
    };
    let started = store.start_session(&start, &record(NOW)).await.unwrap();
    assert_eq!(started, Started::CredentialGone);
    assert_eq!(Snapshot::of(&*store).await, before);
    // It can be removed.
    let done = store
        .remove_credential(&removal(ann.id, &held.id, None), &record(NOW))
        .await;
    assert!(done.unwrap());
}

pub(crate) async fn whoever_stops_another_passkey_keeps_session_and_passkey(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let (bobs, _) = saved_credential(&*store, bob.id).await;
    let (own, first) = saved_credential(&*store, ann.id).await;
    // Somebody at the unlocked screen saves one, in the very sign-in that the person's own was saved in.
    let (suspect, of_suspect) = saved_in(&*store, &first).await;
    let kept = opened_with(&*store, &own).await;
    let (held, restricted, _) = recovery_by_a_thief(&*store, ann.id).await;
    let stop_in = |session: &SessionRecord, suspect: &Credential| Stop {
        account: ann.id,
        ground: StopGround::Session {
            session: session.id,
            suspect: suspect.id.clone(),
        },
        mails: vec![],
    };
    let before = Snapshot::of(&*store).await;
    for wrong in [
        stop_in(&kept, &own),
        stop_in(&kept, &bobs),
        stop_in(&restricted, &suspect),
        stop_in(&first, &suspect),
    ] {
        assert_eq!(store.stop(&wrong, &record(NOW)).await.unwrap(), None);
    }
    assert_eq!(Snapshot::of(&*store).await, before);

    let stopped = store.stop(&stop_in(&kept, &suspect), &record(NOW)).await;
    let stopped = stopped.unwrap().unwrap();
    assert_eq!(names(&stopped), sorted(&[&suspect, &held]));
    assert!(is_alive(&*store, &kept).await && !is_frozen(&*store, &own).await);
    assert!(!is_alive(&*store, &of_suspect).await && !is_alive(&*store, &restricted).await);
    let again = store.stop(&stop_in(&kept, &suspect), &record(NOW)).await;
    assert_eq!(again.unwrap(), None, "it is stopped already");
}

pub(crate) async fn after_a_report_mails_start_nothing_until_that_is_allowed(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let attempt = begun_attempt(&*store, Some(ann.id), "ann").await;
    let by_mail = start_with(
        Spend::Email {
            attempt: attempt.id,
        },
        session(ann.id, NOW),
    );
    let (_, _, report) = recovery_by_a_thief(&*store, ann.id).await;
    let allowed = store.allow_recovery(ann.id, None, &record(NOW)).await;
    assert!(!allowed.unwrap(), "nothing is blocked yet");
    store.stop(&stop_by(&report), &record(NOW)).await.unwrap();
    // Said again of something else, the first moment stays.
    let (_, _, second) = recovery_by_a_thief(&*store, ann.id).await;
    let later = record(NOW.later(9));
    store.stop(&stop_by(&second), &later).await.unwrap();
    assert_eq!(blocked_at(&*store, ann.id).await, Some(NOW));
    let refused = store.start_session(&by_mail, &record(NOW)).await;
    assert_eq!(refused.unwrap(), Started::RecoveryClosed);

    let position = neighbour.last_change().await.unwrap();
    let waiting = store.outbox_state().await.unwrap().waiting;
    let told = notice(ann.id);
    let audit = record_of(ann.id, NOW);
    let allowed = store.allow_recovery(ann.id, Some(&told), &audit).await;
    assert!(allowed.unwrap());
    assert_eq!(store.outbox_state().await.unwrap().waiting, waiting + 1);
    assert_eq!(store.audit(Some(ann.id), 1).await.unwrap(), [audit]);
    assert_eq!(blocked_at(&*neighbour, ann.id).await, None);
    let (changes, _) = neighbour.changes_since(position).await.unwrap();
    assert_eq!(changes, [Change::AccountChanged(ann.id)]);
    started(&*store, &by_mail).await;
    let again = store.allow_recovery(ann.id, None, &record(NOW)).await;
    assert!(!again.unwrap());
}

pub(crate) async fn an_older_passkey_is_confirmed_once_by_its_own_account(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let (older, _) = saved_credential(&*store, ann.id).await;
    let (recovering, _) = saved_credential(&*store, ann.id).await;
    let start = SessionStart {
        recovered: Some(Recovered {
            end_sessions: false,
        }),
        ..operator_start(SessionRecord {
            credential: Some(recovering.id.clone()),
            ..session(ann.id, NOW)
        })
    };
    started(&*store, &start).await;
    let waits = store.credential(&older.id).await.unwrap().unwrap();
    assert!(waits.to_confirm);

    for (account, credential) in [(bob.id, &older), (ann.id, &recovering)] {
        let done = store
            .confirm_credential(account, &credential.id, &record(NOW))
            .await;
        assert!(!done.unwrap());
    }
    let audit = record_of(ann.id, NOW);
    let done = store.confirm_credential(ann.id, &older.id, &audit).await;
    assert!(done.unwrap());
    assert_eq!(store.audit(Some(ann.id), 1).await.unwrap(), [audit]);
    assert_eq!(
        store.credential(&older.id).await.unwrap(),
        Some(older.clone())
    );
    let again = store
        .confirm_credential(ann.id, &older.id, &record(NOW))
        .await;
    assert!(!again.unwrap());
}

pub(crate) async fn expired_reports_are_forgotten(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let (_, _, report) = recovery_by_a_thief(&*store, ann.id).await;
    store.forget_before(NOW.later(60)).await.unwrap();
    let state = store.report(&report.digest, NOW).await.unwrap();
    assert!(matches!(state, ReportState::Open(_)));
    store.forget_before(NOW.later(61)).await.unwrap();
    let state = store.report(&report.digest, NOW).await.unwrap();
    assert_eq!(state, ReportState::Over);
}
