//! What the journal keeps in the row of a run: the end of its chain, its wrapped key, its summary.

use wflo_model::{Digest, Timestamp};

use super::codec::{Cursor, Malformed};

const VERSION: u8 = 1;
/// Of a run that was erased: the same without its key.
const ERASED: u8 = 2;
/// Bytes of a wrapped run key: nonce, key, tag.
pub(crate) const WRAPPED_KEY: usize = 24 + 32 + 16;

/// The end of a run's chain, its wrapped key and its summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChainState {
    pub(crate) hash: Digest,
    pub(crate) time: Timestamp,
    /// None once the run is erased.
    pub(crate) wrapped: Option<[u8; WRAPPED_KEY]>,
    pub(crate) summary: Vec<u8>,
}

impl ChainState {
    pub(crate) fn encode(
        hash: &Digest,
        time: Timestamp,
        wrapped: &[u8; WRAPPED_KEY],
        summary: &[u8],
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(41 + WRAPPED_KEY + summary.len());
        out.push(VERSION);
        out.extend_from_slice(hash.as_bytes());
        out.extend_from_slice(&time.micros().to_be_bytes());
        out.extend_from_slice(wrapped);
        out.extend_from_slice(summary);
        out
    }

    pub(crate) fn encode_erased(hash: &Digest, time: Timestamp, summary: &[u8]) -> Vec<u8> {
        let time = time.micros().to_be_bytes();
        [&[ERASED][..], hash.as_bytes(), &time, summary].concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let erased = bytes.first() == Some(&ERASED);
        let mut from = Cursor::new(bytes);
        from.version(if erased { ERASED } else { VERSION })?;
        Ok(Self {
            hash: Digest::from_bytes(from.array()?),
            time: Timestamp::from_micros(from.u64()?),
            wrapped: if erased { None } else { Some(from.array()?) },
            summary: from.rest().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes() {
        let hash = Digest::from_bytes([0xaa; 32]);
        let bytes = ChainState::encode(&hash, Timestamp::from_micros(5), &[0xbb; WRAPPED_KEY], b"{}");
        let expect = [&[1][..], &[0xaa; 32], &[0, 0, 0, 0, 0, 0, 0, 5], &[0xbb; 72], b"{}"].concat();
        assert_eq!(bytes, expect);

        let bytes = ChainState::encode_erased(&hash, Timestamp::from_micros(5), b"{}");
        let expect = [&[2][..], &[0xaa; 32], &[0, 0, 0, 0, 0, 0, 0, 5], b"{}"].concat();
        assert_eq!(bytes, expect);
        assert_eq!(ChainState::decode(&bytes).unwrap().wrapped, None);
        assert!(ChainState::decode(&[3; 200]).is_err());
    }

    proptest! {
        #[test]
        fn states_come_back(hash: [u8; 32], time: u64, key: [u8; 32], rest: [u8; 20], summary: Vec<u8>) {
            let mut wrapped = [7; WRAPPED_KEY];
            wrapped[..32].copy_from_slice(&key);
            wrapped[52..].copy_from_slice(&rest);
            let (hash, time) = (Digest::from_bytes(hash), Timestamp::from_micros(time));
            let state = ChainState { hash, time, wrapped: Some(wrapped), summary };
            let bytes = ChainState::encode(&hash, time, &wrapped, &state.summary);
            prop_assert_eq!(ChainState::decode(&bytes).unwrap(), state);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = ChainState::decode(&bytes);
        }
    }
}
