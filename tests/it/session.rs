//! The session cookie: how it is made, renewed and limited, and what becomes of those that are not ours.

use crate::harness::{Gateway, Person, cookies::SESSION, page::Reply, raw};

const ANN: &str = "ann@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_bound_to_this_host_and_hidden_from_scripts() {
    let gateway = Gateway::start().await;
    let invitation = gateway.invite(ANN, &[]);
    let done = gateway.person().enrol(Some(&invitation), "/").await;
    let line = done.session_cookie().expect("a session");
    let attributes: Vec<_> = line
        .split(';')
        .skip(1)
        .map(|part| part.trim().to_ascii_lowercase())
        .collect();
    for attribute in ["secure", "httponly", "samesite=lax", "path=/"] {
        assert!(
            attributes.iter().any(|other| other == attribute),
            "{attribute}: {line}"
        );
    }
    assert!(
        !attributes
            .iter()
            .any(|attribute| attribute.starts_with("domain")),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_says_who_by_id_and_carries_no_personal_data() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let claims = claims_of(&ann.session_cookie().unwrap());
    for claim in [
        "sub",
        "sid",
        "iat",
        "exp",
        "auth_time",
        "amr",
        "via",
        "ses_exp",
        "iss",
        "aud",
    ] {
        assert!(!claims[claim].is_null(), "{claim}: {claims}");
    }
    assert_eq!(claims["via"], "passkey");
    assert!(claims["restricted"].is_null());
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        300
    );
    assert!(!claims.to_string().contains("ann"), "{claims}");

    let restricted = gateway.session(ANN, "restricted");
    assert_eq!(claims_of(&restricted)["restricted"], "re-enrol");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_getting_old_is_renewed_on_the_way_through() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let first = ann.session_cookie();
    assert_eq!(
        ann.open("/report").await.session_cookie(),
        None,
        "a new token is not renewed"
    );
    gateway.after(3);
    let renewed = ann.open("/report").await.session_cookie();
    assert!(renewed.is_some(), "an older one is");
    assert_ne!(ann.session_cookie(), first);
    assert_eq!(ann.open("/report").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_past_its_own_end_is_renewed_while_the_session_lives() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    gateway.after(30);
    let reply = ann.open("/report").await;
    assert_eq!(
        reply.status, 200,
        "half an hour without a click does not sign anybody out"
    );
    assert!(reply.session_cookie().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_in_use_outlives_the_idle_limit() {
    let gateway = Gateway::start()
        .with("session", "lifetime = '12h'\nidle = '10m'")
        .await;
    let ann = gateway.enrolled(ANN).await;
    for _ in 0..6 {
        gateway.after(4);
        assert_eq!(ann.open("/report").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_ends() {
    let gateway = Gateway::start()
        .with("session", "lifetime = '12h'\nidle = '10m'")
        .await;
    let ann = gateway.enrolled(ANN).await;
    gateway.after(16);
    assert_signed_out(&ann.open("/report").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_at_its_absolute_limit_however_busy() {
    let gateway = Gateway::start()
        .with("session", "lifetime = '20m'\nidle = '20m'")
        .await;
    let ann = gateway.enrolled(ANN).await;
    for _ in 0..6 {
        gateway.after(3);
        assert_eq!(ann.open("/report").await.status, 200);
    }
    gateway.after(3);
    assert_signed_out(&ann.open("/report").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_is_not_ours_is_no_session_and_no_error() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let good = ann.session_cookie().unwrap();
    let (unsigned, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = unsigned.split_once('.').unwrap();
    let mut other_signature = signature.as_bytes().to_vec();
    other_signature[0] = if other_signature[0] == b'A' {
        b'B'
    } else {
        b'A'
    };
    let other_signature = String::from_utf8(other_signature).unwrap();
    for forged in [
        String::new(),
        "x".to_owned(),
        "...".to_owned(),
        "a.b.c".to_owned(),
        good[..good.len() - 1].to_owned(),
        good[..good.len() / 2].to_owned(),
        unsigned.to_owned(),
        format!("{unsigned}."),
        format!("{unsigned}.{other_signature}"),
        format!("{good}.{signature}"),
        // alg "none", and HS256 without our kid or typ.
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}."),
        format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{claims}.{signature}"),
        format!("{header}.eyJzdWIiOiJyb290In0.{signature}"),
        "A".repeat(100_000),
        format!("{good}{}", "A".repeat(4096)),
        "%00%ff".to_owned(),
        "\"quoted\"".to_owned(),
    ] {
        let answer = raw::get(
            gateway.address,
            "/report",
            &["Accept: text/html", &format!("Cookie: {SESSION}={forged}")],
        )
        .await;
        let shown = &forged[..forged.len().min(80)];
        // A head beyond all measure is refused as such; anything else is a visitor.
        let visitor = answer.0.contains("/.gatehouse/sign-in");
        assert!(
            visitor || (forged.len() > 60_000 && answer.refused()),
            "{shown}: {}",
            answer.0
        );
    }
    assert!(!gateway.upstream.targets().contains(&"/report".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_session_cookies_are_none() {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &[]);
    gateway.invite("eve@example.com", &[]);
    let (anns, eves) = (
        gateway.session(ANN, "full"),
        gateway.session("eve@example.com", "full"),
    );
    for cookies in [
        format!("Cookie: {SESSION}={anns}; {SESSION}={eves}"),
        format!("Cookie: {SESSION}={eves}\r\nCookie: {SESSION}={anns}"),
    ] {
        let answer = raw::get(gateway.address, "/report", &["Accept: text/html", &cookies]).await;
        assert_ne!(answer.status(), 200, "{}", answer.0);
        assert!(answer.status() < 500, "{}", answer.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_of_another_name_is_not_a_session() {
    let gateway = Gateway::start().await;
    gateway.invite(ANN, &[]);
    let cookie = gateway.session(ANN, "full");
    for name in [
        "gatehouse",
        "__host-gatehouse",
        "__Secure-gatehouse",
        "x__Host-gatehouse",
    ] {
        let answer = raw::get(
            gateway.address,
            "/report",
            &[&format!("Cookie: {name}={cookie}")],
        )
        .await;
        assert_ne!(answer.status(), 200, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rotating_the_key_signs_nobody_out() {
    let gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let before = kid_of(&ann);
    assert_eq!(gateway.command(&["key", "rotate"]).code, 0);
    assert_eq!(
        ann.open("/report").await.status,
        200,
        "the old token is still good"
    );

    let uses_new_key = || async {
        gateway.after(3);
        assert_eq!(ann.open("/report").await.status, 200);
        (kid_of(&ann) != before).then_some(())
    };
    let soon = std::time::Duration::from_secs(2);
    crate::harness::waiting::within(
        soon,
        "renewed tokens are signed with the new key",
        uses_new_key,
    )
    .await;
    let listed = gateway.command(&["key", "list", "--json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_survive_a_restart() {
    let mut gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    gateway.restart().await;
    assert_eq!(ann.open("/report").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issued_session_ends_when_its_time_is_over() {
    let gateway = Gateway::start()
        .with("session", "lifetime = '12h'\nidle = '12h'")
        .await;
    gateway.invite(ANN, &[]);
    let monitor = gateway.person_with_session(ANN, "full");
    assert_eq!(monitor.open("/report").await.status, 200);
    gateway.after(61);
    assert_signed_out(&monitor.open("/report").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_another_gateway_is_worth_nothing_here() {
    let (here, elsewhere) = (Gateway::start().await, Gateway::start().await);
    here.invite(ANN, &[]);
    elsewhere.invite(ANN, &[]);
    let ann = here.person();
    ann.keep_cookie(SESSION, &elsewhere.session(ANN, "full"));
    assert_signed_out(&ann.open("/report").await);
}

fn assert_signed_out(reply: &Reply) {
    assert!(
        reply.leads_to("/.gatehouse/sign-in"),
        "{} {}",
        reply.status,
        reply.location()
    );
}

fn kid_of(person: &Person) -> serde_json::Value {
    part(&person.session_cookie().unwrap(), 0)["kid"].clone()
}

fn claims_of(token: &str) -> serde_json::Value {
    part(token, 1)
}

fn part(token: &str, index: usize) -> serde_json::Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let part = token.split('.').nth(index).expect("a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_kept_for_as_long_as_its_session_may_last() {
    let limits = "lifetime = '12h'\nidle = '10m'";
    let gateway = Gateway::start().with("session", limits).await;
    gateway.invite(ANN, &[]);
    // For an hour, three minutes of which are over.
    let ann = gateway.person_with_session(ANN, "full");
    gateway.after(3);
    let reply = ann.open("/report").await;
    let (_, kept) = reply.header("set-cookie").split_once("Max-Age=").unwrap();
    let kept: u64 = kept.parse().unwrap();
    assert!((55 * 60..=57 * 60).contains(&kept), "{kept} s");
    // The idle limit is not the browser's to keep.
    gateway.after(11);
    assert!(ann.open("/report").await.leads_to("/.gatehouse/sign-in"));
}
