//! The one place that turns what went wrong into HTTP: a plain sentence, a way on and a request id, as a
//! page for people and as JSON for scripts.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::{session::SessionsError, store::StoreError};

/// Why a page could not do what was asked, in words for the person who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The answer's status.
    pub status: StatusCode,
    /// A word for scripts; stable.
    pub code: &'static str,
    /// The page's heading.
    pub heading: &'static str,
    /// What happened and what to do.
    pub sentence: &'static str,
    /// Where to go on: address and words.
    pub way_on: Option<(&'static str, &'static str)>,
}

/// What a handler gives.
pub type Outcome<T = Response> = Result<T, Refusal>;

const SIGN_IN: Option<(&str, &str)> = Some(("/.gatehouse/sign-in", "Go to sign-in"));
const WAYS_BACK: Option<(&str, &str)> = Some(("/.gatehouse/recover", "See all ways back"));
const ADMINISTRATION: Option<(&str, &str)> = Some(("/.gatehouse/admin", "Go to administration"));
const ACCOUNT: Option<(&str, &str)> = Some(("/.gatehouse/account", "Go to your account"));

impl Refusal {
    /// No such page.
    pub const NOT_FOUND: Self = Self {
        status: StatusCode::NOT_FOUND,
        code: "not_found",
        heading: "There is nothing here",
        sentence: "This address leads nowhere. Check it for a slip of the keyboard, or begin at the front page.",
        way_on: Some(("/", "Go to the front page")),
    };
    /// Nothing that is asked for in this way.
    pub const NOT_A_PAGE: Self = Self {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "not_a_page",
        heading: "This is not a page to open",
        sentence: "Only a form leads here, and nothing was changed. Open the page with the form and use that.",
        way_on: ACCOUNT,
    };
    /// Neither this form nor this browser's state is known any more.
    pub const FORM_EXPIRED: Self = Self {
        status: StatusCode::FORBIDDEN,
        code: "form_expired",
        heading: "This page has been open too long",
        sentence: "Nothing was changed. Open the page again and repeat the last step; cookies must be allowed.",
        way_on: SIGN_IN,
    };
    /// A session did not come over from the host where people sign in.
    pub const NOT_HANDED_ON: Self = Self {
        status: StatusCode::FORBIDDEN,
        code: "not_handed_on",
        heading: "You are not signed in here",
        sentence: "Your sign-in did not come over to this address. Please try again; cookies must be allowed.",
        way_on: Some(("/", "Try again")),
    };
    /// A form of a page that another host has.
    pub const ELSEWHERE: Self = Self {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "elsewhere",
        heading: "This is done at another address",
        sentence: "Nothing was changed. Your account and all that belongs to it is managed where you sign in.",
        way_on: ACCOUNT,
    };
    /// The request does not read as what it should be.
    pub const MALFORMED: Self = Self {
        status: StatusCode::BAD_REQUEST,
        code: "malformed",
        heading: "That could not be read",
        sentence: "What the browser sent was incomplete or not in the expected form. Nothing was changed. \
                   Open the page again and repeat the last step.",
        way_on: SIGN_IN,
    };
    /// A form that is larger than any of ours.
    pub const TOO_LARGE: Self = Self {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        code: "too_large",
        heading: "That was too much",
        sentence: "What the browser sent is larger than any form here needs. Nothing was changed. Enter less and \
                   try again.",
        way_on: SIGN_IN,
    };
    /// Too many attempts from one network or for one account.
    pub const THROTTLED: Self = Self {
        status: StatusCode::TOO_MANY_REQUESTS,
        code: "throttled",
        heading: "Please wait a moment",
        sentence: "There have been many attempts in a short time. Wait a minute and try again.",
        way_on: SIGN_IN,
    };
    /// The store does not answer.
    pub const UNAVAILABLE: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: "unavailable",
        heading: "That is not possible right now",
        sentence: "Something needed for this is out of order. Nothing was changed; please try again in a minute. \
                   Whoever is signed in stays signed in.",
        way_on: SIGN_IN,
    };
    /// Something is wrong with us.
    pub const INTERNAL: Self = Self {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        code: "internal",
        heading: "Something went wrong here",
        sentence: "It is not your fault. Please try again; if it happens once more, tell whoever runs this \
                   site the request number.",
        way_on: SIGN_IN,
    };
    /// Only for those who are signed in.
    pub const SIGN_IN_FIRST: Self = Self {
        status: StatusCode::UNAUTHORIZED,
        code: "sign_in_required",
        heading: "Please sign in first",
        sentence: "You are not signed in, or not any more. Sign in, then try again.",
        way_on: SIGN_IN,
    };
    /// Only with a fresh passkey check.
    pub const STEP_UP_FIRST: Self = Self {
        status: StatusCode::FORBIDDEN,
        code: "step_up_required",
        heading: "Please confirm it's you",
        sentence: "This needs a passkey check from the last few minutes. Confirm with your passkey, then try again.",
        way_on: ACCOUNT,
    };
    /// Saving a passkey would be a recovery, and takes more proofs than were given.
    pub const ONE_MORE_PROOF: Self = Self {
        status: StatusCode::FORBIDDEN,
        code: "one_more_proof",
        heading: "One more proof is needed",
        sentence: "Saving a new passkey to this account takes one more proof that it is yours: choose another way back.",
        way_on: WAYS_BACK,
    };
    /// The passkey's answer did not verify.
    pub const PASSKEY_NOT_VERIFIED: Self = Self {
        status: StatusCode::BAD_REQUEST,
        code: "passkey_not_verified",
        heading: "That passkey did not work here",
        sentence: "The answer of the passkey could not be verified. Try again, or another way.",
        way_on: WAYS_BACK,
    };
    /// The exchange with the passkey took too long, was used, or began in another browser.
    pub const CEREMONY_OVER: Self = Self {
        status: StatusCode::CONFLICT,
        code: "ceremony_over",
        heading: "That took too long",
        sentence: "This attempt has ended. Please try once more.",
        way_on: SIGN_IN,
    };
    /// The passkey is saved already.
    pub const ALREADY_SAVED: Self = Self {
        status: StatusCode::CONFLICT,
        code: "already_saved",
        heading: "This passkey is saved already",
        sentence: "This device has a passkey for this site. You can sign in with it.",
        way_on: SIGN_IN,
    };
    /// The link is worth nothing any more, or never was.
    pub const LINK_OVER: Self = Self {
        status: StatusCode::GONE,
        code: "link_over",
        heading: "This link can't be used any more",
        sentence: "It has expired, was used already, or a newer mail has taken its place. Ask for a new one.",
        way_on: SIGN_IN,
    };
    /// A backup code is worth nothing here.
    pub const CODE_OVER: Self = Self {
        status: StatusCode::GONE,
        code: "code_over",
        heading: "That code does not work",
        sentence: "It may be mistyped, used already, or replaced by newer ones. Try another code, or another way.",
        way_on: WAYS_BACK,
    };
    /// A pairing has ended, was refused, or is another browser's.
    pub const PAIRING_OVER: Self = Self {
        status: StatusCode::GONE,
        code: "pairing_over",
        heading: "This attempt has ended",
        sentence: "It has expired, was refused or was used already. Begin again on the device that wants to get in.",
        way_on: Some(("/.gatehouse/pair", "Begin again")),
    };
    /// The picture that led a phone here is too old, or not ours.
    pub const OFFER_OVER: Self = Self {
        status: StatusCode::GONE,
        code: "offer_over",
        heading: "This code is too old",
        sentence: "Choose “New code” on your computer, then scan it again with this phone.",
        way_on: SIGN_IN,
    };
    /// The number on the other screen was not typed.
    pub const NUMBER_MISSING: Self = Self {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        code: "number_missing",
        heading: "The number is missing",
        sentence: "First type the two digits that the other device shows.",
        way_on: None,
    };
    /// Several devices asked to be let in within a short time.
    pub const PAIRING_BLOCKED: Self = Self {
        status: StatusCode::FORBIDDEN,
        code: "pairing_blocked",
        heading: "No device is let in for now",
        sentence: "Several devices asked to get into your account within a short time, so for 15 minutes none is let \
                   in. If you did not start this yourself, somebody may be trying to trick you: let nobody in, \
                   whoever asks.",
        way_on: ACCOUNT,
    };
    /// Letting a device in needs more than this session has.
    pub const PAIRING_NEEDS_FULL: Self = Self {
        status: StatusCode::FORBIDDEN,
        code: "full_session_required",
        heading: "This device can't let another in yet",
        sentence: "You are signed in here without a passkey. Save one on this device first, or use a device on which \
                   you sign in with a passkey.",
        way_on: Some(("/.gatehouse/enrol", "Save a passkey here")),
    };
    /// Not the number that the other device shows.
    pub const WRONG_NUMBER: Self = Self {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        code: "wrong_number",
        heading: "That is not the number",
        sentence: "That is not the number the other device shows. Look at its screen and type it once more. If you \
                   do not have that screen in front of you, refuse.",
        way_on: None,
    };
    /// An invitation is worth nothing any more, or never was.
    pub const INVITATION_OVER: Self = Self {
        status: StatusCode::GONE,
        code: "invitation_over",
        heading: "This invitation can't be used any more",
        sentence: "It has expired or was used already. If you have saved a passkey with it, sign in; if that is \
                   lost, the sign-in page says what to do. Otherwise ask whoever invited you for a new one.",
        way_on: SIGN_IN,
    };
    /// A *this was not me* that can't be said any more, or never could.
    pub const REPORT_OVER: Self = Self {
        status: StatusCode::GONE,
        code: "report_over",
        heading: "This link can't be used any more",
        sentence: "It is too old, or incomplete, so nothing was stopped. If something in your account was not you, \
                   sign in with your passkey and look at your account, or ask whoever runs this site.",
        way_on: Some((
            "/.gatehouse/sign-in?return_to=/.gatehouse/account",
            "Look at your account",
        )),
    };
    /// What proves a new address is worth nothing any more, is for another account, or the address is taken:
    /// which of them is not to be learnt.
    pub const ADDRESS_OVER: Self = Self {
        status: StatusCode::GONE,
        code: "address_over",
        heading: "This address was not confirmed",
        sentence: "The link or code has expired, was used already, a newer one has taken its place, or the address \
                   can't be used. Your account keeps the address it had.",
        way_on: Some(("/.gatehouse/account/email", "Try again")),
    };
    /// A recovery link is worth nothing any more, or never was.
    pub const RECOVERY_LINK_OVER: Self = Self {
        status: StatusCode::GONE,
        code: "recovery_link_over",
        heading: "This recovery link can't be used any more",
        sentence: "It works once and for a short time, and a newer one takes its place. If you have saved a passkey \
                   since, sign in with it; otherwise ask whoever gave you the link for a new one.",
        way_on: SIGN_IN,
    };
    /// A recovery that administrators grant can go no further.
    pub const RECOVERY_OVER: Self = Self {
        status: StatusCode::GONE,
        code: "recovery_over",
        heading: "This recovery is over",
        sentence: "Its link was given out already, it has expired, or a newer one took its place. Nothing was changed. Ask for \
                   another one if it is still needed.",
        way_on: ADMINISTRATION,
    };
    /// Nobody recovers, disables or strips their own account.
    pub const OWN_ACCOUNT: Self = Self {
        status: StatusCode::FORBIDDEN,
        code: "own_account",
        heading: "This is your own account",
        sentence: "Nobody does this to their own account. Please ask another administrator.",
        way_on: ADMINISTRATION,
    };
    /// Nobody approves what they asked for.
    pub const OWN_REQUEST: Self = Self {
        status: StatusCode::FORBIDDEN,
        code: "own_request",
        heading: "You asked for this yourself",
        sentence: "Another administrator has to look at it and approve it. Nothing was changed.",
        way_on: ADMINISTRATION,
    };
    /// Only who asked collects the link.
    pub const OTHERS_REQUEST: Self = Self {
        status: StatusCode::FORBIDDEN,
        code: "others_request",
        heading: "Another administrator asked for this",
        sentence: "The link is given to whoever asked for the recovery, and to nobody else. Nothing was changed. \
                   Ask them for it.",
        way_on: ADMINISTRATION,
    };
    /// A second administrator has yet to agree.
    pub const NOT_APPROVED: Self = Self {
        status: StatusCode::CONFLICT,
        code: "not_approved",
        heading: "Not approved yet",
        sentence: "A second administrator has to approve this recovery before its link can be had. Ask one to.",
        way_on: ADMINISTRATION,
    };
    /// The account is disabled: what was asked would open nothing.
    pub const ACCOUNT_DISABLED: Self = Self {
        status: StatusCode::CONFLICT,
        code: "account_disabled",
        heading: "This account is disabled",
        sentence: "Enable it first; until then no link opens it. Nothing was changed.",
        way_on: ADMINISTRATION,
    };
    /// An invitation is for a first passkey.
    pub const HAS_HAD_PASSKEYS: Self = Self {
        status: StatusCode::CONFLICT,
        code: "has_had_passkeys",
        heading: "This person has an account with a passkey",
        sentence: "An invitation saves the first passkey of an account. Whoever has lost theirs gets a recovery link.",
        way_on: ADMINISTRATION,
    };
    /// Administrators are made at the command line.
    pub const ADMINISTRATORS_GROUP: Self = Self {
        status: StatusCode::FORBIDDEN,
        code: "administrators_group",
        heading: "Administrators are not made here",
        sentence: "Only the command line puts an account into the group of administrators. Nothing was changed. \
                   Ask whoever runs the server.",
        way_on: ADMINISTRATION,
    };
    /// Another account has the login name or address.
    pub const NAME_TAKEN: Self = Self {
        status: StatusCode::CONFLICT,
        code: "name_taken",
        heading: "That name is taken",
        sentence: "Another account has this login name or address. Nothing was changed. Choose another one, or look for the account \
                   that has it.",
        way_on: ADMINISTRATION,
    };
    /// No mail leaves this deployment.
    pub const NO_MAIL: Self = Self {
        status: StatusCode::CONFLICT,
        code: "no_mail",
        heading: "No mail can be sent",
        sentence: "This deployment sends no mail. Invite without it and hand the link over. Nothing was changed.",
        way_on: ADMINISTRATION,
    };
    /// The account may not sign in.
    pub const ACCOUNT_CLOSED: Self = Self {
        status: StatusCode::FORBIDDEN,
        code: "account_closed",
        heading: "This account can't sign in",
        sentence: "It was closed by whoever runs this site. Please ask them, and tell them the request number.",
        way_on: None,
    };
    /// This deployment does not offer it.
    pub const NOT_OFFERED: Self = Self {
        status: StatusCode::NOT_FOUND,
        code: "not_offered",
        heading: "This way is not offered here",
        sentence: "Whoever runs this site has not switched it on. Choose another way.",
        way_on: WAYS_BACK,
    };
}

impl IntoResponse for Refusal {
    /// Bare: `web::respond` turns it into a page or JSON, as the request asks.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a page could not use the store");
        match error {
            StoreError::Unavailable { .. } => Self::UNAVAILABLE,
            StoreError::Corrupt { .. } | StoreError::Newer { .. } => Self::INTERNAL,
        }
    }
}

impl From<SessionsError> for Refusal {
    fn from(error: SessionsError) -> Self {
        match error {
            SessionsError::Store(error) => error.into(),
            SessionsError::WrongSecret => {
                tracing::error!(%error, "the key ring could not be read; restart the gateway with that secret");
                Self::INTERNAL
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Refusal] = &[
        Refusal::NOT_FOUND,
        Refusal::NOT_A_PAGE,
        Refusal::FORM_EXPIRED,
        Refusal::NOT_HANDED_ON,
        Refusal::ELSEWHERE,
        Refusal::MALFORMED,
        Refusal::TOO_LARGE,
        Refusal::THROTTLED,
        Refusal::UNAVAILABLE,
        Refusal::INTERNAL,
        Refusal::SIGN_IN_FIRST,
        Refusal::STEP_UP_FIRST,
        Refusal::ONE_MORE_PROOF,
        Refusal::PASSKEY_NOT_VERIFIED,
        Refusal::CEREMONY_OVER,
        Refusal::ALREADY_SAVED,
        Refusal::LINK_OVER,
        Refusal::CODE_OVER,
        Refusal::PAIRING_OVER,
        Refusal::OFFER_OVER,
        Refusal::NUMBER_MISSING,
        Refusal::PAIRING_BLOCKED,
        Refusal::PAIRING_NEEDS_FULL,
        Refusal::WRONG_NUMBER,
        Refusal::INVITATION_OVER,
        Refusal::REPORT_OVER,
        Refusal::ADDRESS_OVER,
        Refusal::RECOVERY_LINK_OVER,
        Refusal::RECOVERY_OVER,
        Refusal::OWN_ACCOUNT,
        Refusal::OWN_REQUEST,
        Refusal::OTHERS_REQUEST,
        Refusal::NOT_APPROVED,
        Refusal::ACCOUNT_DISABLED,
        Refusal::HAS_HAD_PASSKEYS,
        Refusal::ADMINISTRATORS_GROUP,
        Refusal::NAME_TAKEN,
        Refusal::NO_MAIL,
        Refusal::ACCOUNT_CLOSED,
        Refusal::NOT_OFFERED,
    ];

    #[test]
    fn every_refusal_says_what_happened_and_what_to_do_in_plain_words() {
        let written = include_str!("error.rs").matches(": Self = Self {").count();
        // One more: the line above.
        assert_eq!(ALL.len() + 1, written, "a refusal is not in the list");
        for refusal in ALL {
            let Refusal {
                code,
                heading,
                sentence,
                way_on,
                ..
            } = refusal;
            assert!(
                !heading.is_empty() && !heading.ends_with('.'),
                "{code}: {heading}"
            );
            assert!(
                sentence.len() > 30 && sentence.ends_with('.'),
                "{code}: {sentence}"
            );
            let step = [
                "try", "ask", "type", "Choose", "wait", "Wait", "Open", "Begin",
            ];
            assert!(
                way_on.is_some() || step.iter().any(|word| sentence.contains(word)),
                "{code} leads nowhere: {sentence}"
            );
            for jargon in [
                "session",
                "upstream",
                "token",
                "invalid",
                "null",
                "parameter",
                "exception",
                "error",
                "  ",
            ] {
                assert!(
                    !sentence.contains(jargon) && !heading.contains(jargon),
                    "{code}: {sentence}"
                );
            }
        }
    }
}
