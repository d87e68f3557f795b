//! Networks by address and prefix length.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Written;

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr(pub IpNet);

impl Written for Cidr {
    const NAME: &'static str = "network";
    const ACCEPTED: &'static str = "a network such as \"10.0.0.0/8\" or \"2001:db8::/32\", without bits set after its prefix, or one address";

    fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self(address.into()));
        }
        // `10.1.2.3/8` is a slip of the pen: nobody can say which of the two was meant.
        text.parse::<IpNet>()
            .ok()
            .filter(|network| network.trunc() == *network)
            .map(Self)
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_or_an_address_is_read_and_a_slip_refused() {
        for (text, read) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("192.0.2.1", Some("192.0.2.1/32")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("::1", Some("::1/128")),
            ("10.1.2.3/8", None),
            ("10.0.0.0/33", None),
            ("10.0.0", None),
            ("localhost", None),
            ("", None),
        ] {
            let cidr = Cidr::parse(text).map(|cidr| cidr.write());
            assert_eq!(cidr.as_deref(), read, "{text}");
        }
    }
}
