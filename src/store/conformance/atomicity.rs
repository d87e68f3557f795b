//! Many at once, and calls that nobody waits for any more.

use std::{
    future::Future,
    pin::pin,
    slice,
    task::{Context, Waker},
};

use super::{
    starting::{proofs, start_with},
    *,
};
use crate::store::Started;

/// Starts each session in a task of its own, on the handles in turn. Gives the number of those started.
async fn rush(handles: &[Arc<dyn Store>], starts: Vec<SessionStart>) -> usize {
    let racing: Vec<_> = starts
        .into_iter()
        .zip(handles.iter().cycle().cloned())
        .map(|(start, store)| {
            tokio::spawn(async move { store.start_session(&start, &record(NOW)).await.unwrap() })
        })
        .collect();
    let mut started = 0;
    for racer in racing {
        match racer.await.unwrap() {
            Started::Started => started += 1,
            Started::AlreadySpent => {}
            other => panic!("of a proof that is spent once, nobody should hear {other:?}"),
        }
    }
    started
}

pub(crate) async fn of_many_who_spend_one_proof_one_succeeds(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let audited = store.audit(None, u32::MAX).await.unwrap().len();
    let mut alive = 0;
    for spend in proofs(&*store, &ann, NOW.later(60)).await {
        let starts = (0..50).map(|_| SessionStart {
            new_credential: Some(credential(ann.id)),
            ..start_with(spend.clone(), session(ann.id, NOW))
        });
        assert_eq!(
            rush(slice::from_ref(&store), starts.collect()).await,
            1,
            "{spend:?}"
        );
        alive += 1;
        assert_eq!(
            store.sessions(Some(ann.id), NOW).await.unwrap().len(),
            alive
        );
        assert_eq!(store.credentials(ann.id).await.unwrap().len(), alive);
    }
    // One record of the invitation, one of the mail, and one of each session.
    let written = store.audit(None, u32::MAX).await.unwrap().len() - audited;
    assert_eq!(written, 2 + alive);

    // A stranger's link pays for one new account.
    let attempt = begun_attempt(&*store, None, "bob").await;
    let starts = (0..50).map(|_| {
        let new = account("bob");
        SessionStart {
            new_account: Some(new.clone()),
            ..start_with(
                Spend::Email {
                    attempt: attempt.id,
                },
                session(new.id, NOW),
            )
        }
    });
    assert_eq!(rush(slice::from_ref(&store), starts.collect()).await, 1);
    assert_eq!(store.accounts().await.unwrap().len(), 2);
}

pub(crate) async fn of_two_handles_that_spend_one_proof_one_succeeds(place: &impl Place) {
    let handles = [place.open().await, place.open().await];
    let ann = saved_account(&*handles[0], "ann").await;
    for spend in proofs(&*handles[0], &ann, NOW.later(60)).await {
        let starts = (0..20).map(|_| start_with(spend.clone(), session(ann.id, NOW)));
        assert_eq!(rush(&handles, starts.collect()).await, 1, "{spend:?}");
    }
    assert_eq!(
        handles[1].sessions(Some(ann.id), NOW).await.unwrap().len(),
        3
    );
}

/// Polls `call` at most so many times, then drops it.
async fn poll_and_drop(call: impl Future, times: usize) {
    let mut call = pin!(call);
    for _ in 0..times {
        if call
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
        {
            return;
        }
        // Time for what the call waits for.
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
}

pub(crate) async fn a_call_that_is_dropped_midway_happens_whole_or_not_at_all(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    for times in 0..60 {
        let before = Snapshot::of(&*store).await;
        let new = credential(ann.id);
        let session = session(ann.id, NOW);
        let start = SessionStart {
            new_credential: Some(new.clone()),
            ..operator_start(session.clone())
        };
        let audit = record(NOW);
        poll_and_drop(store.start_session(&start, &audit), times * times).await;
        // The next write waits until the dropped one is over.
        let barrier = record(NOW);
        store.record(&barrier).await.unwrap();

        let mut after = Snapshot::of(&*store).await;
        assert_eq!(after.audit.remove(0), barrier);
        let happened = store.session(session.id, NOW).await.unwrap().is_some();
        assert_eq!(store.credential(&new.id).await.unwrap().is_some(), happened);
        if happened {
            assert_eq!(after.audit.remove(0), audit);
            assert_eq!(after.audit.len(), before.audit.len());
        } else {
            assert_eq!(after.audit, before.audit);
            assert_eq!(after.accounts, before.accounts);
            assert_eq!(after.sessions, before.sessions);
        }
    }
}
