//! The list of an artifact's pieces, as the blob that stands for it.

use wflo_model::Digest;

/// Bytes of a piece; the last one of an artifact may be shorter. Large enough that a piece costs little beside its
/// bytes, small enough that an attempt needs little memory for those under way.
pub(super) const PIECE: usize = 512 << 10;

const MAGIC: &[u8] = b"wflo artifact v1\0";

/// What an artifact is made of: its size, the SHA-256 of its bytes, and the names of its pieces in order.
///
/// Format: `wflo artifact v1` and a zero byte; the size in 8 bytes, big-endian; the digest; 32 bytes a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) bytes: u64,
    pub(super) digest: Digest,
    pub(super) pieces: Vec<Digest>,
}

impl Index {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(self.bytes.to_be_bytes());
        out.extend(self.digest.as_bytes());
        self.pieces.iter().for_each(|piece| out.extend(piece.as_bytes()));
        out
    }

    /// Reads it; nothing where it is none.
    pub(super) fn decode(blob: &[u8]) -> Option<Self> {
        let (bytes, rest) = blob.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
        let bytes = u64::from_be_bytes(*bytes);
        let (digest, rest) = rest.split_first_chunk::<32>()?;
        let (pieces, []) = rest.as_chunks::<32>() else { return None };
        let pieces: Vec<_> = pieces.iter().map(|piece| Digest::from_bytes(*piece)).collect();
        let is_whole = bytes.div_ceil(PIECE as u64) == pieces.len() as u64;
        is_whole.then_some(Self { bytes, digest: Digest::from_bytes(*digest), pieces })
    }
}

#[cfg(test)]
mod tests {
    use wflo_model::Digest;

    use super::{Index, PIECE};

    #[test]
    fn an_index_comes_back_and_a_cut_one_does_not() {
        let index = Index {
            bytes: PIECE as u64 + 1,
            digest: Digest::of(b"all"),
            pieces: vec![Digest::of(b"one"), Digest::of(b"two")],
        };
        let blob = index.encode();
        assert_eq!(&blob[..17], b"wflo artifact v1\0");
        assert_eq!(Index::decode(&blob), Some(index));
        for cut in 0..blob.len() {
            assert_eq!(Index::decode(&blob[..cut]), None, "{cut}");
        }
        let empty = Index { bytes: 0, digest: Digest::of(b""), pieces: vec![] };
        assert_eq!(Index::decode(&empty.encode()), Some(empty));
    }
}
