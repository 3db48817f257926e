//! Going through the index in order.

use std::sync::RwLockReadGuard;

use super::Index;
use super::page::Pairs;
use crate::error::ReadError;
use crate::store::view::Pair;

/// Pairs in order, up or down. While it lives no page is cut.
pub(in crate::store) struct Scan<'a> {
    index: &'a Index,
    _cutting: RwLockReadGuard<'a, ()>,
    pages: sled::Iter,
    first: Vec<u8>,
    last: Vec<u8>,
    down: bool,
    /// What is left of a page, the next one last.
    page: Vec<Pair>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        index: &'a Index,
        cutting: RwLockReadGuard<'a, ()>,
        pages: sled::Iter,
        first: &[u8],
        last: &[u8],
        down: bool,
    ) -> Self {
        let (first, last) = (first.to_vec(), last.to_vec());
        Self { index, _cutting: cutting, pages, first, last, down, page: Vec::new() }
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<Pair, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(pair) = self.page.pop() {
                return Some(Ok(pair));
            }
            let (pages, down) = (&mut self.pages, self.down);
            let next = || if down { pages.next_back().transpose() } else { pages.next().transpose() };
            let (name, page) = match self.index.ask(next) {
                Ok(page) => page?,
                Err(error) => return Some(Err(error)),
            };
            self.page = match Pairs::of(&name, &page).and_then(Pairs::collect) {
                Ok(pairs) => pairs,
                Err(error) => return Some(Err(self.index.found_damaged(&name[1..], error))),
            };
            self.page.retain(|(key, _)| self.first <= *key && *key <= self.last);
            if !self.down {
                self.page.reverse();
            }
        }
    }
}
