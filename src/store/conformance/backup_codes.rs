//! Backup codes: a set at a time, each once, and the limit of wrong ones.

use super::{starting::start_with, *};
use crate::store::{AccountKey, BackupCodeTry, RecoveryChoice, Started};

/// Gives an account ten new codes.
async fn made(store: &dyn Store, account: AccountId, at: Timestamp) -> Vec<Digest> {
    let codes: Vec<_> = (0..10).map(|_| digest()).collect();
    let older = store.backup_codes(account).await.unwrap();
    let (older, audit) = (older.map(|codes| codes.made_at), record_of(account, at));
    let replaced = store
        .replace_backup_codes(account, older, &codes, &audit, None)
        .await;
    assert!(replaced.unwrap());
    codes
}

/// What is written when the way is closed.
fn closing(account: AccountId) -> AuditRecord {
    AuditRecord {
        event: AuditEvent::BackupCodesClosed,
        ..record_of(account, NOW)
    }
}

async fn try_code(store: &dyn Store, account: AccountId, code: &Digest) -> BackupCodeTry {
    let notice = notice(account);
    store
        .try_backup_code(account, code, &closing(account), Some(&notice))
        .await
        .unwrap()
}

async fn spend(store: &dyn Store, account: AccountId, code: Digest) -> Started {
    let start = start_with(Spend::BackupCode { digest: code }, session(account, NOW));
    store.start_session(&start, &record(NOW)).await.unwrap()
}

async fn left(store: &dyn Store, account: AccountId) -> u32 {
    store.backup_codes(account).await.unwrap().unwrap().left
}

/// Asserts that a code starts nothing and leaves no trace.
async fn worthless(store: &dyn Store, account: AccountId, code: Digest, outcome: Started) {
    let before = Snapshot::of(store).await;
    assert_eq!(spend(store, account, code).await, outcome);
    assert_eq!(Snapshot::of(store).await, before);
}

pub(crate) async fn new_codes_take_the_place_of_all_older_ones(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    assert_eq!(store.backup_codes(ann.id).await.unwrap(), None);
    let bobs = made(&*store, bob.id, NOW).await;
    let older = made(&*store, ann.id, NOW).await;
    assert_eq!(spend(&*store, ann.id, older[0]).await, Started::Started);
    let codes = BackupCodes {
        made_at: NOW,
        left: 9,
        total: 10,
        closed: false,
    };
    assert_eq!(neighbour.backup_codes(ann.id).await.unwrap(), Some(codes));

    let audit = record_of(ann.id, NOW.later(9));
    let newer = [digest(), digest(), digest()];
    let replaced = store
        .replace_backup_codes(ann.id, Some(NOW), &newer, &audit, Some(&notice(ann.id)))
        .await;
    assert!(replaced.unwrap());
    assert_eq!(neighbour.audit(None, 1).await.unwrap(), [audit]);
    assert_eq!(neighbour.outbox_state().await.unwrap().waiting, 1);
    let codes = BackupCodes {
        made_at: NOW.later(9),
        left: 3,
        total: 3,
        closed: false,
    };
    assert_eq!(neighbour.backup_codes(ann.id).await.unwrap(), Some(codes));
    for code in older {
        worthless(&*neighbour, ann.id, code, Started::AlreadySpent).await;
    }
    assert_eq!(spend(&*store, ann.id, newer[0]).await, Started::Started);
    assert_eq!(spend(&*store, bob.id, bobs[0]).await, Started::Started);

    let before = Snapshot::of(&*store).await;
    let notice = notice(ann.id);
    for (account, older) in [
        (AccountId::random(), None),
        (ann.id, None),
        (ann.id, Some(NOW)),
    ] {
        let replaced = store
            .replace_backup_codes(account, older, &newer, &record(NOW), Some(&notice))
            .await;
        assert!(!replaced.unwrap(), "{older:?}");
    }
    assert_eq!(Snapshot::of(&*store).await, before);
}

pub(crate) async fn each_code_starts_one_session_of_its_own_account(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let codes = made(&*store, ann.id, NOW).await;
    made(&*store, bob.id, NOW).await;
    for (used, code) in codes.iter().enumerate() {
        worthless(&*store, bob.id, *code, Started::AlreadySpent).await;
        let left_after = 9 - u32::try_from(used).unwrap();
        let right = BackupCodeTry::Right { left: left_after };
        // Trying spends nothing.
        assert_eq!(try_code(&*neighbour, ann.id, code).await, right);
        assert_eq!(try_code(&*store, ann.id, code).await, right);
        assert_eq!(spend(&*store, ann.id, *code).await, Started::Started);
        assert_eq!(left(&*neighbour, ann.id).await, left_after);
        worthless(&*neighbour, ann.id, *code, Started::AlreadySpent).await;
    }
    worthless(&*store, ann.id, digest(), Started::AlreadySpent).await;
}

pub(crate) async fn of_many_who_spend_one_code_one_succeeds(place: &impl Place) {
    let handles = [place.open().await, place.open().await];
    let ann = saved_account(&*handles[0], "ann").await;
    let code = made(&*handles[0], ann.id, NOW).await[0];
    let racing: Vec<_> = (0..50)
        .map(|turn| {
            let store = handles[turn % 2].clone();
            tokio::spawn(async move { spend(&*store, ann.id, code).await })
        })
        .collect();
    let mut started = 0;
    for racer in racing {
        match racer.await.unwrap() {
            Started::Started => started += 1,
            Started::AlreadySpent => {}
            other => panic!("of a code that is spent once, nobody should hear {other:?}"),
        }
    }
    assert_eq!(started, 1);
    let sessions = handles[1].sessions(Some(ann.id), NOW).await.unwrap();
    assert_eq!(sessions.len(), 1);
    assert_eq!(left(&*handles[0], ann.id).await, 9);
}

pub(crate) async fn wrong_codes_count_until_the_way_is_closed(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let codes = made(&*store, ann.id, NOW).await;
    let bobs = made(&*store, bob.id, NOW).await;
    let audited = store.audit(None, u32::MAX).await.unwrap().len();
    for left in (1..Account::MAX_FAILURES).rev() {
        let wrong = try_code(&*store, ann.id, &digest()).await;
        assert_eq!(wrong, BackupCodeTry::Wrong { left });
    }
    let written = store.audit(None, u32::MAX).await.unwrap().len();
    assert_eq!(written, audited, "nothing is closed yet");
    let last = try_code(&*store, ann.id, &digest()).await;
    assert_eq!(last, BackupCodeTry::Wrong { left: 0 });
    assert_eq!(
        neighbour.audit(None, 1).await.unwrap()[0].event,
        AuditEvent::BackupCodesClosed
    );
    assert_eq!(neighbour.outbox_state().await.unwrap().waiting, 1);
    assert!(
        neighbour
            .backup_codes(ann.id)
            .await
            .unwrap()
            .unwrap()
            .closed
    );

    // The right ones are worth nothing either, and nothing more is written.
    for code in &codes {
        worthless(&*neighbour, ann.id, *code, Started::AlreadySpent).await;
    }
    let before = Snapshot::of(&*store).await;
    for code in [codes[0], digest()] {
        let over = try_code(&*neighbour, ann.id, &code).await;
        assert_eq!(over, BackupCodeTry::Over);
    }
    assert_eq!(Snapshot::of(&*store).await, before);
    assert_eq!(spend(&*store, bob.id, bobs[0]).await, Started::Started);

    // Until new ones are made.
    let codes = made(&*store, ann.id, NOW).await;
    assert_eq!(spend(&*store, ann.id, codes[0]).await, Started::Started);
}

pub(crate) async fn guesses_at_once_close_the_way_once(place: &impl Place) {
    let handles = [place.open().await, place.open().await];
    let ann = saved_account(&*handles[0], "ann").await;
    made(&*handles[0], ann.id, NOW).await;
    let audited = handles[0].audit(None, u32::MAX).await.unwrap().len();
    let guessing: Vec<_> = (0..120)
        .map(|turn| {
            let store = handles[turn % 2].clone();
            tokio::spawn(async move { try_code(&*store, ann.id, &digest()).await })
        })
        .collect();
    let mut lefts = Vec::new();
    for guess in guessing {
        if let BackupCodeTry::Wrong { left } = guess.await.unwrap() {
            lefts.push(left);
        }
    }
    lefts.sort_unstable();
    assert_eq!(lefts, (0..Account::MAX_FAILURES).collect::<Vec<_>>());
    let written = handles[1].audit(None, u32::MAX).await.unwrap().len();
    assert_eq!(written, audited + 1);
    assert_eq!(handles[1].outbox_state().await.unwrap().waiting, 1);
}

pub(crate) async fn a_code_that_is_spent_forgives_the_wrong_ones(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    for code in &made(&*store, ann.id, NOW).await[..2] {
        for _ in 1..Account::MAX_FAILURES {
            try_code(&*store, ann.id, &digest()).await;
        }
        assert_eq!(spend(&*store, ann.id, *code).await, Started::Started);
    }
    let wrong = try_code(&*store, ann.id, &digest()).await;
    let left = Account::MAX_FAILURES - 1;
    assert_eq!(wrong, BackupCodeTry::Wrong { left });
}

pub(crate) async fn what_is_not_offered_is_not_tried(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let before = Snapshot::of(&*store).await;
    for account in [ann.id, AccountId::random()] {
        let over = try_code(&*store, account, &digest()).await;
        assert_eq!(over, BackupCodeTry::Over);
    }
    assert_eq!(Snapshot::of(&*store).await, before);
    for code in made(&*store, ann.id, NOW).await {
        assert_eq!(spend(&*store, ann.id, code).await, Started::Started);
    }
    let over = try_code(&*store, ann.id, &digest()).await;
    assert_eq!(over, BackupCodeTry::Over, "all are used");
    store.delete_account(ann.id, &record(NOW)).await.unwrap();
    assert_eq!(store.backup_codes(ann.id).await.unwrap(), None);
}

pub(crate) async fn a_code_is_worth_nothing_where_its_way_is_off_or_blocked(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let code = made(&*store, ann.id, NOW).await[0];
    let choose = async |by_backup_codes| {
        let choice = RecoveryChoice {
            by_email: true,
            by_backup_codes,
        };
        let audit = record(NOW);
        let chosen = store.set_recovery_choice(ann.id, choice, &audit, None);
        assert!(chosen.await.unwrap());
    };
    choose(false).await;
    worthless(&*store, ann.id, code, Started::RecoveryClosed).await;
    choose(true).await;
    assert_eq!(spend(&*store, ann.id, code).await, Started::Started);

    let blocked = Account {
        recovery: Recovery {
            blocked_at: Some(NOW),
            ..Recovery::default()
        },
        ..account("bob")
    };
    let created = store.create_account(&blocked, None, &record(NOW)).await;
    created.unwrap();
    let key = AccountKey::Id(blocked.id);
    assert_eq!(store.account(&key).await.unwrap().as_ref(), Some(&blocked));
    let code = made(&*store, blocked.id, NOW).await[0];
    worthless(&*store, blocked.id, code, Started::RecoveryClosed).await;
}
