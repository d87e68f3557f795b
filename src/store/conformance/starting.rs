//! Starting a session: what each proof pays for, and that a refusal changes nothing.

use super::*;
use crate::{
    id::CeremonyId,
    store::{AccountKey, Change, Creation, CredentialUse, Invitation, Started},
    telemetry::audit::{AuditEvent, Origin},
};

/// An unspent proof of each kind for an account, good until `expires_at`.
pub(crate) async fn proofs(
    store: &dyn Store,
    account: &Account,
    expires_at: Timestamp,
) -> [Spend; 3] {
    let invitation = Invitation {
        digest: digest(),
        expires_at,
    };
    let invited = store
        .invite(account.id, &invitation, &record(NOW), None)
        .await;
    assert!(invited.unwrap());
    let attempt = EmailAttempt {
        email: account.email.clone().unwrap(),
        ..attempt(Some(account.id), "unused", expires_at)
    };
    let mail = mail(Some(account.id), NOW);
    store
        .begin_email_attempt(&attempt, &mail, &record(NOW))
        .await
        .unwrap();
    [
        Spend::Ceremony {
            id: CeremonyId::random(),
            expires_at,
        },
        Spend::Invitation {
            digest: invitation.digest,
            ceremony: CeremonyId::random(),
            ceremony_expires_at: NOW.later(3600),
        },
        Spend::Email {
            attempt: attempt.id,
        },
    ]
}

pub(crate) fn start_with(spend: Spend, session: SessionRecord) -> SessionStart {
    SessionStart {
        spend,
        ..operator_start(session)
    }
}

/// Asserts that `start` comes to `outcome` and that the store shows no trace of it.
async fn refused(store: &dyn Store, start: &SessionStart, outcome: Started) {
    let before = Snapshot::of(store).await;
    let started = store.start_session(start, &record(NOW)).await.unwrap();
    assert_eq!(started, outcome, "{:?}", start.spend);
    assert_eq!(Snapshot::of(store).await, before, "{:?}", start.spend);
}

async fn started(store: &dyn Store, start: &SessionStart) {
    let started = store.start_session(start, &record(NOW)).await.unwrap();
    assert_eq!(started, Started::Started, "{:?}", start.spend);
}

pub(crate) async fn each_proof_starts_one_session(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let mut proofs = Vec::from(proofs(&*store, &ann, NOW.later(60)).await);
    proofs.push(Spend::Operator);
    for spend in proofs {
        let session = session(ann.id, NOW);
        let audit = record_of(ann.id, NOW.later(1));
        let start = start_with(spend, session.clone());
        assert_eq!(
            store.start_session(&start, &audit).await.unwrap(),
            Started::Started
        );
        assert_eq!(
            neighbour.session(session.id, NOW).await.unwrap(),
            Some(session)
        );
        assert_eq!(neighbour.audit(None, 1).await.unwrap(), [audit]);
    }
}

pub(crate) async fn a_spent_proof_starts_nothing(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    for spend in proofs(&*store, &ann, NOW.later(60)).await {
        started(&*store, &start_with(spend.clone(), session(ann.id, NOW))).await;
        let again = SessionStart {
            new_credential: Some(credential(ann.id)),
            ..start_with(spend, session(ann.id, NOW))
        };
        refused(&*neighbour, &again, Started::AlreadySpent).await;
    }
}

pub(crate) async fn a_proof_is_worth_nothing_from_its_expiry_on(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    for spend in proofs(&*store, &ann, NOW.later(60)).await {
        let late = start_with(spend.clone(), session(ann.id, NOW.later(60)));
        refused(&*store, &late, Started::AlreadySpent).await;
        started(&*store, &start_with(spend, session(ann.id, NOW.later(59)))).await;
    }
    // An invitation is worth no more than the exchange that goes with it.
    let [_, invitation, _] = proofs(&*store, &ann, NOW.later(60)).await;
    let Spend::Invitation {
        digest, ceremony, ..
    } = invitation
    else {
        unreachable!("the second proof is an invitation")
    };
    let stale = Spend::Invitation {
        digest,
        ceremony,
        ceremony_expires_at: NOW,
    };
    let start = start_with(stale, session(ann.id, NOW));
    refused(&*store, &start, Started::AlreadySpent).await;
    assert!(store.invited_account(&digest, NOW).await.unwrap().is_some());
}

pub(crate) async fn a_superseded_or_foreign_proof_starts_nothing(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let [_, superseded_invitation, superseded_email] = proofs(&*store, &ann, NOW.later(60)).await;
    let [_, invitation, email] = proofs(&*store, &ann, NOW.later(60)).await;
    for spend in [superseded_invitation, superseded_email] {
        let start = start_with(spend, session(ann.id, NOW));
        refused(&*store, &start, Started::AlreadySpent).await;
    }
    for spend in [invitation, email] {
        let start = start_with(spend.clone(), session(bob.id, NOW));
        refused(&*store, &start, Started::AlreadySpent).await;
        started(&*store, &start_with(spend, session(ann.id, NOW))).await;
    }
    let unknown = [
        Spend::Email {
            attempt: EmailAttemptId::random(),
        },
        Spend::Invitation {
            digest: digest(),
            ceremony: CeremonyId::random(),
            ceremony_expires_at: NOW.later(60),
        },
    ];
    for spend in unknown {
        let start = start_with(spend, session(ann.id, NOW));
        refused(&*store, &start, Started::AlreadySpent).await;
    }
}

pub(crate) async fn a_closed_account_starts_nothing(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let proofs = proofs(&*store, &ann, NOW.later(60)).await;
    let disabled = AccountState::Disabled;
    store
        .set_account_state(ann.id, disabled, &record(NOW), None)
        .await
        .unwrap();
    for spend in &proofs {
        let start = start_with(spend.clone(), session(ann.id, NOW));
        refused(&*store, &start, Started::AccountClosed).await;
    }
    let nobody = operator_start(session(AccountId::random(), NOW));
    refused(&*store, &nobody, Started::AccountClosed).await;
    // A refusal spends nothing.
    let active = AccountState::Active;
    store
        .set_account_state(ann.id, active, &record(NOW), None)
        .await
        .unwrap();
    for spend in proofs {
        started(&*store, &start_with(spend, session(ann.id, NOW))).await;
    }
}

pub(crate) async fn a_session_is_replaced_only_while_alive_and_by_its_own_account(
    place: &impl Place,
) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let old = started_session(&*store, ann.id).await;
    let replacing = |replaces, session| SessionStart {
        replaces: Some(replaces),
        ..operator_start(session)
    };
    let foreign = replacing(old.id, session(bob.id, NOW));
    refused(&*store, &foreign, Started::ReplacedSessionOver).await;
    let late = replacing(old.id, session(ann.id, old.expires_at));
    refused(&*store, &late, Started::ReplacedSessionOver).await;

    let position = neighbour.last_change().await.unwrap();
    let new = session(ann.id, NOW);
    started(&*store, &replacing(old.id, new.clone())).await;
    let (ended, by) = (old.id, new.id);
    let new = SessionRecord {
        family: old.family,
        ..new
    };
    assert_eq!(store.sessions(Some(ann.id), NOW).await.unwrap(), [new]);
    let (changes, _) = neighbour.changes_since(position).await.unwrap();
    assert_eq!(changes, [Change::SessionReplaced { ended, by }]);
    let [_, _, email] = proofs(&*store, &ann, NOW.later(60)).await;
    let over = SessionStart {
        spend: email.clone(),
        ..replacing(old.id, session(ann.id, NOW))
    };
    refused(&*store, &over, Started::ReplacedSessionOver).await;
    started(&*store, &start_with(email, session(ann.id, NOW))).await;
}

pub(crate) async fn a_passkey_is_saved_once_over_all_accounts(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let (saved, _) = saved_credential(&*store, ann.id).await;
    for account in [&ann, &bob] {
        let old = started_session(&*store, account.id).await;
        for spend in proofs(&*store, account, NOW.later(60)).await {
            let again = SessionStart {
                new_credential: Some(Credential {
                    account: account.id,
                    ..saved.clone()
                }),
                replaces: Some(old.id),
                ..start_with(spend.clone(), session(account.id, NOW))
            };
            refused(&*store, &again, Started::CredentialTaken).await;
            assert!(store.session(old.id, NOW).await.unwrap().is_some());
            started(&*store, &start_with(spend, session(account.id, NOW))).await;
        }
    }
    assert_eq!(store.credential(&saved.id).await.unwrap(), Some(saved));
}

fn using(credential: &Credential, session: SessionRecord) -> SessionStart {
    SessionStart {
        credential_use: Some(CredentialUse {
            id: credential.id.clone(),
            material: r#"{"counter":1}"#.to_owned(),
            backup_state: true,
        }),
        ..operator_start(session)
    }
}

pub(crate) async fn a_removed_passkey_opens_nothing(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let (credential, _) = saved_credential(&*store, ann.id).await;
    let foreign = using(&credential, session(bob.id, NOW));
    refused(&*store, &foreign, Started::CredentialGone).await;
    let removed = store
        .remove_credential(&removal(ann.id, &credential.id, None), &record(NOW))
        .await;
    assert!(removed.unwrap());
    let gone = using(&credential, session(ann.id, NOW));
    refused(&*store, &gone, Started::CredentialGone).await;
}

pub(crate) async fn the_use_of_a_passkey_is_noted(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let (saved, _) = saved_credential(&*store, ann.id).await;
    started(&*store, &using(&saved, session(ann.id, NOW.later(7)))).await;
    let used = Credential {
        material: r#"{"counter":1}"#.to_owned(),
        backup_state: true,
        last_used_at: Some(NOW.later(7)),
        ..saved
    };
    assert_eq!(store.credentials(ann.id).await.unwrap(), [used]);
}

pub(crate) async fn a_new_account_needs_a_free_name(place: &impl Place) {
    let store = place.open().await;
    saved_account(&*store, "ann").await;
    let attempt = begun_attempt(&*store, None, "bob").await;
    let spend = Spend::Email {
        attempt: attempt.id,
    };
    let enrolling = |new: &Account| SessionStart {
        new_account: Some(new.clone()),
        new_credential: Some(credential(new.id)),
        ..start_with(spend.clone(), session(new.id, NOW))
    };
    let same_login = Account {
        login: "ANN".to_owned(),
        ..account("bob")
    };
    refused(&*store, &enrolling(&same_login), Started::AccountTaken).await;
    // The proof of one address does not pay for an account with another.
    refused(
        &*store,
        &enrolling(&account("carol")),
        Started::AlreadySpent,
    )
    .await;

    let bob = account("bob");
    started(&*store, &enrolling(&bob)).await;
    let saved = store
        .account(&AccountKey::Login("bob".to_owned()))
        .await
        .unwrap();
    let proved = Account {
        email_verified_at: Some(NOW),
        enrolled_at: Some(NOW),
        remind_at: Some(NOW.plus(Account::FIRST_REMINDER)),
        ..bob
    };
    assert_eq!(saved, Some(proved));
    let made = &store.audit(None, 2).await.unwrap()[1].event;
    let by = Origin::SelfEnrolment;
    assert_eq!(*made, AuditEvent::AccountCreated { by });
    let another = Account {
        id: AccountId::random(),
        ..account("bob")
    };
    let ceremony = Spend::Ceremony {
        id: CeremonyId::random(),
        expires_at: NOW.later(60),
    };
    let same_email = SessionStart {
        new_account: Some(Account {
            login: "bobby".to_owned(),
            ..another.clone()
        }),
        ..start_with(ceremony, session(another.id, NOW))
    };
    refused(&*store, &same_email, Started::AccountTaken).await;
}

pub(crate) async fn a_mail_proves_the_address_it_went_to_and_no_other(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let verified_at = async || {
        let key = AccountKey::Id(ann.id);
        store
            .account(&key)
            .await
            .unwrap()
            .unwrap()
            .email_verified_at
    };
    let elsewhere = begun_attempt(&*store, Some(ann.id), "ann.former").await;
    let spend = Spend::Email {
        attempt: elsewhere.id,
    };
    started(&*store, &start_with(spend, session(ann.id, NOW))).await;
    assert_eq!(verified_at().await, None);

    let position = neighbour.last_change().await.unwrap();
    for seconds in [1, 2] {
        let attempt = begun_attempt(&*store, Some(ann.id), "ann").await;
        let spend = Spend::Email {
            attempt: attempt.id,
        };
        started(
            &*store,
            &start_with(spend, session(ann.id, NOW.later(seconds))),
        )
        .await;
        assert_eq!(verified_at().await, Some(NOW.later(1)));
    }
    let (changes, _) = neighbour.changes_since(position).await.unwrap();
    assert_eq!(changes, [Change::AccountChanged(ann.id)]);

    // An attempt begun by a stranger opens the account that has its address by now, and no other.
    let attempt = begun_attempt(&*store, None, "bob").await;
    let spend = Spend::Email {
        attempt: attempt.id,
    };
    let start = start_with(spend.clone(), session(ann.id, NOW));
    refused(&*store, &start, Started::AlreadySpent).await;
    let bob = account("bob");
    let creation = store
        .create_account(&bob, None, &record(NOW))
        .await
        .unwrap();
    assert_eq!(creation, Creation::Created);
    started(&*store, &start_with(spend, session(bob.id, NOW))).await;
}

pub(crate) async fn a_notice_is_sent_of_what_happened_and_of_nothing_else(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "ann").await;
    let waiting = async || store.outbox_state().await.unwrap().waiting;
    let enrolling = |session: SessionRecord| SessionStart {
        new_credential: Some(credential(ann.id)),
        notice: Some(notice(ann.id)),
        ..operator_start(session)
    };
    let over = SessionStart {
        replaces: Some(SessionId::random()),
        ..enrolling(session(ann.id, NOW))
    };
    refused(&*store, &over, Started::ReplacedSessionOver).await;
    assert_eq!(waiting().await, 0);

    let start = enrolling(session(ann.id, NOW));
    started(&*store, &start).await;
    assert_eq!(waiting().await, 1);

    let saved = start.new_credential.unwrap().id;
    let remove = async || {
        store
            .remove_credential(&removal(ann.id, &saved, None), &record(NOW))
            .await
    };
    assert!(remove().await.unwrap());
    assert_eq!(waiting().await, 2);
    assert!(!remove().await.unwrap());
    assert_eq!(waiting().await, 2);
}
