//! Sessions after they have begun.

use std::slice;

use super::*;
use crate::store::Change;

pub(crate) async fn a_session_lives_until_its_end_or_its_expiry(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let session = started_session(&*store, ann.id).await;
    let last = NOW.later(3599);
    let over = session.expires_at;
    assert_eq!(
        store.session(session.id, last).await.unwrap().as_ref(),
        Some(&session)
    );
    assert_eq!(
        store.sessions(None, last).await.unwrap(),
        slice::from_ref(&session)
    );
    assert_eq!(store.session(session.id, over).await.unwrap(), None);
    assert_eq!(store.sessions(None, over).await.unwrap(), []);
    assert_eq!(store.sessions(Some(ann.id), over).await.unwrap(), []);
    assert_eq!(
        store.renew_session(session.id, over, NOW).await.unwrap(),
        None
    );
    assert!(
        !store
            .end_session(session.id, None, &record(over), None)
            .await
            .unwrap()
    );

    assert!(
        store
            .end_session(session.id, None, &record(NOW), None)
            .await
            .unwrap()
    );
    assert_eq!(store.session(session.id, NOW).await.unwrap(), None);
    assert_eq!(
        store.renew_session(session.id, NOW, NOW).await.unwrap(),
        None
    );
    assert_eq!(store.session(SessionId::random(), NOW).await.unwrap(), None);
    let unknown = store
        .renew_session(SessionId::random(), NOW, NOW)
        .await
        .unwrap();
    assert_eq!(unknown, None);
}

pub(crate) async fn renewing_stops_at_the_idle_limit(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let session = started_session(&*store, ann.id).await;
    let idle_too_long = store
        .renew_session(session.id, NOW.later(601), NOW.later(1))
        .await;
    assert_eq!(idle_too_long.unwrap(), None);
    let renewed = store
        .renew_session(session.id, NOW.later(600), NOW)
        .await
        .unwrap();
    let expected = SessionRecord {
        last_seen_at: NOW.later(600),
        ..session
    };
    assert_eq!(renewed.as_ref(), Some(&expected));
    let seen = neighbour
        .session(expected.id, NOW.later(600))
        .await
        .unwrap();
    assert_eq!(seen, Some(expected));
}

pub(crate) async fn renewing_never_turns_back(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let session = started_session(&*store, ann.id).await;
    store
        .renew_session(session.id, NOW.later(60), NOW)
        .await
        .unwrap();
    let behind = store
        .renew_session(session.id, NOW.later(55), NOW)
        .await
        .unwrap();
    assert_eq!(behind.unwrap().last_seen_at, NOW.later(60));
}

pub(crate) async fn sessions_are_listed_newest_first(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let mut expected = Vec::new();
    for (account, begun) in [
        (ann.id, NOW),
        (bob.id, NOW.later(2)),
        (ann.id, NOW.later(2)),
        (ann.id, NOW.later(1)),
    ] {
        let session = session(account, begun);
        let start = operator_start(session.clone());
        store.start_session(&start, &record(NOW)).await.unwrap();
        expected.push(session);
    }
    expected.swap(0, 2);
    expected.swap(2, 3);
    // By now the last of `expected` is the oldest; of the two within a second, the later started leads.
    assert_eq!(store.sessions(None, NOW).await.unwrap(), expected);
    expected.retain(|session| session.account == ann.id);
    assert_eq!(store.sessions(Some(ann.id), NOW).await.unwrap(), expected);
}

pub(crate) async fn a_session_is_ended_once_and_by_its_own_account(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let session = started_session(&*store, ann.id).await;
    let position = neighbour.last_change().await.unwrap();
    let before = Snapshot::of(&*store).await;
    let foreign = store
        .end_session(session.id, Some(bob.id), &record(NOW), None)
        .await;
    assert!(!foreign.unwrap());
    assert_eq!(Snapshot::of(&*store).await, before);
    let own = store
        .end_session(session.id, Some(ann.id), &record(NOW), None)
        .await;
    assert!(own.unwrap());
    assert_eq!(neighbour.session(session.id, NOW).await.unwrap(), None);
    let again = neighbour
        .end_session(session.id, Some(ann.id), &record(NOW), None)
        .await;
    assert!(!again.unwrap());
    let (changes, _) = neighbour.changes_since(position).await.unwrap();
    assert_eq!(changes, [Change::SessionEnded(session.id)]);
}

pub(crate) async fn many_sessions_are_ended_and_counted(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let mut of_ann = Vec::new();
    for _ in 0..3 {
        of_ann.push(Change::SessionEnded(
            started_session(&*store, ann.id).await.id,
        ));
    }
    let of_bob = started_session(&*store, bob.id).await;
    let mut position = neighbour.last_change().await.unwrap();

    assert_eq!(
        store
            .end_sessions(Some(ann.id), &record(NOW), None)
            .await
            .unwrap(),
        3
    );
    let (mut changes, reached) = neighbour.changes_since(position).await.unwrap();
    position = reached;
    changes.retain(|change| !of_ann.contains(change));
    assert_eq!(
        (changes, store.sessions(None, NOW).await.unwrap()),
        (vec![], vec![of_bob.clone()])
    );
    assert_eq!(
        store
            .end_sessions(Some(ann.id), &record(NOW), None)
            .await
            .unwrap(),
        0
    );

    let everywhere = record(NOW.later(1));
    assert_eq!(
        store.end_sessions(None, &everywhere, None).await.unwrap(),
        1
    );
    let (changes, _) = neighbour.changes_since(position).await.unwrap();
    assert_eq!(changes, [Change::SessionEnded(of_bob.id)]);
    assert_eq!(store.sessions(None, NOW).await.unwrap(), []);
    assert_eq!(store.audit(None, 1).await.unwrap(), [everywhere]);
}
