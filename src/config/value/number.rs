//! Whole numbers within limits.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Unexpected, Visitor},
};

/// A number from `MIN` to `MAX`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Number<MIN, MAX> {
    /// For defaults, which are known to be in range.
    pub(in crate::config) const fn of(number: u32) -> Self {
        assert!(
            MIN <= number && number <= MAX,
            "a default is within its limits"
        );
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The same, where none is greater than a byte holds.
    pub const fn small(self) -> u8 {
        const { assert!(MAX <= 255, "the greatest fits a byte") };
        self.0 as u8
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Number<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Within<const MIN: u32, const MAX: u32>;
        impl<const MIN: u32, const MAX: u32> Visitor<'_> for Within<MIN, MAX> {
            type Value = Number<MIN, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if MIN + 1 == MAX {
                    write!(f, "{MIN} or {MAX}")
                } else {
                    write!(f, "a number from {MIN} to {MAX}")
                }
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                u32::try_from(number)
                    .ok()
                    .filter(|number| (MIN..=MAX).contains(number))
                    .map(Number)
                    .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
            }
        }
        deserializer.deserialize_i64(Within)
    }
}

impl<const MIN: u32, const MAX: u32> Serialize for Number<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Number<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("From{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "integer",
            "minimum": MIN,
            "maximum": MAX,
            "description": format!("Accepted: {MIN} to {MAX}."),
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_within_the_limits_are_read() {
        #[derive(Deserialize)]
        struct Table {
            number: Number<1, 65_535>,
        }
        let read = |text: &str| toml::from_str::<Table>(&format!("number = {text}"));
        assert_eq!(read("65535").unwrap().number.number(), 65_535);
        #[derive(Debug, Deserialize)]
        struct Pair {
            #[expect(dead_code, reason = "it is never read")]
            number: Number<1, 2>,
        }
        let error = toml::from_str::<Pair>("number = 3")
            .unwrap_err()
            .to_string();
        assert!(error.contains("expected 1 or 2"), "{error}");
        for text in ["0", "-1", "65536", "99999999999", "1.5", "\"1\""] {
            let error = read(text).err().expect(text).to_string();
            assert!(error.contains("expected"), "{text}: {error}");
        }
    }
}
