//! What holds for every mail.

use super::*;

const LINK: &str = "https://app.example.com/.gatehouse/sign-in/email?t=abc&x=1";

fn written_to_ann(message: &Message) -> Letter {
    let branding = Branding {
        name: "Ann & Søn <Ltd>".into(),
        logo: None,
        accent: Some("#aa3300".into()),
    };
    let to = EmailAddress::parse("ann@example.com").unwrap();
    message.write(&to, &branding, Timestamp::from_seconds(1_800_000_000))
}

const NOT_ME: &str = "https://app.example.com/.gatehouse/not-me?token=abc";

fn notice(what: Happening) -> Message {
    Message::Notice {
        what,
        device: Some("Firefox on Linux\r\nBcc: all".into()),
        network: Some(Network::of([203, 0, 113, 9].into())),
        at: Timestamp::from_seconds(1_800_000_000),
        account_url: LINK.into(),
        not_me_url: Some(NOT_ME.into()),
    }
}

fn passkey_added(label: &str) -> Message {
    notice(Happening::PasskeyAdded {
        label: label.into(),
    })
}

fn every_kind() -> Vec<Message> {
    let lifespan = Duration::from_secs(900);
    let label = || "My phone".to_owned();
    let until = Timestamp::from_seconds(1_800_086_400);
    let mut all = vec![
        Message::SignIn {
            link: LINK.into(),
            code: "12345678".into(),
            lifespan,
        },
        Message::Invitation {
            link: LINK.into(),
            lifespan,
        },
        Message::ChangeAddress {
            link: LINK.into(),
            code: "12345678".into(),
            lifespan,
        },
        Message::Alarm {
            login: "ann@example.com".into(),
            about: Happening::PasskeyAdded { label: label() }.lead(),
            label: Some("https://evil.example".into()),
            happened_at: Timestamp::from_seconds(1_800_000_000),
            at: until,
            account_url: LINK.into(),
        },
    ];
    all.extend(
        [
            Happening::PasskeyAdded { label: label() },
            Happening::PasskeyHeld {
                label: label(),
                until,
            },
            Happening::PasskeyRemoved { label: label() },
            Happening::BackupCodesMade,
            Happening::BackupCodeUsed { left: 9 },
            Happening::BackupCodesClosed,
            Happening::WaysBackChanged,
            Happening::RecoveryLinkIssued,
            Happening::RecoveryLinkUsed,
            Happening::Paired,
            Happening::PairingBlocked,
            Happening::AddressChanged,
            Happening::Disabled,
            Happening::Enabled,
            Happening::SessionsEnded,
            Happening::Invited,
            Happening::Reported,
        ]
        .map(notice),
    );
    all
}

#[test]
fn every_mail_holds_its_links_and_no_other() {
    for message in every_kind() {
        let letter = written_to_ann(&message);
        let mut links = vec![LINK];
        if matches!(message, Message::Notice { .. }) {
            links.push(NOT_ME);
        }
        assert_eq!(
            letter.text.matches("://").count(),
            links.len(),
            "{message:?}"
        );
        for link in links {
            assert!(
                letter.text.lines().any(|line| line.trim() == link),
                "{message:?}"
            );
            let href = format!("href=\"{}\"", link.replace('&', "&#38;"));
            assert!(letter.html.contains(&href), "{message:?}");
        }
        for (at, _) in letter.html.match_indices("://") {
            assert!(letter.html[..at].ends_with("https"));
            assert!(letter.html[at..].starts_with("://app.example.com/.gatehouse/"));
        }
        assert!(!letter.html.contains("src="), "a mail loads nothing");
    }
}

#[test]
fn a_notice_tells_the_passkey_the_network_and_the_end_of_a_wait() {
    let held = written_to_ann(&notice(Happening::PasskeyHeld {
        label: "Phone".into(),
        until: Timestamp::from_seconds(1_800_086_400),
    }));
    for body in [&held.text, &held.html] {
        assert!(body.contains("16 January 2027 at 08:00 UTC"), "{body}");
        assert!(body.contains("203.0.113.0/24"), "{body}");
        assert!(body.contains("Phone"), "{body}");
    }
}

#[test]
fn a_sign_in_mail_shows_its_code_in_subject_text_and_html() {
    let letter = written_to_ann(&every_kind()[0]);
    assert_eq!(
        letter.subject,
        "1234 5678 is your Ann & Søn <Ltd> sign-in code"
    );
    assert!(letter.text.contains("1234 5678"));
    assert!(letter.html.contains("1234 5678"));
    assert!(letter.text.contains("15 minutes"));
}

#[test]
fn every_mail_says_what_to_do_if_it_was_not_you() {
    for message in every_kind() {
        let letter = written_to_ann(&message);
        for body in [&letter.text, &letter.html] {
            let body = body.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(
                body.contains("not you") || body.contains("did not"),
                "{message:?}"
            );
        }
    }
}

#[test]
fn the_operators_name_is_escaped_in_html_and_plain_in_text() {
    for message in every_kind() {
        let letter = written_to_ann(&message);
        assert!(letter.html.contains("Ann &#38; Søn &#60;Ltd&#62;"));
        assert!(!letter.html.contains("<Ltd>"));
        assert!(letter.text.contains("Ann & Søn <Ltd>"));
        assert!(letter.html.contains("#aa3300"));
    }
}

#[test]
fn a_passkeys_label_brings_in_no_link_line_or_markup() {
    let message =
        passkey_added("<b>Call</b> https://evil.example/x or www.evil.com\n\nSubject: hi");
    let letter = written_to_ann(&message);
    for body in [&letter.text, &letter.html] {
        assert!(!body.contains("evil.example") && !body.contains("www.evil"));
        assert!(!body.contains("<b>Call"));
    }
    assert!(
        !letter
            .text
            .lines()
            .any(|line| line.starts_with("Bcc") || line.starts_with("Subject"))
    );
    assert!(letter.text.contains("15 January 2027 at 08:00 UTC"));
}

#[test]
fn plain_words_keep_ordinary_labels_as_they_are() {
    for label in [
        "Ann's iPhone 15",
        "Windows 11, Edge 138.0",
        "Clé de réserve",
    ] {
        assert_eq!(plain_words(label), label);
    }
    assert_eq!(plain_words("evil.com"), "evil. com");
    assert_eq!(plain_words(&"a".repeat(100)).len(), 64);
}

#[test]
fn lifespans_are_told_in_whole_units() {
    for (seconds, words) in [
        (60, "1 minute"),
        (90, "90 seconds"),
        (900, "15 minutes"),
        (5_400, "90 minutes"),
        (3_600, "1 hour"),
        (604_800, "7 days"),
        (0, "0 seconds"),
    ] {
        assert_eq!(in_words(Duration::from_secs(seconds)), words);
    }
}

#[test]
fn debug_shows_neither_link_nor_code() {
    assert_eq!(format!("{:?}", every_kind()[0]), "SignIn");
}
