//! A session's way to other hosts, and families: all sessions of one sign-in.

use std::collections::HashSet;

use super::*;
use crate::store::{
    Change, Handoff, HandoffRedemption, Redeemed, Report, Standing, Stop, StopGround, Suspect,
};

const APP: &str = "app.example.com";
const WIKI: &str = "wiki.example.com";

/// A handoff of `session` to `host`.
fn handoff(session: &SessionRecord, host: &str) -> Handoff {
    Handoff {
        code: digest(),
        browser: digest(),
        host: host.to_owned(),
        session: session.id,
        expires_at: NOW.later(30),
    }
}

/// The redemption that `handoff` was made for.
fn redemption(handoff: &Handoff) -> HandoffRedemption {
    HandoffRedemption {
        code: handoff.code,
        browser: handoff.browser,
        host: handoff.host.clone(),
        session: SessionId::random(),
        device: "Chrome on Linux".to_owned(),
        network: Network::of([198, 51, 100, 7].into()),
        left_behind: None,
    }
}

async fn begun(store: &dyn Store, session: &SessionRecord, host: &str) -> Handoff {
    let handoff = handoff(session, host);
    assert!(store.begin_handoff(&handoff, NOW).await.unwrap());
    handoff
}

/// Hands a session on to a host.
pub(super) async fn planted(
    store: &dyn Store,
    session: &SessionRecord,
    host: &str,
) -> SessionRecord {
    let redemption = redemption(&begun(store, session, host).await);
    match store
        .redeem_handoff(&redemption, &record(NOW))
        .await
        .unwrap()
    {
        Redeemed::Planted(planted) => *planted,
        refused => panic!("{refused:?}"),
    }
}

/// The session that a step-up with `credential` puts in the place of `session`.
async fn raised(
    store: &dyn Store,
    session: &SessionRecord,
    credential: Option<CredentialId>,
) -> SessionRecord {
    let start = SessionStart {
        replaces: Some(session.id),
        ..operator_start(SessionRecord {
            id: SessionId::random(),
            restricted: false,
            credential,
            stepped_up_at: Some(NOW.later(1)),
            ..session.clone()
        })
    };
    let started = store.start_session(&start, &record(NOW)).await.unwrap();
    assert_eq!(started, crate::store::Started::Started);
    start.session
}

async fn is_alive(store: &dyn Store, session: &SessionRecord) -> bool {
    store.session(session.id, NOW).await.unwrap().is_some()
}

pub(crate) async fn a_session_is_handed_on_as_it_is(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let (credential, source) = saved_credential(&*store, ann.id).await;
    let source = raised(&*store, &source, Some(credential.id)).await;
    let redemption = redemption(&begun(&*store, &source, APP).await);
    let audit = record(NOW.later(2));
    let redeemed = neighbour.redeem_handoff(&redemption, &audit).await.unwrap();
    let expected = SessionRecord {
        id: redemption.session,
        created_at: NOW.later(2),
        last_seen_at: NOW.later(2),
        device: redemption.device.clone(),
        network: Some(redemption.network),
        host: Some(APP.to_owned()),
        ..source.clone()
    };
    assert_eq!(redeemed, Redeemed::Planted(Box::new(expected.clone())));
    let seen = store.session(expected.id, NOW.later(2)).await.unwrap();
    assert_eq!(seen, Some(expected));
    assert!(is_alive(&*store, &source).await);
    let told = store.audit(Some(ann.id), 1).await.unwrap();
    assert_eq!(told[0].at, audit.at);
}

pub(crate) async fn of_many_who_bring_one_code_one_gets_a_session(place: &impl Place) {
    let handles = [place.open().await, place.open().await];
    let ann = saved_account(&*handles[0], "ann").await;
    let source = started_session(&*handles[0], ann.id).await;
    let handoff = begun(&*handles[0], &source, APP).await;
    let racing: Vec<_> = (0..50)
        .zip(handles.iter().cycle().cloned())
        .map(|(_, store)| {
            let redemption = redemption(&handoff);
            tokio::spawn(async move { store.redeem_handoff(&redemption, &record(NOW)).await })
        })
        .collect();
    let mut planted = 0;
    for racer in racing {
        match racer.await.unwrap().unwrap() {
            Redeemed::Planted(_) => planted += 1,
            Redeemed::Over => {}
            refused => panic!("{refused:?}"),
        }
    }
    assert_eq!(planted, 1);
    assert_eq!(
        handles[1].sessions(Some(ann.id), NOW).await.unwrap().len(),
        2
    );
}

/// Whoever brings a code in the wrong place has seen it: it is spent, and its own browser gets nothing either.
pub(crate) async fn a_code_is_worth_nothing_elsewhere_and_nothing_afterwards(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let source = started_session(&*store, ann.id).await;
    let elsewhere = [Redeemed::OtherBrowser(ann.id), Redeemed::OtherHost(ann.id)];
    for expected in elsewhere {
        let handoff = begun(&*store, &source, APP).await;
        let wrong = match expected {
            Redeemed::OtherBrowser(_) => HandoffRedemption {
                browser: digest(),
                ..redemption(&handoff)
            },
            _ => HandoffRedemption {
                host: WIKI.to_owned(),
                ..redemption(&handoff)
            },
        };
        let audited = store.audit(None, u32::MAX).await.unwrap();
        let refused = store.redeem_handoff(&wrong, &record(NOW)).await.unwrap();
        assert_eq!(refused, expected);
        let own = redemption(&handoff);
        let late = store.redeem_handoff(&own, &record(NOW)).await.unwrap();
        assert_eq!(late, Redeemed::Over);
        assert_eq!(store.audit(None, u32::MAX).await.unwrap(), audited);
    }
    let never = redemption(&handoff(&source, APP));
    let refused = store.redeem_handoff(&never, &record(NOW)).await.unwrap();
    assert_eq!(refused, Redeemed::Over);
    assert_eq!(
        store.sessions(None, NOW).await.unwrap(),
        std::slice::from_ref(&source)
    );
}

pub(crate) async fn a_code_is_worth_nothing_from_its_expiry_on(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let source = started_session(&*store, ann.id).await;
    for (at, good) in [(NOW.later(29), true), (NOW.later(30), false)] {
        let redemption = redemption(&begun(&*store, &source, APP).await);
        let redeemed = store
            .redeem_handoff(&redemption, &record(at))
            .await
            .unwrap();
        assert_eq!(matches!(redeemed, Redeemed::Planted(_)), good, "{at}");
    }
}

pub(crate) async fn a_code_that_has_served_is_forgotten(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let source = started_session(&*store, ann.id).await;
    begun(&*store, &source, APP).await;
    planted(&*store, &source, WIKI).await;
    assert_eq!(store.forget_before(NOW.later(30)).await.unwrap(), 0);
    assert_eq!(store.forget_before(NOW.later(31)).await.unwrap(), 2);
    assert_eq!(store.sessions(None, NOW).await.unwrap().len(), 2);
}

pub(crate) async fn what_has_ended_is_not_handed_on(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;

    let signed_out = started_session(&*store, ann.id).await;
    let replaced = started_session(&*store, ann.id).await;
    let on_its_way = [
        begun(&*store, &signed_out, APP).await,
        begun(&*store, &replaced, APP).await,
    ];
    store
        .end_session(signed_out.id, None, &record(NOW), None)
        .await
        .unwrap();
    raised(&*store, &replaced, None).await;
    for handoff in on_its_way {
        let redemption = redemption(&handoff);
        let refused = store
            .redeem_handoff(&redemption, &record(NOW))
            .await
            .unwrap();
        assert_eq!(refused, Redeemed::SourceOver(ann.id));
    }
    for over in [&signed_out, &replaced] {
        assert!(!store.begin_handoff(&handoff(over, APP), NOW).await.unwrap());
    }

    let source = started_session(&*store, ann.id).await;
    let expired = handoff(&source, APP);
    assert!(
        !store
            .begin_handoff(&expired, source.expires_at)
            .await
            .unwrap()
    );
    let handoff = begun(&*store, &source, APP).await;
    store
        .set_account_state(ann.id, AccountState::Disabled, &record(NOW), None)
        .await
        .unwrap();
    let refused = store
        .redeem_handoff(&redemption(&handoff), &record(NOW))
        .await
        .unwrap();
    assert_eq!(refused, Redeemed::SourceOver(ann.id));
    store.delete_account(ann.id, &record(NOW)).await.unwrap();
    let refused = store
        .redeem_handoff(&redemption(&handoff), &record(NOW))
        .await
        .unwrap();
    assert_eq!(refused, Redeemed::Over);
}

pub(crate) async fn the_session_left_behind_on_a_host_ends(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let source = started_session(&*store, ann.id).await;
    let older = planted(&*store, &source, APP).await;
    let elsewhere = planted(&*store, &source, WIKI).await;
    let again = |left_behind: &SessionRecord, handoff: &Handoff| HandoffRedemption {
        left_behind: Some(left_behind.id),
        ..redemption(handoff)
    };
    let handoff = begun(&*store, &source, APP).await;
    let position = neighbour.last_change().await.unwrap();
    let newer = again(&older, &handoff);
    store.redeem_handoff(&newer, &record(NOW)).await.unwrap();
    assert!(!is_alive(&*store, &older).await);
    // What is open in it goes on in the new one.
    let (changes, _) = neighbour.changes_since(position).await.unwrap();
    let (ended, by) = (older.id, newer.session);
    assert_eq!(changes, [Change::SessionReplaced { ended, by }]);
    assert!(is_alive(&*store, &source).await && is_alive(&*store, &elsewhere).await);

    // Of another sign-in nothing is left: nobody could sign out of it any more.
    let of_bob = started_session(&*store, bob.id).await;
    let handoff = begun(&*store, &of_bob, WIKI).await;
    store
        .redeem_handoff(&again(&elsewhere, &handoff), &record(NOW))
        .await
        .unwrap();
    assert!(!is_alive(&*store, &elsewhere).await && !is_alive(&*store, &source).await);
    let (changes, _) = neighbour.changes_since(position).await.unwrap();
    assert!(
        changes.contains(&Change::SessionEnded(elsewhere.id)),
        "{changes:?}"
    );
    assert_eq!(store.sessions(Some(ann.id), NOW).await.unwrap(), []);
    assert_eq!(store.sessions(Some(bob.id), NOW).await.unwrap().len(), 2);
}

/// A family of three, its oldest hosts first, and another of the same account.
async fn family(
    store: &dyn Store,
    account: AccountId,
) -> ([SessionRecord; 3], SessionRecord, CredentialId) {
    let (credential, first) = saved_credential(store, account).await;
    let app = planted(store, &first, APP).await;
    let wiki = planted(store, &first, WIKI).await;
    // What was planted before the step-up goes with it all the same.
    let auth = raised(store, &first, Some(credential.id.clone())).await;
    assert_eq!(auth.family, app.family);
    let other = started_session(store, account).await;
    ([auth, app, wiki], other, credential.id)
}

pub(crate) async fn a_family_ends_as_one_and_each_is_told_of(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    for at in 0..3 {
        let (members, other, _) = family(&*store, ann.id).await;
        let position = neighbour.last_change().await.unwrap();
        let ended = store
            .end_session(members[at].id, Some(ann.id), &record(NOW), None)
            .await;
        assert!(ended.unwrap());
        let (changes, _) = neighbour.changes_since(position).await.unwrap();
        assert_eq!(changes.len(), 3, "{changes:?}");
        for member in &members {
            assert!(changes.contains(&Change::SessionEnded(member.id)));
            let again = store.end_session(member.id, None, &record(NOW), None).await;
            assert!(!again.unwrap());
        }
        assert!(is_alive(&*store, &other).await);
        store
            .end_sessions(Some(ann.id), &record(NOW), None)
            .await
            .unwrap();
    }
}

pub(crate) async fn families_are_counted_and_gathered(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let (members, other, _) = family(&*store, ann.id).await;
    let live = store.sessions(Some(ann.id), NOW).await.unwrap();
    assert_eq!(live.len(), 4);
    let families = crate::store::Family::gather(live);
    assert_eq!(families.len(), 2);
    let gathered = families
        .iter()
        .find(|family| family.ids.contains(&members[0].id))
        .unwrap();
    let ids: HashSet<_> = gathered.ids.iter().copied().collect();
    assert_eq!(ids, members.iter().map(|member| member.id).collect());
    assert_eq!(gathered.session, members[0], "the newest stands for all");
    assert_eq!(gathered.hosts, [WIKI, APP]);
    assert!(!gathered.ids.contains(&other.id));
    let ended = store.end_sessions(Some(ann.id), &record(NOW), None).await;
    assert_eq!(ended.unwrap(), 2);
}

pub(crate) async fn what_ends_an_account_ends_its_families(place: &impl Place) {
    let store = place.open().await;
    for (name, delete) in [("ann", false), ("bob", true)] {
        let account = saved_account(&*store, name).await;
        let (members, _, _) = family(&*store, account.id).await;
        let position = store.last_change().await.unwrap();
        if delete {
            store
                .delete_account(account.id, &record(NOW))
                .await
                .unwrap();
        } else {
            let disabled = AccountState::Disabled;
            store
                .set_account_state(account.id, disabled, &record(NOW), None)
                .await
                .unwrap();
        }
        let (changes, _) = store.changes_since(position).await.unwrap();
        for member in &members {
            assert!(changes.contains(&Change::SessionEnded(member.id)), "{name}");
        }
    }
}

pub(crate) async fn removing_a_passkey_ends_the_families_it_raised(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let (members, other, credential) = family(&*store, ann.id).await;
    store
        .remove_credential(&removal(ann.id, &credential, None), &record(NOW))
        .await
        .unwrap();
    for member in &members {
        assert!(!is_alive(&*store, member).await);
    }
    assert!(is_alive(&*store, &other).await);

    // The session at hand stays; other hosts get theirs anew from it.
    let (members, _, credential) = family(&*store, ann.id).await;
    let keep = Some(members[0].id);
    store
        .remove_credential(&removal(ann.id, &credential, keep), &record(NOW))
        .await
        .unwrap();
    assert!(is_alive(&*store, &members[0]).await);
    assert!(!is_alive(&*store, &members[1]).await && !is_alive(&*store, &members[2]).await);
}

pub(crate) async fn a_report_ends_the_families_of_what_it_stops(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    // Raised by a passkey that is not the one that opened it: the hosts' sessions know the older one alone.
    let (_, first) = saved_credential(&*store, ann.id).await;
    let app = planted(&*store, &first, APP).await;
    let (suspect, elsewhere) = saved_credential(&*store, ann.id).await;
    let raised = raised(&*store, &first, Some(suspect.id.clone())).await;
    let (_, good) = saved_credential(&*store, ann.id).await;
    let good_app = planted(&*store, &good, APP).await;
    let report = Report {
        digest: digest(),
        account: ann.id,
        suspect: Suspect {
            credential: Some(suspect.id.clone()),
            session: Some(elsewhere.id),
        },
        about: String::new(),
        created_at: NOW,
        expires_at: NOW.later(900),
    };
    let told = Notice {
        mails: Vec::new(),
        report: Some(report.clone()),
    };
    store
        .invite(
            ann.id,
            &super::super::Invitation {
                digest: digest(),
                expires_at: NOW.later(60),
            },
            &record(NOW),
            Some(&told),
        )
        .await
        .unwrap();
    let stop = Stop {
        account: ann.id,
        ground: StopGround::Report(report.digest),
        mails: Vec::new(),
    };
    let stopped = store.stop(&stop, &record(NOW)).await.unwrap().unwrap();
    assert_eq!(stopped.sessions, 2);
    for over in [&app, &raised, &elsewhere] {
        assert!(!is_alive(&*store, over).await);
    }
    assert!(is_alive(&*store, &good).await && is_alive(&*store, &good_app).await);
    let frozen = store.credential(&suspect.id).await.unwrap().unwrap();
    assert!(matches!(frozen.standing, Standing::Frozen { .. }));
}
