//! Requests that wait until their sender has signed in.

use super::*;
use crate::{
    id::HeldId,
    store::{HeldLook, HeldRequest, HeldState, HoldRoom, Kept, Take},
};

const WIDE: HoldRoom = HoldRoom {
    total: 1 << 30,
    per_network: 1 << 30,
};

/// A request that takes 5000 bytes of the room and is kept for ten minutes.
fn held() -> HeldRequest {
    HeldRequest {
        id: HeldId::random(),
        browser: digest(),
        account: None,
        network: Network::of([203, 0, 113, 9].into()),
        held_at: NOW,
        expires_at: NOW.later(600),
        summary: b"sealed summary".to_vec(),
        body: vec![7; 4986],
    }
}

async fn kept(store: &dyn Store) -> HeldRequest {
    let held = held();
    assert_eq!(store.hold_request(&held, WIDE).await.unwrap(), Kept::Kept);
    held
}

async fn state(store: &dyn Store, held: &HeldRequest, now: Timestamp) -> Option<HeldState> {
    let look = store.held_request(held.id, &held.browser, now).await;
    look.unwrap().map(|look| look.state)
}

pub(crate) async fn a_held_request_is_found_by_its_own_browser_alone(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let held = HeldRequest {
        account: Some(ann.id),
        ..held()
    };
    store.hold_request(&held, WIDE).await.unwrap();
    let expected = HeldLook {
        state: HeldState::Waiting,
        account: Some(ann.id),
        held_at: NOW,
        expires_at: held.expires_at,
        summary: held.summary.clone(),
    };
    let look = |browser| neighbour.held_request(held.id, browser, NOW);
    assert_eq!(look(&held.browser).await.unwrap(), Some(expected));
    assert_eq!(look(&digest()).await.unwrap(), None);

    let stolen = store.take_held(held.id, &digest(), NOW).await.unwrap();
    assert_eq!(stolen, Take::Unknown);
    assert!(!store.discard_held(held.id, &digest(), NOW).await.unwrap());
    let taken = neighbour.take_held(held.id, &held.browser, NOW).await;
    assert_eq!(taken.unwrap(), Take::Taken(held.body.clone()));
}

pub(crate) async fn of_many_who_take_a_held_request_one_gets_it(place: &impl Place) {
    let handles = [place.open().await, place.open().await];
    let held = kept(&*handles[0]).await;
    let racing: Vec<_> = (0..50)
        .zip(handles.iter().cycle().cloned())
        .map(|(_, store)| {
            let (id, browser) = (held.id, held.browser);
            tokio::spawn(async move { store.take_held(id, &browser, NOW).await })
        })
        .collect();
    let mut taken = 0;
    for racer in racing {
        match racer.await.unwrap().unwrap() {
            Take::Taken(body) => {
                assert_eq!(body, held.body);
                taken += 1;
            }
            refused => assert_eq!(refused, Take::Over(HeldState::Taken)),
        }
    }
    assert_eq!(taken, 1);
}

pub(crate) async fn what_was_taken_and_not_sent_can_be_given_back(place: &impl Place) {
    let store = place.open().await;
    let held = kept(&*store).await;
    let take = || store.take_held(held.id, &held.browser, NOW);
    assert!(!store.give_back_held(held.id, NOW).await.unwrap());
    take().await.unwrap();
    assert!(store.give_back_held(held.id, NOW).await.unwrap());
    assert_eq!(state(&*store, &held, NOW).await, Some(HeldState::Waiting));
    assert_eq!(take().await.unwrap(), Take::Taken(held.body.clone()));

    store.empty_held(held.id).await.unwrap();
    assert!(!store.give_back_held(held.id, NOW).await.unwrap());
    assert_eq!(take().await.unwrap(), Take::Over(HeldState::Taken));

    let late = kept(&*store).await;
    store.take_held(late.id, &late.browser, NOW).await.unwrap();
    let after = late.expires_at;
    assert!(!store.give_back_held(late.id, after).await.unwrap());
    assert_eq!(state(&*store, &late, after).await, Some(HeldState::Taken));
}

pub(crate) async fn what_waits_is_not_emptied(place: &impl Place) {
    let store = place.open().await;
    let held = kept(&*store).await;
    store.empty_held(held.id).await.unwrap();
    let taken = store.take_held(held.id, &held.browser, NOW).await.unwrap();
    assert_eq!(taken, Take::Taken(held.body));
}

pub(crate) async fn a_held_request_is_over_from_its_expiry_on(place: &impl Place) {
    let store = place.open().await;
    let held = kept(&*store).await;
    let last = NOW.later(599);
    assert_eq!(state(&*store, &held, last).await, Some(HeldState::Waiting));
    let over = held.expires_at;
    let look = store.held_request(held.id, &held.browser, over).await;
    let look = look.unwrap().unwrap();
    assert_eq!((look.state, look.summary.len()), (HeldState::Expired, 0));
    let taken = store.take_held(held.id, &held.browser, over).await.unwrap();
    assert_eq!(taken, Take::Over(HeldState::Expired));
    assert!(
        !store
            .discard_held(held.id, &held.browser, over)
            .await
            .unwrap()
    );
    let taken = store.take_held(held.id, &held.browser, last).await.unwrap();
    assert_eq!(taken, Take::Taken(held.body));
}

pub(crate) async fn the_content_of_what_is_over_is_dropped(place: &impl Place) {
    let store = place.open().await;
    let (held, taken) = (kept(&*store).await, kept(&*store).await);
    store
        .take_held(taken.id, &taken.browser, NOW)
        .await
        .unwrap();
    store.forget_held(NOW.later(599)).await.unwrap();
    assert_eq!(state(&*store, &held, NOW).await, Some(HeldState::Waiting));
    store.forget_held(held.expires_at).await.unwrap();
    // Nor does a node whose clock is slow send what is empty by now.
    assert_eq!(state(&*store, &held, NOW).await, Some(HeldState::Expired));
    let late = store.take_held(held.id, &held.browser, NOW).await.unwrap();
    assert_eq!(late, Take::Over(HeldState::Expired));
    assert!(!store.give_back_held(taken.id, NOW).await.unwrap());
    store
        .forget_held(held.expires_at.later(3601))
        .await
        .unwrap();
    assert_eq!(state(&*store, &held, NOW).await, None);
}

pub(crate) async fn what_was_discarded_is_not_sent(place: &impl Place) {
    let store = place.open().await;
    let held = kept(&*store).await;
    let discard = || store.discard_held(held.id, &held.browser, NOW);
    assert!(discard().await.unwrap());
    assert!(!discard().await.unwrap());
    let taken = store.take_held(held.id, &held.browser, NOW).await.unwrap();
    assert_eq!(taken, Take::Over(HeldState::Discarded));
    let late = held.expires_at.later(1);
    assert_eq!(
        state(&*store, &held, late).await,
        Some(HeldState::Discarded)
    );
}

pub(crate) async fn no_more_is_held_than_there_is_room_for(place: &impl Place) {
    let store = place.open().await;
    let room = HoldRoom {
        total: 15_000,
        per_network: 10_000,
    };
    let from = |third: u8| HeldRequest {
        network: Network::of([203, 0, third, 9].into()),
        ..held()
    };
    let first = from(1);
    for (held, expected) in [
        (first.clone(), Kept::Kept),
        (from(1), Kept::Kept),
        (from(1), Kept::NoRoom),
        (from(2), Kept::Kept),
        (from(3), Kept::NoRoom),
    ] {
        assert_eq!(store.hold_request(&held, room).await.unwrap(), expected);
        let found = state(&*store, &held, NOW).await;
        assert_eq!(found.is_some(), expected == Kept::Kept);
    }

    // What was sent, and what is over, makes room again.
    store
        .take_held(first.id, &first.browser, NOW)
        .await
        .unwrap();
    assert_eq!(
        store.hold_request(&from(1), room).await.unwrap(),
        Kept::NoRoom
    );
    store.empty_held(first.id).await.unwrap();
    assert_eq!(
        store.hold_request(&from(1), room).await.unwrap(),
        Kept::Kept
    );
    let later = HeldRequest {
        held_at: NOW.later(600),
        expires_at: NOW.later(1200),
        ..from(3)
    };
    assert_eq!(store.hold_request(&later, room).await.unwrap(), Kept::Kept);
    let empty = HeldRequest {
        id: HeldId::random(),
        body: Vec::new(),
        ..later
    };
    let little = HoldRoom {
        total: 5000 + HeldRequest::MIN_SIZE - 1,
        per_network: 1 << 20,
    };
    assert_eq!(
        store.hold_request(&empty, little).await.unwrap(),
        Kept::NoRoom
    );
}

pub(crate) async fn of_many_who_ask_for_the_last_room_one_gets_it(place: &impl Place) {
    let handles = [place.open().await, place.open().await];
    let room = HoldRoom {
        total: 5000,
        per_network: 5000,
    };
    let racing: Vec<_> = (0..20)
        .zip(handles.iter().cycle().cloned())
        .map(|(_, store)| tokio::spawn(async move { store.hold_request(&held(), room).await }))
        .collect();
    let mut kept = 0;
    for racer in racing {
        kept += usize::from(racer.await.unwrap().unwrap() == Kept::Kept);
    }
    assert_eq!(kept, 1);
}

pub(crate) async fn what_became_of_a_held_request_is_remembered_for_an_hour(place: &impl Place) {
    let store = place.open().await;
    let held = kept(&*store).await;
    let again = |seconds| HeldRequest {
        held_at: held.expires_at.later(seconds),
        expires_at: held.expires_at.later(seconds + 600),
        ..self::held()
    };
    store.hold_request(&again(3600), WIDE).await.unwrap();
    let late = held.expires_at.later(3600);
    assert_eq!(state(&*store, &held, late).await, Some(HeldState::Expired));
    store.hold_request(&again(3601), WIDE).await.unwrap();
    assert_eq!(state(&*store, &held, late).await, None);

    let left = NOW.later(600 + 3601 + 600);
    assert_eq!(store.forget_before(left).await.unwrap(), 1);
    assert_eq!(store.forget_before(left.later(1)).await.unwrap(), 1);
}

pub(crate) async fn a_deleted_account_leaves_nothing_held(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let held = HeldRequest {
        account: Some(ann.id),
        ..held()
    };
    store.hold_request(&held, WIDE).await.unwrap();
    assert!(store.delete_account(ann.id, &record(NOW)).await.unwrap());
    assert_eq!(state(&*store, &held, NOW).await, None);
}
