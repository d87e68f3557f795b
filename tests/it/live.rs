//! What is open goes on for as long as its session would be let in anew, and is cut within two seconds after.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::harness::{
    Gateway, Person,
    live::{Lags, Open, change_groups, last_seen, restrict},
    person::Protocol,
    upstream::Answer,
    waiting::{SOON, within},
};

const ANN: &str = "ann@example.com";

/// What people are promised of what is open when their session ends.
const PROMISED: Duration = Duration::from_secs(2);

const ROUTES: [&str; 6] = [
    "path = '/public/*'\naccess = 'public'",
    "path = '/notes/*'\naccess = 'signed_in'",
    "path = '/admin/*'\naccess = 'step_up'\nmax_age = '5m'",
    "path = '/console/*'\naccess = 'step_up'\nmax_age = '5m'\nlive = 'max_age'",
    "path = '/staff/*'\nallow = { groups = ['staff'] }",
    "path = '/*'",
];

async fn gateway() -> Gateway {
    let mut setup = Gateway::start();
    for route in ROUTES {
        setup = setup.with_route(route);
    }
    let gateway = setup.await;
    for area in ["/public", "/notes", "/admin", "/console", "/staff", "/app"] {
        gateway
            .upstream
            .answer(&format!("{area}/socket"), Answer::Echo);
        gateway
            .upstream
            .answer(&format!("{area}/events"), Answer::Endless);
    }
    gateway
}

async fn socket(gateway: &Gateway, person: &Person, area: &str) -> Open {
    Open::websocket(gateway, &format!("{area}/socket"), &person.cookie_header()).await
}

/// One of each kind.
async fn one_of_each(gateway: &Gateway, person: &Person, area: &str) -> Vec<(&'static str, Open)> {
    let cookies = person.cookie_header();
    let over_h2 = gateway.person_over(Protocol::Http2);
    over_h2.keep_cookie("__Host-gatehouse", &person.session_cookie().unwrap());
    let events = format!("{area}/events");
    vec![
        ("WebSocket", socket(gateway, person, area).await),
        ("events", Open::events(gateway, &events, &cookies).await),
        ("events over h2", Open::events_of(&over_h2, &events).await),
        (
            "upload",
            Open::upload(gateway, &format!("{area}/x"), &cookies).await,
        ),
    ]
}

async fn all_are_cut(open: Vec<(&'static str, Open)>, after: Instant, why: &str) {
    for (kind, open) in open {
        let lag = open
            .cut(&format!("{kind} after {why}"))
            .await
            .saturating_duration_since(after);
        assert!(lag < PROMISED, "{kind} after {why}: {lag:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_an_operator_ends_is_cut_within_two_seconds() {
    let gateway = gateway().await;
    for (command, name) in [
        (&["session", "revoke", "--account"][..], "one"),
        (&["account", "disable"], "two"),
        (&["account", "delete"], "three"),
    ] {
        let email = format!("{name}@example.com");
        gateway.invite(&email, &[]);
        let person = gateway.person_with_session(&email, "full");
        let open = one_of_each(&gateway, &person, "/app").await;
        let done = gateway.command(&[command, &[&email]].concat());
        assert_eq!(done.code, 0, "{done:?}");
        all_are_cut(open, Instant::now(), &command.join(" ")).await;
    }
    let idle = gateway.upstream.open_streams();
    within(SOON, "the app learns of it", || async {
        (*idle.borrow() == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_cuts_what_is_open_in_that_session_alone() {
    let gateway = gateway().await;
    let ann = gateway.enrolled(ANN).await;
    let elsewhere = gateway.person_with_session(ANN, "full");
    let open = one_of_each(&gateway, &ann, "/app").await;
    let mut other = socket(&gateway, &elsewhere, "/app").await;
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    all_are_cut(open, Instant::now(), "sign-out").await;
    other.says("still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_sessions_time_is_the_end_of_what_is_open_in_it() {
    let gateway = gateway().await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person_with_session(ANN, "full");
    let open = one_of_each(&gateway, &ann, "/app").await;
    let mut public = socket(&gateway, &ann, "/public").await;
    gateway.after(59);
    let mut late = socket(&gateway, &ann, "/app").await;
    late.says("in its last minute").await;
    gateway.after(1);
    all_are_cut(open, Instant::now(), "the session's end").await;
    late.cut("a socket that was opened late").await;
    public.says("nobody's session holds this").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_keeps_its_session_from_idling_out() {
    let gateway = gateway().await;
    let ann = gateway.enrolled(ANN).await;
    let bob = gateway.enrolled("bob@example.com").await;
    let mut open = socket(&gateway, &ann, "/app").await;
    // A socket is looked after from its second second on.
    let mut seen = last_seen(&gateway, ANN).await;
    for _ in 0..4 {
        within(SOON, "the use is noted", || async {
            gateway.after(1);
            (last_seen(&gateway, ANN).await > seen).then_some(())
        })
        .await;
        gateway.after(20);
        seen = gateway.clock.now().seconds() - 1;
    }
    open.says("still here").await;
    assert_eq!(ann.open("/app/x").await.status, 200);
    assert!(bob.open("/app/x").await.leads_to("/.gatehouse/sign-in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_allowed_any_more_is_cut_and_nobody_else() {
    let gateway = gateway().await;
    gateway.invite(ANN, &["--group", "staff"]);
    gateway.invite("bob@example.com", &["--group", "staff"]);
    let ann = gateway.person_with_session(ANN, "full");
    let bob = gateway.person_with_session("bob@example.com", "full");
    let open = one_of_each(&gateway, &ann, "/staff").await;
    let mut of_everybody = socket(&gateway, &ann, "/app").await;
    let mut of_bob = socket(&gateway, &bob, "/staff").await;
    change_groups(&gateway, ANN, "[\"guests\",\"staff\"]").await;
    within(SOON, "the new groups are known", || async {
        ann.open("/notes/x").await;
        let told = gateway.upstream.last_of("/notes/x");
        (told.header("Remote-Groups") == "guests,staff").then_some(())
    })
    .await;
    let mut lasting = socket(&gateway, &ann, "/staff").await;
    lasting.says("still among the staff").await;

    change_groups(&gateway, ANN, "[\"guests\"]").await;
    let changed = Instant::now();
    all_are_cut(open, changed, "leaving the group").await;
    lasting.cut("a socket opened between the changes").await;
    of_everybody.says("open to everybody").await;
    of_bob.says("still among the staff").await;
    assert_eq!(ann.open("/staff/plan").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_becomes_restricted_loses_what_asks_for_a_full_one() {
    let gateway = gateway().await;
    let ann = gateway.enrolled(ANN).await;
    let full = socket(&gateway, &ann, "/app").await;
    let mut low_stakes = socket(&gateway, &ann, "/notes").await;
    // No method of today takes anything from a session; this is what the store would say of one.
    restrict(&gateway, ANN).await;
    let restricted = Instant::now();
    let lag = full.cut("a socket for full sessions").await - restricted;
    assert!(lag < PROMISED, "{lag:?}");
    low_stakes.says("still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_cuts_nothing_and_what_is_open_ends_with_the_new_session() {
    let gateway = gateway().await;
    let mut ann = gateway.enrolled(ANN).await;
    let old_cookies = ann.cookie_header();
    let mut socket = socket(&gateway, &ann, "/app").await;
    let mut all = one_of_each(&gateway, &ann, "/app").await;
    for _ in 0..2 {
        ann.step_up("/").await;
        socket.says("after a step-up").await;
    }
    // Opened with a cookie that was good, looked at when it is not any more.
    let stale = gateway.person();
    stale.keep_cookie("__Host-gatehouse", cookie_in(&old_cookies));
    assert!(stale.open("/app/x").await.leads_to("/.gatehouse/sign-in"));
    all.push(("WebSocket", socket));
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    all_are_cut(all, Instant::now(), "sign-out after two step-ups").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_cuts_nothing_and_lifts_what_is_open() {
    let gateway = gateway().await;
    gateway.invite(ANN, &[]);
    let mut ann = gateway.person_with_session(ANN, "restricted");
    let mut socket = socket(&gateway, &ann, "/notes").await;
    let done = ann.enrol(None, "/").await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(ann.session_kind().await, "full");
    socket.says("after the enrolment").await;
    gateway.command(&["session", "revoke", "--account", ANN]);
    let revoked = Instant::now();
    let lag = socket
        .cut("the socket")
        .await
        .saturating_duration_since(revoked);
    assert!(lag < PROMISED, "{lag:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_may_let_what_is_open_last_no_longer_than_its_step_up() {
    let gateway = gateway().await;
    let mut ann = gateway.enrolled(ANN).await;
    ann.step_up("/").await;
    let short = one_of_each(&gateway, &ann, "/console").await;
    let mut long = socket(&gateway, &ann, "/admin").await;
    gateway.after(4);
    ann.step_up("/").await;
    gateway.after(4);
    let mut renewed = socket(&gateway, &ann, "/console").await;
    renewed
        .says("eight minutes on, with a new check in between")
        .await;
    gateway.after(2);
    all_are_cut(short, Instant::now(), "the step-up's end").await;
    renewed.cut("a socket opened later").await;
    long.says("as long as the session").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_event_stream_ends_with_its_session_and_outlives_a_step_up() {
    let gateway = gateway().await;
    let mut ann = gateway.enrolled(ANN).await;
    ann.step_up("/").await;
    ann.open("/.gatehouse/pair/phone").await;
    let waiting = Open::events_of(&ann, "/.gatehouse/pair/phone/events").await;
    ann.step_up("/").await;
    ann.press_on_account_page("/.gatehouse/sign-out").await;
    let signed_out = Instant::now();
    let lag = waiting.cut("the page's events").await - signed_out;
    assert!(lag < PROMISED, "{lag:?}");
}

/// A thousand: half WebSockets, half event streams, of which half over HTTP/2.
async fn a_thousand(gateway: &Gateway, person: &Person) -> Vec<(&'static str, Open)> {
    let cookies = person.cookie_header();
    let mut open = Vec::new();
    for _ in 0..50 {
        let sockets = join_all((0..10).map(|_| socket(gateway, person, "/app"))).await;
        open.extend(sockets.into_iter().map(|socket| ("WebSocket", socket)));
        let events = (0..5).map(|_| Open::events(gateway, "/app/events", &cookies));
        let events = join_all(events).await;
        open.extend(events.into_iter().map(|events| ("events h1", events)));
    }
    // One HTTP/2 connection carries no more than 100 streams at a time.
    for _ in 0..5 {
        let browser = gateway.person_over(Protocol::Http2);
        browser.keep_cookie("__Host-gatehouse", &person.session_cookie().unwrap());
        let events = (0..50).map(|_| Open::events_of(&browser, "/app/events"));
        let events = join_all(events).await;
        open.extend(events.into_iter().map(|events| ("events h2", events)));
    }
    open
}

/// Listens to all at once; `end` ends the session and gives the moment at which it was told so.
async fn lags(
    open: Vec<(&'static str, Open)>,
    end: impl Future<Output = Instant>,
) -> Vec<(&'static str, Lags)> {
    let listening: Vec<_> = open
        .into_iter()
        .map(|(kind, open)| (kind, tokio::spawn(open.cut(kind))))
        .collect();
    let ended = end.await;
    let mut moments = Vec::new();
    for (kind, moment) in listening {
        moments.push((kind, moment.await.expect("it is cut")));
    }
    ["WebSocket", "events h1", "events h2"]
        .map(|kind| {
            let of_kind = moments.iter().filter(|(other, _)| *other == kind);
            (kind, Lags::since(ended, of_kind.map(|(_, moment)| *moment)))
        })
        .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_are_cut_within_two_seconds() {
    let gateway = gateway().await;
    let ann = gateway.enrolled(ANN).await;
    let bystander = gateway.enrolled("bob@example.com").await;
    let mut of_bystander = socket(&gateway, &bystander, "/app").await;

    let open = a_thousand(&gateway, &ann).await;
    let everywhere = async {
        ann.press_on_account_page("/.gatehouse/sign-out/everywhere")
            .await;
        Instant::now()
    };
    let mut told = lags(open, everywhere).await;

    let ann = gateway.person_with_session(ANN, "full");
    let open = a_thousand(&gateway, &ann).await;
    let revoked = async {
        gateway.command(&["session", "revoke", "--account", ANN]);
        Instant::now()
    };
    told.extend(lags(open, revoked).await);
    for (number, (kind, lags)) in told.iter().enumerate() {
        let why = ["sign-out everywhere", "session revoke beside the server"][number / 3];
        println!("{why:<34} {kind:<10} {lags}");
        assert!(lags.max() < PROMISED, "{kind}: {lags}");
    }
    of_bystander.says("nobody else is woken").await;
}

fn cookie_in(header: &str) -> &str {
    header
        .split("; ")
        .find_map(|pair| pair.strip_prefix("__Host-gatehouse="))
        .expect("a session")
}
