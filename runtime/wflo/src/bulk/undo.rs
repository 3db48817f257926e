//! Deletes again what a transaction has inserted in bulk.

use wflo_model::{Conflict, ConflictReason, Inserted, InsertedRows};
use wflo_ports::{DbError, Transaction};

use crate::artifact::{Pieces, Shelf};

/// Most rows that are told one by one where they are left as they are. There may be millions, and one event tells of
/// them all.
const MOST_TOLD: usize = 1000;

/// What came of it.
#[derive(Default)]
pub(crate) struct InBulk {
    /// Rows that are gone.
    pub(crate) rows: u64,
    /// The first of those that were left.
    pub(crate) conflicts: Vec<Conflict>,
    /// How many more were left.
    pub(crate) more: u64,
}

/// Deletes the rows that nobody has changed since, in the transaction that is open.
///
/// A row can go only when none refers to it any more, and the one that does may be in a batch that comes later: so all
/// are gone through once more, as long as that frees some.
pub(crate) async fn undo(
    inserted: &Inserted,
    transaction: &mut dyn Transaction,
    shelf: &Shelf,
) -> Result<InBulk, DbError> {
    let mut referred = u64::MAX;
    loop {
        let mut pass = InBulk::default();
        let mut still = 0;
        let mut batches = Batches::open(inserted, shelf).await?;
        while let Some(batch) = batches.next().await? {
            let undone = transaction.undo_inserted(&batch).await?;
            pass.rows += undone.rows;
            for conflict in undone.conflicts {
                still += u64::from(matches!(conflict.reason, ConflictReason::Referenced { .. }));
                match pass.conflicts.len() < MOST_TOLD {
                    true => pass.conflicts.push(conflict),
                    false => pass.more += 1,
                }
            }
        }
        if still == 0 || still >= referred {
            return Ok(pass);
        }
        referred = still;
    }
}

/// The batches of rows, line by line.
struct Batches {
    pieces: Pieces,
    bytes: Vec<u8>,
}

impl Batches {
    async fn open(inserted: &Inserted, shelf: &Shelf) -> Result<Self, DbError> {
        let pieces = shelf.open(&inserted.kept).await.map_err(unreadable)?;
        Ok(Self { pieces, bytes: Vec::new() })
    }

    async fn next(&mut self) -> Result<Option<InsertedRows>, DbError> {
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                return serde_json::from_slice(&line).map(Some).map_err(unreadable);
            }
            match self.pieces.next().await.map_err(unreadable)? {
                Some(piece) => self.bytes.extend(piece),
                None => return Ok(None),
            }
        }
    }
}

fn unreadable(error: impl std::error::Error) -> DbError {
    DbError::Other(format!("the rows that were inserted cannot be read: {error}"))
}
