//! Where in a run the events of one step or item lie.

use std::ops::RangeInclusive;

use super::codec::{Cursor, Malformed};

const VERSION: u8 = 1;
/// Events of a block: what is read at least to find one event.
pub(crate) const BLOCK: u64 = 32;
/// Most stretches of a row. More are joined where the gap is smallest, so that a row stays small.
const MAX_STRETCHES: usize = 16;

/// The block of an event.
pub(crate) fn block_of(seq: u64) -> u32 {
    // The last block holds all from there on; nobody comes to event 137,438,953,441.
    u32::try_from(seq.saturating_sub(1) / BLOCK).unwrap_or(u32::MAX)
}

/// The blocks that hold all events of one step or item of a run: stretches of neighbours, in order, with a gap
/// between any two.
///
/// It is a superset, never less: whoever reads these blocks meets every event of the item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ItemBlocks(Vec<(u32, u32)>);

impl ItemBlocks {
    /// Takes a block in; whether that changed anything.
    pub(crate) fn add(&mut self, block: u32) -> bool {
        let at = self.0.partition_point(|&(_, last)| last < block);
        if self.0.get(at).is_some_and(|&(first, _)| first <= block) {
            return false;
        }
        self.0.insert(at, (block, block));
        // Neighbours become one stretch.
        if self.gap(at) == Some(0) {
            self.join(at);
        }
        if at > 0 && self.gap(at - 1) == Some(0) {
            self.join(at - 1);
        }
        while self.0.len() > MAX_STRETCHES {
            let least = (0..self.0.len() - 1).min_by_key(|&at| self.gap(at));
            self.join(least.expect("there are more than one"));
        }
        true
    }

    /// The events to look at, in order.
    pub(crate) fn events(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.0.iter().map(|&(first, last)| {
            let end = if last == u32::MAX { u64::MAX } else { (u64::from(last) + 1) * BLOCK };
            u64::from(first) * BLOCK + 1..=end
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        // Four more than its length: the checksum goes behind it.
        let mut out = Vec::with_capacity(5 + 8 * self.0.len());
        out.push(VERSION);
        for (first, last) in &self.0 {
            out.extend_from_slice(&first.to_be_bytes());
            out.extend_from_slice(&last.to_be_bytes());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Cursor::new(bytes);
        from.version(VERSION)?;
        let (stretches, rest) = from.rest().as_chunks::<8>();
        if !rest.is_empty() {
            return Err(Malformed("the record is cut short"));
        }
        let mut out = Vec::with_capacity(stretches.len());
        for stretch in stretches {
            let mut from = Cursor::new(stretch);
            let (first, last) = (from.u32()?, from.u32()?);
            let free = out.last().map_or(Some(0), |&(_, last): &(u32, u32)| last.checked_add(2));
            if last < first || free.is_none_or(|free| first < free) {
                return Err(Malformed("the stretches are not in order"));
            }
            out.push((first, last));
        }
        if out.is_empty() || out.len() > MAX_STRETCHES {
            return Err(Malformed("there are none or too many stretches"));
        }
        Ok(Self(out))
    }

    /// Blocks between the stretch `at` and the next.
    fn gap(&self, at: usize) -> Option<u32> {
        Some(self.0.get(at + 1)?.0 - self.0[at].1 - 1)
    }

    fn join(&mut self, at: usize) {
        let (_, last) = self.0.remove(at + 1);
        self.0[at].1 = last;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(blocks: &[u32]) -> ItemBlocks {
        let mut out = ItemBlocks::default();
        for block in blocks {
            out.add(*block);
        }
        out
    }

    #[test]
    fn golden_bytes() {
        assert_eq!(of(&[2, 7, 3]).encode(), b"\x01\0\0\0\x02\0\0\0\x03\0\0\0\x07\0\0\0\x07");
        assert_eq!(of(&[2, 7, 3]).events().collect::<Vec<_>>(), [65..=128, 225..=256]);
        assert_eq!(of(&[u32::MAX]).events().last(), Some(137_438_953_441..=u64::MAX));
        assert_eq!((block_of(0), block_of(1), block_of(32), block_of(33)), (0, 0, 0, 1));
        assert_eq!(block_of(u64::MAX), u32::MAX);
    }

    #[test]
    fn what_is_no_row_is_refused() {
        let mut bytes = of(&[2, 7]).encode();
        for (place, byte) in [(0, 2), (4, 8), (12, 3), (12, 2)] {
            let was = std::mem::replace(&mut bytes[place], byte);
            assert!(ItemBlocks::decode(&bytes).is_err(), "byte {place}");
            bytes[place] = was;
        }
        assert!(ItemBlocks::decode(&bytes[..9]).is_ok());
        assert!(ItemBlocks::decode(&bytes[..8]).is_err());
        assert!(ItemBlocks::decode(&bytes[..1]).is_err());
    }

    /// How many stretches these blocks are, where there may be any number.
    fn stretches(blocks: &[u32]) -> usize {
        let distinct: BTreeSet<u32> = blocks.iter().copied().collect();
        distinct
            .iter()
            .filter(|block| block.checked_sub(1).is_none_or(|before| !distinct.contains(&before)))
            .count()
    }

    proptest! {
        #[test]
        fn every_block_is_found_again(blocks in prop::collection::vec(0..200u32, 1..60)) {
            let all = of(&blocks);
            for block in &blocks {
                let event = u64::from(*block) * BLOCK + 1;
                prop_assert!(all.events().any(|range| range.contains(&event)));
                prop_assert!(!all.clone().add(*block), "it is there already");
            }
            prop_assert_eq!(ItemBlocks::decode(&all.encode()).unwrap(), all.clone());
            // No more than needed, where nothing ever had to be joined.
            let distinct: BTreeSet<u32> = blocks.iter().copied().collect();
            let read: u64 = all.events().map(|range| range.end() - range.start() + 1).sum();
            if (1..=blocks.len()).all(|upto| stretches(&blocks[..upto]) <= MAX_STRETCHES) {
                prop_assert_eq!(read, distinct.len() as u64 * BLOCK);
            }
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            if let Ok(blocks) = ItemBlocks::decode(&bytes) {
                prop_assert_eq!(blocks.encode(), bytes);
            }
        }
    }
}
