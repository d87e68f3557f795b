//! Where to listen, where the servers of an upstream are, and where the store is.

use std::{net::SocketAddr, path::PathBuf};

use super::Written;

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl Written for Listen {
    const NAME: &'static str = "listen address";
    const ACCEPTED: &'static str = "an IP address and port such as \"127.0.0.1:8443\" or \"[::]:443\"; port 0 picks a free one";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

/// Where a server of an upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// At a name or an address, and a port.
    Network {
        /// A host name or an IP address, the latter without brackets.
        host: String,
        /// Never zero.
        port: u16,
    },
    /// At a socket of this machine.
    Unix(PathBuf),
}

impl ServerAddress {
    /// As it is written.
    pub(in crate::config) fn written(&self) -> String {
        self.write()
    }

    fn network(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return (address.port() != 0).then(|| Self::Network {
                host: address.ip().to_string(),
                port: address.port(),
            });
        }
        let (host, port) = text.rsplit_once(':')?;
        // `u16` would read a sign as well.
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0)?;
        let name = host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        (name && !host.is_empty()).then(|| Self::Network {
            host: host.to_owned(),
            port,
        })
    }

    fn socket(path: &str) -> Option<Self> {
        // `unix:///run/…` is as common; `unix://name` would be an authority, which a socket has not.
        let path = path
            .strip_prefix("//")
            .map_or(Some(path), |rest| rest.starts_with('/').then_some(rest))?;
        let named = !path.is_empty() && !path.ends_with('/') && !path.contains('\0');
        named.then(|| Self::Unix(path.into()))
    }
}

impl Written for ServerAddress {
    const NAME: &'static str = "server address";
    const ACCEPTED: &'static str = "a host and port without scheme or path, such as \"127.0.0.1:9000\", \"app.internal:9000\" or \"[::1]:9000\", or a socket such as \"unix:/run/app.sock\"";

    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("unix:") {
            Some(path) => Self::socket(path),
            None => Self::network(text),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Network { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Network { host, port } => format!("{host}:{port}"),
            Self::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

/// Where state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// One SQLite file.
    Sqlite(PathBuf),
}

impl Written for StoreUrl {
    const NAME: &'static str = "store URL";
    const ACCEPTED: &'static str = "\"sqlite:PATH\" (PostgreSQL is not available in this version)";

    fn parse(text: &str) -> Option<Self> {
        let path = text.strip_prefix("sqlite:")?;
        // `sqlite:///var/…` as well; `sqlite://name` would be an authority, which a file has not.
        let path = path
            .strip_prefix("//")
            .map_or(Some(path), |rest| rest.starts_with('/').then_some(rest))?;
        let named = !path.is_empty() && !path.starts_with(':') && !path.contains(['?', '\0']);
        named.then(|| Self::Sqlite(path.into()))
    }

    fn write(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads<T: Written>(text: &str) -> Option<String> {
        T::parse(text).map(|value| value.write())
    }

    #[test]
    fn an_ip_address_and_a_port_is_where_to_listen() {
        assert_eq!(reads::<Listen>("[::]:443").as_deref(), Some("[::]:443"));
        for text in [
            "",
            "8443",
            ":8443",
            "localhost:8443",
            "127.0.0.1",
            "127.0.0.1:70000",
        ] {
            assert!(Listen::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_host_and_a_port_or_a_socket_is_a_server() {
        for text in [
            "localhost:9000",
            "127.0.0.1:9000",
            "[::1]:80",
            "my-app_1.internal:1",
            "unix:/run/app.sock",
            "unix:run/app.sock",
        ] {
            assert_eq!(reads::<ServerAddress>(text).as_deref(), Some(text));
        }
        assert_eq!(
            reads::<ServerAddress>("unix:///run/app.sock").as_deref(),
            Some("unix:/run/app.sock")
        );
        let loopback = ServerAddress::parse("[::1]:80").unwrap();
        assert!(matches!(loopback, ServerAddress::Network { host, .. } if host == "::1"));
        for text in [
            "",
            "app",
            ":9000",
            "app:0",
            "app:x",
            "app:+80",
            "http://app:9000",
            "127.0.0.1:0",
            "a b:1",
            "app:9000/",
            "unix:",
            "unix://run/app.sock",
            "unix:/run/",
        ] {
            assert!(ServerAddress::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_file_is_a_store() {
        assert_eq!(
            reads::<StoreUrl>("sqlite:a.db").as_deref(),
            Some("sqlite:a.db")
        );
        assert_eq!(
            reads::<StoreUrl>("sqlite:///var/a.db").as_deref(),
            Some("sqlite:/var/a.db")
        );
        for text in [
            "",
            "sqlite:",
            "a.db",
            "sqlite://a.db",
            "sqlite::memory:",
            "sqlite:a?mode=ro",
            "postgres://db/x",
        ] {
            assert!(StoreUrl::parse(text).is_none(), "{text}");
        }
    }
}
