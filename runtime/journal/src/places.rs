//! What a writer knows of where the events of steps and items lie.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use wflo_model::StepName;

use crate::record::{BLOCK, Header, block_of};
use crate::store::Touch;

/// Most steps and items a writer remembers. One that is forgotten is named to the store once more, which changes
/// nothing there; so a run of any number of items costs its writer no more memory than this.
const MOST: usize = 4096;

/// The first block is everybody's: it is read for any step or item, and names none. So a run of a few steps has no
/// index at all.
pub(crate) const EVERYBODYS: RangeInclusive<u64> = 1..=BLOCK;

/// The block of the newest event of each step and item, as the store knows it: within a block, only the first event
/// of an item costs a look into the index.
#[derive(Debug, Default)]
pub(crate) struct KnownPlaces {
    newest: HashMap<StepName, HashMap<Option<u32>, u32>>,
    count: usize,
}

impl KnownPlaces {
    /// What the store must be told of these events, which are the next of the run.
    pub(crate) fn touch(&mut self, headers: &[Header]) -> Vec<Touch> {
        let mut out = Vec::new();
        for header in headers {
            let Some(step) = &header.step else { continue };
            if EVERYBODYS.contains(&header.seq) {
                continue;
            }
            let block = block_of(header.seq);
            if self.newest.get(step).and_then(|items| items.get(&header.item)) == Some(&block) {
                continue;
            }
            if self.count >= MOST {
                *self = Self::default();
            }
            let before = self.newest.entry(step.clone()).or_default().insert(header.item, block);
            self.count += usize::from(before.is_none());
            out.push(Touch { step: step.clone(), item: header.item, seq: header.seq });
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use wflo_model::{Digest, RunId, Timestamp};

    use super::*;

    fn header(seq: u64, step: Option<&str>, item: Option<u32>) -> Header {
        Header {
            run: RunId::from_bytes([1; 16]),
            seq,
            fence: 1,
            time: Timestamp::from_micros(1),
            kind: 1,
            step: step.map(|name| name.parse().unwrap()),
            item,
            attempt: 1,
            ordinal: 0,
            commitment: Digest::ZERO,
            prev: Digest::ZERO,
        }
    }

    #[test]
    fn the_first_event_of_an_item_in_a_block_is_named() {
        let mut known = KnownPlaces::default();
        let mut named = |seq, step, item| known.touch(&[header(seq, step, item)]).len();
        assert_eq!(named(1, Some("a"), None), 0);
        assert_eq!(named(BLOCK, Some("a"), None), 0, "the first block is everybody's");
        assert_eq!(named(BLOCK + 1, None, None), 0);
        assert_eq!(named(BLOCK + 2, Some("a"), None), 1);
        assert_eq!(named(BLOCK + 3, Some("a"), Some(0)), 1);
        assert_eq!(named(BLOCK + 4, Some("a"), None), 0);
        assert_eq!(named(2 * BLOCK, Some("a"), Some(0)), 0);
        assert_eq!(named(2 * BLOCK + 1, Some("a"), Some(0)), 1);
        assert_eq!(named(2 * BLOCK + 2, Some("b"), Some(0)), 1);
    }

    #[test]
    fn a_run_of_many_items_takes_no_more_memory() {
        let mut known = KnownPlaces::default();
        for item in 0..10 * MOST as u32 {
            known.touch(&[header(u64::from(item) + 1, Some("a"), Some(item))]);
            assert!(known.count <= MOST);
            assert_eq!(known.count, known.newest.values().map(HashMap::len).sum::<usize>());
        }
    }
}
