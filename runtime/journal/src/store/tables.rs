//! What the log says and the index does not have yet, in memory.

use std::cmp::Ordering;
use std::collections::btree_map::Range;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use super::index::Changes;
use super::view::{Pair, Write};
use crate::error::ReadError;

/// Changes that are durable in the log: the newest, and below them those that are on their way into the index.
#[derive(Default)]
pub(super) struct Tables {
    newest: Changes,
    /// Bytes of the newest, roughly.
    weight: usize,
    leaving: Option<Arc<Changes>>,
}

impl Tables {
    /// Takes a change in.
    pub(super) fn put(&mut self, (key, value): Write) {
        self.weight += key.len() + value.as_ref().map_or(0, Vec::len);
        self.newest.insert(key, value);
    }

    /// How many bytes have come in since the last time that the newest left.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    /// What is known of a key: its value, or that it has none.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.newest.get(key).or_else(|| self.leaving.as_ref()?.get(key))
    }

    /// Sends the newest on their way. Those before them must have arrived.
    pub(super) fn send_off(&mut self) -> Arc<Changes> {
        debug_assert!(self.leaving.is_none(), "one checkpoint at a time");
        let leaving = Arc::new(std::mem::take(&mut self.newest));
        self.weight = 0;
        self.leaving = Some(Arc::clone(&leaving));
        leaving
    }

    /// What has left is in the index.
    pub(super) fn arrived(&mut self) {
        self.leaving = None;
    }

    /// Pairs between two keys, both included, laid over those of the index.
    pub(super) fn over<'a>(
        &'a self,
        first: &[u8],
        last: &[u8],
        down: bool,
        index: impl Iterator<Item = Result<Pair, ReadError>> + 'a,
    ) -> impl Iterator<Item = Result<Pair, ReadError>> + 'a {
        let range = |changes: &'a Changes| {
            let range = changes.range::<[u8], _>((Bound::Included(first), Bound::Included(last)));
            Directed { range, down }
        };
        let leaving = self.leaving.as_deref().map(range).into_iter().flatten();
        let below = Layered { upper: leaving.peekable(), lower: index.peekable(), down };
        Layered { upper: range(&self.newest).peekable(), lower: below.peekable(), down }
    }
}

/// Changes in order, up or down.
struct Directed<'a> {
    range: Range<'a, Vec<u8>, Option<Vec<u8>>>,
    down: bool,
}

impl<'a> Iterator for Directed<'a> {
    type Item = (&'a Vec<u8>, &'a Option<Vec<u8>>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.down { self.range.next_back() } else { self.range.next() }
    }
}

/// Changes laid over pairs.
struct Layered<U: Iterator, L: Iterator> {
    upper: Peekable<U>,
    lower: Peekable<L>,
    down: bool,
}

impl<'a, U, L> Iterator for Layered<U, L>
where
    U: Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>,
    L: Iterator<Item = Result<Pair, ReadError>>,
{
    type Item = Result<Pair, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((key, value)) = self.upper.peek() else { return self.lower.next() };
            match self.lower.peek() {
                Some(Ok((below, _))) => {
                    let order = if self.down { key.cmp(&below) } else { below.cmp(key) };
                    match order {
                        Ordering::Less => return self.lower.next(),
                        Ordering::Equal => drop(self.lower.next()),
                        Ordering::Greater => {}
                    }
                }
                Some(Err(_)) => return self.lower.next(),
                None => {}
            }
            let found = value.as_ref().map(|value| ((*key).clone(), value.clone()));
            self.upper.next();
            if let Some(pair) = found {
                return Some(Ok(pair));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A change of one of a few keys.
    fn changes() -> impl Strategy<Value = Vec<Write>> {
        let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..3));
        prop::collection::vec((prop::collection::vec(0..3_u8, 1..3), value), 0..12)
    }

    proptest! {
        /// Whatever lies in which layer, what is seen is what all changes come to.
        #[test]
        fn layers_come_to_what_was_put_last(
            index in changes(),
            leaving in changes(),
            newest in changes(),
            first in prop::collection::vec(0..3_u8, 1..3),
            last in prop::collection::vec(0..3_u8, 1..3),
            down: bool,
        ) {
            prop_assume!(first <= last);
            let mut expect = BTreeMap::new();
            for (key, value) in index.iter().chain(&leaving).chain(&newest) {
                match value {
                    Some(value) => drop(expect.insert(key.clone(), value.clone())),
                    None => drop(expect.remove(key)),
                }
            }
            let mut below = BTreeMap::new();
            for (key, value) in index {
                match value {
                    Some(value) => drop(below.insert(key, value)),
                    None => drop(below.remove(&key)),
                }
            }
            let mut tables = Tables::default();
            leaving.into_iter().for_each(|change| tables.put(change));
            tables.send_off();
            newest.into_iter().for_each(|change| tables.put(change));

            for key in expect.keys().chain(below.keys()) {
                let seen = tables.get(key).map_or(below.get(key), Option::as_ref);
                prop_assert_eq!(seen, expect.get(key));
            }
            let pairs = below.range(first.clone()..=last.clone()).map(|(key, value)| Ok((key.clone(), value.clone())));
            let pairs: Vec<Result<Pair, ReadError>> = if down { pairs.rev().collect() } else { pairs.collect() };
            let seen = tables.over(&first, &last, down, pairs.into_iter());
            let seen = seen.map(Result::unwrap).collect::<Vec<_>>();
            let mut expect = expect.range(first..=last).map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>();
            if down {
                expect.reverse();
            }
            prop_assert_eq!(seen, expect);
        }
    }
}
