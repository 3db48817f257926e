//! The header of an event: what the hash chain is made of.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};
use wflo_model::{Digest, RunId, StepName, Timestamp};

use super::codec::{Cursor, Malformed};

/// What every header's hash begins with, so that no other digest of wflo can be taken for one.
const HASH_DOMAIN: &[u8] = b"wflo journal header v1\0";
/// What every body's commitment begins with.
const COMMITMENT_DOMAIN: &[u8] = b"wflo journal body v1\0";
const VERSION: u8 = 1;
/// Bytes of an encoded header without its step.
const FIXED: usize = 121;

/// The header of an event: its place in the run and in the chain, and the commitment to its body.
///
/// The encoding is fixed for ever (`DESIGN.md`); [`Header::hash`] is over it, so every field is in the chain.
///
/// ```
/// use wflo_journal::Header;
/// use wflo_model::{Digest, RunId, Timestamp};
/// let header = Header {
///     run: RunId::from_bytes([1; 16]),
///     seq: 1,
///     fence: 1,
///     time: Timestamp::from_micros(1),
///     kind: 7,
///     step: Some("analyze".parse().unwrap()),
///     item: None,
///     attempt: 1,
///     ordinal: 0,
///     commitment: Header::commit(&[0; 32], b"body"),
///     prev: Digest::ZERO,
/// };
/// assert_eq!(Header::decode(&header.encode()).unwrap(), header);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The run.
    pub run: RunId,
    /// The place in the run, dense from 1.
    pub seq: u64,
    /// The number of the writer.
    pub fence: u64,
    /// When; never before the event before it.
    pub time: Timestamp,
    /// What kind of event; the journal does not know the kinds.
    pub kind: u16,
    /// The step it belongs to.
    pub step: Option<StepName>,
    /// The item, where the step fans out.
    pub item: Option<u32>,
    /// The attempt it belongs to; 0 where it belongs to none.
    pub attempt: u32,
    /// The number of the call within the attempt; 0 where it is none.
    pub ordinal: u32,
    /// [`Header::commit`] of salt and body.
    pub commitment: Digest,
    /// The hash of the event before it; zero for the first.
    pub prev: Digest,
}

impl Header {
    /// The encoding, version 1.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let step = self.step.as_ref().map_or("", StepName::as_str);
        let mut out = Vec::with_capacity(FIXED + step.len());
        self.encode_into(&mut out);
        out
    }

    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        let step = self.step.as_ref().map_or("", StepName::as_str);
        out.push(VERSION);
        out.extend_from_slice(self.run.as_bytes());
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.fence.to_be_bytes());
        out.extend_from_slice(&self.time.micros().to_be_bytes());
        out.extend_from_slice(&self.kind.to_be_bytes());
        out.extend_from_slice(&self.attempt.to_be_bytes());
        out.extend_from_slice(&self.ordinal.to_be_bytes());
        out.extend_from_slice(self.commitment.as_bytes());
        out.extend_from_slice(self.prev.as_bytes());
        out.push(u8::from(self.item.is_some()));
        out.extend_from_slice(&self.item.unwrap_or(0).to_be_bytes());
        out.push(u8::try_from(step.len()).expect("a name has 128 bytes at most"));
        out.extend_from_slice(step.as_bytes());
    }

    /// Reads what [`Header::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are no header of version 1, or not the one way of writing it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Cursor::new(bytes);
        from.version(VERSION)?;
        let run = RunId::from_bytes(from.array()?);
        let seq = from.u64()?;
        let fence = from.u64()?;
        let time = Timestamp::from_micros(from.u64()?);
        let kind = from.u16()?;
        let attempt = from.u32()?;
        let ordinal = from.u32()?;
        let commitment = Digest::from_bytes(from.array()?);
        let prev = Digest::from_bytes(from.array()?);
        let item = match (from.flag()?, from.u32()?) {
            (true, item) => Some(item),
            (false, 0) => None,
            (false, _) => return Err(Malformed("a header without an item has the number of one")),
        };
        let step = match from.u8()? {
            0 => None,
            length => {
                let name = std::str::from_utf8(from.take(usize::from(length))?);
                Some(name.ok().and_then(|name| name.parse().ok()).ok_or(Malformed("no name of a step"))?)
            }
        };
        from.finish()?;
        Ok(Self { run, seq, fence, time, kind, step, item, attempt, ordinal, commitment, prev })
    }

    /// SHA-256 over the encoding, behind a domain prefix: the next event's `prev`.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Self::hash_encoded(&self.encode())
    }

    pub(crate) fn hash_encoded(encoded: &[u8]) -> Digest {
        static PREFIX: LazyLock<Sha256> = LazyLock::new(|| Sha256::new_with_prefix(HASH_DOMAIN));
        Digest::from_bytes(PREFIX.clone().chain_update(encoded).finalize().into())
    }

    /// SHA-256 over salt and body, behind a domain prefix. The salt keeps a short body from being guessed.
    #[must_use]
    pub fn commit(salt: &[u8; 32], body: &[u8]) -> Digest {
        static PREFIX: LazyLock<Sha256> = LazyLock::new(|| Sha256::new_with_prefix(COMMITMENT_DOMAIN));
        Digest::from_bytes(PREFIX.clone().chain_update(salt).chain_update(body).finalize().into())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn any_header() -> impl Strategy<Value = Header> {
        let place = (any::<[u8; 16]>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u16>());
        let of =
            (proptest::option::of("[a-zA-Z0-9_][a-zA-Z0-9_-]{0,127}"), any::<Option<u32>>(), any::<u32>());
        let chain = (any::<u32>(), any::<[u8; 32]>(), any::<[u8; 32]>());
        (place, of, chain).prop_map(|(place, of, chain)| Header {
            run: RunId::from_bytes(place.0),
            seq: place.1,
            fence: place.2,
            time: Timestamp::from_micros(place.3),
            kind: place.4,
            step: of.0.map(|name| name.parse().unwrap()),
            item: of.1,
            attempt: of.2,
            ordinal: chain.0,
            commitment: Digest::from_bytes(chain.1),
            prev: Digest::from_bytes(chain.2),
        })
    }

    #[test]
    fn golden_bytes() {
        let mut header = Header {
            run: RunId::from_bytes([0x11; 16]),
            seq: 2,
            fence: 3,
            time: Timestamp::from_micros(1_700_000_000_000_000),
            kind: 0x0405,
            step: Some("analyze".parse().unwrap()),
            item: Some(6),
            attempt: 7,
            ordinal: 8,
            commitment: Header::commit(&[0x22; 32], b"body"),
            prev: Digest::from_bytes([0x33; 32]),
        };
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let commitment = "c1127aa47d0d509ff645a67bd5e57f9baa9c97e2b1fb961baf915770a49b1bf7";
        assert_eq!(header.commitment.hex(), commitment);
        let expect = [
            "01",
            &"11".repeat(16),
            "0000000000000002",
            "0000000000000003",
            "00060a24181e4000",
            "0405",
            "00000007",
            "00000008",
            commitment,
            &"33".repeat(32),
            "0100000006",
            "07616e616c797a65",
        ];
        assert_eq!(hex(&header.encode()), expect.concat());
        assert_eq!(header.hash().hex(), "7cb53ac89806095fae807fc4aba8d6e06703467adf7a4524477ac7ae61af6aec");

        (header.step, header.item) = (None, None);
        assert_eq!(header.encode().len(), FIXED);
        assert!(hex(&header.encode()).ends_with("000000000000"));
        assert_eq!(header.hash().hex(), "3412d7a829b5f36fac5b3e2a1807619995528f499d0a587897a8a067a9aa87d1");
    }

    proptest! {
        #[test]
        fn headers_come_back(header in any_header()) {
            prop_assert_eq!(Header::decode(&header.encode()).unwrap(), header);
        }

        #[test]
        fn there_is_one_way_to_write_a_header(mut bytes in any_header().prop_map(|header| header.encode()),
                                              place: prop::sample::Index, byte: u8) {
            let place = place.index(bytes.len());
            bytes[place] = byte;
            if let Ok(header) = Header::decode(&bytes) {
                prop_assert_eq!(header.encode(), bytes);
            }
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = Header::decode(&bytes);
        }
    }
}
