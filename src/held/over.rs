//! Why something that was kept is not sent, in words.

use axum::http::StatusCode;

use crate::{
    store::{HeldState, StoreError},
    telemetry::metrics::HoldEvent,
    web::error::Refusal,
};

/// Why something that was kept is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It was sent, or at least begun to be.
    Sent,
    /// Its sender did not want it sent.
    Discarded,
    /// Its time is over.
    Expired,
    /// This browser has none such on this host; which of the two is nobody's business.
    NotFound,
    /// Another account sent it, and no other sends it on.
    OtherAccount,
    /// The account may not send it at all.
    NotAllowed,
    /// It was to go elsewhere.
    Elsewhere,
    /// The button was on a page that is not ours, or too old.
    Forged,
    /// Many ask at once.
    Throttled,
    /// The store does not answer.
    Unavailable,
}

impl Over {
    /// The store does not answer, which is logged here.
    pub fn unavailable(error: StoreError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(%error, cause, "what is kept to be sent cannot be had");
        Self::Unavailable
    }

    /// As it is counted.
    pub const fn event(self) -> HoldEvent {
        match self {
            Self::Sent => HoldEvent::AlreadySent,
            Self::Discarded | Self::NotFound => HoldEvent::NotFound,
            Self::Expired => HoldEvent::Expired,
            Self::OtherAccount | Self::NotAllowed => HoldEvent::OtherAccount,
            Self::Elsewhere | Self::Forged => HoldEvent::Forged,
            Self::Throttled => HoldEvent::Throttled,
            Self::Unavailable => HoldEvent::Unavailable,
        }
    }

    /// What the person is told.
    pub const fn refusal(self) -> Refusal {
        let (status, code, heading, sentence) = self.words();
        Refusal {
            status,
            code,
            heading,
            sentence,
            way_on: match self {
                Self::Sent | Self::Discarded | Self::Expired | Self::NotFound => {
                    Some(("/", "Go to the front page"))
                }
                Self::OtherAccount | Self::NotAllowed => {
                    Some(("/.gatehouse/account", "Go to your account"))
                }
                Self::Elsewhere | Self::Forged | Self::Throttled | Self::Unavailable => None,
            },
        }
    }

    const fn words(self) -> (StatusCode, &'static str, &'static str, &'static str) {
        match self {
            Self::Sent => (
                StatusCode::CONFLICT,
                "already_sent",
                "This was sent already",
                "It goes out once and was not sent again. If you saw no answer, look in the application whether it \
                 arrived before you enter it anew.",
            ),
            Self::Discarded => (
                StatusCode::GONE,
                "discarded",
                "Nothing was sent",
                "You chose not to send this, so it is not kept any more.",
            ),
            Self::Expired => (
                StatusCode::GONE,
                "kept_too_long",
                "Nothing was sent",
                "This took too long: what you had entered was kept for a while, and that is over. Go back to the \
                 page with the form and send it again; your browser's back button may still have what you typed.",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "not_kept_here",
                "Nothing was sent",
                "Nothing waits to be sent here. What was kept opens only in the browser it was sent from, for a \
                 short time, and with cookies allowed. Go back to the page with the form and send it again.",
            ),
            Self::OtherAccount => (
                StatusCode::FORBIDDEN,
                "other_account",
                "Nothing was sent",
                "This was entered by somebody who was signed in here with another account, and only they can send it.",
            ),
            Self::NotAllowed => (
                StatusCode::FORBIDDEN,
                "not_allowed",
                "Nothing was sent",
                "Your account may not send this. If it should, ask whoever runs this site.",
            ),
            Self::Elsewhere => (
                StatusCode::BAD_REQUEST,
                "other_address",
                "Nothing was sent",
                "What was kept was to go to another address than this one.",
            ),
            Self::Forged => (
                StatusCode::FORBIDDEN,
                "form_expired",
                "Nothing was sent",
                "The page with the button is too old, or it came from somewhere else. Open it again and press the \
                 button once more.",
            ),
            Self::Throttled => (
                StatusCode::TOO_MANY_REQUESTS,
                "throttled",
                "Nothing was sent yet",
                "There have been many attempts in a short time. Wait a minute and try again; what you entered is \
                 still kept.",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Nothing was sent yet",
                "Something needed for this is out of order. Please try again in a minute; what you entered is still \
                 kept.",
            ),
        }
    }
}

impl From<HeldState> for Over {
    fn from(state: HeldState) -> Self {
        match state {
            // Whoever asked to take what waits has it.
            HeldState::Waiting => Self::NotFound,
            HeldState::Taken => Self::Sent,
            HeldState::Discarded => Self::Discarded,
            HeldState::Expired => Self::Expired,
        }
    }
}

impl From<Over> for Refusal {
    fn from(over: Over) -> Self {
        over.refusal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_says_plainly_that_nothing_was_sent_or_that_it_was() {
        for over in [
            Over::Discarded,
            Over::Expired,
            Over::NotFound,
            Over::OtherAccount,
            Over::NotAllowed,
            Over::Elsewhere,
            Over::Forged,
            Over::Throttled,
            Over::Unavailable,
        ] {
            let heading = over.refusal().heading;
            assert!(heading.starts_with("Nothing was sent"), "{over:?}");
        }
        assert_eq!(Over::Sent.refusal().heading, "This was sent already");
    }
}
