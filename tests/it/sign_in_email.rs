//! Sign-in by mail: a link, a code, and everything that makes them worth nothing.

use std::time::{Duration, Instant};

use crate::harness::{Gateway, Person, mailbox::Mail, page::Reply};

const ANN: &str = "ann@example.com";
const ANSWER_AFTER: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opened_in_the_same_browser_signs_in_with_one_click() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let (answer, mail) = ask(&gateway, &ann, "/notes/7").await;
    assert!(
        answer.leads_to("/.gatehouse/sign-in/code"),
        "{}",
        answer.status
    );

    let page = ann.open_link(&mail.link()).await;
    assert_eq!(page.status, 200);
    assert_eq!(
        ann.session_kind().await,
        "none",
        "opening the link changes nothing"
    );
    let done = ann.confirm_link(&page).await;
    assert_eq!(
        done.location(),
        "/.gatehouse/enrol?return_to=/notes/7",
        "a passkey is asked for first"
    );
    assert_eq!(ann.session_kind().await, "restricted");
    assert_eq!(ann.open("/notes/7").await.status, 200);
    assert!(ann.open("/report").await.leads_to("/.gatehouse/enrol"));
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_a_link_twice_is_as_good_as_once() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let (_, mail) = ask(&gateway, &ann, "/").await;
    // Mail filters open links before people do.
    gateway.person().open_link(&mail.link()).await;
    ann.open_link(&mail.link()).await;
    let page = ann.open_link(&mail.link()).await;
    assert!(ann.confirm_link(&page).await.status.is_redirection());
    assert_eq!(ann.session_kind().await, "restricted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opened_in_another_browser_shows_the_code_and_signs_nobody_in() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let (_, mail) = ask(&gateway, &ann, "/").await;

    let phone = gateway.person();
    let page = phone.open_link(&mail.link()).await;
    assert_eq!(page.status, 200);
    let code = mail.code();
    assert!(
        page.text()
            .contains(&format!("{} {}", &code[..4], &code[4..])),
        "{}",
        page.text()
    );
    assert_eq!(page.input("token"), None, "there is nothing to press");
    assert_eq!(phone.session_kind().await, "none");

    assert!(ann.enter_code(&code).await.status.is_redirection());
    assert_eq!(ann.session_kind().await, "restricted");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_browser_cannot_press_the_button_that_it_was_not_shown() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let (_, mail) = ask(&gateway, &ann, "/").await;
    let stranger = gateway.person();
    let page = stranger.open("/.gatehouse/sign-in").await;
    let (_, token) = mail
        .link()
        .split_once("token=")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let refused = stranger
        .submit(&page, "/.gatehouse/sign-in/link", &[("token", &token)])
        .await;
    assert!(!refused.status.is_server_error());
    assert_eq!(stranger.session_kind().await, "none");
    // The rightful browser is not locked out by it.
    let page = ann.open_link(&mail.link()).await;
    ann.confirm_link(&page).await;
    assert_eq!(ann.session_kind().await, "restricted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_signs_in_where_it_was_asked_for_and_takes_people_where_they_were_going() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let (_, mail) = ask(&gateway, &ann, "/notes/7?page=2").await;
    let code = mail.code();
    // As people copy it out of the subject.
    let done = ann
        .enter_code(&format!(" {} {} ", &code[..4], &code[4..]))
        .await;
    assert_eq!(
        done.location(),
        "/.gatehouse/enrol?return_to=/notes/7%3Fpage%3D2"
    );
    assert_eq!(ann.session_kind().await, "restricted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_is_worth_nothing_in_another_browser() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let (_, mail) = ask(&gateway, &ann, "/").await;
    let eve = gateway.person();
    ask(&gateway, &eve, "/").await;
    assert_refused(&eve, &eve.enter_code(&mail.code()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_wrong_codes_are_forgiven() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let (_, mail) = ask(&gateway, &ann, "/").await;
    for _ in 0..4 {
        assert_refused(&ann, &ann.enter_code(&wrong(&mail.code())).await).await;
    }
    assert!(ann.enter_code(&mail.code()).await.status.is_redirection());
    assert_eq!(ann.session_kind().await, "restricted");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_codes_end_code_and_link() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let (_, mail) = ask(&gateway, &ann, "/").await;
    for _ in 0..5 {
        assert_refused(&ann, &ann.enter_code(&wrong(&mail.code())).await).await;
    }
    assert_refused(&ann, &try_code(&ann, &mail.code()).await).await;
    assert_refused(&ann, &try_link(&ann, &mail.link()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_mail_supersedes_the_one_before() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let (_, old) = ask(&gateway, &ann, "/").await;
    gateway.after(2);
    let (_, new) = ask(&gateway, &ann, "/").await;
    assert_refused(&ann, &try_link(&ann, &old.link()).await).await;
    if old.code() != new.code() {
        assert_refused(&ann, &try_code(&ann, &old.code()).await).await;
    }
    assert!(ann.enter_code(&new.code()).await.status.is_redirection());
    assert_eq!(ann.session_kind().await, "restricted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_link_or_code_signs_nobody_in() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let (_, mail) = ask(&gateway, &ann, "/").await;
    gateway.after(16);
    assert_refused(&ann, &try_link(&ann, &mail.link()).await).await;
    assert_refused(&ann, &try_code(&ann, &mail.code()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_expires_between_opening_and_pressing() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let (_, mail) = ask(&gateway, &ann, "/").await;
    let page = ann.open_link(&mail.link()).await;
    gateway.after(16);
    assert_refused(&ann, &ann.confirm_link(&page).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_link_is_used_up_and_so_is_its_code() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let (_, mail) = ask(&gateway, &ann, "/").await;
    let page = ann.open_link(&mail.link()).await;
    ann.confirm_link(&page).await;
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    assert_refused(&ann, &try_link(&ann, &mail.link()).await).await;
    assert_refused(&ann, &try_code(&ann, &mail.code()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pressing_many_times_at_once_gives_exactly_one_session() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let (_, mail) = ask(&gateway, &ann, "/").await;
    let page = ann.open_link(&mail.link()).await;
    let (a, b, c, d, e, f) = tokio::join!(
        ann.confirm_link(&page),
        ann.confirm_link(&page),
        ann.confirm_link(&page),
        ann.confirm_link(&page),
        ann.confirm_link(&page),
        ann.confirm_link(&page),
    );
    let sessions = [a, b, c, d, e, f]
        .iter()
        .filter(|reply| reply.session_cookie().is_some())
        .count();
    assert_eq!(sessions, 1);
    let listed = gateway
        .command(&["session", "list", "--account", ANN, "--json"])
        .json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_for_one_address_are_throttled_and_its_link_is_not() {
    let gateway = gateway_with_ann().await;
    for _ in 0..2 {
        let guesser = gateway.person();
        ask(&gateway, &guesser, "/").await;
        for _ in 0..5 {
            assert_eq!(guesser.enter_code("00000000").await.status, 422);
        }
    }
    let ann = gateway.person();
    let (_, mail) = ask(&gateway, &ann, "/").await;
    assert_eq!(ann.enter_code(&mail.code()).await.status, 429);
    let page = ann.open_link(&mail.link()).await;
    let done = ann.confirm_link(&page).await;
    assert!(done.session_cookie().is_some(), "{}", done.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_address_gets_the_same_answer_and_no_mail() {
    let gateway = gateway_with_ann().await;
    let (known, unknown) = (gateway.person(), gateway.person());
    let said_to_unknown = unknown.ask_for_mail("nobody@example.com", "/").await;
    let (said_to_known, _) = ask(&gateway, &known, "/").await;
    assert_eq!(said_to_known.status, said_to_unknown.status);
    assert_eq!(said_to_known.location(), said_to_unknown.location());
    assert_eq!(
        names_of_cookies(&said_to_known),
        names_of_cookies(&said_to_unknown)
    );

    let pages = [&known, &unknown].map(|person| person.open("/.gatehouse/sign-in/code"));
    let [for_known, for_unknown] = pages;
    let for_known = without_what_differs(&for_known.await, ANN);
    let for_unknown = without_what_differs(&for_unknown.await, "nobody@example.com");
    assert_eq!(for_known, for_unknown);
    // Ann's mail was asked for later and has arrived.
    assert_eq!(gateway.mailbox.count("nobody@example.com"), 0);

    assert_refused(&unknown, &unknown.enter_code("12345678").await).await;
}

/// The answer for an unknown address, which costs the store nothing, leaves no earlier than the one for a
/// known address: both wait for the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_that_could_tell_leaves_before_its_time() {
    let gateway = gateway_with_ann().await;
    for address in [ANN, "nobody@example.com"] {
        let person = gateway.person();
        let page = person.open("/.gatehouse/sign-in").await;
        let begun = Instant::now();
        let fields = [("email", address), ("return_to", "/")];
        person
            .submit(&page, "/.gatehouse/sign-in/email", &fields)
            .await;
        assert!(begun.elapsed() >= ANSWER_AFTER, "{address}");

        let page = person.open("/.gatehouse/sign-in/code").await;
        let begun = Instant::now();
        person
            .submit(&page, "/.gatehouse/sign-in/code", &[("code", "12345678")])
            .await;
        assert!(begun.elapsed() >= ANSWER_AFTER, "{address}, a wrong code");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_none_is_pointed_out() {
    let gateway = gateway_with_ann().await;
    for address in [
        "",
        "ann",
        "ann@",
        "@example.com",
        "ann@example.com\nBcc: eve@example.com",
    ] {
        let visitor = gateway.person();
        let reply = visitor.ask_for_mail(address, "/").await;
        assert!(
            reply.status == 200 || reply.status.is_client_error(),
            "{address:?}: {}",
            reply.status
        );
        assert!(
            reply.text().contains("aria-invalid=\"true\""),
            "{address:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_to_one_address_are_throttled_and_the_page_does_not_tell_whose() {
    let gateway = gateway_with_ann().await;
    for address in [ANN, "nobody@example.com"] {
        let mut last = gateway.person().ask_for_mail(address, "/").await;
        for _ in 0..12 {
            last = gateway.person().ask_for_mail(address, "/").await;
        }
        assert!(
            last.status == 429 || last.status.is_redirection(),
            "{}",
            last.status
        );
    }
    gateway.invite("bob@example.com", &[]);
    gateway.after(60);
    gateway.person().ask_for_mail("bob@example.com", "/").await;
    gateway.mailbox.next("bob@example.com").await;
    assert!(
        gateway.mailbox.count(ANN) <= 6,
        "{} mails",
        gateway.mailbox.count(ANN)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mail_holds_link_and_code_as_text_and_html_from_the_configured_origin() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let page = ann.open("/.gatehouse/sign-in").await;
    let form = format!(
        "email=ann%40example.com&return_to=%2F&form_token={}",
        page.form_token()
    );
    let request = ann
        .request(reqwest::Method::POST, "/.gatehouse/sign-in/email")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Origin", &gateway.origin)
        .header("X-Forwarded-Host", "evil.example")
        .header("Forwarded", "host=evil.example")
        .body(form);
    ann.send(request).await;
    let mail = gateway.mailbox.next(ANN).await;
    assert!(mail.link().starts_with(&format!(
        "{}/.gatehouse/sign-in/link?token=",
        gateway.origin
    )));
    assert!(mail.html.contains("/.gatehouse/sign-in/link?token="));
    let code = mail.code();
    assert_eq!(code.len(), 8);
    assert!(mail.text.contains(&code[..4]) && mail.html.contains(&code[..4]));
    assert!(!mail.raw.contains("evil.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_operator_grants_it_a_mail_gives_a_full_session() {
    let gateway = Gateway::start()
        .with("methods.email", "enabled = true\ngrants = 'full'")
        .await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person();
    let (_, mail) = ask(&gateway, &ann, "/").await;
    ann.enter_code(&mail.code()).await;
    assert_eq!(ann.session_kind().await, "full");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_method_is_off_nobody_signs_in_by_mail() {
    let gateway = Gateway::start()
        .with("methods.email", "enabled = false")
        .await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person();
    let page = ann.open("/.gatehouse/sign-in").await;
    assert!(!page.text().contains("name=\"email\""));
    let refused = ann
        .submit(
            &page,
            "/.gatehouse/sign-in/email",
            &[("email", ANN), ("return_to", "/")],
        )
        .await;
    assert!(refused.status.is_client_error(), "{}", refused.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_is_not_signed_in_by_a_mail_it_got_before() {
    let gateway = gateway_with_ann().await;
    let ann = gateway.person();
    let (_, mail) = ask(&gateway, &ann, "/").await;
    assert_eq!(gateway.command(&["account", "disable", ANN]).code, 0);
    assert_refused(&ann, &try_link(&ann, &mail.link()).await).await;
}

async fn gateway_with_ann() -> Gateway {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &[]);
    gateway
}

async fn ask(gateway: &Gateway, person: &Person, return_to: &str) -> (Reply, Mail) {
    let answer = person.ask_for_mail(ANN, return_to).await;
    (answer, gateway.mailbox.next(ANN).await)
}

/// Opens a link and presses the button, if there is one.
async fn try_link(person: &Person, link: &str) -> Reply {
    let page = person.open_link(link).await;
    match page.input("token") {
        Some(_) => person.confirm_link(&page).await,
        None => page,
    }
}

/// Types a code into the form, wherever that page is by now.
async fn try_code(person: &Person, code: &str) -> Reply {
    let page = person.open("/.gatehouse/sign-in").await;
    person
        .submit(&page, "/.gatehouse/sign-in/code", &[("code", code)])
        .await
}

async fn assert_refused(person: &Person, reply: &Reply) {
    assert!(!reply.status.is_server_error(), "{}", reply.status);
    assert_eq!(reply.session_cookie(), None);
    assert_eq!(person.session_kind().await, "none");
}

fn wrong(code: &str) -> String {
    let last = code.as_bytes()[code.len() - 1];
    let other = if last == b'0' { '1' } else { '0' };
    format!("{}{other}", &code[..code.len() - 1])
}

fn names_of_cookies(reply: &Reply) -> Vec<String> {
    let mut names: Vec<_> = crate::harness::cookies::set_cookie_lines(&reply.headers)
        .iter()
        .map(|line| line.split('=').next().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    names
}

fn without_what_differs(page: &Reply, address: &str) -> String {
    page.text()
        .replace(&page.form_token(), "TOKEN")
        .replace(address, "ADDRESS")
}
