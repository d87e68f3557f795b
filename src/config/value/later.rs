//! Values whose choice belongs to a later version: for now each accepts one, so that a file that counts
//! on another is refused.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Unexpected, Visitor},
};

use super::Written;

/// `hold`, as long as only no delay is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHold;

impl Written for NoHold {
    const NAME: &'static str = "duration";
    const ACCEPTED: &'static str = "\"0s\" (a delay is not available in this version)";

    fn parse(text: &str) -> Option<Self> {
        (text == "0s").then_some(Self)
    }

    fn write(&self) -> String {
        "0s".to_owned()
    }
}

/// `recovery_proofs`, as long as only a single proof is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneProof;

impl<'de> Deserialize<'de> for OneProof {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl Visitor<'_> for One {
            type Value = OneProof;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("1 (two proofs are not available in this version)")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<OneProof, E> {
                (number == 1)
                    .then_some(OneProof)
                    .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
            }
        }
        deserializer.deserialize_i64(One)
    }
}

impl Serialize for OneProof {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl JsonSchema for OneProof {
    fn schema_name() -> Cow<'static, str> {
        "OneProof".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "const": 1 })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_delay_is_the_one_that_is_accepted() {
        assert_eq!(NoHold::parse("0s").unwrap().write(), "0s");
        assert!(NoHold::parse("1h").is_none());
    }
}
