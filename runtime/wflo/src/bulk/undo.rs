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
/// The newest go first. A row can go only when none refers to it any more, and one that does may be older, where it was
/// changed later: so all are gone through once more, as long as that frees some.
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

/// The batches of rows, one a line, the last one first: what was inserted last may refer to what was inserted before it.
struct Batches {
    pieces: Pieces,
    /// Where the lines end that are still to come.
    ends: Vec<u64>,
}

impl Batches {
    async fn open(inserted: &Inserted, shelf: &Shelf) -> Result<Self, DbError> {
        let mut pieces = shelf.open(&inserted.kept).await.map_err(unreadable)?;
        let (mut ends, mut at) = (Vec::new(), 0);
        while let Some(piece) = pieces.next().await.map_err(unreadable)? {
            let lines = (at..).zip(&piece).filter(|(_, byte)| **byte == b'\n');
            ends.extend(lines.map(|(at, _)| at + 1));
            at += piece.len() as u64;
        }
        Ok(Self { pieces, ends })
    }

    async fn next(&mut self) -> Result<Option<InsertedRows>, DbError> {
        let Some(end) = self.ends.pop() else { return Ok(None) };
        let begin = self.ends.last().copied().unwrap_or_default();
        let line = self.pieces.range(begin..end).await.map_err(unreadable)?;
        serde_json::from_slice(&line).map(Some).map_err(unreadable)
    }
}

fn unreadable(error: impl std::error::Error) -> DbError {
    DbError::Other(format!("the rows that were inserted cannot be read: {error}"))
}
