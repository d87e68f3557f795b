//! Recovery by administrators: each step once, and by whom it may be done.

use std::slice;

use super::*;
use crate::{
    id::RecoveryId,
    store::{RecoveryLink, RecoveryRequest, RecoveryStep, Started},
    telemetry::audit::{Actor, RecoveryReason},
};

fn root() -> Actor {
    Actor::CommandLine(Some("root".to_owned()))
}

fn other() -> Actor {
    Actor::CommandLine(Some("other".to_owned()))
}

/// A request by [`root`] that waits for an hour.
fn request(account: AccountId) -> RecoveryRequest {
    RecoveryRequest {
        id: RecoveryId::random(),
        account,
        requested_by: root(),
        reason: RecoveryReason::LostDevice,
        note: "called back".to_owned(),
        created_at: NOW,
        expires_at: NOW.later(3600),
        approved_by: None,
    }
}

async fn requested(store: &dyn Store, account: AccountId) -> RecoveryRequest {
    let request = request(account);
    let audit = record_of(account, NOW);
    let done = store.request_recovery(&request, &audit, None);
    assert!(done.await.unwrap());
    request
}

/// A link for a quarter of an hour.
fn link(recovery: RecoveryId, needs_approval: bool) -> RecoveryLink {
    RecoveryLink {
        recovery,
        by: root(),
        needs_approval,
        digest: digest(),
        expires_at: NOW.later(900),
    }
}

async fn issue(store: &dyn Store, link: &RecoveryLink, at: Timestamp) -> RecoveryStep {
    store
        .issue_recovery_link(link, &record(at), None)
        .await
        .unwrap()
}

/// A recovery link of an account, good for a quarter of an hour.
pub(crate) async fn issued_link(store: &dyn Store, account: AccountId) -> RecoveryLink {
    let link = link(requested(store, account).await.id, false);
    assert_eq!(issue(store, &link, NOW).await, RecoveryStep::Done);
    link
}

async fn approve(store: &dyn Store, id: RecoveryId, by: &Actor, at: Timestamp) -> RecoveryStep {
    store.approve_recovery(id, by, &record(at)).await.unwrap()
}

async fn spend(store: &dyn Store, account: AccountId, link: &RecoveryLink) -> Started {
    let spend = Spend::RecoveryLink {
        digest: link.digest,
    };
    let start = SessionStart::new(spend, session(account, NOW));
    store.start_session(&start, &record(NOW)).await.unwrap()
}

async fn is_open(store: &dyn Store, link: &RecoveryLink, now: Timestamp) -> Option<bool> {
    let owner = store.recovery_link_owner(&link.digest, now).await.unwrap();
    owner.map(|owner| owner.open)
}

pub(crate) async fn a_recovery_is_open_until_its_link_is_given_out(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let of_ann = requested(&*store, ann.id).await;
    let of_bob = requested(&*store, bob.id).await;
    let open = |account, now| neighbour.open_recoveries(account, now);
    assert_eq!(
        open(Some(ann.id), NOW).await.unwrap(),
        slice::from_ref(&of_ann)
    );
    assert_eq!(
        open(None, NOW).await.unwrap(),
        [of_bob.clone(), of_ann.clone()]
    );
    assert_eq!(open(None, of_ann.expires_at).await.unwrap(), []);
    assert_eq!(
        neighbour.recovery(of_ann.id).await.unwrap(),
        Some(of_ann.clone())
    );

    let first = link(of_ann.id, false);
    assert_eq!(issue(&*store, &first, NOW).await, RecoveryStep::Done);
    assert_eq!(open(None, NOW).await.unwrap(), [of_bob]);
    let before = Snapshot::of(&*store).await;
    let again = issue(&*store, &link(of_ann.id, false), NOW).await;
    assert_eq!(again, RecoveryStep::Over);
    assert_eq!(
        approve(&*store, of_ann.id, &other(), NOW).await,
        RecoveryStep::Over
    );
    assert_eq!(Snapshot::of(&*store).await, before);
}

pub(crate) async fn another_actor_approves_and_only_who_asked_collects(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let asked = requested(&*store, ann.id).await;
    let wanted = link(asked.id, true);
    let before = Snapshot::of(&*store).await;
    assert_eq!(
        issue(&*store, &wanted, NOW).await,
        RecoveryStep::NotApproved
    );
    for (by, why) in [
        (root(), RecoveryStep::OwnRequest),
        (Actor::Administrator(ann.id), RecoveryStep::OwnAccount),
    ] {
        assert_eq!(approve(&*store, asked.id, &by, NOW).await, why);
    }
    let late = approve(&*store, asked.id, &other(), asked.expires_at).await;
    assert_eq!(late, RecoveryStep::Over);
    let nothing = approve(&*store, RecoveryId::random(), &other(), NOW).await;
    assert_eq!(nothing, RecoveryStep::Over);
    assert_eq!(Snapshot::of(&*store).await, before);

    assert_eq!(
        approve(&*store, asked.id, &other(), NOW).await,
        RecoveryStep::Done
    );
    let third = Actor::CommandLine(Some("third".to_owned()));
    assert_eq!(
        approve(&*store, asked.id, &third, NOW).await,
        RecoveryStep::Over,
        "once"
    );
    let approved = store.recovery(asked.id).await.unwrap().unwrap();
    assert_eq!(approved.approved_by, Some(other()));

    let strangers = RecoveryLink {
        by: other(),
        ..link(asked.id, true)
    };
    assert_eq!(
        issue(&*store, &strangers, NOW).await,
        RecoveryStep::OthersRequest
    );
    let late = issue(&*store, &wanted, asked.expires_at).await;
    assert_eq!(late, RecoveryStep::Over);
    assert_eq!(issue(&*store, &wanted, NOW).await, RecoveryStep::Done);
    assert_eq!(is_open(&*store, &wanted, NOW).await, Some(true));
}

pub(crate) async fn a_newer_recovery_takes_the_place_of_older_ones(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let of_bob = issued_link(&*store, bob.id).await;
    let waiting = requested(&*store, ann.id).await;
    let older = issued_link(&*store, ann.id).await;
    let newer = issued_link(&*store, ann.id).await;
    assert_eq!(
        issue(&*store, &link(waiting.id, false), NOW).await,
        RecoveryStep::Over
    );
    assert_eq!(is_open(&*store, &older, NOW).await, Some(false));
    assert_eq!(spend(&*store, ann.id, &older).await, Started::AlreadySpent);
    assert_eq!(spend(&*store, ann.id, &newer).await, Started::Started);
    assert_eq!(spend(&*store, bob.id, &of_bob).await, Started::Started);
}

pub(crate) async fn a_recovery_link_is_spent_once_and_by_its_account(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let link = issued_link(&*store, ann.id).await;
    let owner = store.recovery_link_owner(&link.digest, NOW).await.unwrap();
    let owner = owner.unwrap();
    assert_eq!((&owner.account, owner.open), (&ann, true));
    assert_eq!(is_open(&*store, &link, link.expires_at).await, Some(false));
    let unknown = store.recovery_link_owner(&digest(), NOW).await.unwrap();
    assert_eq!(unknown, None);

    assert_eq!(spend(&*store, bob.id, &link).await, Started::AlreadySpent);
    assert_eq!(spend(&*store, ann.id, &link).await, Started::Started);
    assert_eq!(spend(&*store, ann.id, &link).await, Started::AlreadySpent);
    assert_eq!(is_open(&*store, &link, NOW).await, Some(false));
}

pub(crate) async fn of_many_who_spend_one_recovery_link_one_succeeds(place: &impl Place) {
    let handles = [place.open().await, place.open().await];
    let ann = saved_account(&*handles[0], "ann").await;
    let link = issued_link(&*handles[0], ann.id).await;
    let racing: Vec<_> = (0..50)
        .zip(handles.iter().cycle().cloned())
        .map(|(_, store)| {
            let link = link.clone();
            tokio::spawn(async move { spend(&*store, ann.id, &link).await })
        })
        .collect();
    let mut started = 0;
    for racer in racing {
        match racer.await.unwrap() {
            Started::Started => started += 1,
            Started::AlreadySpent => {}
            other => panic!("of a link that is spent once, nobody should hear {other:?}"),
        }
    }
    assert_eq!(started, 1);
    let alive = handles[1].sessions(Some(ann.id), NOW).await.unwrap();
    assert_eq!(alive.len(), 1);
}

pub(crate) async fn of_many_who_approve_or_collect_one_succeeds(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let asked = requested(&*store, ann.id).await;
    let mut approving = Vec::new();
    let mut collecting = Vec::new();
    for number in 0..50 {
        let store = store.clone();
        let by = Actor::CommandLine(Some(format!("approver {number}")));
        approving.push(tokio::spawn(async move {
            approve(&*store, asked.id, &by, NOW).await
        }));
    }
    assert_eq!(done(approving).await, 1);
    for _ in 0..50 {
        let store = store.clone();
        let link = link(asked.id, true);
        collecting.push(tokio::spawn(
            async move { issue(&*store, &link, NOW).await },
        ));
    }
    assert_eq!(done(collecting).await, 1);
}

async fn done(steps: Vec<tokio::task::JoinHandle<RecoveryStep>>) -> usize {
    let mut done = 0;
    for step in steps {
        match step.await.unwrap() {
            RecoveryStep::Done => done += 1,
            RecoveryStep::Over => {}
            other => panic!("of a step that is done once, nobody should hear {other:?}"),
        }
    }
    done
}

pub(crate) async fn a_recovery_is_remembered_as_long_as_its_account(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let link = issued_link(&*store, ann.id).await;
    spend(&*store, ann.id, &link).await;
    let much_later = NOW.later(1_000_000_000);
    store.forget_before(much_later).await.unwrap();
    assert!(store.recovery(link.recovery).await.unwrap().is_some());
    assert_eq!(is_open(&*store, &link, much_later).await, Some(false));

    store.delete_account(ann.id, &record(NOW)).await.unwrap();
    assert_eq!(store.recovery(link.recovery).await.unwrap(), None);
    let nobody = request(ann.id);
    let audit = record(NOW);
    let refused = store.request_recovery(&nobody, &audit, None);
    assert!(!refused.await.unwrap());
}

pub(crate) async fn what_administrators_do_is_told_with_it_or_not_at_all(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let session = started_session(&*store, ann.id).await;
    let told = notice(ann.id);
    let waiting = |expected| {
        let store = store.clone();
        async move {
            let waits = store.outbox_state().await.unwrap().waiting;
            assert_eq!(waits, expected);
        }
    };
    let audit = record(NOW);
    let end = store.end_session(session.id, None, &audit, Some(&told));
    assert!(end.await.unwrap());
    waiting(1).await;
    let again = notice(ann.id);
    let end = store.end_session(session.id, None, &audit, Some(&again));
    assert!(!end.await.unwrap());
    let end = store.end_sessions(Some(ann.id), &audit, Some(&again));
    assert_eq!(end.await.unwrap(), 0);
    waiting(1).await;

    let disabled = AccountState::Disabled;
    let set = store.set_account_state(ann.id, disabled, &audit, Some(&again));
    assert!(set.await.unwrap());
    waiting(2).await;
    let request = request(ann.id);
    let asked = notice(ann.id);
    let request_it = store.request_recovery(&request, &audit, Some(&asked));
    assert!(request_it.await.unwrap());
    waiting(3).await;
    let issued = notice(ann.id);
    let refused = link(request.id, true);
    let step = store.issue_recovery_link(&refused, &audit, Some(&issued));
    assert_eq!(step.await.unwrap(), RecoveryStep::NotApproved);
    waiting(3).await;
    let given = link(request.id, false);
    let step = store.issue_recovery_link(&given, &audit, Some(&issued));
    assert_eq!(step.await.unwrap(), RecoveryStep::Done);
    waiting(4).await;
}

pub(crate) async fn accounts_are_found_by_a_part_of_a_name(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "Ann").await;
    let joanna = saved_account(&*store, "joanna").await;
    saved_account(&*store, "bob").await;
    let found = async |text: &str, limit| store.find_accounts(text, limit).await.unwrap();
    assert_eq!(found("aNn", 10).await, [ann.clone(), joanna.clone()]);
    assert_eq!(found("ann", 1).await, slice::from_ref(&ann));
    assert_eq!(found("JOANNA of", 10).await, [joanna], "the name");
    assert_eq!(found("@example.com", 10).await.len(), 3, "the address");
    assert_eq!(found("%", 10).await, [], "no wildcards");
}
