//! The relying party: the only place that knows the WebAuthn library, and where its defaults are made to
//! fit what Gatehouse promises (discoverable credentials, user verification always).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, Passkey, PasskeyAuthentication,
    PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential, Webauthn,
    WebauthnBuilder, WebauthnError,
};

use crate::{
    clock::Timestamp,
    config,
    id::{CredentialId, UserHandle},
    store::{Account, Credential, CredentialUse, Standing},
};

/// As long as browsers let a passkey prompt stand (WebAuthn L3 §5.4 recommends 300 s at least where user
/// verification is required).
pub const CEREMONY_LIFESPAN: Duration = Duration::from_secs(5 * 60);

/// Begins and checks exchanges with passkeys (WebAuthn Level 3 §7).
pub struct RelyingParty {
    webauthn: Webauthn,
}

/// Where a passkey is to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// On the device at hand.
    ThisDevice,
    /// On a phone, by the browser's own cross-device dialog.
    Phone,
    /// On a security key that is plugged in or held near.
    HardwareKey,
}

impl Place {
    /// What browsers are told (WebAuthn L3 §5.8.7).
    const fn hint(self) -> &'static str {
        match self {
            Self::ThisDevice => "client-device",
            Self::Phone => "hybrid",
            Self::HardwareKey => "security-key",
        }
    }

    /// The older way to tell them (§5.4.5).
    const fn attachment(self) -> &'static str {
        match self {
            Self::ThisDevice => "platform",
            Self::Phone | Self::HardwareKey => "cross-platform",
        }
    }

    /// As in addresses and scripts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ThisDevice => "this-device",
            Self::Phone => "phone",
            Self::HardwareKey => "hardware-key",
        }
    }

    /// What a passkey saved there is called at first; `device` is the browser and system at hand.
    pub const fn label(self, device: &str) -> &str {
        match self {
            Self::ThisDevice => device,
            Self::Phone => "Phone",
            Self::HardwareKey => "Hardware key",
        }
    }
}

/// The state of saving a passkey.
#[derive(Serialize, Deserialize)]
pub struct Registration {
    handle: UserHandle,
    state: PasskeyRegistration,
}

/// The state of signing in with whichever passkey the person picks.
#[derive(Serialize, Deserialize)]
pub struct Discovery(DiscoverableAuthentication);

/// The state of proving a passkey of a known account.
#[derive(Serialize, Deserialize)]
pub struct Confirmation(PasskeyAuthentication);

/// A passkey's answer when it is saved.
pub type RegistrationAnswer = RegisterPublicKeyCredential;

/// A passkey's answer when it is used.
pub type AssertionAnswer = PublicKeyCredential;

/// Why an answer does not count.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// It did not verify.
    #[error("the passkey's answer does not verify")]
    NotVerified(#[source] WebauthnError),
    /// What is stored of the passkey does not read.
    #[error("the stored passkey cannot be read")]
    Unreadable,
}

/// A fresh, unsaved passkey.
#[derive(Debug)]
pub struct NewPasskey {
    /// Its id.
    pub id: CredentialId,
    material: String,
    aaguid: Option<uuid::Uuid>,
    backup_eligible: bool,
    backup_state: bool,
}

impl RelyingParty {
    /// For the configured name and origins.
    ///
    /// # Errors
    /// When the library does not accept them; `check` has tried before.
    pub fn new(config: &config::RelyingParty) -> Result<Self, WebauthnError> {
        let origins = config.passkey_origins();
        let own = origins
            .iter()
            .find(|origin| config.is_at_home(origin.host()));
        let own = match own {
            Some(origin) => origin.url().clone(),
            // The library wants an origin of the relying party first. Where all are related ones, it is that of
            // the host which lists them, so it gets nothing that it could not give itself.
            None => url::Url::parse(&format!("https://{}", config.id))
                .map_err(|_| WebauthnError::Configuration)?,
        };
        let mut builder = WebauthnBuilder::new(&config.id, &own)?.rp_name(&config.name);
        for origin in origins.iter().filter(|origin| *origin.url() != own) {
            builder = builder.append_allowed_origin(origin.url());
        }
        let webauthn = builder.timeout(CEREMONY_LIFESPAN).build()?;
        Ok(Self { webauthn })
    }

    /// Options for saving a passkey on a device that does not hold one of `existing`.
    ///
    /// # Errors
    /// When a stored passkey does not read.
    pub fn begin_registration(
        &self,
        account: &Account,
        existing: &[Credential],
        place: Option<Place>,
    ) -> Result<(Value, Registration), PasskeyError> {
        // A frozen passkey is not in the way of a new one on the same device: it opens nothing any more.
        let exclude = existing
            .iter()
            .filter(|credential| !credential.is_frozen())
            .map(|credential| credential.id.bytes().to_vec())
            .collect();
        let display_name = account.name.as_deref().unwrap_or(&account.login);
        let (challenge, state) = self
            .webauthn
            .start_passkey_registration(
                account.user_handle.uuid(),
                &account.login,
                display_name,
                Some(exclude),
            )
            .map_err(PasskeyError::NotVerified)?;
        let mut options = options_of(&challenge)?;
        // The library asks for no discoverable credential; without one nobody can sign in by one click.
        options["authenticatorSelection"]["residentKey"] = json!("required");
        options["authenticatorSelection"]["requireResidentKey"] = json!(true);
        options["authenticatorSelection"]["userVerification"] = json!("required");
        if let Some(place) = place {
            options["hints"] = json!([place.hint()]);
            // For browsers that know no hints (WebAuthn L3 §5.8.7 advises to send both).
            options["authenticatorSelection"]["authenticatorAttachment"] =
                json!(place.attachment());
        }
        let handle = account.user_handle;
        Ok((options, Registration { handle, state }))
    }

    /// Checks the answer to [`begin_registration`](Self::begin_registration).
    ///
    /// # Errors
    /// When it does not verify.
    pub fn finish_registration(
        &self,
        answer: &RegistrationAnswer,
        registration: &Registration,
    ) -> Result<NewPasskey, PasskeyError> {
        let passkey = self
            .webauthn
            .finish_passkey_registration(answer, &registration.state)
            .map_err(PasskeyError::NotVerified)?;
        let details = webauthn_rs::prelude::Credential::from(passkey.clone());
        Ok(NewPasskey {
            id: CredentialId::new(passkey.cred_id()).ok_or(PasskeyError::Unreadable)?,
            material: serde_json::to_string(&passkey).map_err(|_| PasskeyError::Unreadable)?,
            aaguid: aaguid(answer.response.attestation_object.as_ref()),
            backup_eligible: details.backup_eligible,
            backup_state: details.backup_state,
        })
    }

    /// Options for signing in with whichever passkey the device holds.
    ///
    /// # Errors
    /// When the library fails.
    pub fn begin_discovery(&self) -> Result<(Value, Discovery), PasskeyError> {
        let (challenge, state) = self
            .webauthn
            .start_discoverable_authentication()
            .map_err(PasskeyError::NotVerified)?;
        Ok((options_of(&challenge)?, Discovery(state)))
    }

    /// Checks the answer to [`begin_discovery`](Self::begin_discovery) against the passkey it names.
    ///
    /// # Errors
    /// When it does not verify.
    pub fn finish_discovery(
        &self,
        answer: &AssertionAnswer,
        discovery: Discovery,
        credential: &Credential,
    ) -> Result<CredentialUse, PasskeyError> {
        let passkey = passkey_of(credential)?;
        let result = self
            .webauthn
            .finish_discoverable_authentication_v2(answer, discovery.0, &passkey)
            .map_err(PasskeyError::NotVerified)?;
        used(passkey, &result)
    }

    /// Options for proving one of an account's own passkeys.
    ///
    /// # Errors
    /// When a stored passkey does not read.
    pub fn begin_confirmation(
        &self,
        own: &[Credential],
    ) -> Result<(Value, Confirmation), PasskeyError> {
        let passkeys = own.iter().map(passkey_of).collect::<Result<Vec<_>, _>>()?;
        let (challenge, state) = self
            .webauthn
            .start_passkey_authentication(&passkeys)
            .map_err(PasskeyError::NotVerified)?;
        Ok((options_of(&challenge)?, Confirmation(state)))
    }

    /// Checks the answer to [`begin_confirmation`](Self::begin_confirmation).
    ///
    /// # Errors
    /// When it does not verify.
    pub fn finish_confirmation(
        &self,
        answer: &AssertionAnswer,
        confirmation: &Confirmation,
        credential: &Credential,
    ) -> Result<CredentialUse, PasskeyError> {
        let passkey = passkey_of(credential)?;
        let result = self
            .webauthn
            .finish_passkey_authentication(answer, &confirmation.0)
            .map_err(PasskeyError::NotVerified)?;
        used(passkey, &result)
    }
}

impl Registration {
    /// Whose passkey it is going to be.
    pub fn user_handle(&self) -> UserHandle {
        self.handle
    }
}

impl NewPasskey {
    /// As it is saved.
    pub fn into_credential(self, account: &Account, device: &str, now: Timestamp) -> Credential {
        Credential {
            id: self.id,
            account: account.id,
            material: self.material,
            label: device.to_owned(),
            aaguid: self.aaguid,
            backup_eligible: self.backup_eligible,
            backup_state: self.backup_state,
            created_at: now,
            last_used_at: None,
            standing: Standing::Good,
            to_confirm: false,
        }
    }
}

/// The passkey an answer names; `None` when it is no possible id.
pub fn named_credential(answer: &AssertionAnswer) -> Option<CredentialId> {
    CredentialId::new(answer.raw_id.as_ref())
}

/// The account an answer names, if it names one.
pub fn named_user(answer: &AssertionAnswer) -> Option<UserHandle> {
    let bytes = answer.response.user_handle.as_ref()?;
    uuid::Uuid::from_slice(bytes.as_ref())
        .ok()
        .map(UserHandle::from_uuid)
}

/// The bare options: how they are mediated is the page's affair, and the library would force its own.
fn options_of(challenge: &impl Serialize) -> Result<Value, PasskeyError> {
    let mut challenge = serde_json::to_value(challenge).map_err(|_| PasskeyError::Unreadable)?;
    Ok(challenge["publicKey"].take())
}

fn passkey_of(credential: &Credential) -> Result<Passkey, PasskeyError> {
    serde_json::from_str(&credential.material).map_err(|_| PasskeyError::Unreadable)
}

fn used(
    mut passkey: Passkey,
    result: &AuthenticationResult,
) -> Result<CredentialUse, PasskeyError> {
    passkey.update_credential(result);
    Ok(CredentialUse {
        id: CredentialId::new(passkey.cred_id()).ok_or(PasskeyError::Unreadable)?,
        material: serde_json::to_string(&passkey).map_err(|_| PasskeyError::Unreadable)?,
        backup_state: result.backup_state(),
    })
}

#[derive(Deserialize)]
struct AttestationObject {
    #[serde(rename = "authData")]
    authenticator_data: serde_cbor_2::Value,
}

/// The authenticator's model: bytes 37 to 53 of the authenticator data (WebAuthn L3 §6.1, §6.5.1), which
/// the library does not show. Zero means that it is not told. Nothing vouches for it; it only names.
fn aaguid(attestation_object: &[u8]) -> Option<uuid::Uuid> {
    let object: AttestationObject = serde_cbor_2::from_slice(attestation_object).ok()?;
    let serde_cbor_2::Value::Bytes(data) = object.authenticator_data else {
        return None;
    };
    let aaguid = uuid::Uuid::from_slice(data.get(37..53)?).ok()?;
    (!aaguid.is_nil()).then_some(aaguid)
}
