//! Filling an empty index with pairs that come in order.

use super::page::{self, FULL, weight};
use super::{BATCH, Index, PAGE, Standing, name_of};
use crate::error::ReadError;
use crate::store::view::Pair;

/// Fills an index, page after page.
pub(in crate::store) struct Loader {
    index: Index,
    page: Vec<Pair>,
    weight: usize,
    /// The table whose first page is written.
    table: Option<u8>,
    batch: sled::Batch,
    size: usize,
}

impl Loader {
    pub(in crate::store) fn new(index: Index) -> Self {
        Self { index, page: Vec::new(), weight: 0, table: None, batch: sled::Batch::default(), size: 0 }
    }

    /// Adds a pair, whose key comes after all before it.
    pub(in crate::store) fn add(&mut self, pair: Pair) -> Result<(), ReadError> {
        let table_ends = self.page.first().is_some_and(|(first, _)| first[0] != pair.0[0]);
        if table_ends || self.weight + weight(&pair) > FULL {
            self.end_page()?;
        }
        self.weight += weight(&pair);
        self.page.push(pair);
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), ReadError> {
        let pairs = std::mem::take(&mut self.page);
        self.weight = 0;
        let Some((first, _)) = pairs.first() else { return Ok(()) };
        let name = if self.table == Some(first[0]) { name_of(first) } else { vec![PAGE, first[0]] };
        self.table = Some(first[0]);
        let page = page::encode(&name, &pairs);
        self.size += name.len() + page.len();
        self.batch.insert(name, page);
        if self.size >= BATCH {
            self.apply()?;
        }
        Ok(())
    }

    fn apply(&mut self) -> Result<(), ReadError> {
        self.size = 0;
        let batch = std::mem::take(&mut self.batch);
        self.index.ask(|| self.index.db.apply_batch(batch))
    }

    /// Ends it; the index stands where it is said to.
    pub(in crate::store) fn finish(mut self, standing: &Standing) -> Result<Index, ReadError> {
        self.end_page()?;
        self.apply()?;
        self.index.stand(standing)?;
        Ok(self.index)
    }
}
