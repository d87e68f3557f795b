//! As much CBOR (RFC 8949) as an authenticator has to write.

/// A value, written in the deterministic form of RFC 8949 §4.2 if the caller orders the keys of maps.
pub enum Value {
    Int(i64),
    Bytes(Vec<u8>),
    Text(&'static str),
    Map(Vec<(Value, Value)>),
}

impl Value {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(number) if *number >= 0 => head(out, 0, number.unsigned_abs()),
            // A negative n is written as -1 - n (RFC 8949 §3.1).
            Self::Int(number) => head(out, 1, number.unsigned_abs() - 1),
            Self::Bytes(bytes) => {
                head(out, 2, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Self::Text(text) => {
                head(out, 3, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Map(entries) => {
                head(out, 5, entries.len() as u64);
                for (key, value) in entries {
                    key.write(out);
                    value.write(out);
                }
            }
        }
    }
}

fn head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    match argument {
        0..24 => out.push(major | argument as u8),
        24..0x100 => out.extend([major | 24, argument as u8]),
        0x100..0x1_0000 => {
            out.push(major | 25);
            out.extend_from_slice(&(argument as u16).to_be_bytes());
        }
        _ => {
            out.push(major | 26);
            out.extend_from_slice(
                &u32::try_from(argument)
                    .expect("no such large item here")
                    .to_be_bytes(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn items_are_written_as_in_the_examples_of_rfc_8949_appendix_a() {
        assert_eq!(Value::Int(10).encode(), [0x0a]);
        assert_eq!(Value::Int(-7).encode(), [0x26]);
        assert_eq!(Value::Int(-257).encode(), [0x39, 0x01, 0x00]);
        assert_eq!(Value::Text("IETF").encode(), [0x64, 0x49, 0x45, 0x54, 0x46]);
        assert_eq!(
            Value::Map(vec![(Value::Int(1), Value::Int(2))]).encode(),
            [0xa1, 0x01, 0x02]
        );
        assert_eq!(Value::Bytes(vec![0; 256]).encode()[..3], [0x59, 0x01, 0x00]);
    }
}
