//! What the log of the tree is made of.

use wflo_model::Digest;

use super::leaf::{LEAF, Leaf};
use super::merkle::Edge;
use crate::record::{Cursor, Malformed};

/// The kind of a record with leaves and the checkpoint after them.
pub(super) const GREW: u16 = 1;
/// The kind of a record that is a rotation of the signing key: the text of its note.
pub(super) const ROTATED: u16 = 2;

const VERSION: u8 = 1;

/// Leaves that were appended, the edge of the tree after them, and its signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grew {
    /// What the last marker of runs that have moved was, all of which are in the tree now; see [`super::moved`]. Zero
    /// in a record after which more is to come.
    pub(super) closes: u64,
    pub(super) leaves: Vec<Leaf>,
    pub(super) edge: Edge,
    /// The signed note.
    pub(super) checkpoint: String,
}

impl Grew {
    /// The encoding, version 1: `01 ‖ closes8 ‖ size8 ‖ count4 ‖ leaf57* ‖ peak32* ‖ note`, with as many peaks as the
    /// size has ones.
    pub(super) fn encode(&self) -> Vec<u8> {
        let peaks = self.edge.peaks();
        let mut out =
            Vec::with_capacity(21 + LEAF * self.leaves.len() + 32 * peaks.len() + self.checkpoint.len());
        out.push(VERSION);
        out.extend_from_slice(&self.closes.to_be_bytes());
        out.extend_from_slice(&self.edge.size().to_be_bytes());
        let count = u32::try_from(self.leaves.len()).expect("a record has far fewer leaves");
        out.extend_from_slice(&count.to_be_bytes());
        self.leaves.iter().for_each(|leaf| out.extend_from_slice(&leaf.encode()));
        peaks.iter().for_each(|peak| out.extend_from_slice(peak.as_bytes()));
        out.extend_from_slice(self.checkpoint.as_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Cursor::new(bytes);
        from.version(VERSION)?;
        let (closes, size, count) = (from.u64()?, from.u64()?, from.u32()?);
        let leaves = (0..count).map(|_| Leaf::decode(&mut from)).collect::<Result<_, _>>()?;
        let peaks = (0..size.count_ones()).map(|_| Ok(Digest::from_bytes(from.array()?)));
        let edge = Edge::new(size, peaks.collect::<Result<_, _>>()?);
        let edge = edge.ok_or(Malformed("the tree has other peaks than its size says"))?;
        let checkpoint =
            std::str::from_utf8(from.rest()).map_err(|_| Malformed("the checkpoint is no text"))?;
        Ok(Self { closes, leaves, edge, checkpoint: checkpoint.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wflo_model::RunId;

    use super::*;

    #[test]
    fn golden_bytes() {
        let leaf = Leaf { run: RunId::from_bytes([1; 16]), seq: 2, hash: Digest::from_bytes([3; 32]) };
        let mut edge = Edge::default();
        edge.push(Digest::from_bytes([4; 32]));
        let grew = Grew { closes: 5, leaves: vec![leaf], edge, checkpoint: "note\n".to_owned() };
        let expect = [
            &b"\x01\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x01\0\0\0\x01"[..],
            &[1],
            &[1; 16],
            &[0, 0, 0, 0, 0, 0, 0, 2],
            &[3; 32],
            &[4; 32],
            b"note\n",
        ];
        assert_eq!(grew.encode(), expect.concat());
        assert_eq!(Grew::decode(&grew.encode()), Ok(grew));
    }

    proptest! {
        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = Grew::decode(&[&[1][..], &bytes].concat());
        }
    }
}
