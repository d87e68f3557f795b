//! How the requests of a route are passed on, and its answers back: what the policy has no say in.

use std::{fmt, time::Duration};

use axum::http::{HeaderName, HeaderValue};

/// How the requests of one route are passed on. The default changes nothing.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// Bodies of requests may have so many bytes; `None` for any number.
    pub max_body: Option<u64>,
    /// The host that the app hears; `None` for the one the visitor asked for.
    pub host: Option<AppHost>,
    /// The servers of the upstream by the names in the file: an app may call itself so in its answers.
    pub servers: Vec<AppHost>,
    /// What is taken off the path, and put before it.
    pub prefix: PathPrefix,
    /// Changes to the headers of requests.
    pub request_headers: HeaderEdits,
    /// Changes to the headers of answers.
    pub response_headers: HeaderEdits,
    /// Whether the app hears nothing of the person.
    pub anonymous: bool,
    /// What the app is given to sign in with, the first that fits; `None` leaves the client's own alone.
    pub authorization: Option<Vec<AppCredential>>,
    /// Whether the app's answer ends the gateway's session too.
    pub sign_out: bool,
    /// Whether answers get the headers that browsers are told to be careful by.
    pub security_headers: bool,
    /// How long open exchanges may last.
    pub live: Live,
    /// The longest silence within the body of a request; `None` for the usual one.
    pub body_timeout: Option<Duration>,
}

/// How long what is open on a route that asks for a step-up may last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Live {
    /// As long as its session.
    #[default]
    Session,
    /// Until the step-up is too old for a new request.
    MaxAge,
}

/// A host that an app is called by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppHost {
    /// Lower case, an IPv6 address in its brackets.
    pub host: String,
    /// `None` for whatever the scheme says.
    pub port: Option<u16>,
}

impl AppHost {
    /// As it stands in a `Host` field.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

/// Where an app's paths are among the public ones: `/wiki/x` of the visitor is `/app/x` of the app. Each part is
/// empty or begins with a slash and ends without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathPrefix {
    /// Taken off what the visitor asked for.
    pub strip: String,
    /// Put before what is left.
    pub add: String,
}

impl PathPrefix {
    /// Whether paths stay as they are.
    pub fn is_none(&self) -> bool {
        self.strip.is_empty() && self.add.is_empty()
    }
}

/// Headers to take away and then to set.
#[derive(Clone, Debug, Default)]
pub struct HeaderEdits {
    /// To set, in place of any there are. Values that came from a secret are marked sensitive.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// To take away.
    pub remove: Vec<HeaderName>,
}

/// What one group of people, or everybody, is signed in to the app with.
#[derive(Clone)]
pub struct AppCredential {
    /// For members of this group; `None` for everybody.
    pub group: Option<String>,
    /// The whole `Authorization` value, marked sensitive.
    pub value: HeaderValue,
}

/// The secret stays out of logs.
impl fmt::Debug for AppCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("app credential")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_not_shown() {
        let credential = AppCredential {
            group: None,
            value: HeaderValue::from_static("Basic aHVudGVyMg=="),
        };
        assert_eq!(format!("{credential:?}"), "app credential");
    }
}
