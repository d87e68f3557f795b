//! The takeover path: what it takes to save a passkey on an account that had one, what a recovery changes, and
//! the wait that gives its owner time. Each way round it is tried.

use gatehouse::store::{Account, AccountKey, Credential, Standing, Store, sqlite::SqliteStore};
use serde_json::json;
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

use crate::harness::{Gateway, Person, mailbox::Mail, page::Reply};

const ANN: &str = "ann@example.com";
const TWO_PROOFS: &str = "recovery_proofs = 2";
const HOLD: &str = "hold = '30m'";
const ENROL: &str = "/.gatehouse/enrol";

#[tokio::test(flavor = "multi_thread")]
async fn by_default_one_proof_recovers_ends_older_sessions_and_doubts_older_passkeys() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    assert_told(&gateway, "passkey was saved").await;
    let mut back = gateway.person();
    let landed = by_mail(&gateway, &back, "/report").await;
    assert_eq!(landed.location(), "/.gatehouse/enrol?return_to=/report");
    let page = back.open(ENROL).await.text();
    assert!(page.contains("signed out everywhere else"), "{page}");
    assert_eq!(ann.session_kind().await, "full");

    assert_eq!(back.enrol(None, "/report").await.status, 200);
    assert_eq!(back.session_kind().await, "full");
    assert_eq!(ann.session_kind().await, "none", "an older session");
    assert_told(&gateway, "passkey was saved").await;
    let [older, newer] = credentials(&gateway).await.try_into().unwrap();
    assert_eq!((older.to_confirm, newer.to_confirm), (true, false));
    assert_eq!(newer.standing, Standing::Good);
    // It is doubted, not shut.
    assert_eq!(ann.sign_in("/").await.status, 200);
    assert_eq!(ann.session_kind().await, "full");
}

#[tokio::test(flavor = "multi_thread")]
async fn older_sessions_go_on_where_the_operator_says_so() {
    let gateway = gateway("recovery_ends_sessions = false").await;
    let ann = gateway.enrolled(ANN).await;
    let mut back = gateway.person();
    by_mail(&gateway, &back, "/").await;
    assert_eq!(back.enrol(None, "/").await.status, 200);
    assert_eq!(ann.session_kind().await, "full");
    assert!(credentials(&gateway).await[0].to_confirm);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_passkey_needs_neither_two_proofs_nor_a_wait() {
    let gateway = gateway(&format!("{TWO_PROOFS}\n{HOLD}")).await;
    gateway.invite(ANN, &[]);
    let mut ann = gateway.person();
    by_mail(&gateway, &ann, "/").await;
    assert_eq!(ann.enrol(None, "/").await.status, 200);
    assert_eq!(ann.session_kind().await, "full");
    // Nor does one more while it is at hand.
    let mut bob = gateway.enrolled("bob@example.com").await;
    bob.phone = crate::harness::authenticator::Authenticator::phone();
    assert_eq!(bob.enrol(None, "/").await.status, 200);
    assert_eq!(bob.session_kind().await, "full");
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_the_last_passkey_does_not_make_the_next_one_the_first() {
    let gateway = gateway(TWO_PROOFS).await;
    let mut ann = gateway.enrolled(ANN).await;
    let id = ann.phone.ids()[0].clone();
    ann.step_up("/").await;
    let removed = ann
        .press_on_account_page(&format!("/.gatehouse/account/passkeys/{id}/remove"))
        .await;
    assert!(removed.status.is_redirection(), "{}", removed.status);
    assert!(credentials(&gateway).await.is_empty());
    gateway.after(6);
    assert_one_more_proof(&ann).await;
    by_mail(&gateway, &ann, "/").await;
    assert_one_more_proof(&ann).await;
    assert!(account(&gateway).await.enrolled_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_two_proofs_are_asked_for_email_alone_saves_nothing() {
    let gateway = gateway(TWO_PROOFS).await;
    let mut ann = gateway.enrolled(ANN).await;
    // Begun by right, with a fresh passkey check …
    ann.phone = crate::harness::authenticator::Authenticator::phone();
    let ceremony = ann.begin_enrolment(None).await;
    let credential = ann
        .phone
        .create(&ceremony.public_key, &gateway.origin)
        .unwrap();
    // … and finished without, in a session by mail.
    by_mail(&gateway, &ann, "/report").await;
    assert_one_more_proof(&ann).await;
    let page = ann.open("/.gatehouse/enrol?return_to=/report").await.text();
    assert!(page.contains("You read mail at the address"), "{page}");
    assert!(page.contains("/.gatehouse/recover/code?return_to="));
    assert!(!page.contains("/.gatehouse/recover/email"), "{page}");
    let refused = ann.finish_enrolment(&ceremony, None, credential, "/").await;
    assert_eq!(refused.json()["error"], "one_more_proof");
    assert_eq!(ann.session_kind().await, "restricted");
    assert_eq!(credentials(&gateway).await.len(), 1);
    let (event, reason) = last_audit(&gateway);
    assert_eq!(
        (event.as_str(), reason.as_str()),
        ("enrolment_refused", "too_few_proofs")
    );

    // The same proof once more is no other.
    by_mail(&gateway, &ann, "/").await;
    assert_eq!(ann.session_kind().await, "restricted");
    assert_one_more_proof(&ann).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_different_proofs_in_one_browser_add_up() {
    let gateway = gateway(TWO_PROOFS).await;
    let ann = gateway.enrolled(ANN).await;
    let mut back = gateway.person();
    by_mail(&gateway, &back, "/").await;
    as_if_by_backup_code(&gateway).await;
    // Another browser's proof does not count here.
    let elsewhere = gateway.person();
    by_mail(&gateway, &elsewhere, "/").await;
    assert_one_more_proof(&elsewhere).await;

    let way = back.open("/.gatehouse/recover?return_to=/report").await;
    assert!(way.text().contains("One more proof is needed"));
    let landed = by_mail(&gateway, &back, "/.gatehouse/enrol?return_to=/report").await;
    assert_eq!(landed.location(), "/.gatehouse/enrol?return_to=/report");
    assert_eq!(back.enrol(None, "/report").await.status, 200);
    assert_eq!(back.session_kind().await, "full");
    assert_eq!(ann.session_kind().await, "none");
    assert_eq!(elsewhere.session_kind().await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_code_and_a_mail_recover_together_and_their_passkey_waits() {
    let gateway = gateway(&format!("{TWO_PROOFS}\n{HOLD}")).await;
    let ann = gateway.enrolled(ANN).await;
    let codes = ann.make_backup_codes().await;
    let mut back = gateway.person();
    back.enter_backup_code(ANN, &codes[0]).await;
    assert_one_more_proof(&back).await;
    let page = back.open(ENROL).await.text();
    assert!(page.contains("/.gatehouse/recover/email"), "{page}");
    assert!(!page.contains("/.gatehouse/recover/code"), "{page}");
    by_mail(&gateway, &back, "/").await;
    assert_eq!(back.enrol(None, "/").await.status, 200);
    assert_eq!(back.session_kind().await, "restricted");
    assert_eq!(ann.session_kind().await, "full", "not recovered yet");
    gateway.after(31);
    back.sign_in("/").await;
    assert_eq!(back.session_kind().await, "full");
    assert_eq!(ann.session_kind().await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_link_is_a_proof_like_another() {
    let gateway = gateway(TWO_PROOFS).await;
    let ann = gateway.enrolled(ANN).await;
    let codes = ann.make_backup_codes().await;
    let mut back = gateway.person();
    let link = gateway.recovery_link(ANN);
    let page = back.open(&link).await;
    let token = page.input("token").expect("a button");
    back.submit(&page, "/.gatehouse/recover/link", &[("token", &token)])
        .await;
    assert_one_more_proof(&back).await;
    back.enter_backup_code(ANN, &codes[0]).await;
    assert_eq!(back.enrol(None, "/").await.status, 200);
    assert_eq!(back.session_kind().await, "full");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovered_passkey_waits_and_its_owner_can_tell() {
    let gateway = gateway(HOLD).await;
    let ann = gateway.enrolled(ANN).await;
    assert_told(&gateway, "passkey was saved").await;
    let mut thief = gateway.person();
    by_mail(&gateway, &thief, "/").await;
    let before = thief.session_cookie().unwrap();
    let page = thief.open(ENROL).await.text();
    assert!(page.contains("it opens everything from"), "{page}");
    let saved = thief.enrol(None, "/report").await;
    assert_eq!(saved.status, 200, "{}", saved.text());
    assert_told(&gateway, "new passkey waits").await;

    let location = saved.json()["location"].as_str().unwrap().to_owned();
    let page = thief.open(&location).await.text();
    assert!(
        page.contains("Passkey saved") && page.contains("Was it not you"),
        "{page}"
    );
    assert_eq!(thief.session_kind().await, "restricted");
    let old = gateway.person();
    old.keep_cookie("__Host-gatehouse", &before);
    assert_eq!(old.session_kind().await, "none", "the session has a new id");
    assert!(thief.open("/report").await.leads_to(ENROL));
    assert!(thief.open(ENROL).await.text().contains("still waits"));

    // It signs in, to as little.
    let mut again = gateway.person();
    std::mem::swap(&mut again.phone, &mut thief.phone);
    let landed = again.sign_in("/report").await;
    assert_eq!(
        landed.json()["location"],
        "/.gatehouse/enrol?return_to=/report"
    );
    assert_eq!(again.session_kind().await, "restricted");
    let page = again
        .open("/.gatehouse/enrol?return_to=/report")
        .await
        .text();
    assert!(page.contains("still waits"), "{page}");
    // Nor does it add another, or let itself in by stepping up.
    let refused = start(&again).await;
    assert_eq!(refused.json()["error"], "one_more_proof");
    let asked = again.open("/.gatehouse/step-up").await;
    assert!(asked.leads_to(ENROL), "{}", asked.status);

    // Meanwhile the owner's passkey is as good as ever, and does not vouch for the new one.
    assert_eq!(ann.session_kind().await, "full");
    let ceremony = ann.begin_step_up().await;
    let allowed = ceremony.public_key["allowCredentials"].as_array().unwrap();
    assert_eq!(allowed.len(), 1, "{allowed:?}");
    let credential = again
        .phone
        .get_regardless(&ceremony.public_key, &gateway.origin);
    let refused = ann.finish_step_up(&ceremony, credential, "/").await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(
        last_audit(&gateway),
        ("step_up_refused".to_owned(), "held".to_owned())
    );
    let [older, newer] = credentials(&gateway).await.try_into().unwrap();
    assert!(!older.to_confirm);
    assert!(matches!(newer.standing, Standing::Held { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_wait_the_passkey_recovers_the_account() {
    let gateway = gateway(HOLD).await;
    let mut ann = gateway.enrolled(ANN).await;
    let mut back = gateway.person();
    by_mail(&gateway, &back, "/").await;
    back.enrol(None, "/").await;
    assert_told(&gateway, "new passkey waits").await;

    gateway.after(29);
    back.sign_in("/").await;
    assert_eq!(back.session_kind().await, "restricted");
    gateway.after(2);
    assert_eq!(back.session_kind().await, "restricted", "until it is used");
    let page = back
        .open("/.gatehouse/enrol?return_to=/report")
        .await
        .text();
    assert!(page.contains("has waited long enough"), "{page}");
    assert_eq!(ann.session_kind().await, "full");

    let landed = back.sign_in("/report").await;
    assert_eq!(landed.json()["location"], "/report");
    assert_eq!(back.session_kind().await, "full");
    assert_eq!(ann.session_kind().await, "none", "an older session");
    let [older, newer] = credentials(&gateway).await.try_into().unwrap();
    assert_eq!((older.to_confirm, newer.to_confirm), (true, false));
    assert_eq!(newer.standing, Standing::Good);
    assert_told(&gateway, "passkey was saved").await;
    // That was the recovery; from now on it is a passkey like any other.
    ann.sign_in("/").await;
    let mut elsewhere = gateway.person();
    std::mem::swap(&mut elsewhere.phone, &mut back.phone);
    elsewhere.sign_in("/").await;
    for person in [&ann, &back, &elsewhere] {
        assert_eq!(person.session_kind().await, "full");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_passkey_opens_nothing_and_the_browser_is_not_told_to_forget_it() {
    let gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    write(&gateway, "UPDATE credential SET frozen_at = 1").await;
    let asked = ann.open("/.gatehouse/step-up").await;
    assert!(asked.leads_to(ENROL), "{}", asked.status);
    let token = ann.open("/.gatehouse/account").await.form_token();
    let refused = ann
        .post_json(&token, "/.gatehouse/step-up/start", &json!({}))
        .await;
    assert_eq!(refused.json()["error"], "not_offered");

    ann.press_on_account_page("/.gatehouse/sign-out").await;
    let refused = ann.sign_in("/").await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"], "passkey_not_verified");
    assert_eq!(ann.session_kind().await, "none");
    assert_eq!(
        last_audit(&gateway),
        ("sign_in_refused".to_owned(), "frozen".to_owned())
    );
    // Its device may hold another one.
    by_mail(&gateway, &ann, "/").await;
    let ceremony = ann.begin_enrolment(None).await;
    let excluded = &ceremony.public_key["excludeCredentials"];
    assert_eq!(excluded.as_array().map_or(0, Vec::len), 0, "{excluded}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_session_by_mail_recovers_for_a_quarter_of_an_hour_and_then_needs_a_passkey() {
    let gateway = full_by_mail("").await;
    let ann = gateway.enrolled(ANN).await;
    let mut back = gateway.person();
    by_mail(&gateway, &back, "/").await;
    assert_eq!(back.session_kind().await, "full");
    gateway.after(16);
    let refused = start(&back).await;
    assert_eq!(refused.json()["error"], "step_up_required");
    assert!(back.open(ENROL).await.leads_to("/.gatehouse/step-up"));
    let page = back.open("/.gatehouse/step-up").await.text();
    assert!(page.contains("/.gatehouse/recover?return_to="), "{page}");

    by_mail(&gateway, &back, "/").await;
    let page = back.open(ENROL).await.text();
    assert!(page.contains("Confirm with it first"), "{page}");
    assert_eq!(back.enrol(None, "/").await.status, 200);
    assert_eq!(ann.session_kind().await, "none", "that was a recovery");
    assert!(credentials(&gateway).await[0].to_confirm);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_session_by_mail_needs_two_proofs_and_the_wait_as_well() {
    let gateway = full_by_mail(&format!("{TWO_PROOFS}\n{HOLD}")).await;
    let ann = gateway.enrolled(ANN).await;
    let mut back = gateway.person();
    by_mail(&gateway, &back, "/").await;
    assert_one_more_proof(&back).await;
    as_if_by_backup_code(&gateway).await;
    by_mail(&gateway, &back, "/").await;
    assert_eq!(back.enrol(None, "/").await.status, 200);
    assert_eq!(
        back.session_kind().await,
        "full",
        "as the operator grants it"
    );
    assert_eq!(ann.session_kind().await, "full", "not recovered yet");
    let newer = credentials(&gateway).await.pop().unwrap();
    assert!(matches!(newer.standing, Standing::Held { .. }));
    let mut with_it = gateway.person();
    with_it.phone = back.phone;
    with_it.sign_in("/").await;
    assert_eq!(with_it.session_kind().await, "restricted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_no_way_round() {
    let gateway = gateway(TWO_PROOFS).await;
    let left_lying_about = gateway.invite(ANN, &[]);
    let mut ann = gateway.person();
    by_mail(&gateway, &ann, "/").await;
    assert_eq!(ann.enrol(None, "/").await.status, 200);

    let finder = gateway.person();
    let page = format!("{ENROL}?invitation={left_lying_about}");
    assert_eq!(finder.open(&page).await.status, 410);
    let token = finder.open("/.gatehouse/sign-in").await.form_token();
    let body = json!({"invitation": left_lying_about});
    let refused = finder
        .post_json(&token, "/.gatehouse/enrol/start", &body)
        .await;
    assert_eq!(refused.json()["error"], "invitation_over");

    let another = gateway.command(&["account", "invite", "--email", ANN]);
    assert_eq!(another.code, 1, "{another:?}");
    assert!(
        another
            .stderr
            .contains("has had passkeys; use `gatehouse recovery issue`")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_that_was_opened_before_the_first_passkey_is_not_finished_after_it() {
    let gateway = Gateway::start().await;
    let invitation = gateway.invite(ANN, &[]);
    let mut finder = gateway.person();
    let ceremony = finder.begin_enrolment(Some(&invitation)).await;
    let credential = finder
        .phone
        .create(&ceremony.public_key, &gateway.origin)
        .unwrap();
    let mut ann = gateway.person();
    by_mail(&gateway, &ann, "/").await;
    assert_eq!(ann.enrol(None, "/").await.status, 200);
    let refused = finder
        .finish_enrolment(&ceremony, Some(&invitation), credential, "/")
        .await;
    assert_eq!(refused.json()["error"], "invitation_over");
    assert_eq!(finder.session_kind().await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_a_passkey_is_shown_the_ways_of_this_deployment() {
    let gateway = Gateway::start()
        .with("admin", "contact = 'Call the help desk at 555-0100.'")
        .await;
    let visitor = gateway.person();
    let page = visitor.open("/.gatehouse/sign-in?return_to=/report").await;
    let way = "/.gatehouse/recover?return_to=/report";
    assert!(page.text().contains(way), "{}", page.text());
    let page = visitor.open(way).await.text();
    for way in [
        "/.gatehouse/recover/email?return_to=/report",
        "/.gatehouse/recover/code?return_to=/report",
        "/.gatehouse/pair?return_to=/report",
        "Call the help desk at 555-0100.",
    ] {
        assert!(page.contains(way), "{way}: {page}");
    }
    let page = visitor
        .open("/.gatehouse/recover/email?return_to=/report")
        .await;
    assert_eq!(page.input("return_to").as_deref(), Some("/report"));
    let fields = [
        ("email", "ann"),
        ("return_to", "/report"),
        ("asked_on", "recover"),
    ];
    let again = visitor
        .submit(&page, "/.gatehouse/sign-in/email", &fields)
        .await;
    assert!(
        again.text().contains("Get back in by email"),
        "{}",
        again.text()
    );
    assert!(again.text().contains("aria-invalid=\"true\""));
    assert_eq!(again.input("return_to").as_deref(), Some("/report"));

    let bare = Gateway::start()
        .with("methods.email", "enabled = false")
        .with("methods.backup_codes", "enabled = false")
        .with("methods.pairing", "enabled = false")
        .await;
    let visitor = bare.person();
    let page = visitor.open("/.gatehouse/recover").await.text();
    assert!(page.contains("Ask whoever runs this site"), "{page}");
    for way in ["/recover/email", "/recover/code", "/.gatehouse/pair"] {
        assert!(!page.contains(way), "{way}");
    }
    let refused = visitor.open("/.gatehouse/recover/email").await;
    assert_eq!(refused.status, 404);
}

async fn gateway(enrolment: &str) -> Gateway {
    Gateway::start()
        .with("enrolment", &format!("mode = 'invite'\n{enrolment}"))
        .await
}

async fn full_by_mail(enrolment: &str) -> Gateway {
    Gateway::start()
        .with("enrolment", &format!("mode = 'invite'\n{enrolment}"))
        .with("methods.email", "enabled = true\ngrants = 'full'")
        .await
}

/// Signs in by the code of a mail; gives the answer to the code.
async fn by_mail(gateway: &Gateway, person: &Person, return_to: &str) -> Reply {
    let page = person.open("/.gatehouse/recover/email").await;
    let fields = [("email", ANN), ("return_to", return_to)];
    person
        .submit(&page, "/.gatehouse/sign-in/email", &fields)
        .await;
    let landed = person.enter_code(&sign_in_mail(gateway).await.code()).await;
    assert!(landed.status.is_redirection(), "{}", landed.text());
    landed
}

/// The next mail with a code; what else was told meanwhile is passed over.
async fn sign_in_mail(gateway: &Gateway) -> Mail {
    loop {
        let mail = gateway.mailbox.next(ANN).await;
        if mail
            .subject
            .starts_with(|first: char| first.is_ascii_digit())
        {
            return mail;
        }
    }
}

/// A mail has told of it.
async fn assert_told(gateway: &Gateway, words: &str) {
    while !gateway.mailbox.next(ANN).await.subject.contains(words) {}
}

/// The session can save no passkey, and its page says why.
async fn assert_one_more_proof(person: &Person) {
    let page = person.open(ENROL).await;
    assert_eq!(page.status, 200, "{}", page.location());
    let text = page.text();
    assert!(
        text.contains("One more proof is needed") || text.contains("Two proofs are needed"),
        "{text}"
    );
    assert!(!text.contains("Create a passkey"), "{text}");
    let refused = start(person).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(refused.json()["error"], "one_more_proof");
}

/// Begins to save a passkey, whatever its page says.
async fn start(person: &Person) -> Reply {
    let token = person.open("/.gatehouse/recover/email").await.form_token();
    person
        .post_json(&token, "/.gatehouse/enrol/start", &json!({}))
        .await
}

/// From now on the store remembers every live session by mail as begun with a backup code.
async fn as_if_by_backup_code(gateway: &Gateway) {
    let statement = "UPDATE session SET method = 'backup_code', proofs = 'backup_code'
                     WHERE method = 'email' AND ended_at IS NULL";
    write(gateway, statement).await;
}

async fn write(gateway: &Gateway, statement: &'static str) {
    let mut connection = SqliteConnectOptions::new()
        .filename(gateway.folder().join("gatehouse.db"))
        .connect()
        .await
        .unwrap();
    sqlx::query(statement)
        .execute(&mut connection)
        .await
        .unwrap();
}

async fn store(gateway: &Gateway) -> SqliteStore {
    SqliteStore::open(&gateway.folder().join("gatehouse.db"))
        .await
        .unwrap()
}

async fn account(gateway: &Gateway) -> Account {
    let key = AccountKey::Login(ANN.to_owned());
    store(gateway).await.account(&key).await.unwrap().unwrap()
}

/// Ann's passkeys, oldest first.
async fn credentials(gateway: &Gateway) -> Vec<Credential> {
    let id = account(gateway).await.id;
    store(gateway).await.credentials(id).await.unwrap()
}

/// The newest audit record of Ann's account: its event, and why.
fn last_audit(gateway: &Gateway) -> (String, String) {
    let shown = gateway.command(&["account", "show", ANN, "--json"]).json();
    let newest = &shown["audit"][0];
    let text = |key: &str| newest[key].as_str().unwrap_or_default().to_owned();
    (text("event"), text("reason"))
}
