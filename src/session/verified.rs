//! Tokens whose signature was checked before, found again without checking it: what makes a warm request
//! cheap.

use std::hash::{Hash, Hasher};

use moka::Equivalent;
use zeroize::Zeroizing;

/// A token that verified. Kept whole and compared whole, so nothing but itself is taken for it.
pub(super) struct VerifiedToken(Zeroizing<String>);

/// A token as a request brings it.
pub(super) struct Presented<'t>(pub &'t str);

impl Presented<'_> {
    /// To remember once it has verified.
    pub fn verified(&self) -> VerifiedToken {
        VerifiedToken(Zeroizing::new(self.0.to_owned()))
    }
}

/// A token ends with its signature, which is as good as random: hashing its end tells tokens apart. Others
/// that end alike are not in the cache, since they do not verify.
fn hash_end<H: Hasher>(token: &str, state: &mut H) {
    let bytes = token.as_bytes();
    state.write(&bytes[bytes.len().saturating_sub(16)..]);
}

impl Hash for VerifiedToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_end(&self.0, state);
    }
}

impl Hash for Presented<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_end(self.0, state);
    }
}

impl PartialEq for VerifiedToken {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for VerifiedToken {}

impl Equivalent<VerifiedToken> for Presented<'_> {
    fn equivalent(&self, known: &VerifiedToken) -> bool {
        self.0 == known.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::hash_map::RandomState;

    use super::*;

    #[test]
    fn a_token_is_found_by_itself_alone() {
        let known = Presented("header.payload.0123456789abcdef").verified();
        let state = RandomState::new();
        let hash = |token: &str| std::hash::BuildHasher::hash_one(&state, Presented(token));
        let same = Presented("header.payload.0123456789abcdef");
        assert!(same.equivalent(&known));
        assert_eq!(
            hash(same.0),
            std::hash::BuildHasher::hash_one(&state, &known)
        );
        for other in [
            "header.pAyload.0123456789abcdef",
            "0123456789abcdef",
            "",
            "x",
        ] {
            assert!(!Presented(other).equivalent(&known), "{other}");
        }
    }
}
