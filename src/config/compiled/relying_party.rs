//! The site as passkeys know it, and where people reach it.

/// The WebAuthn relying party.
#[derive(Clone, Debug)]
pub struct RelyingParty {
    /// Domain that passkeys belong to.
    pub id: String,
    /// Shown by authenticators.
    pub name: String,
    /// Origins at which people reach the gateway, at least one. The first is the default for links.
    pub origins: Vec<Origin>,
    /// The one where people sign in for all hosts; `None` where each host has pages of its own.
    pub auth: Option<Origin>,
}

/// Scheme, host and port, as a browser writes them in `Origin`: `https://app.example.com:8443`.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    url: url::Url,
}

impl RelyingParty {
    /// Where the pages are that people of a host use: at the one where everybody signs in, else at the configured
    /// origin of the host, else at the first. Links never come from request headers.
    pub fn origin_for(&self, host: &str) -> &Origin {
        let own = || self.origins.iter().find(|origin| origin.host() == host);
        self.auth.as_ref().or_else(own).unwrap_or(self.main())
    }

    /// Where the pages are that belong to no host in particular.
    pub fn main(&self) -> &Origin {
        self.auth.as_ref().unwrap_or(&self.origins[0])
    }

    /// Where passkeys work, at least one.
    pub fn passkey_origins(&self) -> &[Origin] {
        match &self.auth {
            // Pages of an app must not get at passkeys, and those of the gateway are elsewhere.
            Some(auth) => std::slice::from_ref(auth),
            None => &self.origins,
        }
    }

    /// How browsers reach a host: as configured, else as they reach the one where people sign in.
    pub fn address_of(&self, host: &str) -> Option<Origin> {
        match self.origins.iter().find(|origin| origin.host() == host) {
            Some(origin) => Some(origin.clone()),
            None => self.auth.as_ref()?.with_host(host),
        }
    }

    /// Whether browsers reach a host over TLS, as far as the configuration says how they reach it.
    pub fn is_reached_securely(&self, host: &str) -> bool {
        let of_host = self.origins.iter().find(|origin| origin.host() == host);
        of_host
            .or(self.auth.as_ref())
            .is_some_and(|origin| origin.url().scheme() == "https")
    }

    /// Whether a host belongs to the relying party, so that browsers offer passkeys there unasked.
    pub fn is_at_home(&self, host: &str) -> bool {
        host.strip_suffix(self.id.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl Origin {
    /// `None` unless `text` is `http` or `https`, a host name, and at most a port. Plain `http` is for
    /// loopback names, where browsers offer passkeys too.
    pub fn parse(text: &str) -> Option<Self> {
        let url = url::Url::parse(text).ok()?;
        let host = url.domain()?;
        let loopback = host == "localhost" || host.ends_with(".localhost");
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let scheme = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        (bare && scheme).then_some(Self { url })
    }

    /// The same scheme and port at another host; `None` if that is none.
    pub fn with_host(&self, host: &str) -> Option<Self> {
        let mut url = self.url.clone();
        url.set_host(Some(host)).ok()?;
        Some(Self { url }).filter(|origin| origin.url.host_str() == Some(host))
    }

    /// As in an `Origin` header.
    pub fn as_str(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// As the WebAuthn library wants it.
    pub fn url(&self) -> &url::Url {
        &self.url
    }

    /// The host name, lower case.
    pub fn host(&self) -> &str {
        self.url.domain().unwrap_or_default()
    }

    /// The address of a path on this origin. `path` begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.as_str())
    }
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
