//! What a notice tells: one variant for each thing that happens to an account, and its words.

use crate::clock::Timestamp;

/// Something that happened to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A passkey was saved.
    PasskeyAdded {
        /// What it is called.
        label: String,
    },
    /// A passkey was saved in a recovery and waits.
    PasskeyHeld {
        /// What it is called.
        label: String,
        /// The end of the wait.
        until: Timestamp,
    },
    /// A passkey was removed.
    PasskeyRemoved {
        /// What it was called.
        label: String,
    },
    /// Backup codes were made; older ones no longer work.
    BackupCodesMade,
    /// A backup code signed in.
    BackupCodeUsed {
        /// Codes that are left.
        left: u32,
    },
    /// Too many wrong backup codes in a row: none works any more until new ones are made.
    BackupCodesClosed,
    /// The person chose anew what may recover the account.
    WaysBackChanged,
    /// An administrator asked for a recovery link; another one has yet to agree.
    RecoveryRequested,
    /// An administrator issued a recovery link.
    RecoveryLinkIssued,
    /// A recovery link signed in.
    RecoveryLinkUsed,
    /// A device was let in from another.
    Paired,
    /// Several devices asked to be let in within a short time.
    PairingBlocked,
    /// The address was changed; this goes to the old one and to the new one.
    AddressChanged,
    /// An administrator closed the account.
    Disabled,
    /// An administrator opened the account again.
    Enabled,
    /// An administrator ended sessions.
    SessionsEnded,
    /// An administrator issued a link that saves the first passkey.
    Invited,
    /// Somebody said "this was not me"; what it was about is stopped.
    Reported,
}

/// A notice's sentences. None holds anything that a stranger could have chosen.
pub(super) struct Words {
    /// The subject and the heading.
    pub subject: String,
    /// What happened.
    pub lead: String,
    /// What it means if somebody else did it.
    pub danger: &'static str,
    /// What else to do then.
    pub advice: &'static str,
}

const LOOK: &str = "Then open your account, choose “Sign out everywhere” and look whether you know all of its passkeys.";

impl Happening {
    /// The name of the passkey that it is about.
    pub(super) fn label(&self) -> Option<&str> {
        match self {
            Self::PasskeyAdded { label }
            | Self::PasskeyHeld { label, .. }
            | Self::PasskeyRemoved { label } => Some(label),
            Self::BackupCodesMade
            | Self::BackupCodeUsed { .. }
            | Self::BackupCodesClosed
            | Self::WaysBackChanged
            | Self::RecoveryRequested
            | Self::RecoveryLinkIssued
            | Self::RecoveryLinkUsed
            | Self::Paired
            | Self::PairingBlocked
            | Self::AddressChanged
            | Self::Disabled
            | Self::Enabled
            | Self::SessionsEnded
            | Self::Invited
            | Self::Reported => None,
        }
    }

    /// What happened, in a sentence or two.
    pub fn lead(&self) -> String {
        self.words("", Timestamp::for_people).lead
    }

    /// In the name of the operator called `name`; `moment` writes a moment out.
    pub(super) fn words(&self, name: &str, moment: impl Fn(Timestamp) -> String) -> Words {
        let (subject, lead, danger, advice) = match self {
            Self::PasskeyAdded { .. } => (
                format!("A passkey was saved to your {name} account"),
                "A passkey was saved to your account. It signs in from now on.".to_owned(),
                "somebody who is in your account can sign in with it.",
                LOOK,
            ),
            Self::PasskeyHeld { until, .. } => (
                format!("A new passkey waits to open your {name} account"),
                format!(
                    "Somebody recovered your account and saved a new passkey. It opens everything from {} on, \
                     unless you stop it.",
                    moment(*until)
                ),
                "somebody has got into your mailbox or has one of your codes. There is time to stop them.",
                "Then sign in with your own passkey and look at your account.",
            ),
            Self::PasskeyRemoved { .. } => (
                format!("A passkey was removed from your {name} account"),
                "A passkey was removed from your account. It signs in no longer.".to_owned(),
                "somebody else may be in your account.",
                LOOK,
            ),
            Self::BackupCodesMade => (
                format!("New backup codes for your {name} account"),
                "New backup codes were made for your account. Older ones no longer work.".to_owned(),
                "somebody who is in your account can come back with them.",
                LOOK,
            ),
            Self::BackupCodeUsed { left } => (
                format!("A backup code opened your {name} account"),
                match left {
                    0 => "Somebody signed in with a backup code. It was the last one.".to_owned(),
                    1 => "Somebody signed in with a backup code. One is left.".to_owned(),
                    left => format!("Somebody signed in with a backup code. {left} are left."),
                },
                "somebody has your codes.",
                "Then sign in with your passkey and make new codes.",
            ),
            Self::BackupCodesClosed => (
                format!("Backup codes no longer work for your {name} account"),
                "Backup codes were mistyped too often in a row, so none of yours works any more.".to_owned(),
                "somebody is guessing. They have not got in.",
                "Sign in with your passkey and make new codes.",
            ),
            Self::WaysBackChanged => (
                format!("The ways back into your {name} account were changed"),
                "What may recover your account was changed in its settings.".to_owned(),
                "somebody else may be in your account.",
                LOOK,
            ),
            Self::RecoveryRequested => (
                format!("A recovery of your {name} account was asked for"),
                "An administrator asked for a link that lets whoever holds it save a new passkey to your account. \
                 Another administrator has yet to agree."
                    .to_owned(),
                "somebody may be talking administrators into it.",
                "Then call them, by a number that you know.",
            ),
            Self::RecoveryLinkIssued => (
                format!("A recovery link was issued for your {name} account"),
                "An administrator issued a link that lets whoever holds it save a new passkey to your account."
                    .to_owned(),
                "somebody may have talked an administrator into it.",
                "Then call them, by a number that you know.",
            ),
            Self::RecoveryLinkUsed => (
                format!("A recovery link opened your {name} account"),
                "Somebody signed in with a recovery link from an administrator.".to_owned(),
                "somebody may have talked an administrator into it.",
                "Then call them, by a number that you know.",
            ),
            Self::Paired => (
                format!("Another device was let into your {name} account"),
                "A device that is signed in let another one in, with a passkey check.".to_owned(),
                "somebody talked you into it, or has one of your devices.",
                LOOK,
            ),
            Self::PairingBlocked => (
                format!("Devices asked to be let into your {name} account"),
                "Several devices asked in a short time to be let in from one of yours. Nobody can for a while."
                    .to_owned(),
                "somebody may be trying to talk you into it. Let nobody in whose screen you do not see.",
                LOOK,
            ),
            Self::AddressChanged => (
                format!("The address of your {name} account was changed"),
                "Your account has a new email address. Mails about it go there from now on.".to_owned(),
                "somebody else is in your account.",
                LOOK,
            ),
            Self::Disabled => (
                format!("Your {name} account was closed"),
                "An administrator closed your account. It is signed out everywhere.".to_owned(),
                "ask them why.",
                "Nothing of it was deleted.",
            ),
            Self::Enabled => (
                format!("Your {name} account is open again"),
                "An administrator opened your account again. Your passkeys work as before.".to_owned(),
                "ask them why.",
                "You can sign in again.",
            ),
            Self::SessionsEnded => (
                format!("You were signed out of {name}"),
                "An administrator ended sessions of your account.".to_owned(),
                "ask them why.",
                "You can sign in again at any time.",
            ),
            Self::Invited => (
                format!("A link to enrol was issued for your {name} account"),
                "An administrator issued a link with which the first passkey of your account is saved.".to_owned(),
                "somebody may have talked an administrator into it.",
                "Then call them, by a number that you know.",
            ),
            Self::Reported => (
                format!("Somebody said “this was not me” about your {name} account"),
                "What it was about is stopped, and mails and backup codes sign nobody in until you or an \
                 administrator allows it again."
                    .to_owned(),
                "somebody else reads mails that are meant for you.",
                "Sign in with your passkey and look at your account, or ask an administrator.",
            ),
        };
        Words {
            subject,
            lead,
            danger,
            advice,
        }
    }
}
