//! Pairing from another device: who may approve what, once, and how one request too many is met.

use super::{starting::start_with, *};
use crate::{
    id::{CeremonyId, PairingId},
    store::{
        Approved, Claimed, CredentialUse, Pairing, PairingApproval, PairingClaim, PairingKey,
        PairingStanding, Started,
    },
    telemetry::audit::Refusal,
};

/// A request made at `created_at` by a browser of its own, good for two minutes.
fn pairing(created_at: Timestamp) -> Pairing {
    Pairing {
        id: PairingId::random(),
        browser: digest(),
        link: digest(),
        code: digest(),
        number: 42,
        device: "Firefox on Linux".to_owned(),
        network: Network::of([198, 51, 100, 9].into()),
        return_to: "/notes".to_owned(),
        created_at,
        expires_at: created_at.later(120),
        offered_by: None,
        account: None,
        seen_at: None,
        wrong_numbers: 0,
        approved_at: None,
        refused_at: None,
        spent_at: None,
        superseded: false,
    }
}

async fn begun(store: &dyn Store, pairing: Pairing) -> Pairing {
    assert!(store.begin_pairing(&pairing).await.unwrap());
    pairing
}

async fn found(store: &dyn Store, pairing: &Pairing) -> Pairing {
    let found = store.pairing(&PairingKey::Id(pairing.id)).await.unwrap();
    found.expect("it is there")
}

async fn look(store: &dyn Store, pairing: &Pairing, account: AccountId, at: Timestamp) -> Claimed {
    let claim = PairingClaim {
        pairing: pairing.id,
        account,
        notice: Some(notice(account)),
    };
    let event = AuditEvent::PairingSeen {
        pairing: pairing.id,
    };
    let audit = AuditRecord {
        event,
        ..record_of(account, at)
    };
    store.claim_pairing(&claim, &audit).await.unwrap()
}

fn is_yours(claimed: &Claimed) -> bool {
    matches!(claimed, Claimed::Yours(_))
}

/// Somebody signed in with a passkey, who may approve.
struct Approver {
    account: Account,
    session: SessionRecord,
    used: CredentialUse,
}

impl Approver {
    async fn new(store: &dyn Store, name: &str) -> Self {
        let account = saved_account(store, name).await;
        let (credential, session) = saved_credential(store, account.id).await;
        let used = CredentialUse {
            id: credential.id,
            material: r#"{"counter":1}"#.to_owned(),
            backup_state: true,
        };
        Self {
            account,
            session,
            used,
        }
    }

    /// The approval with the right number and a passkey check of its own.
    fn approval(&self, pairing: &Pairing) -> PairingApproval {
        PairingApproval {
            pairing: pairing.id,
            account: self.account.id,
            approver: self.session.id,
            number: pairing.number,
            ceremony: CeremonyId::random(),
            ceremony_expires_at: NOW.later(300),
            used: self.used.clone(),
        }
    }
}

async fn approve(store: &dyn Store, approval: &PairingApproval, at: Timestamp) -> Approved {
    let event = AuditEvent::PairingApproved {
        pairing: approval.pairing,
    };
    let audit = AuditRecord {
        event,
        ..record_of(approval.account, at)
    };
    store.approve_pairing(approval, &audit).await.unwrap()
}

/// Asked for, looked at and approved by `approver` now.
async fn approved(store: &dyn Store, approver: &Approver) -> Pairing {
    let pairing = begun(store, pairing(NOW)).await;
    assert!(is_yours(
        &look(store, &pairing, approver.account.id, NOW).await
    ));
    let approval = approver.approval(&pairing);
    assert_eq!(approve(store, &approval, NOW).await, Approved::Approved);
    pairing
}

async fn finish(
    store: &dyn Store,
    pairing: &Pairing,
    browser: Digest,
    account: AccountId,
    at: Timestamp,
) -> Started {
    let spend = Spend::Pairing {
        id: pairing.id,
        browser,
    };
    let start = start_with(spend, session(account, at));
    store.start_session(&start, &record(at)).await.unwrap()
}

async fn last_event(store: &dyn Store) -> AuditEvent {
    store.audit(None, 1).await.unwrap().remove(0).event
}

pub(crate) async fn a_pairing_is_found_by_each_of_its_names(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let offering = SessionId::random();
    let ann = saved_account(&*store, "ann").await;
    let asked = Pairing {
        offered_by: Some(offering),
        account: Some(ann.id),
        ..pairing(NOW)
    };
    let asked = begun(&*store, asked).await;
    for key in [
        PairingKey::Id(asked.id),
        PairingKey::Link(asked.link),
        PairingKey::Code(asked.code),
        PairingKey::Browser(asked.browser),
        PairingKey::OfferedBy(offering),
    ] {
        let found = neighbour.pairing(&key).await.unwrap();
        assert_eq!(found, Some(asked.clone()), "{key:?}");
    }
    for key in [
        PairingKey::Id(PairingId::random()),
        PairingKey::Link(asked.code),
        PairingKey::Code(asked.link),
        PairingKey::Browser(digest()),
        PairingKey::OfferedBy(SessionId::random()),
    ] {
        assert_eq!(neighbour.pairing(&key).await.unwrap(), None, "{key:?}");
    }
    // Of a browser that asks again the newest counts, and the older one is over.
    let again = Pairing {
        browser: asked.browser,
        ..pairing(NOW)
    };
    let again = begun(&*store, again).await;
    let newest = neighbour.pairing(&PairingKey::Browser(asked.browser)).await;
    assert_eq!(newest.unwrap(), Some(again.clone()));
    let standing = async |pairing| found(&*neighbour, pairing).await.standing(NOW);
    assert_eq!(standing(&asked).await, PairingStanding::Over);
    assert_eq!(standing(&again).await, PairingStanding::Waiting);
    assert_eq!(again.standing(again.expires_at), PairingStanding::Over);
}

pub(crate) async fn only_so_many_pairings_are_open_at_once(place: &impl Place) {
    let store = place.open().await;
    let first = begun(&*store, pairing(NOW)).await;
    for _ in 1..Pairing::MAX_OPEN {
        begun(&*store, pairing(NOW.later(60))).await;
    }
    assert!(!store.begin_pairing(&pairing(NOW.later(60))).await.unwrap());
    // A browser that is turned away keeps what it has.
    let again = Pairing {
        browser: first.browser,
        ..pairing(NOW.later(60))
    };
    assert!(!store.begin_pairing(&again).await.unwrap());
    assert!(!found(&*store, &first).await.superseded);
    // The first has expired.
    begun(&*store, pairing(NOW.later(120))).await;
}

pub(crate) async fn the_first_account_that_looks_is_the_only_one(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let eve = saved_account(&*store, "eve").await;
    let asked = begun(&*store, pairing(NOW)).await;
    let Claimed::Yours(seen) = look(&*store, &asked, ann.id, NOW).await else {
        panic!("it is free")
    };
    assert_eq!(*seen, found(&*neighbour, &asked).await);
    assert_eq!((seen.account, seen.seen_at), (Some(ann.id), Some(NOW)));
    assert_eq!(seen.standing(NOW), PairingStanding::Seen);
    let before = Snapshot::of(&*store).await;
    assert!(is_yours(&look(&*neighbour, &asked, ann.id, NOW).await));
    assert_eq!(look(&*neighbour, &asked, eve.id, NOW).await, Claimed::Over);
    assert_eq!(Snapshot::of(&*store).await, before);

    let offered = Pairing {
        offered_by: Some(SessionId::random()),
        account: Some(eve.id),
        ..pairing(NOW)
    };
    let offered = begun(&*store, offered).await;
    assert_eq!(look(&*store, &offered, ann.id, NOW).await, Claimed::Over);
    assert!(is_yours(&look(&*store, &offered, eve.id, NOW).await));
    // Nobody looks at what is over.
    let late = begun(&*store, pairing(NOW)).await;
    let over = look(&*store, &late, ann.id, late.expires_at).await;
    assert_eq!(over, Claimed::Over);
}

pub(crate) async fn of_two_accounts_that_look_at_once_one_succeeds(place: &impl Place) {
    let handles = [place.open().await, place.open().await];
    let ann = saved_account(&*handles[0], "ann").await;
    let bob = saved_account(&*handles[0], "bob").await;
    let asked = begun(&*handles[0], pairing(NOW)).await;
    let looking: Vec<_> = (0..20)
        .map(|turn| {
            let (store, asked) = (handles[turn % 2].clone(), asked.clone());
            let account = if turn % 3 == 0 { ann.id } else { bob.id };
            tokio::spawn(async move { (account, look(&*store, &asked, account, NOW).await) })
        })
        .collect();
    let mut winners = Vec::new();
    for look in looking {
        let (account, claimed) = look.await.unwrap();
        if is_yours(&claimed) {
            winners.push(account);
        }
    }
    winners.dedup();
    winners.sort();
    winners.dedup();
    assert_eq!(winners.len(), 1);
}

pub(crate) async fn a_second_browser_shortly_after_blocks_pairing(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let mut bob = saved_account(&*store, "bob").await;
    let waiting = async || store.outbox_state().await.unwrap().waiting;
    let first = begun(&*store, pairing(NOW)).await;
    assert!(is_yours(&look(&*store, &first, ann.id, NOW).await));
    let second = begun(&*store, pairing(NOW.later(60))).await;
    assert_eq!(waiting().await, 0);
    let claimed = look(&*neighbour, &second, ann.id, NOW.later(60)).await;
    assert_eq!(claimed, Claimed::NowBlocked);
    assert_eq!(waiting().await, 1, "its person is told");
    assert_eq!(last_event(&*store).await, AuditEvent::PairingBlocked);
    // Both have ended; which was the honest one nobody can tell.
    for pairing in [&first, &second] {
        let standing = found(&*store, pairing).await.standing(NOW.later(60));
        assert_eq!(standing, PairingStanding::Refused);
    }
    // For a while there is none for her, whoever asks. She is told once, and others are not concerned.
    let blocked_until = NOW.later(60).plus(Pairing::BLOCK);
    let just_before = blocked_until.minus(Duration::from_secs(1));
    for at in [NOW.later(61), just_before] {
        let another = begun(&*store, pairing(at)).await;
        assert_eq!(look(&*store, &another, ann.id, at).await, Claimed::Blocked);
        assert!(is_yours(&look(&*store, &another, bob.id, at).await));
        let declined = record(at);
        let refused = store.refuse_pairing(another.id, bob.id, &declined);
        assert!(refused.await.unwrap());
        bob = saved_account(&*store, &format!("bob{}", at.seconds())).await;
    }
    let after = begun(&*store, pairing(blocked_until)).await;
    assert!(is_yours(
        &look(&*store, &after, ann.id, blocked_until).await
    ));
    assert_eq!(waiting().await, 1);
}

pub(crate) async fn the_same_browser_may_ask_twice_but_not_three_times(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let browser = digest();
    let again = |at| Pairing {
        browser,
        ..pairing(at)
    };
    for seconds in [0, 130] {
        let asked = begun(&*store, again(NOW.later(seconds))).await;
        let claimed = look(&*store, &asked, ann.id, NOW.later(seconds)).await;
        assert!(is_yours(&claimed), "{claimed:?}");
    }
    let third = begun(&*store, again(NOW.later(260))).await;
    let claimed = look(&*store, &third, ann.id, NOW.later(260)).await;
    assert_eq!(claimed, Claimed::NowBlocked);

    // With more time between them there is no end.
    let bob = saved_account(&*store, "bob").await;
    for turn in 0..4 {
        let at = NOW.plus(Pairing::SHORT * turn);
        let asked = begun(&*store, pairing(at)).await;
        assert!(is_yours(&look(&*store, &asked, bob.id, at).await));
    }
}

pub(crate) async fn a_browser_that_got_its_session_does_not_count_against_the_next(
    place: &impl Place,
) {
    let store = place.open().await;
    let ann = Approver::new(&*store, "ann").await;
    let id = ann.account.id;
    let first = approved(&*store, &ann).await;
    let started = finish(&*store, &first, first.browser, id, NOW).await;
    assert_eq!(started, Started::Started);
    let second = begun(&*store, pairing(NOW.later(60))).await;
    assert!(is_yours(&look(&*store, &second, id, NOW.later(60)).await));
}

pub(crate) async fn an_approval_is_of_what_its_account_looked_at(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = Approver::new(&*store, "ann").await;
    let eve = Approver::new(&*store, "eve").await;
    let asked = begun(&*store, pairing(NOW)).await;
    let unchanged = async |approval: &PairingApproval, at, expected| {
        let before = Snapshot::of(&*store).await;
        assert_eq!(approve(&*store, approval, at).await, expected);
        assert_eq!(Snapshot::of(&*store).await, before);
    };
    let right = ann.approval(&asked);
    unchanged(&right, NOW, Approved::Over).await;
    look(&*store, &asked, ann.account.id, NOW).await;
    unchanged(&eve.approval(&asked), NOW, Approved::Over).await;
    unchanged(&right, asked.expires_at, Approved::Over).await;
    // Neither another's session nor a restricted one nor one that has ended approves.
    let restricted = SessionRecord {
        restricted: true,
        ..session(ann.account.id, NOW)
    };
    store
        .start_session(&operator_start(restricted.clone()), &record(NOW))
        .await
        .unwrap();
    let ended = started_session(&*store, ann.account.id).await;
    store
        .end_session(ended.id, None, &record(NOW), None)
        .await
        .unwrap();
    for approver in [eve.session.id, restricted.id, ended.id, SessionId::random()] {
        let approval = PairingApproval {
            approver,
            ..right.clone()
        };
        unchanged(&approval, NOW, Approved::NoApprover).await;
    }
    let foreign = PairingApproval {
        used: eve.used.clone(),
        ..right.clone()
    };
    unchanged(&foreign, NOW, Approved::CredentialGone).await;
    let too_late = PairingApproval {
        ceremony_expires_at: NOW,
        ..right.clone()
    };
    unchanged(&too_late, NOW, Approved::AlreadySpent).await;

    assert_eq!(approve(&*store, &right, NOW).await, Approved::Approved);
    let seen = found(&*neighbour, &asked).await;
    assert_eq!(seen.standing(NOW), PairingStanding::Approved);
    assert_eq!(
        last_event(&*store).await,
        AuditEvent::PairingApproved { pairing: asked.id }
    );
    let used = store.credential(&ann.used.id).await.unwrap().unwrap();
    assert_eq!(used.last_used_at, Some(NOW));
    unchanged(&right, NOW, Approved::Over).await;
    unchanged(&ann.approval(&asked), NOW, Approved::Over).await;
}

pub(crate) async fn a_held_passkey_lets_nobody_in(place: &impl Place) {
    let store = place.open().await;
    let ann = Approver::new(&*store, "ann").await;
    let until = NOW.later(30);
    let held = Credential {
        standing: Standing::Held { until },
        ..credential(ann.account.id)
    };
    let start = SessionStart {
        new_credential: Some(held.clone()),
        ..operator_start(session(ann.account.id, NOW))
    };
    store.start_session(&start, &record(NOW)).await.unwrap();
    let asked = begun(&*store, pairing(NOW)).await;
    look(&*store, &asked, ann.account.id, NOW).await;
    let approval = PairingApproval {
        used: CredentialUse {
            id: held.id.clone(),
            ..ann.used.clone()
        },
        ..ann.approval(&asked)
    };
    // Not even once its time has come: ending the hold is a recovery, and that needs a sign-in.
    for at in [NOW, until.later(1)] {
        let refused = approve(&*store, &approval, at).await;
        assert_eq!(refused, Approved::CredentialGone);
    }
    let still = store.credential(&held.id).await.unwrap().unwrap();
    assert_eq!(still.standing, held.standing);
}

pub(crate) async fn the_second_wrong_number_ends_a_pairing(place: &impl Place) {
    let store = place.open().await;
    let ann = Approver::new(&*store, "ann").await;
    let asked = begun(&*store, pairing(NOW)).await;
    look(&*store, &asked, ann.account.id, NOW).await;
    let wrong = || PairingApproval {
        number: 24,
        ..ann.approval(&asked)
    };
    let first = wrong();
    let tried = approve(&*store, &first, NOW).await;
    assert_eq!(tried, Approved::WrongNumber { left: 1 });
    let reason = Refusal::WrongNumber;
    let refused = AuditEvent::PairingRefused { reason };
    assert_eq!(last_event(&*store).await, refused);
    // The passkey check went with it: the right number needs another.
    let replayed = PairingApproval {
        number: asked.number,
        ..first
    };
    let tried = approve(&*store, &replayed, NOW).await;
    assert_eq!(tried, Approved::AlreadySpent);
    let tried = approve(&*store, &wrong(), NOW).await;
    assert_eq!(tried, Approved::WrongNumber { left: 0 });
    let standing = found(&*store, &asked).await.standing(NOW);
    assert_eq!(standing, PairingStanding::Refused);
    let right = ann.approval(&asked);
    assert_eq!(approve(&*store, &right, NOW).await, Approved::Over);
}

pub(crate) async fn of_many_approvals_at_once_one_succeeds(place: &impl Place) {
    let handles = [place.open().await, place.open().await];
    let ann = Approver::new(&*handles[0], "ann").await;
    let asked = begun(&*handles[0], pairing(NOW)).await;
    look(&*handles[0], &asked, ann.account.id, NOW).await;
    let approving: Vec<_> = (0..50)
        .map(|turn| {
            let (store, approval) = (handles[turn % 2].clone(), ann.approval(&asked));
            tokio::spawn(async move { approve(&*store, &approval, NOW).await })
        })
        .collect();
    let mut successes = 0;
    for approved in approving {
        match approved.await.unwrap() {
            Approved::Approved => successes += 1,
            other => assert_eq!(other, Approved::Over),
        }
    }
    assert_eq!(successes, 1);
}

pub(crate) async fn an_approval_lets_in_its_browser_once(place: &impl Place) {
    let handles = [place.open().await, place.open().await];
    let store = &handles[0];
    let ann = Approver::new(&**store, "ann").await;
    let eve = saved_account(&**store, "eve").await;
    let id = ann.account.id;
    let waiting = begun(&**store, pairing(NOW)).await;
    let spent = Started::AlreadySpent;
    assert_eq!(
        finish(&**store, &waiting, waiting.browser, id, NOW).await,
        spent
    );
    let asked = approved(&**store, &ann).await;
    assert_eq!(finish(&**store, &asked, digest(), id, NOW).await, spent);
    assert_eq!(
        finish(&**store, &asked, asked.browser, eve.id, NOW).await,
        spent
    );
    let late = asked.expires_at;
    assert_eq!(
        finish(&**store, &asked, asked.browser, id, late).await,
        spent
    );

    let finishing: Vec<_> = (0..50)
        .map(|turn| {
            let (store, asked) = (handles[turn % 2].clone(), asked.clone());
            tokio::spawn(async move { finish(&*store, &asked, asked.browser, id, NOW).await })
        })
        .collect();
    let mut successes = 0;
    for started in finishing {
        match started.await.unwrap() {
            Started::Started => successes += 1,
            other => assert_eq!(other, spent),
        }
    }
    assert_eq!(successes, 1);
    let standing = found(&**store, &asked).await.standing(NOW);
    assert_eq!(standing, PairingStanding::Over);
}

pub(crate) async fn an_approval_is_taken_back_by_what_ends_it(place: &impl Place) {
    let store = place.open().await;
    let spent = Started::AlreadySpent;
    // The approver said no after all, which can be said once.
    let ann = Approver::new(&*store, "ann").await;
    let id = ann.account.id;
    let asked = approved(&*store, &ann).await;
    let refuse = async |account| {
        store
            .refuse_pairing(asked.id, account, &record(NOW))
            .await
            .unwrap()
    };
    assert!(!refuse(AccountId::random()).await);
    assert!(refuse(id).await);
    assert!(!refuse(id).await);
    assert_eq!(finish(&*store, &asked, asked.browser, id, NOW).await, spent);
    // Its browser asked anew.
    let bob = Approver::new(&*store, "bob").await;
    let asked = approved(&*store, &bob).await;
    let anew = Pairing {
        browser: asked.browser,
        ..pairing(NOW)
    };
    begun(&*store, anew).await;
    let id = bob.account.id;
    assert_eq!(finish(&*store, &asked, asked.browser, id, NOW).await, spent);
    // The approver signed out everywhere.
    let carl = Approver::new(&*store, "carl").await;
    let asked = approved(&*store, &carl).await;
    let id = carl.account.id;
    store
        .end_sessions(Some(id), &record(NOW), None)
        .await
        .unwrap();
    assert_eq!(finish(&*store, &asked, asked.browser, id, NOW).await, spent);
    // The account was disabled.
    let dora = Approver::new(&*store, "dora").await;
    let asked = approved(&*store, &dora).await;
    let id = dora.account.id;
    store
        .set_account_state(id, AccountState::Disabled, &record(NOW), None)
        .await
        .unwrap();
    assert_eq!(
        finish(&*store, &asked, asked.browser, id, NOW).await,
        Started::AccountClosed
    );
    // A session that took the place of the approver's stands for it.
    let emil = Approver::new(&*store, "emil").await;
    let asked = approved(&*store, &emil).await;
    let id = emil.account.id;
    let stepped_up = SessionStart {
        replaces: Some(emil.session.id),
        ..operator_start(session(id, NOW))
    };
    store
        .start_session(&stepped_up, &record(NOW))
        .await
        .unwrap();
    assert_eq!(
        finish(&*store, &asked, asked.browser, id, NOW).await,
        Started::Started
    );
}

pub(crate) async fn a_pairing_is_forgotten_after_it_has_served(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let asked = begun(&*store, pairing(NOW)).await;
    look(&*store, &asked, ann.id, NOW).await;
    assert_eq!(store.forget_before(asked.expires_at).await.unwrap(), 0);
    let later = asked.expires_at.later(1);
    assert_eq!(store.forget_before(later).await.unwrap(), 1);
    let key = PairingKey::Id(asked.id);
    assert_eq!(store.pairing(&key).await.unwrap(), None);
    // And with the account that it belongs to.
    let asked = begun(&*store, pairing(NOW.later(600))).await;
    look(&*store, &asked, ann.id, NOW.later(600)).await;
    store.delete_account(ann.id, &record(NOW)).await.unwrap();
    let key = PairingKey::Id(asked.id);
    assert_eq!(store.pairing(&key).await.unwrap(), None);
}
