//! What becomes of requests that are kept until their sender has signed in, as it is counted.

use super::metrics::Label;

/// Something that happened to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldEvent {
    /// It is kept.
    Held,
    /// Not kept: longer than `hold.max_body`.
    TooLarge,
    /// Not kept: from another site.
    CrossSite,
    /// Not kept: the browser does not say which site it is from.
    UnknownOrigin,
    /// Not kept: `hold.room` is full, or the share of its network.
    NoRoom,
    /// Not kept: many came from one network in a short time.
    Throttled,
    /// Not kept: its body did not arrive whole and in time.
    Incomplete,
    /// Not kept, not looked up or not taken: the store does not answer.
    Unavailable,
    /// It was sent on.
    Resumed,
    /// No server could be reached; it waits again.
    GivenBack,
    /// Its sender did not want it sent.
    Discarded,
    /// It was to be sent a second time.
    AlreadySent,
    /// It was to be sent after its time.
    Expired,
    /// It was to be sent from another browser, or never was.
    NotFound,
    /// It was to be sent by another account than had sent it.
    OtherAccount,
    /// It was to be sent somewhere else, or by a page that is not ours.
    Forged,
}

impl Label for HoldEvent {
    const NAME: &'static str = "event";
    const ALL: &'static [Self] = &[
        Self::Held,
        Self::TooLarge,
        Self::CrossSite,
        Self::UnknownOrigin,
        Self::NoRoom,
        Self::Throttled,
        Self::Incomplete,
        Self::Unavailable,
        Self::Resumed,
        Self::GivenBack,
        Self::Discarded,
        Self::AlreadySent,
        Self::Expired,
        Self::NotFound,
        Self::OtherAccount,
        Self::Forged,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::TooLarge => "too_large",
            Self::CrossSite => "cross_site",
            Self::UnknownOrigin => "unknown_origin",
            Self::NoRoom => "no_room",
            Self::Throttled => "throttled",
            Self::Incomplete => "incomplete",
            Self::Unavailable => "unavailable",
            Self::Resumed => "resumed",
            Self::GivenBack => "given_back",
            Self::Discarded => "discarded",
            Self::AlreadySent => "already_sent",
            Self::Expired => "expired",
            Self::NotFound => "not_found",
            Self::OtherAccount => "other_account",
            Self::Forged => "forged",
        }
    }

    fn place(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_in_its_place() {
        for (place, event) in HoldEvent::ALL.iter().enumerate() {
            assert_eq!(event.place(), place, "{}", event.word());
        }
    }
}
