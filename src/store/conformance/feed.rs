//! Signing keys, the change feed, the audit records, and forgetting.

use std::time::SystemTime;

use super::{
    starting::{proofs, start_with},
    *,
};
use crate::store::{Change, Started};

pub(crate) async fn changes_come_in_order_and_once(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let start = neighbour.last_change().await.unwrap();
    assert_eq!(
        neighbour.changes_since(start).await.unwrap(),
        (vec![], start)
    );

    let session = started_session(&*store, ann.id).await;
    store.add_key(&key(NOW), false, &record(NOW)).await.unwrap();
    store
        .end_session(session.id, None, &record(NOW), None)
        .await
        .unwrap();
    let (changes, reached) = neighbour.changes_since(start).await.unwrap();
    assert_eq!(
        changes,
        [Change::KeysChanged, Change::SessionEnded(session.id)]
    );
    assert!(reached > start);
    assert_eq!(neighbour.last_change().await.unwrap(), reached);
    assert_eq!(
        neighbour.changes_since(reached).await.unwrap(),
        (vec![], reached)
    );

    let disabled = AccountState::Disabled;
    store
        .set_account_state(ann.id, disabled, &record(NOW), None)
        .await
        .unwrap();
    let (changes, _) = neighbour.changes_since(reached).await.unwrap();
    assert_eq!(changes, [Change::AccountChanged(ann.id)]);
    assert_eq!(store.changes_since(start).await.unwrap().0.len(), 3);
}

pub(crate) async fn each_change_says_when_it_was_written(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let start = neighbour.last_change().await.unwrap();
    // Databases keep milliseconds.
    let before = SystemTime::now() - Duration::from_millis(2);
    let session = started_session(&*store, ann.id).await;
    store.add_key(&key(NOW), false, &record(NOW)).await.unwrap();
    store
        .end_session(session.id, None, &record(NOW), None)
        .await
        .unwrap();
    let after = SystemTime::now() + Duration::from_millis(2);
    let reached = neighbour.last_change().await.unwrap();
    let written = neighbour.written_between(start, reached).await.unwrap();
    assert_eq!(written.len(), 2, "the key and the session");
    for moment in written {
        assert!(before <= moment && moment <= after, "{moment:?}");
    }
    let none = neighbour.written_between(reached, reached).await.unwrap();
    assert!(none.is_empty());
}

pub(crate) async fn what_a_starting_node_must_know_comes_from_a_moment_on(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let mut ended = Vec::new();
    for seconds in 0..3 {
        let session = started_session(&*store, ann.id).await;
        let audit = record(NOW.later(seconds));
        assert!(
            store
                .end_session(session.id, None, &audit, None)
                .await
                .unwrap()
        );
        ended.push(Change::SessionEnded(session.id));
    }
    assert_eq!(store.changes_from(NOW).await.unwrap(), ended);
    assert_eq!(store.changes_from(NOW.later(1)).await.unwrap(), ended[1..]);
    assert_eq!(store.changes_from(NOW.later(3)).await.unwrap(), []);
}

pub(crate) async fn the_first_of_many_keys_is_the_only_one(place: &impl Place) {
    let handles = [place.open().await, place.open().await];
    let adding: Vec<_> = (0..20)
        .map(|turn: usize| {
            let store = handles[turn % 2].clone();
            tokio::spawn(async move { store.add_key(&key(NOW), true, &record(NOW)).await.unwrap() })
        })
        .collect();
    let mut added = 0;
    for one in adding {
        added += usize::from(one.await.unwrap());
    }
    assert_eq!(added, 1);
    for store in &handles {
        assert_eq!(store.keys().await.unwrap().len(), 1);
        assert_eq!(
            store.changes_from(NOW).await.unwrap(),
            [Change::KeysChanged]
        );
        assert_eq!(store.audit(None, 10).await.unwrap().len(), 1);
    }
}

pub(crate) async fn keys_are_listed_newest_first(place: &impl Place) {
    let store = place.open().await;
    let keys = [key(NOW.later(1)), key(NOW), key(NOW.later(1))];
    for key in &keys {
        assert!(store.add_key(key, false, &record(NOW)).await.unwrap());
    }
    let [first, oldest, last] = keys;
    assert_eq!(store.keys().await.unwrap(), [last, first, oldest]);
}

pub(crate) async fn the_first_key_is_the_first_of_its_kind(place: &impl Place) {
    let store = place.open().await;
    for kind in KeyKind::ALL {
        let first = StoredKey { kind, ..key(NOW) };
        assert!(store.add_key(&first, true, &record(NOW)).await.unwrap());
        let second = StoredKey { kind, ..key(NOW) };
        assert!(!store.add_key(&second, true, &record(NOW)).await.unwrap());
    }
    assert_eq!(store.keys().await.unwrap().len(), 2);
}

pub(crate) async fn superseded_keys_are_forgotten(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    for kind in KeyKind::ALL {
        let keys = [0, 100, 200].map(|seconds| StoredKey {
            kind,
            ..key(NOW.later(seconds))
        });
        for key in &keys {
            store.add_key(key, false, &record(NOW)).await.unwrap();
        }
        let before = neighbour.last_change().await.unwrap();
        let forget = async |superseded_before| {
            let now = NOW.later(1000);
            store
                .forget_keys(kind, superseded_before, now)
                .await
                .unwrap()
        };
        assert_eq!(forget(NOW.later(100)).await, [""; 0]);
        assert_eq!(neighbour.changes_since(before).await.unwrap().0, []);
        assert_eq!(forget(NOW.later(101)).await, [keys[0].kid.clone()]);
        // The newest is never superseded.
        assert_eq!(forget(NOW.later(900)).await, [keys[1].kid.clone()]);
        assert_eq!(forget(NOW.later(900)).await, [""; 0]);
        let left: Vec<_> = neighbour.keys().await.unwrap();
        assert!(left.contains(&keys[2]));
        assert_eq!(
            neighbour.changes_since(before).await.unwrap().0,
            [Change::KeysChanged, Change::KeysChanged]
        );
    }
    assert_eq!(store.keys().await.unwrap().len(), 2);
}

pub(crate) async fn a_key_stays_while_a_session_may_have_been_signed_with_it(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let session = started_session(&*store, ann.id).await;
    let [oldest, old, new] = [key(NOW), key(NOW.later(10)), key(NOW.later(20))];
    let other = StoredKey {
        kind: KeyKind::Assertion,
        ..key(NOW)
    };
    for key in [&oldest, &old, &new, &other] {
        store.add_key(key, false, &record(NOW)).await.unwrap();
    }
    let forget = async |now| {
        let kind = KeyKind::Session;
        let mut gone = store.forget_keys(kind, NOW.later(30), now).await.unwrap();
        gone.sort_unstable();
        gone
    };
    assert_eq!(forget(NOW.later(30)).await, [""; 0]);
    let mut expected = [oldest.kid, old.kid];
    expected.sort_unstable();
    assert_eq!(forget(session.expires_at).await, expected);
    assert_eq!(store.keys().await.unwrap(), [new, other]);
}

pub(crate) async fn audit_records_come_newest_first_up_to_a_limit(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = AccountId::random();
    let session = SessionId::random();
    let refused = AuditRecord {
        network: None,
        request: None,
        event: AuditEvent::SignedIn {
            method: Method::Email,
            session,
            restricted: true,
        },
        ..record_of(ann, NOW)
    };
    let written = [
        refused,
        record(NOW),
        record_of(ann, NOW.later(1)),
        record_of(AccountId::random(), NOW.later(1)),
    ];
    for record in &written {
        store.record(record).await.unwrap();
    }
    let mut expected = Vec::from(written);
    expected.reverse();
    assert_eq!(neighbour.audit(None, 10).await.unwrap(), expected);
    assert_eq!(neighbour.audit(None, 3).await.unwrap(), expected[..3]);
    assert_eq!(neighbour.audit(None, 0).await.unwrap(), []);
    expected.retain(|record| record.account == Some(ann));
    assert_eq!(neighbour.audit(Some(ann), 10).await.unwrap(), expected);
    assert_eq!(neighbour.audit(Some(ann), 1).await.unwrap(), expected[..1]);
}

pub(crate) async fn forgetting_removes_what_has_served_and_nothing_else(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let spends = proofs(&*store, &ann, NOW.later(60)).await;
    for spend in &spends {
        let start = start_with(spend.clone(), session(ann.id, NOW));
        let started = store.start_session(&start, &record(NOW)).await.unwrap();
        assert_eq!(started, Started::Started);
    }
    let alive = started_session(&*store, ann.id).await;
    for session in store.sessions(None, NOW).await.unwrap() {
        if session.id != alive.id {
            store
                .end_session(session.id, None, &record(NOW.later(10)), None)
                .await
                .unwrap();
        }
    }
    let before = Snapshot::of(&*store).await;
    // The proof of the address was announced at NOW; everything else is younger than what is forgotten.
    assert_eq!(store.forget_before(NOW.later(10)).await.unwrap(), 1);
    assert_eq!(store.forget_before(NOW.later(10)).await.unwrap(), 0);
    for spend in &spends {
        let start = start_with(spend.clone(), session(ann.id, NOW.later(59)));
        let started = store.start_session(&start, &record(NOW)).await.unwrap();
        assert_eq!(started, Started::AlreadySpent);
    }

    // Three sessions and their changes, a ceremony, an invitation, an attempt; the ceremony that went with
    // the invitation lives on.
    assert_eq!(store.forget_before(NOW.later(61)).await.unwrap(), 9);
    assert_eq!(Snapshot::of(&*store).await, before);
    assert_eq!(store.changes_from(NOW).await.unwrap(), []);
    // The live session expires and goes, and that ceremony with it.
    assert_eq!(store.forget_before(alive.expires_at).await.unwrap(), 0);
    assert_eq!(
        store
            .forget_before(alive.expires_at.later(1))
            .await
            .unwrap(),
        2
    );
    let after = Snapshot::of(&*store).await;
    assert_eq!(
        (after.accounts, after.audit),
        (before.accounts, before.audit)
    );
}

pub(crate) async fn a_position_is_never_given_out_twice(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    store.add_key(&key(NOW), false, &record(NOW)).await.unwrap();
    let position = neighbour.last_change().await.unwrap();
    store.forget_before(NOW.later(1)).await.unwrap();
    assert_eq!(neighbour.last_change().await.unwrap(), position);
    store.add_key(&key(NOW), false, &record(NOW)).await.unwrap();
    let (changes, reached) = neighbour.changes_since(position).await.unwrap();
    assert_eq!(changes, [Change::KeysChanged]);
    assert!(reached > position);
}
