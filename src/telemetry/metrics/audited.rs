//! What audit records say in numbers. Counted where the store has committed them, so that a metric never tells of
//! what did not happen; the records of other nodes and of the command line are counted by nobody here.

use super::{EnrolmentResult, Metrics, SecurityEvent, SignInResult, StepUpResult};
use crate::{method::Method, telemetry::audit::AuditEvent};

/// What one record counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// A sign-in.
    SignIn(Method, SignInResult),
    /// A step-up.
    StepUp(StepUpResult),
    /// An enrolment.
    Enrolment(EnrolmentResult),
    /// Something else that an operator should know of.
    Event(SecurityEvent),
}

impl Tally {
    /// What an event counts as; `None` for what only its account holder cares for.
    pub const fn of(event: &AuditEvent) -> Option<Self> {
        use AuditEvent as E;
        Some(match event {
            E::SignedIn { method, .. } => Self::SignIn(*method, SignInResult::SignedIn),
            E::SignInRefused { method, .. } => Self::SignIn(*method, SignInResult::Refused),
            E::SessionIssued { .. } => Self::SignIn(Method::Operator, SignInResult::SignedIn),
            E::SteppedUp { .. } => Self::StepUp(StepUpResult::SteppedUp),
            E::StepUpRefused { .. } => Self::StepUp(StepUpResult::Refused),
            E::PasskeyEnrolled {
                held_until: None, ..
            } => Self::Enrolment(EnrolmentResult::Saved),
            E::PasskeyEnrolled {
                held_until: Some(_),
                ..
            } => Self::Enrolment(EnrolmentResult::Held),
            E::EnrolmentRefused { .. } => Self::Enrolment(EnrolmentResult::Refused),
            E::Reported { .. } => Self::Event(SecurityEvent::Reported),
            E::RecoveryRequested { .. } => Self::Event(SecurityEvent::RecoveryRequested),
            E::RecoveryApproved { .. } => Self::Event(SecurityEvent::RecoveryApproved),
            E::RecoveryLinkIssued { .. } => Self::Event(SecurityEvent::RecoveryLinkIssued),
            E::BackupCodesClosed => Self::Event(SecurityEvent::BackupCodesClosed),
            E::EmailCodesClosed => Self::Event(SecurityEvent::EmailCodesClosed),
            E::PairingApproved { .. } => Self::Event(SecurityEvent::PairingApproved),
            E::PairingRefused { .. } => Self::Event(SecurityEvent::PairingRefused),
            E::PairingBlocked => Self::Event(SecurityEvent::PairingBlocked),
            E::AdministrationRefused { .. } => Self::Event(SecurityEvent::AdministrationRefused),
            E::SignedOut { .. } | E::SignedOutEverywhere => Self::Event(SecurityEvent::SignedOut),
            E::SessionsRevoked { .. } => Self::Event(SecurityEvent::SessionsRevoked),
            E::AccountCreated { .. } => Self::Event(SecurityEvent::AccountCreated),
            E::AccountDisabled => Self::Event(SecurityEvent::AccountDisabled),
            E::PasskeyRemoved { .. } => Self::Event(SecurityEvent::PasskeyRemoved),
            E::KeyRotated { .. } => Self::Event(SecurityEvent::KeyRotated),
            E::Invited { .. }
            | E::AccountEnabled
            | E::AccountDeleted
            | E::SignInMailRequested
            | E::PasskeyRenamed { .. }
            | E::BackupCodesMade { .. }
            | E::WaysBackChosen { .. }
            | E::PasskeyConfirmed { .. }
            | E::PairingSeen { .. }
            | E::ReportRefused { .. }
            | E::RecoveryAllowed
            | E::AddressChangeRequested
            | E::AddressChanged
            | E::AddressChangeRefused { .. }
            | E::SessionHandedOn { .. }
            | E::HandoffRefused { .. } => return None,
        })
    }
}

impl Metrics {
    /// Counts what was recorded.
    pub fn note(&self, tally: Tally) {
        match tally {
            Tally::SignIn(method, result) => self.sign_ins.count(method, result),
            Tally::StepUp(result) => self.step_ups.count(result),
            Tally::Enrolment(result) => self.enrolments.count(result),
            Tally::Event(event) => self.events.count(event),
        }
    }
}
