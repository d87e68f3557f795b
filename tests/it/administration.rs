//! Administrators: who is one, what they do for others, and the recovery link from its grounds to a new
//! passkey.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::harness::{Gateway, Person, authenticator::Authenticator, gateway::Setup, page::Reply};

const ANN: &str = "ann@example.com";
const ROOT: &str = "root@example.com";
const SECOND: &str = "second@example.com";

const LINK_PATH: &str = "/.gatehouse/recover/link";

/// With a group of administrators.
fn administered() -> Setup {
    Gateway::start().with("admin", "group = 'admins'")
}

/// Where it takes two administrators to recover an account.
fn administered_by_two() -> Setup {
    Gateway::start().with("admin", "group = 'admins'\nrecovery_approvals = 2")
}

/// Somebody in the group, with a fresh passkey check.
async fn administrator(gateway: &Gateway, email: &str) -> Person {
    let mut person = in_group(gateway, email).await;
    person.step_up("/").await;
    person
}

/// Somebody in the group who has signed in.
async fn in_group(gateway: &Gateway, email: &str) -> Person {
    let mut person = gateway.person();
    let invitation = gateway.invite(email, &["--group", "admins"]);
    let done = person.enrol(Some(&invitation), "/").await;
    assert_eq!(done.status, 200, "{}", done.text());
    person
}

fn shown(gateway: &Gateway, email: &str) -> Json {
    gateway
        .command(&["account", "show", email, "--json"])
        .json()
}

fn id_of(gateway: &Gateway, email: &str) -> String {
    let shown = shown(gateway, email);
    shown["account"]["id"].as_str().expect("an id").to_owned()
}

/// The path of an account's page, and what is below it.
fn account(gateway: &Gateway, email: &str, below: &str) -> String {
    let id = id_of(gateway, email);
    format!("/.gatehouse/admin/accounts/{id}{below}")
}

/// The newest audit record of an account.
fn newest(gateway: &Gateway, email: &str) -> Json {
    shown(gateway, email)["audit"][0].clone()
}

/// The newest audit record of this event.
fn record_of(gateway: &Gateway, email: &str, event: &str) -> Json {
    let shown = shown(gateway, email);
    let records = shown["audit"].as_array().unwrap();
    let found = records.iter().find(|record| record["event"] == event);
    found
        .unwrap_or_else(|| panic!("no {event}: {records:?}"))
        .clone()
}

/// Opens the question at a path and answers it.
async fn act(admin: &Person, path: &str, fields: &[(&str, &str)]) -> Reply {
    let page = admin.open(path).await;
    assert_eq!(page.status, 200, "{path}: {}", page.text());
    admin.submit(&page, path, fields).await
}

/// Asks for a recovery on the page; gives what comes.
async fn recover(gateway: &Gateway, admin: &Person, email: &str) -> Reply {
    let fields = [
        ("reason", "lost_device"),
        ("note", "Called back, ticket 77"),
    ];
    act(admin, &account(gateway, email, "/recover"), &fields).await
}

/// The path and query of the link that a page hands over.
fn link_on(page: &Reply) -> String {
    let text = page.text();
    let (_, rest) = text
        .split_once(" value=\"http")
        .unwrap_or_else(|| panic!("no link: {text}"));
    let link = format!("http{}", rest.split('"').next().unwrap());
    path_of(&page.origin, &link)
}

fn path_of(origin: &str, link: &str) -> String {
    link.strip_prefix(origin)
        .unwrap_or_else(|| panic!("not here: {link}"))
        .to_owned()
}

fn token_of(link: &str) -> String {
    link.split_once("token=").expect("a token").1.to_owned()
}

/// Opens a recovery link and presses its button.
async fn redeem(person: &Person, link: &str) -> Reply {
    let page = person.open(link).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let token = token_of(link);
    person.submit(&page, LINK_PATH, &[("token", &token)]).await
}

// ── who is an administrator ────────────────────────────────────────────────────────────────────────────

#[tokio::test(flavor = "multi_thread")]
async fn without_a_group_there_is_no_administration() {
    let gateway = Gateway::start().await;
    let root = administrator(&gateway, ROOT).await;
    for who in [&root, &gateway.person()] {
        assert_eq!(who.open("/.gatehouse/admin").await.status, 404);
        let answer = who.fetch(Method::GET, "/.gatehouse/admin/api/token").await;
        assert_eq!(answer.status, 404);
    }
    let account = root.open("/.gatehouse/account").await;
    assert!(!account.text().contains("Administration"));
}

#[tokio::test(flavor = "multi_thread")]
async fn others_find_nothing_there() {
    let gateway = administered().await;
    let mut ann = gateway.enrolled(ANN).await;
    ann.step_up("/").await;
    let nothing = ann.open("/.gatehouse/nothing-here").await;
    for path in [
        "/.gatehouse/admin".to_owned(),
        "/.gatehouse/admin/recoveries".to_owned(),
        "/.gatehouse/admin/invite".to_owned(),
        account(&gateway, ANN, ""),
        account(&gateway, ANN, "/disable"),
    ] {
        let reply = ann.open(&path).await;
        assert_eq!(reply.status, 404, "{path}");
        let without_id = |reply: &Reply| {
            let id = reply.header("x-request-id").to_owned();
            reply.text().replace(&id, "")
        };
        assert_eq!(without_id(&reply), without_id(&nothing), "{path}");
    }
    let page = ann.open("/.gatehouse/account").await;
    assert!(!page.text().contains("Administration"));
    let path = account(&gateway, ANN, "/disable");
    assert_eq!(ann.submit(&page, &path, &[]).await.status, 404);
    let api = "/.gatehouse/admin/api/accounts?query=a";
    assert_eq!(ann.fetch(Method::GET, api).await.status, 404);
    assert_eq!(shown(&gateway, ANN)["account"]["state"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_signs_in_first_and_a_script_is_told_so() {
    let gateway = administered().await;
    let visitor = gateway.person();
    let led = visitor.open("/.gatehouse/admin?query=ann").await;
    assert_eq!(
        led.location(),
        "/.gatehouse/sign-in?return_to=/.gatehouse/admin%3Fquery%3Dann"
    );
    let api = "/.gatehouse/admin/api/accounts?query=a";
    // Whatever it says it takes.
    let told = visitor.open(api).await;
    assert_eq!(told.status, 401);
    assert_eq!(told.json()["error"], "sign_in_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_confirms_with_a_passkey_first_and_again_when_that_is_old() {
    let gateway = administered().await;
    let mut root = in_group(&gateway, ROOT).await;
    let led = root.open("/.gatehouse/admin").await;
    assert_eq!(
        led.location(),
        "/.gatehouse/step-up?return_to=/.gatehouse/admin"
    );
    let done = root.step_up("/.gatehouse/admin").await;
    assert_eq!(done.json()["location"], "/.gatehouse/admin");
    let home = root.open("/.gatehouse/admin").await;
    assert_eq!(home.status, 200);
    assert!(
        home.text()
            .contains("<a href=\"/.gatehouse/admin\">Administration</a>")
    );

    gateway.enrolled(ANN).await;
    let path = account(&gateway, ANN, "/disable");
    let page = root.open(&path).await;
    gateway.after(11);
    // The form comes too late: the person is led to the question again, and nothing has happened.
    let late = root.submit(&page, &path, &[]).await;
    assert!(late.leads_to("/.gatehouse/step-up"), "{}", late.location());
    assert!(late.location().ends_with("/disable"));
    assert_eq!(shown(&gateway, ANN)["account"]["state"], "active");
    let script = root
        .fetch(Method::GET, "/.gatehouse/admin/api/recoveries")
        .await;
    assert_eq!(script.status, 403);
    assert_eq!(script.json()["error"], "step_up_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_session_administers_nothing() {
    let gateway = administered().await;
    in_group(&gateway, ROOT).await;
    let root = gateway.person_with_session(ROOT, "restricted");
    let led = root.open("/.gatehouse/admin").await;
    assert!(led.leads_to("/.gatehouse/step-up"), "{}", led.location());
    assert!(!root.open(&led.location()).await.status.is_success());
    let page = root.open("/.gatehouse/account").await;
    assert!(!page.text().contains("Administration"));
    let api = root.fetch(Method::GET, "/.gatehouse/admin/api/token").await;
    assert_eq!(api.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hurts_is_never_done_to_ones_own_account() {
    let gateway = administered().await;
    let root = administrator(&gateway, ROOT).await;
    let page = root.open(&account(&gateway, ROOT, "")).await;
    assert!(page.text().contains("your own account"));
    let passkey = shown(&gateway, ROOT)["passkeys"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for below in [
        "/recover".to_owned(),
        "/disable".to_owned(),
        format!("/passkeys/{passkey}/remove"),
    ] {
        let path = account(&gateway, ROOT, &below);
        assert_eq!(root.open(&path).await.status, 403, "{path}");
        let home = root.open("/.gatehouse/admin/invite").await;
        let fields = [("reason", "lost_device"), ("note", "")];
        let refused = root.submit(&home, &path, &fields).await;
        assert_eq!(refused.status, 403, "{path}");
        let refusal = newest(&gateway, ROOT);
        assert_eq!(
            (&refusal["event"], &refusal["reason"]),
            (&json!("administration_refused"), &json!("own_account"))
        );
    }
    assert_eq!(shown(&gateway, ROOT)["account"]["state"], "active");
    assert_eq!(
        shown(&gateway, ROOT)["passkeys"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_page_does_nothing() {
    let gateway = administered().await;
    let root = administrator(&gateway, ROOT).await;
    gateway.enrolled(ANN).await;
    let path = account(&gateway, ANN, "/disable");
    for form in ["", "form_token=wrong"] {
        let refused = root.send_form(&path, form.to_owned()).await;
        assert_eq!(refused.status, 403);
    }
    let api = path.replace("/admin/", "/admin/api/");
    assert_eq!(root.post_json("wrong", &api, &json!({})).await.status, 403);
    assert_eq!(shown(&gateway, ANN)["account"]["state"], "active");
}

// ── what they do ───────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_found_and_shown_whole() {
    let gateway = administered().await;
    let root = administrator(&gateway, ROOT).await;
    gateway.invite("joanna@example.com", &["--name", "Joanna Example"]);
    gateway.enrolled(ANN).await;
    let found = root.open("/.gatehouse/admin?query=NN").await.text();
    assert!(found.contains(ANN) && found.contains("joanna@example.com"));
    let found = root.open("/.gatehouse/admin?query=joanna+ex").await.text();
    assert!(found.contains("Joanna Example") && !found.contains(ANN));
    assert!(found.contains("No passkey yet"));
    let joanna = root
        .open(&account(&gateway, "joanna@example.com", ""))
        .await;
    let again = "/.gatehouse/admin/invite?email=joanna%40example.com";
    assert!(joanna.text().contains(again), "{}", joanna.text());
    let form = root.open(again).await;
    assert_eq!(form.input("email").as_deref(), Some("joanna@example.com"));
    let nobody = root.open("/.gatehouse/admin?query=%25").await.text();
    assert!(nobody.contains("Nobody is called that"));
    let by_id = format!("/.gatehouse/admin?query={}", id_of(&gateway, ANN));
    assert!(root.open(&by_id).await.text().contains(ANN));

    let page = root.open(&account(&gateway, ANN, "")).await.text();
    for words in [
        ANN,
        "Passkeys",
        "Ways back",
        "May sign in",
        "Full, by passkey",
        "Passkey enrolled",
        "Account created",
        "by the command line",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let nobody = format!("/.gatehouse/admin/accounts/{}", "0".repeat(32));
    assert_eq!(root.open(&nobody).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_disabled_and_enabled_and_their_people_are_told() {
    let gateway = administered().await;
    let root = administrator(&gateway, ROOT).await;
    let ann = gateway.enrolled(ANN).await;
    gateway.mailbox.next(ANN).await;
    let path = account(&gateway, ANN, "/disable");
    let done = act(&root, &path, &[]).await;
    assert!(done.leads_to(&account(&gateway, ANN, "")));
    assert_eq!(ann.session_kind().await, "none", "at once");
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("was closed"), "{}", told.subject);
    let record = newest(&gateway, ANN);
    assert_eq!(record["event"], "account_disabled");
    let actor = json!({"administrator": id_of(&gateway, ROOT)});
    assert_eq!(record["actor"], actor);
    assert_eq!(record["network"], "127.0.0.0");

    let recover = account(&gateway, ANN, "/recover");
    assert_eq!(root.open(&recover).await.status, 409, "enable it first");
    act(&root, &account(&gateway, ANN, "/enable"), &[]).await;
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("open again"), "{}", told.subject);
    assert!(!told.text.contains("/.gatehouse/not-me"), "{}", told.text);
    assert_eq!(shown(&gateway, ANN)["account"]["state"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_and_passkeys_are_ended_and_their_people_are_told() {
    let gateway = administered().await;
    let root = administrator(&gateway, ROOT).await;
    let mut ann = gateway.enrolled(ANN).await;
    gateway.mailbox.next(ANN).await;
    let session = shown(&gateway, ANN)["sessions"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let below = format!("/sessions/{session}/end");
    // A session is ended on the page of its own account alone.
    let foreign = account(&gateway, ROOT, &below);
    assert_eq!(root.open(&foreign).await.status, 404);
    let page = root.open(&account(&gateway, ANN, &below)).await;
    assert_eq!(root.submit(&page, &foreign, &[]).await.status, 404);
    assert_eq!(ann.session_kind().await, "full");
    act(&root, &account(&gateway, ANN, &below), &[]).await;
    assert_eq!(ann.session_kind().await, "none");
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("signed out"), "{}", told.subject);

    ann.sign_in("/").await;
    act(&root, &account(&gateway, ANN, "/sign-out"), &[]).await;
    assert_eq!(ann.session_kind().await, "none");
    gateway.mailbox.next(ANN).await;

    ann.sign_in("/").await;
    let passkey = ann.phone.ids()[0].clone();
    let below = format!("/passkeys/{passkey}/remove");
    assert_eq!(
        root.open(&account(&gateway, ROOT, &below)).await.status,
        403,
        "not on one's own page"
    );
    act(&root, &account(&gateway, ANN, &below), &[]).await;
    assert_eq!(ann.session_kind().await, "none");
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("removed"), "{}", told.subject);
    assert_eq!(newest(&gateway, ANN)["event"], "passkey_removed");
    assert!(newest(&gateway, ANN)["actor"]["administrator"].is_string());
    assert_eq!(shown(&gateway, ANN)["passkeys"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_invites_but_makes_no_administrators() {
    let gateway = administered().await;
    let root = administrator(&gateway, ROOT).await;
    let path = "/.gatehouse/admin/invite";
    let fields = |email, groups| {
        [
            ("email", email),
            ("name", "Carol"),
            ("login", "carol"),
            ("groups", groups),
        ]
    };
    let form = fields("carol@example.com", "staff sales");
    let link = link_on(&act(&root, path, &form).await);
    let (_, invitation) = link.split_once("invitation=").unwrap();
    let mut carol = gateway.person();
    assert_eq!(carol.enrol(Some(invitation), "/").await.status, 200);
    let made = shown(&gateway, "carol");
    assert_eq!(made["account"]["groups"], json!(["sales", "staff"]));

    let again = act(&root, path, &form).await;
    assert_eq!(again.status, 409, "who had passkeys is recovered");
    let puppet = fields("puppet@example.com", "admins");
    assert_eq!(act(&root, path, &puppet).await.status, 403);
    // One who was invited and has not come yet is no administrator's to become.
    gateway.invite(SECOND, &["--group", "admins"]);
    assert_eq!(act(&root, path, &fields(SECOND, "")).await.status, 403);
    let wrong = act(&root, path, &fields("nowhere", "")).await;
    assert!(wrong.text().contains("does not look like an email address"));
    let taken = act(&root, path, &fields("other@example.com", "")).await;
    assert!(taken.text().contains("Another account has this"));
    let all = gateway.command(&["account", "list", "--json"]).json();
    assert_eq!(all.as_array().unwrap().len(), 3);
}

// ── recovery ───────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_link_leads_to_a_new_passkey() {
    let gateway = administered().await;
    let root = administrator(&gateway, ROOT).await;
    gateway.enrolled(ANN).await;
    gateway.mailbox.next(ANN).await;
    let handover = recover(&gateway, &root, ANN).await;
    assert_eq!(handover.status, 200, "{}", handover.text());
    assert_eq!(handover.header("cache-control"), "no-store");
    let link = link_on(&handover);
    let asked = record_of(&gateway, ANN, "recovery_requested");
    assert_eq!(asked["reason"], "lost_device");
    assert_eq!(asked["note"], "Called back, ticket 77");
    let actor = json!({"administrator": id_of(&gateway, ROOT)});
    assert_eq!(asked["actor"], actor);
    let issued = record_of(&gateway, ANN, "recovery_link_issued");
    assert_eq!(
        (&issued["actor"], &issued["recovery"]),
        (&actor, &asked["recovery"])
    );
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("was issued"), "{}", told.subject);
    assert!(told.text.contains("/.gatehouse/not-me"), "{}", told.text);
    assert!(
        !told.raw.contains(&token_of(&link)),
        "the link is not mailed"
    );

    let mut ann = gateway.person();
    ann.phone = Authenticator::phone();
    let page = ann.open(&link).await;
    assert!(page.text().contains(ANN));
    assert_eq!(ann.session_kind().await, "none", "looking changes nothing");
    let done = redeem(&ann, &link).await;
    assert!(done.leads_to("/.gatehouse/enrol"), "{}", done.location());
    assert_eq!(ann.session_kind().await, "restricted");
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("opened"), "{}", told.subject);
    let signed_in = newest(&gateway, ANN);
    assert_eq!(
        (&signed_in["event"], &signed_in["method"]),
        (&json!("signed_in"), &json!("recovery"))
    );
    assert!(signed_in.get("actor").is_none(), "it was Ann herself");
    let sessions = shown(&gateway, ANN)["sessions"].clone();
    assert_eq!(sessions[0]["method"], "recovery");

    let saved = ann.enrol(None, "/").await;
    assert_eq!(saved.status, 200, "{}", saved.text());
    assert_eq!(ann.session_kind().await, "full");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_over_says_what_to_do_next() {
    let gateway = administered().await;
    let root = administrator(&gateway, ROOT).await;
    gateway.enrolled(ANN).await;
    let assert_over = async |link: &str, why: &str| {
        let reply = gateway.person().open(link).await;
        assert_eq!(reply.status, 410, "{why}");
        let text = reply.text();
        assert!(text.contains("can&#39;t be used any more"), "{why}: {text}");
        assert!(text.contains("ask whoever gave you the link"), "{why}");
        assert!(!text.contains(ANN), "{why}");
    };
    assert_over(&format!("{LINK_PATH}?token=short"), "malformed").await;
    assert_over(LINK_PATH, "without a token").await;
    let unknown = format!("{LINK_PATH}?token={}", "a".repeat(43));
    assert_over(&unknown, "unknown").await;

    let superseded = link_on(&recover(&gateway, &root, ANN).await);
    let used = link_on(&recover(&gateway, &root, ANN).await);
    assert_over(&superseded, "superseded").await;
    let refused = newest(&gateway, ANN);
    assert_eq!(
        (&refused["event"], &refused["method"], &refused["reason"]),
        (
            &json!("sign_in_refused"),
            &json!("recovery"),
            &json!("not_redeemable")
        )
    );
    let ann = gateway.person();
    let page = ann.open(&used).await;
    redeem(&ann, &used).await;
    assert_over(&used, "used").await;
    let token = token_of(&used);
    let again = ann.submit(&page, LINK_PATH, &[("token", &token)]).await;
    assert_eq!(again.status, 410);

    let expired = link_on(&recover(&gateway, &root, ANN).await);
    gateway.after(59);
    assert_eq!(gateway.person().open(&expired).await.status, 200);
    gateway.after(1);
    assert_over(&expired, "expired").await;

    let root = administrator(&gateway, SECOND).await;
    let closed = link_on(&recover(&gateway, &root, ANN).await);
    act(&root, &account(&gateway, ANN, "/disable"), &[]).await;
    let refused = redeem(&gateway.person(), &closed).await;
    assert_eq!(refused.status, 403, "a closed account");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_get_one_session_from_a_link() {
    let gateway = administered().await;
    let root = administrator(&gateway, ROOT).await;
    gateway.invite(ANN, &[]);
    let link = link_on(&recover(&gateway, &root, ANN).await);
    let ann = Arc::new(gateway.person());
    let form_token = ann.open(&link).await.form_token();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("token", &token_of(&link))
        .append_pair("form_token", &form_token)
        .finish();
    let racing: Vec<_> = (0..50)
        .map(|_| {
            let (ann, form) = (ann.clone(), form.clone());
            tokio::spawn(async move { ann.send_form(LINK_PATH, form).await })
        })
        .collect();
    let mut begun = 0;
    for racer in racing {
        let reply = racer.await.unwrap();
        if reply.session_cookie().is_some() {
            begun += 1;
        } else {
            assert_eq!(reply.status, 410, "{}", reply.text());
        }
    }
    assert_eq!(begun, 1);
    let listed = gateway.command(&["session", "list", "--account", ANN, "--json"]);
    assert_eq!(listed.json().as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_at_links_is_paid_for() {
    let gateway = administered().await;
    let guesser = gateway.person();
    let guess = format!("{LINK_PATH}?token={}", "a".repeat(43));
    let mut throttled = 0;
    for _ in 0..110 {
        if guesser.open(&guess).await.status == 429 {
            throttled += 1;
        }
    }
    assert!(throttled > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_link_in_somebody_elses_browser_warns() {
    let gateway = administered().await;
    let root = administrator(&gateway, ROOT).await;
    gateway.enrolled(ANN).await;
    let link = link_on(&recover(&gateway, &root, ANN).await);
    let page = root.open(&link).await.text();
    assert!(page.contains("signed in to another account"), "{page}");
    let page = gateway.person().open(&link).await.text();
    assert!(!page.contains("signed in to another account"));
}

#[tokio::test(flavor = "multi_thread")]
async fn grounds_are_required() {
    let gateway = administered().await;
    let root = administrator(&gateway, ROOT).await;
    gateway.enrolled(ANN).await;
    let path = account(&gateway, ANN, "/recover");
    for (reason, note) in [("", "x"), ("curiosity", "x"), ("other", " ")] {
        let refused = act(&root, &path, &[("reason", reason), ("note", note)]).await;
        assert_eq!(refused.status, 422, "{reason}");
        assert!(refused.text().contains("role=\"alert\""));
    }
    let events = shown(&gateway, ANN)["audit"].to_string();
    assert!(!events.contains("recovery_requested"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_takes_two_another_administrator_approves() {
    let gateway = administered_by_two().await;
    let root = administrator(&gateway, ROOT).await;
    let second = administrator(&gateway, SECOND).await;
    // The subject is an administrator too: they have no say.
    let ann = administrator(&gateway, ANN).await;
    gateway.mailbox.next(ANN).await;
    let asked = recover(&gateway, &root, ANN).await;
    assert!(
        asked.leads_to("/.gatehouse/admin/recoveries"),
        "{}",
        asked.text()
    );
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("asked for"), "{}", told.subject);
    let open = shown(&gateway, ANN)["recoveries"].clone();
    let id = open[0]["id"].as_str().unwrap().to_owned();
    let approve = format!("/.gatehouse/admin/recoveries/{id}/approve");
    let collect = format!("/.gatehouse/admin/recoveries/{id}/link");

    let form = root.open("/.gatehouse/admin/invite").await;
    assert_eq!(root.open(&collect).await.status, 409);
    assert_eq!(root.submit(&form, &collect, &[]).await.status, 409);
    assert_eq!(newest(&gateway, ANN)["reason"], "not_approved");
    assert_eq!(root.open(&approve).await.status, 403);
    assert_eq!(root.submit(&form, &approve, &[]).await.status, 403);
    assert_eq!(newest(&gateway, ANN)["reason"], "own_request");
    let form = ann.open("/.gatehouse/admin/invite").await;
    assert_eq!(ann.open(&approve).await.status, 403);
    assert_eq!(ann.submit(&form, &approve, &[]).await.status, 403);
    assert_eq!(newest(&gateway, ANN)["reason"], "own_account");

    let question = second.open(&approve).await.text();
    for words in [ROOT, "Called back, ticket 77", "lost or stolen"] {
        assert!(question.contains(words), "{words}: {question}");
    }
    assert!(act(&second, &approve, &[]).await.status.is_redirection());
    let form = second.open("/.gatehouse/admin/invite").await;
    assert_eq!(second.submit(&form, &approve, &[]).await.status, 410);
    assert_eq!(second.open(&collect).await.status, 403);
    assert_eq!(second.submit(&form, &collect, &[]).await.status, 403);
    assert_eq!(newest(&gateway, ANN)["reason"], "others_request");
    let approved = record_of(&gateway, ANN, "recovery_approved");
    let actor = json!({"administrator": id_of(&gateway, SECOND)});
    assert_eq!(approved["actor"], actor);

    let link = link_on(&act(&root, &collect, &[]).await);
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("was issued"), "{}", told.subject);
    let form = root.open("/.gatehouse/admin/invite").await;
    assert_eq!(root.submit(&form, &collect, &[]).await.status, 410);
    let lost = gateway.person();
    redeem(&lost, &link).await;
    assert_eq!(lost.session_kind().await, "restricted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_comes_a_day_late_is_over() {
    let gateway = administered_by_two().await;
    let root = administrator(&gateway, ROOT).await;
    let mut second = administrator(&gateway, SECOND).await;
    gateway.enrolled(ANN).await;
    recover(&gateway, &root, ANN).await;
    let id = shown(&gateway, ANN)["recoveries"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    gateway.after(24 * 60);
    second.sign_in("/").await;
    second.step_up("/").await;
    let approve = format!("/.gatehouse/admin/recoveries/{id}/approve");
    assert_eq!(second.open(&approve).await.status, 410);
    let form = second.open("/.gatehouse/admin/invite").await;
    assert_eq!(second.submit(&form, &approve, &[]).await.status, 410);
    let list = second.open("/.gatehouse/admin/recoveries").await;
    assert!(!list.text().contains(ANN));
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_is_allowed_again_on_the_page_by_the_api_and_at_the_command_line() {
    let gateway = administered().await;
    let root = administrator(&gateway, ROOT).await;
    gateway.enrolled(ANN).await;
    assert!(!is_blocked(&gateway));
    let page = account(&gateway, ANN, "");

    block(&gateway).await;
    assert!(is_blocked(&gateway));
    let shown = root.open(&page).await.text();
    assert!(shown.contains("Blocked since"), "{shown}");
    assert!(shown.contains("None made"), "{shown}");
    let done = act(&root, &account(&gateway, ANN, "/allow-recovery"), &[]).await;
    assert!(done.status.is_redirection(), "{}", done.text());
    assert!(!is_blocked(&gateway));
    let record = record_of(&gateway, ANN, "recovery_allowed");
    assert!(record["actor"]["administrator"].is_string(), "{record}");
    assert!(!root.open(&page).await.text().contains("Blocked since"));

    block(&gateway).await;
    let told = root.fetch(Method::GET, "/.gatehouse/admin/api/token").await;
    let token = told.json()["form_token"].as_str().unwrap().to_owned();
    let path = format!(
        "/.gatehouse/admin/api/accounts/{}/allow-recovery",
        id_of(&gateway, ANN)
    );
    assert_eq!(root.post_json(&token, &path, &json!({})).await.status, 200);
    assert!(!is_blocked(&gateway));

    block(&gateway).await;
    let allow = ["recovery", "allow", "--account", ANN, "--admin", "root"];
    assert_eq!(gateway.command(&allow).code, 0);
    assert!(!is_blocked(&gateway));

    // Nobody does it to their own account here: their passkey does, on the account page.
    let own = account(&gateway, ROOT, "/allow-recovery");
    assert_eq!(root.open(&own).await.status, 403);
}

fn is_blocked(gateway: &Gateway) -> bool {
    !shown(gateway, ANN)["account"]["recovery"]["blocked_at"].is_null()
}

/// Somebody says "this was not me" of a recovery link for Ann.
async fn block(gateway: &Gateway) {
    gateway.recovery_link(ANN);
    let told = loop {
        let mail = gateway.mailbox.next(ANN).await;
        if mail.subject.contains("recovery link") {
            break mail;
        }
    };
    let link = told.text.lines().find(|line| line.contains("/not-me?"));
    let said = crate::not_me::say(&gateway.person(), link.expect("it can be said").trim()).await;
    assert_eq!(said.status, 200, "{}", said.text());
}

// ── the API ────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(flavor = "multi_thread")]
async fn programs_do_the_same_under_the_same_checks() {
    let gateway = administered().await;
    let root = administrator(&gateway, ROOT).await;
    let ann = gateway.enrolled(ANN).await;
    let id = id_of(&gateway, ANN);
    // A program that keeps no more than the session gets what forms need.
    let program = gateway.person();
    program.keep_cookie("__Host-gatehouse", &root.session_cookie().unwrap());
    let get = async |path: &str| {
        let path = format!("/.gatehouse/admin/api/{path}");
        program.fetch(Method::GET, &path).await
    };
    let token = get("token").await.json()["form_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let post = async |path: &str, body: Json| {
        let path = format!("/.gatehouse/admin/api/{path}");
        program.post_json(&token, &path, &body).await
    };

    let found = get("accounts?query=ann").await.json();
    assert_eq!(found["accounts"][0]["id"], id);
    let whole = get(&format!("accounts/{id}")).await.json();
    assert_eq!(whole["passkeys"].as_array().unwrap().len(), 1);
    assert_eq!(whole["passkeys"][0]["standing"], "good");
    assert_eq!(get("accounts/nobody").await.status, 404);

    let done = post(&format!("accounts/{id}/disable"), json!({})).await;
    assert_eq!(done.json()["account"]["state"], "disabled");
    assert_eq!(ann.session_kind().await, "none");
    let grounds = json!({"reason": "lost_device", "note": "ticket 1"});
    let refused = post(&format!("accounts/{id}/recovery"), grounds.clone()).await;
    assert_eq!(refused.json()["error"], "account_disabled");
    post(&format!("accounts/{id}/enable"), json!({})).await;
    let wrong = json!({"reason": "curiosity"});
    let refused = post(&format!("accounts/{id}/recovery"), wrong).await;
    assert_eq!(refused.json()["error"], "malformed");
    let given = post(&format!("accounts/{id}/recovery"), grounds.clone()).await;
    let link = given.json()["link"].as_str().unwrap().to_owned();
    let lost = gateway.person();
    redeem(&lost, &path_of(&gateway.origin, &link)).await;
    assert_eq!(lost.session_kind().await, "restricted");
    let issued = record_of(&gateway, ANN, "recovery_requested");
    assert!(issued["actor"]["administrator"].is_string());
    assert_eq!(get("recoveries").await.json()["recoveries"], json!([]));

    let ended = post(&format!("accounts/{id}/sessions/revoke"), json!({})).await;
    assert_eq!(ended.json()["ended"], 1);
    assert_eq!(lost.session_kind().await, "none");
    let passkey = ann.phone.ids()[0].clone();
    let remove = format!("accounts/{id}/passkeys/{passkey}/remove");
    let removed = post(&remove, json!({})).await;
    assert_eq!(removed.json()["removed"], passkey);
    assert_eq!(post(&remove, json!({})).await.status, 404);

    let own = id_of(&gateway, ROOT);
    let refused = post(&format!("accounts/{own}/recovery"), grounds).await;
    assert_eq!(refused.json()["error"], "own_account");
    let carol = json!({"email": "carol@example.com", "groups": ["staff"]});
    let invited = post("invite", carol).await.json();
    assert!(invited["link"].as_str().unwrap().contains("invitation="));
    let puppet = json!({"email": "puppet@example.com", "groups": ["admins"]});
    let refused = post("invite", puppet).await;
    assert_eq!(refused.json()["error"], "administrators_group");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_approve_and_collect() {
    let gateway = administered_by_two().await;
    let root = administrator(&gateway, ROOT).await;
    let second = administrator(&gateway, SECOND).await;
    gateway.enrolled(ANN).await;
    let post = async |who: &Person, path: &str, body: Json| {
        let page = who.open("/.gatehouse/admin/invite").await;
        let path = format!("/.gatehouse/admin/api/{path}");
        who.post_json(&page.form_token(), &path, &body).await
    };
    let grounds = json!({"reason": "no_other_way"});
    let recovery = format!("accounts/{}/recovery", id_of(&gateway, ANN));
    let waits = post(&root, &recovery, grounds).await.json();
    assert!(waits.get("link").is_none());
    let id = waits["waits"]["id"].as_str().unwrap().to_owned();
    let (approve, collect) = (
        format!("recoveries/{id}/approve"),
        format!("recoveries/{id}/link"),
    );
    let refused = post(&root, &collect, json!({})).await;
    assert_eq!(refused.json()["error"], "not_approved");
    let refused = post(&root, &approve, json!({})).await;
    assert_eq!(refused.json()["error"], "own_request");
    let listed = second
        .fetch(Method::GET, "/.gatehouse/admin/api/recoveries")
        .await;
    assert_eq!(listed.json()["recoveries"][0]["id"], id);
    assert_eq!(post(&second, &approve, json!({})).await.status, 200);
    let refused = post(&second, &collect, json!({})).await;
    assert_eq!(refused.json()["error"], "others_request");
    let given = post(&root, &collect, json!({})).await.json();
    assert!(given["link"].as_str().unwrap().contains(LINK_PATH));
}

// ── the command line ───────────────────────────────────────────────────────────────────────────────────

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_issues_a_link_with_grounds_and_a_name() {
    let gateway = Gateway::start().await;
    gateway.enrolled(ANN).await;
    gateway.mailbox.next(ANN).await;
    let issue = |reason| {
        gateway.command(&[
            "recovery",
            "issue",
            "--account",
            ANN,
            "--admin",
            "root",
            "--reason",
            reason,
        ])
    };
    assert_eq!(issue(" ").code, 2);
    let issued = issue("lost-device: called back");
    assert_eq!(issued.code, 0, "{issued:?}");
    let link = issued
        .stdout
        .split_whitespace()
        .find(|word| word.contains(LINK_PATH))
        .expect("a link")
        .to_owned();
    let asked = record_of(&gateway, ANN, "recovery_requested");
    assert_eq!(asked["actor"], json!({"command_line": "root"}));
    assert_eq!(
        (&asked["reason"], &asked["note"]),
        (&json!("lost_device"), &json!("called back"))
    );
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("was issued"), "{}", told.subject);
    let ann = gateway.person();
    redeem(&ann, &path_of(&gateway.origin, &link)).await;
    assert_eq!(ann.session_kind().await, "restricted");

    let nobody = gateway.command(&[
        "recovery",
        "issue",
        "--account",
        "nobody",
        "--admin",
        "root",
        "--reason",
        "x",
    ]);
    assert_eq!(nobody.code, 1, "{nobody:?}");
    let unnamed = gateway.command(&["recovery", "issue", "--account", ANN, "--reason", "x"]);
    assert_eq!(unnamed.code, 2, "{unnamed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_names_are_needed_at_the_command_line_as_well() {
    let gateway = administered_by_two().await;
    gateway.enrolled(ANN).await;
    in_group(&gateway, ROOT).await;
    let asked = gateway.command(&[
        "recovery",
        "issue",
        "--account",
        ANN,
        "--admin",
        ROOT,
        "--reason",
        "other thing",
        "--json",
    ]);
    let id = asked.json()["waits"]["id"].as_str().unwrap().to_owned();
    let step = |verb, name| gateway.command(&["recovery", verb, "--request", &id, "--admin", name]);
    assert_eq!(step("link", ROOT).code, 1, "not approved");
    assert_eq!(step("approve", ROOT).code, 1, "the same name");
    let same_person = id_of(&gateway, ROOT);
    assert_eq!(step("approve", &same_person).code, 1, "the same person");
    assert_eq!(step("approve", ANN).code, 1, "the subject");
    let list = gateway.command(&["recovery", "list"]);
    assert!(list.stdout.contains("not approved"), "{list:?}");
    assert_eq!(step("approve", "bob").code, 0);
    assert_eq!(step("approve", "carol").code, 1, "once");
    assert_eq!(step("link", "bob").code, 1, "not who asked");
    let given = step("link", ROOT);
    assert!(given.stdout.contains(LINK_PATH), "{given:?}");
    assert_eq!(step("link", ROOT).code, 1, "once");
    let unreadable = gateway.command(&["recovery", "link", "--request", "it", "--admin", ROOT]);
    assert_eq!(unreadable.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_act_at_the_command_line_is_recorded_and_told() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    gateway.mailbox.next(ANN).await;
    let passkey = ann.phone.ids()[0].clone();
    let root = ["--admin", "root"];
    for (arguments, event, subject) in [
        (
            vec!["session", "revoke", "--account", ANN],
            "sessions_revoked",
            "signed out",
        ),
        (
            vec![
                "account",
                "passkey",
                "remove",
                "--account",
                ANN,
                "--credential",
                &passkey,
            ],
            "passkey_removed",
            "removed",
        ),
        (
            vec!["account", "disable", ANN],
            "account_disabled",
            "was closed",
        ),
        (
            vec!["account", "enable", ANN],
            "account_enabled",
            "open again",
        ),
    ] {
        let done = gateway.command(&[&arguments[..], &root].concat());
        assert_eq!(done.code, 0, "{done:?}");
        let record = newest(&gateway, ANN);
        assert_eq!(record["event"], event);
        assert_eq!(record["actor"], json!({"command_line": "root"}), "{event}");
        let told = gateway.mailbox.next(ANN).await;
        assert!(told.subject.contains(subject), "{}", told.subject);
    }
    let refused = gateway.command(&["account", "invite", "--email", ANN]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("recovery issue"), "{refused:?}");
    let found = gateway.command(&["account", "list", "--find", "NN@", "--json"]);
    assert_eq!(found.json()[0]["email"], ANN);
}
