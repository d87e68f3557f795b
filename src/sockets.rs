//! The sockets that the gateway listens on: taken over from a predecessor, handed in by systemd, or bound here; and kept
//! at hand for a successor.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use listenfd::ListenFd;

/// Sockets that came with the process, and those that are in use.
#[derive(Debug, Default)]
pub struct Sockets {
    inherited: Vec<Socket>,
    used: Vec<Socket>,
}

/// A socket that is listened on.
#[derive(Debug)]
pub struct Socket {
    /// For which key of the configuration, if that is known.
    pub key: Option<String>,
    /// The socket.
    pub listener: TcpListener,
}

impl Sockets {
    /// Those that systemd hands in (`LISTEN_FDS`, `LISTEN_PID`). To be called before there are other threads: it takes
    /// the variables out of the environment.
    pub fn of_systemd() -> Self {
        let mut given = ListenFd::from_env();
        let mut inherited = Vec::new();
        for index in 0..given.len() {
            match given.take_tcp_listener(index) {
                Ok(Some(listener)) => inherited.push(Socket {
                    key: None,
                    listener,
                }),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "a socket from systemd cannot be used"),
            }
        }
        Self::inherited(inherited)
    }

    /// These came with the process.
    pub const fn inherited(inherited: Vec<Socket>) -> Self {
        Self {
            inherited,
            used: Vec::new(),
        }
    }

    /// A listener for an address that `key` of the configuration names: one that is there already, else a new one.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn listen(&mut self, key: &'static str, address: SocketAddr) -> io::Result<TcpListener> {
        let found = self
            .inherited
            .iter()
            .position(|socket| socket.serves(key, address));
        let listener = match found {
            Some(index) => self.inherited.swap_remove(index).listener,
            None => TcpListener::bind(address)?,
        };
        self.used.push(Socket {
            key: Some(key.to_owned()),
            listener: listener.try_clone()?,
        });
        Ok(listener)
    }

    /// Closes those that came with the process and that nothing in the configuration names.
    pub fn close_others(&mut self) {
        for socket in self.inherited.drain(..) {
            if let Ok(address) = socket.listener.local_addr() {
                tracing::warn!(%address, "a socket was handed in that the configuration does not name; it is closed");
            }
        }
    }

    /// Those in use.
    pub fn used(&self) -> &[Socket] {
        &self.used
    }
}

impl Socket {
    /// Port 0 in a configuration became another one in the predecessor; that is the one people know.
    fn serves(&self, key: &str, address: SocketAddr) -> bool {
        let Ok(own) = self.listener.local_addr() else {
            return false;
        };
        own == address
            || (address.port() == 0 && own.ip() == address.ip() && self.key.as_deref() == Some(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(key: Option<&str>) -> Socket {
        Socket {
            key: key.map(str::to_owned),
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
        }
    }

    #[test]
    fn a_socket_that_is_there_is_taken_and_others_are_bound() {
        let (ours, other) = (socket(Some("server.listen")), socket(None));
        let known = ours.listener.local_addr().unwrap();
        let exact = other.listener.local_addr().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut sockets = Sockets::inherited(vec![ours, other]);
        let redirecting = sockets.listen("server.redirect_listen", any).unwrap();
        assert!(![known, exact].contains(&redirecting.local_addr().unwrap()));
        for (address, expected) in [(any, known), (exact, exact)] {
            let listener = sockets.listen("server.listen", address).unwrap();
            assert_eq!(listener.local_addr().unwrap(), expected);
        }
        assert!(sockets.inherited.is_empty());
        assert_eq!(sockets.used().len(), 3);
        assert!(
            sockets.listen("server.listen", known).is_err(),
            "it is in use"
        );
    }

    #[test]
    fn what_nothing_names_is_closed() {
        let left = socket(None);
        let address = left.listener.local_addr().unwrap();
        let mut sockets = Sockets::inherited(vec![left]);
        sockets.close_others();
        assert!(TcpListener::bind(address).is_ok());
    }
}
