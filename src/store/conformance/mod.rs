//! The rules that every store keeps, and the data they are tested with.
//!
//! A store's own tests implement [`Place`] and write `conformance::rules!(ItsPlace);`, which makes one test
//! of each rule. A rule sees nothing but the trait, through one handle or through two on the same data: two
//! nodes, or the server and the command line.

pub(crate) mod accounts;
pub(crate) mod addresses;
pub(crate) mod atomicity;
pub(crate) mod backup_codes;
pub(crate) mod email;
pub(crate) mod feed;
pub(crate) mod handoff;
pub(crate) mod held;
pub(crate) mod outbox;
pub(crate) mod pairing;
pub(crate) mod passkeys;
pub(crate) mod recovery;
pub(crate) mod reports;
pub(crate) mod sessions;
pub(crate) mod starting;
pub(crate) mod takeover;

use std::{sync::Arc, time::Duration};

use super::{
    Account, AccountState, BackupCodes, ChangePosition, Credential, CredentialRemoval,
    EmailAttempt, EmailPurpose, Notice, OutboxMail, OutboxState, Recovery, SessionRecord,
    SessionStart, Spend, Standing, Store, StoredKey,
};
use crate::{
    clock::Timestamp,
    email_address::EmailAddress,
    id::{AccountId, CredentialId, EmailAttemptId, MailId, RequestId, SessionId, UserHandle},
    key_kind::KeyKind,
    method::Method,
    network::Network,
    secret::{Digest, Token, random_bytes},
    telemetry::audit::{AuditEvent, AuditRecord},
};

/// Somewhere to keep data, empty at first.
pub(crate) trait Place {
    /// A new one.
    fn empty() -> Self;

    /// One more handle on the data kept there.
    async fn open(&self) -> Arc<dyn Store>;
}

/// One test of each rule for the stores of a [`Place`].
macro_rules! rules {
    ($place:ty) => {
        $crate::store::conformance::rules! { $place:
            accounts::an_account_is_found_by_each_of_its_names
            accounts::a_login_and_an_address_belong_to_one_account
            accounts::accounts_are_listed_by_login
            accounts::a_new_invitation_supersedes_the_older_ones
            accounts::an_invitation_is_worth_nothing_from_its_expiry_on
            accounts::disabling_ends_the_sessions_and_closes_the_door
            accounts::deleting_takes_everything_but_the_audit
            accounts::what_is_not_there_cannot_be_changed
            accounts::what_may_recover_an_account_is_chosen_and_told
            accounts::an_account_is_not_reminded_right_after_its_first_passkey
            backup_codes::new_codes_take_the_place_of_all_older_ones
            backup_codes::each_code_starts_one_session_of_its_own_account
            backup_codes::of_many_who_spend_one_code_one_succeeds
            backup_codes::wrong_codes_count_until_the_way_is_closed
            backup_codes::guesses_at_once_close_the_way_once
            backup_codes::a_code_that_is_spent_forgives_the_wrong_ones
            backup_codes::what_is_not_offered_is_not_tried
            backup_codes::a_code_is_worth_nothing_where_its_way_is_off_or_blocked
            passkeys::passkeys_are_listed_oldest_first_and_renamed_by_their_owner
            passkeys::removing_a_passkey_ends_what_it_opened_but_the_session_at_hand
            starting::each_proof_starts_one_session
            starting::a_spent_proof_starts_nothing
            starting::a_proof_is_worth_nothing_from_its_expiry_on
            starting::a_superseded_or_foreign_proof_starts_nothing
            starting::a_closed_account_starts_nothing
            starting::a_session_is_replaced_only_while_alive_and_by_its_own_account
            starting::a_passkey_is_saved_once_over_all_accounts
            starting::a_removed_passkey_opens_nothing
            starting::a_notice_is_sent_of_what_happened_and_of_nothing_else
            starting::the_use_of_a_passkey_is_noted
            starting::a_new_account_needs_a_free_name
            starting::a_mail_proves_the_address_it_went_to_and_no_other
            atomicity::of_many_who_spend_one_proof_one_succeeds
            atomicity::of_two_handles_that_spend_one_proof_one_succeeds
            atomicity::a_call_that_is_dropped_midway_happens_whole_or_not_at_all
            sessions::a_session_lives_until_its_end_or_its_expiry
            sessions::renewing_stops_at_the_idle_limit
            sessions::renewing_never_turns_back
            sessions::sessions_are_listed_newest_first
            sessions::a_session_is_ended_once_and_by_its_own_account
            sessions::many_sessions_are_ended_and_counted
            handoff::a_session_is_handed_on_as_it_is
            handoff::of_many_who_bring_one_code_one_gets_a_session
            handoff::a_code_is_worth_nothing_elsewhere_and_nothing_afterwards
            handoff::a_code_is_worth_nothing_from_its_expiry_on
            handoff::a_code_that_has_served_is_forgotten
            handoff::what_has_ended_is_not_handed_on
            handoff::the_session_left_behind_on_a_host_ends
            handoff::a_family_ends_as_one_and_each_is_told_of
            handoff::families_are_counted_and_gathered
            handoff::what_ends_an_account_ends_its_families
            handoff::removing_a_passkey_ends_the_families_it_raised
            handoff::a_report_ends_the_families_of_what_it_stops
            takeover::a_held_passkey_is_good_once_it_is_used_after_its_wait
            takeover::a_frozen_passkey_opens_and_raises_nothing
            takeover::a_recovery_doubts_the_other_passkeys_and_ends_the_other_sessions
            takeover::an_account_is_enrolled_once_and_for_all
            takeover::of_many_first_passkeys_one_is_saved
            takeover::a_mail_signs_nobody_in_where_that_is_switched_off_or_blocked
            takeover::a_session_remembers_what_was_proved
            email::a_code_may_be_mistyped_four_times
            email::the_fifth_wrong_code_ends_the_attempt
            email::guesses_at_once_do_not_exceed_the_limit
            email::the_code_is_worth_nothing_in_another_browser
            email::an_attempt_is_over_once_superseded_spent_or_expired
            email::an_attempt_of_a_deleted_account_writes_nothing
            addresses::a_proved_address_takes_the_place_of_the_old_one
            addresses::an_address_is_proved_for_one_account_once_and_in_time
            addresses::an_address_of_another_account_is_not_taken
            reports::a_report_stops_what_it_names_and_all_that_grew_from_it
            reports::a_report_stops_every_passkey_that_waits
            reports::a_report_is_said_once_and_of_its_own_account
            reports::a_report_without_a_passkey_stops_its_sign_in
            reports::a_frozen_passkey_opens_nothing_even_if_it_was_the_only_one
            reports::whoever_stops_another_passkey_keeps_session_and_passkey
            reports::after_a_report_mails_start_nothing_until_that_is_allowed
            reports::an_older_passkey_is_confirmed_once_by_its_own_account
            reports::expired_reports_are_forgotten
            recovery::a_recovery_is_open_until_its_link_is_given_out
            recovery::another_actor_approves_and_only_who_asked_collects
            recovery::a_newer_recovery_takes_the_place_of_older_ones
            recovery::a_recovery_link_is_spent_once_and_by_its_account
            recovery::of_many_who_spend_one_recovery_link_one_succeeds
            recovery::of_many_who_approve_or_collect_one_succeeds
            recovery::a_recovery_is_remembered_as_long_as_its_account
            recovery::what_administrators_do_is_told_with_it_or_not_at_all
            recovery::accounts_are_found_by_a_part_of_a_name
            pairing::a_pairing_is_found_by_each_of_its_names
            pairing::only_so_many_pairings_are_open_at_once
            pairing::the_first_account_that_looks_is_the_only_one
            pairing::of_two_accounts_that_look_at_once_one_succeeds
            pairing::a_second_browser_shortly_after_blocks_pairing
            pairing::the_same_browser_may_ask_twice_but_not_three_times
            pairing::a_browser_that_got_its_session_does_not_count_against_the_next
            pairing::an_approval_is_of_what_its_account_looked_at
            pairing::a_held_passkey_lets_nobody_in
            pairing::the_second_wrong_number_ends_a_pairing
            pairing::of_many_approvals_at_once_one_succeeds
            pairing::an_approval_lets_in_its_browser_once
            pairing::an_approval_is_taken_back_by_what_ends_it
            pairing::a_pairing_is_forgotten_after_it_has_served
            email::a_hundred_wrong_codes_leave_the_link_alone
            email::a_mail_that_signs_in_forgives_the_wrong_codes
            email::a_mail_signs_in_only_where_its_person_lets_it
            outbox::a_mail_is_taken_by_one_until_its_lease_ends
            outbox::mails_are_taken_in_the_order_they_fall_due
            outbox::a_postponed_mail_counts_its_tries
            outbox::a_mail_that_is_no_longer_worth_sending_is_dropped
            outbox::the_mail_of_a_deleted_account_is_forgotten
            feed::changes_come_in_order_and_once
            feed::each_change_says_when_it_was_written
            feed::what_a_starting_node_must_know_comes_from_a_moment_on
            feed::the_first_of_many_keys_is_the_only_one
            feed::keys_are_listed_newest_first
            feed::the_first_key_is_the_first_of_its_kind
            feed::superseded_keys_are_forgotten
            feed::a_key_stays_while_a_session_may_have_been_signed_with_it
            feed::audit_records_come_newest_first_up_to_a_limit
            feed::forgetting_removes_what_has_served_and_nothing_else
            feed::a_position_is_never_given_out_twice
            held::a_held_request_is_found_by_its_own_browser_alone
            held::of_many_who_take_a_held_request_one_gets_it
            held::what_was_taken_and_not_sent_can_be_given_back
            held::what_waits_is_not_emptied
            held::a_held_request_is_over_from_its_expiry_on
            held::the_content_of_what_is_over_is_dropped
            held::what_was_discarded_is_not_sent
            held::no_more_is_held_than_there_is_room_for
            held::of_many_who_ask_for_the_last_room_one_gets_it
            held::what_became_of_a_held_request_is_remembered_for_an_hour
            held::a_deleted_account_leaves_nothing_held
        }
    };
    ($place:ty: $($theme:ident::$rule:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $rule() {
            let place = <$place as $crate::store::conformance::Place>::empty();
            $crate::store::conformance::$theme::$rule(&place).await;
        }
    )*};
}
pub(crate) use rules;

/// When the rules begin.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

/// Moments beside a moment.
pub(crate) trait At {
    /// So many seconds later.
    fn later(self, seconds: u64) -> Self;
}

impl At for Timestamp {
    fn later(self, seconds: u64) -> Self {
        self.plus(Duration::from_secs(seconds))
    }
}

/// Everything that a store shows of itself: what a refusal must leave as it was.
#[derive(Debug, PartialEq)]
pub(crate) struct Snapshot {
    accounts: Vec<(Account, Vec<Credential>)>,
    sessions: Vec<SessionRecord>,
    outbox: OutboxState,
    backup_codes: Vec<Option<BackupCodes>>,
    keys: Vec<StoredKey>,
    position: ChangePosition,
    audit: Vec<AuditRecord>,
}

impl Snapshot {
    pub(crate) async fn of(store: &dyn Store) -> Self {
        let mut accounts = Vec::new();
        let mut backup_codes = Vec::new();
        for account in store.accounts().await.unwrap() {
            backup_codes.push(store.backup_codes(account.id).await.unwrap());
            let credentials = store.credentials(account.id).await.unwrap();
            accounts.push((account, credentials));
        }
        Self {
            accounts,
            sessions: store
                .sessions(None, Timestamp::from_seconds(0))
                .await
                .unwrap(),
            outbox: store.outbox_state().await.unwrap(),
            backup_codes,
            keys: store.keys().await.unwrap(),
            position: store.last_change().await.unwrap(),
            audit: store.audit(None, u32::MAX).await.unwrap(),
        }
    }
}

pub(crate) fn address(name: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{name}@example.com")).unwrap()
}

/// An account whose address is not proved yet.
pub(crate) fn account(name: &str) -> Account {
    Account {
        id: AccountId::random(),
        user_handle: UserHandle::random(),
        login: name.to_owned(),
        email: Some(address(name)),
        email_verified_at: None,
        name: Some(format!("{name} of Example")),
        groups: vec!["staff".to_owned(), "traders".to_owned()],
        state: AccountState::Active,
        created_at: NOW,
        enrolled_at: None,
        recovery: Recovery::default(),
        remind_at: None,
    }
}

/// Saves a new account.
pub(crate) async fn saved_account(store: &dyn Store, name: &str) -> Account {
    let account = account(name);
    store
        .create_account(&account, None, &record(NOW))
        .await
        .unwrap();
    account
}

pub(crate) fn credential(account: AccountId) -> Credential {
    Credential {
        id: CredentialId::new(&random_bytes::<20>()).unwrap(),
        account,
        material: r#"{"counter":0}"#.to_owned(),
        label: "Phone".to_owned(),
        aaguid: Some(uuid::Uuid::new_v4()),
        backup_eligible: true,
        backup_state: false,
        created_at: NOW,
        last_used_at: None,
        standing: Standing::Good,
        to_confirm: false,
    }
}

/// A session from `begun` on, for an hour.
pub(crate) fn session(account: AccountId, begun: Timestamp) -> SessionRecord {
    let id = SessionId::random();
    SessionRecord {
        id,
        account,
        method: Method::Passkey,
        authenticated_at: begun,
        restricted: false,
        stepped_up_at: Some(begun),
        credential: None,
        created_at: begun,
        last_seen_at: begun,
        expires_at: begun.later(3600),
        device: "Firefox on Linux".to_owned(),
        network: Some(Network::of([203, 0, 113, 9].into())),
        proofs: Method::Passkey.into(),
        family: id,
        host: None,
    }
}

/// Starts `session` at an operator's word: the proof that is always good.
pub(crate) fn operator_start(session: SessionRecord) -> SessionStart {
    SessionStart::new(Spend::Operator, session)
}

/// Starts a session for `account` now.
pub(crate) async fn started_session(store: &dyn Store, account: AccountId) -> SessionRecord {
    let session = session(account, NOW);
    let start = operator_start(session.clone());
    let started = store.start_session(&start, &record(NOW)).await.unwrap();
    assert_eq!(started, super::Started::Started);
    session
}

/// Saves a passkey by starting a session that it opened.
pub(crate) async fn saved_credential(
    store: &dyn Store,
    account: AccountId,
) -> (Credential, SessionRecord) {
    let credential = credential(account);
    let start = SessionStart {
        new_credential: Some(credential.clone()),
        ..operator_start(SessionRecord {
            credential: Some(credential.id.clone()),
            ..session(account, NOW)
        })
    };
    let started = store.start_session(&start, &record(NOW)).await.unwrap();
    assert_eq!(started, super::Started::Started);
    (credential, start.session)
}

/// The removal of a passkey, with a notice of it.
pub(crate) fn removal(
    account: AccountId,
    credential: &CredentialId,
    keep: Option<SessionId>,
) -> CredentialRemoval {
    CredentialRemoval {
        account,
        credential: credential.clone(),
        keep,
        notice: Some(notice(account)),
    }
}

/// A notice of one mail, without the other end.
pub(crate) fn notice(account: AccountId) -> Notice {
    Notice {
        mails: vec![mail(Some(account), NOW)],
        report: None,
    }
}

pub(crate) fn digest() -> Digest {
    Token::random().digest()
}

/// A request for a mail to `name`.
pub(crate) fn attempt(
    account: Option<AccountId>,
    name: &str,
    expires_at: Timestamp,
) -> EmailAttempt {
    EmailAttempt {
        id: EmailAttemptId::random(),
        account,
        email: address(name),
        link: digest(),
        code: digest(),
        browser: digest(),
        purpose: EmailPurpose::SignIn,
        return_to: "/notes".to_owned(),
        created_at: NOW,
        expires_at,
    }
}

/// Requests a mail to the account called `name`, good for 15 minutes.
pub(crate) async fn begun_attempt(
    store: &dyn Store,
    account: Option<AccountId>,
    name: &str,
) -> EmailAttempt {
    let attempt = attempt(account, name, NOW.later(900));
    let mail = mail(account, NOW);
    store
        .begin_email_attempt(&attempt, &mail, &record(NOW))
        .await
        .unwrap();
    attempt
}

/// A mail that falls due at `due_at` and is worth sending for 15 minutes.
pub(crate) fn mail(account: Option<AccountId>, due_at: Timestamp) -> OutboxMail {
    OutboxMail {
        id: MailId::random(),
        account,
        sealed: random_bytes::<40>().to_vec(),
        due_at,
        expires_at: due_at.later(900),
        tries: 0,
    }
}

pub(crate) fn key(created_at: Timestamp) -> StoredKey {
    StoredKey {
        kid: RequestId::random().to_string(),
        kind: KeyKind::Session,
        sealed: random_bytes::<60>().to_vec(),
        created_at,
    }
}

/// An audit record at a moment; which event does not matter to a store.
pub(crate) fn record(at: Timestamp) -> AuditRecord {
    AuditRecord {
        at,
        account: None,
        network: Some(Network::of([203, 0, 113, 9].into())),
        request: Some(RequestId::random()),
        actor: None,
        event: AuditEvent::SignedOutEverywhere,
    }
}

/// The same about an account.
pub(crate) fn record_of(account: AccountId, at: Timestamp) -> AuditRecord {
    AuditRecord {
        account: Some(account),
        ..record(at)
    }
}
