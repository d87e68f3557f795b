//! Changing the address: a fresh passkey check, a mail to the new one, and both are told.

use reqwest::StatusCode;
use serde_json::Value as Json;

use crate::harness::{Gateway, Person, mailbox::Mail, page::Reply};

const ANN: &str = "ann@example.com";
const NEW: &str = "ann@new.example";
const PATH: &str = "/.gatehouse/account/email";
const CODE: &str = "/.gatehouse/account/email/code";
const LINK: &str = "/.gatehouse/account/email/link";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_address_is_confirmed_by_its_link_and_both_are_told() {
    let gateway = Gateway::start().await;
    let ann = ann(&gateway).await;
    let earlier = gateway.person();
    earlier.ask_for_mail(ANN, "/").await;
    let at_the_old_one = gateway.mailbox.next(ANN).await;

    let asked = ask(&ann, NEW).await;
    assert!(asked.leads_to(CODE), "{}", asked.status);
    let mail = gateway.mailbox.next(NEW).await;
    let page = ann.open_link(&mail.link()).await;
    assert!(page.text().contains(NEW), "{}", page.text());
    assert_eq!(address(&gateway), ANN, "opening the link changes nothing");
    let done = confirm(&ann, &page).await;
    assert!(done.leads_to("/.gatehouse/account"), "{}", done.status);
    assert_eq!(address(&gateway), NEW);

    for told in [ANN, NEW] {
        let notice = gateway.mailbox.next(told).await;
        assert!(notice.subject.contains("address"), "{}", notice.subject);
        assert!(notice.link().contains("/not-me?token="), "{}", notice.text);
    }
    let events = events(&gateway);
    for event in ["address_change_requested", "address_changed"] {
        assert!(events.contains(&event.to_owned()), "{events:?}");
    }
    // The app goes on knowing the person by the login name.
    ann.open("/report").await;
    let request = gateway.upstream.last_of("/report");
    assert_eq!(request.header("Remote-User"), ANN);
    assert_eq!(request.header("Remote-Email"), NEW);

    // Mails sign in at the new address alone, and the one under way to the old one does not.
    assert!(earlier.open_link(&at_the_old_one.link()).await.status == StatusCode::GONE);
    let mails = gateway.mailbox.count(ANN);
    gateway.person().ask_for_mail(ANN, "/").await;
    let by_mail = gateway.person();
    by_mail.ask_for_mail(NEW, "/").await;
    let code = gateway.mailbox.next(NEW).await.code();
    by_mail.enter_code(&code).await;
    assert_eq!(by_mail.session_kind().await, "restricted");
    assert_eq!(gateway.mailbox.count(ANN), mails);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_address_is_confirmed_by_its_code_and_four_wrong_ones_are_forgiven() {
    let gateway = Gateway::start().await;
    let ann = ann(&gateway).await;
    ask(&ann, NEW).await;
    let code = gateway.mailbox.next(NEW).await.code();
    for _ in 0..4 {
        let refused = enter(&ann, &wrong(&code)).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert!(enter(&ann, &code).await.leads_to("/.gatehouse/account"));
    assert_eq!(address(&gateway), NEW);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_an_address_gets_its_first_one() {
    let gateway = Gateway::start().await;
    let invited = gateway.command(&["account", "invite", "--login", "ann", "--json"]);
    let link = invited.json()["link"].as_str().unwrap().to_owned();
    let (_, invitation) = link.split_once("invitation=").unwrap();
    let mut ann = gateway.person();
    ann.enrol(Some(invitation), "/").await;
    assert_eq!(gateway.command(&["account", "show", ANN]).code, 1);
    let page = ann.open("/.gatehouse/account").await.text();
    assert!(page.contains("Add email"), "{page}");
    ann.step_up("/").await;
    ask(&ann, ANN).await;
    let page = ann.open_link(&gateway.mailbox.next(ANN).await.link()).await;
    assert!(confirm(&ann, &page).await.leads_to("/.gatehouse/account"));
    let shown = shown(&gateway);
    assert_eq!(shown["account"]["login"], "ann");
    assert_eq!(address(&gateway), ANN);
    let told = gateway.mailbox.next(ANN).await;
    assert!(told.subject.contains("address"), "{}", told.subject);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_codes_end_code_and_link() {
    let gateway = Gateway::start().await;
    let ann = ann(&gateway).await;
    ask(&ann, NEW).await;
    let mail = gateway.mailbox.next(NEW).await;
    for _ in 0..5 {
        enter(&ann, &wrong(&mail.code())).await;
    }
    let refused = enter(&ann, &mail.code()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ann.open_link(&mail.link()).await.status, StatusCode::GONE);
    assert_eq!(address(&gateway), ANN);
    assert!(events(&gateway).contains(&"address_change_refused".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_for_one_address_are_throttled_and_its_link_is_not() {
    let gateway = Gateway::start().await;
    let ann = ann(&gateway).await;
    for _ in 0..2 {
        ask(&ann, NEW).await;
        let code = gateway.mailbox.next(NEW).await.code();
        for _ in 0..5 {
            enter(&ann, &wrong(&code)).await;
        }
    }
    ask(&ann, NEW).await;
    let mail = gateway.mailbox.next(NEW).await;
    let refused = enter(&ann, &mail.code()).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(address(&gateway), ANN);
    let page = ann.open_link(&mail.link()).await;
    assert!(confirm(&ann, &page).await.leads_to("/.gatehouse/account"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_browser_is_shown_the_code_and_changes_nothing() {
    let gateway = Gateway::start().await;
    let ann = ann(&gateway).await;
    ask(&ann, NEW).await;
    let mail = gateway.mailbox.next(NEW).await;
    let code = mail.code();
    let shown = format!("{} {}", &code[..4], &code[4..]);
    let (_, token) = mail.link().split_once("token=").map(owned).unwrap();

    let phone = gateway.person();
    let page = phone.open_link(&mail.link()).await;
    assert!(page.text().contains(&shown), "{}", page.text());
    assert_eq!(page.input("token"), None);
    // Somebody else who is signed in, with the token and with the code.
    let mut eve = gateway.enrolled("eve@example.com").await;
    eve.step_up("/").await;
    ask(&eve, "eve@new.example").await;
    let form = eve.open("/.gatehouse/account").await;
    let refused = eve.submit(&form, LINK, &[("token", &token)]).await;
    assert!(refused.text().contains(&shown), "{}", refused.status);
    let refused = enter(&eve, &code).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(address(&gateway), ANN);
    assert!(enter(&ann, &code).await.leads_to("/.gatehouse/account"));
    assert_eq!(address(&gateway), NEW);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_expired_superseded_or_invented_link_gets_one_plain_page() {
    let gateway = Gateway::start().await;
    let mut ann = ann(&gateway).await;
    ask(&ann, "ann@first.example").await;
    let superseded = gateway.mailbox.next("ann@first.example").await.link();
    ask(&ann, NEW).await;
    let used = gateway.mailbox.next(NEW).await.link();
    assert_over(&ann, &superseded).await;
    let page = ann.open_link(&used).await;
    confirm(&ann, &page).await;
    assert_over(&ann, &used).await;
    // Pressed once more on a page that was open before.
    assert_eq!(confirm(&ann, &page).await.status, StatusCode::GONE);

    ask(&ann, "ann@third.example").await;
    let expired = gateway.mailbox.next("ann@third.example").await.link();
    gateway.after(16);
    ann.step_up("/").await;
    assert_over(&ann, &expired).await;
    for token in ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "short", ""] {
        assert_over(&ann, &format!("{}{LINK}?token={token}", gateway.origin)).await;
    }
    assert_eq!(address(&gateway), NEW);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_for_one_purpose_is_worth_nothing_for_the_other() {
    let gateway = Gateway::start().await;
    let ann = ann(&gateway).await;
    ask(&ann, NEW).await;
    let to_confirm = gateway.mailbox.next(NEW).await;
    gateway.person().ask_for_mail(ANN, "/").await;
    let to_sign_in = gateway.mailbox.next(ANN).await;
    let swapped = |mail: &Mail, path: &str| {
        let link = mail.link();
        let (_, token) = link.split_once("token=").unwrap();
        format!("{}{path}?token={token}", gateway.origin)
    };
    assert_over(&ann, &swapped(&to_sign_in, LINK)).await;
    let signing_in = swapped(&to_confirm, "/.gatehouse/sign-in/link");
    assert_eq!(ann.open_link(&signing_in).await.status, StatusCode::GONE);
    assert_eq!(address(&gateway), ANN);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_confirmations_at_once_one_counts() {
    let gateway = Gateway::start().await;
    let ann = ann(&gateway).await;
    ask(&ann, NEW).await;
    let page = ann.open_link(&gateway.mailbox.next(NEW).await.link()).await;
    let confirmed = futures_util::future::join_all((0..50).map(|_| confirm(&ann, &page))).await;
    let changed = |reply: &&Reply| reply.leads_to("/.gatehouse/account");
    assert_eq!(confirmed.iter().filter(changed).count(), 1);
    // That of her passkey, and this one.
    gateway.mailbox.next(ANN).await;
    assert_eq!(gateway.mailbox.count(ANN), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fresh_passkey_check_nothing_moves_on() {
    let gateway = Gateway::start().await;
    let mut ann = ann(&gateway).await;
    ask(&ann, NEW).await;
    let mail = gateway.mailbox.next(NEW).await;
    let (form, code_page) = (ann.open(PATH).await, ann.open(CODE).await);
    let link_page = ann.open_link(&mail.link()).await;
    gateway.after(6);
    assert!(ann.open(PATH).await.leads_to("/.gatehouse/step-up"));
    assert!(ann.open(CODE).await.leads_to("/.gatehouse/step-up"));
    let asked = ann.submit(&form, PATH, &[("email", "x@new.example")]).await;
    let entered = ann
        .submit(&code_page, CODE, &[("code", &mail.code())])
        .await;
    let confirmed = confirm(&ann, &link_page).await;
    for reply in [&asked, &entered, &confirmed] {
        assert!(reply.leads_to("/.gatehouse/step-up"), "{}", reply.status);
    }
    assert!(
        confirmed.location().contains("token"),
        "and back to the link"
    );
    assert_eq!(gateway.mailbox.count("x@new.example"), 0);
    assert_eq!(address(&gateway), ANN);
    // Nothing was spent.
    ann.step_up("/").await;
    assert!(
        confirm(&ann, &link_page)
            .await
            .leads_to("/.gatehouse/account")
    );
    assert_eq!(address(&gateway), NEW);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_session_or_none_cannot_change_the_address() {
    let gateway = Gateway::start().await;
    gateway.enrolled(ANN).await;
    let restricted = gateway.person_with_session(ANN, "restricted");
    let account = restricted.open("/.gatehouse/account").await;
    assert!(!account.text().contains(PATH), "{}", account.text());
    assert!(restricted.open(PATH).await.leads_to("/.gatehouse/step-up"));
    let refused = restricted.submit(&account, PATH, &[("email", NEW)]).await;
    assert!(
        refused.leads_to("/.gatehouse/step-up"),
        "{}",
        refused.status
    );
    let visitor = gateway.person();
    assert!(visitor.open(PATH).await.leads_to("/.gatehouse/sign-in"));
    let page = visitor.open("/.gatehouse/sign-in").await;
    let refused = visitor.submit(&page, PATH, &[("email", NEW)]).await;
    assert!(
        refused.leads_to("/.gatehouse/sign-in"),
        "{}",
        refused.status
    );
    assert_eq!(gateway.mailbox.count(NEW), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_another_account_looks_like_any_other_and_gets_no_mail() {
    let gateway = Gateway::start().await;
    gateway.invite("bob@example.com", &[]);
    let ann = ann(&gateway).await;
    let taken = ask(&ann, "bob@example.com").await;
    let taken_page = ann.open(CODE).await.text();
    let taken_code = enter(&ann, "12345678").await;
    let free = ask(&ann, "bob@new.example").await;
    let free_page = ann.open(CODE).await.text();
    gateway.mailbox.next("bob@new.example").await;
    let free_code = enter(&ann, "12345678").await;
    assert_eq!(
        (taken.status, taken.location()),
        (free.status, free.location())
    );
    let neutral = |page: &str| {
        page.replace("bob@example.com", "X")
            .replace("bob@new.example", "X")
    };
    assert_eq!(neutral(&taken_page), neutral(&free_page));
    assert_eq!(taken_code.status, free_code.status);
    assert_eq!(neutral(&taken_code.text()), neutral(&free_code.text()));
    assert_eq!(gateway.mailbox.count("bob@example.com"), 0);
    assert!(events(&gateway).contains(&"address_change_refused".to_owned()));

    // Taken between the mail and the answer.
    ask(&ann, "carl@example.com").await;
    let mail = gateway.mailbox.next("carl@example.com").await;
    gateway.invite("carl@example.com", &[]);
    let page = ann.open_link(&mail.link()).await;
    assert_eq!(confirm(&ann, &page).await.status, StatusCode::GONE);
    assert_eq!(address(&gateway), ANN);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_address_or_the_same_one_is_said_beside_the_field() {
    let gateway = Gateway::start().await;
    let ann = ann(&gateway).await;
    for typed in ["no address", "<b>@example.com"] {
        let refused = ask(&ann, typed).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}");
        assert!(refused.text().contains("role=\"alert\""), "{typed}");
        assert!(!refused.text().contains("<b>"), "{typed}");
    }
    // The address that the operator gave can be proved; then it is the same one.
    ask(&ann, ANN).await;
    let mail = gateway.mailbox.next(ANN).await;
    assert!(
        enter(&ann, &mail.code())
            .await
            .leads_to("/.gatehouse/account")
    );
    let refused = ask(&ann, ANN).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread")]
async fn this_was_not_me_about_an_address_ends_the_session_that_changed_it() {
    let gateway = Gateway::start().await;
    let thief = ann(&gateway).await;
    ask(&thief, NEW).await;
    let code = gateway.mailbox.next(NEW).await.code();
    enter(&thief, &code).await;
    let link = gateway.mailbox.next(ANN).await.link();
    let visitor = gateway.person();
    let page = visitor.open_link(&link).await;
    assert!(page.text().contains("new email address"), "{}", page.text());
    let token = page.input("token").unwrap();
    visitor
        .submit(&page, "/.gatehouse/not-me", &[("token", &token)])
        .await;
    assert_eq!(thief.session_kind().await, "none");
    // Nor do mails to the new address sign in.
    let told = gateway.mailbox.count(NEW);
    let by_mail = gateway.person();
    by_mail.ask_for_mail(NEW, "/").await;
    assert_eq!(by_mail.enter_code(&code).await.status, 422);
    let signed_in = events(&gateway);
    assert!(
        !signed_in.contains(&"sign_in_mail_requested".to_owned()),
        "{told}"
    );
}

/// Ann, with a full session and a fresh passkey check. The mail about her passkey is read.
async fn ann(gateway: &Gateway) -> Person {
    let mut ann = gateway.enrolled(ANN).await;
    ann.step_up("/").await;
    gateway.mailbox.next(ANN).await;
    ann
}

async fn ask(person: &Person, address: &str) -> Reply {
    let form = person.open(PATH).await;
    person.submit(&form, PATH, &[("email", address)]).await
}

async fn enter(person: &Person, code: &str) -> Reply {
    let page = person.open(CODE).await;
    person.submit(&page, CODE, &[("code", code)]).await
}

async fn confirm(person: &Person, page: &Reply) -> Reply {
    let token = page.input("token").expect("a button");
    person.submit(page, LINK, &[("token", &token)]).await
}

async fn assert_over(person: &Person, link: &str) {
    let page = person.open_link(link).await;
    assert_eq!(page.status, StatusCode::GONE, "{link}");
    assert!(page.text().contains("Try again"), "{}", page.text());
}

fn wrong(code: &str) -> String {
    let first = if code.starts_with('0') { "1" } else { "0" };
    format!("{first}{}", &code[1..])
}

fn owned((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

fn shown(gateway: &Gateway) -> Json {
    // By the login name, which stays.
    gateway.command(&["account", "show", ANN, "--json"]).json()
}

fn address(gateway: &Gateway) -> String {
    shown(gateway)["account"]["email"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn events(gateway: &Gateway) -> Vec<String> {
    let name = |record: &Json| record["event"].as_str().unwrap().to_owned();
    shown(gateway)["audit"]
        .as_array()
        .unwrap()
        .iter()
        .map(name)
        .collect()
}
