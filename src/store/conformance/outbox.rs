//! Mails waiting to be sent.

use super::*;

pub(crate) async fn a_mail_is_taken_by_one_until_its_lease_ends(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let mail = mail(None, NOW.later(10));
    store.enqueue_mail(&mail).await.unwrap();
    assert_eq!(take(&*store, NOW.later(9)).await, None);
    assert_eq!(take(&*store, NOW.later(10)).await, Some(mail.id));
    assert_eq!(take(&*neighbour, NOW.later(39)).await, None);
    let waiting = OutboxState {
        waiting: 1,
        next_due_at: Some(NOW.later(40)),
        oldest_at: Some(NOW.later(10)),
    };
    assert_eq!(neighbour.outbox_state().await.unwrap(), waiting);

    // Its taker died: it comes back as it was.
    let again = neighbour
        .take_due_mail(NOW.later(40), NOW.later(70))
        .await
        .unwrap();
    let again = again.unwrap();
    assert_eq!(
        (again.id, &again.sealed, again.tries),
        (mail.id, &mail.sealed, 0)
    );
    assert_eq!(again.expires_at, mail.expires_at);
    neighbour.finish_mail(mail.id).await.unwrap();
    assert_eq!(take(&*store, NOW.later(500)).await, None);
    let empty = OutboxState {
        waiting: 0,
        next_due_at: None,
        oldest_at: None,
    };
    assert_eq!(store.outbox_state().await.unwrap(), empty);
    // Finishing or postponing what another has finished is no error.
    store.finish_mail(mail.id).await.unwrap();
    store.postpone_mail(mail.id, NOW).await.unwrap();
    assert_eq!(store.outbox_state().await.unwrap(), empty);
}

/// Takes a mail for 30 seconds.
async fn take(store: &dyn Store, now: Timestamp) -> Option<MailId> {
    let taken = store.take_due_mail(now, now.later(30)).await.unwrap();
    taken.map(|mail| mail.id)
}

pub(crate) async fn mails_are_taken_in_the_order_they_fall_due(place: &impl Place) {
    let store = place.open().await;
    let mails = [
        mail(None, NOW.later(2)),
        mail(None, NOW.later(1)),
        mail(None, NOW.later(2)),
    ];
    for mail in &mails {
        store.enqueue_mail(mail).await.unwrap();
    }
    let now = NOW.later(2);
    for at in [1, 0, 2] {
        assert_eq!(take(&*store, now).await, Some(mails[at].id));
    }
    assert_eq!(take(&*store, now).await, None);
}

pub(crate) async fn a_postponed_mail_counts_its_tries(place: &impl Place) {
    let store = place.open().await;
    let mail = mail(None, NOW);
    store.enqueue_mail(&mail).await.unwrap();
    for tries in 0..3 {
        let now = NOW.later(100 * u64::from(tries));
        let taken = store
            .take_due_mail(now, now.later(30))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((taken.id, taken.tries), (mail.id, tries));
        store.postpone_mail(mail.id, now.later(100)).await.unwrap();
        assert_eq!(take(&*store, now.later(99)).await, None);
    }
}

pub(crate) async fn a_mail_that_is_no_longer_worth_sending_is_dropped(place: &impl Place) {
    let store = place.open().await;
    let (early, late) = (mail(None, NOW), mail(None, NOW.later(1)));
    for mail in [&early, &late] {
        store.enqueue_mail(mail).await.unwrap();
    }
    assert_eq!(take(&*store, early.expires_at).await, Some(late.id));
    assert_eq!(store.outbox_state().await.unwrap().waiting, 1);
    assert_eq!(take(&*store, late.expires_at).await, None);
    assert_eq!(store.outbox_state().await.unwrap().waiting, 0);
}

pub(crate) async fn the_mail_of_a_deleted_account_is_forgotten(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    store.enqueue_mail(&mail(Some(ann.id), NOW)).await.unwrap();
    assert_eq!(store.outbox_state().await.unwrap().waiting, 1);
    store.delete_account(ann.id, &record(NOW)).await.unwrap();
    // Also that which was being written at that moment.
    store.enqueue_mail(&mail(Some(ann.id), NOW)).await.unwrap();
    assert_eq!(store.outbox_state().await.unwrap().waiting, 0);
}
