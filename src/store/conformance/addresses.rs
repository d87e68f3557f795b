//! Changing the address of an account.

use super::{starting::start_with, *};
use crate::store::{AccountKey, AddressChange, AddressChanged, Change, Started};

/// A mail to `name`, which proves it as the address of `account` for a quarter of an hour.
async fn proof_of(store: &dyn Store, account: AccountId, name: &str) -> EmailAttempt {
    let attempt = EmailAttempt {
        purpose: EmailPurpose::Address,
        ..attempt(Some(account), name, NOW.later(900))
    };
    let mail = mail(Some(account), NOW);
    store
        .begin_email_attempt(&attempt, &mail, &record(NOW))
        .await
        .unwrap();
    attempt
}

fn change(account: AccountId, attempt: &EmailAttempt) -> AddressChange {
    AddressChange {
        attempt: attempt.id,
        account,
        email: attempt.email.clone(),
        notice: Some(notice(account)),
    }
}

/// Asserts that `change` comes to `outcome` and that the store shows no trace of it.
async fn refused(
    store: &dyn Store,
    change: &AddressChange,
    at: Timestamp,
    outcome: AddressChanged,
) {
    let before = Snapshot::of(store).await;
    let changed = store.change_address(change, &record(at)).await.unwrap();
    assert_eq!(changed, outcome);
    assert_eq!(Snapshot::of(store).await, before);
}

async fn found(store: &dyn Store, name: &str) -> Option<Account> {
    let key = AccountKey::Email(address(name));
    store.account(&key).await.unwrap()
}

pub(crate) async fn a_proved_address_takes_the_place_of_the_old_one(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let at_the_old_one = begun_attempt(&*store, Some(ann.id), "ann").await;
    let proof = proof_of(&*store, ann.id, "anna").await;
    let position = neighbour.last_change().await.unwrap();
    let waiting = store.outbox_state().await.unwrap().waiting;

    let audit = record_of(ann.id, NOW.later(3));
    let changed = store.change_address(&change(ann.id, &proof), &audit).await;
    assert_eq!(changed.unwrap(), AddressChanged::Changed);
    let expected = Account {
        email: Some(address("anna")),
        email_verified_at: Some(NOW.later(3)),
        ..ann.clone()
    };
    assert_eq!(found(&*neighbour, "anna").await, Some(expected));
    assert_eq!(found(&*neighbour, "ann").await, None);
    assert_eq!(store.outbox_state().await.unwrap().waiting, waiting + 1);
    assert_eq!(store.audit(Some(ann.id), 1).await.unwrap(), [audit]);
    let (changes, _) = neighbour.changes_since(position).await.unwrap();
    assert_eq!(changes, [Change::AccountChanged(ann.id)]);

    let spend = Spend::Email {
        attempt: at_the_old_one.id,
    };
    let start = start_with(spend, session(ann.id, NOW));
    let started = store.start_session(&start, &record(NOW)).await.unwrap();
    assert_eq!(started, Started::AlreadySpent);
    refused(
        &*store,
        &change(ann.id, &proof),
        NOW,
        AddressChanged::AlreadySpent,
    )
    .await;
}

pub(crate) async fn an_address_is_proved_for_one_account_once_and_in_time(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let older = proof_of(&*store, ann.id, "annika").await;
    let proof = proof_of(&*store, ann.id, "anna").await;
    // Another account naming the same address ends nothing here.
    let bobs = proof_of(&*store, bob.id, "anna").await;
    let sign_in = begun_attempt(&*store, Some(ann.id), "ann").await;
    let over = AddressChanged::AlreadySpent;
    for attempt in [&older, &bobs, &sign_in] {
        refused(&*store, &change(ann.id, attempt), NOW, over).await;
    }
    refused(&*store, &change(bob.id, &proof), NOW, over).await;
    refused(&*store, &change(ann.id, &proof), NOW.later(900), over).await;
    let elsewhere = AddressChange {
        email: address("eve"),
        ..change(ann.id, &proof)
    };
    refused(&*store, &elsewhere, NOW, over).await;
    // Nor does it sign in.
    let start = start_with(Spend::Email { attempt: proof.id }, session(ann.id, NOW));
    let started = store.start_session(&start, &record(NOW)).await.unwrap();
    assert_eq!(started, Started::AlreadySpent);

    let racing: Vec<_> = (0..50)
        .map(|_| {
            let (store, change) = (store.clone(), change(ann.id, &proof));
            tokio::spawn(async move { store.change_address(&change, &record(NOW)).await.unwrap() })
        })
        .collect();
    let mut changed = 0;
    for racer in racing {
        changed += usize::from(racer.await.unwrap() == AddressChanged::Changed);
    }
    assert_eq!(changed, 1);
}

pub(crate) async fn an_address_of_another_account_is_not_taken(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let proof = proof_of(&*store, ann.id, "bob").await;
    saved_account(&*store, "bob").await;
    refused(&*store, &change(ann.id, &proof), NOW, AddressChanged::Taken).await;
    let nobody = AccountId::random();
    refused(
        &*store,
        &change(nobody, &proof),
        NOW,
        AddressChanged::AccountClosed,
    )
    .await;
    let disabled = AccountState::Disabled;
    store
        .set_account_state(ann.id, disabled, &record(NOW), None)
        .await
        .unwrap();
    refused(
        &*store,
        &change(ann.id, &proof),
        NOW,
        AddressChanged::AccountClosed,
    )
    .await;
}
