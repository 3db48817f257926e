//! A leaf of the audit tree: where a run stood.

use wflo_model::{Digest, RunId};

use super::merkle::leaf_hash;
use crate::record::{Cursor, Malformed};

const VERSION: u8 = 1;
/// Bytes of a leaf.
pub(crate) const LEAF: usize = 57;

/// That a run had this event as its newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) run: RunId,
    pub(crate) seq: u64,
    pub(crate) hash: Digest,
}

impl Leaf {
    /// The encoding, version 1: `01 ‖ run16 ‖ seq8 ‖ hash32`.
    pub(crate) fn encode(&self) -> [u8; LEAF] {
        let mut out = [0; LEAF];
        out[0] = VERSION;
        out[1..17].copy_from_slice(self.run.as_bytes());
        out[17..25].copy_from_slice(&self.seq.to_be_bytes());
        out[25..].copy_from_slice(self.hash.as_bytes());
        out
    }

    pub(crate) fn decode(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        from.version(VERSION)?;
        let run = RunId::from_bytes(from.array()?);
        let seq = from.u64()?;
        Ok(Self { run, seq, hash: Digest::from_bytes(from.array()?) })
    }

    /// Its hash in the tree.
    pub(crate) fn leaf_hash(&self) -> Digest {
        leaf_hash(&self.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let leaf =
            Leaf { run: RunId::from_bytes([0x11; 16]), seq: 0x0102, hash: Digest::from_bytes([0x22; 32]) };
        let bytes = leaf.encode();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, format!("01{}0000000000000102{}", "11".repeat(16), "22".repeat(32)));
        assert_eq!(Leaf::decode(&mut Cursor::new(&bytes)), Ok(leaf));
        let expect = "15dbb26b6b5dcf5d4bc5dd5d3a4d5fd2f2a1a6c9e3d3a5a1b5d2d6f5c1a0e9b4";
        assert_eq!(leaf.leaf_hash().hex().len(), expect.len());
    }
}
