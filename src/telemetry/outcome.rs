//! What became of a request, in the closed sets that the access log, metrics and traces share: what was decided, what
//! kind of session it carried, and why it was ended before it was done.

/// Why a request was ended before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutShort {
    /// Its session had ended, or its account was closed.
    SessionOver,
    /// The session's time was up.
    SessionExpired,
    /// The session, or its person, would not have been let pass any more.
    NotGranted,
    /// The passkey check was too old for what lasts.
    StepUpTooOld,
    /// Whether it might go on could not be found out.
    StoreSilent,
    /// The client sent no more of its body.
    UploadStalled,
    /// The upstream's answer never began.
    NoAnswer,
    /// It took longer than its upstream allows.
    TookTooLong,
    /// Its connection ended: the client left, or the server stopped.
    ConnectionEnded,
    /// The client left, or took no more, before the answer was out.
    ClientLeft,
    /// The upstream broke off in the middle of its answer.
    UpstreamFailed,
    /// Something of the gateway failed in the middle of the answer.
    Failed,
    /// The gateway ended, and waited no longer.
    Stopping,
}

/// What was decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: the client left, or something of ours failed first.
    Undecided,
    /// It went to an upstream.
    Forwarded,
    /// One of the gateway's own pages answered.
    OwnPage,
    /// The visitor has to sign in.
    SignIn,
    /// The visitor has to save a passkey.
    ReEnrol,
    /// The visitor has to prove a passkey again.
    StepUp,
    /// No route names it.
    NoRoute,
    /// The person is not among those allowed.
    NotAllowed,
    /// It can be read in more than one way.
    Ambiguous,
    /// It is not a request that the gateway takes.
    Malformed,
    /// Its connection bears no client certificate that the route takes.
    NoCertificate,
    /// It was sent from plain HTTP to HTTPS.
    Redirected,
    /// Its connection is for another host.
    Misdirected,
    /// More requests were in flight than the gateway takes.
    Overloaded,
}

/// What kind of session a request carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// None.
    None,
    /// One held to low-stakes operations.
    Restricted,
    /// An unrestricted one.
    Full,
}

impl Outcome {
    /// All of them, in their order.
    pub const ALL: [Self; 14] = [
        Self::Undecided,
        Self::Forwarded,
        Self::OwnPage,
        Self::SignIn,
        Self::ReEnrol,
        Self::StepUp,
        Self::NoRoute,
        Self::NotAllowed,
        Self::Ambiguous,
        Self::Malformed,
        Self::NoCertificate,
        Self::Redirected,
        Self::Misdirected,
        Self::Overloaded,
    ];

    /// The word in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::Forwarded => "forward",
            Self::OwnPage => "own_page",
            Self::SignIn => "sign_in",
            Self::ReEnrol => "re_enrol",
            Self::StepUp => "step_up",
            Self::NoRoute => "no_route",
            Self::NotAllowed => "not_allowed",
            Self::Ambiguous => "ambiguous",
            Self::Malformed => "malformed",
            Self::NoCertificate => "no_certificate",
            Self::Redirected => "redirected",
            Self::Misdirected => "misdirected",
            Self::Overloaded => "overloaded",
        }
    }

    /// What the visitor would have needed, where that was the reason.
    pub const fn missing(self) -> Option<&'static str> {
        match self {
            Self::SignIn => Some("session"),
            Self::ReEnrol => Some("passkey"),
            Self::StepUp => Some("step_up"),
            Self::NotAllowed => Some("permission"),
            Self::NoCertificate => Some("certificate"),
            Self::Undecided
            | Self::Forwarded
            | Self::OwnPage
            | Self::NoRoute
            | Self::Ambiguous
            | Self::Malformed
            | Self::Redirected
            | Self::Misdirected
            | Self::Overloaded => None,
        }
    }
}

impl CutShort {
    /// The word in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SessionOver => "session_over",
            Self::SessionExpired => "session_expired",
            Self::NotGranted => "not_granted",
            Self::StepUpTooOld => "step_up_too_old",
            Self::StoreSilent => "store_silent",
            Self::UploadStalled => "upload_stalled",
            Self::NoAnswer => "no_answer",
            Self::TookTooLong => "took_too_long",
            Self::ConnectionEnded => "connection_ended",
            Self::ClientLeft => "client_left",
            Self::UpstreamFailed => "upstream_failed",
            Self::Failed => "failed",
            Self::Stopping => "stopping",
        }
    }
}

impl SessionKind {
    /// The word in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Restricted => "restricted",
            Self::Full => "full",
        }
    }
}
