//! The closed sets that metrics are split by. A value gets its place and its word here and nowhere else.

use super::Label;
use crate::method::Method;

/// Declares a label: its name, and its values with their words.
macro_rules! label {
    ($(#[$doc:meta])* $type:ident, $name:literal: $($(#[$of:meta])* $value:ident = $word:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $($(#[$of])* $value),+ }

        impl Label for $type {
            const NAME: &'static str = $name;
            const ALL: &'static [Self] = &[$(Self::$value),+];

            fn word(self) -> &'static str {
                match self { $(Self::$value => $word),+ }
            }

            fn place(self) -> usize {
                self as usize
            }
        }
    };
}

label! {
    /// What a request was answered with.
    ResponseClass, "class":
    /// Switching protocols.
    Informational = "1xx",
    /// Done.
    Success = "2xx",
    /// Sent elsewhere.
    Redirection = "3xx",
    /// The client's fault, or turned away.
    ClientError = "4xx",
    /// The gateway's or an app's fault.
    ServerError = "5xx",
    /// The client left before an answer.
    None = "none",
}

label! {
    /// Why a connection was closed without a request of it being answered.
    RefusedConnection, "reason":
    /// There are as many as `server.limits.connections` says.
    Connections = "connections",
    /// Its network has as many as `server.limits.connections_per_network` says.
    PerNetwork = "connections_per_network",
    /// It came from `server.proxy_protocol` without a PROXY header.
    ProxyHeader = "proxy_header",
    /// The TLS handshake failed.
    Handshake = "handshake",
    /// The TLS handshake took too long.
    HandshakeTimeout = "handshake_timeout",
    /// It brought no request in time.
    HeaderTimeout = "header_timeout",
    /// It sent more than a client has to.
    Flood = "flood",
}

label! {
    /// How a sign-in ended.
    SignInResult, "result":
    /// With a session.
    SignedIn = "signed_in",
    /// Without.
    Refused = "refused",
}

label! {
    /// How a step-up ended.
    StepUpResult, "result":
    /// With a raised session.
    SteppedUp = "stepped_up",
    /// Without.
    Refused = "refused",
}

label! {
    /// How saving a passkey ended.
    EnrolmentResult, "result":
    /// It counts at once.
    Saved = "saved",
    /// It waits as `enrolment.hold` says.
    Held = "held",
    /// It was not saved.
    Refused = "refused",
}

label! {
    /// What an operator should know of and what is neither sign-in, step-up nor enrolment.
    SecurityEvent, "event":
    /// Somebody said "this was not me".
    Reported = "reported",
    /// An administrator asked for a recovery.
    RecoveryRequested = "recovery_requested",
    /// A second administrator approved one.
    RecoveryApproved = "recovery_approved",
    /// A recovery link was shown to an administrator.
    RecoveryLinkIssued = "recovery_link_issued",
    /// A hundred wrong backup codes closed that way of an account.
    BackupCodesClosed = "backup_codes_closed",
    /// A hundred wrong mail codes closed that way of an account.
    EmailCodesClosed = "email_codes_closed",
    /// A device was let in from another.
    PairingApproved = "pairing_approved",
    /// A device was not let in.
    PairingRefused = "pairing_refused",
    /// Several devices asked in a short time.
    PairingBlocked = "pairing_blocked",
    /// An administrator may not do what they tried.
    AdministrationRefused = "administration_refused",
    /// Somebody signed out, here or everywhere.
    SignedOut = "signed_out",
    /// An operator ended sessions.
    SessionsRevoked = "sessions_revoked",
    /// An account was made.
    AccountCreated = "account_created",
    /// An account may no longer sign in.
    AccountDisabled = "account_disabled",
    /// A passkey was removed.
    PasskeyRemoved = "passkey_removed",
    /// There is a new signing key.
    KeyRotated = "key_rotated",
}

label! {
    /// What was tried too often.
    Throttle, "what":
    /// An exchange with a passkey.
    Passkey = "passkey",
    /// Asking for a sign-in mail.
    EmailRequest = "email_request",
    /// Redeeming a link or a code.
    Redemption = "redemption",
    /// Opening an invitation, a recovery link or a "this was not me".
    Invitation = "invitation",
    /// A backup code.
    BackupCode = "backup_code",
    /// Pairing.
    Pairing = "pairing",
    /// Asking how one's pairing goes on.
    PairingState = "pairing_state",
    /// Having a session handed on.
    Handoff = "handoff",
    /// Mails to one address.
    Address = "address",
    /// Secrets of one account.
    Account = "account",
    /// Event streams at once.
    Streams = "streams",
    /// Keeping a POST.
    Hold = "hold",
    /// Sending one that is kept.
    Resume = "resume",
}

label! {
    /// What became of a try to send a mail.
    MailResult, "result":
    /// The mail server took it.
    Sent = "sent",
    /// It is tried again later.
    Retried = "retried",
    /// It is not tried again.
    GivenUp = "given_up",
}

label! {
    /// What is done with the store.
    StoreAccess, "access":
    /// One statement that only reads.
    Read = "read",
    /// A transaction.
    Write = "write",
}

label! {
    /// A part of a request's time.
    Phase, "phase":
    /// From the end of its header to the decision.
    Decide = "decide",
    /// From the decision to a connection on which it is sent, with tries that failed.
    UpstreamConnect = "upstream_connect",
    /// From then to the header of the upstream's answer.
    UpstreamHeader = "upstream_header",
    /// From the decision to the answer of an own page.
    OwnPage = "own_page",
    /// From the end of its header to the end of the answer.
    Total = "total",
}

label! {
    /// How an upstream failed a request.
    UpstreamFailure, "kind":
    /// It took no connection.
    Connect = "connect",
    /// It took none in time.
    ConnectTimeout = "connect_timeout",
    /// No TLS that both sides trust.
    Tls = "tls",
    /// It was silent for too long.
    ReadTimeout = "read_timeout",
    /// It took nothing for too long.
    WriteTimeout = "write_timeout",
    /// It closed the connection, or broke off its answer.
    BrokenOff = "broken_off",
    /// Its answer is none that may be passed on.
    BadAnswer = "bad_answer",
    /// Each of its servers has as many requests as it may.
    Busy = "busy",
}

label! {
    /// What becomes of a POST that is kept until its sender has signed in, or is not.
    HoldEvent, "event":
    /// It is kept.
    Held = "held",
    /// Not kept: longer than `hold.max_body`.
    TooLarge = "too_large",
    /// Not kept: from another site.
    CrossSite = "cross_site",
    /// Not kept: the browser does not say which site it is from.
    UnknownOrigin = "unknown_origin",
    /// Not kept: `hold.room` is full, or the share of its network.
    NoRoom = "no_room",
    /// Not kept: many came from one network in a short time.
    Throttled = "throttled",
    /// Not kept: its body did not arrive whole and in time.
    Incomplete = "incomplete",
    /// Not kept, not looked up or not taken: the store does not answer.
    Unavailable = "unavailable",
    /// It was sent on.
    Resumed = "resumed",
    /// No server could be reached; it waits again.
    GivenBack = "given_back",
    /// Its sender did not want it sent.
    Discarded = "discarded",
    /// It was to be sent a second time.
    AlreadySent = "already_sent",
    /// It was to be sent after its time.
    Expired = "expired",
    /// It was to be sent from another browser, or never was.
    NotFound = "not_found",
    /// It was to be sent by another account than had sent it.
    OtherAccount = "other_account",
    /// It was to be sent somewhere else, or by a page that is not ours.
    Forged = "forged",
}

label! {
    /// What is taken up without a lost request.
    ReloadOf, "what":
    /// The configuration file and what it names.
    Configuration = "configuration",
    /// Certificates, keys and authorities of `[server]`.
    Certificates = "certificates",
    /// The program itself, by a successor.
    Program = "program",
}

label! {
    /// How taking it up went.
    ReloadResult, "result":
    /// It is in force.
    Taken = "taken",
    /// What was before stays in force.
    Refused = "refused",
}

impl ResponseClass {
    /// The class of a status; `None` when there was no answer.
    pub const fn of(status: Option<u16>) -> Self {
        match status {
            Some(..200) => Self::Informational,
            Some(200..300) => Self::Success,
            Some(300..400) => Self::Redirection,
            Some(400..500) => Self::ClientError,
            Some(500..) => Self::ServerError,
            None => Self::None,
        }
    }
}

impl Label for Method {
    const NAME: &'static str = "method";
    const ALL: &'static [Self] = &Self::ALL;

    fn word(self) -> &'static str {
        self.name()
    }

    fn place(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn check<L: Label>() {
        let words: BTreeSet<_> = L::ALL.iter().map(|value| value.word()).collect();
        assert_eq!(words.len(), L::ALL.len(), "{}", L::NAME);
        for (place, value) in L::ALL.iter().enumerate() {
            assert_eq!(value.place(), place, "{}", value.word());
        }
    }

    #[test]
    fn each_value_of_a_label_has_its_own_place_and_word() {
        check::<ResponseClass>();
        check::<RefusedConnection>();
        check::<SecurityEvent>();
        check::<Throttle>();
        check::<Phase>();
        check::<UpstreamFailure>();
        check::<Method>();
        check::<HoldEvent>();
        check::<ReloadOf>();
        check::<ReloadResult>();
    }

    #[test]
    fn a_status_has_a_class() {
        for (status, class) in [
            (Some(101), "1xx"),
            (Some(200), "2xx"),
            (Some(308), "3xx"),
            (Some(404), "4xx"),
            (Some(503), "5xx"),
            (Some(999), "5xx"),
            (None, "none"),
        ] {
            assert_eq!(ResponseClass::of(status).word(), class);
        }
    }
}
