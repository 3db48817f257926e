//! The lines of an audit file.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use wflo_model::{Digest, RunId, StoreId, Timestamp};

use super::hex::Hex32;
use crate::read::Entry;
use crate::record::Header;

/// What the first line calls the format.
pub(super) const FORMAT: &str = "wflo-audit";
/// The version of a file with nothing but a run.
pub(super) const VERSION: u32 = 1;
/// The version of the file of an erased run: its events have neither salt nor body.
pub(super) const ERASED_VERSION: u32 = 2;
/// The version of a file whose second line is what the audit tree says of the run.
pub(super) const PROVEN_VERSION: u32 = 3;

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
    /// From version 3 on: whether the run was erased.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) erased: bool,
}

/// The second line from version 3 on: what the audit tree says of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofLine {
    /// The newest checkpoint, a signed note.
    pub(super) checkpoint: String,
    /// The key that signed it.
    pub(super) key: String,
    /// The leaf of the run: its place, and the event that was the newest then, with its hash.
    pub(super) leaf: u64,
    pub(super) seq: u64,
    pub(super) hash: Digest,
    /// The hashes beside the path from the leaf to the root.
    pub(super) inclusion: Vec<Digest>,
    /// Earlier checkpoints.
    pub(super) earlier: Vec<EarlierLine>,
    /// Rotations of the signing key, signed notes, oldest first.
    pub(super) rotations: Vec<String>,
}

/// An earlier checkpoint, a signed note, and the proof that the newest goes on from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EarlierLine {
    pub(super) checkpoint: String,
    pub(super) consistency: Vec<Digest>,
}

/// Text that is borrowed from the line where it can be.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// An event. Unknown fields are refused: nothing in the file may look proven and not be.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventLine<'a> {
    pub(super) seq: u64,
    /// For people; must be `time_us` in other words.
    #[serde(borrow)]
    pub(super) time: Text<'a>,
    pub(super) time_us: Timestamp,
    pub(super) fence: u64,
    pub(super) kind: u16,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(super) step: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<u32>,
    pub(super) attempt: u32,
    pub(super) ordinal: u32,
    pub(super) commitment: Digest,
    pub(super) prev: Digest,
    pub(super) hash: Digest,
    /// None where the run was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) salt: Option<Hex32>,
    /// The body as text, where it is UTF-8: to the byte, so not as JSON within JSON.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Text<'a>>,
    /// The body in hex, where it is not.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(super) body_hex: Option<Text<'a>>,
}

impl EventLine<'static> {
    pub(super) fn new(entry: Entry) -> Self {
        let Entry { header, hash, salt, body } = entry;
        let (body, body_hex) = match String::from_utf8(body) {
            Ok(text) => (Some(Text(text.into())), None),
            Err(error) => (None, Some(Text(super::hex::hex(error.as_bytes()).into()))),
        };
        Self { salt: Some(Hex32(salt)), body, body_hex, ..Self::of_header(header, hash) }
    }

    /// The line of an event whose body was erased.
    pub(super) fn of_header(header: Header, hash: Digest) -> Self {
        Self {
            seq: header.seq,
            time: Text(header.time.to_string().into()),
            time_us: header.time,
            fence: header.fence,
            kind: header.kind,
            step: header.step.map(|step| Text(step.to_string().into())),
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
}

impl EventLine<'_> {
    /// The header that the line stands for, in this run; none where its step is none.
    pub(super) fn header(&self, run: RunId) -> Option<Header> {
        let step = match &self.step {
            Some(step) => Some(step.0.parse().ok()?),
            None => None,
        };
        Some(Header {
            run,
            seq: self.seq,
            fence: self.fence,
            time: self.time_us,
            kind: self.kind,
            step,
            item: self.item,
            attempt: self.attempt,
            ordinal: self.ordinal,
            commitment: self.commitment,
            prev: self.prev,
        })
    }

    /// Whether the line has nothing that was erased.
    pub(super) const fn is_erased(&self) -> bool {
        self.salt.is_none() && self.body.is_none() && self.body_hex.is_none()
    }

    /// Salt and body, or what is wrong with how they are written.
    pub(super) fn opened(&self) -> Result<([u8; 32], Cow<'_, [u8]>), &'static str> {
        let salt = self.salt.as_ref().ok_or("`salt` is missing")?;
        let body = match (&self.body, &self.body_hex) {
            (Some(text), None) => Cow::Borrowed(text.0.as_bytes()),
            (None, Some(digits)) => {
                super::hex::unhex(&digits.0).ok_or("`body_hex` is not hex digits")?.into()
            }
            _ => return Err("there must be one of `body` and `body_hex`"),
        };
        Ok((salt.0, body))
    }
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
            let line: EventLine<'_> = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(line.header(header.run), Some(header));
            let (found, read) = line.opened().unwrap();
            prop_assert_eq!((found, read.into_owned()), (salt, body));
        }
    }
}
