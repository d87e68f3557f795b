//! Who may have an account, how they sign in, how long that lasts, and what upstreams are told of it.

use std::time::Duration;

use lettre::message::Mailbox;

use super::{Surroundings, secret};
use crate::{
    config::{
        Admin, Approvals, BackupCodesMethod, EmailMethod, Enrolment, EnrolmentMode, Grant,
        MailConfig, MailTransport, Methods, RecoveryProofs, SessionLimits,
        file::{self, At, File, Grants, List, Mail, Mode, SecretText},
        findings::{Finding, Findings},
        mail_url,
        value::SecretPlace,
    },
    email_address::EmailAddress,
    store::is_group,
};

/// The idle limit of NIST SP 800-63B-4 §2.2.3 for its second assurance level.
const DEFAULT_IDLE: Duration = Duration::from_hours(1);

/// A mailbox is read by whoever finds it open; a link in it must not wait there for days.
const MAX_EMAIL_LIFESPAN: Duration = Duration::from_hours(24);

/// Limits of sessions.
pub(super) fn session(session: &file::Session, findings: &mut Findings<'_>) -> SessionLimits {
    let lifetime = session.lifetime.value.duration();
    let idle = match &session.idle {
        Some(idle) => {
            if idle.value.duration() > lifetime {
                let finding = Finding::new("longer than session.lifetime")
                    .expected(format!("at most {} seconds", lifetime.as_secs()));
                findings.error(idle, finding);
            }
            idle.value.duration()
        }
        None => DEFAULT_IDLE.min(lifetime),
    };
    SessionLimits { lifetime, idle }
}

/// How people may sign in.
pub(super) fn methods(file: &File, findings: &mut Findings<'_>) -> Methods {
    let passkey = &file.methods.passkey.enabled;
    if !passkey.value {
        let problem = "passkeys cannot be turned off: every other method is a way back to one";
        findings.error(passkey, Finding::new(problem).expected("true"));
    }
    let email = &file.methods.email;
    if email.lifespan.value.duration() > MAX_EMAIL_LIFESPAN {
        findings.error(&email.lifespan, Finding::value("at most \"24h\""));
    }
    let has_mail = file.mail.is_some() || findings.in_file("mail");
    let enabled = email
        .enabled
        .as_ref()
        .map_or(has_mail, |enabled| enabled.value);
    if let Some(switch) = email.enabled.as_ref().filter(|_| enabled && !has_mail) {
        let problem = "nothing can be sent: [mail] with `url` and `from` is missing";
        findings.error(switch, Finding::new(problem));
    }
    Methods {
        passkey: passkey.value,
        email: enabled.then(|| EmailMethod {
            lifespan: email.lifespan.value.duration(),
            grants: match email.grants.value {
                Grants::Restricted => Grant::Restricted,
                Grants::Full => Grant::Full,
            },
        }),
        backup_codes: file
            .methods
            .backup_codes
            .enabled
            .value
            .then(|| BackupCodesMethod {
                count: file.methods.backup_codes.count.value.small(),
            }),
        pairing: file.methods.pairing.enabled.value,
    }
}

/// How mail leaves. The outer `None` stands for an error, the inner for no mail.
pub(super) fn mail(
    file: &File,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Option<MailConfig>> {
    let Some(section) = &file.mail else {
        return Some(None);
    };
    let Mail { url, from } = &*section.value;
    let url = findings.required(url.as_ref(), section, "url", mail_url::ACCEPTED);
    let from = findings.required(from.as_ref(), section, "from", SENDER);
    let transport = url.and_then(|url| transport(url, around, findings));
    let from = from.and_then(|from| sender(from, findings));
    Some(Some(MailConfig {
        transport: transport?,
        from: from?,
    }))
}

const SENDER: &str =
    "an address, or a name and an address such as \"Example <no-reply@example.com>\"";

fn sender(from: &At<String>, findings: &mut Findings<'_>) -> Option<Mailbox> {
    let mailbox = from.value.parse().ok();
    if mailbox.is_none() {
        findings.error(from, Finding::value(SENDER));
    }
    mailbox
}

fn transport(
    url: &At<SecretText>,
    around: Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<MailTransport> {
    // `file:` names a folder for mails as well as a file with the URL in it; which, the disk tells.
    let folder = match url.value.place() {
        SecretPlace::File(path) if !around.folder.join(path).is_file() => {
            Some(around.folder.join(path))
        }
        SecretPlace::File(_) | SecretPlace::Variable(_) | SecretPlace::Here(_) => None,
    };
    if let Some(folder) = folder {
        return Some(MailTransport::Folder(folder));
    }
    let finding = match secret::read(&url.value, around) {
        Ok(text) => match mail_url::parse(&text, around.folder) {
            Ok(transport) => {
                if let MailTransport::Smtp { ca: Some(file), .. } = &transport {
                    around.file(file);
                }
                return Some(transport);
            }
            Err(problem) => Finding::new(problem).expected(mail_url::ACCEPTED),
        },
        Err(problem) => Finding::new(problem),
    };
    findings.error(url, finding);
    None
}

/// How accounts come to be.
pub(super) fn enrolment(
    file: &File,
    methods: &Methods,
    findings: &mut Findings<'_>,
) -> Option<Enrolment> {
    let section = &file.enrolment;
    let mode = &section.mode;
    if mode.value != Mode::Invite && methods.email.is_none() {
        let problem = "people prove their address by mail, and methods.email is not enabled";
        findings.error(mode, Finding::new(problem));
    }
    let mode = match (mode.value, &section.domains) {
        (Mode::Domains, Some(list)) => EnrolmentMode::Domains(domains(list, findings)?),
        (Mode::Domains, None) => {
            if !findings.in_file("enrolment.domains") {
                let finding = Finding::new("needs enrolment.domains")
                    .expected("a list such as [\"example.com\"]");
                findings.error(mode, finding);
            }
            return None;
        }
        (Mode::Invite | Mode::Open, Some(list)) => {
            findings.error(
                list,
                Finding::new("has no effect").expected("it with mode = \"domains\" alone"),
            );
            return None;
        }
        (Mode::Invite, None) => EnrolmentMode::Invite,
        (Mode::Open, None) => EnrolmentMode::Open,
    };
    recovery(file, methods, findings);
    Some(Enrolment {
        mode,
        invitation_lifespan: section.invitation_lifespan.value.duration(),
        recovery_proofs: match section.recovery_proofs.value.number() {
            2 => RecoveryProofs::Two,
            _ => RecoveryProofs::One,
        },
        hold: section.hold.value.duration(),
        recovery_ends_sessions: section.recovery_ends_sessions.value,
    })
}

/// Whether people can come back at all, and hear of it when somebody else does.
fn recovery(file: &File, methods: &Methods, findings: &mut Findings<'_>) {
    let section = &file.enrolment;
    let two = section.recovery_proofs.value.number() == 2;
    if two && methods.email.is_none() && methods.backup_codes.is_none() {
        let problem = "nobody can give two proofs: neither mails nor backup codes are enabled, which leaves \
                       administrators' recovery links alone";
        findings.error(
            &section.recovery_proofs,
            Finding::new(problem).expected("1"),
        );
    }
    if let (true, Some(email)) = (two, methods.email)
        && email.grants == Grant::Full
    {
        let problem = "a mail alone opens everything (methods.email.grants = \"full\"); the second proof \
                       protects the saving of passkeys and nothing else";
        findings.warning(&section.recovery_proofs, Finding::new(problem));
    }
    let has_mail = file.mail.is_some() || findings.in_file("mail");
    if !section.hold.value.duration().is_zero() && !has_mail {
        let problem = "nobody is told of the passkey that waits: there is no [mail]";
        findings.warning(&section.hold, Finding::new(problem));
    }
}

/// A recovery link that waits longer is found by somebody else.
const MAX_RECOVERY_LIFESPAN: Duration = Duration::from_hours(7 * 24);

/// Who rescues people.
pub(super) fn admin(section: &file::Admin, findings: &mut Findings<'_>) -> Admin {
    if section.recovery_lifespan.value.duration() > MAX_RECOVERY_LIFESPAN {
        findings.error(&section.recovery_lifespan, Finding::value("at most \"7d\""));
    }
    if let Some(group) = section
        .group
        .as_ref()
        .filter(|group| !is_group(&group.value))
    {
        let accepted = "a group: 1 to 64 letters, digits, or any of - _ . : @";
        findings.error(group, Finding::value(accepted));
    }
    let text = |text: &Option<At<String>>| text.as_ref().map(|text| text.value.clone());
    Admin {
        group: text(&section.group),
        max_age: section.max_age.value.duration(),
        approvals: match section.recovery_approvals.value.number() {
            2 => Approvals::Two,
            _ => Approvals::One,
        },
        recovery_lifespan: section.recovery_lifespan.value.duration(),
        contact: text(&section.contact),
    }
}

/// The part of addresses after the `@`, in lower case; at least one.
pub(super) fn domains(list: &List<String>, findings: &mut Findings<'_>) -> Option<Vec<String>> {
    let accepted = "a domain of email addresses such as \"example.com\"";
    if !findings.filled(list, accepted) {
        return None;
    }
    let mut domains = Vec::new();
    for text in &list.value {
        match EmailAddress::parse(&format!("x@{}", text.value))
            .filter(|_| !text.value.contains('@'))
        {
            Some(address) => domains.push(address.domain().to_owned()),
            None => findings.error(text, Finding::value(accepted)),
        }
    }
    Some(domains)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use crate::config::compile::fixture::{APP, PARTY, ROUTE, assert_found, read};

    #[test]
    fn each_rule_of_methods_mail_and_enrolment_is_held() {
        let mail = "[mail]\nurl = \"file:mail\"\nfrom = \"a@example.com\"\n";
        for (text, expected) in [
            (
                "session = { lifetime = \"1h\", idle = \"2h\" }",
                "session.idle = \"2h\": longer than session.lifetime",
            ),
            (
                "methods.passkey.enabled = false",
                "methods.passkey.enabled = false: passkeys cannot be turned off",
            ),
            (
                "methods.email.enabled = true",
                "methods.email.enabled = true: nothing can be sent",
            ),
            (
                "methods.email.lifespan = \"25h\"",
                "methods.email.lifespan = \"25h\": wrong value; expected at most",
            ),
            (
                "enrolment.mode = \"open\"",
                "enrolment.mode = \"open\": people prove their address by mail",
            ),
            (
                "enrolment.domains = [\"example.com\"]",
                "enrolment.domains: has no effect",
            ),
            (
                "mail = { url = \"env:NOT_SET\", from = \"a@b.c\" }",
                "mail.url: the environment variable NOT_SET",
            ),
            (
                "mail = { url = \"file:m\", from = \"nobody\" }",
                "mail.from = \"nobody\": wrong value",
            ),
            (
                &format!("enrolment.mode = \"domains\"\n{mail}"),
                "enrolment.mode = \"domains\": needs enrolment.domains",
            ),
            (
                &format!("enrolment = {{ mode = \"domains\", domains = [] }}\n{mail}"),
                "enrolment.domains: empty list",
            ),
            (
                &format!("enrolment = {{ mode = \"domains\", domains = [\"a b\"] }}\n{mail}"),
                "domains[0] = \"a b\": wrong",
            ),
        ] {
            assert_found(&format!("{text}\n{PARTY}{APP}{ROUTE}"), expected);
        }
    }

    #[test]
    fn ways_back_that_cannot_work_are_pointed_out() {
        let mail = "mail = { url = \"file:m\", from = \"a@b.c\" }\n";
        for (text, expected) in [
            (
                "enrolment.recovery_proofs = 2\nmethods.backup_codes.enabled = false".to_owned(),
                "enrolment.recovery_proofs = 2: nobody can give two proofs",
            ),
            (
                format!("{mail}enrolment.recovery_proofs = 2\nmethods.email.grants = \"full\""),
                "warning: enrolment.recovery_proofs = 2: a mail alone opens everything",
            ),
            (
                "enrolment.hold = \"24h\"".to_owned(),
                "warning: enrolment.hold = \"24h\": nobody is told",
            ),
            (
                "enrolment.hold = \"60d\"".to_owned(),
                "enrolment.hold = \"60d\": wrong value; expected \"0s\" for none",
            ),
            (
                "admin.group = \"a b\"".to_owned(),
                "admin.group = \"a b\": wrong value; expected a group",
            ),
            (
                "admin.recovery_lifespan = \"8d\"".to_owned(),
                "admin.recovery_lifespan = \"8d\": wrong value; expected at most \"7d\"",
            ),
            (
                "methods.backup_codes.count = 3".to_owned(),
                "methods.backup_codes.count = 3: wrong value; expected a number from 4 to 20",
            ),
        ] {
            assert_found(&format!("{text}\n{PARTY}{APP}{ROUTE}"), expected);
        }
        let two = format!("{mail}enrolment.recovery_proofs = 2\n{PARTY}{APP}{ROUTE}");
        read(&TempDir::new().unwrap(), &two).unwrap();
    }

    #[test]
    fn the_mail_url_may_be_in_a_file_or_name_a_folder() {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("url"), "smtps://u:p@mail\n").unwrap();
        for (url, expected) in [("file:url", "smtp mail:465"), ("file:box", "folder ")] {
            let mail = format!("mail = {{ url = \"{url}\", from = \"a@b.c\" }}\n");
            let loaded = read(&folder, &format!("{mail}{PARTY}{APP}{ROUTE}")).unwrap();
            let transport = loaded.config.mail.unwrap().transport;
            assert!(
                format!("{transport:?}").starts_with(expected),
                "{transport:?}"
            );
        }
    }
}
