//! The lines of an audit file.

use serde::{Deserialize, Serialize};
use wflo_model::{Digest, RunId, StepName, StoreId, Timestamp};

use crate::read::Entry;
use crate::record::Header;

/// What the first line calls the format.
pub(super) const FORMAT: &str = "wflo-audit";
/// The version written and read here.
pub(super) const VERSION: u32 = 1;
/// The version of the file of an erased run: its events have neither salt nor body.
pub(super) const ERASED_VERSION: u32 = 2;

/// The first line. It is covered by no hash; it names what the chain of the other lines must then fit.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FirstLine {
    pub(super) format: String,
    pub(super) version: u32,
    pub(super) store: StoreId,
    pub(super) run: RunId,
    /// How many events follow, so that a file cut short by accident is seen.
    pub(super) events: u64,
    /// The hash of the last.
    pub(super) head: Digest,
}

/// An event. Unknown fields are refused: nothing in the file may look proven and not be.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventLine {
    pub(super) seq: u64,
    /// For people; must be `time_us` in other words.
    pub(super) time: String,
    pub(super) time_us: Timestamp,
    pub(super) fence: u64,
    pub(super) kind: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) step: Option<StepName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<u32>,
    pub(super) attempt: u32,
    pub(super) ordinal: u32,
    pub(super) commitment: Digest,
    pub(super) prev: Digest,
    pub(super) hash: Digest,
    /// None where the run was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) salt: Option<String>,
    /// The body as text, where it is UTF-8: to the byte, so not as JSON within JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    /// The body in hex, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body_hex: Option<String>,
}

impl EventLine {
    pub(super) fn new(entry: Entry) -> Self {
        let Entry { header, hash, salt, body } = entry;
        let (body, body_hex) = match String::from_utf8(body) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(hex(error.as_bytes()))),
        };
        Self { salt: Some(hex(&salt)), body, body_hex, ..Self::of_header(header, hash) }
    }

    /// The line of an event whose body was erased.
    pub(super) fn of_header(header: Header, hash: Digest) -> Self {
        Self {
            seq: header.seq,
            time: header.time.to_string(),
            time_us: header.time,
            fence: header.fence,
            kind: header.kind,
            step: header.step,
            item: header.item,
            attempt: header.attempt,
            ordinal: header.ordinal,
            commitment: header.commitment,
            prev: header.prev,
            hash,
            salt: None,
            body: None,
            body_hex: None,
        }
    }

    /// The header that the line stands for, in this run.
    pub(super) fn header(&self, run: RunId) -> Header {
        Header {
            run,
            seq: self.seq,
            fence: self.fence,
            time: self.time_us,
            kind: self.kind,
            step: self.step.clone(),
            item: self.item,
            attempt: self.attempt,
            ordinal: self.ordinal,
            commitment: self.commitment,
            prev: self.prev,
        }
    }

    /// Whether the line has nothing that was erased.
    pub(super) const fn is_erased(&self) -> bool {
        self.salt.is_none() && self.body.is_none() && self.body_hex.is_none()
    }

    /// Salt and body, or what is wrong with how they are written.
    pub(super) fn opened(self) -> Result<([u8; 32], Vec<u8>), &'static str> {
        let salt = self.salt.ok_or("`salt` is missing")?;
        let salt = unhex(&salt).and_then(|salt| salt.try_into().ok());
        let salt = salt.ok_or("`salt` is not 64 hex digits")?;
        let body = match (self.body, self.body_hex) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(digits)) => unhex(&digits).ok_or("`body_hex` is not hex digits")?,
            _ => return Err("there must be one of `body` and `body_hex`"),
        };
        Ok((salt, body))
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let pair = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    bytes.iter().flat_map(pair).map(char::from).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_come_back(header in crate::record::any_header(), salt: [u8; 32], body: Vec<u8>) {
            let hash = header.hash();
            let entry = Entry { header: header.clone(), hash, salt, body: body.clone() };
            let text = serde_json::to_string(&EventLine::new(entry)).unwrap();
            let line: EventLine = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(line.header(header.run), header);
            prop_assert_eq!(line.opened().unwrap(), (salt, body));
        }

        #[test]
        fn hex_comes_back(bytes: Vec<u8>) {
            prop_assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        }
    }
}
