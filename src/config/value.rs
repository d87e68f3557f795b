//! Values that a configuration file writes as strings: durations, addresses, colours, secrets.
//!
//! Each type says in one phrase what it accepts; the error, the schema and the reference all use it.

mod address;
mod cidr;
mod colour;
mod hold;
mod lasting;
mod number;
mod period;
mod secret;
mod share;
mod size;

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Unexpected, Visitor},
};

pub(super) use self::secret::SecretPlace;
pub use self::{
    address::{Listen, ServerAddress, StoreUrl},
    cidr::Cidr,
    colour::Colour,
    hold::Hold,
    lasting::Lasting,
    number::Number,
    period::Period,
    secret::SecretText,
    share::Share,
    size::Size,
};

/// A type that is written as a string.
trait Written: Sized {
    /// Its name in the reference.
    const NAME: &'static str;
    /// What is accepted, after "expected".
    const ACCEPTED: &'static str;

    /// `None` when `text` is not accepted.
    fn parse(text: &str) -> Option<Self>;

    /// As it is written.
    fn write(&self) -> String;
}

/// Reads a string and parses it where the deserialiser still knows its place in the file.
struct Text<T>(PhantomData<T>);

impl<T: Written> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::ACCEPTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

macro_rules! written {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(PhantomData))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.write())
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "title": Self::NAME,
                    "description": format!("Accepted: {}.", Self::ACCEPTED),
                })
            }

            fn inline_schema() -> bool {
                true
            }
        }
    )*};
}

written!(
    Period,
    Colour,
    Listen,
    ServerAddress,
    StoreUrl,
    SecretText,
    Hold,
    Size,
    Cidr,
    Lasting,
    Share
);
