//! The right to save a passkey: pure, and asked again at every step of saving one. The last asking counts.
//!
//! On an account that has had passkeys, saving one without having one at hand is how an account is taken
//! over; [`right_to_save`] is where that is decided. Start reading at [`Right`].

use std::time::Duration;

use crate::{
    clock::Timestamp,
    config::{Enrolment, RecoveryProofs},
    method::{Method, Proofs},
    session::Claims,
    store::{Account, Standing},
};

/// By what right a session saves a passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// The account has never had one: at once.
    First,
    /// One more, beside one that was just checked here or on another device: at once.
    Add,
    /// A recovery: the new passkey waits so long before it opens everything; zero for not at all.
    Recover {
        /// How long.
        hold: Duration,
    },
}

impl Right {
    /// What a passkey that is saved `now` by this right is good for.
    pub fn standing(self, now: Timestamp) -> Standing {
        match self {
            Self::Recover { hold } if !hold.is_zero() => Standing::Held {
                until: now.plus(hold),
            },
            Self::First | Self::Add | Self::Recover { .. } => Standing::Good,
        }
    }
}

/// What a session lacks to save a passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It would be a recovery, and takes another proof besides these.
    OneMoreProof {
        /// What counts so far.
        given: Proofs,
    },
    /// A passkey of the account must be checked first.
    StepUp,
}

/// Who would save a passkey, and under which rules.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The account, as it is now.
    pub account: &'a Account,
    /// Whether it has a passkey that could be checked.
    pub has_usable_passkey: bool,
    /// The session.
    pub claims: &'a Claims,
    /// What was proved in it.
    pub proofs: &'a Proofs,
    /// What the operator asks for.
    pub rules: &'a Enrolment,
    /// The moment.
    pub now: Timestamp,
}

/// By what right a session saves a passkey.
///
/// # Errors
/// When it has none, with what it lacks.
pub fn right_to_save(asking: &Asking<'_>) -> Result<Right, Lack> {
    let &Asking {
        account,
        has_usable_passkey,
        claims,
        proofs,
        rules,
        now,
    } = asking;
    if account.enrolled_at.is_none() {
        return Ok(Right::First);
    }
    if claims.has_fresh_passkey_check(now) || claims.via == Method::Pairing {
        return Ok(Right::Add);
    }
    // Who has shown a passkey in this session can show it again, which takes away nothing.
    if has_usable_passkey && has_shown_passkey(claims) {
        return Err(Lack::StepUp);
    }
    let given = proofs_that_count(claims, proofs, now);
    if given.count() >= needed(rules.recovery_proofs) {
        Ok(Right::Recover { hold: rules.hold })
    } else if given.count() == 0 && !claims.restricted && has_usable_passkey {
        Err(Lack::StepUp)
    } else {
        Err(Lack::OneMoreProof { given })
    }
}

/// How long after a sign-in that gave a full session its proof still counts towards a recovery. A restricted
/// session is good for little else, so there it counts throughout.
const PROVED_LATELY: Duration = Duration::from_secs(15 * 60);

/// Whether one more proof, given in this session, adds up with those before it.
pub(super) fn proofs_add_up(claims: &Claims, now: Timestamp) -> bool {
    claims.restricted || (counts_for_recovery(claims.via) && proofs_stand(claims, now))
}

fn proofs_stand(claims: &Claims, now: Timestamp) -> bool {
    claims.restricted || now.since(claims.authenticated_at) <= PROVED_LATELY
}

fn has_shown_passkey(claims: &Claims) -> bool {
    !claims.restricted && (claims.via == Method::Passkey || claims.stepped_up_at.is_some())
}

fn proofs_that_count(claims: &Claims, proofs: &Proofs, now: Timestamp) -> Proofs {
    if !proofs_stand(claims, now) {
        return Proofs::default();
    }
    proofs
        .iter()
        .filter(|method| counts_for_recovery(*method))
        .collect()
}

/// A passkey that waits proves no more than what saved it; an operator's session proves nothing of the
/// person; and a pairing is no recovery, since a passkey was checked on the other device.
const fn counts_for_recovery(method: Method) -> bool {
    match method {
        Method::Email | Method::BackupCode | Method::Recovery => true,
        Method::Passkey | Method::Pairing | Method::Operator => false,
    }
}

/// How many proofs that is.
pub(super) const fn needed(proofs: RecoveryProofs) -> usize {
    match proofs {
        RecoveryProofs::One => 1,
        RecoveryProofs::Two => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::EnrolmentMode,
        id::{AccountId, SessionId, UserHandle},
        store::{AccountState, Recovery},
    };
    use Method::{BackupCode, Email, Operator, Pairing, Passkey, Recovery as Link};

    const BEGUN: Timestamp = Timestamp::from_seconds(1_000_000);
    const HOLD: Duration = Duration::from_secs(3600);

    /// A case: its session, and what may be done in it.
    struct Case {
        via: Method,
        proofs: &'static [Method],
        restricted: bool,
        /// Seconds from the sign-in to the asking, and from the last step-up, if there was one.
        age: u64,
        step_up_age: Option<u64>,
        usable: bool,
    }

    const fn restricted(via: Method, proofs: &'static [Method]) -> Case {
        Case {
            via,
            proofs,
            restricted: true,
            age: 60,
            step_up_age: None,
            usable: true,
        }
    }

    const fn full(via: Method, proofs: &'static [Method], age: u64) -> Case {
        Case {
            restricted: false,
            age,
            ..restricted(via, proofs)
        }
    }

    impl Case {
        const fn stepped_up(self, age: u64) -> Self {
            Self {
                step_up_age: Some(age),
                ..self
            }
        }

        const fn without_passkeys(self) -> Self {
            Self {
                usable: false,
                ..self
            }
        }

        fn right(&self, recovery_proofs: RecoveryProofs, enrolled: bool) -> Result<Right, Lack> {
            let now = BEGUN.plus(Duration::from_secs(self.age));
            let account = Account {
                id: AccountId::random(),
                user_handle: UserHandle::random(),
                login: "ann".to_owned(),
                email: None,
                email_verified_at: None,
                name: None,
                groups: Vec::new(),
                state: AccountState::Active,
                created_at: BEGUN,
                enrolled_at: enrolled.then_some(BEGUN),
                recovery: Recovery::default(),
                remind_at: None,
            };
            let rules = Enrolment {
                mode: EnrolmentMode::Invite,
                invitation_lifespan: Duration::ZERO,
                recovery_proofs,
                hold: HOLD,
                recovery_ends_sessions: true,
            };
            let claims = Claims {
                account: account.id,
                sid: SessionId::random(),
                issued_at: now,
                token_expires_at: now.plus(HOLD),
                authenticated_at: BEGUN,
                via: self.via,
                restricted: self.restricted,
                stepped_up_at: self
                    .step_up_age
                    .map(|age| now.minus(Duration::from_secs(age))),
                session_expires_at: now.plus(HOLD),
                host: None,
            };
            right_to_save(&Asking {
                account: &account,
                has_usable_passkey: self.usable,
                claims: &claims,
                proofs: &self.proofs.iter().copied().collect(),
                rules: &rules,
                now,
            })
        }
    }

    fn more_than(given: &[Method]) -> Result<Right, Lack> {
        Err(Lack::OneMoreProof {
            given: given.iter().copied().collect(),
        })
    }

    #[test]
    fn the_first_passkey_of_an_account_is_saved_in_any_session() {
        for case in [
            restricted(Email, &[Email]),
            restricted(Operator, &[Operator]),
            full(Email, &[Email], 100_000),
            full(Operator, &[Operator], 0),
        ] {
            let case = case.without_passkeys();
            assert_eq!(case.right(RecoveryProofs::Two, false), Ok(Right::First));
        }
    }

    #[test]
    fn only_a_recovery_with_a_wait_makes_a_passkey_wait() {
        let until = BEGUN.plus(HOLD);
        for (right, standing) in [
            (Right::First, Standing::Good),
            (Right::Add, Standing::Good),
            (
                Right::Recover {
                    hold: Duration::ZERO,
                },
                Standing::Good,
            ),
            (Right::Recover { hold: HOLD }, Standing::Held { until }),
        ] {
            assert_eq!(right.standing(BEGUN), standing, "{right:?}");
        }
    }

    #[test]
    fn what_it_takes_on_an_account_that_had_passkeys() {
        let add = || Ok(Right::Add);
        let step_up = || Err(Lack::StepUp);
        let recover = || Ok(Right::Recover { hold: HOLD });
        // Session; its right where one proof is asked for, and where two are.
        let cases = [
            // A passkey checked lately adds another.
            (full(Passkey, &[Passkey], 300), add(), add()),
            (full(Passkey, &[Passkey], 301), step_up(), step_up()),
            (full(Passkey, &[Passkey], 900).stepped_up(300), add(), add()),
            (
                full(Passkey, &[Passkey], 900).stepped_up(301),
                step_up(),
                step_up(),
            ),
            (full(Email, &[Passkey], 900).stepped_up(10), add(), add()),
            (
                full(Email, &[Email, Passkey], 600).stepped_up(301),
                step_up(),
                step_up(),
            ),
            (full(Operator, &[Operator], 60).stepped_up(60), add(), add()),
            // So does another device, which has checked one.
            (restricted(Pairing, &[Pairing]), add(), add()),
            // Everything else is a recovery.
            (restricted(Email, &[Email]), recover(), more_than(&[Email])),
            (
                restricted(BackupCode, &[BackupCode]),
                recover(),
                more_than(&[BackupCode]),
            ),
            (restricted(Link, &[Link]), recover(), more_than(&[Link])),
            (
                restricted(BackupCode, &[Email, BackupCode]),
                recover(),
                recover(),
            ),
            (restricted(Email, &[Email, Link]), recover(), recover()),
            // A passkey that waits, or an operator's session, is no proof.
            (
                restricted(Passkey, &[Passkey]),
                more_than(&[]),
                more_than(&[]),
            ),
            (
                restricted(Email, &[Email, Passkey]),
                recover(),
                more_than(&[Email]),
            ),
            (
                restricted(Operator, &[Operator]),
                more_than(&[]),
                more_than(&[]),
            ),
            (
                restricted(Email, &[Email, Operator]),
                recover(),
                more_than(&[Email]),
            ),
            // A full session counts for a while; then a passkey must be shown, if there is one.
            (full(Email, &[Email], 900), recover(), more_than(&[Email])),
            (full(Email, &[Email, BackupCode], 900), recover(), recover()),
            (full(Email, &[Email, BackupCode], 901), step_up(), step_up()),
            (full(Operator, &[Operator], 60), step_up(), step_up()),
            // With none left, nothing but a recovery is.
            (
                full(Passkey, &[Passkey], 300).without_passkeys(),
                add(),
                add(),
            ),
            (
                full(Passkey, &[Passkey], 301).without_passkeys(),
                more_than(&[]),
                more_than(&[]),
            ),
            (
                full(Email, &[Email], 900).without_passkeys(),
                recover(),
                more_than(&[Email]),
            ),
            (
                full(Email, &[Email], 901).without_passkeys(),
                more_than(&[]),
                more_than(&[]),
            ),
            (
                restricted(Email, &[Email]).without_passkeys(),
                recover(),
                more_than(&[Email]),
            ),
        ];
        for (number, (case, with_one, with_two)) in cases.into_iter().enumerate() {
            let number = number + 1;
            assert_eq!(
                case.right(RecoveryProofs::One, true),
                with_one,
                "case {number}"
            );
            assert_eq!(
                case.right(RecoveryProofs::Two, true),
                with_two,
                "case {number}"
            );
        }
    }
}
