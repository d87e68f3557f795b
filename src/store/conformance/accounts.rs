//! Accounts and invitations.

use super::*;
use crate::store::{AccountKey, Change, Creation, Invitation, RecoveryChoice, Started};

fn invitation(expires_at: Timestamp) -> Invitation {
    Invitation {
        digest: digest(),
        expires_at,
    }
}

pub(crate) async fn an_account_is_found_by_each_of_its_names(place: &impl Place) {
    let store = place.open().await;
    let ann = saved_account(&*store, "Ann").await;
    saved_account(&*store, "bob").await;
    for key in [
        AccountKey::Id(ann.id),
        AccountKey::UserHandle(ann.user_handle),
        AccountKey::Email(address("ann")),
        AccountKey::Login("aNN".to_owned()),
    ] {
        assert_eq!(
            store.account(&key).await.unwrap().as_ref(),
            Some(&ann),
            "{key:?}"
        );
    }
    for key in [
        AccountKey::Id(AccountId::random()),
        AccountKey::UserHandle(UserHandle::random()),
        AccountKey::Email(address("carol")),
        AccountKey::Login("carol".to_owned()),
    ] {
        assert_eq!(store.account(&key).await.unwrap(), None, "{key:?}");
    }
}

pub(crate) async fn a_login_and_an_address_belong_to_one_account(place: &impl Place) {
    let store = place.open().await;
    saved_account(&*store, "ann").await;
    let same_login = Account {
        login: "ANN".to_owned(),
        ..account("other")
    };
    let same_email = Account {
        login: "other".to_owned(),
        ..account("ann")
    };
    let before = Snapshot::of(&*store).await;
    for (taken, why) in [
        (&same_login, Creation::LoginTaken),
        (&same_email, Creation::EmailTaken),
    ] {
        let invitation = invitation(NOW.later(60));
        let creation = store
            .create_account(taken, Some(&invitation), &record(NOW))
            .await;
        assert_eq!(creation.unwrap(), why);
        assert_eq!(
            store
                .invited_account(&invitation.digest, NOW)
                .await
                .unwrap(),
            None
        );
    }
    assert_eq!(Snapshot::of(&*store).await, before);
    for name in ["dan", "eve"] {
        let nameless = Account {
            email: None,
            ..account(name)
        };
        let creation = store.create_account(&nameless, None, &record(NOW)).await;
        assert_eq!(creation.unwrap(), Creation::Created);
    }
}

pub(crate) async fn accounts_are_listed_by_login(place: &impl Place) {
    let store = place.open().await;
    for name in ["carol", "Ann", "bob"] {
        saved_account(&*store, name).await;
    }
    let accounts = store.accounts().await.unwrap();
    let logins: Vec<_> = accounts
        .iter()
        .map(|account| account.login.as_str())
        .collect();
    assert_eq!(logins, ["Ann", "bob", "carol"]);
}

pub(crate) async fn a_new_invitation_supersedes_the_older_ones(place: &impl Place) {
    let store = place.open().await;
    let (ann, older, newer) = (
        account("ann"),
        invitation(NOW.later(60)),
        invitation(NOW.later(60)),
    );
    let creation = store.create_account(&ann, Some(&older), &record(NOW)).await;
    assert_eq!(creation.unwrap(), Creation::Created);
    let invited = store.invited_account(&older.digest, NOW).await.unwrap();
    assert_eq!(invited.as_ref(), Some(&ann));
    assert!(
        store
            .invite(ann.id, &newer, &record(NOW), None)
            .await
            .unwrap()
    );
    assert_eq!(
        store.invited_account(&older.digest, NOW).await.unwrap(),
        None
    );
    let invited = store.invited_account(&newer.digest, NOW).await.unwrap();
    assert_eq!(invited.as_ref(), Some(&ann));
}

pub(crate) async fn an_invitation_is_worth_nothing_from_its_expiry_on(place: &impl Place) {
    let store = place.open().await;
    let (ann, invitation) = (account("ann"), invitation(NOW.later(60)));
    store
        .create_account(&ann, Some(&invitation), &record(NOW))
        .await
        .unwrap();
    let at = async |moment| {
        store
            .invited_account(&invitation.digest, moment)
            .await
            .unwrap()
    };
    assert_eq!(at(NOW.later(59)).await, Some(ann));
    assert_eq!(at(NOW.later(60)).await, None);
}

pub(crate) async fn disabling_ends_the_sessions_and_closes_the_door(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let sessions = [
        started_session(&*store, ann.id).await,
        started_session(&*store, ann.id).await,
    ];
    let of_bob = started_session(&*store, bob.id).await;
    let position = neighbour.last_change().await.unwrap();

    let disabled = AccountState::Disabled;
    assert!(
        store
            .set_account_state(ann.id, disabled, &record(NOW), None)
            .await
            .unwrap()
    );
    for session in &sessions {
        assert_eq!(store.session(session.id, NOW).await.unwrap(), None);
        assert_eq!(
            store.renew_session(session.id, NOW, NOW).await.unwrap(),
            None
        );
    }
    assert_eq!(store.sessions(None, NOW).await.unwrap(), [of_bob]);
    let (changes, _) = neighbour.changes_since(position).await.unwrap();
    for session in &sessions {
        assert!(changes.contains(&Change::SessionEnded(session.id)));
    }
    assert!(changes.contains(&Change::AccountChanged(ann.id)));
    assert_eq!(changes.len(), 3);
    let start = operator_start(session(ann.id, NOW));
    let started = store.start_session(&start, &record(NOW)).await.unwrap();
    assert_eq!(started, Started::AccountClosed);

    // Enabling opens the door again; what was ended stays so.
    let active = AccountState::Active;
    assert!(
        store
            .set_account_state(ann.id, active, &record(NOW), None)
            .await
            .unwrap()
    );
    assert_eq!(store.session(sessions[0].id, NOW).await.unwrap(), None);
    started_session(&*store, ann.id).await;
}

pub(crate) async fn deleting_takes_everything_but_the_audit(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let invitation = invitation(NOW.later(60));
    store
        .invite(ann.id, &invitation, &record_of(ann.id, NOW), None)
        .await
        .unwrap();
    let (credential, session) = saved_credential(&*store, ann.id).await;
    let attempt = begun_attempt(&*store, Some(ann.id), "ann").await;
    store.enqueue_mail(&mail(Some(ann.id), NOW)).await.unwrap();
    let strangers = mail(None, NOW.later(5));
    store.enqueue_mail(&strangers).await.unwrap();
    let position = neighbour.last_change().await.unwrap();

    let gone = record_of(ann.id, NOW.later(1));
    assert!(store.delete_account(ann.id, &gone).await.unwrap());
    assert_eq!(store.accounts().await.unwrap(), []);
    assert_eq!(store.credential(&credential.id).await.unwrap(), None);
    assert_eq!(store.credentials(ann.id).await.unwrap(), []);
    assert_eq!(store.session(session.id, NOW).await.unwrap(), None);
    assert_eq!(
        store
            .invited_account(&invitation.digest, NOW)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        store
            .email_attempt_by_link(&attempt.link, NOW)
            .await
            .unwrap(),
        None
    );
    let left = OutboxState {
        waiting: 1,
        next_due_at: Some(strangers.due_at),
        oldest_at: Some(strangers.due_at),
    };
    assert_eq!(store.outbox_state().await.unwrap(), left);
    let (changes, _) = neighbour.changes_since(position).await.unwrap();
    let announced = [
        Change::SessionEnded(session.id),
        Change::AccountChanged(ann.id),
    ];
    assert_eq!(changes, announced);
    assert_eq!(store.audit(Some(ann.id), 10).await.unwrap()[0], gone);
    assert_eq!(store.audit(Some(ann.id), 10).await.unwrap().len(), 2);

    // The names are free again.
    saved_account(&*store, "ann").await;
}

pub(crate) async fn what_is_not_there_cannot_be_changed(place: &impl Place) {
    let store = place.open().await;
    let (ann, nobody) = (saved_account(&*store, "ann").await, AccountId::random());
    let bob = saved_account(&*store, "bob").await;
    let (credential, _) = saved_credential(&*store, ann.id).await;
    let before = Snapshot::of(&*store).await;
    let record = record(NOW);
    let disabled = AccountState::Disabled;
    assert!(
        !store
            .invite(nobody, &invitation(NOW.later(60)), &record, None)
            .await
            .unwrap()
    );
    assert!(
        !store
            .set_account_state(nobody, disabled, &record, None)
            .await
            .unwrap()
    );
    assert!(!store.delete_account(nobody, &record).await.unwrap());
    assert!(
        !store
            .end_session(SessionId::random(), None, &record, None)
            .await
            .unwrap()
    );
    // A passkey is there only for the account that has it.
    for account in [nobody, bob.id] {
        let (id, label) = (&credential.id, "Mine");
        assert!(
            !store
                .rename_credential(account, id, label, &record)
                .await
                .unwrap()
        );
        assert!(
            !store
                .remove_credential(&removal(account, id, None), &record)
                .await
                .unwrap()
        );
    }
    assert_eq!(Snapshot::of(&*store).await, before);
}

pub(crate) async fn what_may_recover_an_account_is_chosen_and_told(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    let choice = RecoveryChoice {
        by_email: false,
        by_backup_codes: true,
    };
    let position = neighbour.last_change().await.unwrap();
    let audit = record_of(ann.id, NOW.later(1));
    let chosen = store
        .set_recovery_choice(ann.id, choice, &audit, Some(&notice(ann.id)))
        .await;
    assert!(chosen.unwrap());
    let found = neighbour.account(&AccountKey::Id(ann.id)).await.unwrap();
    let recovery = Recovery {
        by_email: false,
        ..Recovery::default()
    };
    assert_eq!(
        found,
        Some(Account {
            recovery,
            ..ann.clone()
        })
    );
    let (changes, _) = neighbour.changes_since(position).await.unwrap();
    assert_eq!(changes, [Change::AccountChanged(ann.id)]);
    assert_eq!(neighbour.audit(None, 1).await.unwrap(), [audit]);
    assert_eq!(neighbour.outbox_state().await.unwrap().waiting, 1);
    let other = neighbour.account(&AccountKey::Id(bob.id)).await.unwrap();
    assert_eq!(other, Some(bob));

    let before = Snapshot::of(&*store).await;
    let nobody = AccountId::random();
    let chosen = store
        .set_recovery_choice(nobody, choice, &record(NOW), None)
        .await;
    assert!(!chosen.unwrap());
    assert_eq!(Snapshot::of(&*store).await, before);
}

pub(crate) async fn an_account_is_not_reminded_right_after_its_first_passkey(place: &impl Place) {
    let (store, neighbour) = (place.open().await, place.open().await);
    let ann = saved_account(&*store, "ann").await;
    let bob = saved_account(&*store, "bob").await;
    saved_credential(&*store, ann.id).await;
    let remind_at = async |account: AccountId| {
        let found = neighbour.account(&AccountKey::Id(account)).await.unwrap();
        found.unwrap().remind_at
    };
    assert_eq!(
        remind_at(ann.id).await,
        Some(NOW.plus(Account::FIRST_REMINDER))
    );
    store.set_remind_at(ann.id, NOW.later(5)).await.unwrap();
    assert_eq!(remind_at(ann.id).await, Some(NOW.later(5)));
    // Another passkey is not the first one.
    saved_credential(&*store, ann.id).await;
    assert_eq!(remind_at(ann.id).await, Some(NOW.later(5)));
    assert_eq!(remind_at(bob.id).await, None);
}
