//! Sign-in by mail: trying codes, and when an attempt is over.

use super::{starting::start_with, *};
use crate::store::{AccountKey, CodeTry, RecoveryChoice, Started};

/// What is written when an account is closed to codes.
fn closing(at: Timestamp) -> AuditRecord {
    AuditRecord {
        event: AuditEvent::EmailCodesClosed,
        ..record(at)
    }
}

/// Tries a code from the browser that asked.
async fn try_code(
    store: &dyn Store,
    attempt: &EmailAttempt,
    code: &Digest,
    now: Timestamp,
) -> CodeTry {
    store
        .try_email_code(attempt.id, &attempt.browser, code, &closing(now), now)
        .await
        .unwrap()
}

async fn is_open(store: &dyn Store, attempt: &EmailAttempt, now: Timestamp) -> bool {
    let by_link = store
        .email_attempt_by_link(&attempt.link, now)
        .await
        .unwrap();
    let by_code = try_code(store, attempt, &attempt.code, now).await;
    assert_eq!(by_link.is_some(), by_code != CodeTry::Over);
    by_link.is_some()
}

async fn spend(store: &dyn Store, attempt: &EmailAttempt, account: AccountId) -> Started {
    let start = start_with(
        Spend::Email {
            attempt: attempt.id,
        },
        session(account, NOW),
    );
    store.start_session(&start, &record(NOW)).await.unwrap()
}

pub(crate) async fn a_code_may_be_mistyped_four_times(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let attempt = begun_attempt(&*store, Some(ann.id), "ann").await;
    for left in [4, 3, 2, 1] {
        let wrong = try_code(&*store, &attempt, &digest(), NOW).await;
        assert_eq!(wrong, CodeTry::Wrong { left });
    }
    // The right one may be tried again: it is spent only with the session.
    for _ in 0..2 {
        let right = try_code(&*store, &attempt, &attempt.code, NOW).await;
        assert_eq!(right, CodeTry::Right(Box::new(attempt.clone())));
    }
    assert_eq!(spend(&*store, &attempt, ann.id).await, Started::Started);
}

pub(crate) async fn the_fifth_wrong_code_ends_the_attempt(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let attempt = begun_attempt(&*store, Some(ann.id), "ann").await;
    for _ in 0..4 {
        try_code(&*store, &attempt, &digest(), NOW).await;
    }
    let fifth = try_code(&*store, &attempt, &digest(), NOW).await;
    assert_eq!(fifth, CodeTry::Wrong { left: 0 });
    let right = try_code(&*store, &attempt, &attempt.code, NOW).await;
    assert_eq!(right, CodeTry::Over);
    assert!(!is_open(&*neighbour, &attempt, NOW).await);
    assert_eq!(
        spend(&*neighbour, &attempt, ann.id).await,
        Started::AlreadySpent
    );
}

pub(crate) async fn guesses_at_once_do_not_exceed_the_limit(place: &impl Place) {
    let handles = [place.open().await, place.open().await];
    let ann = saved_account(&*handles[0], "ann").await;
    let attempt = begun_attempt(&*handles[0], Some(ann.id), "ann").await;
    let guessing: Vec<_> = (0..20)
        .map(|turn| {
            let (store, attempt) = (handles[turn % 2].clone(), attempt.clone());
            tokio::spawn(async move { try_code(&*store, &attempt, &digest(), NOW).await })
        })
        .collect();
    let mut lefts = Vec::new();
    for guess in guessing {
        if let CodeTry::Wrong { left } = guess.await.unwrap() {
            lefts.push(left);
        }
    }
    lefts.sort_unstable();
    assert_eq!(lefts, [0, 1, 2, 3, 4]);
    assert!(!is_open(&*handles[0], &attempt, NOW).await);
}

pub(crate) async fn the_code_is_worth_nothing_in_another_browser(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let attempt = begun_attempt(&*store, Some(ann.id), "ann").await;
    let stranger = digest();
    for code in [attempt.code, digest()].iter().cycle().take(12) {
        let tried = store
            .try_email_code(attempt.id, &stranger, code, &closing(NOW), NOW)
            .await;
        assert_eq!(tried.unwrap(), CodeTry::Over);
    }
    // Nor did those tries count.
    let wrong = try_code(&*store, &attempt, &digest(), NOW).await;
    assert_eq!(wrong, CodeTry::Wrong { left: 4 });
    let unknown = EmailAttemptId::random();
    let tried = store
        .try_email_code(unknown, &attempt.browser, &attempt.code, &closing(NOW), NOW)
        .await;
    assert_eq!(tried.unwrap(), CodeTry::Over);
}

pub(crate) async fn an_attempt_is_over_once_superseded_spent_or_expired(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let older = begun_attempt(&*store, Some(ann.id), "ann").await;
    assert!(is_open(&*neighbour, &older, NOW).await);
    let elsewhere = begun_attempt(&*store, None, "bob").await;
    let newer = begun_attempt(&*store, Some(ann.id), "ann").await;
    assert!(!is_open(&*neighbour, &older, NOW).await);
    assert_eq!(spend(&*store, &older, ann.id).await, Started::AlreadySpent);
    assert!(is_open(&*neighbour, &elsewhere, NOW).await);

    assert!(is_open(&*neighbour, &newer, NOW.later(899)).await);
    assert!(!is_open(&*neighbour, &newer, NOW.later(900)).await);
    let found = store.email_attempt_by_link(&newer.link, NOW).await.unwrap();
    assert_eq!(found.as_ref(), Some(&newer));
    assert_eq!(
        store.email_attempt_by_link(&digest(), NOW).await.unwrap(),
        None
    );

    assert_eq!(spend(&*store, &newer, ann.id).await, Started::Started);
    assert!(!is_open(&*neighbour, &newer, NOW).await);
}

pub(crate) async fn an_attempt_of_a_deleted_account_writes_nothing(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    store.delete_account(ann.id, &record(NOW)).await.unwrap();
    let before = Snapshot::of(&*store).await;
    let attempt = begun_attempt(&*store, Some(ann.id), "ann").await;
    assert!(!is_open(&*store, &attempt, NOW).await);
    assert_eq!(Snapshot::of(&*store).await, before);
    let key = AccountKey::Email(address("ann"));
    assert_eq!(store.account(&key).await.unwrap(), None);
}

/// Mistypes codes of Ann's, four per mail, until `tries` were wrong. Gives the last outcome.
async fn mistype(store: &dyn Store, ann: AccountId, tries: u32) -> (EmailAttempt, CodeTry) {
    let mut attempt = begun_attempt(store, Some(ann), "ann").await;
    let mut last = CodeTry::Over;
    for turn in 0..tries {
        if turn % 4 == 0 {
            attempt = begun_attempt(store, Some(ann), "ann").await;
        }
        last = try_code(store, &attempt, &digest(), NOW).await;
    }
    (attempt, last)
}

pub(crate) async fn a_hundred_wrong_codes_leave_the_link_alone(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let (_, tried) = mistype(&*store, ann.id, Account::MAX_FAILURES - 1).await;
    assert!(matches!(tried, CodeTry::Wrong { .. }), "{tried:?}");
    let attempt = begun_attempt(&*store, Some(ann.id), "ann").await;
    let hundredth = try_code(&*store, &attempt, &digest(), NOW).await;
    assert_eq!(hundredth, CodeTry::Closing);
    let newest = neighbour.audit(None, 1).await.unwrap();
    assert_eq!(
        (&newest[0].event, newest[0].account),
        (&AuditEvent::EmailCodesClosed, Some(ann.id))
    );

    // The right code is refused, of this mail and of later ones, and wrong ones no longer end a mail.
    let later = begun_attempt(&*store, Some(ann.id), "ann").await;
    let before = Snapshot::of(&*store).await;
    for _ in 0..EmailAttempt::MAX_WRONG_CODES {
        for code in [later.code, digest()] {
            let tried = try_code(&*neighbour, &later, &code, NOW).await;
            assert_eq!(tried, CodeTry::Closed);
        }
    }
    assert_eq!(Snapshot::of(&*store).await, before);
    let other = begun_attempt(&*store, Some(bob.id), "bob").await;
    let right = try_code(&*store, &other, &other.code, NOW).await;
    assert_eq!(right, CodeTry::Right(Box::new(other)));

    let by_link = neighbour.email_attempt_by_link(&later.link, NOW).await;
    assert_eq!(by_link.unwrap().as_ref(), Some(&later));
    assert_eq!(spend(&*store, &later, ann.id).await, Started::Started);
    let attempt = begun_attempt(&*store, Some(ann.id), "ann").await;
    let right = try_code(&*store, &attempt, &attempt.code, NOW).await;
    assert_eq!(right, CodeTry::Right(Box::new(attempt)));
}

pub(crate) async fn a_mail_that_signs_in_forgives_the_wrong_codes(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    for _ in 0..2 {
        let (attempt, tried) = mistype(&*store, ann.id, Account::MAX_FAILURES - 1).await;
        assert!(matches!(tried, CodeTry::Wrong { .. }), "{tried:?}");
        assert_eq!(spend(&*store, &attempt, ann.id).await, Started::Started);
    }
    // Whoever gives an account an address is signed in: those codes do not count.
    for _ in 0..Account::MAX_FAILURES {
        let address = EmailAttempt {
            purpose: EmailPurpose::Address,
            ..attempt(Some(ann.id), "ann", NOW.later(900))
        };
        let mail = mail(Some(ann.id), NOW);
        store
            .begin_email_attempt(&address, &mail, &record(NOW))
            .await
            .unwrap();
        let tried = try_code(&*store, &address, &digest(), NOW).await;
        assert_eq!(tried, CodeTry::Wrong { left: 4 });
    }
}

pub(crate) async fn a_mail_signs_in_only_where_its_person_lets_it(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let attempt = begun_attempt(&*store, Some(ann.id), "ann").await;
    let mut choice = RecoveryChoice {
        by_email: false,
        by_backup_codes: true,
    };
    let chosen = store
        .set_recovery_choice(ann.id, choice, &record(NOW), None)
        .await;
    assert!(chosen.unwrap());
    let before = Snapshot::of(&*store).await;
    assert_eq!(
        spend(&*store, &attempt, ann.id).await,
        Started::RecoveryClosed
    );
    assert_eq!(Snapshot::of(&*store).await, before);
    choice.by_email = true;
    let chosen = store
        .set_recovery_choice(ann.id, choice, &record(NOW), None)
        .await;
    assert!(chosen.unwrap());
    assert_eq!(spend(&*store, &attempt, ann.id).await, Started::Started);
}
