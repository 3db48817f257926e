//! Ids of runs, approvals and stores.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Digest, Timestamp};

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The id of a run: a ULID, so that ids sort by the time they were made.
///
/// ```
/// use wflo_model::{RunId, Timestamp};
/// let id = RunId::new(Timestamp::from_micros(1_700_000_000_000_000), [7; 10]);
/// assert_eq!(id.to_string().len(), 26);
/// assert_eq!(id.to_string().parse::<RunId>().unwrap(), id);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId([u8; 16]);

impl RunId {
    /// Makes an id from the time in milliseconds and 80 random bits.
    #[must_use]
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&now.millis().to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        Self(bytes)
    }

    /// Takes the 16 bytes of an id, as a store keeps them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes; their order is the order of the ids.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut n = u128::from_be_bytes(self.0);
        let mut text = [0; 26];
        for place in text.iter_mut().rev() {
            *place = ALPHABET[(n & 31) as usize];
            n >>= 5;
        }
        f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl FromStr for RunId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        if text.len() != 26 || text.as_bytes()[0] > b'7' {
            return Err(BadId { what: "run", text: text.to_owned() });
        }
        let mut n = 0u128;
        for byte in text.bytes() {
            let digit = ALPHABET
                .iter()
                .position(|&letter| letter == byte.to_ascii_uppercase())
                .ok_or_else(|| BadId { what: "run", text: text.to_owned() })?;
            n = n << 5 | digit as u128;
        }
        Ok(Self(n.to_be_bytes()))
    }
}

/// The id of an approval: `apr_` and 16 letters, derived from what it is about and when it was asked.
///
/// ```
/// use wflo_model::{ApprovalId, Digest};
/// let id = ApprovalId::derive(&Digest::of(b"subject"), 3);
/// assert!(id.to_string().starts_with("apr_"));
/// assert_eq!(id.to_string().parse::<ApprovalId>().unwrap(), id);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApprovalId([u8; 10]);

impl ApprovalId {
    /// Makes the id of an approval of `subject` opened at event `seq` of its run.
    #[must_use]
    pub fn derive(subject: &Digest, seq: u64) -> Self {
        let digest = Digest::of_parts(&[b"wflo approval id", subject.as_bytes(), &seq.to_be_bytes()]);
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&digest.as_bytes()[..10]);
        Self(bytes)
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("apr_")?;
        let n = self.0.iter().fold(0u128, |n, &byte| n << 8 | u128::from(byte));
        for place in (0..16).rev() {
            let letter = ALPHABET[(n >> (5 * place) & 31) as usize].to_ascii_lowercase();
            fmt::Write::write_char(f, char::from(letter))?;
        }
        Ok(())
    }
}

impl FromStr for ApprovalId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { what: "approval", text: text.to_owned() };
        let letters = text.strip_prefix("apr_").filter(|letters| letters.len() == 16).ok_or_else(bad)?;
        let mut n = 0u128;
        for byte in letters.bytes() {
            let upper = byte.to_ascii_uppercase();
            n = n << 5 | ALPHABET.iter().position(|&letter| letter == upper).ok_or_else(bad)? as u128;
        }
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&n.to_be_bytes()[6..]);
        Ok(Self(bytes))
    }
}

/// The id of a store, made once when it is created; part of every call key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId([u8; 16]);

impl StoreId {
    /// Makes a store id of 16 random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for StoreId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let n = u128::from_str_radix(text, 16)
            .ok()
            .filter(|_| text.len() == 32)
            .ok_or_else(|| BadId { what: "store", text: text.to_owned() })?;
        Ok(Self(n.to_be_bytes()))
    }
}

macro_rules! text_form {
    ($($id:ty),*) => {$(
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
text_form!(RunId, ApprovalId, StoreId);

const fn article(what: &str) -> &'static str {
    match what.as_bytes() {
        [b'a' | b'e' | b'i' | b'o' | b'u', ..] => "an",
        _ => "a",
    }
}

/// A text that is no id of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the id of {} {what}", article(.what))]
pub struct BadId {
    /// What the id should have been of.
    pub what: &'static str,
    /// The text.
    pub text: String,
}
