//! Passkeys after they were saved.

use std::slice;

use super::*;
use crate::store::{Change, Started};

pub(crate) async fn passkeys_are_listed_oldest_first_and_renamed_by_their_owner(
    place: &impl Place,
) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let mut expected = Vec::new();
    for created_at in [NOW, NOW, NOW.later(1)] {
        let new = Credential {
            created_at,
            ..credential(ann.id)
        };
        let start = SessionStart {
            new_credential: Some(new.clone()),
            ..operator_start(session(ann.id, NOW))
        };
        store.start_session(&start, &record(NOW)).await.unwrap();
        expected.push(new);
    }
    assert_eq!(store.credentials(ann.id).await.unwrap(), expected);

    expected[1].label = "Key ring".to_owned();
    let id = &expected[1].id;
    let renamed = store
        .rename_credential(ann.id, id, "Key ring", &record(NOW))
        .await;
    assert!(renamed.unwrap());
    assert_eq!(
        store.credential(id).await.unwrap().as_ref(),
        Some(&expected[1])
    );
    assert_eq!(store.credentials(ann.id).await.unwrap(), expected);
}

pub(crate) async fn removing_a_passkey_ends_what_it_opened_but_the_session_at_hand(
    place: &impl Place,
) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let (removed, at_hand) = saved_credential(&*store, ann.id).await;
    let (other, of_other) = saved_credential(&*store, ann.id).await;
    let of_none = started_session(&*store, ann.id).await;
    let opened = SessionRecord {
        credential: Some(removed.id.clone()),
        ..session(ann.id, NOW)
    };
    let started = store
        .start_session(&operator_start(opened.clone()), &record(NOW))
        .await;
    assert_eq!(started.unwrap(), Started::Started);
    let position = neighbour.last_change().await.unwrap();

    let done = store
        .remove_credential(
            &removal(ann.id, &removed.id, Some(at_hand.id)),
            &record(NOW),
        )
        .await;
    assert!(done.unwrap());
    assert_eq!(
        store.credentials(ann.id).await.unwrap(),
        slice::from_ref(&other)
    );
    for alive in [&at_hand, &of_other, &of_none] {
        assert_eq!(
            store.session(alive.id, NOW).await.unwrap().as_ref(),
            Some(alive)
        );
    }
    assert_eq!(store.session(opened.id, NOW).await.unwrap(), None);
    let (changes, position) = neighbour.changes_since(position).await.unwrap();
    assert_eq!(changes, [Change::SessionEnded(opened.id)]);

    let done = store
        .remove_credential(&removal(ann.id, &other.id, None), &record(NOW))
        .await;
    assert!(done.unwrap());
    let (changes, _) = neighbour.changes_since(position).await.unwrap();
    assert_eq!(changes, [Change::SessionEnded(of_other.id)]);
    let again = store
        .remove_credential(&removal(ann.id, &other.id, None), &record(NOW))
        .await;
    assert!(!again.unwrap());
}
