//! A backup code: what a person writes down, and what is stored in its place.

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    id::AccountId,
    secret::{Digest, Purpose, ServerSecret, random_bytes},
};

/// 80 random bits that a person keeps on paper: four groups of four characters, without look-alikes.
pub struct BackupCode(Zeroizing<[u8; BackupCode::BYTES]>);

/// Crockford's base 32: no I, L, O or U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl BackupCode {
    const BYTES: usize = 10;
    const CHARACTERS: usize = Self::BYTES * 8 / 5;
    const GROUP: usize = 4;

    /// Longer texts are not read: a code with every separator that people put in is far shorter.
    const MAX_TEXT_BYTES: usize = 100;

    /// A new one from the operating system's generator.
    pub fn random() -> Self {
        Self(Zeroizing::new(random_bytes()))
    }

    /// As people write it down and type it: in any case, with any spaces and hyphens, `o` for zero, `i` or
    /// `l` for one.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > Self::MAX_TEXT_BYTES {
            return None;
        }
        let mut bits = 0_u128;
        let mut characters = 0;
        for character in text.chars() {
            if character.is_whitespace() || is_hyphen(character) {
                continue;
            }
            let digit = match character.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let value = ALPHABET
                .iter()
                .position(|known| char::from(*known) == digit)?;
            characters += 1;
            if characters > Self::CHARACTERS {
                return None;
            }
            bits = bits << 5 | u128::try_from(value).ok()?;
        }
        let bytes = *bits.to_be_bytes().last_chunk()?;
        (characters == Self::CHARACTERS).then(|| Self(Zeroizing::new(bytes)))
    }

    /// The text to hand out: `7Q4K-9XWN-B2TD-05HV`.
    pub fn reveal(&self) -> String {
        let mut text = String::with_capacity(Self::CHARACTERS + 3);
        let bits = self
            .0
            .iter()
            .fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        for at in 0..Self::CHARACTERS {
            if at > 0 && at % Self::GROUP == 0 {
                text.push('-');
            }
            let value = bits >> (5 * (Self::CHARACTERS - 1 - at)) & 31;
            text.push(char::from(
                ALPHABET[usize::try_from(value).unwrap_or_default()],
            ));
        }
        text
    }

    /// What is stored in its place: keyed, since 80 bits are within reach of whoever steals the store and has
    /// years, and different for each account.
    pub fn digest(&self, secret: &ServerSecret, account: AccountId) -> Digest {
        secret
            .mac_key(Purpose::BackupCode)
            .digest(&[account.uuid().as_bytes(), &self.0[..]])
    }
}

fn is_hyphen(character: char) -> bool {
    // Phones turn hyphens into dashes.
    matches!(
        character,
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '_' | '.'
    )
}

impl fmt::Debug for BackupCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("secret")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(code: &BackupCode) -> [u8; 32] {
        let secret = ServerSecret::new(&[7; 32]).unwrap();
        let account = AccountId::from_uuid(uuid::Uuid::from_u128(1));
        *code.digest(&secret, account).bytes()
    }

    #[test]
    fn a_code_has_four_groups_of_four_characters_that_nobody_mixes_up() {
        for _ in 0..100 {
            let text = BackupCode::random().reveal();
            let groups: Vec<_> = text.split('-').collect();
            assert_eq!(groups.len(), 4);
            for group in groups {
                assert_eq!(group.len(), 4);
                assert!(group.bytes().all(|byte| ALPHABET.contains(&byte)));
            }
        }
        assert_ne!(BackupCode::random().reveal(), BackupCode::random().reveal());
    }

    #[test]
    fn a_code_reads_back_however_it_was_written_down() {
        let code = BackupCode(Zeroizing::new([
            0x00, 0x44, 0x32, 0x14, 0xC7, 0x42, 0x54, 0xB6, 0x35, 0xCF,
        ]));
        assert_eq!(code.reveal(), "0123-4567-89AB-CDEF");
        for text in [
            "0123-4567-89AB-CDEF",
            "0123456789abcdef",
            "  oi23 4567\t89ab\ncdef ",
            "OL23–4567—89AB-CDEF",
            "o-l-2-3-4-5-6-7-8-9-a-b-c-d-e-f",
        ] {
            let read = BackupCode::parse(text).unwrap();
            assert_eq!(digest(&read), digest(&code), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_code() {
        let long = "0".repeat(BackupCode::MAX_TEXT_BYTES + 1);
        for text in [
            "",
            "0123-4567-89AB-CDE",
            "0123-4567-89AB-CDEF0",
            "0123-4567-89AB-CDEU",
            "0123-4567-89AB-CDE!",
            "0123-4567-89AB-CDEé",
            &long,
        ] {
            assert!(BackupCode::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_code_is_stored_differently_for_each_account_and_server() {
        let code = BackupCode::random();
        let (secret, other) = (ServerSecret::random(), ServerSecret::random());
        let (ann, bob) = (AccountId::random(), AccountId::random());
        let stored = code.digest(&secret, ann);
        assert!(stored == code.digest(&secret, ann));
        assert!(stored != code.digest(&secret, bob));
        assert!(stored != code.digest(&other, ann));
        assert_eq!(format!("{code:?}"), "secret");
    }

    proptest! {
        #[test]
        fn whatever_was_revealed_reads_back(bytes: [u8; BackupCode::BYTES]) {
            let code = BackupCode(Zeroizing::new(bytes));
            let read = BackupCode::parse(&code.reveal()).unwrap();
            prop_assert_eq!(*read.0, bytes);
        }

        #[test]
        fn nothing_that_is_typed_panics(text in "\\PC*") {
            drop(BackupCode::parse(&text));
        }
    }
}
