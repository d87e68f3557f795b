//! Which paths are the gateway's own and never forwarded.

use super::reading::Reading;

/// The folder of the gateway's pages.
const FOLDER: &str = "/.gatehouse";

/// Addresses that browsers and password managers ask for at the root of a site.
const WELL_KNOWN: [&str; 3] = [
    "/.well-known/passkey-endpoints",
    "/.well-known/change-password",
    "/.well-known/webauthn",
];

/// Whether a canonical path is answered by the gateway itself.
pub fn is_own_page(path: &str) -> bool {
    is_in_folder(path) || WELL_KNOWN.contains(&path)
}

/// Whether a reading falls among the gateway's pages. An upstream that reads so must not get the request:
/// it could put up pages of its own at addresses that people trust.
pub(super) fn is_reserved(reading: &Reading) -> bool {
    is_in_folder(reading.folded())
}

fn is_in_folder(path: &str) -> bool {
    path.strip_prefix(FOLDER)
        .is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::target::Target;

    #[test]
    fn own_pages_are_the_folder_and_three_addresses() {
        for (path, own) in [
            ("/.gatehouse", true),
            ("/.gatehouse/", true),
            ("/.gatehouse/sign-in", true),
            ("/.gatehouses", false),
            ("/x/.gatehouse", false),
            ("/.Gatehouse/x", false),
            ("/.well-known/webauthn", true),
            ("/.well-known/passkey-endpoints", true),
            ("/.well-known/change-password", true),
            ("/.well-known/change-password/x", false),
            ("/.well-known/security.txt", false),
        ] {
            assert_eq!(is_own_page(path), own, "{path}");
        }
    }

    #[test]
    fn whatever_reads_as_the_folder_is_reserved() {
        for (path, reserved) in [
            ("/.Gatehouse/x", true),
            ("//.gatehouse", true),
            ("//x/.gatehouse", true),
            ("/.gatehouse;a/x", true),
            ("/;a/.gatehouse", true),
            ("/.gatehouse./x", true),
            ("/.gatehouse%20", true),
            ("/.gatehouse%2Fx", true),
            ("/.gatehouse%3Bx", true),
            ("/%252Egatehouse", true),
            ("/.gatehou%C5%BFe", true),
            ("/.gatehouses", false),
            ("/x;/.gatehouse", false),
        ] {
            let target = Target::parse(path.as_bytes()).unwrap();
            assert_eq!(target.readings().any(is_reserved), reserved, "{path}");
        }
    }
}
