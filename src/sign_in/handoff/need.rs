//! What a host asks of the session that it is to be given.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, policy::decision::Challenge, session::Claims};

/// What a session has to be, from little to much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Need {
    /// Any.
    SignIn,
    /// Unrestricted.
    Full,
    /// Unrestricted, with a step-up at most so old, in seconds.
    StepUp { max_age_s: u64 },
}

impl Need {
    /// What meets a challenge.
    pub fn of(challenge: Challenge) -> Self {
        match challenge {
            Challenge::SignIn => Self::SignIn,
            Challenge::ReEnrol => Self::Full,
            Challenge::StepUp { max_age } => Self::StepUp {
                max_age_s: max_age.as_secs(),
            },
        }
    }

    /// As in an address: `need`, and `max_age` in seconds.
    pub fn parse(name: &str, max_age_s: Option<u64>) -> Option<Self> {
        match (name, max_age_s) {
            ("sign-in", None) => Some(Self::SignIn),
            ("full", None) => Some(Self::Full),
            ("step-up", Some(max_age_s)) => Some(Self::StepUp { max_age_s }),
            _ => None,
        }
    }

    /// The value of `need`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Full => "full",
            Self::StepUp { .. } => "step-up",
        }
    }

    /// The value of `max_age`, in seconds.
    pub const fn max_age_s(self) -> Option<u64> {
        match self {
            Self::SignIn | Self::Full => None,
            Self::StepUp { max_age_s } => Some(max_age_s),
        }
    }

    /// The one of the two that asks for more.
    pub fn stricter(self, other: Self) -> Self {
        match (self, other) {
            (Self::StepUp { max_age_s: one }, Self::StepUp { max_age_s: two }) => Self::StepUp {
                max_age_s: one.min(two),
            },
            (Self::StepUp { .. }, Self::SignIn | Self::Full) | (Self::Full, Self::SignIn) => self,
            (Self::SignIn | Self::Full, _) => other,
        }
    }

    /// Whether a session is that much.
    pub fn is_met(self, claims: &Claims, now: Timestamp) -> bool {
        match self {
            Self::SignIn => true,
            Self::Full => !claims.restricted,
            // As the policy counts; a step-up from the future is not believed.
            Self::StepUp { max_age_s } => {
                let max_age = Duration::from_secs(max_age_s);
                !claims.restricted
                    && claims
                        .stepped_up_at
                        .is_some_and(|at| at <= now && now.since(at) <= max_age)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_of_two_needs_is_the_one_that_asks_for_more() {
        let step_up = |max_age_s| Need::StepUp { max_age_s };
        for (one, other, stricter) in [
            (Need::SignIn, Need::SignIn, Need::SignIn),
            (Need::SignIn, Need::Full, Need::Full),
            (Need::Full, step_up(60), step_up(60)),
            (Need::SignIn, step_up(60), step_up(60)),
            (step_up(60), step_up(300), step_up(60)),
            (Need::Full, Need::Full, Need::Full),
        ] {
            assert_eq!(one.stricter(other), stricter);
            assert_eq!(other.stricter(one), stricter);
        }
    }

    #[test]
    fn a_need_is_read_as_it_is_written_and_in_no_other_way() {
        for need in [Need::SignIn, Need::Full, Need::StepUp { max_age_s: 300 }] {
            assert_eq!(Need::parse(need.name(), need.max_age_s()), Some(need));
        }
        for (name, max_age_s) in [
            ("", None),
            ("nothing", None),
            ("step-up", None),
            ("sign-in", Some(1)),
            ("full", Some(1)),
        ] {
            assert_eq!(Need::parse(name, max_age_s), None, "{name}");
        }
    }
}
