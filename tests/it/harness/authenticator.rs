//! A software authenticator: makes passkeys and signs with them as a phone or a security key would, and
//! writes what a browser's `PublicKeyCredential.toJSON()` writes (WebAuthn L3 §5.1.8). ES256, attestation
//! `none`, always discoverable. Its owner can make it misbehave.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value as Json, json};

use super::cbor::Value;

/// One device that holds passkeys.
pub struct Authenticator {
    /// Whether the person unlocks it (the UV flag).
    pub verifies_user: bool,
    /// What becomes of its passkeys when the device is lost.
    pub backup: Backup,
    /// Whether it counts its signatures; synced passkeys stay at zero.
    pub counts: bool,
    passkeys: Vec<Passkey>,
}

/// The BE and BS flags (WebAuthn L3 §6.1.3).
#[derive(Clone, Copy)]
pub enum Backup {
    DeviceBound,
    Synced,
}

struct Passkey {
    id: Vec<u8>,
    key: EcdsaKeyPair,
    relying_party: String,
    user_handle: Vec<u8>,
    counter: u32,
}

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const HAS_CREDENTIAL: u8 = 0x40;

/// Not the model of any real authenticator.
const AAGUID: [u8; 16] = *b"gatehouse-tests!";

impl Authenticator {
    /// A phone: unlocked by its owner, its passkeys synced.
    pub fn phone() -> Self {
        Self {
            verifies_user: true,
            backup: Backup::Synced,
            counts: false,
            passkeys: Vec::new(),
        }
    }

    /// A hardware key with a PIN.
    pub fn hardware_key() -> Self {
        Self {
            backup: Backup::DeviceBound,
            counts: true,
            ..Self::phone()
        }
    }

    /// Loses all its passkeys.
    pub fn forget_everything(&mut self) {
        self.passkeys.clear();
    }

    /// The ids of its passkeys, oldest first, base64url.
    pub fn ids(&self) -> Vec<String> {
        self.passkeys
            .iter()
            .map(|passkey| base64url(&passkey.id))
            .collect()
    }

    /// `navigator.credentials.create()`. `None` when it already holds one of the excluded passkeys.
    pub fn create(&mut self, public_key: &Json, origin: &str) -> Option<Json> {
        let excluded = ids_in(&public_key["excludeCredentials"]);
        if self
            .passkeys
            .iter()
            .any(|passkey| excluded.contains(&passkey.id))
        {
            return None;
        }
        let passkey = Passkey::new(
            text(&public_key["rp"]["id"]),
            bytes(&public_key["user"]["id"]),
        );
        let client_data = client_data("webauthn.create", public_key, origin);
        let authenticator_data = self.registration_data(&passkey);
        let attestation = Value::Map(vec![
            (Value::Text("fmt"), Value::Text("none")),
            (Value::Text("attStmt"), Value::Map(Vec::new())),
            (
                Value::Text("authData"),
                Value::Bytes(authenticator_data.clone()),
            ),
        ]);
        let credential = json!({
            "id": base64url(&passkey.id),
            "rawId": base64url(&passkey.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {"credProps": {"rk": true}},
            "response": {
                "clientDataJSON": base64url(&client_data),
                "attestationObject": base64url(&attestation.encode()),
                "authenticatorData": base64url(&authenticator_data),
                "publicKeyAlgorithm": -7,
                "transports": ["internal"],
            },
        });
        self.passkeys.push(passkey);
        Some(credential)
    }

    /// `navigator.credentials.get()` with the newest passkey that fits. `None` when it holds none.
    pub fn get(&mut self, public_key: &Json, origin: &str) -> Option<Json> {
        let relying_party = text(&public_key["rpId"]);
        let allowed = ids_in(&public_key["allowCredentials"]);
        let position = self.passkeys.iter().rposition(|passkey| {
            passkey.relying_party == relying_party
                && (allowed.is_empty() || allowed.contains(&passkey.id))
        })?;
        Some(self.sign(position, public_key, origin))
    }

    /// As [`get`](Self::get), but with its newest passkey whatever the request allows.
    pub fn get_regardless(&mut self, public_key: &Json, origin: &str) -> Json {
        self.sign(self.passkeys.len() - 1, public_key, origin)
    }

    fn sign(&mut self, position: usize, public_key: &Json, origin: &str) -> Json {
        let flags = self.flags();
        if self.counts {
            self.passkeys[position].counter += 1;
        }
        let passkey = &self.passkeys[position];
        let client_data = client_data("webauthn.get", public_key, origin);
        let authenticator_data = passkey.authenticator_data(flags);
        let signature = passkey.sign(&authenticator_data, &client_data);
        json!({
            "id": base64url(&passkey.id),
            "rawId": base64url(&passkey.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": base64url(&client_data),
                "authenticatorData": base64url(&authenticator_data),
                "signature": base64url(&signature),
                "userHandle": base64url(&passkey.user_handle),
            },
        })
    }

    fn registration_data(&self, passkey: &Passkey) -> Vec<u8> {
        let mut data = passkey.authenticator_data(self.flags() | HAS_CREDENTIAL);
        data.extend_from_slice(&AAGUID);
        data.extend_from_slice(&(passkey.id.len() as u16).to_be_bytes());
        data.extend_from_slice(&passkey.id);
        data.extend_from_slice(&passkey.cose_key());
        data
    }

    fn flags(&self) -> u8 {
        let verified = if self.verifies_user { USER_VERIFIED } else { 0 };
        let backup = match self.backup {
            Backup::DeviceBound => 0,
            Backup::Synced => BACKUP_ELIGIBLE | BACKED_UP,
        };
        USER_PRESENT | verified | backup
    }
}

impl Passkey {
    fn new(relying_party: String, user_handle: Vec<u8>) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let mut id = vec![0; 16];
        random.fill(&mut id).unwrap();
        Self {
            id,
            key: EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap(),
            relying_party,
            user_handle,
            counter: 0,
        }
    }

    /// WebAuthn L3 §6.1, without attested credential data.
    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let mut data = sha256(self.relying_party.as_bytes());
        data.push(flags);
        data.extend_from_slice(&self.counter.to_be_bytes());
        data
    }

    fn sign(&self, authenticator_data: &[u8], client_data: &[u8]) -> Vec<u8> {
        let mut signed = authenticator_data.to_vec();
        signed.extend(sha256(client_data));
        self.key
            .sign(&SystemRandom::new(), &signed)
            .unwrap()
            .as_ref()
            .to_vec()
    }

    /// RFC 9053 §7.1.1: an EC2 key on P-256 for ES256.
    fn cose_key(&self) -> Vec<u8> {
        // 0x04, then both coordinates (SEC 1 §2.3.3).
        let point = self.key.public_key().as_ref();
        Value::Map(vec![
            (Value::Int(1), Value::Int(2)),
            (Value::Int(3), Value::Int(-7)),
            (Value::Int(-1), Value::Int(1)),
            (Value::Int(-2), Value::Bytes(point[1..33].to_vec())),
            (Value::Int(-3), Value::Bytes(point[33..65].to_vec())),
        ])
        .encode()
    }
}

fn client_data(kind: &str, public_key: &Json, origin: &str) -> Vec<u8> {
    json!({
        "type": kind,
        "challenge": public_key["challenge"],
        "origin": origin,
        "crossOrigin": false,
    })
    .to_string()
    .into_bytes()
}

fn ids_in(descriptors: &Json) -> Vec<Vec<u8>> {
    descriptors
        .as_array()
        .into_iter()
        .flatten()
        .map(|descriptor| bytes(&descriptor["id"]))
        .collect()
}

fn text(value: &Json) -> String {
    value
        .as_str()
        .expect("a string in the request's options")
        .to_owned()
}

fn bytes(value: &Json) -> Vec<u8> {
    URL_SAFE_NO_PAD
        .decode(text(value))
        .expect("base64url without padding")
}

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}
