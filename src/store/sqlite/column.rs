//! How each domain type is written to and read from a column, so that statements bind and rows give the
//! types themselves and an account's id cannot land in a session's column by way of a bare byte string.

use sqlx::{
    Decode, Encode, Sqlite, Type,
    encode::IsNull,
    error::BoxDynError,
    sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef},
};
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    email_address::EmailAddress,
    id::{
        AccountId, CeremonyId, CredentialId, EmailAttemptId, HeldId, MailId, PairingId, RecoveryId,
        RequestId, SessionId, UserHandle,
    },
    key_kind::KeyKind,
    method::{Method, Proofs},
    network::Network,
    secret::Digest,
    store::{AccountState, EmailPurpose, HeldState},
    telemetry::audit::{Actor, AuditEvent, RecoveryReason},
};

/// `$write` gives the stored form; `$read` gives `None` when a stored value is not one of these.
macro_rules! column {
    ($type:ty as $stored:ty, $write:expr, $read:expr) => {
        impl Type<Sqlite> for $type {
            fn type_info() -> SqliteTypeInfo {
                <$stored as Type<Sqlite>>::type_info()
            }

            fn compatible(found: &SqliteTypeInfo) -> bool {
                <$stored as Type<Sqlite>>::compatible(found)
            }
        }

        impl Encode<'_, Sqlite> for $type {
            fn encode_by_ref(
                &self,
                buffer: &mut SqliteArgumentsBuffer,
            ) -> Result<IsNull, BoxDynError> {
                let write: fn(&$type) -> $stored = $write;
                <$stored as Encode<Sqlite>>::encode(write(self), buffer)
            }
        }

        impl Decode<'_, Sqlite> for $type {
            fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
                let read: fn($stored) -> Option<$type> = $read;
                read(<$stored as Decode<Sqlite>>::decode(value)?)
                    .ok_or_else(|| concat!("not a stored ", stringify!($type)).into())
            }
        }
    };
}

macro_rules! id_columns {
    ($($id:ident),*) => {$(
        column!($id as Vec<u8>, |id| id.uuid().into_bytes().to_vec(), |bytes| {
            Uuid::from_slice(&bytes).ok().map($id::from_uuid)
        });
    )*};
}

id_columns!(
    AccountId,
    UserHandle,
    SessionId,
    CeremonyId,
    EmailAttemptId,
    HeldId,
    MailId,
    PairingId,
    RecoveryId,
    RequestId
);

column!(Timestamp as i64, |moment| moment.seconds(), |seconds| Some(
    Timestamp::from_seconds(seconds)
));
column!(
    Digest as Vec<u8>,
    |digest| digest.bytes().to_vec(),
    |bytes| { Digest::from_slice(&bytes) }
);
column!(CredentialId as Vec<u8>, |id| id.bytes().to_vec(), |bytes| {
    CredentialId::new(&bytes)
});
column!(
    EmailAddress as String,
    |address| address.as_str().to_owned(),
    |text| { EmailAddress::parse(&text) }
);
column!(
    Method as String,
    |method| method.name().to_owned(),
    |name| { Method::parse(&name) }
);
column!(Proofs as String, |proofs| proofs.to_string(), |names| {
    Proofs::parse(&names)
});
column!(Network as String, |network| network.to_string(), |text| {
    let (address, _length) = text.split_once('/')?;
    Some(Network::of(address.parse().ok()?))
});
column!(KeyKind as String, |kind| kind.name().to_owned(), |name| {
    KeyKind::parse(&name)
});
column!(
    AccountState as String,
    |state| match state {
        AccountState::Active => "active".to_owned(),
        AccountState::Disabled => "disabled".to_owned(),
    },
    |name| match name.as_str() {
        "active" => Some(AccountState::Active),
        "disabled" => Some(AccountState::Disabled),
        _ => None,
    }
);

column!(
    EmailPurpose as String,
    |purpose| match purpose {
        EmailPurpose::SignIn => "sign_in".to_owned(),
        EmailPurpose::Address => "address".to_owned(),
    },
    |name| match name.as_str() {
        "sign_in" => Some(EmailPurpose::SignIn),
        "address" => Some(EmailPurpose::Address),
        _ => None,
    }
);

column!(
    HeldState as String,
    |state| match state {
        HeldState::Waiting | HeldState::Expired => "waiting".to_owned(),
        HeldState::Taken => "taken".to_owned(),
        HeldState::Discarded => "discarded".to_owned(),
    },
    |name| match name.as_str() {
        "waiting" => Some(HeldState::Waiting),
        "taken" => Some(HeldState::Taken),
        "discarded" => Some(HeldState::Discarded),
        _ => None,
    }
);

/// An authenticator's model.
pub(super) struct Aaguid(pub Uuid);

column!(
    Aaguid as Vec<u8>,
    |aaguid| aaguid.0.into_bytes().to_vec(),
    |bytes| { Uuid::from_slice(&bytes).ok().map(Aaguid) }
);

/// Group names.
pub(super) struct Groups(pub Vec<String>);

column!(
    Groups as String,
    |groups| serde_json::to_string(&groups.0).expect("strings are JSON"),
    |json| serde_json::from_str(&json).ok().map(Groups)
);

column!(
    AuditEvent as String,
    |event| serde_json::to_string(event).expect("an event is a struct of names, ids and flags"),
    |json| serde_json::from_str(&json).ok()
);

column!(
    Actor as String,
    |actor| serde_json::to_string(actor).expect("an actor is an id or a name"),
    |json| serde_json::from_str(&json).ok()
);

column!(
    RecoveryReason as String,
    |reason| reason.name().to_owned(),
    |name| RecoveryReason::parse(&name)
);

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use sqlx::{Connection, SqliteConnection};

    use super::*;

    async fn stored<T>(value: &T) -> Result<T, sqlx::Error>
    where
        T: Type<Sqlite>
            + for<'q> Encode<'q, Sqlite>
            + for<'r> Decode<'r, Sqlite>
            + Unpin
            + Send
            + Sync,
    {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
        sqlx::query_scalar("SELECT ?1")
            .bind(value)
            .fetch_one(&mut connection)
            .await
    }

    #[tokio::test]
    async fn what_is_written_reads_back() {
        for address in ["203.0.113.9", "2001:db8::1"] {
            let network = Network::of(address.parse::<IpAddr>().unwrap());
            assert_eq!(stored(&network).await.unwrap(), network);
        }
        let id = SessionId::random();
        assert_eq!(stored(&id).await.unwrap(), id);
        let groups = vec!["a,b".to_owned(), "\"é".to_owned()];
        assert_eq!(stored(&Groups(groups.clone())).await.unwrap().0, groups);
    }

    #[tokio::test]
    async fn what_is_not_one_does_not_read() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let short = sqlx::query_scalar::<_, Digest>("SELECT x'00'");
        assert!(short.fetch_one(&mut connection).await.is_err());
        let method = sqlx::query_scalar::<_, Method>("SELECT 'palm'");
        assert!(method.fetch_one(&mut connection).await.is_err());
    }
}
