//! Names of passkey providers by AAGUID (WebAuthn L3 §6.5.1), so that a person can tell in a list which
//! passkey is where.
//!
//! An AAGUID without attestation is a claim, good for a label and for nothing else: no decision may rest
//! on it. The table is short and ours; a provider that is not in it simply has no name.

use uuid::{Uuid, uuid};

/// The provider's name; `None` when the authenticator did not say, or said something we do not know.
pub fn name(aaguid: Uuid) -> Option<&'static str> {
    PROVIDERS
        .iter()
        .find(|(known, _)| *known == aaguid)
        .map(|(_, name)| *name)
}

const PROVIDERS: &[(Uuid, &str)] = &[
    (
        uuid!("fbfc3007-154e-4ecc-8c0b-6e020557d7bd"),
        "Apple Passwords",
    ),
    (
        uuid!("dd4ec289-e01d-41c9-bb89-70fa845d4bf2"),
        "Apple Passwords (managed)",
    ),
    (
        uuid!("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"),
        "Google Password Manager",
    ),
    (
        uuid!("adce0002-35bc-c60a-648b-0b25f1f05503"),
        "Chrome on Mac",
    ),
    (uuid!("b5397666-4885-aa6b-cebf-e52262a439a2"), "Chromium"),
    (uuid!("771b48fd-d3d4-4f74-9232-fc157ab0507a"), "Edge on Mac"),
    (
        uuid!("08987058-cadc-4b81-b6e1-30de50dcbe96"),
        "Windows Hello",
    ),
    (
        uuid!("9ddd1817-af5a-4672-a2b9-3e3dd95000a9"),
        "Windows Hello",
    ),
    (
        uuid!("6028b017-b1d4-4c02-b4b3-afcdafc96bb2"),
        "Windows Hello",
    ),
    (
        uuid!("d3452668-01fd-4c12-926c-83a4204853aa"),
        "Microsoft Password Manager",
    ),
    (
        uuid!("53414d53-554e-4700-0000-000000000000"),
        "Samsung Pass",
    ),
    (uuid!("bada5566-a7aa-401f-bd96-45619a55120d"), "1Password"),
    (uuid!("d548826e-79b4-db40-a3d8-11116f7e8349"), "Bitwarden"),
    (uuid!("531126d6-e717-415c-9320-3d9aa6981239"), "Dashlane"),
    (uuid!("f3809540-7f14-49c1-a8b3-8f813b225541"), "Enpass"),
    (uuid!("fdb141b2-5d84-443e-8a35-4698c205a502"), "KeePassXC"),
    (uuid!("eaecdef2-1c31-5634-8639-f1cbd9c00a08"), "KeePassDX"),
    (uuid!("0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6"), "Keeper"),
    (uuid!("b78a0a55-6ef8-d246-a042-ba0f6d55050c"), "LastPass"),
    (uuid!("b84e4048-15dc-4dd0-8640-f4f60813c8af"), "NordPass"),
    (uuid!("50726f74-6f6e-5061-7373-50726f746f6e"), "Proton Pass"),
    (uuid!("cb69481e-8ff7-4039-93ec-0a2729a154a8"), "YubiKey 5"),
    (uuid!("ee882879-721c-4913-9775-3dfcce97072a"), "YubiKey 5"),
    (
        uuid!("2fc0579f-8113-47ea-b116-bb5a8db9202a"),
        "YubiKey 5 NFC",
    ),
    (uuid!("c5ef55ff-ad9a-4b9f-b580-adebafe026d0"), "YubiKey 5Ci"),
    (uuid!("d8522d9f-575b-4866-88a9-ba99fa02f35b"), "YubiKey Bio"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_provider_has_its_name() {
        assert_eq!(
            name(uuid!("bada5566-a7aa-401f-bd96-45619a55120d")),
            Some("1Password")
        );
        assert_eq!(
            name(uuid!("08987058-cadc-4b81-b6e1-30de50dcbe96")),
            Some("Windows Hello")
        );
    }

    #[test]
    fn silence_and_strangers_have_none() {
        assert_eq!(name(Uuid::nil()), None);
        assert_eq!(name(Uuid::max()), None);
    }

    #[test]
    fn no_aaguid_is_listed_twice() {
        for (at, (aaguid, _)) in PROVIDERS.iter().enumerate() {
            assert!(PROVIDERS[..at].iter().all(|(earlier, _)| earlier != aaguid));
        }
    }
}
