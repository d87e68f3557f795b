//! What would let a person back in who has lost a passkey, and what they should be warned of.
//!
//! Judged from the configuration, what the person chose and what is saved; nothing is read here.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    config::Config,
    store::{Account, BackupCodes, Credential, Standing},
};

/// The ways back into one account that its person has in their own hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaysBack {
    /// Passkeys that sign in.
    pub passkeys: usize,
    /// Mails.
    pub email: ByEmail,
    /// Backup codes.
    pub codes: ByBackupCodes,
}

/// Whether a mail signs in to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByEmail {
    /// It does.
    Open,
    /// The person has switched that off.
    SwitchedOff,
    /// Somebody said "this was not me".
    Blocked,
    /// The account has no address.
    NoAddress,
    /// This deployment does not offer it.
    NotOffered,
}

/// Whether backup codes sign in to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByBackupCodes {
    /// They do.
    Open {
        /// How many are not used yet; at least one.
        left: u32,
    },
    /// All are used.
    UsedUp,
    /// None were ever made.
    NoneMade,
    /// Too many wrong ones in a row: new ones must be made.
    Closed,
    /// The person has switched them off.
    SwitchedOff,
    /// Somebody said "this was not me".
    Blocked,
    /// This deployment does not offer them.
    NotOffered,
}

/// What a person should do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// If the one passkey is lost, they are locked out.
    WayBack,
    /// There is a way back, but a second passkey would be a better one.
    SecondPasskey,
}

impl WaysBack {
    /// Those of an account with these passkeys and codes.
    pub fn of(
        config: &Config,
        account: &Account,
        passkeys: &[Credential],
        codes: Option<BackupCodes>,
    ) -> Self {
        let good = passkeys.iter().filter(|passkey| match passkey.standing {
            Standing::Good => true,
            Standing::Held { .. } | Standing::Frozen { .. } => false,
        });
        Self {
            passkeys: good.count(),
            email: ByEmail::of(config, account),
            codes: ByBackupCodes::of(config, account, codes),
        }
    }

    /// What is missing, if anything.
    pub fn lack(&self) -> Option<Lack> {
        if self.passkeys > 1 {
            return None;
        }
        if self.has_codes() || self.email == ByEmail::Open {
            Some(Lack::SecondPasskey)
        } else {
            Some(Lack::WayBack)
        }
    }

    /// Whether a backup code signs in.
    pub fn has_codes(&self) -> bool {
        match self.codes {
            ByBackupCodes::Open { .. } => true,
            ByBackupCodes::UsedUp
            | ByBackupCodes::NoneMade
            | ByBackupCodes::Closed
            | ByBackupCodes::SwitchedOff
            | ByBackupCodes::Blocked
            | ByBackupCodes::NotOffered => false,
        }
    }

    /// Whether new backup codes should be made.
    pub fn wants_codes(&self) -> bool {
        match self.codes {
            ByBackupCodes::Open { left } => left <= FEW,
            ByBackupCodes::UsedUp | ByBackupCodes::NoneMade | ByBackupCodes::Closed => true,
            ByBackupCodes::SwitchedOff | ByBackupCodes::Blocked | ByBackupCodes::NotOffered => {
                false
            }
        }
    }
}

/// So many codes are few: new ones should be made while there is one to get in with.
const FEW: u32 = 3;

impl ByEmail {
    /// Whether a mail signs in to `account`.
    pub fn of(config: &Config, account: &Account) -> Self {
        if config.methods.email.is_none() || config.mail.is_none() {
            Self::NotOffered
        } else if account.email.is_none() {
            Self::NoAddress
        } else if !account.recovery.by_email {
            Self::SwitchedOff
        } else if account.recovery.blocked_at.is_some() {
            Self::Blocked
        } else {
            Self::Open
        }
    }
}

impl ByBackupCodes {
    fn of(config: &Config, account: &Account, codes: Option<BackupCodes>) -> Self {
        if config.methods.backup_codes.is_none() {
            return Self::NotOffered;
        }
        if !account.recovery.by_backup_codes {
            return Self::SwitchedOff;
        }
        if account.recovery.blocked_at.is_some() {
            return Self::Blocked;
        }
        match codes {
            None => Self::NoneMade,
            Some(codes) if codes.left == 0 => Self::UsedUp,
            Some(codes) if codes.closed => Self::Closed,
            Some(codes) => Self::Open { left: codes.left },
        }
    }
}

impl Lack {
    /// How long a person who says *later* hears no more of it.
    pub const fn pause(self) -> Duration {
        match self {
            Self::WayBack => Duration::from_hours(24),
            Self::SecondPasskey => Duration::from_hours(30 * 24),
        }
    }

    /// Whether to speak of it now, if no reminder was to come before `remind_at`.
    pub fn is_due(self, remind_at: Option<Timestamp>, now: Timestamp) -> bool {
        let Some(remind_at) = remind_at else {
            return true;
        };
        let passed = remind_at <= now;
        match self {
            Self::SecondPasskey => passed,
            // A longer pause was meant for the lesser matter: this one came up since.
            Self::WayBack => passed || remind_at > now.plus(self.pause()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn ways(passkeys: usize, email: ByEmail, codes: ByBackupCodes) -> WaysBack {
        WaysBack {
            passkeys,
            email,
            codes,
        }
    }

    #[test]
    fn one_passkey_without_mail_or_codes_is_no_way_back() {
        let closed_to_mail = [
            ByEmail::SwitchedOff,
            ByEmail::Blocked,
            ByEmail::NoAddress,
            ByEmail::NotOffered,
        ];
        let closed_to_codes = [
            ByBackupCodes::UsedUp,
            ByBackupCodes::NoneMade,
            ByBackupCodes::Closed,
            ByBackupCodes::SwitchedOff,
            ByBackupCodes::Blocked,
            ByBackupCodes::NotOffered,
        ];
        let open = ByBackupCodes::Open { left: 1 };
        for email in closed_to_mail {
            for codes in closed_to_codes {
                assert_eq!(ways(1, email, codes).lack(), Some(Lack::WayBack));
                let by_mail = ways(1, ByEmail::Open, codes);
                assert_eq!(by_mail.lack(), Some(Lack::SecondPasskey));
                assert_eq!(ways(2, email, codes).lack(), None);
            }
            let by_code = ways(1, email, open);
            assert_eq!(by_code.lack(), Some(Lack::SecondPasskey));
        }
    }

    #[test]
    fn new_codes_are_wanted_when_few_or_none_are_left() {
        for (codes, wanted) in [
            (ByBackupCodes::Open { left: 4 }, false),
            (ByBackupCodes::Open { left: 3 }, true),
            (ByBackupCodes::UsedUp, true),
            (ByBackupCodes::NoneMade, true),
            (ByBackupCodes::Closed, true),
            (ByBackupCodes::SwitchedOff, false),
            (ByBackupCodes::Blocked, false),
            (ByBackupCodes::NotOffered, false),
        ] {
            let ways = ways(2, ByEmail::Open, codes);
            assert_eq!(ways.wants_codes(), wanted, "{codes:?}");
        }
    }

    #[test]
    fn later_is_for_a_while_and_hushes_nothing_worse() {
        let now = Timestamp::from_seconds(1_000_000);
        for (lack, remind_at, due) in [
            (Lack::SecondPasskey, None, true),
            (Lack::SecondPasskey, Some(now), true),
            (Lack::SecondPasskey, Some(now.plus(DAY)), false),
            (Lack::SecondPasskey, Some(now.plus(DAY * 30)), false),
            (Lack::WayBack, None, true),
            (Lack::WayBack, Some(now), true),
            (Lack::WayBack, Some(now.plus(DAY)), false),
            (Lack::WayBack, Some(now.plus(DAY * 2)), true),
        ] {
            assert_eq!(lack.is_due(remind_at, now), due, "{lack:?} {remind_at:?}");
        }
    }
}
