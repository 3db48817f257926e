//! Bulk inserts: rows of an artifact go into a table, a few at a time, however many there are.
//!
//! [`rows`] reads them out of the artifact; the database's port inserts them ([`perform`]), in the step's
//! transaction like any other write. Where the step's changes are kept, so are the keys of what was inserted: not in the
//! event that tells of the commit, since they may be millions, but as lines of an artifact that it names ([`spool()`]),
//! which a rollback reads again ([`undo()`]).

mod csv;
mod json_lines;
mod rows;
mod spool;
mod undo;

use serde_json::{Value, json};
use wflo_model::{DbAccess, Label};
use wflo_ports::{BulkInsert, DbError, Executed, Transaction};

use crate::artifact::Shelf;
use rows::ArtifactRows;

pub(crate) use spool::{NotKept, spool};
pub(crate) use undo::{InBulk, undo};

/// A call of `wflo:db/sql.bulk-insert`.
pub(crate) type BulkCall = wflo_model::BulkRows<Label>;

/// Inserts the rows.
pub(crate) async fn perform(
    bulk: &BulkCall,
    transaction: &mut Box<dyn Transaction>,
    access: &DbAccess,
    shelf: &Shelf,
) -> Result<Value, DbError> {
    let pieces = shelf.open(&bulk.rows.artifact).await;
    let pieces = pieces.map_err(|error| DbError::Unavailable(error.to_string()))?;
    let rows = ArtifactRows::open(pieces, bulk.format, &bulk.columns).await?;
    // A file without rows says nothing of columns, and nothing is to be inserted.
    let Some(mut rows) = rows else { return Ok(json!(Executed { changed: 0 })) };
    let into = BulkInsert { table: bulk.table.clone(), columns: rows.columns().to_vec() };
    let inserted = transaction.bulk_insert(&into, &mut rows, access).await;
    inserted.map(|changed| json!(Executed { changed })).map_err(|error| located(error, &rows))
}

/// An error of the database, with the lines among which the row is that it does not take, if it said which.
fn located(error: DbError, rows: &ArtifactRows) -> DbError {
    let Some((from, to)) = rows.refused_lines() else { return error };
    let within = |message: String| format!("{message} (in lines {from} to {to} of the artifact)");
    match error {
        DbError::Constraint(message) => DbError::Constraint(within(message)),
        DbError::Invalid(message) => DbError::Invalid(within(message)),
        other => other,
    }
}
