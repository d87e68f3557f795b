//! The takeover path: what a recovery changes, what waits, and what stays shut.

use super::*;
use crate::store::{AccountKey, Change, CredentialUse, Recovered, Started};

async fn outcome(store: &dyn Store, start: &SessionStart) -> Started {
    store.start_session(start, &record(NOW)).await.unwrap()
}

/// Asserts that `start` comes to `refusal` and that the store shows no trace of it.
async fn refused(store: &dyn Store, start: &SessionStart, refusal: Started) {
    let before = Snapshot::of(store).await;
    assert_eq!(outcome(store, start).await, refusal);
    assert_eq!(Snapshot::of(store).await, before);
}

fn saving(new: &Credential, session: SessionRecord) -> SessionStart {
    SessionStart {
        new_credential: Some(new.clone()),
        ..operator_start(SessionRecord {
            credential: Some(new.id.clone()),
            ..session
        })
    }
}

fn using(credential: &Credential, session: SessionRecord) -> SessionStart {
    SessionStart {
        credential_use: Some(CredentialUse {
            id: credential.id.clone(),
            material: credential.material.clone(),
            backup_state: credential.backup_state,
        }),
        ..operator_start(SessionRecord {
            credential: Some(credential.id.clone()),
            ..session
        })
    }
}

async fn standing(store: &dyn Store, credential: &Credential) -> Standing {
    let saved = store.credential(&credential.id).await.unwrap();
    saved.unwrap().standing
}

async fn enrolled_at(store: &dyn Store, account: &Account) -> Option<Timestamp> {
    let key = AccountKey::Id(account.id);
    store.account(&key).await.unwrap().unwrap().enrolled_at
}

pub(crate) async fn a_held_passkey_is_good_once_it_is_used_after_its_wait(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let until = NOW.later(100);
    let held = Credential {
        standing: Standing::Held { until },
        ..credential(ann.id)
    };
    let start = saving(&held, session(ann.id, NOW));
    assert_eq!(outcome(&*store, &start).await, Started::Started);
    for (seconds, expected) in [
        (1, held.standing),
        (99, held.standing),
        (100, Standing::Good),
        (101, Standing::Good),
    ] {
        let start = using(&held, session(ann.id, NOW.later(seconds)));
        assert_eq!(outcome(&*store, &start).await, Started::Started);
        assert_eq!(
            standing(&*store, &held).await,
            expected,
            "after {seconds} s"
        );
    }
}

pub(crate) async fn a_frozen_passkey_opens_and_raises_nothing(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let frozen = Credential {
        standing: Standing::Frozen { since: NOW },
        ..credential(ann.id)
    };
    let old = saving(&frozen, session(ann.id, NOW));
    assert_eq!(outcome(&*store, &old).await, Started::Started);
    let signing_in = using(&frozen, session(ann.id, NOW.later(1)));
    refused(&*store, &signing_in, Started::CredentialGone).await;
    let stepping_up = SessionStart {
        replaces: Some(old.session.id),
        ..using(&frozen, session(ann.id, NOW.later(1)))
    };
    refused(&*store, &stepping_up, Started::CredentialGone).await;
}

pub(crate) async fn a_recovery_doubts_the_other_passkeys_and_ends_the_other_sessions(
    place: &impl Place,
) {
    let (store, neighbour) = (place.open().await, place.open().await);
    for (name, end_sessions) in [("ann", true), ("bob", false)] {
        let account = saved_account(&*store, name).await;
        let (older, elsewhere) = saved_credential(&*store, account.id).await;
        let stranger = saved_account(&*store, &format!("{name}.neighbour")).await;
        let (theirs, not_ours) = saved_credential(&*store, stranger.id).await;
        let by_mail = started_session(&*store, account.id).await;
        let position = neighbour.last_change().await.unwrap();

        let new = credential(account.id);
        let start = SessionStart {
            replaces: Some(by_mail.id),
            recovered: Some(Recovered { end_sessions }),
            ..saving(&new, session(account.id, NOW.later(1)))
        };
        assert_eq!(outcome(&*store, &start).await, Started::Started);
        let doubted = Credential {
            to_confirm: true,
            ..older
        };
        assert_eq!(store.credentials(account.id).await.unwrap(), [doubted, new]);
        assert_eq!(store.credentials(stranger.id).await.unwrap(), [theirs]);

        let alive = async |session: &SessionRecord| {
            let found = neighbour.session(session.id, NOW.later(1)).await;
            found.unwrap().is_some()
        };
        assert!(alive(&start.session).await && alive(&not_ours).await);
        assert_eq!(alive(&elsewhere).await, !end_sessions, "{name}");
        let (changes, _) = neighbour.changes_since(position).await.unwrap();
        let told = changes.contains(&Change::SessionEnded(elsewhere.id));
        assert_eq!(told, end_sessions, "{name}");
    }
}

pub(crate) async fn an_account_is_enrolled_once_and_for_all(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    assert_eq!(enrolled_at(&*store, &ann).await, None);
    let first = credential(ann.id);
    let second = Credential {
        created_at: NOW.later(9),
        ..credential(ann.id)
    };
    for (new, first_passkey) in [(&first, true), (&second, false)] {
        let start = SessionStart {
            first_passkey,
            ..saving(new, session(ann.id, new.created_at))
        };
        assert_eq!(outcome(&*store, &start).await, Started::Started);
        assert_eq!(enrolled_at(&*store, &ann).await, Some(NOW));
    }
    for saved in [&first, &second] {
        let removal = removal(ann.id, &saved.id, None);
        let removed = store.remove_credential(&removal, &record(NOW)).await;
        assert!(removed.unwrap());
    }
    assert_eq!(enrolled_at(&*store, &ann).await, Some(NOW));
    let again = SessionStart {
        first_passkey: true,
        ..saving(&credential(ann.id), session(ann.id, NOW.later(20)))
    };
    refused(&*store, &again, Started::EnrolledBefore).await;
}

pub(crate) async fn of_many_first_passkeys_one_is_saved(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let saving = async |store: Arc<dyn Store>| {
        let start = SessionStart {
            first_passkey: true,
            ..saving(&credential(ann.id), session(ann.id, NOW))
        };
        outcome(&*store, &start).await
    };
    let outcomes = tokio::join!(
        saving(Arc::clone(&store)),
        saving(Arc::clone(&store)),
        saving(place.open().await),
        saving(place.open().await),
    );
    let outcomes = [outcomes.0, outcomes.1, outcomes.2, outcomes.3];
    let count = |wanted| outcomes.iter().filter(|one| **one == wanted).count();
    assert_eq!(
        (count(Started::Started), count(Started::EnrolledBefore)),
        (1, 3),
        "{outcomes:?}"
    );
}

pub(crate) async fn a_mail_signs_nobody_in_where_that_is_switched_off_or_blocked(
    place: &impl Place,
) {
    let store = place.open().await;
    let shut = [
        (
            "off",
            Recovery {
                by_email: false,
                ..Recovery::default()
            },
        ),
        (
            "blocked",
            Recovery {
                blocked_at: Some(NOW),
                ..Recovery::default()
            },
        ),
    ];
    for (name, recovery) in shut {
        let account = Account {
            recovery,
            ..account(name)
        };
        store
            .create_account(&account, None, &record(NOW))
            .await
            .unwrap();
        let attempt = begun_attempt(&*store, Some(account.id), name).await;
        let start = SessionStart {
            spend: Spend::Email {
                attempt: attempt.id,
            },
            ..operator_start(session(account.id, NOW))
        };
        refused(&*store, &start, Started::RecoveryClosed).await;
        let open = store.email_attempt_by_link(&attempt.link, NOW).await;
        assert_eq!(open.unwrap(), Some(attempt), "it is not spent");
    }
}

pub(crate) async fn a_session_remembers_what_was_proved(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let begun = SessionRecord {
        method: Method::BackupCode,
        proofs: [Method::Email, Method::BackupCode].into_iter().collect(),
        restricted: true,
        ..session(ann.id, NOW)
    };
    let start = operator_start(begun.clone());
    assert_eq!(outcome(&*store, &start).await, Started::Started);
    let found = neighbour.session(begun.id, NOW).await.unwrap().unwrap();
    assert_eq!(found.proofs, begun.proofs);
    let renewed = neighbour.renew_session(begun.id, NOW.later(200), NOW).await;
    assert_eq!(renewed.unwrap().unwrap().proofs, begun.proofs);
}
