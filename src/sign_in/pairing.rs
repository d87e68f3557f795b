//! Pairing: a device on which somebody is signed in lets another one in.
//!
//! The device that asks ([`asking`]) shows a link as a picture, a code and a number. Whoever looks at the link
//! or types the code in a full session ([`approving`]) makes it theirs to approve: they type the number and use
//! a passkey. The browser that asked, and no other, then gets a restricted session in which it saves a passkey
//! of its own. A computer can show its person's phone the way ([`offering`]); both learn live how it goes on
//! ([`watching`]).
//!
//! This is the one flow that stores something for a stranger, since a code typed elsewhere must be found. What
//! bounds it: asking is paid for, a browser has one open pairing, there are [`Pairing::MAX_OPEN`] in all, and
//! each is over in two minutes. Whoever photographs the picture gains nothing: looking at it needs a full
//! session, and what is approved is the browser that asked.

mod approving;
mod asking;
mod offering;
mod watching;

use std::{sync::Arc, time::Duration};

use axum::Router;

use crate::{
    core::Core,
    id::PairingId,
    limit::Attempt,
    secret::{Digest, MacKey, Purpose, ServerSecret, Token},
    session::Visit,
    store::Pairing,
    web::{
        ask::Ask,
        error::{Outcome, Refusal},
    },
};

pub use self::asking::PATH;

/// How long a pairing, and an offer to a phone, is good: two people at two screens need half a minute.
const LIFESPAN: Duration = Duration::from_secs(2 * 60);

/// All pages.
pub fn router() -> Router<Arc<Core>> {
    Router::new()
        .merge(asking::router())
        .merge(approving::router())
        .merge(offering::router())
        .merge(watching::router())
}

fn offered(ask: &Ask) -> Outcome<()> {
    ask.config()
        .methods
        .pairing
        .then_some(())
        .ok_or(Refusal::NOT_OFFERED)
}

fn pay(ask: &Ask, attempt: Attempt) -> Outcome<()> {
    ask.core
        .limits
        .charge(attempt, ask.caller.network())
        .map_err(|_| Refusal::THROTTLED)
}

/// The session of somebody who may let a device in.
fn full_session(ask: &Ask) -> Outcome<&Visit> {
    let visit = ask.visit()?;
    if visit.claims.restricted {
        return Err(Refusal::PAIRING_NEEDS_FULL);
    }
    Ok(visit)
}

/// What the asking device shows: derived, so that its page can be shown again although the store holds only
/// digests.
struct Secrets {
    link: Token,
    code: String,
    number: u8,
}

impl Secrets {
    fn of(pairing: PairingId, secret: &ServerSecret) -> Self {
        let key = secret.mac_key(Purpose::Pairing);
        let derived = |what: &[u8]| key.digest(&[what, pairing.uuid().as_bytes()]);
        Self {
            link: Token::derived(&derived(b"link")),
            code: code_of(&derived(b"code")),
            number: number_of(&derived(b"number")),
        }
    }

    fn code_digest(&self, secret: &ServerSecret) -> Digest {
        code_digest(&secret.mac_key(Purpose::Pairing), &self.code)
    }

    /// In two groups, as people read it.
    fn grouped_code(&self) -> String {
        let (head, tail) = self.code.split_at(CODE_LENGTH / 2);
        format!("{head}-{tail}")
    }
}

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 40 bits: with ten thousand pairings open and ten guesses per account and hour, a guess hits somebody's
/// request once in 10^7 hours, and is worth nothing without their number.
const CODE_LENGTH: usize = 8;

fn code_of(digest: &Digest) -> String {
    let characters = digest.bytes().iter().take(CODE_LENGTH);
    characters
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect()
}

/// From 10 to 99: always two digits on the screen. The bias over 64 bits is below 10^-17.
fn number_of(digest: &Digest) -> u8 {
    let (head, _) = digest
        .bytes()
        .split_first_chunk::<8>()
        .expect("a digest is 32 bytes");
    let below_90 = u64::from_be_bytes(*head) % 90;
    10 + u8::try_from(below_90).expect("a remainder by 90 is below 90")
}

/// What somebody typed, as the code it may be: letters that look like digits are taken for them.
fn parse_code(typed: &str) -> Option<String> {
    let mut code = String::new();
    for character in typed.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let character = match character.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        let known = u8::try_from(character).is_ok_and(|byte| ALPHABET.contains(&byte));
        if !known || code.len() == CODE_LENGTH {
            return None;
        }
        code.push(character);
    }
    (code.len() == CODE_LENGTH).then_some(code)
}

/// What the store finds a code by: keyed, since a code has too little entropy for a bare hash.
fn code_digest(key: &MacKey, code: &str) -> Digest {
    key.digest(&[b"code-digest", code.as_bytes()])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_shown_belongs_to_the_pairing_and_to_the_secret() {
        let secret = ServerSecret::random();
        let pairing = PairingId::random();
        let shown = Secrets::of(pairing, &secret);
        let again = Secrets::of(pairing, &secret);
        assert_eq!(shown.link.digest(), again.link.digest());
        assert_eq!((&shown.code, shown.number), (&again.code, again.number));
        let another = Secrets::of(PairingId::random(), &secret);
        assert_ne!(shown.link.digest(), another.link.digest());
        assert_ne!(shown.code, another.code);
        let elsewhere = Secrets::of(pairing, &ServerSecret::random());
        assert_ne!(shown.link.digest(), elsewhere.link.digest());
        assert_ne!(shown.code, elsewhere.code);
    }

    #[test]
    fn a_number_has_two_digits() {
        let secret = ServerSecret::random();
        for _ in 0..500 {
            let number = Secrets::of(PairingId::random(), &secret).number;
            assert!((10..100).contains(&number), "{number}");
        }
    }

    #[test]
    fn a_code_reads_back_however_it_is_typed() {
        let shown = Secrets::of(PairingId::random(), &ServerSecret::random());
        let grouped = shown.grouped_code();
        assert_eq!(grouped.len(), CODE_LENGTH + 1);
        for typed in [
            grouped.clone(),
            grouped.to_lowercase(),
            shown.code.replace('0', "o").replace('1', "l"),
            format!(" {} ", grouped.replace('-', " ")),
        ] {
            assert_eq!(parse_code(&typed), Some(shown.code.clone()), "{typed}");
        }
        for typed in ["", "ABCD-EFG", "ABCD-EFGHJ", "ABCD-EFGU", "ABCD EFG\u{e9}"] {
            assert_eq!(parse_code(typed), None, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_a_code_or_none(typed in "\\PC{0,20}") {
            if let Some(code) = parse_code(&typed) {
                prop_assert_eq!(parse_code(&code), Some(code.clone()));
            }
        }
    }
}
