//! Sign-in by mail: trying codes, and when an attempt is over.

use super::{starting::start_with, *};
use crate::store::{AccountKey, CodeTry, Started};

/// Tries a code from the browser that asked.
async fn try_code(
    store: &dyn Store,
    attempt: &EmailAttempt,
    code: &Digest,
    now: Timestamp,
) -> CodeTry {
    store
        .try_email_code(attempt.id, &attempt.browser, code, now)
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
        let tried = store.try_email_code(attempt.id, &stranger, code, NOW).await;
        assert_eq!(tried.unwrap(), CodeTry::Over);
    }
    // Nor did those tries count.
    let wrong = try_code(&*store, &attempt, &digest(), NOW).await;
    assert_eq!(wrong, CodeTry::Wrong { left: 4 });
    let unknown = EmailAttemptId::random();
    let tried = store
        .try_email_code(unknown, &attempt.browser, &attempt.code, NOW)
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
