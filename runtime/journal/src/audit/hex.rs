//! Hex digits, of which there is one way to write them: small.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
    text
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// 32 bytes as 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hex32(pub(super) [u8; 32]);

impl Serialize for Hex32 {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex32 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Digits;
        impl serde::de::Visitor<'_> for Digits {
            type Value = Hex32;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 hex digits")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Hex32, E> {
                let mut out = [0; 32];
                let (pairs, rest) = text.as_bytes().as_chunks::<2>();
                if pairs.len() != out.len() || !rest.is_empty() {
                    return Err(E::invalid_value(serde::de::Unexpected::Str(text), &self));
                }
                for (byte, &[high, low]) in out.iter_mut().zip(pairs) {
                    let pair = digit(high).zip(digit(low));
                    let bad = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
                    let (high, low) = pair.ok_or_else(bad)?;
                    *byte = high << 4 | low;
                }
                Ok(Hex32(out))
            }
        }
        from.deserialize_str(Digits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hex_comes_back(bytes: Vec<u8>) {
            prop_assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        }
    }
}
