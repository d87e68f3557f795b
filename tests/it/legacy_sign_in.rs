//! Apps that nobody here wrote, each signed in to in the way it knows: Radicale by a header of its own, nginx by
//! passwords.

use reqwest::{Method, StatusCode};

use crate::harness::{Gateway, Person, app::App, nginx::Nginx, raw};

const EVENT: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Example//EN\r\nBEGIN:VEVENT\r\nUID:1\r\n\
                     DTSTAMP:20261122T100000Z\r\nDTSTART:20261122T120000Z\r\nSUMMARY:Tea with the board\r\n\
                     END:VEVENT\r\nEND:VCALENDAR\r\n";

async fn calendars() -> (App, tempfile::TempDir, Gateway, Person, Person) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let mut radicale = App::start("radicale_calendars.py", &[&data]);
    let gateway = Gateway::start()
        .before(radicale.address())
        .with("identity", "headers = []\ncustom = { user = 'X-Remote-User' }")
        .with_route("path = '/open/*'\nstrip_prefix = '/open'\naccess = 'public'")
        .with_route(
            "path = '/dav/*'\nstrip_prefix = '/dav'\nrequest_headers = { set = { X-Script-Name = '/dav' } }",
        )
        .with_route("path = '/*'")
        .await;
    gateway.invite("ann@example.com", &["--login", "ann"]);
    gateway.invite("bob@example.com", &["--login", "bob"]);
    let ann = gateway.person_with_session("ann@example.com", "full");
    let bob = gateway.person_with_session("bob@example.com", "full");
    (radicale, folder, gateway, ann, bob)
}

async fn dav(person: &Person, method: &str, path: &str, body: &str) -> (StatusCode, String) {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = person
        .request(method, path)
        .header("Depth", "1")
        .body(body.to_owned());
    let reply = person.send(request).await;
    (reply.status, reply.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn radicale_keeps_each_persons_calendar_for_themselves() {
    let (_radicale, _folder, _gateway, ann, bob) = calendars().await;
    assert_eq!(dav(&ann, "MKCALENDAR", "/ann/tea/", "").await.0, 201);
    assert_eq!(dav(&ann, "PUT", "/ann/tea/1.ics", EVENT).await.0, 201);
    let (status, text) = dav(&ann, "GET", "/ann/tea/1.ics", "").await;
    assert!(
        status == 200 && text.contains("Tea with the board"),
        "{status} {text}"
    );
    let (status, text) = dav(&bob, "GET", "/ann/tea/1.ics", "").await;
    assert!(status == 403 && !text.contains("Tea"), "{status} {text}");
    assert_eq!(dav(&bob, "PUT", "/ann/tea/2.ics", EVENT).await.0, 403);
    assert_eq!(dav(&bob, "MKCALENDAR", "/bob/tea/", "").await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_ann_by_saying_so_to_radicale() {
    let (_radicale, _folder, gateway, ann, bob) = calendars().await;
    assert_eq!(dav(&ann, "MKCALENDAR", "/ann/tea/", "").await.0, 201);
    assert_eq!(dav(&ann, "PUT", "/ann/tea/1.ics", EVENT).await.0, 201);
    let cookie = format!("Cookie: {}", bob.cookie_header());
    for spelling in [
        "X-Remote-User",
        "X_Remote_User",
        "x-remote_user",
        "X.Remote.User",
        "X-REMOTE-USER",
    ] {
        let forged = format!("{spelling}: ann");
        for (path, lines) in [
            ("/ann/tea/1.ics", &[&cookie[..], &forged][..]),
            (
                "/ann/tea/1.ics",
                &[&forged, &cookie, "Connection: X-Remote-User"],
            ),
            ("/open/ann/tea/1.ics", &[&forged]),
            ("/open/ann/tea/1.ics", &[&forged, &cookie]),
        ] {
            let answer = raw::get(gateway.address, path, lines).await;
            assert!(answer.refused(), "{path} {lines:?}: {}", answer.0);
            assert!(!answer.0.contains("Tea"), "{path} {lines:?}: {}", answer.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn radicale_lives_under_a_prefix() {
    let (_radicale, _folder, _gateway, ann, _bob) = calendars().await;
    assert_eq!(dav(&ann, "MKCALENDAR", "/dav/ann/tea/", "").await.0, 201);
    assert_eq!(dav(&ann, "PUT", "/dav/ann/tea/1.ics", EVENT).await.0, 201);
    assert_eq!(
        dav(&ann, "GET", "/ann/tea/1.ics", "").await.0,
        200,
        "the same app at its root"
    );
    let (status, listed) = dav(&ann, "PROPFIND", "/dav/ann/tea/", "").await;
    assert_eq!(status, 207);
    assert!(
        listed.contains("<href>/dav/ann/tea/1.ics</href>"),
        "{listed}"
    );
    let reply = ann.open("/dav/").await;
    assert!(
        reply.header("location").starts_with("/dav/"),
        "{}",
        reply.header("location")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_with_passwords_is_signed_in_to_by_group() {
    let nginx = Nginx::start(
        "root www; auth_basic legacy; auth_basic_user_file passwords; add_header X-Signed-In $remote_user always;",
        &[
            ("passwords", "reader:{PLAIN}r3ad\nboss:{PLAIN}b0ss\n"),
            ("www/docs/index.html", "<h1>The docs</h1>"),
        ],
    );
    let setup = Gateway::start();
    std::fs::write(setup.folder().join("boss"), "boss:b0ss\n").unwrap();
    let gateway = setup
        .before(nginx.address)
        .with_route("path = '/own/*'\nstrip_prefix = '/own'")
        .with_route(
            "path = '/*'\nauthorization = [{ group = 'board', basic = 'file:boss' }, \
             { group = 'staff', basic = 'reader:r3ad' }]",
        )
        .await;
    let person = |email: &str, groups: &[&str]| {
        gateway.invite(email, groups);
        gateway.person_with_session(email, "full")
    };
    let ann = person("ann@example.com", &["--group", "staff"]);
    let bob = person("bob@example.com", &["--group", "staff", "--group", "board"]);
    let eve = person("eve@example.com", &[]);
    for (who, status, signed_in) in [(&ann, 200, "reader"), (&bob, 200, "boss"), (&eve, 401, "")] {
        // A password that somebody knows is no way in: it is the gateway's to give.
        let request = who
            .request(Method::GET, "/docs/")
            .header("Authorization", "Basic cmVhZGVyOnIzYWQ=");
        let reply = who.send(request).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("x-signed-in")),
            (status, signed_in)
        );
    }
    assert_eq!(
        gateway.person().open("/docs/").await.status,
        303,
        "to sign in"
    );
    // Where the route says nothing of it, the client's own is passed on.
    assert_eq!(eve.open("/own/docs/").await.status, 401);
    let request = eve
        .request(Method::GET, "/own/docs/")
        .header("Authorization", "Basic cmVhZGVyOnIzYWQ=");
    assert_eq!(eve.send(request).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nginxs_own_redirects_stay_on_this_origin() {
    let nginx = Nginx::start("root www;", &[("www/docs/index.html", "<h1>The docs</h1>")]);
    let gateway = Gateway::start()
        .before(nginx.address)
        .with_route("path = '/site/*'\nstrip_prefix = '/site'")
        .with_route("path = '/own/*'\nhost_header = 'upstream'\nstrip_prefix = '/own'")
        .with_route("path = '/*'")
        .await;
    gateway.invite("ann@example.com", &[]);
    let ann = gateway.person_with_session("ann@example.com", "full");
    // It puts its own port behind the host it was told.
    for (path, expected) in [
        ("/docs", "/docs/"),
        ("/site/docs", "/site/docs/"),
        ("/own/docs", "/own/docs/"),
    ] {
        let reply = ann.open(path).await;
        let expected = format!("{}{expected}", gateway.origin);
        assert_eq!(
            (reply.status.as_u16(), reply.header("location")),
            (301, expected.as_str())
        );
        let path = expected.strip_prefix(&gateway.origin).unwrap();
        assert!(ann.open(path).await.text().contains("The docs"));
    }
}
