//! Every page, as data: one askama template each, in `src/web/templates`.
//!
//! A page is what a handler fills in and nothing more: it decides nothing, and all of its words are in its
//! template. The markup is whole without script; `static/app.js` only adds passkeys to it. The rules that
//! hold for all pages (one heading, labels, no inline script or style) are tested here.

mod account;
mod address;
mod admin;
mod error;
mod lost_passkey;
mod pairing;
mod passkey;
mod recovery;
mod resume;
#[cfg(test)]
mod samples;
mod sign_in;
mod takeover;
mod ways_back;

pub use account::{
    AccountPage, KnownToBrowsers, PasskeyRow, PasskeyStanding, RemovePasskey, SessionRow, SignOut,
    SignedOut,
};
pub use address::{AddressLink, ChangeAddress, CheckAddress};
pub use admin::{
    AdminAccount, AdminAct, AdminHandover, AdminHome, AdminInvite, AdminPasskey, AdminRecord,
    AdminRecover, AdminRecoveries, AdminRecovery, AdminSession, FoundAccount, InviteForm,
};
pub use error::{BareFrame, ErrorPage};
pub use lost_passkey::{LostPasskey, OneMoreProof, RecoverByEmail, WaysOffered};
pub use pairing::{Pair, PairApprove, PairCode, PairDone, PairPhone, PairWait};
pub use passkey::{Enrol, Invitation, PasskeyHeld, PasskeySaved, Recovering, StepUp};
pub use recovery::RecoveryLink;
pub use resume::{HeldKind, Resume, ResumeDiscarded};
pub use sign_in::{CheckMail, EmailForm, MailLink, SignIn};
pub use takeover::{Alert, AllowRecovery, NotMe, Stopped, Takeover, WaitingPasskey, WhatStopped};
pub use ways_back::{
    BackupCodesMade, ChooseWayBack, MakeBackupCodes, RecoverByCode, Reminder, WaysBackCard,
};

use crate::assets::Assets;
use crate::config::Branding;

/// What surrounds every page.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The operator's name and logo.
    pub branding: &'a Branding,
    /// Stylesheets, script, icon.
    pub assets: &'a Assets,
    /// Sent back with every state change, against cross-site request forgery.
    pub form_token: &'a str,
    /// The login name, once there is a session.
    pub signed_in_as: Option<&'a str>,
    /// Whether signing in by email is offered here.
    pub email_offered: bool,
    /// Whether this is an administrator.
    pub administers: bool,
}

impl Frame<'_> {
    fn name(&self) -> &str {
        &self.branding.name
    }

    fn assets(&self) -> Option<&Assets> {
        Some(self.assets)
    }

    fn logo(&self) -> Option<&str> {
        self.assets.logo()
    }

    fn signed_in_as(&self) -> Option<&str> {
        self.signed_in_as
    }

    fn administers(&self) -> bool {
        self.administers
    }
}

/// A code of eight digits as people read it: `1234 5678`. Anything else stays as it is.
fn grouped(code: &str) -> String {
    if code.len() == 8 && code.is_ascii() {
        format!("{} {}", &code[..4], &code[4..])
    } else {
        code.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use samples::{HOSTILE, Sample, samples};

    /// Start tags of one element.
    fn tags<'a>(html: &'a str, element: &str) -> Vec<&'a str> {
        let opening = format!("<{element}");
        html.match_indices(&opening)
            .map(|(at, _)| &html[at..])
            .filter(|rest| !rest.as_bytes()[opening.len()].is_ascii_alphanumeric())
            .map(|rest| &rest[..=rest.find('>').unwrap()])
            .collect()
    }

    fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    }

    fn page(name: &str) -> String {
        samples("Ada")
            .into_iter()
            .find(|sample| sample.name == name)
            .unwrap_or_else(|| panic!("no sample {name}"))
            .html
    }

    #[test]
    fn every_page_has_one_heading_one_main_and_a_title() {
        for Sample { name, html } in samples("Ada") {
            assert_eq!(tags(&html, "h1").len(), 1, "{name}");
            assert_eq!(tags(&html, "main").len(), 1, "{name}");
            assert_eq!(tags(&html, "title").len(), 1, "{name}");
            assert!(
                html.starts_with("<!doctype html>\n<html lang=\"en\">"),
                "{name}"
            );
        }
    }

    #[test]
    fn nothing_on_any_page_needs_a_looser_content_security_policy() {
        for Sample { name, html } in samples("Ada") {
            assert!(tags(&html, "style").is_empty(), "{name}");
            assert!(!html.contains(" style="), "{name}");
            assert!(!html.contains("javascript:"), "{name}");
            for script in tags(&html, "script") {
                assert!(
                    script.contains(" src=\"/.gatehouse/assets/app-"),
                    "{name}: {script}"
                );
            }
            let (handlers, _) = html
                .match_indices(" on")
                .map(|(at, _)| html[at + 3..].trim_start_matches(|c: char| c.is_ascii_lowercase()))
                .partition::<Vec<_>, _>(|rest| rest.starts_with('='));
            assert!(handlers.is_empty(), "{name}");
        }
    }

    #[test]
    fn hostile_values_stay_text() {
        for Sample { name, html } in samples(HOSTILE) {
            assert!(!html.contains("<b>"), "{name}");
            assert!(!html.contains("onclick='"), "{name}");
        }
    }

    #[test]
    fn every_form_that_changes_state_carries_the_token() {
        for Sample { name, html } in samples("Ada") {
            for form in html.split("<form").skip(1) {
                let (form, _) = form.split_once("</form>").unwrap();
                // A search changes nothing; its address can be kept.
                if form.starts_with(" method=\"get\"") {
                    continue;
                }
                assert!(form.contains(" method=\"post\""), "{name}: {form}");
                assert!(
                    form.contains("<input type=\"hidden\" name=\"form_token\" value=\"token\">"),
                    "{name}: {form}"
                );
            }
        }
    }

    #[test]
    fn every_field_has_a_label_and_every_id_is_used_once() {
        for Sample { name, html } in samples("Ada") {
            for input in tags(&html, "input") {
                if attribute(input, "type") == Some("hidden") {
                    continue;
                }
                let id = attribute(input, "id").unwrap();
                assert!(
                    html.contains(&format!("<label for=\"{id}\"")),
                    "{name}: {id}"
                );
            }
            for (at, _) in html.match_indices(" id=\"") {
                let id = html[at + 5..].split('"').next().unwrap();
                assert_eq!(
                    html.matches(&format!(" id=\"{id}\"")).count(),
                    1,
                    "{name}: {id}"
                );
            }
            for described in html.split(" aria-describedby=\"").skip(1) {
                let (ids, _) = described.split_once('"').unwrap();
                for id in ids.split(' ') {
                    assert!(html.contains(&format!(" id=\"{id}\"")), "{name}: {id}");
                }
            }
        }
    }

    #[test]
    fn signing_in_says_what_was_agreed() {
        let html = page("sign-in");
        for words in [
            ">Sign in</h1>",
            "Sign in with passkey",
            "Can't use passkey?",
            "Get a sign-in link by email",
            "Send link",
            "Use email instead",
        ] {
            assert!(html.contains(words), "{words}");
        }
        assert!(html.contains("autocomplete=\"username webauthn\""));
    }

    #[test]
    fn without_script_the_email_part_is_open_and_the_passkey_button_off() {
        let html = page("sign-in");
        let [details] = tags(&html, "details")[..] else {
            panic!("one disclosure")
        };
        assert!(details.contains(" open"));
        assert!(html.contains(" disabled>"));
    }

    #[test]
    fn without_the_email_method_nothing_offers_it() {
        let html = page("sign-in-passkey-only");
        for words in ["Can't use passkey?", "Use email instead", "type=\"email\""] {
            assert!(!html.contains(words), "{words}");
        }
    }

    #[test]
    fn a_field_error_is_tied_to_its_field() {
        for name in [
            "sign-in-error",
            "check-mail-error",
            "recover-by-email-error",
            "pair-code-error",
        ] {
            let html = page(name);
            assert!(html.contains("aria-invalid=\"true\""), "{name}");
            assert!(html.contains("<title>Error: "), "{name}");
        }
    }

    #[test]
    fn a_link_opened_elsewhere_shows_the_code_and_offers_nothing() {
        let html = page("mail-link-other");
        assert!(html.contains("1234 5678"));
        for element in ["form", "button", "a", "input"] {
            assert!(tags(&html, element).is_empty(), "{element}");
        }
        assert!(!html.contains("secret-token"));
        assert!(!page("mail-link-same").contains("1234"));
    }

    #[test]
    fn enrolment_and_step_up_say_what_was_agreed() {
        assert!(page("invitation").contains("Create a passkey"));
        assert!(page("passkey-saved").contains(">Passkey saved to this device</h1>"));
        let html = page("step-up");
        for words in [
            "Confirm it's you",
            "Confirm with passkey",
            "Lost this passkey?",
        ] {
            assert!(html.contains(words), "{words}");
        }
    }

    #[test]
    fn who_lost_a_passkey_finds_every_way_on_offer_and_no_other() {
        let ways = [
            "/.gatehouse/recover/email?",
            "/.gatehouse/recover/code?",
            "/.gatehouse/pair?",
        ];
        let html = page("lost-passkey");
        assert!(html.contains(">Lost your passkey?</h1>"));
        assert!(ways.iter().all(|way| html.contains(way)), "{html}");
        let html = page("lost-passkey-no-way");
        assert!(!ways.iter().any(|way| html.contains(way)), "{html}");
        assert!(html.contains("Ask whoever runs this site"));
        for name in ["sign-in", "sign-in-passkey-only", "step-up"] {
            assert!(page(name).contains("/.gatehouse/recover?"), "{name}");
        }
    }

    #[test]
    fn one_more_proof_says_what_was_given_and_what_remains() {
        let html = page("one-more-proof");
        for words in [
            ">One more proof is needed</h1>",
            "You read mail.",
            "/recover/code?",
        ] {
            assert!(html.contains(words), "{words}");
        }
        assert!(!html.contains("/recover/email?"));
        assert!(page("one-more-proof-of-two").contains(">Two proofs are needed</h1>"));
    }

    #[test]
    fn a_passkey_that_waits_says_until_when_and_how_to_stop_it() {
        for name in ["passkey-held", "passkey-held-waiting"] {
            let html = page(name);
            assert!(html.contains("22 Nov 2026, 10:21 UTC"), "{name}");
            assert!(html.contains("Was it not you"), "{name}");
        }
        assert!(!page("passkey-held-over").contains("22 Nov 2026"));
    }

    #[test]
    fn a_restricted_session_manages_no_passkeys() {
        let html = page("account-restricted");
        assert!(!html.contains("/rename"));
        assert!(!html.contains("/remove"));
        assert!(html.contains("/.gatehouse/enrol"));
        assert!(page("account").contains("/passkeys/aaaa/remove"));
    }

    #[test]
    fn removing_the_last_passkey_is_warned_of() {
        assert!(!page("remove-passkey").contains("last passkey"));
        assert!(page("remove-last-passkey").contains("last passkey"));
        assert!(page("remove-only-way-in").contains("locked out"));
    }

    #[test]
    fn ways_back_are_changed_in_full_sessions_alone_and_warned_of_while_missing() {
        let html = page("account-restricted");
        assert!(!html.contains("/account/ways-back") && !html.contains("/account/backup-codes"));
        assert!(!page("account").contains("You could be locked out"));
        for name in ["account-no-way-back", "reminder-no-way-back"] {
            let html = page(name);
            assert!(html.contains("You could be locked out"), "{name}");
            assert!(html.contains("Save another passkey"), "{name}");
            assert!(html.contains("Allow email"), "{name}");
        }
        assert!(page("account-few-codes").contains("Only one is left"));
    }

    #[test]
    fn backup_codes_are_whole_on_paper_and_warned_of_before_they_are_replaced() {
        let html = page("backup-codes-made");
        assert_eq!(html.matches("7Q4K-9XWN-B2TD-05HV").count(), 10);
        assert!(html.contains("print-only") && html.contains("I have saved them"));
        assert_eq!(tags(&html, "button").len(), 3);
        for button in tags(&html, "button") {
            assert!(button.contains(" hidden"), "a script shows {button}");
        }
        assert!(page("make-backup-codes-anew").contains("stop working at once"));
        assert!(!page("make-backup-codes").contains("stop working"));
    }

    #[test]
    fn an_error_page_needs_nothing_but_its_words() {
        let html = page("error-bare");
        assert!(!html.contains("/.gatehouse/assets/"));
        assert!(html.contains("Something went wrong"));
        assert!(html.contains("0123456789abcdef"));
    }

    #[test]
    fn a_code_is_shown_in_two_groups() {
        assert_eq!(grouped("12345678"), "1234 5678");
        assert_eq!(grouped("1234"), "1234");
        assert_eq!(grouped("éééé"), "éééé");
    }

    /// Not a rule but a way to look: writes every page where the variable says, to be opened in a browser.
    #[test]
    fn pages_are_written_where_asked() {
        let Some(folder) = std::env::var_os("GATEHOUSE_PAGES_DIR") else {
            return;
        };
        samples::write_all(std::path::Path::new(&folder)).unwrap();
    }
}
