//! The signatures of `jsonwebtoken` by *ring*, the one cryptography provider of the program.
//!
//! The crate's own providers would bring a second implementation of every algorithm. Ours signs by HS256 and
//! ES256, each with keys of its own kind, and verifies HS256 alone: no other algorithm can be asked for by a
//! token's header (RFC 8725 §3.1), and what is signed for apps is never taken back for a session.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result},
    signature::{Error, Signer, Verifier},
};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes ring the provider of this process. May be called any number of times.
pub fn install() {
    // An error says that it is installed already.
    let _ = PROVIDER.install_default();
}

struct Hs256(hmac::Key);

/// Made anew for each signature from the key's PKCS#8, which costs as much as signing does; assertions are
/// signed about twice in five minutes of a session's use.
struct Es256(EcdsaKeyPair);

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    match (*algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => Ok(Box::new(Hs256(hmac::Key::new(
            hmac::HMAC_SHA256,
            key.as_bytes(),
        )))),
        (Algorithm::ES256, AlgorithmFamily::Ec) => {
            let pair = EcdsaKeyPair::from_pkcs8(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                key.as_bytes(),
                &SystemRandom::new(),
            )
            .map_err(|_| ErrorKind::InvalidEcdsaKey)?;
            Ok(Box::new(Es256(pair)))
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if *algorithm != Algorithm::HS256 || key.family() != AlgorithmFamily::Hmac {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(Hs256(hmac::Key::new(
        hmac::HMAC_SHA256,
        key.try_get_as_bytes()?,
    ))))
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Signer<Vec<u8>> for Es256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        let signature = self.0.sign(&SystemRandom::new(), message);
        Ok(signature.map_err(|_| Error::new())?.as_ref().to_vec())
    }
}

impl JwtSigner for Es256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        hmac::verify(&self.0, message, signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_takes_keys_of_its_own_kind_and_no_other_is_known() {
        let secret = EncodingKey::from_secret(&[7; 32]);
        let made =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let pair = EncodingKey::from_ec_der(made.unwrap().as_ref());
        assert!(signer(&Algorithm::HS256, &secret).is_ok());
        assert!(signer(&Algorithm::ES256, &pair).is_ok());
        for (algorithm, key) in [
            (Algorithm::HS256, &pair),
            (Algorithm::ES256, &secret),
            (Algorithm::HS384, &secret),
            (Algorithm::ES384, &pair),
            (Algorithm::EdDSA, &pair),
            (Algorithm::ES256, &EncodingKey::from_ec_der(b"no key")),
        ] {
            assert!(signer(&algorithm, key).is_err(), "{algorithm:?}");
        }
    }

    #[test]
    fn what_is_signed_for_apps_is_never_taken_back() {
        let public = DecodingKey::from_ec_der(&[4; 65]);
        assert!(verifier(&Algorithm::ES256, &public).is_err());
        assert!(verifier(&Algorithm::HS256, &public).is_err());
        let secret = DecodingKey::from_secret(&[7; 32]);
        assert!(verifier(&Algorithm::ES256, &secret).is_err());
        assert!(verifier(&Algorithm::HS256, &secret).is_ok());
    }
}
