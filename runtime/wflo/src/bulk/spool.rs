//! Keeps what a transaction has inserted in bulk, before it commits.

use std::collections::BTreeMap;

use wflo_model::{ArtifactName, Inserted};
use wflo_ports::{DbError, Transaction};

use crate::artifact::{Shelf, Unkept, Writing};

/// Why the rows that were inserted in bulk are not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotKept {
    /// The database could not say which they are.
    #[error(transparent)]
    Database(#[from] DbError),
    /// They could not be written down.
    #[error(transparent)]
    Unkept(#[from] Unkept),
}

/// Writes the keys of the rows down, one batch a line; nothing where there are none.
///
/// What is written is named by what it holds: the same rows make the same, and are kept once.
pub(crate) async fn spool(
    transaction: &mut dyn Transaction,
    shelf: &Shelf,
) -> Result<Option<Inserted>, NotKept> {
    let mut tables: BTreeMap<String, u64> = BTreeMap::new();
    let mut writing = Writing::new(shelf.own().clone(), true);
    let mut from = 0;
    while let Some((batch, next)) = transaction.inserted(from).await? {
        let mut line = serde_json::to_vec(&batch).expect("rows have text keys");
        line.push(b'\n');
        writing.write(&line).await?;
        *tables.entry(batch.table).or_default() += batch.rows.len() as u64;
        from = next;
    }
    if tables.is_empty() {
        return Ok(None);
    }
    let name: ArtifactName = "inserted-rows.jsonl".parse().expect("it is a name");
    Ok(Some(Inserted { tables, kept: writing.seal(name).await? }))
}
